"""Faults of the argument fragments of streamed tool calls."""

from __future__ import annotations

from conformance.reference.faults.call_edits import first_deltas, last_parts, later_deltas, parts, starts_of
from conformance.reference.stages import Context, Stage, fault
from conformance.wire import strict_json
from conformance.wire.strict_json import Json

Chunks = list[dict[str, Json] | str]


@fault(
    "sd-args-object",
    at=Stage.CHUNKS,
    violates=["stream_tools.arguments.are_strings"],
    entails={"stream_tools.parity.arguments_stay_whole": "nothing is left to join"},
)
def args_object(chunks: Chunks, context: Context) -> Chunks:
    """Arguments stream as one object instead of fragments of a string."""
    starts = starts_of(chunks)
    joined: dict[tuple[int, int], str] = {}
    for _, choice, item in parts(chunks):
        key = (choice["index"], item["index"])
        joined[key] = joined.get(key, "") + item["function"]["arguments"]
    for _, choice, item in list(parts(chunks)):
        if item is not starts[choice["index"], item["index"]]:
            choice["delta"] = {}
    for key, start in starts.items():
        start["function"]["arguments"] = strict_json.parse(joined[key]).value
    return chunks


@fault(
    "sd-args-null",
    at=Stage.CHUNKS,
    violates=["stream_tools.arguments.are_strings"],
    thread="https://github.com/1jehuang/jcode/issues/225",
)
def args_null(chunks: Chunks, context: Context) -> Chunks:
    """The first delta of a call has null as arguments."""
    for item in first_deltas(chunks):
        item["function"]["arguments"] = None
    return chunks


@fault(
    "sd-args-cumulative",
    at=Stage.CHUNKS,
    violates=["stream_tools.arguments.are_fragments"],
    entails={
        "tool_calls.arguments.hold_an_object": "what the fragments join to is no JSON",
        "tool_calls.arguments.hold_an_object_when_strict": "what the fragments join to is no JSON",
        "stream_tools.parity.arguments_stay_whole": "the unstreamed arguments are whole",
        "finish_reason.cut_arguments.are_length": "arguments that do not parse look like cut ones",
    },
)
def args_cumulative(chunks: Chunks, context: Context) -> Chunks:
    """Each fragment repeats all before it."""
    sofar: dict[tuple[int, int], str] = {}
    for _, choice, item in parts(chunks):
        key = (choice["index"], item["index"])
        sofar[key] = sofar.get(key, "") + item["function"]["arguments"]
        item["function"]["arguments"] = sofar[key]
    return chunks


@fault(
    "sd-args-truncated",
    at=Stage.CHUNKS,
    violates=["stream_tools.parity.arguments_stay_whole"],
    entails={
        "tool_calls.arguments.hold_an_object": "what the fragments join to is no JSON",
        "tool_calls.arguments.hold_an_object_when_strict": "what the fragments join to is no JSON",
        "finish_reason.cut_arguments.are_length": "arguments that do not parse look like cut ones",
    },
    thread="https://github.com/vllm-project/vllm/issues/10781",
)
def args_truncated(chunks: Chunks, context: Context) -> Chunks:
    """The last fragment of a call loses its last character."""
    for item in last_parts(chunks):
        item["function"]["arguments"] = item["function"]["arguments"][:-1]
    return chunks


@fault(
    "sd-args-truncated-second",
    at=Stage.CHUNKS,
    violates=["stream_tools.parity.arguments_stay_whole"],
    entails={
        "tool_calls.arguments.hold_an_object": "what the fragments join to is no JSON",
        "finish_reason.cut_arguments.are_length": "arguments that do not parse look like cut ones",
    },
    thread="https://github.com/vllm-project/vllm/issues/15274",
    condition="only the second of several parallel calls",
)
def args_truncated_second(chunks: Chunks, context: Context) -> Chunks:
    """The second parallel call loses its closing brace."""
    for item in last_parts(chunks):
        if item["index"] == 1:
            item["function"]["arguments"] = item["function"]["arguments"][:-1]
    return chunks


@fault(
    "sd-args-head-lost",
    at=Stage.CHUNKS,
    violates=["stream_tools.parity.arguments_stay_whole"],
    entails={
        "tool_calls.arguments.hold_an_object": "what the fragments join to is no JSON",
        "tool_calls.arguments.hold_an_object_when_strict": "what the fragments join to is no JSON",
        "stream_tools.arguments.of_no_parameters_are_an_object": "arguments of one fragment are lost whole",
    },
    thread="https://github.com/vllm-project/vllm/issues/21046",
)
def args_head_lost(chunks: Chunks, context: Context) -> Chunks:
    """The first fragment of a call is lost."""
    seen: set[tuple[int, int]] = set()
    for _, choice, item in parts(chunks):
        key = (choice["index"], item["index"])
        if "id" not in item and key not in seen:
            seen.add(key)
            item["function"]["arguments"] = ""
    return chunks


@fault(
    "sd-args-empty-noarg",
    at=Stage.CHUNKS,
    violates=["stream_tools.arguments.of_no_parameters_are_an_object"],
    entails={"stream_tools.parity.arguments_stay_whole": "the unstreamed arguments are whole"},
    thread="https://github.com/Kilo-Org/cloud/pull/4753",
    dialects=("openai",),
    condition="only empty arguments",
)
def args_empty_noarg(chunks: Chunks, context: Context) -> Chunks:
    """Empty arguments stream as an empty string."""
    for item in later_deltas(chunks):
        if item["function"]["arguments"] == "{}":
            item["function"]["arguments"] = ""
    return chunks


@fault(
    "sd-args-letters-lost",
    at=Stage.CHUNKS,
    violates=["stream_tools.parity.same_arguments"],
    entails={"tools.strict.arguments_satisfy_the_schema": "names and values that the schema fixes lose letters"},
    condition="only non-ASCII arguments",
)
def args_letters_lost(chunks: Chunks, context: Context) -> Chunks:
    """Fragments lose the letters that are not ASCII."""
    for item in later_deltas(chunks):
        text = item["function"]["arguments"]
        item["function"]["arguments"] = text.encode("ascii", "ignore").decode()
    return chunks
