"""What the rungs of a ladder say: whether a request that is bigger along one axis was taken, and where that flips.

Used by the probe that climbs, by the rules that judge the climb, and by the report, which states what was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from conformance.wire.exchange import End, Exchange
from conformance.wire.strict_json import Json
from conformance.wire.traces import Ladder

DEPTH = "depth."
SIZE = "size."
"""How the axes of ladders begin that climb by nesting, and by bytes; the form of what nests or is big follows."""
CALLS = "calls of a reference's URL"
"""The axis of a ladder that climbs nothing: an exchange stands at how often the endpoint called the URL in it."""
PLAIN = 0
"""The rung of a plain request: what every other rung is, without the thing that grows."""

_SCHEMA = frozenset({400, 422})
_IN_BETWEEN = frozenset({413, 414, 431})
"""What a proxy in front says of a body that is too long for it (RFC 9110, section 15.5.14)."""
_CONTEXT = re.compile(
    r"context[\s_-]?(?:length|window|size)|maximum context|too many (?:input |prompt )?tokens|input[\s_-]tokens?"
    r"|prompt is too long|tokens? (?:limit|per min)",
    re.I,
)


class Outcome(StrEnum):
    """What became of one rung."""

    TAKEN = "taken"
    REFUSED = "refused"
    """By a status that refuses a body."""
    PROXY = "proxy"
    """Something in front refused the length of the body: no word of the endpoint's own cap."""
    CONTEXT = "context"
    """The prompt does not fit the model: no word of a cap on schemas."""
    FAILED = "failed"
    """A 5xx status."""
    SILENT = "silent"
    """No whole answer."""
    OTHER = "other"
    """Keys, credit, routes, rates, or a success that holds no completion."""


class Form(Protocol):
    """What is read of a dialect's error form: its codes."""

    @property
    def codes(self) -> tuple[str | None, ...]:
        """The values of `error.code`."""


class Codes(Protocol):
    """What is read of a dialect (`conformance.dialects.model.Dialect` is one)."""

    @property
    def errors(self) -> Mapping[str, Form]:
        """The error forms by kind."""


def has_code(error: dict[str, Json], dialect: Codes, kind: str) -> bool:
    """An error object has one of the codes of a kind of error; a code need not be a string, nor anything hashable."""
    code = error.get("code")
    return isinstance(code, str) and code in codes_of(dialect, kind)


def codes_of(dialect: Codes, kind: str) -> frozenset[str]:
    """The codes that a dialect documents for one kind of error and for no other."""
    form = dialect.errors.get(kind)
    own = {code for code in form.codes if code is not None} if form is not None else set()
    others = {code for name, other in dialect.errors.items() if name != kind for code in other.codes}
    return frozenset(own - others)


def error_of(exchange: Exchange) -> dict[str, Json]:
    """The error object of an answer, or an empty mapping."""
    body = exchange.document.value if exchange.document.ok else None
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def outcome(exchange: Exchange, dialect: Codes) -> Outcome:
    """What became of a rung. Total."""
    if exchange.end is not End.COMPLETE or exchange.status is None:
        return Outcome.SILENT
    status = exchange.status
    if status >= 500:
        return Outcome.FAILED
    if status in _IN_BETWEEN:
        return Outcome.PROXY
    if status in _SCHEMA:
        error = error_of(exchange)
        if has_code(error, dialect, "context_length"):
            return Outcome.CONTEXT
        named = isinstance(error.get("param"), str) and error["param"].startswith("response_format")
        said = str(error.get("message", ""))[:2000]
        return Outcome.CONTEXT if not named and _CONTEXT.search(said) else Outcome.REFUSED
    return Outcome.TAKEN if exchange.answer is not None else Outcome.OTHER


@dataclass(frozen=True)
class Cap:
    """What a ladder found: `taken` is the largest value that was taken below the smallest that was refused.

    `refused` is None where nothing was refused. `shown_by` are the exchanges of these two values, by id.
    """

    axis: str
    taken: int
    refused: int | None
    shown_by: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Nothing lies between the two."""
        return self.refused is not None and self.refused == self.taken + 1


def rungs(ladder: Ladder, dialect: Codes) -> Iterator[tuple[int, Exchange, Outcome]]:
    """Value, exchange and outcome of each rung, plain requests included, in rising order."""
    for value, exchange in zip(ladder.values, ladder.exchanges, strict=True):
        yield value, exchange, outcome(exchange, dialect)


def cap_of(ladder: Ladder, dialect: Codes, by: Outcome = Outcome.REFUSED) -> Cap | None:
    """The cap along a ladder's axis, or a bound on it; None where not even one rung above the plain one was taken.

    `by` says whose: the endpoint's own (refused), or that of something in front of it (proxy).
    """
    seen = [rung for rung in rungs(ladder, dialect) if rung[0] > PLAIN]
    refused = min((value for value, _, what in seen if what is by), default=None)
    taken = [value for value, _, what in seen if what is Outcome.TAKEN and (refused is None or value < refused)]
    if not taken:
        return None
    shown = [exchange.id for value, exchange, _ in seen if value in (max(taken), refused)]
    return Cap(ladder.axis, max(taken), refused, tuple(shown))
