"""Faults of entries against the text: of other tokens, too many of them, or in other chunks than their text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.reference.faults.logprob_edits import (
    EditObject,
    Fields,
    entry_fault,
    is_own,
    made_up,
    object_fault,
    spread,
    streamed,
    unstreamed,
)
from conformance.reference.payloads import Payloads
from conformance.reference.stages import Context, Stage, fault
from conformance.reference.tokens import split

_JOIN, _BEYOND = "logprobs.bytes.join_to_the_text", "logprobs.bytes.join_beyond_ascii"
_MANY = "logprobs.entries.are_no_more_than_tokens"
_EACH = "logprobs.stream.each_text_has_entries"
_OF_CHUNK = "logprobs.stream.entries_are_of_their_chunk"
_BESIDE = "logprobs.stream.none_beside_text"
_TOKENS = "logprobs.parity.same_tokens"
_UNSTREAMED = {_TOKENS: "streamed, they are not there"}
_COUNT = {"logprobs.top.as_many_as_asked": "what was not generated has no alternatives"}


def _before(*said: str) -> EditObject:
    """An edit that puts entries of other tokens before those of the content."""

    def edit(logprobs: Fields, choice: Fields) -> Fields:
        extra = [made_up(data) for text in said for data in split(text)]
        return {**logprobs, "content": [*extra, *(logprobs["content"] or [])]}

    return edit


object_fault(
    "lp-prompt-entries",
    [_JOIN, _BEYOND, _MANY],
    "Unstreamed, the tokens of the prompt have entries too.",
    _before("Repeat this to me, word for word, if you please"),
    when=unstreamed,
    entails={**_UNSTREAMED, **_COUNT},
    condition="only unstreamed",
)
object_fault(
    "lp-reasoning-entries",
    [_JOIN, _MANY],
    "The tokens of hidden reasoning have entries.",
    _before("First I have to think about this for long"),
    when=lambda context: isinstance(context.chat.body.get("reasoning_effort"), str),
    entails=_COUNT,
    condition="only with reasoning",
)


def _ending(entry: Fields) -> EditObject:
    """An edit that adds an entry at the end: unstreamed to the list, streamed to the chunk with the finish."""

    def edit(logprobs: Fields, choice: Fields) -> Fields:
        if not logprobs["content"] or choice.get("finish_reason") is None:
            return logprobs
        return {**logprobs, "content": [*logprobs["content"], entry]}

    return edit


object_fault(
    "lp-special-token-entry",
    "logprobs.entry.is_of_the_text",
    "Unstreamed, the token that ends the answer has an entry of nothing.",
    _ending({"token": "", "logprob": -9999.0, "bytes": [], "top_logprobs": []}),
    when=unstreamed,
    thread="https://github.com/vllm-project/vllm/pull/17637",
    condition="only unstreamed",
)
object_fault(
    "lp-end-token-entry",
    [_JOIN, _BEYOND],
    "Unstreamed, the token that ends the answer has an entry.",
    _ending(made_up(b"<|im_end|>")),
    when=unstreamed,
    entails={
        **_COUNT,
        _MANY: "the token is not counted",
        _TOKENS: "streamed, it is not there",
    },
    condition="only unstreamed",
)


@fault(
    "lp-call-entries",
    at=Stage.BODY,
    violates=["logprobs.content.leaves_calls_out"],
    dialects=("openai",),
    condition="only unstreamed answers of calls",
)
def call_entries(body: Fields, context: Context) -> Fields:
    """The first tokens of a call's arguments have entries under content."""
    if context.route != "POST /chat/completions" or not context.chat.wants_logprobs:
        return body
    for choice in body["choices"]:
        calls = choice["message"].get("tool_calls")
        if calls and not choice["message"].get("content"):
            pieces = [data for call in calls for data in split(call["function"]["arguments"])]
            choice["logprobs"] = {"content": list(map(made_up, pieces[:2])), "refusal": None}
    return body


