"""Legal forms of a completion, streamed or not."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from conformance.reference.faults.answer_edits import dumped
from conformance.reference.headers import token
from conformance.reference.rewriting import choices, messages, with_json
from conformance.reference.stages import Chosen, Completion, Context, Reply, Stage, Token, ToolCall, variation
from conformance.reference.tokens import split
from conformance.wire.chat_request import ChatRequest, Choosing
from conformance.wire.strict_json import Json

_SCHEMA = "https://github.com/openai/openai-openapi"
_OPENAI_SEEN = "seen in recorded answers of the original API"


def _each(completion: Completion, change: Any) -> Completion:
    return replace(completion, choices=tuple(change(choice) for choice in completion.choices))


@variation("content-empty-beside-calls", at=Stage.COMPLETION, legal=f"{_SCHEMA} content: a string or null")
def content_empty_beside_calls(completion: Completion, context: Context) -> Completion:
    """The content beside tool calls is the empty string instead of null."""

    def change(choice: Chosen) -> Chosen:
        return replace(choice, tokens=()) if choice.calls and choice.tokens is None else choice

    return _each(completion, change)


@variation(
    "text-beside-calls", at=Stage.COMPLETION, legal=f"{_SCHEMA} content: a string or null, also beside tool_calls"
)
def text_beside_calls(completion: Completion, context: Context) -> Completion:
    """Text stands beside tool calls, where the token limit leaves room."""
    said = (Token(b"One"), Token(b" moment"), Token(b"."))
    limit = ChatRequest(context.demand).token_limit
    extra = 0

    def change(choice: Chosen) -> Chosen:
        nonlocal extra
        if not choice.calls or choice.tokens or choice.finish_reason == "length":
            return choice
        if limit is not None and choice.call_tokens + choice.reasoning_tokens + len(said) > limit:
            return choice
        extra += len(said)
        return replace(choice, tokens=said)

    changed = _each(completion, change)
    return replace(changed, completion_tokens=changed.completion_tokens + extra)


@variation(
    "finish-other-for-named",
    at=Stage.COMPLETION,
    legal="https://github.com/vllm-project/vllm/pull/25054: stop on the original API; newer models say tool_calls",
)
def finish_other_for_named(completion: Completion, context: Context) -> Completion:
    """A named tool_choice ends with the other of `stop` and `tool_calls`."""
    if ChatRequest(context.demand).choosing is not Choosing.NAMED:
        return completion
    other = {"stop": "tool_calls", "tool_calls": "stop"}

    def change(choice: Chosen) -> Chosen:
        return (
            replace(choice, finish_reason=other.get(choice.finish_reason, choice.finish_reason))
            if choice.calls
            else choice
        )

    return _each(completion, change)


def _renamed(completion: Completion, context: Context, prefix: str, length: int) -> Completion:
    def call(choice: Chosen, position: int, made: ToolCall) -> ToolCall:
        return replace(made, id=prefix + token(context, f"style:{choice.index}:{position}", length))

    def change(choice: Chosen) -> Chosen:
        return replace(choice, calls=tuple(call(choice, i, made) for i, made in enumerate(choice.calls)))

    return _each(completion, change)


@variation("call-ids-short", at=Stage.COMPLETION, legal=f"{_SCHEMA} ChatCompletionMessageToolCall.id: any string")
def call_ids_short(completion: Completion, context: Context) -> Completion:
    """Tool-call ids are nine letters and digits without prefix."""
    return _renamed(completion, context, "", 9)


@variation("call-ids-long", at=Stage.COMPLETION, legal=f"{_SCHEMA} ChatCompletionMessageToolCall.id: any string")
def call_ids_long(completion: Completion, context: Context) -> Completion:
    """Tool-call ids have another prefix and 36 characters."""
    return _renamed(completion, context, "chatcmpl-tool-", 22)


@variation("index-in-calls", at=Stage.BODY, legal="unknown members are allowed; deltas have one of this name")
def index_in_calls(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Calls of an unstreamed answer carry an index, as in streams."""
    for choice in body.get("choices", ()):
        for position, call in enumerate(choice["message"].get("tool_calls", ())):
            call["index"] = position
    return body


@variation("id-without-prefix", at=Stage.COMPLETION, legal=f"{_SCHEMA} id: any string", dialects=("openai",))
def id_without_prefix(completion: Completion, context: Context) -> Completion:
    """The completion's id has no prefix."""
    return replace(completion, id=token(context, "bare", 32))


@variation(
    "model-snapshot",
    at=Stage.COMPLETION,
    legal=f"{_OPENAI_SEEN}: an alias is answered by a dated name",
    dialects=("openai",),
)
def model_snapshot(completion: Completion, context: Context) -> Completion:
    """The answer names the dated snapshot behind the model's alias."""
    return replace(completion, model=f"{completion.model}-2025-06-01")


def _without_null(document: Json, key: str) -> Json:
    for holder in (*choices(document), *messages(document)):
        if key in holder and holder[key] is None:
            del holder[key]
    return document


@variation("logprobs-key-absent", at=Stage.REPLY, legal=f"{_OPENAI_SEEN}: absent rather than null on newer models")
def logprobs_key_absent(reply: Reply, context: Context) -> Reply:
    """Where no log probabilities were asked for, the key is absent instead of null."""
    return with_json(reply, lambda document: _without_null(document, "logprobs"))


