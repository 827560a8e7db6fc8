"""From a refusal to an error answer, in the dialect's words and shape."""

from __future__ import annotations

from conformance.reference.access import methods
from conformance.reference.headers import request_id
from conformance.reference.stages import Context, ErrorReply, Refusal
from conformance.wire.strict_json import Json

RETRY_AFTER_SECONDS = 1
"""What a 429 advises."""


def envelope(refusal: Refusal, context: Context) -> dict[str, Json]:
    """The value of the answer's `error` key: message, type, param and code, and what the dialect adds."""
    dialect, form = context.dialect, context.dialect.error(refusal.kind)
    code = form.codes[0] if form.codes else None
    if code is None and dialect.convention("error.code_nullable") is False:
        code = refusal.kind
    error: dict[str, Json] = {
        "message": refusal.message,
        "type": form.types[0] if form.types else "invalid_request_error",
        "param": refusal.param,
        "code": code,
    }
    if dialect.convention("error.doc_url"):
        error["doc_url"] = f"{dialect.convention('error.doc_url')}{code}"
    if dialect.convention("error.request_id"):
        error["request_id"] = request_id(context)
    if form.statuses[0] == 429 and dialect.convention("error.retry_fields"):
        error["retry_after"] = RETRY_AFTER_SECONDS
        error["retry_strategy"] = {
            "type": "exponential_backoff",
            "initial_delay_ms": 1000,
            "max_delay_ms": 30_000,
            "multiplier": 2,
            "jitter": True,
        }
    return error


def error_reply(refusal: Refusal, context: Context) -> ErrorReply:
    """Status, body and extra headers of the answer that turns a request down."""
    status = context.dialect.error(refusal.kind).statuses[0]
    headers: tuple[tuple[str, str], ...] = ()
    if status == 429:
        headers = (("retry-after", str(RETRY_AFTER_SECONDS)),)
    elif status == 401:
        headers = (("www-authenticate", "Bearer"),)
    elif status == 405:
        headers = (("allow", ", ".join(methods(context.request.route, context.dialect))),)
    return ErrorReply(status, {"error": envelope(refusal, context)}, headers)
