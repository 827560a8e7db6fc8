"""Legal forms of HTTP and JSON that carry the same values."""

from __future__ import annotations

import json
from dataclasses import replace

from conformance.reference.rewriting import escaped, is_stream, joined, with_body, with_json
from conformance.reference.stages import Context, Refusal, Reply, Stage, variation
from conformance.wire.exchange import header_values
from conformance.wire.strict_json import Json

_JSON = "https://www.rfc-editor.org/rfc/rfc8259"
_HTTP = "https://www.rfc-editor.org/rfc/rfc9110"


@variation("json-escaped", at=Stage.REPLY, legal=f"{_JSON}#section-7: any character may be escaped")
def json_escaped(reply: Reply, context: Context) -> Reply:
    r"""Every character beyond ASCII is sent as a \\uXXXX escape."""
    data = joined(reply)
    return reply if data.isascii() else with_body(reply, escaped(data))


@variation("json-pretty", at=Stage.REPLY, legal=f"{_JSON}#section-2: insignificant whitespace is allowed")
def json_pretty(reply: Reply, context: Context) -> Reply:
    """Unstreamed JSON is indented and ends with a newline."""
    if is_stream(reply):
        return reply
    return with_json(reply, lambda value: value, lambda value: json.dumps(value, indent=2).encode() + b"\n")


def _reordered(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _reordered(value[key]) for key in sorted(value, reverse=True)}
    return [_reordered(item) for item in value] if isinstance(value, list) else value


@variation("json-key-order", at=Stage.REPLY, legal=f"{_JSON}#section-4: an object is an unordered collection")
def json_key_order(reply: Reply, context: Context) -> Reply:
    """Keys come in another order, in bodies and in chunks."""
    return with_json(reply, _reordered)


def _extended(value: Json) -> Json:
    if isinstance(value, dict):
        extended = {key: _extended(item) for key, item in value.items()}
        return extended | {"x_vendor": {"note": "unknown to the protocol", "numbers": [1, 2.5, None]}}
    return [_extended(item) for item in value] if isinstance(value, list) else value


@variation(
    "extra-fields",
    at=Stage.REPLY,
    legal="https://github.com/openai/openai-openapi: no object of the answers excludes additional properties",
)
def extra_fields(reply: Reply, context: Context) -> Reply:
    """An unknown field in every object: top level, choices, messages, deltas, calls, usage, errors, model rows."""
    return with_json(reply, _extended)


@variation("charset-parameter", at=Stage.REPLY, legal=f"{_HTTP}#section-8.3.1: a media type may carry parameters")
def charset_parameter(reply: Reply, context: Context) -> Reply:
    """`application/json; charset=utf-8`."""
    return _typed(reply, "application/json; charset=utf-8")


@variation("content-type-case", at=Stage.REPLY, legal=f"{_HTTP}#section-8.3.1: type and subtype are case-insensitive")
def content_type_case(reply: Reply, context: Context) -> Reply:
    """`Application/JSON`."""
    return _typed(reply, "Application/JSON")


def _typed(reply: Reply, media_type: str) -> Reply:
    if is_stream(reply) or not header_values(reply.headers, "content-type"):
        return reply
    kept = tuple((name, value) for name, value in reply.headers if name.lower() != "content-type")
    return replace(reply, headers=(("content-type", media_type), *kept))


@variation("header-case", at=Stage.REPLY, legal=f"{_HTTP}#section-5.1: field names are case-insensitive")
def header_case(reply: Reply, context: Context) -> Reply:
    """Header names are capitalised."""
    return replace(reply, headers=tuple((name.title(), value) for name, value in reply.headers))


@variation("chunked-json", at=Stage.REPLY, legal="https://www.rfc-editor.org/rfc/rfc9112#section-7.1: chunked coding")
def chunked_json(reply: Reply, context: Context) -> Reply:
    """Unstreamed JSON goes out in several writes without a content length."""
    data = joined(reply)
    if is_stream(reply) or len(data) < 2:
        return reply
    middle = len(data) // 2
    return replace(reply, pieces=((reply.pieces[0][0], data[:middle]), (0.0, data[middle:])))


@variation("more-headers", at=Stage.REPLY, legal=f"{_HTTP}#section-5.1: unknown fields are ignored")
def more_headers(reply: Reply, context: Context) -> Reply:
    """Headers of servers and gateways on the way."""
    return replace(
        reply, headers=(*reply.headers, ("server", "reference"), ("via", "1.1 gateway"), ("x-cache", "MISS"))
    )


@variation(
    "key-not-required",
    at=Stage.REFUSAL,
    legal="a server without authentication promises none: a warning where no document demands a key",
    dialects=("openai",),
)
def key_not_required(refusal: Refusal | None, context: Context) -> Refusal | None:
    """An open server: every key, and none, is let in."""
    return None if refusal is not None and refusal.check.startswith("auth.") else refusal
