"""Exchanges for the tests of the wire, made by hand."""

from __future__ import annotations

import json
from typing import Any

from conformance.wire.exchange import Exchange, Request
from conformance.wire.strict_json import dump


def body_of(content: Any = "Hello.", *, identifier: str = "chatcmpl-1", calls: list[Any] | None = None) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls is not None:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": identifier, "object": "chat.completion", "choices": [choice]}).encode()


def said(*texts: str) -> list[dict[str, str]]:
    """Messages that alternate, the user first."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def chat(name: str, body: bytes | None = None, *, status: int = 200, **fields: Any) -> Exchange:
    """A chat exchange over a fixed base request; `more` holds fields of the Exchange."""
    more = fields.pop("more", {})
    request = {"model": "m", "messages": said("Hi"), **fields}
    answered = body if body is not None else body_of()
    kind = "text/event-stream" if answered.startswith(b"data:") else "application/json"
    made = {"headers": (("content-type", kind),), "body": answered, "status": status, **more}
    return Exchange(id=name, request=Request(body=dump(request)), **made)


def call(method: str, path: str, name: str, status: int = 200, body: bytes = b"{}") -> Exchange:
    return Exchange(id=name, request=Request(method, path), status=status, body=body)


STREAM = b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}]}\n\ndata: [DONE]\n\n'
