"""The error envelope: its form, its words, and that its status tells clients the right thing."""

from __future__ import annotations

import re
from collections.abc import Callable

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_header,
    at_status,
    rule,
)
from conformance.rules.checks import NOT_ABOUT_THE_BODY, lone
from conformance.rules.conditions import ERROR, is_chat, is_error, is_unstreamed_success
from conformance.rules.refusals import error_object
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, is_integer, is_number, kind, show
from conformance.wire.traces import Single

_BODY = (Facet.STATUS, Facet.BODY)
_KEYS = (Facet.STATUS, Facet.BODY, Facet.KEYS_COMPLETE)
_GATEWAY = frozenset({502, 503, 504})
"""A gateway in front may have answered: its page says nothing of the endpoint's envelope."""


def _has_envelope(trace: Single, terms: Terms) -> bool:
    return is_error(trace.exchange) and bool(error_object(trace.exchange))


def _has(key: str) -> Callable[[Single, Terms], bool]:
    """Envelopes with this member."""
    return lambda trace, terms: _has_envelope(trace, terms) and key in error_object(trace.exchange)


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and bool(value.strip())


@rule(
    "errors.envelope.is_a_json_object",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS, Facet.BODY_BYTES),
    when=lambda trace, terms: is_error(trace.exchange) and trace.exchange.request.method != "HEAD",
)
def envelope_is_a_json_object(trace: Single, terms: Terms) -> Verdicts:
    """The body of an error answer is a JSON object."""
    exchange = trace.exchange
    if exchange.document.ok and isinstance(exchange.document.value, dict):
        return
    if exchange.status in _GATEWAY and not exchange.document.ok:
        yield Vacuous(Reason.TRANSPORT, "a gateway may have answered")
        return
    shown = exchange.body[:60].decode("utf-8", "replace")
    observed = kind(exchange.document.value) if exchange.document.ok else (show(shown) if shown else "an empty body")
    yield at_body(exchange, "", "a JSON object", observed)


@rule(
    "errors.envelope.has_an_error_object",
    on=Single,
    reads=_KEYS,
    when=lambda trace, terms: (
        is_error(trace.exchange)
        and trace.exchange.document.ok
        and isinstance(trace.exchange.document.value, dict)
        and not (trace.exchange.status in _GATEWAY and "error" not in trace.exchange.document.value)
    ),
)
def envelope_has_an_error_object(trace: Single, terms: Terms) -> Verdicts:
    """The JSON object of an error answer has an object as error."""
    body = trace.exchange.document.value
    if "error" not in body:
        keys = ", ".join(sorted(body)[:6])
        yield at_body(
            trace.exchange, "/error", "an object", f"no key error among {keys}" if keys else "an empty object"
        )
    elif not isinstance(body["error"], dict):
        yield at_body(trace.exchange, "/error", "an object", show(body["error"], 80))


@rule(
    "errors.envelope.content_type",
    on=Single,
    reads=(Facet.STATUS, Facet.BODY, Facet.CONTENT_TYPE),
    when=_has_envelope,
)
def envelope_content_type(trace: Single, terms: Terms) -> Verdicts:
    """An error envelope is declared as JSON."""
    found = trace.exchange.media_type
    if found is None or not (found == "application/json" or found.endswith("+json")):
        yield at_header(trace.exchange, "content-type", "application/json")


@rule("errors.message.is_text", on=Single, reads=_KEYS, when=_has_envelope)
def message_is_text(trace: Single, terms: Terms) -> Verdicts:
    """The message is a non-empty string."""
    yield from _text_member(trace.exchange, "message")


@rule("errors.type.is_text", on=Single, reads=_KEYS, when=_has_envelope)
def type_is_text(trace: Single, terms: Terms) -> Verdicts:
    """The type is a non-empty string."""
    yield from _text_member(trace.exchange, "type")


def _text_member(exchange: Exchange, key: str) -> Verdicts:
    error = error_object(exchange)
    if not _is_text(error.get(key)):
        observed = show(error[key], 80) if key in error else "absent"
        yield at_body(exchange, f"/error/{key}", "a non-empty string", observed)


@rule("errors.code.is_present", on=Single, reads=_KEYS, when=_has_envelope)
def code_is_present(trace: Single, terms: Terms) -> Verdicts:
    """The envelope has the key code."""
    if "code" not in error_object(trace.exchange):
        yield at_body(trace.exchange, "/error/code", "the key code", "absent")


