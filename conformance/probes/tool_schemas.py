"""JSON Schemas for the parameters of tools: each construct once by table, and any mixture of them at random.

Every schema has an instance that is short and easy to find, so that a weak model under constrained decoding makes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json

_TEXT: dict[str, Any] = {"type": "string"}
_NULL: dict[str, Any] = {"type": "null"}
_NODE: dict[str, Any] = {"anyOf": [{"$ref": "#/$defs/node"}, _NULL]}

NULLABLE = build.record(
    {
        "title": {"anyOf": [{"type": "string", "enum": ["tea"]}, _NULL]},
        "kind": {"const": "reminder"},
        "days": {"type": "array", "items": {"type": "string", "enum": ["mon", "tue"]}, "minItems": 1, "maxItems": 2},
    }
)
RECURSIVE = build.record({"value": {"type": "integer", "enum": [1]}, "next": _NODE}) | {
    "$defs": {"node": build.record({"value": {"type": "integer", "enum": [2]}, "next": _NODE})}
}
BOUNDED = build.record(
    {
        "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "day": {"type": "string", "format": "date"},
        "count": {"type": "integer", "minimum": 3, "maximum": 5},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "note": {"type": "string", "minLength": 1, "maxLength": 200},
    }
)
NESTED = build.record(
    {
        "order": build.record(
            {
                "lines": {
                    "type": "array",
                    "items": build.record(
                        {"name": {"type": "string", "enum": ["Käse"]}, "number": {"type": "integer"}}
                    ),
                },
                "options": build.record({}),
            }
        ),
        "paid": {"type": "boolean"},
    }
)
FOREIGN = build.record({"größe": {"type": "string", "enum": ["groß"]}, "名前": {"type": "string", "enum": ["太郎"]}})
"""Property names beyond ASCII."""


def _asked(base: Base, name: str, schema: Json, choice: Json, **fields: Json) -> dict[str, Json]:
    tool = build.function(name, schema, description="Takes one record", **fields)
    return base.body(f"Please call {name} with any sensible values.", tools=[tool], tool_choice=choice)


def _table(base: Base) -> Iterator[Group]:
    yield build.single(_asked(base, "set-reminder", NULLABLE, build.named("set-reminder")))
    if base.effort < Effort.STANDARD:
        return
    # Each in both modes, as one server error alone may be chance.
    for name, schema in (("set-reminder", NULLABLE), ("save_list", RECURSIVE), ("book_seat", BOUNDED)):
        asked = _asked(base, name, schema, build.named(name))
        yield build.single(asked)
        if "streaming" in base.capabilities:
            yield build.single(build.streamed(asked))
    for name, schema in (("save_list", RECURSIVE), ("place_order", NESTED)):
        yield build.single(_asked(base, name, schema, "required", strict=True))
    labelled = _asked(base, "set_label", FOREIGN, "required", strict=True)
    yield build.single(build.streamed(labelled) if "streaming" in base.capabilities else labelled)


def _leaves() -> SearchStrategy[dict[str, Any]]:
    """Values by type, by enumeration, by format, by pattern and within bounds."""
    low = st.integers(-5, 5)
    return st.one_of(
        st.sampled_from((_TEXT, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, _NULL)),
        st.sampled_from(("date", "date-time", "email", "uuid")).map(lambda form: {**_TEXT, "format": form}),
        st.sampled_from(("^[A-Z]{3}$", "^[0-9]{4}$", "^id_[a-z0-9]+$")).map(lambda text: {**_TEXT, "pattern": text}),
        low.map(lambda least: {"type": "integer", "minimum": least, "maximum": least + 3}),
        low.map(lambda least: {"type": "number", "minimum": least, "maximum": least + 1}),
        st.sampled_from(("grün", "naïve", "東京", "a b", 'say "hi"')).map(lambda word: {**_TEXT, "enum": [word]}),
        st.sampled_from(("on", 7, True)).map(lambda value: {"const": value}),
        st.just({"$ref": "#/$defs/part"}),
    )


def _grown(inner: SearchStrategy[dict[str, Any]]) -> SearchStrategy[dict[str, Any]]:
    return st.one_of(
        inner.map(lambda items: {"type": "array", "items": items, "minItems": 1, "maxItems": 2}),
        st.dictionaries(_names(), inner, max_size=3).map(build.record),
        inner.map(lambda other: {"anyOf": [other, _NULL]}),
    )


def _names() -> SearchStrategy[str]:
    return st.from_regex(r"\A[a-z][a-z0-9_]{0,9}\Z") | st.sampled_from(("straße", "ключ", "camelCase", "with-dash"))


def parameter_schemas() -> SearchStrategy[dict[str, Any]]:
    """Closed object schemas over every construct; `#/$defs/part` refers to itself at most once in every branch."""
    values = st.recursive(_leaves(), _grown, max_leaves=4)
    part = build.record({"name": {**_TEXT, "enum": ["part"]}, "inner": {"anyOf": [{"$ref": "#/$defs/part"}, _NULL]}})

    def with_parts(properties: dict[str, Any]) -> dict[str, Any]:
        made = build.record(properties)
        return {**made, "$defs": {"part": part}} if "#/$defs/part" in str(properties) else made

    return st.dictionaries(_names(), values, min_size=1, max_size=4).map(with_parts)


def _draws(base: Base) -> SearchStrategy[Group]:
    def group(name: str, schema: dict[str, Any], strict: bool, streams: bool, named: bool) -> Group:
        fields: dict[str, Json] = {"strict": True} if strict else {}
        body = _asked(base, name, schema, build.named(name) if named else "required", **fields)
        return build.single(build.streamed(body) if streams else body)

    modes = st.booleans() if "streaming" in base.capabilities else st.just(False)
    names = st.from_regex(r"\A[a-zA-Z0-9_-]{1,64}\Z")
    return st.builds(group, names, parameter_schemas(), st.booleans(), modes, st.booleans())


register(
    Probe(
        "tool_schemas",
        "tools",
        ("tools", "tool_calls", "tool_choice.name", "tool_choice.named.calls_the_function"),
        table=_table,
        strategy=_draws,
        draws=(0, 4, 80),
        needs=frozenset({"tools"}),
        summary="Parameters over all of JSON Schema that tools are written in: references, null, formats, bounds.",
    )
)
