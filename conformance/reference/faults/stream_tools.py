"""Faults of the deltas of streamed tool calls: index, id, type and name, the list, the end."""

from __future__ import annotations

from typing import Any

from conformance.reference.faults.call_edits import (
    after_result,
    call_deltas,
    deltas,
    demanded,
    first_deltas,
    last_parts,
    later_deltas,
    parts,
    starts_of,
)
from conformance.reference.stages import Context, Stage, fault
from conformance.wire.chat_request import Choosing
from conformance.wire.strict_json import Json

Chunks = list[dict[str, Json] | str]


@fault(
    "sd-tool-calls-object",
    at=Stage.CHUNKS,
    violates=["stream_tools.list.is_an_array_of_objects"],
    entails={
        "storage.streamed.has_the_joined_choices": "what is stored has the calls",
        "tool_choice.allowed_tools.bounds_the_calls": "no call can be made out any more",
        "structured_output.content.is_not_empty": "neither a call nor a text can be made out",
        "tool_choice.required.calls_a_tool": "no call can be made out any more",
        "tool_choice.named.calls_the_function": "no call can be made out any more",
        "stream.parity.same_kinds_of_content": "the unstreamed answer has calls",
    },
    thread="https://github.com/huggingface/text-generation-inference/issues/2794",
    dialects=("openai", "aurous"),
)
def tool_calls_object(chunks: Chunks, context: Context) -> Chunks:
    """A delta's tool_calls is one object, not an array."""
    for delta in deltas(chunks):
        if delta.get("tool_calls"):
            delta["tool_calls"] = delta["tool_calls"][0]
    return chunks


@fault(
    "sd-index-missing",
    at=Stage.CHUNKS,
    violates=["stream_tools.index.is_an_integer"],
    thread="https://github.com/ollama/ollama/issues/7881",
)
def index_missing(chunks: Chunks, context: Context) -> Chunks:
    """Tool-call deltas have no index."""
    for _, item in call_deltas(chunks):
        del item["index"]
    return chunks


@fault(
    "sd-index-missing-later",
    at=Stage.CHUNKS,
    violates=["stream_tools.index.is_an_integer"],
    thread="https://github.com/openai/openai-python/pull/3246",
    condition="only in later deltas of a call, only with include_usage",
)
def index_missing_later(chunks: Chunks, context: Context) -> Chunks:
    """Argument fragments have a string as index where usage was asked for."""
    for item in later_deltas(chunks) if context.chat.include_usage else ():
        item["index"] = str(item["index"])
    return chunks


@fault("sd-index-from-one", at=Stage.CHUNKS, violates=["stream_tools.index.counts_from_zero"])
def index_from_one(chunks: Chunks, context: Context) -> Chunks:
    """Indices of tool calls begin at 1."""
    for _, item in call_deltas(chunks):
        item["index"] += 1
    return chunks


@fault(
    "sd-id-missing-first",
    at=Stage.CHUNKS,
    violates=["stream_tools.first_delta.has_id"],
    entails={"tool_calls.id.is_a_string": "an id that never comes leaves the call without one"},
    thread="https://github.com/continuedev/continue/pull/13235",
)
def id_missing_first(chunks: Chunks, context: Context) -> Chunks:
    """No delta has the id of the call."""
    for item in first_deltas(chunks):
        item["id"] = None
    return chunks


@fault(
    "sd-id-late",
    at=Stage.CHUNKS,
    violates=["stream_tools.first_delta.has_id"],
    condition="only calls of several deltas",
)
def id_late(chunks: Chunks, context: Context) -> Chunks:
    """The id comes in the second delta of the call."""
    starts = starts_of(chunks)
    for _, choice, item in parts(chunks):
        start = starts.get((choice["index"], item["index"]))
        if start is not None and item is not start and "id" in start:
            item["id"] = start.pop("id")
    return chunks


@fault(
    "sd-type-missing",
    at=Stage.CHUNKS,
    violates=["stream_tools.first_delta.has_type"],
    entails={"tool_calls.type.is_function": "a type that never comes leaves the call without one"},
    thread="https://github.com/vllm-project/vllm/issues/13078",
    condition="only the second of several parallel calls",
    dialects=("openai", "xerotier"),
)
def type_missing(chunks: Chunks, context: Context) -> Chunks:
    """The second parallel call has no type."""
    for item in first_deltas(chunks):
        if item["index"] == 1:
            del item["type"]
    return chunks


