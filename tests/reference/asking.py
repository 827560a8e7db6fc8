"""Requests to the reference endpoint, and its replies as exchanges."""

from __future__ import annotations

from functools import cache
from typing import Any

from conformance.dialects.loader import load
from conformance.dialects.model import Dialect
from conformance.reference.endpoint import KEY, Endpoint
from conformance.reference.stages import Change, Reply
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request

DIALECTS = ("openai", "xerotier", "aurous")
NOW = 1_760_000_000

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}


def tool(name: str = "get_weather", parameters: Any = PARAMETERS, **more: Any) -> dict[str, Any]:
    function = {"name": name, "parameters": parameters, **more}
    return {"type": "function", "function": {key: value for key, value in function.items() if value is not ...}}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


@cache
def dialect(name: str) -> Dialect:
    return load(name)


def make(name: str = "openai", **options: Any) -> Endpoint:
    return Endpoint(dialect(name), **options)


def raw(
    body: bytes | None, method: str = "POST", path: str = "/chat/completions", *headers: tuple[str, str]
) -> Request:
    return Request(method, path, headers or (("authorization", f"Bearer {KEY}"),), body)


def chat(*messages: Any, **fields: Any) -> Request:
    """A chat request; strings become user messages, a field given as `...` is left out."""
    body = {"model": "reference-1", "messages": [user(item) if isinstance(item, str) else item for item in messages]}
    body.update(fields)
    return raw(strict_json.dump({key: value for key, value in body.items() if value is not ...}))


def exchange_of(request: Request, reply: Reply) -> Exchange:
    body = b"".join(data for _, data in reply.pieces)
    return Exchange("e1", request, reply.status, reply.headers, body)


def ask(endpoint: Endpoint, request: Request) -> Exchange:
    return exchange_of(request, endpoint.respond(request, NOW))


def change(name: str, known: dict[str, Change]) -> Change:
    return known[name]
