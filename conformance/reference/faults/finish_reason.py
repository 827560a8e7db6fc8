"""Choices that say something untrue about why they ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance.reference.payloads import Payloads, each_choice
from conformance.reference.stages import Chosen, Completion, Context, Stage, ToolCall, fault
from conformance.wire.chat_request import Choosing
from conformance.wire.strict_json import Json

Body = dict[str, Json]


def _ending(
    completion: Completion, context: Context, when: Callable[[Chosen, Context], bool], reason: str
) -> Completion:
    """The choices to which the condition applies, with another finish_reason."""
    changed = (
        replace(chosen, finish_reason=reason) if when(chosen, context) else chosen for chosen in completion.choices
    )
    return replace(completion, choices=tuple(changed))


def _is_cut(chosen: Chosen, context: Context) -> bool:
    return chosen.finish_reason == "length"


def _call(context: Context) -> ToolCall:
    """A call to the first declared tool, without arguments."""
    return ToolCall(f"call_{context.serial:06d}unasked", context.chat.tools[0].name, ("{}",))


@fault("fr-unknown-word", at=Stage.COMPLETION, violates=["finish_reason.value.is_known"])
def natural_end_is_eos(completion: Completion, context: Context) -> Completion:
    """A natural end without tools is called eos, as inside the model server."""
    return _ending(
        completion,
        context,
        lambda chosen, where: chosen.finish_reason == "stop" and not chosen.calls and not where.chat.stops,
        "eos",
    )


@fault(
    "fr-unknown-word-for-many",
    at=Stage.COMPLETION,
    violates=["finish_reason.value.is_known"],
    dialects=("openai",),
    condition="only the second choice",
)
def second_end_is_eos(completion: Completion, context: Context) -> Completion:
    """The natural end of all choices but the first is called eos."""
    return _ending(
        completion,
        context,
        lambda chosen, where: chosen.finish_reason == "stop" and chosen.index > 0 and not chosen.calls,
        "eos",
    )


@fault(
    "fr-key-missing-response",
    at=Stage.BODY,
    violates=["finish_reason.unstreamed.is_given"],
    thread="https://github.com/maximhq/bifrost/issues/1489",
)
def key_missing(body: Body, context: Context) -> Body:
    """Unstreamed choices without calls have no finish_reason."""
    if context.route != "POST /chat/completions":
        return body
    changed = [
        item
        if item["finish_reason"] != "stop" or item["message"].get("tool_calls")
        else {key: value for key, value in item.items() if key != "finish_reason"}
        for item in body["choices"]
    ]
    return {**body, "choices": changed}


@fault("fr-null-unstreamed", at=Stage.BODY, violates=["finish_reason.unstreamed.is_given"])
def null_unstreamed(body: Body, context: Context) -> Body:
    """The finish_reason of an unstreamed natural end is null."""
    if context.route != "POST /chat/completions":
        return body
    changed = [
        {**item, "finish_reason": None}
        if item["finish_reason"] == "stop" and not item["message"].get("tool_calls")
        else item
        for item in body["choices"]
    ]
    return {**body, "choices": changed}


@fault("fr-length-always", at=Stage.COMPLETION, violates=["finish_reason.length.is_at_the_limit"])
def natural_end_is_length(completion: Completion, context: Context) -> Completion:
    """A natural end under a token limit is called length."""
    return _ending(
        completion,
        context,
        lambda chosen, where: (
            chosen.finish_reason == "stop"
            and not chosen.calls
            and not where.chat.stops
            and where.chat.token_limit is not None
        ),
        "length",
    )


@fault("fr-stop-sequence-length", at=Stage.COMPLETION, violates=["finish_reason.stop_sequence.is_stop"])
def stop_sequence_is_length(completion: Completion, context: Context) -> Completion:
    """A choice that a stop sequence ended is called filtered."""
    return _ending(
        completion,
        context,
        lambda chosen, where: bool(where.chat.stops) and chosen.finish_reason == "stop",
        "content_filter",
    )


@fault(
    "fr-length-hidden-by-stop",
    at=Stage.COMPLETION,
    violates=["finish_reason.cut_text.is_length"],
    entails={
        "finish_reason.cut_json.is_length": "JSON that the limit cuts is text too",
        "structured_output.json_object.answer_is_json": "nothing says any more that the JSON is cut",
        "structured_output.strict.answer_is_json": "nothing says any more that the JSON is cut",
    },
    thread="https://github.com/UKGovernmentBEIS/inspect_ai/issues/5143",
)
def cut_text_is_stop(completion: Completion, context: Context) -> Completion:
    """Text that the token limit cut is called stop."""
    return _ending(completion, context, lambda chosen, where: _is_cut(chosen, where) and not chosen.calls, "stop")


@fault(
    "fr-length-hidden-by-stop-streamed",
    at=Stage.CHUNKS,
    violates=["finish_reason.cut_json.is_length"],
    entails={
        "stream.parity.same_finish_reason": "unstreamed, it is called length",
        "structured_output.json_object.answer_is_json": "nothing says any more that the JSON is cut",
    },
    thread="https://github.com/juspay/neurolink/pull/1709",
    condition="only streamed structured output",
)
def cut_json_is_stop(payloads: Payloads, context: Context) -> Payloads:
    """Streamed JSON that the token limit cut is called stop."""
    if context.chat.format_type not in ("json_object", "json_schema"):
        return payloads
    return each_choice(
        payloads,
        lambda choice: {**choice, "finish_reason": "stop"} if choice["finish_reason"] == "length" else choice,
    )


@fault(
    "fr-length-hidden-by-tools",
    at=Stage.COMPLETION,
    violates=["finish_reason.cut_arguments.are_length"],
    entails={"tool_calls.arguments.hold_an_object": "nothing says any more that the arguments are cut"},
    thread="https://github.com/vllm-project/vllm/issues/53269",
)
def cut_call_is_tool_calls(completion: Completion, context: Context) -> Completion:
    """A call that the token limit cut is called tool_calls."""
    return _ending(
        completion, context, lambda chosen, where: _is_cut(chosen, where) and bool(chosen.calls), "tool_calls"
    )


@fault(
    "fr-stop-with-tools",
    at=Stage.COMPLETION,
    violates=["finish_reason.free_call.is_tool_calls", "finish_reason.required_call.is_tool_calls"],
    entails={"stream_tools.finish.says_tool_calls": "streamed calls end with stop too"},
    thread="https://github.com/Blaizzy/mlx-vlm/pull/990",
)
def calls_are_stop(completion: Completion, context: Context) -> Completion:
    """Whatever ended a choice with calls, it is called stop."""
    return _ending(
        completion, context, lambda chosen, where: bool(chosen.calls) and chosen.finish_reason == "tool_calls", "stop"
    )


@fault(
    "fr-stop-with-required",
    at=Stage.BODY,
    violates=["finish_reason.required_call.is_tool_calls"],
    entails={"stream.parity.same_finish_reason": "streamed, it is called tool_calls"},
    thread="https://github.com/vllm-project/vllm/pull/25054",
    condition="only unstreamed",
)
def required_calls_are_stop(body: Body, context: Context) -> Body:
    """Unstreamed, a call under required is called stop."""
    if context.route != "POST /chat/completions" or context.chat.choosing is not Choosing.REQUIRED:
        return body
    changed = [
        {**item, "finish_reason": "stop"} if item["finish_reason"] == "tool_calls" else item for item in body["choices"]
    ]
    return {**body, "choices": changed}


@fault(
    "fr-function-call-when-named",
    at=Stage.COMPLETION,
    violates=["finish_reason.named_call.is_stop_or_tool_calls"],
)
def named_is_function_call(completion: Completion, context: Context) -> Completion:
    """A named call is called function_call, as in the days before tools."""
    return _ending(
        completion,
        context,
        lambda chosen, where: (
            where.chat.choosing is Choosing.NAMED and bool(chosen.calls) and not _is_cut(chosen, where)
        ),
        "function_call",
    )


@fault(
    "fr-named-differs-streamed",
    at=Stage.CHUNKS,
    violates=["finish_reason.named_call.is_the_same_in_both_modes"],
    thread="https://github.com/vllm-project/vllm/pull/25054",
    condition="only streamed",
)
def named_differs_streamed(payloads: Payloads, context: Context) -> Payloads:
    """Streamed, a named call ends with the other of the two words."""
    if context.chat.choosing is not Choosing.NAMED:
        return payloads
    other = {"stop": "tool_calls", "tool_calls": "stop"}
    return each_choice(
        payloads,
        lambda choice: {**choice, "finish_reason": other.get(str(choice["finish_reason"]), choice["finish_reason"])},
    )


@fault(
    "fr-tool-calls-without-calls",
    at=Stage.COMPLETION,
    violates=["finish_reason.tool_calls.has_calls"],
    thread="https://github.com/vllm-project/vllm/issues/53255",
)
def tool_calls_without_calls(completion: Completion, context: Context) -> Completion:
    """Where tools are declared, a text is called tool_calls too."""
    return _ending(
        completion,
        context,
        lambda chosen, where: bool(where.chat.tools) and not chosen.calls and chosen.finish_reason == "stop",
        "tool_calls",
    )


@fault(
    "fr-function-call-under-none",
    at=Stage.COMPLETION,
    violates=["finish_reason.calls.go_with_a_call_reason", "tool_choice.none.makes_no_call"],
    dialects=("openai",),
    condition="only where calls are forbidden and made all the same",
)
def forbidden_call_is_function_call(completion: Completion, context: Context) -> Completion:
    """With tool_choice none the first tool is called all the same, and the choice ends with function_call."""
    if context.chat.choosing is not Choosing.NONE or not context.chat.tools:
        return completion
    changed = (replace(chosen, calls=(_call(context),), finish_reason="function_call") for chosen in completion.choices)
    return replace(completion, choices=tuple(changed))
