"""Authentication: what happens with the key, without one, and with one that nobody has."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Part,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_header,
    at_status,
    fold,
    rule,
)
from conformance.rules.blemishes import blemishes
from conformance.rules.conditions import is_chat, is_error, ok
from conformance.rules.refusals import error_object
from conformance.wire.exchange import Exchange, Facet, header_values
from conformance.wire.strict_json import show
from conformance.wire.traces import Single

_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/=-]+)")
_OPEN = Vacuous(Reason.REFUSED, "the endpoint asks for no key")
_ON_THE_WAY = frozenset({408, 429, 502, 503, 504})
_STATUS = (Facet.REQUEST, Facet.STATUS)
_CODE = (Facet.REQUEST, Facet.STATUS, Facet.BODY)


def _presented(exchange: Exchange) -> str | None:
    """The Authorization value that the request carried by itself, or None."""
    found = header_values(exchange.request.headers, "authorization")
    return found[0] if exchange.request.auth == "as_given" and len(found) == 1 else None


def _token(exchange: Exchange) -> str | None:
    """The made-up key of a well-formed bearer header, or None."""
    found = _BEARER.fullmatch((_presented(exchange) or "").strip())
    return found.group(1) if found else None


def _flawed(exchange: Exchange, terms: Terms) -> bool:
    """A POST to the chat route whose body has a certain fault."""
    chat = exchange.request.chat
    if chat is None:
        return is_chat(exchange)
    return bool(blemishes(chat.body, terms.dialect))


def _keyless(trace: Single, terms: Terms) -> bool:
    return trace.exchange.request.auth == "none" and is_chat(trace.exchange)


def _unknown(trace: Single, terms: Terms) -> bool:
    return _token(trace.exchange) is not None and is_chat(trace.exchange)


def _malformed(trace: Single, terms: Terms) -> bool:
    shown = _presented(trace.exchange)
    return shown is not None and _token(trace.exchange) is None and is_chat(trace.exchange)


def _turned_away(condition: Callable[[Single, Terms], bool]) -> Callable[[Single, Terms], bool]:
    """Those of a condition that were refused for their credentials."""
    return lambda trace, terms: condition(trace, terms) and trace.exchange.status == 401


@dataclass(frozen=True)
class _Seen:
    """What a route answered to the run's key: the first 401, and whether anything else came."""

    refused: str | None = None
    served: bool = False


@fold("auth.bearer_key.is_accepted", reads=_STATUS)
class BearerKeyIsAccepted:
    """No route answers nothing but 401 to a key that another route accepts."""

    def empty(self) -> dict[tuple[str, str], _Seen]:
        """Nothing seen."""
        return {}

    def step(
        self, state: dict[tuple[str, str], _Seen], exchange: Exchange, terms: Terms
    ) -> dict[tuple[str, str], _Seen]:
        """Note what the exchange's route answered."""
        if exchange.request.auth != "key" or exchange.status is None:
            return state
        route = exchange.request.route.split("/", 3)[1:3]
        key = (exchange.origin, f"{exchange.request.method} /{'/'.join(route)}")
        seen = state.get(key, _Seen())
        if exchange.status == 401:
            state[key] = replace(seen, refused=seen.refused or exchange.id)
        elif ok(exchange):
            state[key] = replace(seen, served=True)
        return state

    def merge(
        self, earlier: dict[tuple[str, str], _Seen], later: dict[tuple[str, str], _Seen]
    ) -> dict[tuple[str, str], _Seen]:
        """Both parts, route by route."""
        merged = dict(earlier)
        for key, seen in later.items():
            before = merged.get(key, _Seen())
            merged[key] = _Seen(before.refused or seen.refused, before.served or seen.served)
        return merged

    def finish(self, state: dict[tuple[str, str], _Seen], terms: Terms) -> Verdicts:
        """Routes that refused the key always, where another of the same origin took it."""
        served = {origin for (origin, _), seen in state.items() if seen.served}
        if not served:
            yield NOT_APPLICABLE
        for (origin, route), seen in state.items():
            if origin in served and seen.refused is not None and not seen.served:
                expected = "the key that another route accepts is accepted here"
                yield Finding(seen.refused, Part.STATUS, expected, f"{route}: status 401")


