"""Faults of alternatives: too many, too few, out of order, of another position, or without the chosen token."""

from __future__ import annotations

from math import log
from typing import Any

from conformance.reference.faults.logprob_edits import (
    EditObject,
    Fields,
    answer_fault,
    entry_fault,
    everywhere,
    is_own,
    over_top,
    streamed,
)

_COUNT = "logprobs.top.as_many_as_asked"
_SORTED = "logprobs.top.are_sorted"
_LIKELIEST = "logprobs.top.are_the_likeliest"
_LEAD = "logprobs.top.lead_with_the_greedy_choice"
_UNLISTED = "the chosen token is not listed"


def _surplus(top: list[Fields], entry: Fields) -> list[Fields]:
    """The alternatives, and one that is still less likely than the last."""
    last = top[-1]["logprob"] if top else -9.0 - sum(entry["bytes"]) % 17 / 100
    return [*top, {"token": " zz", "logprob": min(last, -9.0) - 1, "bytes": list(b" zz")}]


entry_fault(
    "lp-top-one-too-many",
    "logprobs.top.at_most_as_asked",
    "There is one alternative more than asked for: the chosen token comes on top of them.",
    over_top(_surplus),
)
entry_fault(
    "lp-top-always-five",
    "logprobs.top.at_most_as_asked",
    "Streams list an alternative also where none are asked for.",
    lambda entry, position: (
        entry
        if entry["top_logprobs"]
        else {**entry, "top_logprobs": [{key: entry[key] for key in ("token", "logprob", "bytes")}]}
    ),
    when=streamed,
    condition="only streamed, when top_logprobs is omitted or 0",
)
entry_fault(
    "lp-top-count-low",
    _COUNT,
    "There is one alternative less than asked for.",
    over_top(lambda top, entry: top[:-1] if len(top) > 1 else top),
    thread="https://github.com/vllm-project/vllm/issues/44319",
)


def _certain(entry: Fields, position: int) -> Fields:
    top = [{**item, "logprob": 0.0} for item in entry["top_logprobs"] if is_own(item, entry)]
    return {**entry, "logprob": 0.0, "top_logprobs": top}


entry_fault(
    "lp-top-narrowed-by-top-p",
    _COUNT,
    "With top_p only the tokens that are left are listed, with the probabilities that they then have.",
    _certain,
    when=lambda context: context.chat.body.get("top_p") not in (None, 1),
    thread="https://github.com/huggingface/text-generation-inference/issues/2108",
    condition="only with top_p below 1",
)


def _first_everywhere() -> EditObject:
    """An edit that repeats the alternatives of a choice's first entry, over all chunks of one answer."""
    first: dict[int, Any] = {}

    def edit(logprobs: Fields, choice: Fields) -> Fields:
        for entry in logprobs["content"] or []:
            entry["top_logprobs"] = first.setdefault(choice["index"], entry["top_logprobs"])
        return logprobs

    return edit


_AGREE = {"logprobs.top.agree_on_the_chosen": "a word of every list is the chosen one at some position"}
_REPEATED = {_LIKELIEST: _UNLISTED, _LEAD: _UNLISTED}
answer_fault(
    "lp-top-same-everywhere",
    "logprobs.top.go_with_their_position",
    "Every position lists the alternatives of the first.",
    _first_everywhere,
    entails={**_REPEATED, **_AGREE},
    thread="https://github.com/sgl-project/sglang/pull/2088",
)
answer_fault(
    "lp-top-same-everywhere-streamed",
    "logprobs.top.go_with_their_position",
    "In streams every position lists the alternatives of the first.",
    _first_everywhere,
    when=streamed,
    entails={
        **_REPEATED,
        "logprobs.top.agree_on_the_chosen": "the first one's alternatives may hold the chosen token",
    },
    thread="https://github.com/sgl-project/sglang/issues/5761",
    condition="only streamed",
)


def _one_late() -> EditObject:
    """An edit that gives each position the alternatives of the one before."""
    before: dict[int, Any] = {}

    def edit(logprobs: Fields, choice: Fields) -> Fields:
        for entry in logprobs["content"] or []:
            own = entry["top_logprobs"]
            entry["top_logprobs"] = before.get(choice["index"], own)
            before[choice["index"]] = own
        return logprobs

    return edit


answer_fault(
    "lp-top-one-late",
    _LEAD,
    "Each position lists the alternatives of the one before.",
    _one_late,
    entails={_LIKELIEST: _UNLISTED, **_AGREE},
)
entry_fault(
    "lp-top-in-vocabulary-order",
    _SORTED,
    "Alternatives come in the order of the vocabulary.",
    over_top(lambda top, entry: sorted(top, key=lambda item: item["bytes"])),
)
entry_fault(
    "lp-top-chosen-last",
    _SORTED,
    "In streams the chosen token is put at the end of the alternatives.",
    over_top(lambda top, entry: [*top[1:], top[0]]),
    when=streamed,
    condition="only streamed",
)
entry_fault(
    "lp-top-doubled",
    "logprobs.top.are_distinct",
    "The last but one of three or more alternatives stands twice.",
    over_top(lambda top, entry: [*top[:-1], top[-2]] if len(top) > 2 else top),
    condition="only with three alternatives or more",
)
entry_fault(
    "lp-base-ten",
    "logprobs.top.sum_to_at_most_one",
    "The logarithms are to base 10.",
    everywhere(lambda entry: {**entry, "logprob": entry["logprob"] / log(10)}),
)


def _cooler(entry: Fields, position: int) -> Fields:
    return {**entry, "logprob": entry["logprob"] * 0.7}


entry_fault(
    "lp-chosen-after-temperature",
    "logprobs.top.agree_on_the_chosen",
    "The chosen token has the value after temperature, the alternatives have theirs before it.",
    _cooler,
    when=lambda context: context.chat.body.get("temperature") == 1,
    condition="only at a temperature above 0",
)
entry_fault(
    "lp-chosen-disagrees-in-the-second-choice",
    "logprobs.top.agree_on_the_chosen",
    "In later choices the chosen token has another value than among the alternatives.",
    _cooler,
    only_choice=1,
    condition="only from the second choice",
)


def _others(top: list[Fields], entry: Fields) -> list[Fields]:
    others = [item for item in top if not is_own(item, entry)]
    lower = sum(entry["bytes"]) % 17 / 100
    listed = [{**item, "logprob": round(item["logprob"] - lower, 4)} for item in others]
    return _surplus(listed, entry)[: len(top)]


entry_fault(
    "lp-chosen-left-out",
    _LIKELIEST,
    "The chosen token is not listed, though it is the likeliest.",
    over_top(_others),
    entails={_LEAD: _UNLISTED},
    thread="https://github.com/InternLM/lmdeploy/issues/2802",
)
