"""`tools`, `tool_choice` and `parallel_tool_calls`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from conformance.reference import schemas
from conformance.reference.fields import wrong_type
from conformance.reference.stages import Context, Refusal
from conformance.wire.strict_json import Json, show


def refuse(context: Context) -> Iterator[Refusal]:
    """Every reason that lies in tools and in how they are to be chosen."""
    body = context.body or {}
    tools = body.get("tools")
    if tools is not None:
        yield from _tools(context, tools)
    if body.get("tool_choice") is not None:
        yield from _choice(context, body["tool_choice"], has_tools=bool(tools))
    parallel = body.get("parallel_tool_calls")
    if parallel is not None:
        if not isinstance(parallel, bool):
            yield wrong_type("parallel_tool_calls", parallel, "a boolean", "parallel_tool_calls.type")
        if not tools:
            text = "'parallel_tool_calls' goes with 'tools'."
            yield Refusal("needs_other_parameter", "parallel_tool_calls.needs_tools", text, "parallel_tool_calls")


def _tools(context: Context, tools: Json) -> Iterator[Refusal]:
    if not isinstance(tools, list):
        yield wrong_type("tools", tools, "an array", "tools.type")
        return
    most = context.dialect.limit("tools.max")
    if not tools:
        yield Refusal("array_too_short", "tools.empty", "'tools' is an empty array.", "tools")
    if most is not None and len(tools) > most:
        yield Refusal("array_too_long", "tools.count", f"'tools' may hold at most {most} tools.", "tools")
    for position, tool in enumerate(tools):
        yield from _tool(context, tool, f"tools[{position}]")


def _tool(context: Context, tool: Json, where: str) -> Iterator[Refusal]:
    if not isinstance(tool, dict):
        yield wrong_type(where, tool, "an object", "tool.shape")
        return
    form = tool.get("type")
    if form is None:
        yield Refusal("missing_parameter", "tool.type.missing", f"'{where}.type' is missing.", f"{where}.type")
    elif form == "custom":
        yield Refusal(
            "unsupported_value", "tool.custom", f"'{where}.type': custom tools are not supported.", f"{where}.type"
        )
        return
    elif form != "function":
        text = f"'{where}.type' has to be 'function', not {show(form, 40)}."
        yield Refusal("invalid_value", "tool.type.value", text, f"{where}.type")
    function = tool.get("function")
    if not isinstance(function, dict):
        missing = "missing_parameter" if function is None else "invalid_type"
        yield Refusal(missing, "tool.function", f"'{where}.function' has to be an object.", f"{where}.function")
        return
    where = f"{where}.function"
    yield from _name(context, function, where)
    for key, kind, words in (("description", str, "a string"), ("strict", bool, "a boolean")):
        if function.get(key) is not None and not isinstance(function[key], kind):
            yield wrong_type(f"{where}.{key}", function[key], words, f"tool.{key}.type")
    if function.get("parameters") is not None:
        strict = function.get("strict") is True and context.dialect.convention("strict.tools") == "checked"
        yield from _parameters(context, function["parameters"], f"{where}.parameters", strict=strict)


@lru_cache(maxsize=16)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _name(context: Context, function: dict[str, Json], where: str) -> Iterator[Refusal]:
    name, place = function.get("name"), f"{where}.name"
    pattern, longest = context.dialect.limit("tool_name.pattern"), context.dialect.limit("tool_name.max_length")
    if name is None:
        yield Refusal("missing_parameter", "tool.name.missing", f"'{place}' is missing.", place)
    elif not isinstance(name, str):
        yield wrong_type(place, name, "a string", "tool.name.type")
    elif not name:
        yield Refusal("string_too_short", "tool.name.pattern", f"'{place}' is empty.", place)
    elif pattern is not None and (not _pattern(pattern).match(name) or name.endswith("\n")):
        yield Refusal("invalid_value", "tool.name.pattern", f"'{place}' does not match {pattern}.", place)
    elif longest is not None and len(name) > longest:
        yield Refusal("string_too_long", "tool.name.length", f"'{place}' has more than {longest} characters.", place)


def _parameters(context: Context, schema: Json, place: str, *, strict: bool) -> Iterator[Refusal]:
    if not isinstance(schema, dict):
        yield wrong_type(place, schema, "an object", "tool.parameters.type")
        return
    wrong = schemas.invalid(schema)
    if wrong:
        yield Refusal(
            "invalid_function_parameters", "tool.parameters.schema", f"'{place}' is no schema: {wrong}.", place
        )
    elif schema.get("type", "object") != "object":
        text = f"'{place}' has to describe an object."
        yield Refusal("invalid_function_parameters", "tool.parameters.root", text, place)
    if strict:
        for lax in schemas.laxities(schema, context.dialect.words("strict.unsupported")):
            text = f"'{place}' is not strict at {lax.pointer or 'the root'}: {lax.detail}."
            yield Refusal("invalid_function_parameters", f"tool.strict.{lax.rule}", text, place)


def _names(context: Context) -> frozenset[str]:
    return context.chat.tool_names


def _choice(context: Context, choice: Json, *, has_tools: bool) -> Iterator[Refusal]:
    words = context.dialect.words("tool_choice")
    if isinstance(choice, str):
        if choice not in words:
            text = f"'tool_choice' has to be one of {', '.join(words)}, or an object that names a tool."
            yield Refusal("invalid_value", "tool_choice.value", text, "tool_choice")
            return
    elif not isinstance(choice, dict):
        yield wrong_type("tool_choice", choice, "a string or an object", "tool_choice.type")
        return
    if not has_tools and choice != "none" and context.dialect.convention("tool_choice.needs_tools"):
        yield Refusal(
            "needs_other_parameter", "tool_choice.needs_tools", "'tool_choice' goes with 'tools'.", "tool_choice"
        )
    if not isinstance(choice, dict):
        return
    match choice.get("type"):
        case "function":
            yield from _named(context, choice, "tool_choice.function")
        case "allowed_tools":
            yield from _allowed(context, choice.get("allowed_tools"))
        case "custom":
            text = "Custom tools are not supported."
            yield Refusal("unsupported_value", "tool_choice.custom", text, "tool_choice.type")
        case _:
            text = "'tool_choice.type' has to be 'function'."
            yield Refusal("invalid_value", "tool_choice.shape", text, "tool_choice.type")


def _named(context: Context, choice: dict[str, Json], place: str) -> Iterator[Refusal]:
    inner = choice.get("function")
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(name, str) or not name:
        missing = "missing_parameter" if name is None else "invalid_type"
        yield Refusal(missing, "tool_choice.shape", f"'{place}.name' has to name a tool.", f"{place}.name")
    elif name not in _names(context):
        text = f"'tool_choice' names {show(name, 80)}, which is not in 'tools'."
        yield Refusal("unknown_tool_choice", "tool_choice.unknown_name", text, "tool_choice")


def _allowed(context: Context, allowed: Json) -> Iterator[Refusal]:
    place = "tool_choice.allowed_tools"
    if not isinstance(allowed, dict):
        yield Refusal("invalid_type", "tool_choice.allowed.shape", f"'{place}' has to be an object.", place)
        return
    if allowed.get("mode") not in ("auto", "required"):
        text = f"'{place}.mode' has to be 'auto' or 'required'."
        yield Refusal("invalid_value", "tool_choice.allowed.mode", text, f"{place}.mode")
    listed = allowed.get("tools")
    if not isinstance(listed, list) or not listed:
        text = f"'{place}.tools' has to be a non-empty array."
        yield Refusal("invalid_type", "tool_choice.allowed.shape", text, f"{place}.tools")
        return
    for item in listed:
        if isinstance(item, dict) and item.get("type") == "function":
            yield from _named(context, item, f"{place}.tools")
        else:
            text = f"'{place}.tools' has to hold references to functions."
            yield Refusal("invalid_type", "tool_choice.allowed.shape", text, f"{place}.tools")