@rule("errors.code.is_no_number", on=Single, reads=_BODY, when=_has("code"))
def code_is_no_number(trace: Single, terms: Terms) -> Verdicts:
    """The code is a string or null."""
    code = error_object(trace.exchange)["code"]
    if code is not None and not isinstance(code, str):
        yield at_body(trace.exchange, "/error/code", "a string or null", show(code, 80))


@rule("errors.code.is_not_null", on=Single, reads=_KEYS, when=_has("code"))
def code_is_not_null(trace: Single, terms: Terms) -> Verdicts:
    """The code is neither null nor empty."""
    code = error_object(trace.exchange)["code"]
    if code is None or code == "":
        yield at_body(trace.exchange, "/error/code", "a code that clients can switch on", show(code))


@rule("errors.param.is_present", on=Single, reads=_KEYS, when=_has_envelope)
def param_is_present(trace: Single, terms: Terms) -> Verdicts:
    """The envelope has the key param."""
    if "param" not in error_object(trace.exchange):
        yield at_body(trace.exchange, "/error/param", "the key param", "absent")


@rule("errors.param.is_text_or_null", on=Single, reads=_BODY, when=_has("param"))
def param_is_text_or_null(trace: Single, terms: Terms) -> Verdicts:
    """The param is a string or null."""
    param = error_object(trace.exchange)["param"]
    if param is not None and not isinstance(param, str):
        yield at_body(trace.exchange, "/error/param", "a string or null", show(param, 80))


@rule("errors.doc_url.ends_in_the_code", on=Single, reads=_KEYS, when=_has_envelope)
def doc_url_ends_in_the_code(trace: Single, terms: Terms) -> Verdicts:
    """The doc_url is a URL, and it ends in the code."""
    error = error_object(trace.exchange)
    code, found = error.get("code"), error.get("doc_url")
    if not _is_text(code):
        yield NOT_APPLICABLE
    elif not isinstance(found, str) or not re.match(r"https?://", found) or not found.endswith(str(code)):
        observed = show(found) if "doc_url" in error else "absent"
        yield at_body(trace.exchange, "/error/doc_url", f"a URL that ends in {code}", observed)


_REQUEST_ID = re.compile(r"req_[0-9A-HJKMNP-TV-Z]{24,26}")


@rule("errors.request_id.is_well_formed", on=Single, reads=_KEYS, values=("request_id",), when=_has_envelope)
def request_id_is_well_formed(trace: Single, terms: Terms) -> Verdicts:
    """The request_id is req_ and 24 to 26 characters of Crockford's base 32."""
    error = error_object(trace.exchange)
    found = error.get("request_id")
    if not isinstance(found, str) or not _REQUEST_ID.fullmatch(found):
        observed = show(found, 80) if "request_id" in error else "absent"
        yield at_body(trace.exchange, "/error/request_id", "req_ and a ULID", observed)


@rule(
    "errors.request_id.equals_the_header",
    on=Single,
    reads=(*_BODY, Facet.HEADERS),
    values=("request_id",),
    when=lambda trace, terms: isinstance(error_object(trace.exchange).get("request_id"), str),
)
def request_id_equals_the_header(trace: Single, terms: Terms) -> Verdicts:
    """The request_id of the body is the one of the header."""
    name = str(terms.dialect.convention("request_id.header") or "x-request-id")
    found = error_object(trace.exchange)["request_id"]
    if trace.exchange.header(name) != found:
        yield at_header(trace.exchange, name, f"{found}, as error.request_id says")


def _limited(trace: Single, terms: Terms) -> bool:
    return trace.exchange.status == 429 and bool(error_object(trace.exchange))


@rule("errors.rate_limit.says_when_to_retry", on=Single, reads=_KEYS, when=_limited)
def rate_limit_says_when_to_retry(trace: Single, terms: Terms) -> Verdicts:
    """The envelope of a 429 has retry_after, an integer of seconds."""
    error = error_object(trace.exchange)
    found = error.get("retry_after")
    if not is_integer(found) or found < 0:
        observed = show(found, 80) if "retry_after" in error else "absent"
        yield at_body(trace.exchange, "/error/retry_after", "an integer of seconds", observed)


_STRATEGY: dict[str, Callable[[Json], bool]] = {
    "type": _is_text,
    "initial_delay_ms": is_number,
    "max_delay_ms": is_number,
    "multiplier": is_number,
    "jitter": lambda value: isinstance(value, bool) or is_number(value),
}


