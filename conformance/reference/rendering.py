"""From a completion to JSON: one body, or the chunks of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.reference.headers import has_idempotency_key
from conformance.reference.stages import Chosen, Completion, Context, Token
from conformance.reference.tokens import alternatives, split, tokens_of
from conformance.wire.answer import MISSING
from conformance.wire.chat_request import ChatRequest
from conformance.wire.event_stream import DONE
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json, is_integer

FINGERPRINT = "fp_reference01"
_PRICES = {"input": 75e-6, "output": 450e-6, "reasoning": 450e-6, "cached_input": 15e-6}
"""Credits per token."""


def usage(completion: Completion, context: Context) -> dict[str, Json]:
    """The token counts, in the dialect's arithmetic."""
    prompt, made, reasoned = completion.prompt_tokens, completion.completion_tokens, completion.reasoning_tokens
    if context.dialect.convention("usage.reasoning") == "separate":
        found: dict[str, Json] = {
            "prompt_tokens": prompt,
            "completion_tokens": made,
            "reasoning_tokens": reasoned,
            "total_tokens": prompt + made + reasoned,
        }
    else:
        found = {
            "prompt_tokens": prompt,
            "completion_tokens": made,
            "total_tokens": prompt + made,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoned,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
    if context.dialect.convention("usage.credits"):
        counts = {"input": prompt, "output": made, "reasoning": reasoned, "cached_input": 0}
        lines = {f"{name}_credits": round(counts[name] * price, 6) for name, price in _PRICES.items()}
        found["credits_charged"] = round(sum(lines.values()), 6)
        found["breakdown"] = {"model": completion.model, "pricing_version": "2026-05-15", **lines}
    return found


def entry(token: Token, top: int) -> dict[str, Json]:
    """One entry of `logprobs.content`, with the `top` likeliest alternatives."""
    return {
        **_logprob(token.data, token.logprob),
        "top_logprobs": [_logprob(data, value) for data, value in alternatives(token, top)],
    }


def _logprob(data: bytes, value: float) -> dict[str, Json]:
    return {"token": data.decode("utf-8", "backslashreplace"), "logprob": value, "bytes": list(data)}


def _logprobs(
    demand: ChatRequest, tokens: tuple[Token, ...] | None, refused: tuple[Token, ...] | None = None
) -> dict[str, Json] | None:
    """The `logprobs` object for tokens of the content and of a refusal; None where neither is there, or not asked."""
    if not demand.wants_logprobs or (tokens is None and refused is None):
        return None
    asked = demand.body.get("top_logprobs")
    top = max(0, min(asked, 20)) if is_integer(asked) else 0
    sides = {"content": tokens, "refusal": refused}
    return {side: None if some is None else [entry(token, top) for token in some] for side, some in sides.items()}


def _refusal_tokens(choice: Chosen) -> tuple[Token, ...] | None:
    return None if choice.refusal is None else tokens_of(split(choice.refusal))


def _head(completion: Completion, context: Context, kind: str) -> dict[str, Json]:
    head: dict[str, Json] = {
        "id": completion.id,
        "object": kind,
        "created": completion.created,
        "model": completion.model,
    }
    match context.dialect.convention("answer.status"), context.dialect.convention("chunk.always_keys"):
        case True, _:
            return head
        case _, keys if keys:
            return head | {"service_tier": None, "system_fingerprint": FINGERPRINT}
        case _:
            return head | {"service_tier": "default", "system_fingerprint": FINGERPRINT}


def _says_refusal(context: Context) -> bool:
    return bool(context.dialect.convention("message.refusal_key") == "always")


def body(completion: Completion, context: Context) -> dict[str, Json]:
    """The unstreamed answer."""
    demand = ChatRequest(context.demand)
    made = _head(completion, context, "chat.completion")
    if context.dialect.convention("answer.status"):
        made["status"] = "completed"
    made["choices"] = [_choice(choice, demand, context) for choice in completion.choices]
    made["usage"] = usage(completion, context)
    return made


def as_read(made: dict[str, Json], stream: bytes, context: Context) -> dict[str, Json]:
    """The unstreamed answer with what a client reads from the stream that was sent in its place."""
    answer = Exchange("", context.request, 200, (("content-type", "text/event-stream"),), stream).answer
    if answer is None:
        return made
    read = {"id": answer.id, "created": answer.created, "model": answer.model, "usage": answer.usage}
    choices = []
    for choice in answer.choices:
        before = next((item for item in made["choices"] if item["index"] == choice.index), made["choices"][0])
        message = {**before["message"], "content": choice.content if choice.content is not MISSING else None}
        if choice.calls:
            message["tool_calls"] = [
                {
                    "id": call.id or None,
                    "type": call.type or None,
                    "function": {"name": call.name or None, "arguments": call.arguments or ""},
                }
                for call in choice.calls
            ]
        choices.append(
            {**before, "index": choice.index, "message": message, "finish_reason": choice.finish_reason or None}
        )
    return {
        **made,
        **{key: value for key, value in read.items() if value is not MISSING and value is not None},
        "choices": choices,
    }


def _choice(choice: Chosen, demand: ChatRequest, context: Context) -> dict[str, Json]:
    message: dict[str, Json] = {"role": "assistant", "content": choice.content}
    if _says_refusal(context) or choice.refusal is not None:
        message |= {"refusal": choice.refusal, "annotations": []}
    if choice.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.calls
        ]
    logprobs = _logprobs(demand, choice.tokens, _refusal_tokens(choice))
    made: dict[str, Json] = {"index": choice.index, "message": message, "finish_reason": choice.finish_reason}
    if logprobs is not None or context.dialect.convention("choice.logprobs_key") == "always":
        made["logprobs"] = logprobs
    return made