@rule("auth.missing_key.is_not_served", on=Single, reads=_STATUS, when=_keyless)
def missing_key_is_not_served(trace: Single, terms: Terms) -> Verdicts:
    """A request without credentials gets no completion."""
    if trace.exchange.answer is not None:
        yield at_status(trace.exchange, "a request without credentials is refused")
    elif trace.exchange.status in _ON_THE_WAY:
        yield Vacuous(Reason.TRANSPORT)


@rule(
    "auth.missing_key.gets_401",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: (
        _keyless(trace, terms) and is_error(trace.exchange) and not _flawed(trace.exchange, terms)
    ),
)
def missing_key_gets_401(trace: Single, terms: Terms) -> Verdicts:
    """The refusal of a valid request without credentials is a 401."""
    yield from _status_is_401(trace.exchange, "a request without credentials gets 401")


def _status_is_401(exchange: Exchange, expected: str) -> Verdicts:
    if exchange.status in _ON_THE_WAY:
        yield Vacuous(Reason.TRANSPORT)
    elif exchange.status != 401:
        yield at_status(exchange, expected)


@rule(
    "auth.missing_key.comes_before_validation",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: _keyless(trace, terms) and is_error(trace.exchange) and _flawed(trace.exchange, terms),
)
def missing_key_comes_before_validation(trace: Single, terms: Terms) -> Verdicts:
    """Without credentials a malformed request gets 401, before anybody looks at its body."""
    if terms.facts.key_required is False:
        yield _OPEN
    else:
        yield from _status_is_401(trace.exchange, "credentials are asked for before the body is looked at")


def _code_is(exchange: Exchange, kind: str, terms: Terms) -> Verdicts:
    """The code is one of those that the dialect documents for a kind of error."""
    codes = terms.dialect.error(kind).codes
    error = error_object(exchange)
    if not error or "code" not in error:
        yield Vacuous(Reason.NOT_APPLICABLE, "no code")
    elif error["code"] not in codes:
        expected = f"code {' or '.join(show(code) for code in codes)}"
        yield at_body(exchange, "/error/code", expected, show(error["code"]))


@rule("auth.missing_key.code", on=Single, reads=_CODE, when=_turned_away(_keyless))
def missing_key_code(trace: Single, terms: Terms) -> Verdicts:
    """The 401 to a request without credentials says that the key is missing."""
    yield from _code_is(trace.exchange, "missing_key", terms)


@rule(
    "auth.refusal.code",
    on=Single,
    reads=_CODE,
    when=_turned_away(lambda trace, terms: _keyless(trace, terms) or _unknown(trace, terms)),
)
def refusal_code(trace: Single, terms: Terms) -> Verdicts:
    """The 401 to a missing or unknown key carries the one code for both."""
    yield from _code_is(trace.exchange, "invalid_key", terms)