@rule("errors.rate_limit.has_a_strategy", on=Single, reads=_KEYS, when=_limited)
def rate_limit_has_a_strategy(trace: Single, terms: Terms) -> Verdicts:
    """The envelope of a 429 has retry_strategy with its five members."""
    found = error_object(trace.exchange).get("retry_strategy")
    if not isinstance(found, dict):
        yield at_body(trace.exchange, "/error/retry_strategy", "an object", show(found, 80))
        return
    for key, test in _STRATEGY.items():
        if not test(found.get(key)):
            yield at_body(
                trace.exchange, f"/error/retry_strategy/{key}", "as documented", show(found.get(key, "(absent)"), 80)
            )


@rule(
    "errors.rate_limit.mirrors_the_header",
    on=Single,
    reads=(*_BODY, Facet.HEADERS),
    when=lambda trace, terms: _limited(trace, terms) and is_integer(error_object(trace.exchange).get("retry_after")),
)
def rate_limit_mirrors_the_header(trace: Single, terms: Terms) -> Verdicts:
    """The Retry-After header says what retry_after says."""
    expected, header = str(error_object(trace.exchange)["retry_after"]), trace.exchange.header("retry-after")
    if header is None or header.strip() != expected:
        yield at_header(trace.exchange, "retry-after", f"{expected}, as error.retry_after says")


@rule(
    "errors.success_status.carries_no_error",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS, Facet.BODY),
    when=lambda trace, terms: (
        is_unstreamed_success(trace.exchange)
        or (is_chat(trace.exchange) and trace.exchange.status == 200 and not trace.exchange.is_event_stream)
    ),
)
def success_status_carries_no_error(trace: Single, terms: Terms) -> Verdicts:
    """A 2xx body without choices is no error envelope."""
    body = trace.exchange.document.value if trace.exchange.document.ok else None
    if isinstance(body, dict) and body.get("error") and not body.get("choices"):
        shown = show(body["error"], 100)
        yield Finding(trace.exchange.id, at_status(trace.exchange, "").part, "a 4xx or 5xx status for an error", shown)


def _fault_of_client(exchange: Exchange, terms: Terms) -> str | None:
    """What is certainly wrong with a request to the chat route that is a JSON object, in words, or None."""
    blemish = lone(exchange, terms)
    return None if blemish is None else f"{blemish.path}: {blemish.kind.replace('_', ' ')}"


@rule(
    "errors.client_fault.is_4xx",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS),
    when=lambda trace, terms: is_error(trace.exchange) and _fault_of_client(trace.exchange, terms) is not None,
)
def client_fault_is_4xx(trace: Single, terms: Terms) -> Verdicts:
    """A request with a certain fault is not answered by 5xx, 408 or 409, which clients send again."""
    status = trace.exchange.status or 0
    if status in _GATEWAY or status in NOT_ABOUT_THE_BODY:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif status >= 500 or status in (408, 409):
        yield at_status(trace.exchange, f"a 4xx that is not sent again ({_fault_of_client(trace.exchange, terms)})")


@rule(
    "errors.bad_request.is_not_422",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS),
    when=lambda trace, terms: is_chat(trace.exchange) and trace.exchange.status in (400, 422),
)
def bad_request_is_not_422(trace: Single, terms: Terms) -> Verdicts:
    """The status of a refused body is 400, which the official clients raise as BadRequestError."""
    if trace.exchange.status == 422:
        yield at_status(trace.exchange, "status 400")


_LEAK = re.compile(
    r"Traceback \(most recent call last\)|File \"[^\"]*\", line \d+|\bat [\w.$<>]+\([\w./\\]+\.(?:java|kt|js|ts|cs):\d+"
    r"|goroutine \d+ \[|thread '[^']+' panicked at"
)


@rule(
    "errors.message.leaks_no_traceback",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: is_error(trace.exchange) and bool(trace.exchange.body),
)
def message_leaks_no_traceback(trace: Single, terms: Terms) -> Verdicts:
    """No part of an error answer is a traceback."""
    found = _LEAK.search(trace.exchange.body[:100_000].decode("utf-8", "replace").replace('\\"', '"'))
    if found:
        yield at_body(trace.exchange, "/error/message", "no traceback", show(found.group(0), 80))


@rule("errors.members.are_not_the_word_none", on=Single, reads=_BODY, when=ERROR)
def members_are_not_the_word_none(trace: Single, terms: Terms) -> Verdicts:
    """Neither type nor param nor code is the spelled-out null of some language."""
    error = error_object(trace.exchange)
    if not error:
        yield NOT_APPLICABLE
    for key in ("type", "param", "code"):
        if error.get(key) in ("None", "null", "undefined", "nil", "<nil>"):
            yield at_body(trace.exchange, f"/error/{key}", "null, or a word that says something", show(error[key]))
