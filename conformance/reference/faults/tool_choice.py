"""Faults of tool_choice."""

from __future__ import annotations

from dataclasses import replace

from conformance.reference.faults.call_edits import (
    body_calls,
    demanded,
    said,
    saying,
    skipping,
    turning_down,
    with_calls,
)
from conformance.reference.stages import Completion, Context, ErrorReply, Refusal, Stage, ToolCall, fault
from conformance.wire.chat_request import Choosing
from conformance.wire.strict_json import Json

_LACKS_FLAG = "reference-mini"


def _omits(context: Context) -> bool:
    return bool(context.chat.tools) and context.chat.choosing is Choosing.OMITTED


fault(
    "tc-omitted-refused",
    at=Stage.REFUSAL,
    violates=["tool_choice.omitted.is_taken_like_auto"],
    entails={
        "tool_calls.echo.is_accepted": "follow-ups that omit tool_choice are turned down too",
    },
    condition="with tools and without tool_choice",
)(
    turning_down(
        "Tools are refused unless tool_choice is sent.",
        _omits,
        "missing_parameter",
        "'tool_choice' is missing.",
        "tool_choice",
    )
)


@fault(
    "tc-call-without-tools",
    at=Stage.COMPLETION,
    violates=["tool_choice.omitted.makes_no_call_without_tools"],
    condition="only after a tool result in a request without tools",
)
def call_without_tools(completion: Completion, context: Context) -> Completion:
    """After a tool result the model calls again, though the request declares no tools any more."""
    chat = demanded(context)
    if chat.body.get("tools") is not None or not chat.messages or chat.messages[-1].get("role") != "tool":
        return completion
    call = ToolCall("call_again00000000000000001", "get_weather", ("{}",))
    choices = [
        replace(choice, tokens=None, calls=(call,), finish_reason="tool_calls", call_tokens=2)
        for choice in completion.choices
    ]
    return said(completion, *choices)


def _markup(completion: Completion, context: Context, name: str) -> Completion:
    text = f'<tool_call>{{"name":"{name}","arguments":{{}}}}</tool_call>'
    return said(completion, *(saying(choice, text) for choice in completion.choices))


@fault(
    "tc-markup-under-auto",
    at=Stage.COMPLETION,
    violates=["tool_choice.auto.leaves_no_markup"],
    thread="https://github.com/vllm-project/vllm/issues/13078",
    condition="only where tool_choice is auto or omitted",
)
def markup_under_auto(completion: Completion, context: Context) -> Completion:
    """Calls are not parsed out of the text when tool_choice is auto."""
    free = demanded(context).choosing in (Choosing.AUTO, Choosing.OMITTED)
    called = [choice for choice in completion.choices if choice.calls and choice.finish_reason != "length"]
    return _markup(completion, context, called[0].calls[0].name) if free and called else completion


@fault(
    "tc-markup-under-none",
    at=Stage.COMPLETION,
    violates=["tool_choice.none.leaves_no_markup"],
    entails={"structured_output.strict.answer_is_json": "markup is no JSON where a schema asks for some"},
)
def markup_under_none(completion: Completion, context: Context) -> Completion:
    """Under "none" the calls are not parsed, but the model still writes them."""
    chat = demanded(context)
    if chat.choosing is not Choosing.NONE or not chat.tools:
        return completion
    return _markup(completion, context, chat.tools[0].name)