@fault(
    "sd-name-late",
    at=Stage.CHUNKS,
    violates=["stream_tools.first_delta.has_name"],
    dialects=("openai", "xerotier"),
)
def name_late(chunks: Chunks, context: Context) -> Chunks:
    """The name comes in the second delta of the call."""
    starts = starts_of(chunks)
    for _, choice, item in parts(chunks):
        start = starts.get((choice["index"], item["index"]))
        if start is not None and item is not start and "name" in start["function"]:
            item["function"]["name"] = start["function"].pop("name")
    return chunks


@fault(
    "sd-id-repeated",
    at=Stage.CHUNKS,
    violates=["stream_tools.id.is_sent_once"],
    thread="https://github.com/mcowger/plexus/pull/722",
)
def id_repeated(chunks: Chunks, context: Context) -> Chunks:
    """Every argument fragment repeats the id."""
    starts = starts_of(chunks)
    for _, choice, item in parts(chunks):
        item["id"] = starts[choice["index"], item["index"]]["id"]
    return chunks


@fault(
    "sd-id-empty-continuation",
    at=Stage.CHUNKS,
    violates=["stream_tools.id.is_sent_once"],
    thread="https://github.com/InternLM/lmdeploy/issues/3412",
)
def id_empty_continuation(chunks: Chunks, context: Context) -> Chunks:
    """Argument fragments have an empty id."""
    for item in list(later_deltas(chunks)):
        item["id"] = ""
    return chunks


@fault(
    "sd-name-repeated",
    at=Stage.CHUNKS,
    violates=["stream_tools.name.is_sent_once"],
    thread="https://github.com/mcowger/plexus/pull/722",
)
def name_repeated(chunks: Chunks, context: Context) -> Chunks:
    """Every argument fragment repeats the name."""
    starts = starts_of(chunks)
    for _, choice, item in parts(chunks):
        item["function"]["name"] = starts[choice["index"], item["index"]]["function"]["name"]
    return chunks


@fault(
    "sd-name-empty-continuation",
    at=Stage.CHUNKS,
    violates=["stream_tools.name.is_sent_once"],
    thread="https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/649",
)
def name_empty_continuation(chunks: Chunks, context: Context) -> Chunks:
    """Argument fragments have an empty name."""
    for item in later_deltas(chunks):
        item["function"]["name"] = ""
    return chunks


@fault(
    "sd-id-new-each-fragment",
    at=Stage.CHUNKS,
    violates=["stream_tools.id.never_changes"],
    thread="https://github.com/vllm-project/vllm/pull/23522",
    dialects=("openai", "aurous"),
)
def id_new_each_fragment(chunks: Chunks, context: Context) -> Chunks:
    """Every argument fragment has an id of its own."""
    for count, item in enumerate(list(later_deltas(chunks))):
        item["id"] = f"call_fragment{count:015}"
    return chunks


@fault(
    "sd-id-changes-second",
    at=Stage.CHUNKS,
    violates=["stream_tools.id.never_changes"],
    thread="https://github.com/poolsideai/pool/issues/9",
    dialects=("openai", "aurous"),
    condition="only with n = 2 or after a tool result",
)
def id_changes_second(chunks: Chunks, context: Context) -> Chunks:
    """The last fragment of a call has another id than its first, with several choices or after a result."""
    if after_result(context) or (context.chat.n or 1) > 1:
        for item in last_parts(chunks):
            item["id"] = "call_another0000000000000"
    return chunks


@fault(
    "sd-name-null-final",
    at=Stage.CHUNKS,
    violates=["stream_tools.name.never_changes"],
    thread="https://github.com/sgl-project/sglang/issues/4700",
    dialects=("openai",),
)
def name_null_final(chunks: Chunks, context: Context) -> Chunks:
    """The last fragment of a call has another name."""
    for item in last_parts(chunks):
        item["function"]["name"] = "None"
    return chunks


@fault(
    "sd-call-doubled",
    at=Stage.CHUNKS,
    violates=["stream_tools.parity.same_calls"],
    entails={
        "tool_choice.named.calls_once": "the call comes twice",
        "parallel.false.makes_one_call": "the call comes twice",
    },
    condition="only where tool_choice names a function",
)
def call_doubled(chunks: Chunks, context: Context) -> Chunks:
    """A named call is sent a second time under the next index, whole."""
    if demanded(context).choosing is not Choosing.NAMED:
        return chunks
    whole = any(choice.get("finish_reason") == "length" for chunk in chunks if isinstance(chunk, dict)
                for choice in chunk.get("choices", ()))  # fmt: skip
    if whole:
        return chunks
    made: Chunks = []
    for chunk in chunks:
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        if isinstance(chunk, dict) and choices and choices[0].get("finish_reason"):
            made.extend(_second(chunks, chunk, choices[0]["index"]))
        made.append(chunk)
    return made