@variation("refusal-key-absent", at=Stage.REPLY, legal="most servers send no refusal key: a warning at most")
def refusal_key_absent(reply: Reply, context: Context) -> Reply:
    """Where nothing was refused, the key is absent instead of null."""
    return with_json(reply, lambda document: _without_null(document, "refusal"))


@variation("null-keys", at=Stage.REPLY, legal="null where there is nothing: the requirement list takes it for absent")
def null_keys(reply: Reply, context: Context) -> Reply:
    """An unstreamed message spells out what it has not: tool_calls, function_call and audio are null."""

    def change(document: Json) -> Json:
        for choice in choices(document):
            message = choice.get("message")
            if isinstance(message, dict):
                choice["message"] = {"tool_calls": None, "function_call": None, "audio": None, **message}
        return document

    return with_json(reply, change)


@variation(
    "service-tier-absent",
    at=Stage.REPLY,
    legal=f"{_SCHEMA} service_tier, system_fingerprint: optional",
    dialects=("openai",),
)
def service_tier_absent(reply: Reply, context: Context) -> Reply:
    """Neither service_tier nor system_fingerprint."""

    def change(document: Json) -> Json:
        kept = {"service_tier", "system_fingerprint"}
        return (
            {key: value for key, value in document.items() if key not in kept}
            if isinstance(document, dict)
            else document
        )

    return with_json(reply, change)


@variation(
    "fingerprint-null",
    at=Stage.REPLY,
    legal="https://xerotier.ai/docs/streaming: present, may be null",
    dialects=("xerotier",),
)
def fingerprint_null(reply: Reply, context: Context) -> Reply:
    """`system_fingerprint` is null."""

    def change(document: Json) -> Json:
        if isinstance(document, dict) and "system_fingerprint" in document:
            document["system_fingerprint"] = None
        return document

    return with_json(reply, change)


@variation(
    "reasoning-text",
    at=Stage.REPLY,
    legal="a vendor field beside content: unknown keys are ignored",
    dialects=("openai", "xerotier"),
)
def reasoning_text(reply: Reply, context: Context) -> Reply:
    """The model's thoughts in a field of their own, in messages and in the first delta."""

    def change(document: Json) -> Json:
        for message in messages(document):
            if "role" in message:
                message["reasoning_content"] = "The user wants an answer."
        return document

    return with_json(reply, change)


def _usage(reply: Reply, change: Any) -> Reply:
    def document(value: Json) -> Json:
        if isinstance(value, dict) and isinstance(value.get("usage"), dict):
            value["usage"] = change(value["usage"])
        return value

    return with_json(reply, document)


@variation("usage-without-details", at=Stage.REPLY, legal=f"{_SCHEMA} CompletionUsage: the details are optional")
def usage_without_details(reply: Reply, context: Context) -> Reply:
    """Token counts without their breakdowns."""
    return _usage(reply, lambda usage: {key: value for key, value in usage.items() if not key.endswith("_details")})


@variation(
    "usage-cached",
    at=Stage.REPLY,
    legal=f"{_SCHEMA} prompt_tokens_details.cached_tokens: part of the prompt",
    dialects=("openai", "xerotier"),
)
def usage_cached(reply: Reply, context: Context) -> Reply:
    """Part of the prompt was read from a cache."""

    def change(usage: dict[str, Json]) -> dict[str, Json]:
        cached = usage["prompt_tokens"] // 2 if isinstance(usage.get("prompt_tokens"), int) else 0
        return usage | {"prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0}}

    return _usage(reply, change)


@variation(
    "content-filter",
    at=Stage.COMPLETION,
    legal=f"{_SCHEMA} finish_reason content_filter: content was omitted",
    dialects=("openai", "xerotier"),
)
def content_filter(completion: Completion, context: Context) -> Completion:
    """Some answers without calls are cut by a content filter."""
    if context.random("content-filter").random() >= 0.2:
        return completion

    def change(choice: Chosen) -> Chosen:
        if choice.calls or choice.finish_reason != "stop":
            return choice
        return replace(choice, tokens=(), finish_reason="content_filter")

    dropped = sum(
        len(choice.tokens or ()) for choice in completion.choices if not choice.calls and choice.finish_reason == "stop"
    )
    return replace(_each(completion, change), completion_tokens=completion.completion_tokens - dropped)


@variation(
    "refusal-message",
    at=Stage.COMPLETION,
    legal=f"{_SCHEMA} refusal: the refusal message, content null",
    dialects=("openai", "xerotier"),
)
def refusal_message(completion: Completion, context: Context) -> Completion:
    """Some structured answers are refusals: text in `refusal`, content null."""
    demand = ChatRequest(context.demand)
    # The same in both modes: what is asked decides, not how the answer is delivered.
    asked = dumped([demand.messages, demand.body.get("response_format")])
    if demand.format_type != "json_schema" or random.Random(asked).random() >= 0.3:
        return completion
    text = "I cannot help with that."
    longer = 0

    def change(choice: Chosen) -> Chosen:
        nonlocal longer
        if choice.calls or choice.finish_reason != "stop":
            return choice
        longer += len(split(text)) - len(choice.tokens or ())
        return replace(choice, tokens=None, refusal=text)

    changed = _each(completion, change)
    return replace(changed, completion_tokens=changed.completion_tokens + longer)
