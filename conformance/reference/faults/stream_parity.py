"""Streams that say something else than the unstreamed answer to the same request."""

from __future__ import annotations

from typing import Any

from conformance.reference.faults.call_edits import parts
from conformance.reference.payloads import (
    Choice,
    Payloads,
    chunks_in,
    each_choice,
    each_chunk,
    text_of,
    whole_text,
    with_text,
)
from conformance.reference.stages import Context, Refusal, Stage, fault

_LOST = ["stream.parity.loses_no_text", "stream.parity.same_text"]
_FREE = ("tools", "response_format", "stop", "logprobs")


def _is_free(context: Context) -> bool:
    """Free text: no other rule looks into it."""
    return not any(context.chat.body.get(key) for key in _FREE)


def _once(payloads: Payloads, change: Any, *, last: bool = False) -> Payloads:
    """One piece of choice 0's text through `change`: the first, or the last."""
    pieces = [
        id(choice)
        for chunk in chunks_in(payloads)
        for choice in chunk["choices"]
        if choice["index"] == 0 and text_of(choice)
    ]
    if len(pieces) < 2:
        return payloads
    wanted = pieces[-1 if last else 0]
    return each_choice(
        payloads, lambda choice: with_text(choice, change(text_of(choice))) if id(choice) == wanted else choice
    )


