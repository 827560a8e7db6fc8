"""What a rule is, and what it may say.

A rule judges one requirement over one relation. It yields findings, or one `Vacuous` where the trace could not have
shown a violation; yielding nothing means that the requirement held. Level, source and title live in the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from conformance.dialects.model import Dialect
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.facts import Facts
from conformance.wire.traces import Run, Trace


class Reason(StrEnum):
    """Why a trace could not have shown a violation."""

    NOT_APPLICABLE = "not_applicable"
    """The trace is about something else. Never counted: most rules say it of most exchanges."""
    MODEL_FREE = "model_free"
    """The model was free to answer otherwise, and did."""
    REFUSED = "refused"
    """The endpoint said in time that it does not offer this."""
    CUT_BY_LIMIT = "cut_by_limit"
    NO_CONTROL = "no_control"
    """The control did not show what the variant is to be compared with."""
    FACETS = "facets"
    """The recording lacks what the rule reads."""
    TRANSPORT = "transport"
    """The exchange did not come through."""


@dataclass(frozen=True)
class Vacuous:
    """This trace says nothing about the requirement."""

    reason: Reason
    detail: str = ""


NOT_APPLICABLE = Vacuous(Reason.NOT_APPLICABLE)


class Part(StrEnum):
    """Which part of an answer a finding is about."""

    BODY = "body"
    CHUNK = "chunk"
    HEADER = "header"
    STATUS = "status"
    SEQUENCE = "sequence"


_INDEX = re.compile(r"/\d+(?=/|$)")


@dataclass(frozen=True)
class Finding:
    """One violation: where, what was expected, what was observed.

    `pointer` is a JSON pointer into the body or the chunk, or a header's name. `chunk` counts events from 0.
    """

    exchange: str
    part: Part
    expected: str
    observed: str
    pointer: str = ""
    chunk: int | None = None
    byte: int | None = None

    @property
    def place(self) -> str:
        """The normalised place: indices replaced by `*`, so that like findings fall together."""
        return f"{self.part.value}:{_INDEX.sub('/*', self.pointer)}"


Verdicts = Iterator[Finding | Vacuous]


@dataclass(frozen=True)
class Terms:
    """What a rule may know apart from the trace: the resolved dialect, and facts derived from recorded exchanges."""

    dialect: Dialect
    facts: Facts = field(default_factory=Facts)


AnyTrace = TypeVar("AnyTrace", bound=Trace)
State = TypeVar("State")
Check = Callable[[Any, Terms], Verdicts]
When = Callable[[Any, Terms], bool]


@dataclass(frozen=True)
class Rule:
    """A rule over one relation. `values` are the names of values that the rule trusts: altered ones make it vacuous."""

    id: str
    on: type[Trace]
    reads: frozenset[Facet]
    values: frozenset[str]
    when: When | None
    check: Check
    also: tuple[type[Trace], ...] = ()
    """Further relations in which it may find, but never hold: what lacks its control can only incriminate."""
    broken: bool = False
    """It is shown traces whose exchanges did not all come through: it judges just that."""

    @property
    def title(self) -> str:
        """The first line of the docstring."""
        return (self.check.__doc__ or "").strip().split("\n", 1)[0]


class Fold(Protocol[State]):
    """A rule over a whole run, as an associative fold: audits may stream, and merge parts in order."""

    def empty(self) -> State:
        """Nothing seen."""

    def step(self, state: State, exchange: Exchange, terms: Terms) -> State:
        """One more exchange. Only called where the rule's facets are there."""

    def merge(self, earlier: State, later: State) -> State:
        """Two parts of one run, in order."""

    def finish(self, state: State, terms: Terms) -> Verdicts:
        """What the whole shows; yield NOT_APPLICABLE where nothing could have been shown."""


@dataclass(frozen=True)
class FoldRule:
    """A fold and the facets it reads."""

    id: str
    reads: frozenset[Facet]
    values: frozenset[str]
    fold: Fold[Any]
    on: type[Trace] = Run

    @property
    def title(self) -> str:
        """The first line of the docstring."""
        return (type(self.fold).__doc__ or "").strip().split("\n", 1)[0]


RULES: dict[str, Rule | FoldRule] = {}
"""Filled by the decorators when `conformance.rules.load()` imports the area modules; read-only afterwards."""


def _register(made: Rule | FoldRule) -> None:
    if made.id in RULES:
        raise ValueError(f"two rules judge {made.id}")
    RULES[made.id] = made


def rule(
    requirement: str,
    *,
    on: type[AnyTrace],
    reads: Iterable[Facet],
    values: Iterable[str] = (),
    when: Callable[[AnyTrace, Terms], bool] | None = None,
    also: tuple[type[AnyTrace], ...] = (),
    broken: bool = False,
) -> Callable[[Callable[[AnyTrace, Terms], Verdicts]], Callable[[AnyTrace, Terms], Verdicts]]:
    """Register a function as the rule of a requirement.

    `when` answers false for traces that the requirement is not about; the rule is then not called. `also` names
    relations whose traces it is shown too: there it may find a violation, and saying nothing does not hold. `broken`
    shows it exchanges without a whole answer as well: what it finds there has to have happened twice, with a success
    before and after.
    """

    def decorate(check: Callable[[AnyTrace, Terms], Verdicts]) -> Callable[[AnyTrace, Terms], Verdicts]:
        _register(Rule(requirement, on, frozenset(reads), frozenset(values), when, check, also, broken))
        return check

    return decorate


def fold(
    requirement: str, *, reads: Iterable[Facet], values: Iterable[str] = ()
) -> Callable[[type[Fold[Any]]], type[Fold[Any]]]:
    """Register a class as the fold that judges a requirement over a whole run."""

    def decorate(cls: type[Fold[Any]]) -> type[Fold[Any]]:
        _register(FoldRule(requirement, frozenset(reads), frozenset(values), cls()))
        return cls

    return decorate


def at_body(exchange: Exchange, pointer: str, expected: str, observed: str) -> Finding:
    """A finding in an unstreamed body."""
    return Finding(exchange.id, Part.BODY, expected, observed, pointer)


def at_chunk(exchange: Exchange, chunk: int | None, pointer: str, expected: str, observed: str) -> Finding:
    """A finding in one event of a stream; `chunk` None means the stream as a whole."""
    return Finding(exchange.id, Part.CHUNK, expected, observed, pointer, chunk)


def at_status(exchange: Exchange, expected: str) -> Finding:
    """A finding on the status code."""
    return Finding(exchange.id, Part.STATUS, expected, f"status {exchange.status}")


def at_header(exchange: Exchange, name: str, expected: str) -> Finding:
    """A finding on a response header."""
    value = exchange.header(name)
    return Finding(exchange.id, Part.HEADER, expected, "absent" if value is None else value, name.lower())


def at_sequence(exchange: Exchange, pointer: str, expected: str, observed: str) -> Finding:
    """A finding that only several exchanges, or a whole answer, show together; `exchange` is the telling one."""
    return Finding(exchange.id, Part.SEQUENCE, expected, observed, pointer)


def by_id(rules: Mapping[str, Rule | FoldRule], ids: Iterable[str]) -> list[Rule | FoldRule]:
    """The rules of these requirements, in their order; unknown ids are left out."""
    return [rules[name] for name in ids if name in rules]
