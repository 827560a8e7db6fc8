"""Faults of single entries: members that lack, values that are none, bytes that are others."""

from __future__ import annotations

import base64
from math import exp

from conformance.reference.faults.logprob_edits import (
    EditEntry,
    Fields,
    entry_fault,
    everywhere,
    is_own,
    is_partial,
    over_top,
    set_to,
    streamed,
    top_of,
    unstreamed,
    without,
)

_MEMBERS = "logprobs.entry.has_token_and_logprob"
_ALTERNATIVE = "logprobs.alternative.has_token_and_logprob"
_PRESENT = "logprobs.bytes.are_present"
_JOIN, _BEYOND = "logprobs.bytes.join_to_the_text", "logprobs.bytes.join_beyond_ascii"
_SPELL = "logprobs.bytes.spell_the_token"
_UNSPELT = {_BEYOND: "parts of characters cannot be put together without their bytes"}
_FLOAT_MIN = -3.4028234663852886e38
_ALPHABET = {
    byte: chr(byte if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or byte >= 0xAE else 0x100 + byte)
    for byte in range(256)
}
"""How byte-level tokenizers write bytes: printable ones as they are, the others 256 up (a space as U+0120)."""


def _raw(data: bytes) -> str:
    return "".join(_ALPHABET[byte] for byte in data)


entry_fault(
    "lp-token-ids", _MEMBERS, "Tokens are ids.", lambda entry, position: {**entry, "token": sum(entry["bytes"])}
)
entry_fault(
    "lp-value-text",
    _MEMBERS,
    "Log probabilities are strings.",
    lambda entry, position: {**entry, "logprob": str(entry["logprob"])},
    when=streamed,
    condition="only streamed",
)
entry_fault(
    "lp-first-value-null",
    _MEMBERS,
    "The first token has no log probability, as a prompt's first token has none.",
    lambda entry, position: {**entry, "logprob": None} if position == 0 else entry,
    condition="only the first token",
)
entry_fault(
    "lp-alternatives-as-text",
    _ALTERNATIVE,
    "Alternatives are their texts alone.",
    over_top(lambda top, entry: [item["token"] for item in top]),
)
entry_fault(
    "lp-last-alternative-without-value",
    _ALTERNATIVE,
    "The last of many alternatives has no log probability.",
    over_top(lambda top, entry: [*top[:-1], {**top[-1], "logprob": None}] if len(top) > 5 else top),
    condition="only with more than five alternatives",
)
entry_fault(
    "lp-alternatives-as-map",
    "logprobs.top.is_an_array",
    "Alternatives are a map from token to log probability.",
    over_top(lambda top, entry: {item["token"]: item["logprob"] for item in top}),
)
entry_fault(
    "lp-top-missing-from-second-choice",
    "logprobs.top.is_an_array",
    "Entries of later choices have no alternatives.",
    over_top(lambda top, entry: None),
    only_choice=1,
    condition="only from the second choice",
)
entry_fault(
    "lp-top-null-unasked",
    "logprobs.top.is_an_array_unasked",
    "Where no alternatives are asked for, they are null.",
    lambda entry, position: entry if entry["top_logprobs"] else {**entry, "top_logprobs": None},
    when=lambda context: top_of(context) == 0,
    dialects=("openai",),
    condition="only when top_logprobs is omitted or 0",
)
entry_fault(
    "lp-top-absent-unasked",
    "logprobs.top.is_an_array_unasked",
    "Where no alternatives are asked for, streams have no key for them.",
    without("top_logprobs"),
    when=lambda context: top_of(context) == 0 and context.streamed,
    dialects=("openai",),
    condition="only streamed, when top_logprobs is omitted or 0",
)
entry_fault(
    "lp-bytes-missing",
    _PRESENT,
    "Entries have no bytes.",
    without("bytes"),
    entails=_UNSPELT,
    thread="https://github.com/huggingface/text-generation-inference/pull/1682",
)
entry_fault(
    "lp-bytes-missing-in-alternatives",
    _PRESENT,
    "Alternatives have no bytes.",
    over_top(lambda top, entry: [without("bytes")(item, 0) for item in top]),
    condition="only alternatives",
)
entry_fault("lp-bytes-null", "logprobs.bytes.are_given", "Bytes are null.", set_to(bytes=None), entails=_UNSPELT)
entry_fault(
    "lp-bytes-base64",
    "logprobs.bytes.are_bytes",
    "Bytes are a string in base64.",
    lambda entry, position: {**entry, "bytes": base64.b64encode(bytes(entry["bytes"])).decode()},
    entails=_UNSPELT,
)


