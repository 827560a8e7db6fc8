"""Faults of the shape of tool calls, and of the round trip of their results."""

from __future__ import annotations

from dataclasses import replace

from conformance.reference.faults.call_edits import (
    body_calls,
    demanded,
    history_calls,
    said,
    saying,
    skipping,
    turning_down,
    with_calls,
)
from conformance.reference.stages import Completion, Context, ErrorReply, Refusal, Stage, fault
from conformance.wire import strict_json
from conformance.wire.strict_json import Json


@fault(
    "ts-entry-is-a-name",
    at=Stage.BODY,
    violates=["tool_calls.list.holds_objects"],
    entails={"stream_tools.parity.same_calls": "the streamed calls are objects"},
)
def entry_is_a_name(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The entries of tool_calls are names."""
    for choice in body.get("choices", ()):
        calls = choice["message"].get("tool_calls")
        if calls:
            choice["message"]["tool_calls"] = [call["function"]["name"] for call in calls]
    return body


@fault(
    "ts-id-empty",
    at=Stage.BODY,
    violates=["tool_calls.id.is_a_string"],
    thread="https://github.com/microsoft/autogen/issues/4878",
)
def id_empty(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Calls have an empty id."""
    for call in body_calls(body):
        call["id"] = ""
    return body


@fault(
    "ts-id-number-beside-text",
    at=Stage.BODY,
    violates=["tool_calls.id.is_a_string"],
    condition="only the second of several parallel calls",
)
def id_number(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The second parallel call has a number as id."""
    for choice in body.get("choices", ()):
        for call in choice["message"].get("tool_calls", ())[1:]:
            call["id"] = 1
    return body


@fault("ts-type-missing", at=Stage.BODY, violates=["tool_calls.type.is_function"])
def type_missing(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Calls have no type."""
    for call in body_calls(body):
        del call["type"]
    return body


@fault(
    "ts-function-flat",
    at=Stage.BODY,
    violates=["tool_calls.function.is_an_object"],
    entails={"stream_tools.parity.same_calls": "the streamed calls have names"},
)
def function_flat(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Name and arguments stand beside the id."""
    for call in body_calls(body):
        call.update(call.pop("function"))
    return body


@fault(
    "td-missing-name-null-args",
    at=Stage.BODY,
    violates=["tool_calls.name.is_a_string", "tool_calls.arguments.hold_an_object"],
    entails={"stream_tools.parity.same_calls": "the streamed calls have names"},
    thread="https://github.com/microsoft/foundry-local/issues/864",
)
def missing_name_null_args(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Calls have no name, and the word null as arguments."""
    for call in body_calls(body):
        del call["function"]["name"]
        call["function"]["arguments"] = "null"
    return body


@fault(
    "ts-args-object",
    at=Stage.BODY,
    violates=["tool_calls.arguments.are_a_string"],
    thread="https://github.com/huggingface/text-generation-inference/issues/2136",
)
def args_object(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The arguments are the object, not a string of it."""
    for call in body_calls(body):
        document = strict_json.parse(call["function"]["arguments"])
        call["function"]["arguments"] = document.value if document.ok else {}
    return body


def _is_cut(body: dict[str, Json]) -> bool:
    return any(choice["finish_reason"] == "length" for choice in body.get("choices", ()))


@fault(
    "ts-args-python",
    at=Stage.BODY,
    violates=["tool_calls.arguments.hold_an_object"],
    entails={"tool_calls.arguments.hold_an_object_when_strict": "the arguments are no JSON"},
    condition="only arguments that are not empty",
)
def args_python(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """The arguments are written as a Python literal."""
    for call in body_calls(body) if not _is_cut(body) else ():
        value = strict_json.parse(call["function"]["arguments"]).value
        if value:
            call["function"]["arguments"] = repr(value)
    return body


@fault(
    "ts-args-double-encoded",
    at=Stage.BODY,
    violates=["tool_calls.arguments.hold_an_object"],
    entails={"tool_calls.arguments.hold_an_object_when_strict": "the arguments hold a string"},
    condition="only non-ASCII arguments",
)
def args_double_encoded(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Arguments with letters beyond ASCII are encoded twice."""
    for call in body_calls(body) if not _is_cut(body) else ():
        if not call["function"]["arguments"].isascii():
            call["function"]["arguments"] = strict_json.dump(call["function"]["arguments"]).decode()
    return body


@fault(
    "ts-args-cut-when-strict",
    at=Stage.BODY,
    violates=["tool_calls.arguments.hold_an_object_when_strict"],
    dialects=("openai", "xerotier"),
    condition="only strict tools",
)
def args_cut_when_strict(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Arguments of strict tools lose their last character."""
    chat = demanded(context)
    for call in body_calls(body):
        tool = chat.tool(call["function"]["name"])
        if tool is not None and tool.strict:
            call["function"]["arguments"] = call["function"]["arguments"][:-1]
    return body


@fault("ts-content-empty", at=Stage.BODY, violates=["tool_calls.content.is_null_or_text"])
def content_empty(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Beside calls the content is an empty string."""
    for choice in body.get("choices", ()):
        if choice["message"].get("tool_calls") and choice["message"]["content"] is None:
            choice["message"]["content"] = ""
    return body


@fault(
    "ts-id-constant",
    at=Stage.COMPLETION,
    violates=["tool_calls.id.is_fresh"],
    thread="https://github.com/InternLM/lmdeploy/issues/3412",
)
def id_constant(completion: Completion, context: Context) -> Completion:
    """Ids count the calls of one answer, and begin anew in each."""
    return with_calls(completion, lambda position, call: replace(call, id=str(position)))


@fault(
    "mt-content-null-rejected",
    at=Stage.REFUSAL,
    violates=["tool_calls.echo.is_accepted", "tool_calls.history.content_may_be_null"],
    entails={
        "tool_calls.results.take_text_parts": "histories with null as content are turned down",
    },
    thread="https://github.com/ggml-org/llama.cpp/issues/13471",
)
def content_null_rejected(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The content that the endpoint itself sends beside calls, null, is refused in the history."""
    if refusal is None and any("content" in m and m["content"] is None for m in history_calls(context)):
        return Refusal("invalid_type", "fault", "'messages[1].content' is null.", "messages[1].content")
    return refusal


@fault(
    "mt-vendor-field-required",
    at=Stage.REFUSAL,
    violates=["tool_calls.echo.is_accepted"],
    entails={
        "tool_calls.results.take_text_parts": "histories without the member are turned down",
    },
    thread="https://github.com/iOfficeAI/aionrs/pull/93",
)
def vendor_field_required(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Calls in the history have to carry a member that no document knows."""
    calls = [call for m in history_calls(context) for call in m["tool_calls"] if isinstance(call, dict)]
    if refusal is None and any("extra_content" not in call for call in calls):
        return Refusal("missing_parameter", "fault", "messages: a thought_signature is missing.", "messages")
    return refusal


def _has_calls_without_tools(context: Context) -> bool:
    return bool(history_calls(context)) and context.chat.body.get("tools") is None


fault(
    "mt-echo-needs-tools",
    at=Stage.REFUSAL,
    violates=["tool_calls.echo.is_accepted_without_tools"],
)(
    turning_down(
        "Calls in the history are refused where the request declares no tools.",
        _has_calls_without_tools,
        "missing_parameter",
        "'tools' is missing.",
        "tools",
    )
)


@fault(
    "mt-answer-empty",
    at=Stage.COMPLETION,
    violates=["tool_calls.results.get_an_answer"],
    condition="only after a tool result",
)
def answer_empty(completion: Completion, context: Context) -> Completion:
    """After tool results the text is empty."""
    messages = demanded(context).messages
    if not messages or messages[-1].get("role") != "tool":
        return completion
    choices = [
        choice if choice.calls else replace(choice, tokens=(), finish_reason="stop") for choice in completion.choices
    ]
    return said(completion, *choices)


@fault("mt-results-ignored", at=Stage.COMPLETION, violates=["tool_calls.results.are_used"])
def results_ignored(completion: Completion, context: Context) -> Completion:
    """Tool results never reach the model."""
    messages = demanded(context).messages
    if not messages or messages[-1].get("role") != "tool":
        return completion
    return said(
        completion,
        *(
            choice if choice.calls or choice.finish_reason == "length" else saying(choice, "I could not find out.")
            for choice in completion.choices
        ),
    )


def _has_short_ids(context: Context) -> bool:
    return any(len(str(call.get("id"))) < 20 for m in history_calls(context) for call in m["tool_calls"])


fault(
    "mt-client-ids-rejected",
    at=Stage.REFUSAL,
    violates=["tool_calls.history.accepts_client_ids"],
    entails={"tool_calls.results.may_come_in_any_order": "its ids are the client's"},
    dialects=("xerotier",),
)(
    turning_down(
        "Ids of calls in the history have to have the endpoint's own length.",
        _has_short_ids,
        "invalid_request",
        "Tool call id must have a length of 29.",
        "messages",
    )
)
fault("mt-unknown-id-200", at=Stage.REFUSAL, violates=["tool_calls.results.unknown_id_is_refused"])(
    skipping("Results with a made-up id are taken.", "order.unknown_call_id", "order.missing_results",
             when=lambda context: "call_zzz" in str(context.chat.messages) or _has_stranger(context))
)  # fmt: skip
fault("mt-orphan-200", at=Stage.REFUSAL, violates=["tool_calls.results.need_a_call"])(
    skipping("Results without a call before them are taken.", "order.tool_without_calls")
)


def _has_stranger(context: Context) -> bool:
    known = {call.get("id") for m in history_calls(context) for call in m["tool_calls"] if isinstance(call, dict)}
    return any(m.get("role") == "tool" and m.get("tool_call_id") not in known for m in context.chat.messages)


def _is_interrupted(context: Context) -> bool:
    """All results are there, but not all at once."""
    called = {call.get("id") for m in history_calls(context) for call in m["tool_calls"] if isinstance(call, dict)}
    answered = {m.get("tool_call_id") for m in context.chat.messages if m.get("role") == "tool"}
    return bool(called) and called <= answered


fault(
    "mt-missing-200",
    at=Stage.REFUSAL,
    violates=["tool_calls.results.missing_is_refused"],
)(
    skipping(
        "Calls without a result are taken.",
        "order.missing_results",
        when=lambda context: not _is_interrupted(context) and not _has_stranger(context),
    )
)
fault("mt-interrupted-200", at=Stage.REFUSAL, violates=["tool_calls.results.follow_at_once"])(
    skipping(
        "A user message between a call and its results is taken.",
        "order.missing_results",
        "order.tool_without_calls",
        when=_is_interrupted,
    )
)


@fault("mt-missing-unnamed", at=Stage.ERROR, violates=["tool_calls.results.missing_is_named"])
def missing_unnamed(reply: ErrorReply, context: Context) -> ErrorReply:
    """The refusal of a call without a result does not say which call."""
    error = reply.body["error"]
    if "these have none" not in str(error.get("message")):
        return reply
    return replace(reply, body={**reply.body, "error": {**error, "message": "A tool message is missing."}})


def _is_reordered(context: Context) -> bool:
    called = [call.get("id") for m in history_calls(context) for call in m["tool_calls"] if isinstance(call, dict)]
    answered = [m.get("tool_call_id") for m in context.chat.messages if m.get("role") == "tool"]
    return called != answered and sorted(map(str, called)) == sorted(map(str, answered))


fault(
    "mt-order-matters",
    at=Stage.REFUSAL,
    violates=["tool_calls.results.may_come_in_any_order"],
    entails={"tool_calls.echo.is_accepted": "an echo with its results reversed is turned down"},
)(
    turning_down(
        "Results have to stand in the order of the calls.",
        _is_reordered,
        "invalid_value",
        "The tool messages are out of order.",
        "messages",
    )
)


def _has_parts(context: Context) -> bool:
    return any(m.get("role") == "tool" and isinstance(m.get("content"), list) for m in context.chat.messages)


fault(
    "mt-parts-tool-rejected",
    at=Stage.REFUSAL,
    violates=["tool_calls.results.take_text_parts"],
    thread="https://github.com/Neroued/ninfer/issues/56",
    dialects=("openai",),
)(
    turning_down(
        "Results may not be arrays of parts.",
        _has_parts,
        "invalid_type",
        "tool messages must contain string content",
        "messages",
    )
)
fault("mt-image-part-200", at=Stage.REFUSAL, violates=["tool_calls.results.other_parts_are_refused"])(
    skipping("Images are taken as parts of results.", "message.tool_part.kind")
)


@fault(
    "mt-broken-arguments-500",
    at=Stage.REFUSAL,
    violates=["tool_calls.history.broken_arguments_cause_no_server_error"],
    dialects=("openai",),
)
def broken_arguments_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Arguments in the history that are no JSON are a server error."""
    for message in history_calls(context) if refusal is None else ():
        for call in message["tool_calls"]:
            function = call.get("function") if isinstance(call, dict) else None
            text = function.get("arguments") if isinstance(function, dict) else None
            if isinstance(text, str) and not strict_json.parse(text).ok:
                return Refusal("internal", "fault", "The template could not be filled in.")
    return refusal


fault("mt-empty-calls-200", at=Stage.REFUSAL, violates=["tool_calls.history.empty_list_is_refused"])(
    skipping("An empty tool_calls in the history is taken.", "message.tool_calls.empty")
)
fault("mt-incomplete-call-200", at=Stage.REFUSAL, violates=["tool_calls.history.incomplete_call_is_refused"])(
    skipping("Calls without an id or a function in the history are taken.", "message.tool_calls.shape",
             "order.unknown_call_id", when=lambda context: bool(history_calls(context)))
)  # fmt: skip
