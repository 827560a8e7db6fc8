"""Instances of schemas: valid for all that a tool may declare, cheap for all that a fuzzer may send."""

from __future__ import annotations

import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.reference import patterns, schemas
from conformance.reference.arguments import instance

LIST = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["value", "next"],
    "additionalProperties": False,
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "name": {"type": "string"},
            },
            "required": ["name", "children"],
        }
    },
}
SCHEMAS: list[Any] = [
    {},
    True,
    {"type": "object"},
    LIST,
    TREE,
    {"type": "object", "properties": {"a": {"const": {"x": [1, None]}}, "b": {"enum": [3, "x"]}}, "required": ["b"]},
    *[
        {"type": "string", "pattern": pattern}
        for pattern in (
            "^#[0-9a-fA-F]{6}$",
            r"^\d{4}-\d{2}-\d{2}$",
            r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
            "^(red|green)+$",
            "b",
            r"^\w{3,5}\s?[A-Z]$",
            r"^(\+49|0)[1-9]\d{3,}$",
            "^[^a-z]{3}$",
            "^a?$",
            r"^\S+$",
            r"^(?:[a-z]{2}-)?\d+$",
            r"^([ab])\1$",
            "^x.y$",
        )
    ],
    *[
        {"type": "string", "format": form}
        for form in (
            "date-time",
            "date",
            "time",
            "duration",
            "email",
            "hostname",
            "ipv4",
            "ipv6",
            "uuid",
            "uri",
            "json-pointer",
            "regex",
        )
    ],
    {"type": "string", "minLength": 200},
    {"type": "string", "maxLength": 2},
    {"type": "string", "maxLength": 0},
    {"type": "string", "pattern": "^[a-z]+$", "minLength": 12, "maxLength": 14},
    {"type": "integer", "minimum": 10},
    {"type": "integer", "maximum": -10},
    {"type": "integer", "minimum": 3, "maximum": 3},
    {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
    {"type": "integer", "multipleOf": 7, "minimum": 50},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-9},
    {"type": "number", "minimum": 0.1, "maximum": 0.1},
    {"type": "number", "multipleOf": 0.25, "minimum": 1.1},
    {"type": "number", "maximum": -5.5},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
    {"type": "array", "items": {"type": "string"}, "minItems": 4, "uniqueItems": True},
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 2},
    {"type": "array", "contains": {"const": 5}, "minContains": 2},
    {"type": "array", "maxItems": 0},
    {"type": ["string", "null"]},
    {"type": ["null", "integer"]},
    {"properties": {"a": {"type": "null"}}, "required": ["a"]},
    {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    {"oneOf": [{"type": "integer"}, {"type": "number", "multipleOf": 0.5}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"required": ["a"]}]},
    {"type": "string", "not": {"const": 'an "example" value'}},
    {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["x"]},
        "else": {"required": ["y"]},
    },
    {"type": "object", "minProperties": 3},
    {"type": "object", "required": ["undeclared"]},
    {"type": "object", "propertyNames": {"pattern": "^k[0-9]$"}, "minProperties": 1},
    {
        "type": "object",
        "patternProperties": {"^n_": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
    {"type": "object", "additionalProperties": {"type": "integer"}, "required": ["a", "b"]},
    {"type": "object", "properties": {"a": False, "b": True}},
    {"type": "object", "properties": {"größe 😀": {"type": "boolean"}}},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@pytest.mark.parametrize("hint", [None, "Paris"])
def test_instances_satisfy_their_schema(schema: Any, hint: str | None) -> None:
    made = instance(schema, hint)
    assert jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(made), made
    assert schemas.invalid(schema) is None
    assert instance(schema, hint) == made


def test_the_hint_goes_into_the_first_free_text() -> None:
    schema = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "city": {"type": "string"}, "c": {"type": "string"}},
    }
    made = instance(schema, "Paris")
    assert made["city"] == "Paris"
    assert made["c"] != "Paris"
    assert instance({"enum": ["x", "Paris"]}, "Paris") == "Paris"


