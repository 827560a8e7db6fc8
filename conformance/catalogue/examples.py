"""The catalogue's executable examples: a shorthand for exchanges, so that `explain` shows them and tests judge them.

An example has `right` (a near miss: close to the violation, and fine) and `wrong`. Each is one exchange or a list.
Keys of an exchange, all optional:

- `request`: fields over the body `{"model": "example", "messages": [user "Hi"]}`; `request_text`: a raw body instead;
- `method`, `path`, `auth`, `request_headers` (mapping);
- `status` (200); `headers`: over the defaults; `end` (complete); `started` (Unix time), `times` (piece arrival, ms);
- the answer, one of:
  `json`: the whole body · `text`: raw body · `error`: over a well-formed error object ·
  `message`: over `{"role": "assistant", "content": "Hello.", "refusal": null}`, in a whole completion ·
  `choice`: over choice 0 · `choices`: all of them, each over a whole choice · `top`: over the top level of the body ·
  `deltas`: the deltas of choice 0 in a whole stream · `chunks`: each over a whole chunk ·
  `events`: payloads as they stand (a mapping is dumped as JSON) · `sse`: the raw event stream ·
  `sse_base64`: the same as base64, for bytes that are no text;
- for streams: `finish_reason` (stop; null for none), `done` (true), `usage_chunk` (a usage object in a last chunk).

The value `<absent>` removes a key.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from conformance.wire import strict_json
from conformance.wire.exchange import End, Exchange, Request
from conformance.wire.traces import (
    Contrast,
    Conversation,
    Ladder,
    Lifecycle,
    Parity,
    Relation,
    Repeat,
    Run,
    Single,
    Trace,
)

ABSENT = "<absent>"
_CREATED = 1_760_000_000
_STREAM_KEYS = ("deltas", "chunks", "events", "sse", "sse_base64")


def _over(base: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    merged = {**base, **(changes or {})}
    return {key: value for key, value in merged.items() if value != ABSENT}


def _usage(completion: int = 3) -> dict[str, int]:
    return {"prompt_tokens": 9, "completion_tokens": completion, "total_tokens": 9 + completion}


def _choice(index: int, changes: Mapping[str, Any], message: Mapping[str, Any] | None) -> dict[str, Any]:
    said = _over({"role": "assistant", "content": "Hello.", "refusal": None}, message)
    finish = "tool_calls" if said.get("tool_calls") else "stop"
    return _over({"index": index, "message": said, "logprobs": None, "finish_reason": finish}, changes)


def _completion(spec: Mapping[str, Any], number: int) -> dict[str, Any]:
    choices = (
        [
            _choice(index, {k: v for k, v in item.items() if k != "message"}, item.get("message"))
            if isinstance(item, Mapping)
            else item
            for index, item in enumerate(spec["choices"])
        ]
        if "choices" in spec
        else [_choice(0, spec.get("choice", {}), spec.get("message"))]
    )
    body = {
        "id": f"chatcmpl-example{number}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": "example",
        "choices": choices,
        "usage": _usage(),
    }
    return _over(body, spec.get("top"))


def _payloads(spec: Mapping[str, Any], number: int) -> list[Any]:
    base = {
        "id": f"chatcmpl-example{number}",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": "example",
        "choices": [],
    }
    if "chunks" in spec:
        payloads: list[Any] = [_over(base, chunk) for chunk in spec["chunks"]]
    else:
        deltas = [{"index": 0, "delta": delta, "finish_reason": None} for delta in spec["deltas"]]
        calls = any(isinstance(delta, Mapping) and delta.get("tool_calls") for delta in spec["deltas"])
        finish = spec.get("finish_reason", "tool_calls" if calls else "stop")
        if finish is not None:
            deltas.append({"index": 0, "delta": {}, "finish_reason": finish})
        payloads = [_over(_over(base, {"choices": [choice]}), spec.get("top")) for choice in deltas]
    if "usage_chunk" in spec:
        payloads.append(_over(base, {"choices": [], "usage": spec["usage_chunk"]}))
    if spec.get("done", True):
        payloads.append("[DONE]")
    return payloads


def _body(spec: Mapping[str, Any], number: int) -> bytes:
    if "sse_base64" in spec:
        return base64.b64decode(spec["sse_base64"])
    if "sse" in spec or "text" in spec:
        return str(spec.get("sse", spec.get("text"))).encode("utf-8", "surrogatepass")
    if any(key in spec for key in _STREAM_KEYS):
        payloads = spec["events"] if "events" in spec else _payloads(spec, number)
        return b"".join(
            b"data: " + (item.encode() if isinstance(item, str) else strict_json.dump(item)) + b"\n\n"
            for item in payloads
        )
    if "json" in spec:
        return strict_json.dump(spec["json"])
    if "error" in spec:
        base = {"message": "It is not valid.", "type": "invalid_request_error", "param": None, "code": None}
        return strict_json.dump({"error": _over(base, spec["error"])})
    return strict_json.dump(_completion(spec, number))


def exchange(spec: Mapping[str, Any], number: int = 1) -> Exchange:
    """One exchange of an example; `number` makes its id."""
    streamed = any(key in spec for key in _STREAM_KEYS)
    request = _over({"model": "example", "messages": [{"role": "user", "content": "Hi"}]}, spec.get("request"))
    if streamed and "stream" not in request:
        request["stream"] = True
    method = spec.get("method", "POST")
    sent = (
        spec["request_text"].encode()
        if "request_text" in spec
        else strict_json.dump(request)
        if method == "POST"
        else None
    )
    body = _body(spec, number)
    headers = _over(
        {"content-type": "text/event-stream" if streamed else "application/json", "x-request-id": f"req_{number}"},
        spec.get("headers"),
    )
    times = spec.get("times", [5.0])
    size, rest = divmod(len(body), len(times))
    pieces = tuple((float(t), size + (rest if i == len(times) - 1 else 0)) for i, t in enumerate(times))
    return Exchange(
        id=f"e{number}",
        request=Request(
            method,
            spec.get("path", "/chat/completions"),
            tuple((spec.get("request_headers") or {}).items()),
            sent,
            spec.get("auth", "key"),
        ),
        status=spec.get("status", 200),
        headers=tuple((name, str(value)) for name, value in headers.items()),
        body=body,
        pieces=pieces,
        end=End(spec.get("end", "complete")),
        started=float(spec.get("started", _CREATED)),
    )


def trace(example: Mapping[str, Any], side: str) -> Trace:
    """The trace that `right` or `wrong` of an example describes, in the example's relation (single by default)."""
    found = example[side]
    specs = found if isinstance(found, list) else [found]
    exchanges = tuple(exchange(spec, number) for number, spec in enumerate(specs, 1))
    relation = Relation(example.get("relation", "single"))
    about = example.get("about", "")
    simple: dict[Relation, type[Trace]] = {
        Relation.SINGLE: Single,
        Relation.CONVERSATION: Conversation,
        Relation.PARITY: Parity,
        Relation.REPEAT: Repeat,
        Relation.RUN: Run,
    }
    if relation in simple:
        return simple[relation](exchanges)
    if relation is Relation.CONTRAST:
        return Contrast(exchanges, about)
    if relation is Relation.LADDER:
        return Ladder(exchanges, about, tuple(spec["rung"] for spec in specs))
    return Lifecycle(exchanges, about)