def chunks(completion: Completion, context: Context) -> list[dict[str, Json] | str]:
    """The payloads of the streamed answer, the sentinel last."""
    demand = ChatRequest(context.demand)
    head = _head(completion, context, "chat.completion.chunk")
    style = context.dialect.convention("usage.in_stream")
    extra = style == "extra_chunk" and demand.include_usage
    filler: dict[str, Json] = (
        {"usage": None} if extra and context.dialect.convention("usage.null_in_other_chunks") else {}
    )
    made: list[dict[str, Json] | str] = []
    if has_idempotency_key(context):
        made.append({"warning": {"code": "idempotency_key_ignored", "message": "Streams are not replayed."}})
    for choice in completion.choices:
        for delta, logprobs, finish in _deltas(choice, demand, context):
            part: dict[str, Json] = {"index": choice.index, "delta": delta, "finish_reason": finish}
            if logprobs is not None or context.dialect.convention("choice.logprobs_key") == "always":
                part["logprobs"] = logprobs
            made.append({**head, "choices": [part], **filler})
    if style == "finish_chunk" and isinstance(made[-1], dict):
        made[-1]["usage"] = usage(completion, context)
    if extra:
        made.append({**head, "choices": [], "usage": usage(completion, context)})
    made.append(DONE)
    return made


_Delta = tuple[dict[str, Json], Any, str | None]


def _deltas(choice: Chosen, demand: ChatRequest, context: Context) -> Iterator[_Delta]:
    first: dict[str, Json] = {"role": "assistant", "content": None if choice.tokens is None else ""}
    if _says_refusal(context):
        first["refusal"] = None
    yield first, None, None
    for tokens in _groups(choice.tokens or ()):
        text = b"".join(token.data for token in tokens).decode("utf-8", "replace")
        yield {"content": text}, _logprobs(demand, tokens), None
    for tokens in _groups(_refusal_tokens(choice) or ()):
        text = b"".join(token.data for token in tokens).decode("utf-8", "replace")
        yield {"refusal": text}, _logprobs(demand, None, tokens), None
    for index, call in enumerate(choice.calls):
        start = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [start]}, None, None
        for fragment in call.fragments:
            yield {"tool_calls": [{"index": index, "function": {"arguments": fragment}}]}, None, None
    yield {}, None, choice.finish_reason


def _groups(tokens: tuple[Token, ...]) -> Iterator[tuple[Token, ...]]:
    """The tokens in groups that are whole characters: a delta is text, a token need not be."""
    held: list[Token] = []
    for token in tokens:
        held.append(token)
        try:
            b"".join(item.data for item in held).decode("utf-8")
        except UnicodeDecodeError:
            continue
        yield tuple(held)
        held = []
    if held:
        yield tuple(held)
