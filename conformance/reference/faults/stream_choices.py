"""Streams whose choices are wrong: index, delta, role and text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.reference.faults.call_edits import after_result
from conformance.reference.payloads import (
    Choice,
    Payloads,
    chunks_in,
    each_choice,
    each_chunk,
    finishes,
    text_of,
    with_text,
)
from conformance.reference.stages import Completion, Context, Stage, fault
from conformance.reference.tokens import split, tokens_of

_INDICES = ["stream.index.covers_the_choices", "stream.parity.same_choices"]
_REPEATED = "stream.role.is_not_repeated"
_MISSING = "stream.role.is_sent"


def _many(context: Context) -> bool:
    return (context.chat.n or 1) > 1


@fault(
    "nc-index-missing",
    at=Stage.CHUNKS,
    violates=["stream.choice.has_index"],
    entails={"stream.parity.same_choices": "choices without an index cannot be told apart"},
)
def index_missing(payloads: Payloads, context: Context) -> Payloads:
    """Choices have no index."""
    if context.chat.tools:
        return payloads
    return each_choice(payloads, lambda choice: {key: value for key, value in choice.items() if key != "index"})


@fault(
    "nc-index-string",
    at=Stage.CHUNKS,
    violates=["stream.choice.has_index"],
    condition="only chunks that finish a choice",
)
def index_string(payloads: Payloads, context: Context) -> Payloads:
    """The index of the finishing chunk is a string."""
    return each_choice(
        payloads, lambda choice: {**choice, "index": str(choice["index"])} if choice["finish_reason"] else choice
    )


@fault(
    "sf-delta-null", at=Stage.CHUNKS, violates=["stream.choice.has_delta"], condition="only chunks that finish a choice"
)
def delta_null(payloads: Payloads, context: Context) -> Payloads:
    """The delta of the finishing chunk is null."""
    return each_choice(payloads, lambda choice: {**choice, "delta": None} if choice["finish_reason"] else choice)


@fault(
    "sf-delta-missing",
    at=Stage.CHUNKS,
    violates=["stream.choice.has_delta"],
    condition="only chunks that finish a choice",
)
def delta_missing(payloads: Payloads, context: Context) -> Payloads:
    """The finishing chunk has no delta."""
    return each_choice(
        payloads,
        lambda choice: (
            {key: value for key, value in choice.items() if key != "delta"} if choice["finish_reason"] else choice
        ),
    )


@fault(
    "sf-message-and-delta",
    at=Stage.CHUNKS,
    violates=["stream.choice.has_no_message"],
    thread="https://github.com/perplexityai/api-discussion/issues/209",
)
def message_and_delta(payloads: Payloads, context: Context) -> Payloads:
    """Every choice holds the whole growing message beside its delta."""
    said: dict[int, str] = {}

    def grown(choice: Choice) -> Choice:
        said[choice["index"]] = said.get(choice["index"], "") + text_of(choice)
        return {**choice, "message": {"role": "assistant", "content": said[choice["index"]]}}

    return each_choice(payloads, grown)


def _role(choice: Choice, role: str | None) -> Choice:
    delta = {key: value for key, value in choice["delta"].items() if key != "role"}
    return {**choice, "delta": delta if role is None else {"role": role, **delta}}


@fault(
    "sd-role-missing",
    at=Stage.CHUNKS,
    violates=[_MISSING],
    thread="https://github.com/tensorzero/tensorzero/issues/1265",
)
def role_missing(payloads: Payloads, context: Context) -> Payloads:
    """No delta has a role."""
    return each_choice(payloads, lambda choice: _role(choice, None))


@fault(
    "sd-role-missing-with-calls",
    at=Stage.CHUNKS,
    violates=[_MISSING],
    thread="https://github.com/diegosouzapw/OmniRoute/pull/3911",
    condition="only if the answer holds tool calls",
)
def role_missing_with_calls(payloads: Payloads, context: Context) -> Payloads:
    """The chunk with the role is left out of answers that hold tool calls."""
    calls = any(choice["delta"].get("tool_calls") for chunk in chunks_in(payloads) for choice in chunk["choices"])
    return each_choice(payloads, lambda choice: _role(choice, None)) if calls else payloads


@fault(
    "sd-role-first-choice-only",
    at=Stage.CHUNKS,
    violates=[_MISSING],
    dialects=("openai",),
    thread="https://github.com/langwatch/langwatch/issues/6196",
    condition="only if n is 2 or more",
)
def role_first_choice_only(payloads: Payloads, context: Context) -> Payloads:
    """Only choice 0 says its role."""
    return each_choice(payloads, lambda choice: _role(choice, None) if choice["index"] else choice)


@fault(
    "sd-role-missing-when-cut",
    at=Stage.CHUNKS,
    violates=[_MISSING],
    condition="only if the token limit cuts the answer",
)
def role_missing_when_cut(payloads: Payloads, context: Context) -> Payloads:
    """An answer that the token limit cuts says no role."""
    return each_choice(payloads, lambda choice: _role(choice, None)) if "length" in finishes(payloads) else payloads


@fault("sd-role-late", at=Stage.CHUNKS, violates=["stream.role.comes_first"])
def role_late(payloads: Payloads, context: Context) -> Payloads:
    """The role comes with the finish."""
    return each_choice(payloads, lambda choice: _role(choice, "assistant" if choice["finish_reason"] else None))


@fault("sd-role-other", at=Stage.CHUNKS, violates=["stream.role.is_assistant"])
def role_other(payloads: Payloads, context: Context) -> Payloads:
    """The role is the model's own word for it."""
    return each_choice(payloads, lambda choice: _role(choice, "model") if "role" in choice["delta"] else choice)