Lists = list[list[Fields]]


def _flat(lists: Lists) -> list[Fields]:
    return [entry for found in lists for entry in found]


def _at(place: int, lists: Lists, entries: list[Fields]) -> Lists:
    return [entries if position == place else [] for position in range(len(lists))]


def _last_text(texts: list[bool]) -> int:
    return max((place for place, text in enumerate(texts) if text), default=-1)


def _laid_out(
    name: str, violates: list[str], says: str, place: Callable[[Lists, list[bool]], Lists], **more: Any
) -> None:
    """Register a fault that moves the entries of a stream to other chunks."""

    def hook(payloads: Payloads, context: Context) -> Payloads:
        return spread(payloads, place) if context.chat.wants_logprobs else payloads

    hook.__doc__ = says
    fault(name, at=Stage.CHUNKS, violates=violates, **more)(hook)


_LOST = {
    _JOIN: "what is lost is missing from the whole",
    _BEYOND: "what is lost is missing from the whole",
    _TOKENS: "unstreamed, nothing is lost",
}
_laid_out(
    "lp-stream-last-only",
    [_EACH],
    "Only the entries of the last chunk with text are sent.",
    lambda lists, texts: _at(_last_text(texts), lists, lists[_last_text(texts)]),
    entails=_LOST,
    thread="https://github.com/Menci/Floway/issues/481",
    condition="only streamed",
)
_laid_out(
    "lp-stream-all-at-the-end",
    [_EACH, _OF_CHUNK],
    "All entries of a stream come with the last text.",
    lambda lists, texts: _at(_last_text(texts), lists, _flat(lists)),
    condition="only streamed",
)
_laid_out(
    "lp-stream-on-finish",
    [_EACH, _BESIDE],
    "The entries of the last text come with the finish.",
    lambda lists, texts: (
        [*lists[: _last_text(texts)], [], *lists[_last_text(texts) + 1 : -1], lists[_last_text(texts)]]
        if sum(texts) > 1
        else lists
    ),
    condition="only streamed",
)
_laid_out(
    "lp-stream-one-early",
    [_EACH, _OF_CHUNK, _BESIDE],
    "The entries of a stream come one chunk before their text.",
    lambda lists, texts: [*lists[1:], []],
    condition="only streamed",
)
_laid_out(
    "lp-stream-repeated-on-finish",
    [_BESIDE],
    "The chunk with the finish brings all entries once more.",
    lambda lists, texts: [*lists[:-1], _flat(lists)],
    entails={
        _JOIN: "together they spell the text twice",
        _BEYOND: "together they spell the text twice",
        _TOKENS: "unstreamed, they come once",
        _MANY: "together they are twice as many",
    },
    condition="only streamed",
)


def _joined(lists: Lists, texts: list[bool]) -> Lists:
    """The entries of a chunk as one."""
    return [_one(found) if len(found) > 1 else found for found in lists]


def _one(found: list[Fields]) -> list[Fields]:
    data = bytes(byte for entry in found for byte in entry["bytes"])
    top = found[0]["top_logprobs"]
    whole = made_up(data)
    own = {key: whole[key] for key in ("token", "logprob", "bytes")}
    return [{**whole, "top_logprobs": [own, *top[1:]] if top else top}]


_laid_out(
    "lp-stream-parts-joined",
    [_TOKENS],
    "In streams, the tokens of one character have one entry.",
    _joined,
    condition="only streamed, for characters split over tokens",
)


def _lower(entry: Fields, position: int) -> Fields:
    top = [
        {**item, "logprob": item["logprob"] - 0.3} if is_own(item, entry) else item for item in entry["top_logprobs"]
    ]
    return {**entry, "logprob": entry["logprob"] - 0.3, "top_logprobs": top}


entry_fault(
    "lp-stream-other-values",
    "logprobs.parity.same_values",
    "Streamed values are others than unstreamed ones.",
    _lower,
    when=streamed,
    condition="only streamed",
)
