"""Schemas of tools: what is judged, and what is left alone because nobody can be sure."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.rules.schema_check import (
    contradicts_itself,
    keywords_among,
    open_objects,
    optional_properties,
    pinned,
    usable,
    valid,
)

CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (CLOSED, {"city": "Paris"}, True),
        (CLOSED, {"city": 5}, False),
        (CLOSED, {"city": "Paris", "unit": "C"}, False),
        ({"type": "integer"}, 3.0, True),
        ({"$ref": "#"}, {}, None),
        ({"$ref": "https://example.com/schema"}, {}, None),
        ({"type": "foo"}, {}, None),
        ({"type": "string", "pattern": "("}, "x", None),
        (
            {"$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"},
            {"next": {}},
            True,
        ),
    ],
)
def test_a_value_is_judged_only_where_both_libraries_are_sure(schema: Any, value: Any, expected: bool | None) -> None:
    assert valid(schema, value) is expected


def test_deep_values_and_schemas_are_left_alone() -> None:
    deep: Any = {}
    for _ in range(500):
        deep = {"properties": {"a": deep}}
    assert valid(deep, {}) is None
    assert valid(CLOSED, {"city": deep}) is None
    assert usable(deep) is None


@pytest.mark.parametrize(
    ("schema", "expected"), [({"type": "foo"}, False), ({"type": "object"}, True), ({"properties": 5}, False)]
)
def test_what_is_a_schema(schema: Any, expected: bool) -> None:
    assert usable(schema) is expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({**CLOSED, "properties": {"city": {"enum": ["Paris"]}}}, True),
        ({**CLOSED, "properties": {"city": {"enum": ["Paris", "Rome"]}}}, False),
        ({**CLOSED, "properties": {"city": {"const": 1}}, "required": []}, False),
        ({**CLOSED, "properties": {"city": {"const": 1}}, "additionalProperties": True}, False),
    ],
)
def test_a_pinned_schema_leaves_one_value(schema: Any, expected: bool) -> None:
    assert pinned(schema) is expected


def test_what_strict_mode_objects_to() -> None:
    nested = {**CLOSED, "properties": {"at": {"type": "object", "properties": {"x": {"not": {}}}}}, "required": []}
    assert open_objects(nested) == ["/properties/at"]
    assert optional_properties(nested) == ["/properties/at", "/properties/at/properties/x"]
    assert keywords_among(nested, frozenset({"not"})) == ["/properties/at/properties/x/not"]
    assert open_objects(CLOSED) == optional_properties(CLOSED) == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (CLOSED, False),
        ({**CLOSED, "properties": {}}, True),
        ({"type": "object", "required": ["city"]}, False),
        ({"properties": {"place": {**CLOSED, "required": ["city", "zip"]}}}, True),
        ({**CLOSED, "properties": {}, "patternProperties": {"^c": {}}}, False),
    ],
)
def test_what_nothing_can_satisfy_is_held_against_nobody(schema: Any, expected: bool) -> None:
    assert contradicts_itself(schema) is expected
