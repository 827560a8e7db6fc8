"""Tool definitions: names, descriptions, schemas and `strict`, right and wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.probes.schemas import closed_schemas
from conformance.wire.strict_json import Json

_PLAIN = build.function("press", build.record({}), description="Press the button")
_PERSON = build.record(
    {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "score": {"type": "number"},
        "kind": {"type": "string", "enum": ["friend", "guest"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "address": build.record({"city": {"type": "string"}, "zip": {"type": ["string", "null"]}}),
        "active": {"type": "boolean"},
    }
)


_CUSTOM = {"type": "custom", "custom": {"name": "run_code", "description": "Run code"}}


def _body(base: Base, tool: Json, *, few: bool = True) -> dict[str, Json]:
    """The tool alone, and a call demanded."""
    return base.body("Please use the tool.", limit=32 if few else 256, tools=[tool], tool_choice="required")


def _inner(**fields: Json) -> dict[str, Json]:
    """The plain tool with fields of its function set, or removed by Ellipsis."""
    inner = {key: value for key, value in {**_PLAIN["function"], **fields}.items() if value is not ...}
    return {"type": "function", "function": inner}


def _called(base: Base) -> Iterator[Group]:
    """Definitions that must work, each forced to be called and to be answered in full."""
    yield build.single(_body(base, {**_PLAIN, "function": {**_PLAIN["function"], "parameters": {}}}, few=False))
    yield build.single(_body(base, build.LONG_NAME_TOOL, few=False))
    if base.effort < Effort.STANDARD:
        return
    strict = build.function("save_person", _PERSON, description="Save a person", strict=True)
    saved = base.body("Save Ada, 36, a friend from London.", tools=[strict], tool_choice="required")
    yield from build.parity(base, saved, usage=True)
    yield build.single(_body(base, build.BARE_TOOL, few=False))
    for name in ("a", "a-B_9"):
        yield build.single(_body(base, build.function(name, build.record({})), few=False))
    for tool in (build.PRESS_TOOL, build.UNICODE_TOOL):
        forced = {**tool, "function": {**tool["function"], "strict": True}}
        yield build.single(_body(base, forced, few=False))
        loose = build.function("write_note", {"type": "object", "properties": {"text": {"type": "string"}}})
        pair = base.body(f"Call {build.name_of(tool)} now.", tools=[loose, forced])
        yield build.single({**pair, "tool_choice": build.named(build.name_of(tool))})
    yield build.single(_body(base, build.function("save_person", _PERSON), few=False))


def _accepted(base: Base) -> Iterator[Group]:
    """Forms that the schema allows, beside one that was seen to work."""
    control = _body(base, _PLAIN)
    most = int(base.dialect.limit("tools.max") or 64)
    yield build.set_at(control, "tools", [build.function(f"tool_{number}", build.record({})) for number in range(most)])
    free = {**base.body(build.GREETING, limit=32, tools=[_PLAIN]), "tool_choice": "auto"}
    twice, custom = {**free, "tools": [_PLAIN, _PLAIN]}, {**free, "tools": [_CUSTOM]}
    if base.effort < Effort.STANDARD:
        yield from (build.single(twice), build.single(custom))
        return
    yield from (build.contrast(free, body, "/tools") for body in (twice, custom))
    for fields in ({"description": ...}, {"parameters": ...}, {"strict": False}, {"strict": True}, {"strict": None}):
        ((field, _),) = fields.items()
        yield build.contrast(control, _body(base, _inner(**fields)), f"/tools/0/function/{field}")
    yield build.contrast(control, _body(base, _inner(description="日本語で")), "/tools/0/function/description")


def _wrong(base: Base) -> Iterator[tuple[Json, str]]:
    """(tool, the place that is wrong), the most telling first."""
    inner = "/tools/0/function"
    yield _inner(name=...), f"{inner}/name"
    yield {"function": _PLAIN["function"]}, "/tools/0/type"
    yield {"type": "function"}, inner
    yield _inner(name="get weather"), f"{inner}/name"
    length = base.dialect.limit("tool_name.max_length")
    if isinstance(length, int):
        yield _inner(name="n" * (length + 1)), f"{inner}/name"
    yield {**_PLAIN, "type": "foo"}, "/tools/0/type"
    yield _inner(parameters="x"), f"{inner}/parameters"
    yield from ((_inner(name=name), f"{inner}/name") for name in ("", "get.weather", "größe", 5, None))
    yield _inner(parameters=[]), f"{inner}/parameters"
    yield _inner(parameters={"type": "string"}), f"{inner}/parameters"
    yield _inner(parameters={"type": "foo"}), f"{inner}/parameters"
    yield _inner(parameters={"type": "object", "properties": []}), f"{inner}/parameters"
    yield _inner(parameters={"type": "object", "properties": {"x": None}}), f"{inner}/parameters"
    yield _inner(description=5), f"{inner}/description"
    yield _inner(strict="yes"), f"{inner}/strict"
    yield {"type": "function", **_PLAIN["function"]}, "/tools/0"
    yield {"type": "function", "function": "press"}, inner
    yield from (("press", "/tools/0"), (None, "/tools/0"), ([], "/tools/0"))


def _strictly_wrong() -> Iterator[Json]:
    """Schemas that `strict: true` does not allow."""
    text: Json = {"type": "string"}
    closed = build.record({"value": text})
    yield {key: item for key, item in closed.items() if key != "additionalProperties"}
    yield build.record({"value": text, "extra": text}, ["value"])
    yield build.record({"inner": {key: item for key, item in closed.items() if key != "additionalProperties"}})
    yield {**closed, "additionalProperties": True}
    keywords: dict[str, Json] = {
        "allOf": [{"type": "object"}],
        "not": {"required": ["other"]},
        "if": {"required": ["value"]},
        "dependentRequired": {"value": ["value"]},
        "dependentSchemas": {"value": {"type": "object"}},
    }
    for keyword, value in keywords.items():
        extra = {"then": {"required": ["value"]}} if keyword == "if" else {}
        yield {**closed, keyword: value, **extra}


def _refused(base: Base) -> Iterator[Group]:
    control = _body(base, _PLAIN)
    for tool, about in _wrong(base):
        yield build.contrast(control, {**control, "tools": [tool]}, about, refused=True)
    strict = build.function("press", build.record({"value": {"type": "string"}}), strict=True)
    proper = _body(base, strict)
    for schema in _strictly_wrong():
        tool = build.function("press", schema, strict=True)
        yield build.contrast(proper, {**proper, "tools": [tool]}, "/tools/0/function/parameters", refused=True)
    empty = {**control, "tool_choice": "auto", "tools": []}
    yield build.single(empty, free=True)
    most = base.dialect.limit("tools.max")
    if isinstance(most, int):
        many = [build.function(f"tool_{number}", build.record({})) for number in range(most + 1)]
        yield build.set_at(control, "tools", many, refused=True)
    values: tuple[Json, ...] = ({}, "press", 1)
    for value in values[: 1 if base.effort < Effort.STANDARD else len(values)]:
        yield build.set_at(control, "tools", value, refused=True)


def _table(base: Base) -> Iterator[Group]:
    yield from _called(base)
    yield from _accepted(base)
    yield from _refused(base)


def _draws(base: Base) -> SearchStrategy[Group]:
    """Generated closed schemas, forced; strict or not; some streamed beside their unstreamed selves."""

    def group(name: str, schema: dict[str, Any], strict: bool, kind: str) -> Group:
        tool = build.function(name, schema, description="Takes a record", strict=strict)
        choice = build.named(name) if kind == "named" else "required"
        body = base.body("Please use the tool with any sensible values.", tools=[tool], tool_choice=choice)
        return next(build.parity(base, body, usage=False)) if kind == "parity" else build.single(body)

    names = st.from_regex(r"\A[a-zA-Z0-9_-]{1,64}\Z")
    kinds = st.sampled_from(("required", "named", "parity"))
    return st.builds(group, names, closed_schemas(), st.booleans(), kinds)


register(
    Probe(
        "tools",
        "tools",
        ("tools", "tool_calls", "errors", "tool_choice.name", "tool_choice.required.calls_a_tool"),
        table=_table,
        strategy=_draws,
        draws=(0, 6, 100),
        needs=frozenset({"tools"}),
        summary="Tool names, descriptions, schemas and strict, right and wrong.",
    )
)
