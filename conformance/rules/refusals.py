"""Whether a request was turned down, and whether what turned it down names a field: status and error object alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from conformance.rules.base import Finding, Reason, Vacuous, Verdicts, at_status
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json

_ABOUT_SOMETHING_ELSE = frozenset({401, 402, 403, 404, 407, 408, 429})
"""Credentials, credit, routes and rates: they say nothing of the body."""
_ON_THE_WAY = frozenset({502, 503, 504})


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


def must_accept(exchange: Exchange, words: Iterable[str], expected: str) -> Verdicts:
    """Judge an answer to a valid request: a 4xx whose error names one of `words` is a finding.

    Any other refusal is about something else, and a 5xx may be about anything: both are vacuous.
    """
    status = exchange.status or 0
    if status in _ABOUT_SOMETHING_ELSE:
        yield Vacuous(Reason.NO_CONTROL, f"status {status}")
    elif status >= 500:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif 400 <= status < 500:
        message = str(error_object(exchange).get("message", ""))[:120]
        if names(exchange, words):
            observed = f"status {status}: {message}"
            yield Finding(exchange.id, at_status(exchange, expected).part, expected, observed)
        else:
            yield Vacuous(Reason.REFUSED, message)


def declined(exchange: Exchange) -> Vacuous | None:
    """Why a request for a feature got no completion to judge, or None where it got one."""
    if exchange.answer is not None and not carries_error(exchange):
        return None
    status = exchange.status or 0
    if 400 <= status < 500 and status not in _ABOUT_SOMETHING_ELSE:
        return Vacuous(Reason.REFUSED, f"status {status}")
    return Vacuous(Reason.TRANSPORT, f"status {status}")