@fault(
    "sp-refused-when-streamed",
    at=Stage.REFUSAL,
    violates=["stream.parity.is_accepted_like_unstreamed"],
    dialects=("openai", "xerotier"),
    entails={"requests.valid.is_accepted": "a valid request is refused"},
    condition="only if a seed is given and the last message is not ASCII",
)
def refused_when_streamed(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Streamed, a text that is not ASCII is refused."""
    messages = context.chat.messages
    text = str(messages[-1].get("content")) if messages else ""
    if refusal is not None or not context.streamed or text.isascii() or not _is_free(context):
        return refusal
    return Refusal("invalid_value", "messages.characters", "The text cannot be processed.")


@fault("sp-first-piece-lost", at=Stage.CHUNKS, violates=_LOST, dialects=("openai", "xerotier"))
def first_piece_lost(payloads: Payloads, context: Context) -> Payloads:
    """The first piece of text is lost with the chunk that opens the stream."""
    return _once(payloads, lambda text: "") if _is_free(context) else payloads


@fault("sp-last-piece-lost", at=Stage.CHUNKS, violates=_LOST)
def last_piece_lost(payloads: Payloads, context: Context) -> Payloads:
    """The last piece of text is lost where the finish comes."""
    return _once(payloads, lambda text: "", last=True) if _is_free(context) else payloads


@fault("sp-first-piece-doubled", at=Stage.CHUNKS, violates=_LOST, dialects=("openai", "xerotier"))
def first_piece_doubled(payloads: Payloads, context: Context) -> Payloads:
    """The first piece of text comes twice."""
    return _once(payloads, lambda text: text + text) if _is_free(context) else payloads


@fault("sp-spaces-lost", at=Stage.CHUNKS, violates=_LOST)
def spaces_lost(payloads: Payloads, context: Context) -> Payloads:
    """Every piece of text is trimmed."""
    if not _is_free(context):
        return payloads
    return each_choice(
        payloads, lambda choice: with_text(choice, text_of(choice).strip()) if text_of(choice) else choice
    )


@fault(
    "sp-tokens-dropped-in-long-texts",
    at=Stage.CHUNKS,
    violates=_LOST,
    thread="https://github.com/vllm-project/vllm/issues/30099",
    condition="only in streams of more than a hundred chunks",
)
def tokens_dropped_in_long_texts(payloads: Payloads, context: Context) -> Payloads:
    """One chunk in the middle of a long stream is dropped."""
    return payloads if len(payloads) < 100 or not _is_free(context) else [*payloads[:60], *payloads[61:]]


@fault(
    "sp-later-choice-loses-text",
    at=Stage.CHUNKS,
    violates=_LOST,
    dialects=("openai",),
    condition="only if n is 2 or more",
)
def later_choice_loses_text(payloads: Payloads, context: Context) -> Payloads:
    """Choice 1 loses its spaces."""
    if not _is_free(context):
        return payloads
    return each_choice(
        payloads,
        lambda choice: (
            with_text(choice, text_of(choice).strip()) if choice["index"] == 1 and text_of(choice) else choice
        ),
    )


@fault("sp-separators-lost", at=Stage.CHUNKS, violates=_LOST, condition="only for text with U+2028 or U+0085")
def separators_lost(payloads: Payloads, context: Context) -> Payloads:
    """Lines are split where Unicode sees a line's end, and joined without it."""
    if not _is_free(context):
        return payloads
    return each_choice(
        payloads,
        lambda choice: (
            with_text(choice, text_of(choice).replace("\u2028", "").replace("\u0085", ""))
            if text_of(choice)
            else choice
        ),
    )


@fault("sp-says-something-else", at=Stage.CHUNKS, violates=["stream.parity.same_text"], condition="only free text")
def says_something_else(payloads: Payloads, context: Context) -> Payloads:
    """Streamed, the letters change their case."""
    if not _is_free(context):
        return payloads
    return each_choice(
        payloads, lambda choice: with_text(choice, text_of(choice).swapcase()) if text_of(choice) else choice
    )


@fault(
    "un-replacement-char",
    at=Stage.CHUNKS,
    violates=["stream.parity.no_replacement_characters"],
    entails={
        "stream.parity.same_text": "a text with other characters is another text",
    },
    thread="https://github.com/vllm-project/vllm/issues/931",
    condition="only text with characters of four bytes",
)
def replacement_char(payloads: Payloads, context: Context) -> Payloads:
    """Characters that take several tokens arrive as replacement characters."""
    if not _is_free(context):
        return payloads

    def broken(choice: Choice) -> Choice:
        text = text_of(choice)
        return (
            choice
            if text.isascii()
            else with_text(choice, "".join(c if c < "\U00010000" else "\ufffd\ufffd" for c in text))
        )

    return each_choice(payloads, broken)


@fault(
    "sp-calls-lost-when-streamed",
    at=Stage.CHUNKS,
    violates=["stream.parity.same_kinds_of_content"],
    thread="https://github.com/raullenchai/Rapid-MLX/issues/425",
    condition="only where the model is free to call",
)
def calls_lost_when_streamed(payloads: Payloads, context: Context) -> Payloads:
    """Streamed, free calls are swallowed by the parser: the stream is empty and ends with stop."""
    if context.chat.body.get("tool_choice") not in (None, "auto"):
        return payloads

    def silent(choice: Choice) -> Choice | None:
        if choice["delta"].get("tool_calls"):
            return None
        return {**choice, "finish_reason": "stop"} if choice["finish_reason"] == "tool_calls" else choice

    return each_choice(payloads, silent)


@fault(
    "fr-length-hidden-when-streamed",
    at=Stage.CHUNKS,
    violates=["stream.parity.same_finish_reason"],
    thread="https://github.com/UKGovernmentBEIS/inspect_ai/pull/5143",
    condition="only if the token limit cuts free text",
)
def length_hidden_when_streamed(payloads: Payloads, context: Context) -> Payloads:
    """Streamed, an answer that the token limit cut ends with stop."""
    if not _is_free(context) or not whole_text(payloads):
        return payloads
    return each_choice(
        payloads, lambda choice: {**choice, "finish_reason": "stop"} if choice["finish_reason"] == "length" else choice
    )


@fault("sp-model-alias", at=Stage.CHUNKS, violates=["stream.parity.same_model"])
def model_alias(payloads: Payloads, context: Context) -> Payloads:
    """Streamed, the model is called by another name."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "model": f"models/{chunk['model']}"})


@fault("sp-line-breaks-lost", at=Stage.CHUNKS, violates=_LOST, condition="only for text with line breaks")
def line_breaks_lost(payloads: Payloads, context: Context) -> Payloads:
    """Line breaks in the text end up as the format's own, where they are lost."""
    if not _is_free(context):
        return payloads
    return each_choice(
        payloads, lambda choice: with_text(choice, text_of(choice).replace("\n", "")) if text_of(choice) else choice
    )


@fault(
    "sp-second-call-lost",
    at=Stage.CHUNKS,
    violates=["stream.parity.same_calls"],
    thread="https://github.com/vllm-project/vllm/issues/13078",
    condition="only where a choice makes several calls of one function",
)
def second_call_lost(payloads: Payloads, context: Context) -> Payloads:
    """Streamed, each function is called once, however often the model calls it."""
    calls = _calls(payloads)
    lost = {
        (choice, call)
        for (choice, call), (name, _) in calls.items()
        if any(calls[choice, other][0] == name for other in range(call))
    }
    return each_choice(
        payloads,
        lambda choice: (
            None
            if any((choice["index"], item["index"]) in lost for item in choice["delta"].get("tool_calls", ()))
            else choice
        ),
    )


@fault(
    "sp-second-call-has-the-firsts-arguments",
    at=Stage.CHUNKS,
    violates=["stream.parity.same_calls"],
    condition="only where a choice makes several calls of one function",
)
def second_call_has_the_firsts_arguments(payloads: Payloads, context: Context) -> Payloads:
    """Streamed, every further call of a function has the arguments of the first one."""
    firsts: dict[tuple[int, str], str] = {}
    given: dict[tuple[int, int], str] = {}
    for (index, call), (name, arguments) in _calls(payloads).items():
        given[index, call] = firsts.setdefault((index, name), arguments)
    for _, choice, item in parts(payloads):
        if "id" not in item:
            item["function"]["arguments"] = given.pop((choice["index"], item["index"]), "")
    return payloads


def _calls(payloads: Payloads) -> dict[tuple[int, int], tuple[str, str]]:
    """Name and whole arguments of each call, by the indices of its choice and its own."""
    found: dict[tuple[int, int], tuple[str, str]] = {}
    for _, choice, item in parts(payloads):
        name, arguments = found.get((choice["index"], item["index"]), ("", ""))
        more = item["function"]
        found[choice["index"], item["index"]] = more.get("name", name), arguments + more["arguments"]
    return found