def _code_points(entry: Fields) -> Fields:
    return entry if is_partial(entry) else {**entry, "bytes": [ord(item) for item in entry["token"]]}


entry_fault(
    "lp-bytes-are-code-points",
    "logprobs.bytes.are_bytes",
    "The bytes of a token are its code points.",
    everywhere(_code_points),
    entails={
        _BEYOND: "a code point below 256 is another byte",
        _SPELL: "a code point below 256 is another byte",
    },
    condition="only for tokens beyond ASCII",
)


def _mojibake(entry: Fields) -> Fields:
    text = _raw(bytes(entry["bytes"]))
    return {**entry, "token": text, "bytes": list(text.encode())}


entry_fault(
    "lp-bytes-mojibake",
    [_JOIN, _BEYOND],
    "Tokens are in the tokenizer's own alphabet, and the bytes are those of that.",
    everywhere(_mojibake),
    thread="https://github.com/vllm-project/vllm/issues/19177",
)
entry_fault(
    "lp-bytes-mojibake-beyond-ascii",
    _BEYOND,
    "Tokens beyond ASCII are in the tokenizer's own alphabet, and the bytes are those of that.",
    everywhere(lambda entry: _mojibake(entry) if max(entry["bytes"], default=0) > 127 else entry),
    thread="https://github.com/InternLM/lmdeploy/issues/2802",
    condition="only for tokens beyond ASCII",
)
entry_fault(
    "lp-token-bpe-marker",
    _SPELL,
    "Tokens are in the tokenizer's own alphabet, beside true bytes.",
    everywhere(lambda entry: {**entry, "token": _raw(bytes(entry["bytes"]))}),
    thread="https://github.com/InternLM/lmdeploy/issues/2802",
)
entry_fault(
    "lp-token-space-marker",
    _SPELL,
    "A leading space is U+2581 in the tokens of later choices.",
    everywhere(lambda entry: {**entry, "token": entry["token"].replace(" ", "\u2581")}),
    only_choice=1,
    condition="only from the second choice",
)
entry_fault(
    "lp-part-in-own-alphabet",
    _SPELL,
    "Parts of characters are in the tokenizer's own alphabet.",
    everywhere(lambda entry: {**entry, "token": _raw(bytes(entry["bytes"]))} if is_partial(entry) else entry),
    condition="only for characters split over tokens",
)


def _last_byte(entry: Fields) -> Fields:
    return {**entry, "bytes": entry["bytes"][-1:]} if max(entry["bytes"], default=0) > 127 else entry


entry_fault(
    "lp-bytes-token-mismatch",
    _SPELL,
    "Of a character of several bytes, the alternatives have only the last one.",
    over_top(lambda top, entry: list(map(_last_byte, top))),
    entails={
        "logprobs.top.are_the_likeliest": "the chosen token is not found among the alternatives",
        "logprobs.top.lead_with_the_greedy_choice": "the chosen token is not found among the alternatives",
    },
    thread="https://github.com/ikawrakow/ik_llama.cpp/issues/780",
    condition="only alternatives beyond ASCII",
)
entry_fault(
    "lp-part-replaced",
    _BEYOND,
    "Parts of characters have the bytes of U+FFFD.",
    everywhere(lambda entry: {**entry, "token": "\ufffd", "bytes": [239, 191, 189]} if is_partial(entry) else entry),
    condition="only for characters split over tokens",
)
entry_fault(
    "lp-text-mismatch",
    [_JOIN, _BEYOND],
    "The third entry is of another token than the one in the text.",
    lambda entry, position: _another(entry) if position == 2 else entry,
    thread="https://github.com/ggml-org/llama.cpp/issues/4166",
)


