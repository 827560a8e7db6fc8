"""Response headers that depend on the dialect alone: request ids, rate limits, versions; and identifiers."""

from __future__ import annotations

import hashlib

from conformance.reference.stages import Context
from conformance.wire.exchange import Headers, header_values

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_REQUESTS_LIMIT = 10_000
_TOKENS_LIMIT = 2_000_000
_MINUTE = 60


def _digits(seed: str, alphabet: str, length: int) -> str:
    number = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=32).digest(), "big")
    base, made = len(alphabet), []
    for _ in range(length):
        number, digit = divmod(number, base)
        made.append(alphabet[digit])
    return "".join(made)


def ulid(context: Context, salt: str) -> str:
    """A ULID (26 Crockford base32 characters): 48 bits of milliseconds, then 80 bits from the request's number."""
    milliseconds, head = context.now * 1000 + context.serial % 1000, []
    for _ in range(10):
        milliseconds, digit = divmod(milliseconds, 32)
        head.append(_CROCKFORD[digit])
    return "".join(reversed(head)) + _digits(f"{salt}:{context.now}:{context.serial}", _CROCKFORD, 16)


def token(context: Context, salt: str, length: int) -> str:
    """Letters and digits that differ for each request of one endpoint, and for each salt."""
    return _digits(f"{salt}:{context.now}:{context.serial}", _BASE62, length)


def request_id(context: Context) -> str:
    """The id of this request, the same each time it is asked for."""
    if context.dialect.convention("error.request_id"):
        return f"req_{ulid(context, 'request')}"
    return f"req_{token(context, 'request', 24).lower()}"


def _rate_limits(context: Context) -> Headers:
    left = str(_REQUESTS_LIMIT - 1 - context.serial % 1000)
    tokens_left = str(_TOKENS_LIMIT - 1 - context.serial % 1000)
    match context.dialect.convention("ratelimit.headers"):
        case "durations":
            return (
                ("x-ratelimit-limit-requests", str(_REQUESTS_LIMIT)),
                ("x-ratelimit-remaining-requests", left),
                ("x-ratelimit-reset-requests", "6ms"),
                ("x-ratelimit-limit-tokens", str(_TOKENS_LIMIT)),
                ("x-ratelimit-remaining-tokens", tokens_left),
                ("x-ratelimit-reset-tokens", "1m0s"),
            )
        case "plain":
            return (("x-ratelimit-limit", str(_REQUESTS_LIMIT)), ("x-ratelimit-remaining", left))
        case "epochs":
            reset = str(context.now + _MINUTE)
            general: Headers = (
                ("x-ratelimit-limit", str(_REQUESTS_LIMIT)),
                ("x-ratelimit-remaining", left),
                ("x-ratelimit-reset", reset),
            )
            if not context.request.route.startswith("/chat/"):
                return general
            return (
                *general,
                ("x-ratelimit-tpm-limit", str(_TOKENS_LIMIT)),
                ("x-ratelimit-tpm-remaining", tokens_left),
                ("x-ratelimit-tpm-reset", reset),
            )
        case _:
            return ()


def common(context: Context) -> Headers:
    """The headers of every answer, errors and streams included."""
    found: Headers = ((str(context.dialect.convention("request_id.header")), request_id(context)),)
    version = context.dialect.convention("version.header")
    if version:
        asked = header_values(context.request.headers, version)
        found = (*found, (version, asked[0] if asked and _is_date(asked[0]) else _default_version(context)))
    return (*found, *_rate_limits(context))


def _default_version(context: Context) -> str:
    return str(context.dialect.convention("version.default"))


def _is_date(text: str) -> bool:
    return len(text) == 10 and text[4] == text[7] == "-" and text.replace("-", "").isdigit() and text.isascii()


def stream_only(context: Context) -> Headers:
    """What a streamed answer carries besides: cache control, and what became of an idempotency key."""
    found: Headers = (("cache-control", str(context.dialect.convention("stream.cache_control") or "no-cache")),)
    status = context.dialect.convention("idempotency.status_header")
    if status:
        found = (*found, (status, "ignored_streaming" if has_idempotency_key(context) else "not_set"))
    return found


def has_idempotency_key(context: Context) -> bool:
    """The request names an idempotency key, and the dialect knows such keys."""
    name = context.dialect.convention("idempotency.header")
    return bool(name) and bool(header_values(context.request.headers, name))