def _second(chunks: Chunks, like: dict[str, Json], index: int) -> Chunks:
    copies: Chunks = []
    for _, choice, item in list(parts(chunks)):
        if choice["index"] == index:
            copy: dict[str, Any] = {**item, "index": item["index"] + 1}
            if "id" in copy:
                copy["id"] = f"{copy['id'][:-1]}_"
            copies.append({**like, "choices": [{**choice, "delta": {"tool_calls": [copy]}, "finish_reason": None}]})
    return copies


@fault(
    "sd-calls-interleaved",
    at=Stage.CHUNKS,
    violates=["stream_tools.calls.do_not_interleave"],
    dialects=("openai",),
    condition="only several parallel calls",
)
def calls_interleaved(chunks: Chunks, context: Context) -> Chunks:
    """The last fragment of the first call comes after the first of the second."""
    held: dict[int, tuple[int, dict[str, Json]]] = {}
    swaps: list[tuple[int, int]] = []
    for position, choice, item in parts(chunks):
        if item["index"] == 0 and "id" not in item:
            held[choice["index"]] = (position, item)
        elif item["index"] == 1 and "id" in item and choice["index"] in held:
            swaps.append((held.pop(choice["index"])[0], position))
    for earlier, later in swaps:
        chunks[earlier], chunks[later] = chunks[later], chunks[earlier]
    return chunks


@fault(
    "sd-finish-before-last",
    at=Stage.CHUNKS,
    violates=["stream_tools.finish.follows_every_fragment", "stream.finish.nothing_is_said_after"],
)
def finish_before_last(chunks: Chunks, context: Context) -> Chunks:
    """The finish_reason of a choice with calls comes before its last fragment."""
    for position in range(1, len(chunks)):
        before, chunk = chunks[position - 1], chunks[position]
        if not (
            isinstance(before, dict) and isinstance(chunk, dict) and before.get("choices") and chunk.get("choices")
        ):
            continue
        ended, fragment = chunk["choices"][0], before["choices"][0]
        if ended.get("finish_reason") == "tool_calls" and fragment["delta"].get("tool_calls"):
            chunks[position - 1], chunks[position] = chunk, before
    return chunks


@fault(
    "sd-finish-stop-required",
    at=Stage.CHUNKS,
    violates=["stream_tools.finish.says_tool_calls"],
    entails={
        "finish_reason.required_call.is_tool_calls": "the reason is another",
        "stream.parity.same_finish_reason": "the unstreamed reason is right",
    },
    dialects=("aurous",),
)
def finish_stop_required(chunks: Chunks, context: Context) -> Chunks:
    """Streams of required calls end with "stop"."""
    if demanded(context).choosing is Choosing.REQUIRED:
        for chunk in chunks:
            for choice in chunk.get("choices", ()) if isinstance(chunk, dict) else ():
                if choice.get("finish_reason") == "tool_calls":
                    choice["finish_reason"] = "stop"
    return chunks


@fault(
    "sd-no-tool-deltas",
    at=Stage.CHUNKS,
    violates=["tool_choice.required.calls_a_tool", "tool_choice.named.calls_the_function"],
    entails={
        "tool_choice.allowed_tools.bounds_the_calls": "no call can be made out any more",
        "structured_output.content.is_not_empty": "neither a call nor a text can be made out",
        "storage.streamed.has_the_joined_choices": "what is stored has the calls",
        "stream.parity.same_kinds_of_content": "the unstreamed answer has calls",
    },
    thread="https://github.com/raullenchai/Rapid-MLX/issues/425",
)
def no_tool_deltas(chunks: Chunks, context: Context) -> Chunks:
    """Calls never show in streams; the choice ends with "stop"."""
    for delta in deltas(chunks):
        delta.pop("tool_calls", None)
    for chunk in chunks:
        for choice in chunk.get("choices", ()) if isinstance(chunk, dict) else ():
            if choice.get("finish_reason") == "tool_calls":
                choice["finish_reason"] = "stop"
    return chunks


@fault("sd-empty-list", at=Stage.CHUNKS, violates=["stream_tools.list.is_never_empty"])
def empty_list(chunks: Chunks, context: Context) -> Chunks:
    """Text deltas carry an empty tool_calls array."""
    for delta in deltas(chunks):
        if delta.get("content"):
            delta["tool_calls"] = []
    return chunks
