"""Faults of tools that show under one condition only: with one kind of name, argument, history or answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.reference.arguments import instance
from conformance.reference.faults.call_edits import (
    after_result,
    body_calls,
    demanded,
    first_deltas,
    history_calls,
    last_parts,
    later_deltas,
    parts,
    said,
    with_calls,
)
from conformance.reference.stages import Chosen, Completion, Context, Stage, Token, fault
from conformance.wire import strict_json
from conformance.wire.chat_request import Choosing
from conformance.wire.strict_json import Json

Chunks = list[dict[str, Json] | str]


@fault(
    "tc-required-ignored-after-result",
    at=Stage.DEMAND,
    violates=["tool_choice.required.calls_a_tool"],
    condition="only after a tool result, only where nothing else asks for a call",
)
def required_ignored_after_result(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Once a tool has answered, tool_choice "required" is taken for "none"."""
    forced = demand.get("tool_choice") == "required" and after_result(context)
    return {**demand, "tool_choice": "none"} if forced else demand


@fault(
    "tc-none-ignored-after-result",
    at=Stage.DEMAND,
    violates=["tool_choice.none.makes_no_call"],
    condition="only after a tool result",
)
def none_ignored_after_result(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Once a tool has answered, tool_choice "none" is ignored."""
    forbidden = demand.get("tool_choice") == "none" and after_result(context)
    return {key: value for key, value in demand.items() if key != "tool_choice"} if forbidden else demand


@fault(
    "tc-required-lost-with-format",
    at=Stage.COMPLETION,
    violates=["tool_choice.required.calls_a_tool", "tool_choice.named.calls_the_function"],
    dialects=("openai", "aurous"),
    condition="only together with response_format json_schema",
)
def required_lost_with_format(completion: Completion, context: Context) -> Completion:
    """A schema for the text wins over the call that is demanded."""
    chat = demanded(context)
    if chat.format_type != "json_schema" or chat.choosing not in (Choosing.REQUIRED, Choosing.NAMED):
        return completion
    declared = chat.body["response_format"].get("json_schema")
    schema = declared.get("schema") if isinstance(declared, dict) else None
    text = strict_json.dump(instance({} if schema is None else schema)).decode()
    return said(completion, *(_saying_exactly(choice, text) for choice in completion.choices))


def _saying_exactly(choice: Chosen, text: str) -> Chosen:
    """The choice with this text, and nothing after it."""
    return replace(choice, tokens=(Token(text.encode()),), calls=(), finish_reason="stop", call_tokens=0)


@fault(
    "tc-allowed-tools-ignored-streamed",
    at=Stage.DEMAND,
    violates=["tool_choice.allowed_tools.bounds_the_calls"],
    condition="only streamed",
)
def allowed_tools_ignored_streamed(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """The subset of allowed tools is ignored in streams."""
    if demanded(context).choosing is not Choosing.ALLOWED or not context.streamed:
        return demand
    return {**demand, "tool_choice": demand["tool_choice"]["allowed_tools"].get("mode", "auto")}


@fault(
    "par-false-ignored-many",
    at=Stage.DEMAND,
    violates=["parallel.false.makes_one_call"],
    dialects=("openai",),
    condition="only with n = 2",
)
def false_ignored_many(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """A false parallel_tool_calls is ignored where several choices are asked for."""
    many = (context.chat.n or 1) > 1
    return {key: value for key, value in demand.items() if key != "parallel_tool_calls"} if many else demand


@fault(
    "ts-id-reused-after-result",
    at=Stage.COMPLETION,
    violates=["tool_calls.id.is_fresh"],
    condition="only after a tool result",
)
def id_reused_after_result(completion: Completion, context: Context) -> Completion:
    """The next round's calls have the ids of the last round's."""
    known = [call.get("id") for m in history_calls(context) for call in m["tool_calls"] if isinstance(call, dict)]
    ids = [item for item in known if isinstance(item, str)]
    return with_calls(
        completion, lambda position, call: replace(call, id=ids[position]) if position < len(ids) else call
    )


@fault(
    "ts-id-reused-in-third-round",
    at=Stage.COMPLETION,
    violates=["tool_calls.id.is_fresh"],
    condition="only from the third round on",
)
def id_reused_in_third_round(completion: Completion, context: Context) -> Completion:
    """The ids of the first round come back in the third."""
    rounds = history_calls(context)
    first = [call.get("id") for call in rounds[0]["tool_calls"] if isinstance(call, dict)] if len(rounds) > 1 else []
    return with_calls(
        completion, lambda position, call: replace(call, id=str(first[position])) if position < len(first) else call
    )


@fault(
    "ts-letters-replaced",
    at=Stage.COMPLETION,
    violates=["tools.strict.arguments_satisfy_the_schema"],
    condition="only non-ASCII arguments, only of strict tools",
)
def letters_replaced(completion: Completion, context: Context) -> Completion:
    """Letters beyond ASCII become question marks in arguments."""
    return with_calls(
        completion,
        lambda position, call: replace(
            call, fragments=tuple(text.encode("ascii", "replace").decode() for text in call.fragments)
        ),
    )


@fault(
    "ts-second-arguments-empty",
    at=Stage.BODY,
    violates=["tool_calls.arguments.hold_an_object"],
    entails={"tools.parameters.omitted_give_an_empty_object": "the second call may be of a function that takes none"},
    condition="only the second of several parallel calls, only unstreamed",
)
def second_arguments_empty(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The second parallel call has an empty string as arguments."""
    for choice in body.get("choices", ()):
        for call in choice["message"].get("tool_calls", ())[1:] if choice["finish_reason"] != "length" else ():
            call["function"]["arguments"] = ""
    return body


@fault(
    "fr-stop-after-result",
    at=Stage.BODY,
    violates=["finish_reason.required_call.is_tool_calls"],
    entails={"stream.parity.same_finish_reason": "the streamed reason is right"},
    condition="only after a tool result, only unstreamed",
)
def stop_after_result(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """A call that "required" demands ends with "stop" once a tool has answered."""
    if demanded(context).choosing is Choosing.REQUIRED and after_result(context):
        for choice in body.get("choices", ()):
            if choice["finish_reason"] == "tool_calls":
                choice["finish_reason"] = "stop"
    return body


@fault(
    "sd-index-continues",
    at=Stage.CHUNKS,
    violates=["stream_tools.index.counts_from_zero"],
    dialects=("openai",),
    condition="only streamed with n = 2",
)
def index_continues(chunks: Chunks, context: Context) -> Chunks:
    """The calls of the second choice are counted on from those of the first."""
    made: dict[int, int] = {}
    for _, choice, item in parts(chunks):
        made[choice["index"]] = max(made.get(choice["index"], 0), item["index"] + 1)
    for _, choice, item in list(parts(chunks)):
        item["index"] += sum(count for index, count in made.items() if index < choice["index"])
    return chunks


@fault(
    "sd-args-lost-in-second-choice",
    at=Stage.CHUNKS,
    violates=["tool_calls.arguments.hold_an_object"],
    entails={"finish_reason.cut_arguments.are_length": "arguments that do not parse look like cut ones"},
    dialects=("openai", "xerotier"),
    condition="only streamed with n = 2",
)
def args_lost_in_second_choice(chunks: Chunks, context: Context) -> Chunks:
    """The second choice's calls lose their last fragment."""
    held: dict[tuple[int, int], dict[str, Any]] = {}
    for _, choice, item in parts(chunks):
        if "id" not in item and choice["index"] > 0:
            held[choice["index"], item["index"]] = item
    for item in held.values():
        item["function"]["arguments"] = item["function"]["arguments"][:-1]
    return chunks


@fault(
    "sd-long-name-cut",
    at=Stage.CHUNKS,
    violates=["tool_choice.name.is_declared"],
    entails={"stream_tools.parity.same_calls": "the unstreamed name is whole"},
    condition="only streamed, only names of 64 characters",
)
def long_name_cut(chunks: Chunks, context: Context) -> Chunks:
    """Function names of 64 characters lose their last one in streams."""
    for item in first_deltas(chunks):
        item["function"]["name"] = item["function"]["name"][:63]
    return chunks


@fault(
    "sd-args-cut-after-dash",
    at=Stage.CHUNKS,
    violates=["stream_tools.parity.arguments_stay_whole"],
    entails={
        "tool_calls.arguments.hold_an_object": "what the fragments join to is no JSON",
        "finish_reason.cut_arguments.are_length": "arguments that do not parse look like cut ones",
    },
    condition="only streamed, only names with a dash",
)
def args_cut_after_dash(chunks: Chunks, context: Context) -> Chunks:
    """Calls of functions with a dash in their name lose the last character of their arguments in streams."""
    if any("-" in str(item["function"].get("name")) for item in first_deltas(chunks)):
        for item in last_parts(chunks):
            item["function"]["arguments"] = item["function"]["arguments"][:-1]
    return chunks


@fault(
    "sd-args-null-word-noarg",
    at=Stage.CHUNKS,
    violates=["stream_tools.arguments.of_no_parameters_are_an_object"],
    entails={
        "stream_tools.parity.arguments_stay_whole": "the unstreamed arguments are an object",
    },
    dialects=("openai",),
    condition="only streamed, only empty arguments",
)
def args_null_word_noarg(chunks: Chunks, context: Context) -> Chunks:
    """Empty arguments stream as the word null."""
    for item in later_deltas(chunks):
        if item["function"]["arguments"] == "{}":
            item["function"]["arguments"] = "null"
    return chunks


@fault(
    "ts-no-arguments-key",
    at=Stage.BODY,
    violates=["tool_calls.arguments.are_a_string"],
    condition="only empty arguments, only unstreamed",
)
def no_arguments_key(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Calls without arguments have no member for them."""
    for call in body_calls(body):
        if call["function"]["arguments"] == "{}":
            del call["function"]["arguments"]
    return body


@fault(
    "tc-none-ignored-for-many",
    at=Stage.DEMAND,
    violates=["tool_choice.none.makes_no_call"],
    dialects=("openai",),
    condition="only if n is 2 or more",
)
def none_ignored_for_many(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Where several choices are asked for, tool_choice "none" is ignored."""
    ignored = demand.get("tool_choice") == "none" and (context.chat.n or 1) > 1
    return {**demand, "tool_choice": "auto"} if ignored else demand


@fault(
    "tc-named-begins-alike",
    at=Stage.COMPLETION,
    violates=["tool_choice.named.calls_the_function"],
    condition="only if another tool's name is the beginning of the one that is named",
)
def named_begins_alike(completion: Completion, context: Context) -> Completion:
    """A named choice calls the first function whose name the named one begins with."""
    chosen = demanded(context).chosen_name
    if chosen is None or demanded(context).choosing is not Choosing.NAMED:
        return completion
    found = next((tool.name for tool in demanded(context).tools if chosen.startswith(tool.name)), chosen)
    return with_calls(completion, lambda position, call: replace(call, name=found))


@fault(
    "tc-named-ignored-after-result",
    at=Stage.DEMAND,
    violates=["tool_choice.named.calls_the_function"],
    condition="only after a tool result",
)
def named_ignored_after_result(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Once a tool has answered, a named choice is taken for "none"."""
    named = isinstance(demand.get("tool_choice"), dict) and context.chat.choosing is Choosing.NAMED
    return {**demand, "tool_choice": "none"} if named and after_result(context) else demand
