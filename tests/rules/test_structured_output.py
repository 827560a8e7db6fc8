"""Schemas of formats: what is weakened away, what is judged by which family, and what is left alone."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import rules
from conformance.catalogue import examples
from conformance.dialects import loader as dialects
from conformance.probes.structured_generated import strict_schemas
from conformance.reference.arguments import instance
from conformance.rules.base import FoldRule, Rule, Terms
from conformance.rules.judge import Judgement, judge, judge_run
from conformance.rules.schema_check import resolved, valid
from conformance.rules.structured_families import (
    BOUNDS,
    PATTERNS,
    contradicts_itself,
    family,
    formats,
    fractions_for_integers,
    has_rest,
    out_of_order,
    rest,
    structure,
    uses,
    weakened,
)

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
OPENAI = Terms(dialects.load("openai"))
RULES = rules.load()


def said(requirement: str, schema: Any, content: str, **spec: Any) -> Judgement:
    """What one rule says of an answer with this content to a strict format."""
    declared = {"name": "a", "strict": True, "schema": schema}
    request = {"response_format": {"type": "json_schema", "json_schema": declared}, **spec.pop("request", {})}
    made = {"wrong": {"request": request, "message": {"content": content}, **spec}}
    rule = RULES[f"structured_output.{requirement}"]
    assert isinstance(rule, Rule)
    return judge(rule, examples.trace(made, "wrong"), OPENAI)


def spoil(value: Any, choice: int) -> Any:
    """The value with one thing in it changed; which one, `choice` decides."""
    if isinstance(value, dict) and value:
        key = list(value)[choice % len(value)]
        changed = {**value, key: spoil(value[key], choice // 7)}
        return changed if choice % 3 else {name: item for name, item in value.items() if name != key}
    if isinstance(value, list) and value:
        return value[1:] if choice % 2 else [spoil(value[0], choice // 7), *value[1:]]
    return (12345.5, "wrong", None, True, 7, 3.0)[choice % 6]


@settings(max_examples=80, deadline=None)
@given(strict_schemas(), st.integers(0, 10**6))
def test_weakening_never_asks_for_more(schema: Any, choice: int) -> None:
    """A value that breaks a weakened schema breaks the whole one; so no promise is held against a good answer."""
    good = instance(schema)
    whole = jsonschema_rs.Draft202012Validator(schema, validate_formats=False)
    for value in (good, spoil(good, choice), spoil(spoil(good, choice), choice // 11)):
        for words in (frozenset[str](), PATTERNS, BOUNDS, PATTERNS | BOUNDS):
            if whole.is_valid(value):
                assert valid(weakened(schema, words), value) is not False
        if structure(schema, value)[0] is False:
            assert not whole.is_valid(value)
            assert family(schema, value, BOUNDS)[0] is None
            assert formats(schema, value)[0] is None


@settings(max_examples=30, deadline=None)
@given(strict_schemas(), st.booleans())
def test_what_the_reference_makes_of_generated_schemas_is_right(schema: Any, streamed: bool) -> None:
    content = json.dumps(instance(schema), ensure_ascii=False)
    spec = {"deltas": [{"content": content[:5]}, {"content": content[5:]}]} if streamed else {}
    for name in RULES:
        if name.startswith("structured_output.strict.") and name.endswith(("schema", "kept", "order", "whole", "json")):
            found = said(name.removeprefix("structured_output."), schema, content, **spec)
            assert (found.findings, found.error) == ((), None), name


def one(schema: Any) -> dict[str, Any]:
    return {**CITY, "properties": {"city": schema}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (one({"type": "string", "pattern": "^a"}), one({"type": "string"})),
        (one({"minimum": 5, "enum": [1]}), one({"enum": [1]})),
        (one({"oneOf": [{"maximum": 1}, {"type": "null"}]}), one({"allOf": [{"anyOf": [{}, {"type": "null"}]}]})),
        (one({"not": {"type": "string"}}), one({})),
        ({"if": {"required": ["x"]}, "then": {"required": ["y"]}}, {}),
        ({"patternProperties": {"^x": {"minLength": 3}}, "additionalProperties": False},
         {"patternProperties": {"^x": {}}, "additionalProperties": False}),
        ({"allOf": [{"multipleOf": 2}], "oneOf": [True]}, {"allOf": [{}, {"anyOf": [True]}]}),
        (True, True),
    ],
)  # fmt: skip
def test_what_is_left_of_a_schema(schema: Any, expected: Any) -> None:
    assert weakened(schema, frozenset()) == expected


def test_families_are_told_apart() -> None:
    assert uses(one({"pattern": "^a"}), PATTERNS)
    assert not uses(one({"not": {"pattern": "^a"}}), PATTERNS)
    assert has_rest(one({"maxLength": 3}))
    assert not has_rest(one({"description": "A city", "pattern": "^a", "minItems": 1, "format": "date"}))
    length = one({"type": "string", "maxLength": 3})
    assert rest(length, {"city": "Rome"})[0] is False
    assert rest(length, {"city": 5})[0] is None
    assert structure(length, {"city": "Rome"})[0] is True


@pytest.mark.parametrize(
    ("schema", "impossible"),
    [
        (CITY, False),
        ({**CITY, "properties": {}}, True),
        ({**CITY, "properties": {}, "patternProperties": {"^c": {}}}, False),
        (one({"anyOf": [{"type": "string"}, {"minimum": 3, "maximum": 2}]}), True),
        (one({"type": "array", "items": {"type": "array", "minItems": 3, "maxItems": 2}}), True),
        (one({"enum": []}), True),
        (one({"minimum": 2, "maximum": 2}), False),
    ],
)
def test_nobody_is_asked_for_the_impossible(schema: Any, impossible: bool) -> None:
    assert contradicts_itself(schema) is impossible
    assert not impossible or said("strict.answer_satisfies_the_schema", schema, "5").findings == ()


@pytest.mark.parametrize(
    ("schema", "value", "places"),
    [
        (one({"type": "integer"}), {"city": 3.0}, ["/city"]),
        (one({"type": ["integer", "null"]}), {"city": 3.0}, ["/city"]),
        (one({"type": "number"}), {"city": 3.0}, []),
        (one({"anyOf": [{"type": "integer"}, {"type": "number"}]}), {"city": 3.0}, []),
        (one({"type": "array", "items": {"$ref": "#/$defs/n"}}) | {"$defs": {"n": {"enum": [1, 2], "type": "integer"}}},
         {"city": [1, 2.0]}, ["/city/1"]),
        (one({"enum": [3]}), {"city": 3.0}, []),
        (one({"type": "integer"}), {"city": 1e300}, ["/city"]),
        (one({"type": "integer"}), {"city": "3.0"}, []),
    ],
)  # fmt: skip
def test_integers_that_are_written_as_fractions(schema: Any, value: Any, places: list[str]) -> None:
    assert fractions_for_integers(schema, value) == places


def test_the_order_is_judged_only_where_the_schema_is_certain() -> None:
    inner = {"type": "object", "properties": {"z": {}, "a": {}}}
    assert out_of_order(inner, inner, {"z": 1, "a": 2}, resolved) is None
    assert out_of_order(inner, inner, {"a": 2, "z": 1}, resolved) == (["a", "z"], ["z", "a"])
    assert out_of_order(inner, inner, {"a": 2, "more": 3, "z": 1}, resolved) == (["a", "z"], ["z", "a"])
    listed = {"items": {"$ref": "#/$defs/x"}, "$defs": {"x": inner}}
    assert out_of_order(listed, listed, [{"z": 1}, {"a": 2, "z": 1}], resolved) == (["a", "z"], ["z", "a"])
    either = {"anyOf": [inner, {"properties": {"a": {}, "z": {}}}]}
    assert out_of_order(either, either, {"a": 2, "z": 1}, resolved) is None
    loop = {"$ref": "#"}
    assert out_of_order(loop, loop, {"a": 1}, resolved) is None


@pytest.mark.parametrize(
    ("content", "spec", "held"),
    [
        ('{"city": "Paris"}', {}, True),
        (' \n{"city": "Paris"}\n', {}, True),
        ('{"city": "Par', {"choice": {"finish_reason": "length"}}, False),
        ('{"city": "Par', {"choice": {"finish_reason": "content_filter"}}, False),
        ("", {"message": {"content": None, "refusal": "No."}}, False),
        ("", {"message": {"content": "I call.", "tool_calls": [{"id": "c", "type": "function"}]}}, False),
        ('{"city": "A"}\n{"city": "A"}', {"request": {"tools": [{"type": "function"}]}}, False),
    ],
)  # fmt: skip
def test_answers_that_say_nothing_of_the_guarantee_are_left_alone(content: str, spec: Any, held: bool) -> None:
    for name in ("strict.answer_is_json", "strict.answer_satisfies_the_schema"):
        found = said(name, CITY, content, **spec)
        assert found.findings == ()
        assert found.held is held


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ('```json\n{"city": "A"}\n```', True),
        ('{"city": "A"} ', False),
        ("NaN", True),
        ('{"city": NaN}', True),
        ("{'city': 1}", True),
        ('Sure: {"city": "A"}', True),
        ("5", False),
    ],
)
def test_what_is_no_json(content: str, wrong: bool) -> None:
    assert bool(said("strict.answer_is_json", CITY, content).findings) is wrong
    if wrong:
        assert said("strict.answer_satisfies_the_schema", CITY, content).findings == ()


def test_where_the_libraries_differ_or_give_up_nothing_is_said() -> None:
    for schema, content in (
        (one({"type": "string", "pattern": "("}), '{"city": "A"}'),
        (one({"$ref": "https://example.com/x"}), '{"city": 5}'),
        (one({"type": "string", "format": "hostname"}), '{"city": "-no-"}'),
        (one({"$ref": "#/properties/city"}), '{"city": 5}'),
    ):
        for name in ("answer_satisfies_the_schema", "patterns_are_kept", "formats_are_kept", "bounds_are_kept"):
            found = said(f"strict.{name}", schema, content)
            assert (found.findings, found.error) == ((), None)


def test_refusals_are_not_held_against_requests_that_are_in_doubt() -> None:
    refused = {"status": 400, "error": {"message": "'required' has to name 'y' as well, strict mode", "param": None}}
    lax = {**CITY, "required": []}
    for name in ("name.longest_is_accepted", "strict.booleans_are_accepted", "reference.local_is_accepted"):
        assert said(name, lax, "", **refused).findings == ()
    known = said("strict.booleans_are_accepted", CITY, "", **refused)
    assert known.findings
    assert said("reference.dangling_is_refused", one({"$ref": "#anchor"}), '{"city": 1}').findings == ()
    assert said("reference.dangling_is_refused", one({"$ref": "#/$defs/a%20b"}), '{"city": 1}').findings == ()
    assert said("reference.dangling_is_refused", one({"$ref": "#/properties/city/anyOf/0"}), "{}").findings


@pytest.mark.parametrize(
    ("schema", "survived"),
    [
        (CITY, None),
        ({**CITY, "properties": {"city": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}, False),
        ({**one({"$ref": "#/$defs/a"}), "$defs": {"a": {"properties": {"b": {"$ref": "#/$defs/b"}}},
                                                  "b": {"items": {"$ref": "#/$defs/a"}}}}, False),
        ({**one({"$ref": "#/$defs/a"}), "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "string"}}}, None),
    ],
)  # fmt: skip
def test_recursion_is_seen_through_definitions(schema: Any, survived: bool | None) -> None:
    assert bool(survivals(schema, {"status": 500, "error": {"message": "boom"}})) is (survived is False)


def survivals(schema: Any, *answers: dict[str, Any]) -> int:
    """How many of these answers under a schema are held against the endpoint as not surviving its recursion."""
    declared = {"name": "a", "strict": True, "schema": schema}
    request = {"response_format": {"type": "json_schema", "json_schema": declared}}
    made = {
        "relation": "run",
        "wrong": [{"request": {**request, **spec.pop("request", {})}, **spec} for spec in answers],
    }
    rule = RULES["structured_output.reference.recursion_is_survived"]
    assert isinstance(rule, FoldRule)
    found = next(iter(judge_run([rule], examples.trace(made, "wrong").exchanges, OPENAI)), None)
    return len(found.findings) if found is not None else 0


def test_a_stream_that_breaks_off_is_an_accident_unless_all_do() -> None:
    tree = {**CITY, "properties": {"city": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}

    def stream(*, whole: bool) -> dict[str, Any]:
        answer = {"deltas": [{"content": '{"city": null}'}]} if whole else {"events": [{"error": {"message": "boom"}}]}
        return {"request": {"stream": True}, **answer}

    assert survivals(tree, stream(whole=True), stream(whole=False)) == 0
    assert survivals(tree, stream(whole=False)) == 0
    assert survivals(tree, stream(whole=False), stream(whole=False)) == 2