scalars = st.one_of(
    st.builds(
        lambda low, span: {"type": "string", "minLength": low, "maxLength": low + span},
        st.integers(0, 30),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span},
        st.integers(-99, 99),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low, span: {"type": "number", "minimum": low, "maximum": low + span},
        st.integers(-99, 99),
        st.integers(0, 9),
    ),
    st.builds(
        lambda step, low: {"type": "integer", "multipleOf": step, "minimum": low},
        st.integers(1, 9),
        st.integers(-50, 50),
    ),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string"}, {"type": ["string", "null"]}]),
    st.builds(
        lambda values: {"enum": values},
        st.lists(st.integers() | st.text(max_size=5) | st.none(), min_size=1, max_size=4),
    ),
    st.builds(
        lambda value: {"const": value}, st.integers() | st.text(max_size=5) | st.lists(st.booleans(), max_size=2)
    ),
    st.sampled_from(
        [{"type": "string", "pattern": text} for text in ("^[A-Z]{2,4}$", r"^\d+$", "^(a|b)c*$", r"^[\w.]+@x\.org$")]
    ),
    st.sampled_from([{"type": "string", "format": text} for text in ("date", "email", "uuid", "ipv4", "date-time")]),
    st.just({"$ref": "#/$defs/shared"}),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(properties: dict[str, Any], required: int, closed: bool) -> Any:
        made = {"type": "object", "properties": properties, "required": list(properties)[:required]}
        return {**made, "additionalProperties": False} if closed else made

    return st.builds(
        build,
        st.dictionaries(st.text("abcé", min_size=1, max_size=3), inner, max_size=4),
        st.integers(0, 4),
        st.booleans(),
    )


supported = st.recursive(
    scalars,
    lambda inner: (
        objects(inner)
        | st.builds(
            lambda items, low: {"type": "array", "items": items, "minItems": low, "maxItems": low + 2},
            inner,
            st.integers(0, 3),
        )
        | st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema=objects(supported), shared=scalars.filter(lambda schema: "$ref" not in schema))
def test_random_supported_schemas_are_satisfied(schema: Any, shared: Any) -> None:
    whole = {**schema, "$defs": {"shared": shared}}
    made = instance(whole, "Paris")
    assert jsonschema_rs.validator_for(whole, validate_formats=True).is_valid(made), made


words = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "allOf",
        "$ref",
        "required",
        "enum",
        "const",
        "minimum",
        "maximum",
        "multipleOf",
        "pattern",
        "format",
        "minItems",
        "uniqueItems",
        "contains",
        "not",
        "if",
        "then",
        "minLength",
        "additionalProperties",
        "prefixItems",
        "minProperties",
        "exclusiveMinimum",
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["object", "array", "string", "#", "#/items", "a+", "("]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema=values)
def test_nonsense_raises_nothing(schema: Any) -> None:
    schemas.invalid(schema)
    schemas.measure(schema)
    list(schemas.laxities(schema, ("not",)))
    instance(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}]},
        {
            "$defs": {
                f"d{i}": {
                    "type": "object",
                    "required": ["a", "b"],
                    "properties": {name: {"$ref": f"#/$defs/d{i + 1}"} for name in "ab"},
                }
                for i in range(60)
            },
            "$ref": "#/$defs/d0",
        },
        {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
        {"type": "string", "minLength": 10**12},
        {"type": "string", "pattern": "((a{1000}){1000}){1000}"},
        {"type": "integer", "minimum": 10**400},
        {"type": "number", "minimum": 10**400},
        {"type": "number", "minimum": 1e308, "multipleOf": 1e-300},
        {"type": "array", "contains": {"const": 1}, "minContains": 10**9},
    ],
    ids=str,
)
def test_schemas_without_end_cost_little(schema: Any) -> None:
    start = time.perf_counter()
    instance(schema)
    schemas.measure(schema)
    assert time.perf_counter() - start < 5


def test_patterns_beyond_the_common_give_none() -> None:
    assert patterns.sample("(") is None
    assert patterns.sample("(a{1000}){1000}") is None
    assert patterns.compiled("(") is None


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, None),
        ({"type": "foo"}, "'type' names no JSON type at the root"),
        ({"properties": {"a/b": {"items": 5}}}, "a schema is no object at /properties/a~1b/items"),
        ({"$defs": {"x": {"required": [1]}}}, "'required' is no array of strings at /$defs/x"),
        ({"enum": [float("inf")]}, "'enum' is no non-empty array at the root"),
        ({"minimum": 10**400}, None),
    ],
)
def test_invalid_schemas_are_told_apart(schema: Any, expected: str | None) -> None:
    assert schemas.invalid(schema) == expected


def test_measures() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"bb": {"enum": ["x", "yy"]}}}},
        "$defs": {"c": {"type": "object"}},
    }
    size = schemas.measure(schema)
    assert (size.levels, size.properties, size.enum_values, size.largest_enum) == (2, 2, 2, 2)
    assert size.characters == len("a" + "bb" + "x" + "yy" + "c")
