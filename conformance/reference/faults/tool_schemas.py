"""Faults of what tools are called with, and of how their schemas are read."""

from __future__ import annotations

import re
from collections.abc import Callable

from conformance.reference.faults.call_edits import demanded, said, saying, turning_down
from conformance.reference.schemas import walk
from conformance.reference.stages import Completion, Context, Refusal, Stage, fault
from conformance.wire.chat_request import Choosing


def _with_word(word: str) -> Callable[[Context], bool]:
    """Requests with a tool whose parameters hold the keyword anywhere."""

    def test(context: Context) -> bool:
        return any(
            isinstance(node.schema, dict) and word in node.schema
            for tool in context.chat.tools
            if tool.parameters is not None
            for node in walk(tool.parameters)
        )

    return test


fault(
    "td-ref-400",
    at=Stage.REFUSAL,
    violates=["tools.parameters.json_schema_is_accepted"],
    condition="only schemas with $ref",
)(
    turning_down(
        "References in schemas of parameters are refused.",
        _with_word("$ref"),
        "invalid_function_parameters",
        "tools[0].function.parameters: $ref is not known.",
        "tools[0].function.parameters",
    )
)


@fault(
    "td-null-in-schema-200-error-text",
    at=Stage.COMPLETION,
    violates=["tool_choice.named.calls_the_function"],
    entails={"tool_choice.required.calls_a_tool": "required calls fail alike"},
    thread="https://github.com/scouzi1966/maclocal-api/issues/32",
    condition="only schemas with anyOf",
)
def null_in_schema_is_error_text(completion: Completion, context: Context) -> Completion:
    """Where a schema allows null beside something else, the text of an exception is the answer."""
    if demanded(context).choosing not in (Choosing.NAMED, Choosing.REQUIRED) or not _with_word("anyOf")(context):
        return completion
    text = "Error: Runtime error: Cannot convert value to String."
    return said(completion, *(saying(choice, text) for choice in completion.choices))


@fault(
    "td-strict-400-on-model-fault",
    at=Stage.REFUSAL,
    violates=["requests.valid.is_accepted"],
    thread="https://github.com/raullenchai/Rapid-MLX/pull/736",
    condition="only where the arguments would not be ASCII",
)
def model_fault_is_400(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A valid request is refused because of what the model made of it."""
    named = context.chat.choosing in (Choosing.NAMED, Choosing.REQUIRED)
    if refusal is None and named and any(not str(tool.parameters).isascii() for tool in context.chat.tools):
        return Refusal("invalid_request", "fault", "The generated arguments are not valid.")
    return refusal


fault(
    "td-dash-name-400",
    at=Stage.REFUSAL,
    violates=["tools.name.pattern_is_accepted"],
    entails={"tools.name.longest_is_accepted": "the longest name has a dash too"},
    condition="only names with a dash",
)(
    turning_down(
        "Function names with a dash are refused.",
        lambda context: any("-" in tool.name for tool in context.chat.tools),
        "invalid_value",
        "tools[0].function.name: letters, digits and underscores only.",
        "tools[0].function.name",
    )
)

_CALLED = re.compile(r"[Cc]all (?:the function )?([a-z]+_[a-z_]+)")


@fault(
    "tc-undeclared-name-500",
    at=Stage.REFUSAL,
    violates=["requests.valid.gets_no_server_error"],
    thread="https://github.com/ogx-ai/ogx/pull/5043",
    condition="only where the prompt asks for a function that is not declared",
)
def undeclared_name_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A model that wants to call a function which was not declared makes the server fail."""
    chat = context.chat
    wished = {name for message in chat.messages for name in _CALLED.findall(str(message.get("content")))}
    if (
        refusal is None
        and chat.tools
        and wished - chat.tool_names
        and chat.choosing in (Choosing.AUTO, Choosing.OMITTED)
    ):
        return Refusal("internal", "fault", "The server had an error.")
    return refusal


fault(
    "td-definitions-500",
    at=Stage.REFUSAL,
    violates=["requests.valid.gets_no_server_error"],
    condition="only schemas with $defs",
)(
    turning_down(
        "Definitions in schemas of parameters make the compiler of grammars fail.",
        _with_word("$defs"),
        "internal",
        "Something went wrong.",
    )
)