def _another(entry: Fields) -> Fields:
    """The entry, and the chosen token among its alternatives, of a word that is not in the text."""
    other = {"token": " erm", "bytes": list(b" erm")}
    top = [{**item, **other} if is_own(item, entry) else item for item in entry["top_logprobs"]]
    return {**entry, **other, "top_logprobs": top}


entry_fault(
    "lp-tokens-beyond-ascii-left-out",
    _BEYOND,
    "Tokens beyond ASCII have no entry.",
    lambda entry, position: None if max(entry["bytes"], default=0) > 127 else entry,
    entails={
        "logprobs.stream.each_text_has_entries": "streamed, such a token is a chunk of its own",
        "logprobs.choices.have_entries": "some texts have no other tokens",
    },
    condition="only for tokens beyond ASCII",
)


def _linear(entry: Fields) -> Fields:
    return {**entry, "logprob": round(exp(entry["logprob"]), 4)}


entry_fault(
    "lp-positive",
    "logprobs.value.is_not_positive",
    "The values are probabilities from 0 to 1.",
    everywhere(_linear),
    thread="https://github.com/ggml-org/llama.cpp/pull/10783",
)


def _raised(entry: Fields) -> Fields:
    top = [{**item, "logprob": 0.25} if is_own(item, entry) else item for item in entry["top_logprobs"]]
    return {**entry, "logprob": 0.25, "top_logprobs": top}


entry_fault(
    "lp-positive-once-in-a-hundred",
    "logprobs.value.is_not_positive",
    "The value at one position in a hundred is above 0.",
    lambda entry, position: _raised(entry) if position % 100 == 99 else entry,
    condition="only at one position in a hundred",
)
entry_fault(
    "lp-negated",
    "logprobs.value.is_not_positive",
    "Streamed values are negative log probabilities, as a loss is.",
    lambda entry, position: entry if entry["top_logprobs"] else {**entry, "logprob": -entry["logprob"]},
    when=streamed,
    entails={"logprobs.parity.same_values": "unstreamed, they have their sign"},
    condition="only streamed, without alternatives",
)


def _last(value: float) -> EditEntry:
    """The last of more than five alternatives gets this value."""
    return over_top(lambda top, entry: [*top[:-1], {**top[-1], "logprob": value}] if len(top) > 5 else top)


entry_fault(
    "lp-infinity-literal",
    ["logprobs.value.is_finite", "transport.json.has_only_numbers_of_json"],
    "An alternative that was masked out is -Infinity, which is no JSON.",
    _last(float("-inf")),
    dialects=("openai", "xerotier"),
    thread="https://github.com/vllm-project/vllm/issues/11397",
    condition="only with more than five alternatives",
)
entry_fault(
    "lp-nan-literal",
    ["logprobs.value.is_finite", "transport.json.has_only_numbers_of_json"],
    "The value of the first token is NaN.",
    lambda entry, position: {**entry, "logprob": float("nan")} if position == 0 else entry,
    when=unstreamed,
    dialects=("openai", "xerotier"),
    thread="https://github.com/vllm-project/vllm-ascend/issues/2934",
    condition="only unstreamed, the first token",
)
entry_fault(
    "lp-float-min",
    "logprobs.value.is_above_the_floor",
    "An alternative that was masked out has the least float.",
    _last(_FLOAT_MIN),
    thread="https://github.com/sgl-project/sglang/issues/5761",
    condition="only with more than five alternatives",
)
entry_fault(
    "lp-chosen-float-min",
    "logprobs.value.is_above_the_floor",
    "In streams the first token has the least float.",
    lambda entry, position: {**entry, "logprob": _FLOAT_MIN} if position == 0 and not entry["top_logprobs"] else entry,
    when=streamed,
    condition="only streamed, the first token, without alternatives",
)
