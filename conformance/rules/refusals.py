"""Whether a request was turned down, and whether what turned it down names a field: status and error object alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from conformance.rules.base import Finding, Reason, Terms, Vacuous, Verdicts, at_status
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.refusal import refusal_of
from conformance.wire.strict_json import Json

_ABOUT_SOMETHING_ELSE = frozenset({401, 402, 403, 404, 407, 408, 429})
"""Credentials, credit, routes and rates: they say nothing of the body."""
_ON_THE_WAY = frozenset({502, 503, 504})
_NOT_IMPLEMENTED = 501
_NO_SUCH_THING = frozenset({404, _NOT_IMPLEMENTED})


def error_object(exchange: Exchange) -> dict[str, Json]:
    """The error object of an answer, or an empty mapping where there is none."""
    body = exchange.document.value if exchange.document.ok else None
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def carries_error(exchange: Exchange) -> bool:
    """A 2xx answer that holds an error and no completion: a refusal in the wrong form, which other rules judge."""
    if exchange.status is None or not 200 <= exchange.status < 300:
        return False
    if exchange.assembly is not None:
        return bool(exchange.assembly.errors)
    body = exchange.document.value if exchange.document.ok else None
    return isinstance(body, dict) and bool(body.get("error")) and not body.get("choices")


def names(exchange: Exchange, words: Iterable[str]) -> bool:
    """The error's param or message holds one of the words, compared without case."""
    error = error_object(exchange)
    said = " ".join(str(error.get(key) or "") for key in ("param", "message", "code")).lower()
    return any(word.lower() in said for word in words)


_UNSUPPORTED = re.compile(r"\bnot[ _](?:supported|allowed)\b|\bunsupported\b", re.I)
_OF_ANYTHING = frozenset({"model", "stream", "user", "seed", "stop", "n"})
"""Fields whose names stand in the message of a server that broke down, too."""


def explains_itself(exchange: Exchange) -> bool:
    """A server error that says what is wrong with the request: it turns it down, with a status of the wrong class.

    The status is `errors.client_fault.is_4xx`'s business. One that says nothing of the request is a breakdown.
    """
    status, chat = exchange.status or 0, exchange.request.chat
    if status < 500 or status in _ON_THE_WAY or chat is None:
        return False
    error = error_object(exchange)
    message = error.get("message")
    if not isinstance(message, str):
        return False
    named = [field for field in chat.body if field not in _OF_ANYTHING]
    return (
        bool(error.get("param"))
        or _UNSUPPORTED.search(message) is not None
        or any(re.search(rf"(?<!\w){re.escape(field)}(?!\w)", message) for field in named)
    )


def must_refuse(exchange: Exchange, expected: str) -> Verdicts:
    """Judge an answer to a request that is wrong in one way: any 4xx about the body refuses it.

    A 2xx, and a 5xx that does not say what is wrong, are findings with `expected` as their sentence. Which status it
    has to be is the business of other rules.
    """
    status = exchange.status or 0
    if status in _ABOUT_SOMETHING_ELSE:
        yield Vacuous(Reason.NO_CONTROL, f"status {status}")
    elif status in _ON_THE_WAY:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif status >= 500 and Facet.BODY not in exchange.facets:
        yield Vacuous(Reason.FACETS, f"status {status}, and no body that might say why")
    elif not 400 <= status < 500 and not carries_error(exchange) and not explains_itself(exchange):
        yield at_status(exchange, expected)


_NOT_OFFERED = re.compile(
    r"(?:\bnot|n't)[ _](?:yet[ _]|currently[ _]|been[ _]|be[ _])*"
    r"(?:supported|support|allowed|available|enabled|implemented|permitted|offered)\b"
    r"|\bunsupported|\bunavailable|\bdisabled|\bunimplemented",
    re.I,
)
"""What a refusal says that is of the feature, and not of how it is asked for."""


def not_offered(exchange: Exchange, terms: Terms) -> bool:
    """What is refused is a field as such: its status says so, or the error does and no request with it was accepted.

    That no other request with it was accepted is what tells it from "more than 64 tools are not supported".
    """
    if exchange.status is None or Facet.BODY not in exchange.facets:
        return False
    refused = refusal_of(exchange, terms.dialect)
    if refused is None or not refused.fields:
        return False
    if exchange.status in _NO_SUCH_THING:
        return True
    error = error_object(exchange)
    said = " ".join(str(error.get(key) or "") for key in ("message", "code"))
    return _NOT_OFFERED.search(said) is not None and not set(refused.fields) & terms.facts.accepted_fields


def _names_a_part(exchange: Exchange, words: Iterable[str]) -> bool:
    """The message names something within a field: first of all, in quotes, or as the end of a path."""
    chat = exchange.request.chat
    parts = [word for word in words if chat is None or word not in chat.body]
    return any(re.search(rf"(?:^|['\"`.\[/]){re.escape(word)}\b", _said(exchange)) for word in parts)


def broke_down(exchange: Exchange, terms: Terms) -> bool:
    """A server error, other than the 501 of a server that says what it does not offer (RFC 9110, section 15.6.2)."""
    status = exchange.status or 0
    return status >= 500 and not (status == _NOT_IMPLEMENTED and refusal_of(exchange, terms.dialect) is not None)


def must_accept(exchange: Exchange, terms: Terms, words: Iterable[str], expected: str) -> Verdicts:
    """Judge an answer to a valid request: a 4xx whose error names one of `words` is a finding.

    Any other refusal is about something else, and a 5xx may be about anything: both are vacuous. So is the refusal of
    the field as such, however it words it.
    """
    status = exchange.status or 0
    words = tuple(words)
    if not_offered(exchange, terms) and not _names_a_part(exchange, words):
        yield Vacuous(Reason.REFUSED, _said(exchange))
    elif status in _ABOUT_SOMETHING_ELSE:
        yield Vacuous(Reason.NO_CONTROL, f"status {status}")
    elif status >= 500:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif 400 <= status < 500:
        message = _said(exchange)
        if names(exchange, words):
            observed = f"status {status}: {message}"
            yield Finding(exchange.id, at_status(exchange, expected).part, expected, observed)
        else:
            yield Vacuous(Reason.REFUSED, message)


def _said(exchange: Exchange) -> str:
    return str(error_object(exchange).get("message") or "")[:120]


def declined(exchange: Exchange, terms: Terms) -> Vacuous | None:
    """Why a request for a feature got no completion to judge, or None where it got one."""
    if exchange.answer is not None and not carries_error(exchange):
        return None
    status = exchange.status or 0
    if (400 <= status < 500 and status not in _ABOUT_SOMETHING_ELSE) or not_offered(exchange, terms):
        return Vacuous(Reason.REFUSED, f"status {status}")
    return Vacuous(Reason.TRANSPORT, f"status {status}")
