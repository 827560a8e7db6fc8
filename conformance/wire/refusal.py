"""Is an error an honest refusal of a feature? Decided here and nowhere else, from the exchange and the dialect.

A status of 400, 404, 405, 422 or 501 is about feature F if `param` begins with one of F's request fields, or `code` is
among those by which the dialect refuses F, or the message names the field or the capability. A feature that the
request does not use cannot be what was refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json

STATUSES = frozenset({400, 404, 405, 422, 501})

FIELDS: dict[str, tuple[str, ...]] = {
    "tools": ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"),
    "streaming": ("stream", "stream_options"),
    "structured_output": ("response_format",),
    "logprobs": ("logprobs", "top_logprobs"),
    "storage": ("store", "metadata"),
}
"""The request fields of each capability. Fields of no capability are refused by their own name only."""

CAPABILITY_OF: dict[str, str] = {field: name for name, fields in FIELDS.items() for field in fields}

_CALLED: dict[str, re.Pattern[str]] = {
    "tools": re.compile(
        r"\b(?:tools?[\s_-]?(?:calls?|calling|choice|use)|function[\s_-]?call(?:s|ing)?|tools)\b", re.I
    ),
    "streaming": re.compile(r"\bstreaming\b", re.I),
    "structured_output": re.compile(
        r"\b(?:structured[\s_-]outputs?|json[\s_-](?:schema|mode|object)|response[\s_-]format)\b", re.I
    ),
    "logprobs": re.compile(r"\b(?:top_)?logprobs?\b|\blog[\s_-]prob(?:abilitie|s\b)", re.I),
    "storage": re.compile(r"\bstor(?:ed|ing) (?:chat )?completions?\b", re.I),
}
"""What messages call a capability."""

_WORDS = frozenset(
    {"audio", "logprobs", "messages", "metadata", "model", "n", "seed", "stop", "store", "stream", "tools", "user"}
    | {"functions", "modalities", "prediction"}
)
"""Fields that are words of the language: a message names them only in quotes or beside `parameter` and the like."""

_NEEDED = frozenset({"model", "messages"})
"""What every request must carry is no feature."""
_LONGEST = 4000


class ErrorCodes(Protocol):
    """What is read of a dialect's error form: its codes, and the capabilities that it refuses."""

    @property
    def codes(self) -> tuple[str | None, ...]:
        """The values of `error.code`."""

    @property
    def features(self) -> tuple[str, ...]:
        """The capabilities."""


class Codes(Protocol):
    """What is read of a dialect (`conformance.dialects.model.Dialect` is one)."""

    @property
    def errors(self) -> Mapping[str, ErrorCodes]:
        """The error forms by kind."""


@dataclass(frozen=True)
class Refused:
    """What was refused: request fields by name, and capabilities. `by` is `param`, `code`, `message` or `route`."""

    status: int
    by: str
    fields: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def feature(self) -> str | None:
        """The first capability, or None where single fields were refused."""
        return self.features[0] if self.features else None


def top_field(path: str) -> str:
    """The request field that a `param`, a pointer or a dotted path begins with."""
    path = path.strip().removeprefix("$").lstrip("./")
    return re.split(r"[./\[\]:]", path.removeprefix("body.").removeprefix("body/"), maxsplit=1)[0].strip("'\"`")


@dataclass(frozen=True)
class _Said:
    params: tuple[str, ...]
    code: Json
    message: str