@fault(
    "tc-none-still-calls",
    at=Stage.DEMAND,
    violates=["tool_choice.none.makes_no_call"],
    thread="https://github.com/waybarrios/vllm-mlx/issues/162",
)
def none_still_calls(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Tool_choice "none" is ignored."""
    return {key: value for key, value in demand.items() if key != "tool_choice" or value != "none"}


@fault(
    "tc-none-still-calls-streamed",
    at=Stage.DEMAND,
    violates=["tool_choice.none.makes_no_call"],
    thread="https://github.com/ollama/ollama/issues/17921",
    condition="only streamed",
)
def none_still_calls_streamed(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Tool_choice "none" is ignored in streams."""
    return none_still_calls(demand, context) if context.streamed else demand


@fault(
    "tc-required-freerun",
    at=Stage.COMPLETION,
    violates=["tool_choice.required.calls_a_tool"],
    thread="https://github.com/ggml-org/llama.cpp/issues/27217",
    condition="only where the prompt asks for no tool",
)
def required_freerun(completion: Completion, context: Context) -> Completion:
    """Under "required" the model talks until the token limit and never calls."""
    chat = demanded(context)
    limit = chat.token_limit
    wanted = any(tool.name in str(chat.messages) or "weather" in str(chat.messages) for tool in chat.tools)
    if chat.choosing is not Choosing.REQUIRED or wanted or limit is None or limit < 32:
        return completion
    text = " ".join(["hm"] * limit)
    return said(completion, *(saying(choice, text, "length") for choice in completion.choices))


@fault(
    "tc-required-as-auto",
    at=Stage.DEMAND,
    violates=["tool_choice.required.calls_a_tool"],
    thread="https://github.com/google-ai-edge/LiteRT-LM/issues/2471",
)
def required_as_auto(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Tool_choice "required" is taken for "auto"."""
    return {**demand, "tool_choice": "auto"} if demand.get("tool_choice") == "required" else demand


@fault(
    "tc-required-first-choice-only",
    at=Stage.COMPLETION,
    violates=["tool_choice.required.calls_a_tool"],
    entails={"stream.parity.same_kinds_of_content": "only the streamed choices hold text"},
    dialects=("openai", "xerotier"),
    condition="only streamed with n = 2",
)
def required_first_choice_only(completion: Completion, context: Context) -> Completion:
    """In streams of several choices only the first makes the required call."""
    if demanded(context).choosing is not Choosing.REQUIRED or not context.streamed or len(completion.choices) < 2:
        return completion
    first, *others = completion.choices
    return said(completion, first, *(saying(choice, "Hello.") for choice in others))


fault("tc-required-without-tools-200", at=Stage.REFUSAL, violates=["tool_choice.required.needs_tools"])(
    skipping(
        'Tool_choice "required" without tools is taken.',
        "tool_choice.needs_tools",
        when=lambda context: context.chat.choosing is Choosing.REQUIRED,
    )
)
fault("tc-auto-without-tools-200", at=Stage.REFUSAL, violates=["tool_choice.auto.needs_tools"])(
    skipping(
        'Tool_choice "auto" without tools is taken.',
        "tool_choice.needs_tools",
        when=lambda context: context.chat.choosing is Choosing.AUTO,
    )
)
fault(
    "tc-required-capability-ignored",
    at=Stage.REFUSAL,
    violates=["tool_choice.required.is_refused_without_capability"],
    dialects=("aurous",),
)(skipping('"required" is taken for models that lack the capability.', "tool_choice.required_unsupported"))


fault(
    "tc-required-flagged-refused",
    at=Stage.REFUSAL,
    violates=["tool_choice.required.is_accepted_with_capability"],
    dialects=("aurous",),
    condition="only models that list the capability",
)(
    turning_down(
        '"required" is refused for every model, whatever its row in the list says.',
        lambda context: bool(context.chat.tools) and context.chat.choosing is Choosing.REQUIRED,
        "tool_choice_required_unsupported",
        "This model does not take tool_choice 'required'.",
        "tool_choice",
    )
)


@fault(
    "tc-required-capability-code",
    at=Stage.ERROR,
    violates=["tool_choice.required.refusal_has_its_code"],
    dialects=("aurous",),
)
def required_capability_code(reply: ErrorReply, context: Context) -> ErrorReply:
    """The refusal of "required" carries the code of any bad request."""
    error = reply.body["error"]
    if error.get("code") != "tool_choice_required_unsupported":
        return reply
    changed = {**error, "code": "invalid_format"}
    if "doc_url" in error:
        changed["doc_url"] = str(error["doc_url"]).replace("tool_choice_required_unsupported", "invalid_format")
    return replace(reply, body={**reply.body, "error": changed})


def _chooses_freely(context: Context) -> bool:
    chat = context.chat
    return chat.model == _LACKS_FLAG and bool(chat.tools) and chat.choosing in (Choosing.AUTO, Choosing.NAMED)


fault(
    "tc-capability-refuses-all",
    at=Stage.REFUSAL,
    violates=["tool_choice.auto.is_accepted_without_capability"],
    dialects=("aurous",),
)(
    turning_down(
        'A model without the capability for "required" refuses "auto" and named choices too.',
        _chooses_freely,
        "tool_choice_required_unsupported",
        "This model does not take 'tool_choice'.",
        "tool_choice",
    )
)


def _other(name: str, context: Context) -> str:
    return next((tool.name for tool in demanded(context).tools if tool.name != name), name)


@fault("tc-named-other-tool", at=Stage.COMPLETION, violates=["tool_choice.named.calls_the_function"])
def named_other_tool(completion: Completion, context: Context) -> Completion:
    """A named choice calls another of the declared tools."""
    if demanded(context).choosing is not Choosing.NAMED:
        return completion
    return with_calls(completion, lambda position, call: replace(call, name=_other(call.name, context)))


@fault(
    "tc-named-as-text",
    at=Stage.COMPLETION,
    violates=["tool_choice.named.calls_the_function"],
    entails={"structured_output.strict.answer_is_json": "prose is no JSON where a schema asks for some"},
    thread="https://github.com/ollama/ollama/issues/17921",
)
def named_as_text(completion: Completion, context: Context) -> Completion:
    """A named choice is answered in prose."""
    if demanded(context).choosing is not Choosing.NAMED:
        return completion
    talking = (
        choice if choice.finish_reason == "length" else saying(choice, "I would rather talk.")
        for choice in completion.choices
    )
    return said(completion, *talking)


@fault(
    "tc-named-twice",
    at=Stage.COMPLETION,
    violates=["tool_choice.named.calls_once"],
    entails={"parallel.false.makes_one_call": "the second call comes whatever is set"},
    dialects=("openai",),
)
def named_twice(completion: Completion, context: Context) -> Completion:
    """A named choice makes its call twice."""
    if demanded(context).choosing is not Choosing.NAMED:
        return completion
    choices = [
        replace(choice, calls=(*choice.calls, *(replace(call, id=f"{call.id[:-1]}_") for call in choice.calls)))
        if choice.finish_reason != "length"
        else choice
        for choice in completion.choices
    ]
    return replace(completion, choices=tuple(choices))


fault(
    "tc-named-unknown-200",
    at=Stage.REFUSAL,
    violates=["tool_choice.named.unknown_function_is_refused"],
    thread="https://github.com/vllm-project/vllm/issues/14424",
)(
    skipping(
        "A named choice of an undeclared function is taken.",
        "tool_choice.unknown_name",
        "tool_choice.needs_tools",
        when=lambda c: c.chat.choosing is Choosing.NAMED,
    )
)


@fault(
    "tc-named-unknown-500",
    at=Stage.REFUSAL,
    violates=["tool_choice.named.unknown_function_is_refused"],
    thread="https://github.com/sgl-project/sglang/pull/28862",
    dialects=("openai",),
)
def named_unknown_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A named choice of an undeclared function is a server error."""
    if refusal is not None and refusal.check == "tool_choice.unknown_name":
        return replace(refusal, kind="internal", param=None, message="Internal server error")
    return refusal


def _is_flat(context: Context) -> bool:
    value = context.chat.body.get("tool_choice")
    return isinstance(value, dict) and isinstance(value.get("name"), str)


def _has_known_type(context: Context) -> bool:
    value = context.chat.body.get("tool_choice")
    return isinstance(value, dict) and value.get("type") in ("function", "custom")


fault(
    "tc-named-nameless-200",
    at=Stage.REFUSAL,
    violates=["tool_choice.named.nameless_is_refused"],
    thread="https://github.com/ggml-org/llama.cpp/pull/28806",
)(
    skipping(
        "A tool_choice object without a name is taken.",
        "tool_choice.shape",
        when=lambda context: _has_known_type(context) and not _is_flat(context),
    )
)
fault("tc-named-flat-200", at=Stage.REFUSAL, violates=["tool_choice.named.flat_form_is_refused"])(
    skipping("The flat form of another API is taken.", "tool_choice.shape", when=_is_flat)
)
fault("tc-named-unknown-type-200", at=Stage.REFUSAL, violates=["tool_choice.named.unknown_type_is_refused"])(
    skipping(
        "A tool_choice object of an unknown type is taken.",
        "tool_choice.shape",
        when=lambda context: not _has_known_type(context),
    )
)
fault("tc-unknown-word-200", at=Stage.REFUSAL, violates=["tool_choice.value.unknown_word_is_refused"])(
    skipping("Any word is taken as tool_choice.", "tool_choice.value")
)
fault("tc-wrong-type-200", at=Stage.REFUSAL, violates=["tool_choice.value.wrong_type_is_refused"])(
    skipping("Numbers, booleans and arrays are taken as tool_choice.", "tool_choice.type")
)


@fault("tc-allowed-tools-ignored", at=Stage.DEMAND, violates=["tool_choice.allowed_tools.bounds_the_calls"])
def allowed_tools_ignored(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """The subset of allowed tools is ignored, its mode is not."""
    if demanded(context).choosing is not Choosing.ALLOWED:
        return demand
    return {**demand, "tool_choice": demand["tool_choice"]["allowed_tools"].get("mode", "auto")}


fault("tc-allowed-mode-200", at=Stage.REFUSAL, violates=["tool_choice.allowed_tools.unknown_mode_is_refused"])(
    skipping("Any mode of allowed_tools is taken.", "tool_choice.allowed.mode")
)


fault("tc-allowed-shape-200", at=Stage.REFUSAL, violates=["tool_choice.allowed_tools.malformed_is_refused"])(
    skipping(
        "Anything is taken as the list of allowed_tools.",
        "tool_choice.allowed.shape",
        when=lambda context: context.body is not None and "mode" in str(context.body.get("tool_choice")),
    )
)


@fault(
    "tc-undeclared-name",
    at=Stage.COMPLETION,
    violates=["tool_choice.name.is_declared"],
    thread="https://github.com/vllm-project/vllm/pull/37790",
)
def undeclared_name(completion: Completion, context: Context) -> Completion:
    """Function names come back with a prefix."""
    return with_calls(completion, lambda position, call: replace(call, name=f"functions.{call.name}"))


@fault(
    "tc-undeclared-second-name",
    at=Stage.COMPLETION,
    violates=["tool_choice.name.is_declared"],
    thread="https://github.com/huggingface/text-generation-inference/pull/2597",
    condition="only the second of several parallel calls",
)
def undeclared_second_name(completion: Completion, context: Context) -> Completion:
    """The second parallel call is to a hidden tool of the server's."""
    return with_calls(completion, lambda position, call: replace(call, name="notify_error") if position == 1 else call)


@fault(
    "td-name-rewritten",
    at=Stage.BODY,
    violates=["tool_choice.name.is_declared"],
    entails={"stream_tools.parity.same_calls": "the streamed calls keep the name"},
    condition="only unstreamed, only names with a dash",
)
def name_rewritten(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Dashes in function names come back as underscores."""
    for call in body_calls(body):
        call["function"]["name"] = call["function"]["name"].replace("-", "_")
    return body


@fault(
    "tc-long-name-cut",
    at=Stage.COMPLETION,
    violates=["tool_choice.name.is_declared"],
    condition="only names of 64 characters",
)
def long_name_cut(completion: Completion, context: Context) -> Completion:
    """Function names of 64 characters lose their last one."""
    return with_calls(completion, lambda position, call: replace(call, name=call.name[:63]))
