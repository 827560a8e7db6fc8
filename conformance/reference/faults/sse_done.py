"""Event streams whose sentinel is missing, misspelled, repeated or not the last word."""

from __future__ import annotations

from conformance.reference.payloads import Payloads, chunks_in
from conformance.reference.stages import Context, Stage, fault
from conformance.wire.event_stream import DONE


@fault(
    "sf-no-done",
    at=Stage.CHUNKS,
    violates=["sse.done.is_sent"],
    thread="https://github.com/huggingface/text-generation-inference/pull/2221",
)
def no_done(payloads: Payloads, context: Context) -> Payloads:
    """Streams end without `[DONE]`."""
    return payloads[:-1]


@fault(
    "sf-no-done-after-calls",
    at=Stage.CHUNKS,
    violates=["sse.done.is_sent"],
    condition="only if the answer holds tool calls",
)
def no_done_after_calls(payloads: Payloads, context: Context) -> Payloads:
    """Streams of tool calls end without `[DONE]`."""
    calls = any(choice["delta"].get("tool_calls") for chunk in chunks_in(payloads) for choice in chunk["choices"])
    return payloads[:-1] if calls else payloads


@fault(
    "sf-no-done-with-usage",
    at=Stage.CHUNKS,
    violates=["sse.done.is_sent"],
    dialects=("openai", "xerotier"),
    condition="only with include_usage",
)
def no_done_with_usage(payloads: Payloads, context: Context) -> Payloads:
    """With include_usage streams end without `[DONE]`."""
    return payloads[:-1] if context.chat.include_usage else payloads


@fault("sf-done-in-small-letters", at=Stage.CHUNKS, violates=["sse.done.is_exact"])
def done_in_small_letters(payloads: Payloads, context: Context) -> Payloads:
    """The sentinel is `[done]`."""
    return ["[done]" if payload == DONE else payload for payload in payloads]


@fault("sf-done-in-quotes", at=Stage.CHUNKS, violates=["sse.done.is_exact"])
def done_in_quotes(payloads: Payloads, context: Context) -> Payloads:
    """The sentinel is a JSON string."""
    return ['"[DONE]"' if payload == DONE else payload for payload in payloads]


@fault("sf-done-twice", at=Stage.CHUNKS, violates=["sse.done.is_sent_once"])
def done_twice(payloads: Payloads, context: Context) -> Payloads:
    """The sentinel is sent twice."""
    return [*payloads, DONE]


@fault(
    "sf-done-per-choice",
    at=Stage.CHUNKS,
    violates=["sse.done.is_sent_once", "sse.done.is_last"],
    dialects=("openai",),
    condition="only if n is 2 or more",
)
def done_per_choice(payloads: Payloads, context: Context) -> Payloads:
    """Every choice ends with a sentinel of its own."""
    made: Payloads = []
    for payload in payloads:
        made.append(payload)
        if isinstance(payload, dict) and any(choice["finish_reason"] for choice in payload["choices"]):
            made.append(DONE)
    return made if (context.chat.n or 1) > 1 and not context.chat.include_usage else payloads


@fault(
    "sf-usage-after-done",
    at=Stage.CHUNKS,
    violates=["sse.done.is_last"],
    dialects=("openai", "xerotier"),
    condition="only with include_usage",
)
def usage_after_done(payloads: Payloads, context: Context) -> Payloads:
    """The chunk with usage follows the sentinel."""
    if not context.chat.include_usage or len(payloads) < 2:
        return payloads
    return [*payloads[:-2], payloads[-1], payloads[-2]]
