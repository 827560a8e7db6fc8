"""Faults of tool definitions."""

from __future__ import annotations

from dataclasses import replace

from conformance.reference.faults.call_edits import body_calls, demanded, skipping, turning_down, with_calls
from conformance.reference.stages import Completion, Context, ErrorReply, Refusal, Stage, ToolCall, fault
from conformance.wire import strict_json
from conformance.wire.strict_json import Json


def _functions(context: Context) -> list[dict[str, Json]]:
    return [context.chat.body["tools"][tool.position]["function"] for tool in context.chat.tools]


_NO_OBJECT = {"tool_calls.arguments.hold_an_object": "the schema that is taken does not describe an object"}


def _lenient(name: str, violates: str, says: str, *checks: str, entails: dict[str, str] | None = None) -> None:
    """A fault that overlooks these checks."""
    fault(name, at=Stage.REFUSAL, violates=[violates], entails=entails)(skipping(says, *checks))


_lenient("td-tools-object-200", "tools.value.non_array_is_refused", "Any value is taken as tools.", "tools.type")
_lenient(
    "td-type-unknown-200",
    "tools.entry.unknown_type_is_refused",
    "Tools without a type, or of an unknown one, are taken.",
    "tool.type.missing",
    "tool.type.value",
    "tool.shape",
)
_lenient(
    "td-function-missing-200", "tools.entry.needs_its_function", "Tools without a function are taken.", "tool.function"
)
_lenient("td-strict-word-200", "tools.strict.non_boolean_is_refused", "Words are taken as strict.", "tool.strict.type")
_lenient("td-name-too-long-200", "tools.name.too_long_is_refused", "Names of any length are taken.", "tool.name.length")
_lenient(
    "td-description-number-200",
    "tools.description.non_string_is_refused",
    "Numbers are taken as descriptions.",
    "tool.description.type",
)
_lenient(
    "td-parameters-array-200",
    "tools.parameters.non_object_is_refused",
    "Strings and arrays are taken as parameters.",
    "tool.parameters.type",
)
_lenient(
    "td-root-string-200",
    "tools.parameters.other_root_is_refused",
    "Parameters that describe no object are taken.",
    "tool.parameters.root",
    entails=_NO_OBJECT,
)
_lenient(
    "td-invalid-schema-200",
    "tools.parameters.invalid_schema_is_refused",
    "Parameters that are no JSON Schema are taken.",
    "tool.parameters.schema",
    entails=_NO_OBJECT,
)
_lenient("td-too-many-200", "tools.count.too_many_are_refused", "Any number of tools is taken.", "tools.count")
_lenient(
    "td-strict-open-200",
    "tools.strict.open_object_is_refused",
    "Strict schemas may have open objects.",
    "tool.strict.additional_properties",
)
_lenient(
    "td-strict-optional-200",
    "tools.strict.optional_property_is_refused",
    "Strict schemas may have optional properties.",
    "tool.strict.required",
)
_lenient(
    "td-strict-keyword-200",
    "tools.strict.unsupported_keyword_is_refused",
    "Strict schemas may have any keyword.",
    "tool.strict.keyword",
)