def _said(body: Json) -> _Said:
    """What an error body says, in the original's form, in FastAPI's, or as flat text."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return _Said((), None, error[:_LONGEST])
    if not isinstance(error, dict):
        return _Said((), None, "")
    params: list[str] = []
    if isinstance(error.get("param"), str):
        params.append(error["param"])
    texts = [text for key in ("message", "detail", "msg") if isinstance(text := error.get(key), str)]
    details = error.get("detail")
    for item in details if isinstance(details, list) else ():
        place = item.get("loc") if isinstance(item, dict) else None
        if isinstance(place, list):
            params.append("/".join(str(part) for part in place if part != "body"))
        if isinstance(item, dict) and isinstance(item.get("msg"), str):
            texts.append(item["msg"])
    return _Said(tuple(params), error.get("code"), " ".join(texts)[:_LONGEST])


def names_field(message: str, field: str) -> bool:
    """The text names a request field: as a word of its own, or in quotes where the name is an everyday word."""
    name = re.escape(field)
    if field not in _WORDS:
        return re.search(rf"(?<![\w]){name}(?![\w])", message) is not None
    return (
        re.search(
            rf"""['"`‘“]{name}(?:['"`’”]|[.\[])|\b(?:parameter|field|property|argument|option)s?:? {name}\b"""
            rf"""|(?<![\w]){name} (?:parameter|field|property|argument|option)\b|(?:^|[\s(]){name}(?:\[|=)|^{name}:""",
            message,
        )
        is not None
    )


def _used(exchange: Exchange) -> frozenset[str] | None:
    chat = exchange.request.chat
    return None if chat is None else frozenset(key for key, value in chat.body.items() if value is not None)


def _by_route(exchange: Exchange) -> Refused | None:
    """A whole route that is not there: no status of this kind can mean anything else on it."""
    route, status = exchange.request.route, exchange.status or 0
    if status not in (404, 405, 501):
        return None
    if route == "/models":
        return Refused(status, "route", (), ("models",))
    listing = route == "/chat/completions" and exchange.request.method == "GET"
    # Below an id a 404 may say that the id is unknown, which refuses nothing.
    if listing or (route.startswith("/chat/completions/") and status in (405, 501)):
        return Refused(status, "route", (), ("storage",))
    return None


def refusal_of(exchange: Exchange, dialect: Codes) -> Refused | None:
    """What an error honestly refuses, or None. Only what the request used counts, where the request is known."""
    status = exchange.status
    if status not in STATUSES or status is None:
        return None
    used = _used(exchange)
    if used is None and exchange.request.method != "POST":
        return _by_route(exchange)
    said = _said(
        exchange.document.value if exchange.document.ok else exchange.body[:_LONGEST].decode("utf-8", "replace")
    )

    def known(fields: Iterator[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in fields if name not in _NEEDED and (used is None or name in used)))

    named = known(top_field(param) for param in said.params)
    if any(named):
        return Refused(status, "param", named, _features(named))
    coded = [name for name in _coded(said.code, dialect) if used is None or used & set(FIELDS.get(name, used))]
    if coded:
        fields = known(field for name in coded for field in FIELDS.get(name, ()))
        return Refused(status, "code", fields, tuple(coded))
    every = sorted(used) if used is not None else sorted(CAPABILITY_OF)
    named = tuple(name for name in every if name not in _NEEDED and names_field(said.message, name))
    called = [
        name
        for name, pattern in _CALLED.items()
        if (used is None or used & set(FIELDS[name])) and pattern.search(said.message)
    ]
    if not named and not called:
        return None
    if not named:
        named = known(field for name in called for field in FIELDS[name])
    return Refused(status, "message", named, tuple(dict.fromkeys([*called, *_features(named)])))


def _features(fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(CAPABILITY_OF[name] for name in fields if name in CAPABILITY_OF))


def _coded(code: Json, dialect: Codes) -> list[str]:
    if not isinstance(code, str):
        return []
    found = (form.features for form in dialect.errors.values() if code in form.codes)
    return list(dict.fromkeys(name for features in found for name in features))


def refuses(exchange: Exchange, field: str, dialect: Codes) -> bool:
    """The answer honestly refuses a request field (a name, a dotted path or a pointer), or its whole capability."""
    refused = refusal_of(exchange, dialect)
    name = top_field(field)
    return refused is not None and (
        name in refused.fields or (not refused.fields and CAPABILITY_OF.get(name) in refused.features)
    )


def refuses_feature(exchange: Exchange, capability: str, dialect: Codes) -> bool:
    """The answer honestly refuses a capability, or a field of it."""
    refused = refusal_of(exchange, dialect)
    return refused is not None and capability in refused.features
