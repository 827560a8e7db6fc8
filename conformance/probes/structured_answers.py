"""Answers in a format: text, JSON mode and schemas, under prompts that pull another way, and beside tools."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.probes.structured_bodies import (
    FILL,
    JSON_MODE,
    PROSE,
    TEXT,
    WHOLE,
    asking,
    is_checked,
    opened,
    rich,
    schema_format,
)
from conformance.probes.structured_generated import strict_schemas
from conformance.probes.structured_shapes import shapes
from conformance.wire.strict_json import Json

_NODE = build.record({"value": WHOLE, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}})
_LIST = {**build.record({"head": {"$ref": "#/$defs/node"}}), "$defs": {"node": _NODE}}
_TREE = build.record({"name": TEXT, "parts": {"type": "array", "items": {"$ref": "#"}}})
_COLOURS: dict[str, Json] = {
    "type": "object",
    "properties": {
        "colors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": TEXT, "hex": {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"}},
                "required": ["name"],
            },
        },
    },
    "required": ["colors"],
}
"""Open objects and an optional property: what strict mode takes in some dialects."""
_CITY = build.record({"city": TEXT})


def _modes(base: Base) -> Iterator[Group]:
    """The default said aloud; JSON mode under prompts for prose, for fences, for an array."""
    few = base.effort < Effort.STANDARD
    yield build.set_at(build.bare(base), "response_format", {"type": "text"})
    prompts = (
        "Which is the capital of France? Answer in JSON.",
        "Write one sentence of plain prose about JSON, and nothing else.",
        "List three colours as a JSON array in a Markdown code block, with a sentence before it.",
    )
    first = base.body(prompts[0], limit=128, response_format=JSON_MODE)
    yield from [build.single(first)] if few else build.parity(base, first, usage=False)
    for prompt in prompts[1 : 1 if few else None]:
        yield build.single(base.body(prompt, limit=128, response_format=JSON_MODE))


def _must_work(base: Base) -> Iterator[Group]:
    """What every endpoint that offers schemas has to take."""
    few = base.effort < Effort.STANDARD
    yield from [build.single(rich(base))] if few else build.parity(base, rich(base), usage=False)
    yield build.single(base.body(FILL, response_format=schema_format(_CITY, strict=...)))
    if not is_checked(base):
        yield build.single(asking(base, _COLOURS, "List three colors with their hex codes."))
        # Lengths and uniqueness are no part of any strict subset, and a dialect without a subset takes them.
        code = {"type": "string", "maxLength": 4}
        loosely = {**opened(_LIST), "properties": {**opened(_LIST)["properties"], "code": code}}
        yield build.single(asking(base, loosely, PROSE))
    else:
        yield build.single(asking(base, _LIST, PROSE))


def _small() -> Iterator[tuple[str, Json]]:
    """(prompt, schema): one keyword at a time, under a prompt that asks for something that the schema forbids."""
    items: Json = {
        "type": "array",
        "items": build.record({"id": WHOLE, "kind": {"type": "string", "enum": ["a", "b"]}}),
    }
    yield "Set the colour to purple.", build.record({"colour": {"type": "string", "enum": ["red", "green"]}})
    yield "Give three items of kind z, with ids as words.", build.record({"items": {**items, "minItems": 1}})
    yield "Set the level to seven and a half.", build.record({"level": {"type": "integer", "enum": [2, 4]}})
    yield "Set the plate to hello world.", build.record({"plate": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}})
    yield (
        "Give one number, -5.",
        build.record(
            {"n": {"type": "number", "minimum": 10}, "k": {"type": "integer", "exclusiveMinimum": 3, "multipleOf": 7}}
        ),
    )
    yield (
        "List exactly one word.",
        build.record({"words": {"type": "array", "items": TEXT, "minItems": 3, "maxItems": 3}}),
    )
    yield (
        "Write all of them as words.",
        build.record(
            {
                "mail": {"type": "string", "format": "email"},
                "host": {"type": "string", "format": "ipv4"},
                "id": {"type": "string", "format": "uuid"},
            }
        ),
    )
    yield PROSE, build.record(dict.fromkeys(("größe", "two words", 'a "quote"', "a/b", "m~n", "日本", "😀"), WHOLE))
    yield PROSE, build.record({f"field_{number}": WHOLE for number in range(24, 0, -1)})
    yield "Set both to the word null.", build.record({"left": {"type": "null"}, "right": {"type": ["integer", "null"]}})
    yield (
        PROSE,
        build.record({"shape": {"anyOf": [build.record({"r": WHOLE}), build.record({"w": WHOLE, "h": WHOLE})]}}),
    )
    yield (
        PROSE,
        build.record({"a": build.record({"b": build.record({"c": {"type": "boolean"}})}), "empty": build.record({})}),
    )
    yield (
        "Set the sort to other.",
        build.record({"sort": {"type": "string", "const": "fixed"}, "flag": {"type": "boolean"}}),
    )


def _more(base: Base) -> Iterator[Group]:
    """The forms of strict; one keyword at a time; recursion and a tree in both modes; the shapes of real schemas."""
    control = asking(base, _CITY)
    for form in ({"strict": False}, {"strict": None}, {"strict": True, "description": "Größe: 日本"}):
        variant = asking(base, _CITY, **form)
        yield build.contrast(control, variant, "/response_format/json_schema")
    for recursive in (_TREE, _LIST):
        yield from build.parity(base, asking(base, recursive, PROSE), usage=False, twice=False)
    for prompt, schema in _small():
        yield build.single(asking(base, schema, prompt))
    count = 6 if base.effort < Effort.THOROUGH else None
    for shape in [*shapes()][:count]:
        yield build.single(asking(base, shape.schema, shape.prompt, limit=512))
    yield build.single(asking(base, _CITY, "Name a city, at length.", limit=1))


def _with_tools(base: Base) -> Iterator[Group]:
    """Tools and a schema at once: a demanded call is made, and an answer in words keeps to the schema."""
    if "tools" not in base.capabilities or base.dialect.convention("response_format.with_tools") == "refused":
        return
    tools = [build.WEATHER_TOOL]
    form = schema_format(_CITY)
    yield build.single(base.body(build.WEATHER, tools=tools, tool_choice="required", response_format=form))
    yield build.single(base.body(build.GREETING, tools=tools, tool_choice="none", response_format=form))
    yield build.single({**build.after_result(base), "tool_choice": "none", "response_format": form})
    yield from build.parity(
        base,
        base.body(build.WEATHER, tools=tools, tool_choice=build.named("get_weather"), response_format=form),
        usage=False,
        twice=False,
    )


def _crossed(base: Base) -> Iterator[Group]:
    """A format under a system message, and where several choices are asked for."""
    brief: Json = {"role": "system", "content": "Answer in plain prose."}
    yield build.single(base.body(brief, FILL, response_format=schema_format(_CITY)))
    if build.takes_many(base):
        yield from build.parity(base, {**asking(base, _CITY, PROSE), "n": 2}, usage=False, twice=False)
        prompt = "Answer in JSON: name two planets."
        yield build.single(base.body(prompt, limit=128, response_format=JSON_MODE, n=2))


def _table(base: Base) -> Iterator[Group]:
    yield from _must_work(base)
    yield from _modes(base)
    if base.effort >= Effort.STANDARD:
        yield from _more(base)
        yield from _crossed(base)
        yield from _with_tools(base)


def _draws(base: Base) -> SearchStrategy[Group]:
    """Generated strict schemas under a prompt for prose, some of them in both modes."""

    def group(schema: Json, kind: str) -> Group:
        body = asking(base, schema, PROSE)
        return next(build.parity(base, body, usage=False, twice=False)) if kind == "parity" else build.single(body)

    return st.builds(group, strict_schemas(), st.sampled_from(("single", "single", "parity")))


register(
    Probe(
        "structured_answers",
        "structured_output",
        ("structured_output", "stream", "finish_reason", "tool_choice"),
        table=_table,
        strategy=_draws,
        draws=(0, 12, 120),
        needs=frozenset({"structured_output"}),
        summary="Formats that must work: text, JSON mode, schemas of every keyword, real shapes, beside tools.",
    )
)