@fault("td-nameless-200", at=Stage.REFUSAL, violates=["tools.name.is_required"])
def nameless_200(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Functions without a name are taken."""
    checks = ("tool.name.missing", "tool.name.type")
    empty = refusal is not None and refusal.check == "tool.name.pattern" and refusal.kind == "string_too_short"
    return None if empty or (refusal is not None and refusal.check in checks) else refusal


@fault("td-name-pattern-200", at=Stage.REFUSAL, violates=["tools.name.pattern_is_enforced"])
def name_pattern_200(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Names with any characters are taken."""
    if refusal is not None and refusal.check == "tool.name.pattern" and refusal.kind != "string_too_short":
        return None
    return refusal


fault("td-longest-name-400", at=Stage.REFUSAL, violates=["tools.name.longest_is_accepted"])(
    turning_down(
        "Names of 64 characters are refused.",
        lambda context: any(len(tool.name) == 64 for tool in context.chat.tools),
        "string_too_long",
        "'tools[0].function.name' is too long.",
        "tools[0].function.name",
    )
)
fault(
    "td-description-required",
    at=Stage.REFUSAL,
    violates=["tools.description.is_optional"],
    entails={"tools.count.most_are_accepted": "the many tools are such ones too"},
)(
    turning_down(
        "Functions without a description are refused.",
        lambda context: any("description" not in function for function in _functions(context)),
        "missing_parameter",
        "'tools[0].function.description' is missing.",
        "tools[0].function.description",
    )
)
fault("td-parameters-required", at=Stage.REFUSAL, violates=["tools.parameters.are_optional"])(
    turning_down(
        "Functions without parameters are refused.",
        lambda context: any("parameters" not in function for function in _functions(context)),
        "missing_parameter",
        "'tools[0].function.parameters' is missing.",
        "tools[0].function.parameters",
    )
)
fault("td-most-tools-400", at=Stage.REFUSAL, violates=["tools.count.most_are_accepted"])(
    turning_down(
        "One tool less than the limit is all that is taken.",
        lambda context: len(context.chat.tools) == 128,
        "array_too_long",
        "'tools' is too long.",
        "tools",
    )
)
fault("td-strict-unknown-400", at=Stage.REFUSAL, violates=["tools.strict.booleans_are_accepted"])(
    turning_down(
        "The field strict is not known.",
        lambda context: any("strict" in function for function in _functions(context)),
        "invalid_value",
        "'tools[0].function.strict' is not known.",
        "tools[0].function.strict",
    )
)


@fault(
    "td-empty-list-500",
    at=Stage.REFUSAL,
    violates=["tools.empty_list.causes_no_server_error"],
    dialects=("openai",),
)
def empty_list_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """An empty tools array is a server error."""
    empty = context.body is not None and context.body.get("tools") == []
    return Refusal("internal", "fault", "The list was empty.") if empty else refusal


@fault(
    "td-duplicate-names-500",
    at=Stage.REFUSAL,
    violates=["tools.duplicate_names.cause_no_server_error"],
    dialects=("openai",),
)
def duplicate_names_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Two tools of one name are a server error."""
    found = [tool.name for tool in context.chat.tools]
    return Refusal("internal", "fault", "The name exists.") if len(set(found)) < len(found) else refusal


@fault(
    "td-empty-arguments-unstreamed",
    at=Stage.BODY,
    violates=["tools.parameters.omitted_give_an_empty_object"],
    condition="only functions without parameters",
)
def empty_arguments_unstreamed(body: dict[str, Json], context: Context) -> dict[str, Json]:
    """Unstreamed calls of functions without parameters have an empty string as arguments."""
    chat = demanded(context)
    for call in body_calls(body):
        tool = chat.tool(call["function"]["name"])
        if tool is not None and tool.parameters is None and call["function"]["arguments"] == "{}":
            call["function"]["arguments"] = ""
    return body


def _loosened(completion: Completion, context: Context) -> Completion:
    chat = demanded(context)
    if any(choice.finish_reason == "length" for choice in completion.choices):
        return completion

    def edit(position: int, call: ToolCall) -> ToolCall:
        tool, document = chat.tool(call.name), strict_json.parse(call.arguments)
        if tool is None or not tool.strict or not isinstance(document.value, dict):
            return call
        return replace(call, fragments=(strict_json.dump({**document.value, "surplus": True}).decode(),))

    return with_calls(completion, edit)


@fault("td-strict-not-enforced", at=Stage.COMPLETION, violates=["tools.strict.arguments_satisfy_the_schema"])
def strict_not_enforced(completion: Completion, context: Context) -> Completion:
    """Arguments of strict functions have a member too many."""
    return _loosened(completion, context)


@fault(
    "td-strict-all-or-nothing",
    at=Stage.COMPLETION,
    violates=["tools.strict.arguments_satisfy_the_schema"],
    thread="https://github.com/kekzl/imp/issues/1597",
    condition="only where another declared function is not strict",
)
def strict_all_or_nothing(completion: Completion, context: Context) -> Completion:
    """One function that is not strict turns strict off for all."""
    loose = any(not tool.strict for tool in demanded(context).tools)
    return _loosened(completion, context) if loose else completion


@fault(
    "td-unknown-type-raw-exception",
    at=Stage.ERROR,
    violates=["tools.custom.is_accepted_or_refused"],
    thread="https://github.com/microsoft/foundry-local/issues/1080",
    dialects=("openai",),
)
def unknown_type_raw_exception(reply: ErrorReply, context: Context) -> ErrorReply:
    """The refusal of a custom tool is the text of an exception."""
    if context.refusal is None or context.refusal.check != "tool.custom":
        return reply
    message = "[json.exception.out_of_range.403] key 'function' not found"
    error = {**reply.body["error"], "message": message, "param": None, "code": None}
    return replace(reply, body={**reply.body, "error": error})
