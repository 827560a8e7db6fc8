"""Streams whose usage is missing, unasked for, in the wrong place or counted otherwise than unstreamed."""

from __future__ import annotations

from typing import Any

from conformance.reference.payloads import Payload, Payloads, before_done, chunks_in, each_chunk
from conformance.reference.stages import Context, Stage, fault

_EXTRA = ("openai", "xerotier")


def _usage(payloads: Payloads) -> dict[str, Any] | None:
    return next((chunk["usage"] for chunk in chunks_in(payloads) if chunk.get("usage") is not None), None)


def _is_usage(chunk: dict[str, Any]) -> bool:
    return not chunk["choices"] and chunk.get("usage") is not None


def _changed(payloads: Payloads, **counts: Any) -> Payloads:
    """Every usage with other values; a value may be a function of the old one."""

    def change(chunk: dict[str, Any], place: int) -> Payload:
        usage = chunk.get("usage")
        if not isinstance(usage, dict):
            return chunk
        made = {**usage, **{key: value(usage[key]) if callable(value) else value for key, value in counts.items()}}
        made["total_tokens"] = made["prompt_tokens"] + made["completion_tokens"] + made.get("reasoning_tokens", 0)
        return {**chunk, "usage": made}

    return each_chunk(payloads, change)


def _made_up(chunk: dict[str, Any]) -> dict[str, Any]:
    return {**chunk, "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}


@fault(
    "su-unrequested",
    at=Stage.CHUNKS,
    violates=["stream.usage.is_not_sent_unasked"],
    dialects=_EXTRA,
    entails={
        "stream.parity.same_usage_keys": "the made-up usage has three keys",
        "stream.parity.same_prompt_tokens": "the made-up usage counts nothing",
        "stream.parity.same_completion_tokens": "the made-up usage counts nothing",
        "usage.completion_tokens.count_text": "the made-up usage counts nothing",
        "usage.prompt_tokens.count_the_prompt": "the made-up usage counts nothing",
    },
    thread="https://github.com/mudler/LocalAI/issues/1744",
)
def unrequested(payloads: Payloads, context: Context) -> Payloads:
    """The finish chunk carries zeros as usage, although nobody asked."""
    if context.chat.include_usage:
        return payloads
    last = list(chunks_in(payloads))[-1:]
    return each_chunk(payloads, lambda chunk, place: _made_up(chunk) if chunk in last else chunk)


@fault(
    "su-unrequested-chunk",
    at=Stage.DEMAND,
    violates=["stream.usage.is_not_sent_unasked"],
    dialects=_EXTRA,
    thread="https://github.com/nguyenphutrong/quotio/pull/460",
    condition="only if include_usage is false or not given",
)
def unrequested_chunk(demand: dict[str, Any], context: Context) -> dict[str, Any]:
    """The chunk with usage comes whatever include_usage says."""
    return {**demand, "stream_options": {"include_usage": True}} if demand.get("stream") is True else demand


@fault(
    "su-missing",
    at=Stage.DEMAND,
    violates=["stream.usage.is_sent_when_asked_for"],
    dialects=_EXTRA,
    thread="https://github.com/vllm-project/vllm/issues/6371",
)
def missing(demand: dict[str, Any], context: Context) -> dict[str, Any]:
    """include_usage is ignored."""
    return {key: value for key, value in demand.items() if key != "stream_options"}


@fault(
    "su-missing-with-tools",
    at=Stage.DEMAND,
    violates=["stream.usage.is_sent_when_asked_for"],
    dialects=_EXTRA,
    condition="only if tools are declared",
)
def missing_with_tools(demand: dict[str, Any], context: Context) -> dict[str, Any]:
    """With tools declared, include_usage is ignored."""
    return missing(demand, context) if demand.get("tools") else demand


@fault(
    "su-missing-when-cut",
    at=Stage.CHUNKS,
    violates=["stream.usage.is_sent_when_asked_for"],
    dialects=_EXTRA,
    condition="only if the token limit cuts the answer",
)
def missing_when_cut(payloads: Payloads, context: Context) -> Payloads:
    """An answer that the token limit cut comes without usage."""
    cut = any(choice["finish_reason"] == "length" for chunk in chunks_in(payloads) for choice in chunk["choices"])
    return each_chunk(payloads, lambda chunk, place: None if cut and _is_usage(chunk) else chunk)


@fault(
    "su-every-chunk",
    at=Stage.CHUNKS,
    violates=["stream.usage.is_null_in_other_chunks"],
    dialects=_EXTRA,
    thread="https://github.com/vllm-project/vllm/issues/7262",
    condition="only with include_usage",
)
def every_chunk(payloads: Payloads, context: Context) -> Payloads:
    """With include_usage every chunk carries the total so far."""
    usage = _usage(payloads)
    if usage is None:
        return payloads
    return each_chunk(payloads, lambda chunk, place: {**chunk, "usage": chunk.get("usage") or usage})


@fault(
    "su-on-finish-chunk",
    at=Stage.CHUNKS,
    violates=["stream.usage.has_a_chunk_of_its_own"],
    dialects=_EXTRA,
    thread="https://github.com/epam/ai-dial-sdk/issues/199",
    condition="only with include_usage",
)
def on_finish_chunk(payloads: Payloads, context: Context) -> Payloads:
    """Usage rides on the last chunk with a choice."""
    usage = _usage(payloads)
    if usage is None:
        return payloads
    kept = each_chunk(payloads, lambda chunk, place: None if _is_usage(chunk) else chunk)
    last = list(chunks_in(kept))[-1:]
    return each_chunk(kept, lambda chunk, place: {**chunk, "usage": usage} if chunk in last else chunk)


@fault(
    "su-key-missing",
    at=Stage.CHUNKS,
    violates=["stream.usage.key_is_in_every_chunk"],
    dialects=("openai",),
    condition="only with include_usage",
)
def key_missing(payloads: Payloads, context: Context) -> Payloads:
    """Chunks without usage have no usage key."""
    return each_chunk(
        payloads,
        lambda chunk, place: {key: value for key, value in chunk.items() if key != "usage" or value is not None},
    )


@fault(
    "su-first",
    at=Stage.CHUNKS,
    violates=["stream.usage.is_on_the_last_chunk"],
    dialects=("openai",),
    condition="only with include_usage",
)
def first(payloads: Payloads, context: Context) -> Payloads:
    """The chunk with usage comes before the finish."""
    places = [place for place, payload in enumerate(payloads) if isinstance(payload, dict) and _is_usage(payload)]
    if not places or places[0] < 1:
        return payloads
    place = places[0]
    return [*payloads[: place - 1], payloads[place], payloads[place - 1], *payloads[place + 1 :]]


@fault(
    "su-no-credits",
    at=Stage.CHUNKS,
    violates=["stream.usage.is_on_the_finish_chunk"],
    dialects=("aurous",),
    entails={
        "stream.parity.same_usage_keys": "the unstreamed usage has the credits",
        "usage.credits.are_a_number": "the credits are a part of every usage",
    },
)
def no_credits(payloads: Payloads, context: Context) -> Payloads:
    """Streamed usage has no credits_charged."""

    def poor(chunk: dict[str, Any], place: int) -> Payload:
        usage = chunk.get("usage")
        if not isinstance(usage, dict):
            return chunk
        return {**chunk, "usage": {key: value for key, value in usage.items() if key != "credits_charged"}}

    return each_chunk(payloads, poor)


@fault(
    "su-extra-chunk-only",
    at=Stage.CHUNKS,
    dialects=("aurous",),
    violates=["stream.usage.is_on_the_finish_chunk", "stream.usage.has_no_chunk_of_its_own"],
)
def extra_chunk_only(payloads: Payloads, context: Context) -> Payloads:
    """Usage comes in a chunk of its own, after the finish."""
    last = list(chunks_in(payloads))[-1]
    bare = each_chunk(payloads, lambda chunk, place: {key: value for key, value in chunk.items() if key != "usage"})
    return before_done(bare, {**last, "choices": []})


@fault("su-extra-chunk-too", at=Stage.CHUNKS, dialects=("aurous",), violates=["stream.usage.has_no_chunk_of_its_own"])
def extra_chunk_too(payloads: Payloads, context: Context) -> Payloads:
    """Usage comes with the finish, and again in a chunk of its own."""
    return before_done(payloads, {**list(chunks_in(payloads))[-1], "choices": []})


@fault(
    "su-prompt-differs",
    at=Stage.CHUNKS,
    violates=["stream.parity.same_prompt_tokens"],
    dialects=_EXTRA,
    thread="https://github.com/QuantumNous/new-api/issues/6212",
)
def prompt_differs(payloads: Payloads, context: Context) -> Payloads:
    """Streamed usage estimates the prompt, too high."""
    return _changed(payloads, prompt_tokens=lambda count: count + 400)


@fault(
    "su-n-partial",
    at=Stage.CHUNKS,
    violates=["stream.parity.same_completion_tokens"],
    dialects=("openai",),
    thread="https://github.com/vllm-project/vllm/pull/9357",
    condition="only if n is 2 or more",
)
def n_partial(payloads: Payloads, context: Context) -> Payloads:
    """Streamed usage counts one choice of several."""
    count = context.chat.n or 1
    return _changed(payloads, completion_tokens=lambda tokens: tokens // count) if count > 1 else payloads


@fault(
    "su-counts-chunks",
    at=Stage.CHUNKS,
    violates=["stream.parity.same_completion_tokens"],
    dialects=_EXTRA,
    entails={"logprobs.entries.are_no_more_than_tokens": "there are more entries than tokens counted"},
    condition="only text that is not ASCII",
)
def counts_chunks(payloads: Payloads, context: Context) -> Payloads:
    """Streamed usage counts chunks, not tokens, where characters take several tokens."""
    texts = [choice["delta"].get("content") or "" for chunk in chunks_in(payloads) for choice in chunk["choices"]]
    return (
        payloads
        if "".join(texts).isascii()
        else _changed(payloads, completion_tokens=len(list(filter(None, texts))) + 1)
    )


@fault(
    "us-keyset-differs",
    at=Stage.CHUNKS,
    violates=["stream.parity.same_usage_keys"],
    dialects=_EXTRA,
    thread="https://github.com/jundot/omlx/issues/919",
)
def keyset_differs(payloads: Payloads, context: Context) -> Payloads:
    """Streamed usage has no details of the prompt."""
    return each_chunk(
        payloads,
        lambda chunk, place: (
            {
                **chunk,
                "usage": {key: value for key, value in chunk["usage"].items() if key != "prompt_tokens_details"},
            }
            if chunk.get("usage")
            else chunk
        ),
    )
