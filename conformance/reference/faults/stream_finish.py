"""Streams whose choices end wrongly: without a finish_reason, with two, or with something after it."""

from __future__ import annotations

from conformance.reference.payloads import Choice, Payload, Payloads, each_choice
from conformance.reference.stages import Context, Stage, fault

_EVERY = "stream.finish.comes_for_every_choice"
_NULL = "stream.finish.is_null_until_the_end"


@fault(
    "fr-missing-in-streams",
    at=Stage.CHUNKS,
    violates=[_EVERY],
    thread="https://github.com/acheong08/ChatGPT-to-API/issues/14",
)
def missing_in_streams(payloads: Payloads, context: Context) -> Payloads:
    """No chunk has a finish_reason."""
    return each_choice(payloads, lambda choice: {**choice, "finish_reason": None})


@fault("fr-missing-when-cut", at=Stage.CHUNKS, violates=[_EVERY], condition="only if the token limit cuts the answer")
def missing_when_cut(payloads: Payloads, context: Context) -> Payloads:
    """An answer that the token limit cut has no finish_reason."""
    return each_choice(
        payloads,
        lambda choice: {**choice, "finish_reason": None} if choice["finish_reason"] == "length" else choice,
    )


@fault(
    "fr-missing-for-later-choices",
    at=Stage.CHUNKS,
    violates=[_EVERY],
    dialects=("openai",),
    condition="only if n is 2 or more",
)
def missing_for_later_choices(payloads: Payloads, context: Context) -> Payloads:
    """Only choice 0 says why it ended."""
    return each_choice(payloads, lambda choice: {**choice, "finish_reason": None} if choice["index"] else choice)


@fault(
    "nc-finish-index-zero",
    at=Stage.CHUNKS,
    violates=[_EVERY, "stream.finish.comes_once"],
    dialects=("openai",),
    thread="https://github.com/ggml-org/llama.cpp/pull/20226",
    condition="only if n is 2 or more",
)
def finish_index_zero(payloads: Payloads, context: Context) -> Payloads:
    """Every finish has index 0."""
    return each_choice(payloads, lambda choice: {**choice, "index": 0} if choice["finish_reason"] else choice)


def _after_finish(payloads: Payloads, *later: Choice) -> Payloads:
    """After the chunk that finishes choice 0, further chunks with these choices."""
    made: list[Payload] = []
    for payload in payloads:
        made.append(payload)
        if isinstance(payload, dict) and any(
            choice["finish_reason"] and choice["index"] == 0 for choice in payload.get("choices", ())
        ):
            made += [{**payload, "choices": [choice]} for choice in later]
    return made


@fault("fr-twice", at=Stage.CHUNKS, violates=["stream.finish.comes_once"], dialects=("openai", "xerotier"))
def twice(payloads: Payloads, context: Context) -> Payloads:
    """The finish_reason comes twice."""
    return [
        part
        for payload in payloads
        for part in (
            (payload, payload)
            if isinstance(payload, dict) and any(choice["finish_reason"] for choice in payload.get("choices", ()))
            else (payload,)
        )
    ]


@fault(
    "fr-empty-until-the-end", at=Stage.CHUNKS, violates=[_NULL], thread="https://github.com/sigoden/aichat/issues/580"
)
def empty_until_the_end(payloads: Payloads, context: Context) -> Payloads:
    """finish_reason is empty until the end."""
    return each_choice(payloads, lambda choice: {**choice, "finish_reason": choice["finish_reason"] or ""})


@fault("fr-false-until-the-end", at=Stage.CHUNKS, violates=[_NULL], condition="only chunks with text")
def false_until_the_end(payloads: Payloads, context: Context) -> Payloads:
    """finish_reason is false in chunks with text."""
    return each_choice(
        payloads,
        lambda choice: (
            {**choice, "finish_reason": False}
            if choice["delta"].get("content") and not choice["finish_reason"]
            else choice
        ),
    )


@fault("fr-key-missing-until-the-end", at=Stage.CHUNKS, violates=["stream.choice.has_finish_reason_key"])
def key_missing_until_the_end(payloads: Payloads, context: Context) -> Payloads:
    """Chunks before the last of a choice have no finish_reason key."""
    return each_choice(
        payloads,
        lambda choice: (
            choice
            if choice["finish_reason"]
            else {key: value for key, value in choice.items() if key != "finish_reason"}
        ),
    )


@fault(
    "fr-then-text",
    at=Stage.CHUNKS,
    violates=["stream.finish.nothing_is_said_after"],
    entails={
        "stream.parity.same_text": "the text has a word more",
        "stream.parity.loses_no_text": "the text has a word more",
    },
    condition="only if the answer ends with stop and there are no tools, formats and stop sequences",
)
def then_text(payloads: Payloads, context: Context) -> Payloads:
    """After its finish_reason a choice goes on."""
    free = not any(context.chat.body.get(key) for key in ("tools", "response_format", "stop", "logprobs"))
    stopped = any(
        choice["finish_reason"] == "stop"
        for payload in payloads
        if isinstance(payload, dict)
        for choice in payload.get("choices", ())
    )
    later: Choice = {"index": 0, "delta": {"content": " Bye."}, "finish_reason": None}
    return _after_finish(payloads, later) if free and stopped else payloads


@fault(
    "fr-then-null",
    at=Stage.CHUNKS,
    violates=["stream.finish.is_the_last_word"],
    thread="https://github.com/tensorzero/tensorzero/issues/2078",
)
def then_null(payloads: Payloads, context: Context) -> Payloads:
    """After its finish a choice has one more empty chunk, with finish_reason null."""
    made = _after_finish(payloads, {"index": 0, "delta": {}, "finish_reason": None})
    if context.dialect.convention("usage.in_stream") != "finish_chunk":
        return made
    return [
        {**payload, "usage": None}
        if isinstance(payload, dict) and not any(choice["finish_reason"] for choice in payload.get("choices", ()))
        else payload
        for payload in made
    ]
