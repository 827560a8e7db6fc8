"""Legal ways to cut a completion into chunks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from conformance.reference.stages import Completion, Context, Stage, Token, ToolCall, variation
from conformance.wire.chat_request import ChatRequest

_SCHEMA = "https://github.com/openai/openai-openapi CreateChatCompletionStreamResponse"
_SEEN = "seen in recorded streams of the original API"
Payloads = list[Any]


def _choice(chunk: Any) -> dict[str, Any] | None:
    """The only choice of a chunk, or None for the usage chunk, warnings and the sentinel."""
    found = chunk.get("choices") if isinstance(chunk, dict) else None
    return found[0] if isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict) else None


def _edited(chunks: Payloads) -> Iterator[tuple[Any, dict[str, Any] | None]]:
    for chunk in chunks:
        mine = copy.deepcopy(chunk)
        yield mine, _choice(mine)


@variation("interleaved-choices", at=Stage.CHUNKS, legal=f"{_SCHEMA}: chunks belong together by `index`")
def interleaved_choices(chunks: Payloads, context: Context) -> Payloads:
    """The chunks of several choices take turns, choice 0 first."""
    lanes: dict[int, list[Any]] = {}
    before: list[Any] = []
    after: list[Any] = []
    for chunk in chunks:
        choice = _choice(chunk)
        if choice is not None:
            lanes.setdefault(choice["index"], []).append(chunk)
        else:
            (after if lanes else before).append(chunk)
    longest = max((len(lane) for lane in lanes.values()), default=0)
    turns = [lane[turn] for turn in range(longest) for _, lane in sorted(lanes.items()) if turn < len(lane)]
    return [*before, *turns, *after]


def _is_usage_free(chunk: Any) -> bool:
    return chunk.get("usage") is None


@variation("role-without-content", at=Stage.CHUNKS, legal=f"{_SCHEMA}: content is optional in a delta")
def role_without_content(chunks: Payloads, context: Context) -> Payloads:
    """The first delta holds the role and no content key."""
    made = []
    for chunk, choice in _edited(chunks):
        if choice is not None and "role" in choice["delta"] and not choice["delta"].get("content"):
            choice["delta"].pop("content", None)
        made.append(chunk)
    return made


@variation("role-with-content", at=Stage.CHUNKS, legal=f"{_SCHEMA}: role and content may share a delta")
def role_with_content(chunks: Payloads, context: Context) -> Payloads:
    """The first delta holds the role and the first piece of text."""
    made: Payloads = []
    for chunk, choice in _edited(chunks):
        earlier = _choice(made[-1]) if made else None
        if (
            choice is not None
            and earlier is not None
            and earlier["index"] == choice["index"]
            and "role" in earlier["delta"]
            and not earlier["delta"].get("content")
            and isinstance(choice["delta"].get("content"), str)
            and "role" not in choice["delta"]
        ):
            earlier["delta"]["content"] = choice["delta"]["content"]
            if "logprobs" in choice:
                earlier["logprobs"] = choice["logprobs"]
            continue
        made.append(chunk)
    return made


@variation(
    "finish-on-last-delta",
    at=Stage.CHUNKS,
    legal="https://github.com/vllm-project/vllm/pull/36944: the last text and the finish share a chunk",
)
def finish_on_last_delta(chunks: Payloads, context: Context) -> Payloads:
    """finish_reason stands on the last chunk that has content or arguments, not on one of its own."""
    made: Payloads = []
    last: dict[int, int] = {}
    for chunk, choice in _edited(chunks):
        if (
            choice is not None
            and choice["finish_reason"] is not None
            and not choice["delta"]
            and choice["index"] in last
        ):
            target = made[last[choice["index"]]]
            target["choices"][0]["finish_reason"] = choice["finish_reason"]
            if not _is_usage_free(chunk):
                target["usage"] = chunk["usage"]
            continue
        if choice is not None:
            last[choice["index"]] = len(made)
        made.append(chunk)
    return made


@variation("finish-with-null-content", at=Stage.CHUNKS, legal=f"{_SCHEMA}: content is a string or null in a delta")
def finish_with_null_content(chunks: Payloads, context: Context) -> Payloads:
    """The finishing delta says that content is null."""
    made = []
    for chunk, choice in _edited(chunks):
        if choice is not None and choice["finish_reason"] is not None and not choice["delta"]:
            choice["delta"] = {"content": None}
        made.append(chunk)
    return made


def _recut(completion: Completion, cut: Any) -> Completion:
    def call(made: ToolCall) -> ToolCall:
        return replace(made, fragments=tuple(cut(made.arguments)))

    return replace(
        completion,
        choices=tuple(replace(choice, calls=tuple(map(call, choice.calls))) for choice in completion.choices),
    )


@variation("arguments-per-character", at=Stage.COMPLETION, legal=f"{_SCHEMA}: fragments may be cut anywhere")
def arguments_per_character(completion: Completion, context: Context) -> Completion:
    """Every character of the arguments is a fragment."""
    return _recut(completion, list)


@variation("arguments-whole", at=Stage.COMPLETION, legal=f"{_SCHEMA}: fragments may be cut anywhere")
def arguments_whole(completion: Completion, context: Context) -> Completion:
    """The arguments come as one fragment after the one that opens the call."""
    return _recut(completion, lambda text: [text] if text else [])


@variation("call-in-one-delta", at=Stage.CHUNKS, legal=f"{_SCHEMA}: id, name and arguments may share a delta")
def call_in_one_delta(chunks: Payloads, context: Context) -> Payloads:
    """Each tool call comes whole in one delta."""
    made: Payloads = []
    opened: dict[tuple[int, int], dict[str, Any]] = {}
    for chunk, choice in _edited(chunks):
        calls = choice["delta"].get("tool_calls") if choice is not None else None
        if choice is None or not isinstance(calls, list) or len(calls) != 1 or choice["finish_reason"] is not None:
            made.append(chunk)
            continue
        place = (choice["index"], calls[0]["index"])
        if place in opened:
            opened[place]["function"]["arguments"] += calls[0]["function"]["arguments"]
        else:
            opened[place] = calls[0]
            made.append(chunk)
    return made


@variation("calls-in-one-delta", at=Stage.CHUNKS, legal=f"{_SCHEMA}: tool_calls is an array in a delta")
def calls_in_one_delta(chunks: Payloads, context: Context) -> Payloads:
    """All tool calls of a choice come whole in one delta."""
    made: Payloads = []
    gathered: dict[int, list[Any]] = {}
    for chunk, choice in _edited(call_in_one_delta(chunks, context)):
        calls = choice["delta"].get("tool_calls") if choice is not None else None
        if choice is None or not isinstance(calls, list) or choice["finish_reason"] is not None:
            made.append(chunk)
        elif choice["index"] in gathered:
            gathered[choice["index"]].extend(calls)
        else:
            gathered[choice["index"]] = calls
            made.append(chunk)
    return made


@variation("first-call-with-role", at=Stage.CHUNKS, legal=f"{_SEEN}: the first delta opens the first call")
def first_call_with_role(chunks: Payloads, context: Context) -> Payloads:
    """The first delta holds the role, content null and the opening of the first call."""
    made: Payloads = []
    for chunk, choice in _edited(chunks):
        earlier = _choice(made[-1]) if made else None
        if (
            choice is not None
            and earlier is not None
            and earlier["index"] == choice["index"]
            and "role" in earlier["delta"]
            and "tool_calls" not in earlier["delta"]
            and not earlier["delta"].get("content")
            and "tool_calls" in choice["delta"]
            and choice["finish_reason"] is None
        ):
            earlier["delta"]["tool_calls"] = choice["delta"]["tool_calls"]
            continue
        made.append(chunk)
    return made


@variation("text-in-one-delta", at=Stage.COMPLETION, legal=f"{_SCHEMA}: how much text a delta holds is free")
def text_in_one_delta(completion: Completion, context: Context) -> Completion:
    """The whole text is one delta (where no log probabilities tell its tokens apart)."""
    if ChatRequest(context.demand).wants_logprobs:
        return completion
    return replace(
        completion,
        choices=tuple(
            replace(choice, tokens=(Token(b"".join(token.data for token in choice.tokens)),))
            if choice.tokens
            else choice
            for choice in completion.choices
        ),
    )


@variation(
    "empty-logprobs-with-role",
    at=Stage.CHUNKS,
    dialects=("openai", "xerotier"),
    legal=f"{_SEEN}: a role-only chunk may carry empty logprobs",
)
def empty_logprobs_with_role(chunks: Payloads, context: Context) -> Payloads:
    """Where log probabilities are asked for, the role chunk carries an empty list of them."""
    if not ChatRequest(context.demand).wants_logprobs:
        return chunks
    made = []
    for chunk, choice in _edited(chunks):
        if choice is not None and choice["delta"].get("content") == "" and choice.get("logprobs") is None:
            choice["logprobs"] = {"content": [], "refusal": None}
        made.append(chunk)
    return made


@variation(
    "obfuscation",
    at=Stage.CHUNKS,
    dialects=("openai",),
    legal="https://github.com/openai/openai-openapi stream_options.include_obfuscation: random characters",
)
def obfuscation(chunks: Payloads, context: Context) -> Payloads:
    """Every chunk is padded by an obfuscation string, unless the request declines that."""
    options = context.demand.get("stream_options")
    if isinstance(options, dict) and options.get("include_obfuscation") is False:
        return chunks
    return [
        {**chunk, "obfuscation": "x7Qf2"[: 1 + position % 5]} if isinstance(chunk, dict) else chunk
        for position, chunk in enumerate(chunks)
    ]


@variation(
    "usage-key-only-at-the-end",
    at=Stage.CHUNKS,
    dialects=("openai",),
    legal="the null usage of the other chunks is a warning at most",
)
def usage_key_only_at_the_end(chunks: Payloads, context: Context) -> Payloads:
    """With include_usage, the other chunks have no usage key instead of null."""
    return [
        {key: value for key, value in chunk.items() if key != "usage" or value is not None}
        if isinstance(chunk, dict)
        else chunk
        for chunk in chunks
    ]


@variation(
    "error-in-stream",
    at=Stage.CHUNKS,
    dialects=("openai", "xerotier"),
    legal="https://github.com/openai/openai-python src/openai/_streaming.py: an error payload ends the stream",
)
def error_in_stream(chunks: Payloads, context: Context) -> Payloads:
    """Some streams break off with an error payload in correct form, then `[DONE]`."""
    if context.random("error-in-stream").random() >= 0.2 or len(chunks) < 3:
        return chunks
    form = context.dialect.error("internal")
    error = {
        "message": "The model stopped working.",
        "type": form.types[0],
        "param": None,
        "code": form.codes[0] if form.codes else "internal",
    }
    return [*chunks[:2], {"error": error}, chunks[-1]]


@variation(
    "prompt-annotations-first",
    at=Stage.CHUNKS,
    dialects=("openai",),
    legal="seen in recorded streams of the original's models behind a content filter: dialect, chunk.annotations",
)
def prompt_annotations_first(chunks: Payloads, context: Context) -> Payloads:
    """A filter's chunk about the prompt comes before the completion: no choices, no id, no model, created 0."""
    empty = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    found = {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    return [{**empty, "prompt_filter_results": [found]}, *chunks]