@fault(
    "sd-role-every-chunk",
    at=Stage.CHUNKS,
    violates=[_REPEATED],
    thread="https://github.com/huggingface/text-generation-inference/issues/2794",
)
def role_every_chunk(payloads: Payloads, context: Context) -> Payloads:
    """Every delta has the role."""
    return each_choice(payloads, lambda choice: _role(choice, "assistant"))


@fault("sd-role-with-finish", at=Stage.CHUNKS, violates=[_REPEATED], condition="only chunks that finish a choice")
def role_with_finish(payloads: Payloads, context: Context) -> Payloads:
    """The finishing delta has the role again."""
    return each_choice(payloads, lambda choice: _role(choice, "assistant") if choice["finish_reason"] else choice)


@fault("sd-role-with-calls", at=Stage.CHUNKS, violates=[_REPEATED], condition="only deltas with tool calls")
def role_with_calls(payloads: Payloads, context: Context) -> Payloads:
    """Every delta with a tool call has the role again."""
    return each_choice(
        payloads, lambda choice: _role(choice, "assistant") if choice["delta"].get("tool_calls") else choice
    )


def _plain(context: Context) -> bool:
    """The answer is free text of one choice: nothing else judges how it is cut."""
    keys = ("tools", "response_format", "logprobs", "stop")
    return not _many(context) and not any(context.chat.body.get(key) for key in keys)


@fault(
    "sd-content-parts", at=Stage.CHUNKS, violates=["stream.content.is_text"], condition="only text that is not ASCII"
)
def content_parts(payloads: Payloads, context: Context) -> Payloads:
    """Content comes as an array of parts."""

    def parted(choice: Choice) -> Choice:
        text = text_of(choice)
        return choice if text.isascii() else {**choice, "delta": {"content": [{"type": "text", "text": text}]}}

    return each_choice(payloads, parted) if _plain(context) else payloads


@fault(
    "sd-content-cumulative",
    at=Stage.CHUNKS,
    violates=["stream.content.is_not_repeated"],
    entails={
        "stream.parity.same_text": "the joined text says everything many times",
        "stream.parity.loses_no_text": "a short text said one and a half times is a text with something added",
    },
    thread="https://github.com/perplexityai/api-discussion/issues/209",
    condition="only free text of one choice",
)
def content_cumulative(payloads: Payloads, context: Context) -> Payloads:
    """Every delta repeats the whole text so far."""
    said: list[str] = []

    def grown(choice: Choice) -> Choice:
        if not text_of(choice):
            return choice
        said.append(text_of(choice))
        return with_text(choice, "".join(said))

    return each_choice(payloads, grown) if _plain(context) else payloads


@fault(
    "sd-thinking-in-content",
    at=Stage.COMPLETION,
    violates=["stream.reasoning.is_not_in_the_content", "response.reasoning.is_not_in_the_content"],
    dialects=("openai", "aurous"),
    condition="only free text",
)
def thinking_in_content(completion: Completion, context: Context) -> Completion:
    """The model's reasoning stands in the text, between tags."""
    if not _plain(context):
        return completion
    thought = tokens_of(split("<think>The user asks.</think>"))
    return replace(
        completion,
        choices=tuple(
            replace(choice, tokens=(*thought, *choice.tokens)) if choice.tokens else choice
            for choice in completion.choices
        ),
    )


def _renumbered(payloads: Payloads, number: Any) -> Payloads:
    return each_choice(payloads, lambda choice: {**choice, "index": number(choice)})


@fault(
    "nc-index-zero",
    at=Stage.CHUNKS,
    violates=_INDICES,
    dialects=("openai",),
    thread="https://github.com/BerriAI/litellm/issues/3276",
    condition="only if n is 2 or more",
)
def index_zero(payloads: Payloads, context: Context) -> Payloads:
    """All chunks of all choices have index 0."""
    if context.chat.tools:
        return payloads
    return _renumbered(payloads, lambda choice: 0)


@fault("nc-index-from-one", at=Stage.CHUNKS, violates=_INDICES)
def index_from_one(payloads: Payloads, context: Context) -> Payloads:
    """Indices count from 1."""
    return _renumbered(payloads, lambda choice: choice["index"] + 1)


@fault(
    "nc-index-counts-tokens",
    at=Stage.CHUNKS,
    violates=_INDICES,
    thread="https://github.com/huggingface/text-generation-inference/pull/1648",
)
def index_counts_tokens(payloads: Payloads, context: Context) -> Payloads:
    """The index counts chunks."""
    if not _plain(context) or after_result(context):
        return payloads
    return each_chunk(
        payloads,
        lambda chunk, place: {**chunk, "choices": [{**choice, "index": place} for choice in chunk["choices"]]},
    )


@fault(
    "nc-one-choice-when-streamed",
    at=Stage.CHUNKS,
    violates=_INDICES,
    dialects=("openai",),
    condition="only if n is 2 or more",
)
def one_choice_when_streamed(payloads: Payloads, context: Context) -> Payloads:
    """Streams give one choice, whatever n is."""
    return each_choice(payloads, lambda choice: None if choice["index"] else choice)


@fault(
    "nc-last-choice-first",
    at=Stage.CHUNKS,
    violates=["stream.index.begins_at_zero"],
    dialects=("openai",),
    condition="only if n is 2 or more",
)
def last_choice_first(payloads: Payloads, context: Context) -> Payloads:
    """The chunks of the last choice come first."""
    chunks = [chunk for chunk in chunks_in(payloads) if chunk["choices"]]
    turned = iter(sorted(chunks, key=lambda chunk: -chunk["choices"][0]["index"]))
    return [next(turned) if payload in chunks else payload for payload in payloads]