@rule("auth.unknown_key.is_refused", on=Single, reads=_STATUS, when=_unknown)
def unknown_key_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A made-up key gets no completion where keys are asked for."""
    yield from _not_served(trace.exchange, terms, "a key that is not known is refused")


def _not_served(exchange: Exchange, terms: Terms, expected: str) -> Verdicts:
    if exchange.status in _ON_THE_WAY:
        yield Vacuous(Reason.TRANSPORT)
    elif exchange.answer is not None:
        yield _OPEN if terms.facts.key_required is not True else at_status(exchange, expected)


@rule(
    "auth.unknown_key.gets_401",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: (
        _unknown(trace, terms) and is_error(trace.exchange) and not _flawed(trace.exchange, terms)
    ),
)
def unknown_key_gets_401(trace: Single, terms: Terms) -> Verdicts:
    """The refusal of a made-up key is a 401."""
    if terms.facts.key_required is False:
        yield _OPEN
    else:
        yield from _status_is_401(trace.exchange, "a key that is not known gets 401")


@rule("auth.unknown_key.code", on=Single, reads=_CODE, when=_turned_away(_unknown))
def unknown_key_code(trace: Single, terms: Terms) -> Verdicts:
    """The 401 to a made-up key says that the key is not valid."""
    yield from _code_is(trace.exchange, "invalid_key", terms)


@rule("auth.malformed_header.is_refused", on=Single, reads=_STATUS, when=_malformed)
def malformed_header_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """An Authorization header that is no bearer token gets 401 where keys are asked for."""
    exchange, expected = trace.exchange, "an Authorization header without a bearer token gets 401"
    if is_error(exchange):
        yield from _status_is_401(exchange, expected)
    else:
        yield from _not_served(exchange, terms, expected)


@dataclass(frozen=True)
class _Doors:
    """Whether completions asked for a key, and the first list of models that was had without a valid one."""

    asked: frozenset[str] = frozenset()
    listed: tuple[tuple[str, str], ...] = ()
    shut: frozenset[str] = frozenset()


@fold("auth.models.ask_for_the_key_too", reads=_STATUS)
class ModelsAskForTheKeyToo:
    """Who needs a key for completions needs one for the list of models."""

    def empty(self) -> _Doors:
        """Nothing seen."""
        return _Doors()

    def step(self, state: _Doors, exchange: Exchange, terms: Terms) -> _Doors:
        """Note refused completions, and lists given to requests without a valid key."""
        keyless = exchange.request.auth == "none" or _presented(exchange) is not None
        if keyless and is_chat(exchange) and exchange.status in (401, 403):
            return replace(state, asked=state.asked | {exchange.origin})
        if not keyless or exchange.request.method != "GET" or exchange.request.route != "/models":
            return state
        if ok(exchange):
            return replace(state, listed=(*state.listed, (exchange.origin, exchange.id)))
        return replace(state, shut=state.shut | {exchange.origin})

    def merge(self, earlier: _Doors, later: _Doors) -> _Doors:
        """Both parts."""
        return _Doors(earlier.asked | later.asked, earlier.listed + later.listed, earlier.shut | later.shut)

    def finish(self, state: _Doors, terms: Terms) -> Verdicts:
        """Each list that was had where completions asked for a key."""
        if not state.asked & ({origin for origin, _ in state.listed} | state.shut):
            yield NOT_APPLICABLE
        for origin, exchange in state.listed:
            if origin in state.asked:
                yield Finding(exchange, Part.STATUS, "the list of models needs the key too", "status 200")


@rule(
    "auth.x_api_key.is_accepted",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: trace.exchange.request.auth == "x-api-key" and is_chat(trace.exchange),
)
def x_api_key_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """The run's key is accepted in X-Api-Key."""
    if trace.exchange.status in (401, 403):
        yield at_status(trace.exchange, "the key is accepted in the X-Api-Key header")
    elif not ok(trace.exchange):
        yield Vacuous(Reason.TRANSPORT, f"status {trace.exchange.status}")


_SHORTEST_KEY = 16
"""Shorter words could stand in a message by chance."""


@rule(
    "auth.key.is_not_echoed",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS, Facet.BODY_BYTES, Facet.HEADERS),
    when=lambda trace, terms: is_error(trace.exchange) and len(_token(trace.exchange) or "") >= _SHORTEST_KEY,
)
def key_is_not_echoed(trace: Single, terms: Terms) -> Verdicts:
    """Neither the body nor a header of the refusal holds the key that was presented."""
    exchange, token = trace.exchange, _token(trace.exchange) or ""
    if token.encode() in exchange.body:
        yield at_body(exchange, "/error/message", "the key is masked", "the whole key stands in the body")
    for name, value in exchange.headers:
        if token in value:
            found = at_header(exchange, name, "the key is in no header")
            yield replace(found, observed="the whole key")
