"""Legal forms of log probabilities: what is seen in recorded answers, and what the document leaves open."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.reference.payloads import Payloads
from conformance.reference.rewriting import choices, is_stream, with_json
from conformance.reference.stages import Chosen, Completion, Context, Reply, Stage, Token, variation
from conformance.reference.tokens import alternatives
from conformance.wire.chat_request import ChatRequest
from conformance.wire.strict_json import Json

_SCHEMA = "https://github.com/openai/openai-openapi ChatCompletionTokenLogprob"
_SEEN = "seen in recorded answers of the original API"
_DIALECTS = ("openai", "xerotier")
Fields = dict[str, Any]


def _asks(context: Context) -> bool:
    return ChatRequest(context.demand).wants_logprobs


def _over_entries(reply: Reply, context: Context, change: Callable[[Fields], Fields]) -> Reply:
    """Every entry of an answer changed."""
    if not _asks(context) or reply.status != 200:
        return reply

    def over(document: Json) -> Json:
        for choice in choices(document):
            sides = choice.get("logprobs") or {}
            for side in ("content", "refusal"):
                if sides.get(side):
                    sides[side] = [change(entry) for entry in sides[side]]
        return document

    return with_json(reply, over)


@variation(
    "chosen-outside-the-list",
    at=Stage.COMPLETION,
    dialects=_DIALECTS,
    legal=f"{_SCHEMA}.logprob: -9999.0 for a token that is not within the most likely ones; {_SEEN}",
)
def chosen_outside_the_list(completion: Completion, context: Context) -> Completion:
    """One token in five is not among its alternatives: its value is -9999.0, or lower than theirs."""

    def token(place: int, made: Token) -> Token:
        if place % 5 != 4:
            return made
        others = tuple(alternatives(Token(made.data, -0.3), 22)[1:])
        return Token(made.data, -9999.0 if place % 10 == 4 else -19.5, others)

    def choice(made: Chosen) -> Chosen:
        tokens = made.tokens
        return made if tokens is None else replace(made, tokens=tuple(token(*item) for item in enumerate(tokens)))

    return replace(completion, choices=tuple(map(choice, completion.choices))) if _asks(context) else completion


@variation(
    "alternatives-fewer",
    at=Stage.REPLY,
    dialects=("openai",),
    legal=f"{_SCHEMA}.top_logprobs: in rare cases, there may be fewer than requested",
)
def alternatives_fewer(reply: Reply, context: Context) -> Reply:
    """Some positions have one alternative less than asked for."""

    def change(entry: Fields) -> Fields:
        top = entry["top_logprobs"]
        return {**entry, "top_logprobs": top[:-1]} if len(top) > 1 and sum(entry["bytes"]) % 3 == 0 else entry

    return _over_entries(reply, context, change)


@variation(
    "end-token-counted",
    at=Stage.COMPLETION,
    dialects=_DIALECTS,
    legal=f"{_SEEN}: ten tokens counted, nine entries",
)
def end_token_counted(completion: Completion, context: Context) -> Completion:
    """The token that ends an answer is counted, and has no entry."""
    limit = ChatRequest(context.demand).token_limit
    ended = [choice for choice in completion.choices if choice.finish_reason == "stop" and not choice.calls]
    if not _asks(context) or any(limit is not None and len(choice.tokens or ()) >= limit for choice in ended):
        return completion
    return replace(completion, completion_tokens=completion.completion_tokens + len(ended))


@variation(
    "null-sides-beside-calls",
    at=Stage.REPLY,
    dialects=_DIALECTS,
    legal=f"{_SEEN}: an object with two nulls in chunks of tool calls",
)
def null_sides_beside_calls(reply: Reply, context: Context) -> Reply:
    """Beside calls there is an object with nulls instead of null."""
    if not _asks(context) or reply.status != 200:
        return reply

    def over(document: Json) -> Json:
        for choice in choices(document):
            said = choice.get("message") or choice.get("delta") or {}
            if said.get("tool_calls") and choice.get("logprobs") is None:
                choice["logprobs"] = {"content": None, "refusal": None}
        return document

    return with_json(reply, over)


def _is_partial(data: list[int]) -> bool:
    try:
        bytes(data).decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


@variation(
    "parts-of-characters-as-replacement",
    at=Stage.REPLY,
    dialects=_DIALECTS,
    legal=f"{_SCHEMA}.bytes: for characters that are represented by multiple tokens",
)
def parts_as_replacement(reply: Reply, context: Context) -> Reply:
    """The text of a token that is part of a character is U+FFFD; its bytes are true."""
    return _over_entries(
        reply, context, lambda entry: {**entry, "token": "\ufffd"} if _is_partial(entry["bytes"]) else entry
    )


@variation(
    "parts-of-characters-at-once",
    at=Stage.CHUNKS,
    dialects=_DIALECTS,
    legal=f"{_SCHEMA}.bytes: entries are of tokens, and content is of characters",
)
def parts_at_once(chunks: Payloads, context: Context) -> Payloads:
    """The first part of a character is sent at once: an entry beside empty content, and the character after it."""
    if not _asks(context):
        return chunks
    made: Payloads = []
    for chunk in chunks:
        choice = chunk["choices"][0] if isinstance(chunk, dict) and chunk.get("choices") else None
        found = (choice.get("logprobs") or {}).get("content") if choice is not None else None
        if isinstance(chunk, dict) and choice is not None and found and len(found) > 1:
            early = copy.deepcopy(chunk)
            early["choices"][0] |= {
                "delta": {"content": ""},
                "logprobs": {"content": found[:-1], "refusal": None},
            }
            choice["logprobs"] = {"content": found[-1:], "refusal": None}
            made.append(early)
        made.append(chunk)
    return made


@variation(
    "several-tokens-a-chunk",
    at=Stage.CHUNKS,
    dialects=_DIALECTS,
    legal="https://github.com/openai/openai-openapi CreateChatCompletionStreamResponse: how much a delta holds is free",
)
def several_tokens_a_chunk(chunks: Payloads, context: Context) -> Payloads:
    """Up to three tokens and their entries share a chunk."""
    if not _asks(context):
        return chunks
    made: Payloads = []
    for chunk in chunks:
        into, choice = _text(made[-1] if made else None), _text(chunk)
        if into is not None and choice is not None and into["index"] == choice["index"]:
            entries = into["logprobs"]["content"]
            if len(entries) < 3:
                into["delta"]["content"] += choice["delta"]["content"]
                entries += choice["logprobs"]["content"]
                continue
        made.append(chunk)
    return made


def _text(chunk: Any) -> Fields | None:
    """The choice of a chunk that is of text with entries and nothing else."""
    found = chunk.get("choices") if isinstance(chunk, dict) else None
    if not found or list(found[0]["delta"]) != ["content"] or found[0]["finish_reason"] is not None:
        return None
    choice: Fields = found[0]
    return choice if choice.get("logprobs") and choice["logprobs"]["content"] else None


@variation(
    "certain-tokens", at=Stage.REPLY, dialects=_DIALECTS, legal=f"{_SEEN}: 0, written as an integer; {_SCHEMA}.logprob"
)
def certain_tokens(reply: Reply, context: Context) -> Reply:
    """Some tokens are certain: 0, written as an integer or as -0.0, and their alternatives have -9999.0."""

    def change(entry: Fields) -> Fields:
        if sum(entry["bytes"]) % 4:
            return entry
        value = 0 if sum(entry["bytes"]) % 8 else -0.0
        top = [{**item, "logprob": value if not place else -9999.0} for place, item in enumerate(entry["top_logprobs"])]
        return {**entry, "logprob": value, "top_logprobs": top}

    return _over_entries(reply, context, change)


@variation(
    "special-alternatives",
    at=Stage.REPLY,
    dialects=_DIALECTS,
    legal=f"{_SCHEMA}.bytes: null if there is no bytes representation for the token",
)
def special_alternatives(reply: Reply, context: Context) -> Reply:
    """The last alternative of several is a special token, without bytes."""

    def change(entry: Fields) -> Fields:
        top = entry["top_logprobs"]
        special = {"token": "<|end|>", "bytes": None}
        return {**entry, "top_logprobs": [*top[:-1], {**top[-1], **special}]} if len(top) > 1 else entry

    return _over_entries(reply, context, change)


@variation(
    "values-drift",
    at=Stage.REPLY,
    dialects=_DIALECTS,
    legal="https://github.com/openai/openai-openapi seed: best effort, determinism is not guaranteed",
)
def values_drift(reply: Reply, context: Context) -> Reply:
    """Streamed values are a little lower than unstreamed ones."""
    if not is_stream(reply):
        return reply

    def lower(item: Fields) -> Fields:
        return {**item, "logprob": item["logprob"] - 0.01}

    return _over_entries(
        reply, context, lambda entry: {**lower(entry), "top_logprobs": list(map(lower, entry["top_logprobs"]))}
    )
