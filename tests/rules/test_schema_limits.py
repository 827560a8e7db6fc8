"""Near misses of the rules about caps on schemas: what is theirs to say, what is not, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import pytest

from conformance import rules
from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load
from conformance.rules.base import FoldRule, Reason, Rule, Terms
from conformance.rules.judge import judge, judge_run
from conformance.rules.schema_size import Path, measure
from conformance.wire.exchange import Exchange
from conformance.wire.traces import Contrast, Ladder, Single

RULES = rules.load()
AUROUS, OPENAI = Terms(load("aurous")), Terms(load("openai"))
DEEP: dict[str, Any] = {"status": 400, "error": {"code": "response_format_too_deep"}}
LARGE: dict[str, Any] = {"status": 400, "error": {"code": "response_format_too_large"}}
OTHER: dict[str, Any] = {"status": 400, "error": {"code": "invalid_format"}}
PROXY: dict[str, Any] = {"status": 413, "text": "<html>"}
BROKEN: dict[str, Any] = {"status": 500, "error": {}}


def ladder(axis: str, *rungs: tuple[int, dict[str, Any]]) -> Ladder:
    """Rungs in the order of sending; the trace has them in rising order."""
    made = [
        (value, replace(exchange(spec, number), started=100.0 + number, retry_of=spec.get("retry_of")))
        for number, (value, spec) in enumerate(rungs, 1)
    ]
    made.sort(key=lambda rung: rung[0])
    return Ladder(tuple(item for _, item in made), axis, tuple(value for value, _ in made))


def said(name: str, trace: Ladder | Contrast | Single, terms: Terms = AUROUS) -> str:
    """`found`, `held`, or the reason why the trace says nothing."""
    rule = RULES[f"structured_output.limits.{name}"]
    assert isinstance(rule, Rule)
    judged = judge(rule, trace, terms)
    assert judged.error is None
    return "found" if judged.findings else "held" if judged.vacuous is None else judged.vacuous.reason.value


NO_CONTROL, TRANSPORT, NOT_APPLICABLE = Reason.NO_CONTROL.value, Reason.TRANSPORT.value, Reason.NOT_APPLICABLE.value
RESET: dict[str, Any] = {"end": "reset", "retry_of": "e0"}


@pytest.mark.parametrize(
    ("name", "rungs", "expected"),
    [
        ("too_deep_is_named", [(8, {}), (9, DEEP)], "held"),
        ("too_deep_is_named", [(8, {}), (9, OTHER)], "found"),
        ("too_deep_is_named", [(8, {}), (9, LARGE)], "held"),  # told apart elsewhere
        ("too_deep_is_named", [(8, {}), (9, DEEP), (1024, OTHER)], "held"),  # far above another part refuses
        ("too_deep_is_named", [(8, {}), (1024, OTHER)], NO_CONTROL),
        ("too_deep_is_named", [(8, OTHER)], NO_CONTROL),  # schemas are refused altogether
        ("too_deep_is_named", [(8, {}), (16, PROXY)], NO_CONTROL),
        ("too_deep_is_named", [(8, {}), (9, {"status": 400, "error": {"code": None}})], NO_CONTROL),
        ("too_deep_is_named", [(8, {}), (16, {})], NO_CONTROL),
        ("are_monotonic", [(8, {}), (9, DEEP), (36, DEEP)], "held"),
        ("are_monotonic", [(8, {}), (9, DEEP), (36, {})], "found"),
        ("are_monotonic", [(0, {}), (8, {}), (16, {})], NO_CONTROL),
        ("are_monotonic", [(0, {}), (8, DEEP)], NO_CONTROL),
        ("are_monotonic", [(8, {}), (9, PROXY), (36, {})], NO_CONTROL),
        ("are_no_5xx", [(0, {}), (8, {}), (9, BROKEN)], "found"),
        ("are_no_5xx", [(0, {}), (8, {}), (9, DEEP), (1024, BROKEN)], "found"),
        ("are_no_5xx", [(0, {}), (8, BROKEN)], NO_CONTROL),  # not the depth, but the schema itself
        ("are_no_5xx", [(0, BROKEN), (8, {})], "held"),
        ("are_no_5xx", [(8, {}), (16, {})], "held"),
        ("are_no_5xx", [(8, {}), (16, {"end": "reset"})], TRANSPORT),
        ("get_an_answer", [(0, {}), (8, {}), (9, RESET), (0, {})], "found"),
        ("get_an_answer", [(0, {}), (8, {}), (9, {"end": "timeout"}), (9, {"end": "timeout"}), (0, {})], "found"),
        ("get_an_answer", [(0, {}), (8, {}), (9, {"end": "timeout"}), (0, {})], TRANSPORT),  # once is an accident
        ("get_an_answer", [(0, {}), (8, {}), (9, RESET)], TRANSPORT),  # nothing works afterwards
        ("get_an_answer", [(0, {}), (8, {}), (9, RESET), (0, RESET)], TRANSPORT),
        ("get_an_answer", [(0, {}), (9, RESET), (0, {})], NO_CONTROL),  # no smaller schema was taken
        ("get_an_answer", [(0, {}), (8, {}), (9, BROKEN), (0, {})], "held"),
        ("next_request_works", [(0, {}), (9, DEEP), (0, {})], "held"),
        ("next_request_works", [(0, {}), (9, DEEP), (0, BROKEN), (0, {})], "found"),
        ("next_request_works", [(0, {}), (9, DEEP), (0, RESET), (0, {})], "found"),
        ("next_request_works", [(0, {}), (9, DEEP), (0, {"end": "reset"}), (0, {})], TRANSPORT),
        ("next_request_works", [(0, {}), (9, DEEP), (0, BROKEN)], TRANSPORT),
        ("next_request_works", [(0, {}), (9, DEEP), (0, {"status": 429, "error": {}})], TRANSPORT),
        ("next_request_works", [(0, {}), (9, DEEP)], NO_CONTROL),
        ("next_request_works", [(0, BROKEN), (9, DEEP), (0, {})], NO_CONTROL),
    ],
)
def test_ladders(name: str, rungs: list[tuple[int, dict[str, Any]]], expected: str) -> None:
    assert said(name, ladder("depth.objects", *rungs)) == expected


def test_axes_and_dialects_decide_what_is_judged() -> None:
    rungs = [(4096, {}), (4097, OTHER)]
    assert said("too_large_is_named", ladder("size.name", *rungs)) == "found"
    assert said("too_large_is_named", ladder("depth.objects", *rungs)) == NOT_APPLICABLE
    assert said("too_deep_is_named", ladder("depth.objects", *rungs), OPENAI) == NOT_APPLICABLE
    assert said("are_monotonic", ladder("width.any", *rungs)) == NOT_APPLICABLE


def chain(levels: int, leaf: dict[str, Any] | None = None, word: str = "a") -> dict[str, Any]:
    """Objects within one another."""
    made: dict[str, Any] = leaf or {"type": "string"}
    for _ in range(levels):
        made = {"type": "object", "properties": {word: made}, "required": [word], "additionalProperties": False}
    return made


def asked(schema: dict[str, Any], spec: dict[str, Any] | None = None, number: int = 1, **more: Any) -> Exchange:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **more}}
    return exchange({"request": {"response_format": form}, **(spec or {})}, number)


def pair(control: tuple[Any, Any], variant: tuple[Any, Any]) -> Contrast:
    return Contrast((asked(*control, 1), asked(*variant, 2)), "/response_format/json_schema/schema")


def referring(levels: int) -> dict[str, Any]:
    """A root that refers to one definition of so many levels."""
    return {**chain(1, {"$ref": "#/$defs/d"}), "$defs": {"d": chain(levels)}}


@pytest.mark.parametrize(
    ("control", "variant", "expected"),
    [
        ((chain(8), {}), (referring(4), {}), "held"),
        ((chain(8), {}), (referring(4), DEEP), "found"),
        ((chain(8), {}), (referring(4), LARGE), Reason.REFUSED.value),
        ((chain(8), {}), (referring(4), PROXY), NO_CONTROL),
        ((chain(8), DEEP), (referring(4), DEEP), NO_CONTROL),
        ((chain(8), {}), (referring(7), DEEP), NOT_APPLICABLE),  # by one way of counting as deep as what was taken
        ((chain(8), {}), (chain(4), DEEP), NOT_APPLICABLE),
    ],
)
def test_references_count_anew(control: Any, variant: Any, expected: str) -> None:
    assert said("ref_resets_depth", pair(control, variant)) == expected


@pytest.mark.parametrize(
    ("control", "variant", "expected"),
    [
        ((chain(8), DEEP), (referring(8), DEEP), "held"),
        ((chain(8), DEEP), (referring(8), {}), "found"),
        ((chain(8), DEEP), (referring(7), {}), NOT_APPLICABLE),
        ((chain(8), OTHER), (referring(8), {}), NO_CONTROL),
        ((chain(8), {}), (referring(8), {}), NO_CONTROL),
    ],
)
def test_definitions_have_the_same_cap(control: Any, variant: Any, expected: str) -> None:
    assert said("definitions_are_capped", pair(control, variant)) == expected


def test_where_references_do_not_reset_nothing_is_said_of_them() -> None:
    assert said("ref_resets_depth", pair((chain(8), {}), (referring(4), DEEP)), OPENAI) == NOT_APPLICABLE


def told_apart(*exchanges: Exchange, terms: Terms = AUROUS) -> str:
    rule = RULES["structured_output.limits.depth_and_size_are_told_apart"]
    assert isinstance(rule, FoldRule)
    judged = next(iter(judge_run([rule], exchanges, terms)), None)
    if judged is None:
        return NOT_APPLICABLE
    assert judged.error is None
    return "found" if judged.findings else "held"


FLAT = chain(1, {"type": "string", "description": "x" * 5000})


def test_depth_and_size_are_told_apart_by_what_was_taken() -> None:
    deep, deeper = asked(chain(5), {}, 1), chain(6)
    assert told_apart(deep, asked(FLAT, LARGE, 2)) == "held"
    assert told_apart(deep, asked(FLAT, DEEP, 2)) == "found"
    assert told_apart(deep, asked(deeper, DEEP, 2)) == "held"
    assert told_apart(deep, asked(deeper, LARGE, 2)) == "held"  # larger than all that was taken
    assert told_apart(asked(FLAT, {}, 1), asked(deeper, LARGE, 2)) == "found"
    assert told_apart(asked(FLAT, {}, 1), asked(deeper, OTHER, 2)) == NOT_APPLICABLE
    assert told_apart(asked(FLAT, DEEP, 2)) == NOT_APPLICABLE
    assert told_apart(deep, asked(FLAT, DEEP, 2), terms=OPENAI) == NOT_APPLICABLE


def test_a_larger_and_deeper_one_that_was_taken_contradicts_the_cap_and_not_its_name() -> None:
    assert told_apart(asked(chain(9), {}, 1), asked(chain(6), DEEP, 2)) == "held"
    both = chain(9, {"type": "string", "description": "x" * 6000})
    assert told_apart(asked(both, {}, 1), asked(FLAT, LARGE, 2)) == "held"


def test_levels_of_one_kind_do_not_stand_for_those_of_another() -> None:
    arrays: dict[str, Any] = reduce(lambda inner, _: {"type": "array", "items": inner}, range(6), {"type": "string"})
    padded = chain(1, {**arrays, "description": "x" * 5000})
    assert told_apart(asked(chain(12), {}, 1), asked(padded, DEEP, 2)) == "held"


def test_the_fold_is_associative() -> None:
    rule = RULES["structured_output.limits.depth_and_size_are_told_apart"]
    assert isinstance(rule, FoldRule)
    every = [asked(chain(n), {}, n) for n in (5, 2, 9)] + [asked(FLAT, DEEP, 20), asked(chain(3), LARGE, 21)]
    whole = reduce(lambda state, item: rule.fold.step(state, item, AUROUS), every, rule.fold.empty())
    for cut in range(len(every) + 1):
        parts = [
            reduce(lambda state, item: rule.fold.step(state, item, AUROUS), part, rule.fold.empty())
            for part in (every[:cut], every[cut:])
        ]
        merged = rule.fold.merge(*parts)
        assert list(rule.fold.finish(merged, AUROUS)) == list(rule.fold.finish(whole, AUROUS))


TOO_MUCH: dict[str, Any] = {"status": 400, "error": {"message": "Invalid schema: at most 5 levels.", "param": "x"}}
UNSUPPORTED: dict[str, Any] = {"status": 400, "error": {"message": "json_schema is not supported with this model."}}


def listed(count: int, length: int = 4) -> dict[str, Any]:
    return chain(1, {"type": "string", "enum": [str(number).rjust(length, "w") for number in range(count)]})


@pytest.mark.parametrize(
    ("schema", "spec", "taken", "enforced"),
    [
        (chain(9), {}, "held", NOT_APPLICABLE),
        (chain(9), TOO_MUCH, "found", NOT_APPLICABLE),
        (chain(9), UNSUPPORTED, Reason.REFUSED.value, NOT_APPLICABLE),
        (chain(9), PROXY, NO_CONTROL, NOT_APPLICABLE),
        (chain(6), TOO_MUCH, NOT_APPLICABLE, NOT_APPLICABLE),  # far below any limit it is about something else
        (chain(10), TOO_MUCH, NOT_APPLICABLE, NOT_APPLICABLE),  # 10 or 11 levels, as one counts
        (chain(11), {}, NOT_APPLICABLE, NOT_APPLICABLE),
        (chain(12), {}, NOT_APPLICABLE, "found"),
        (chain(12), TOO_MUCH, NOT_APPLICABLE, "held"),
        (chain(12), BROKEN, NOT_APPLICABLE, TRANSPORT),
        (listed(1000), {}, "held", NOT_APPLICABLE),
        (listed(1001), {}, NOT_APPLICABLE, "found"),
        (listed(251, 59), TOO_MUCH, "found", NOT_APPLICABLE),
        (listed(251, 60), {}, NOT_APPLICABLE, "found"),
        (listed(250, 60), {}, NOT_APPLICABLE, NOT_APPLICABLE),  # not so many values that their length counts
        ({**chain(9), "title": "t"}, TOO_MUCH, NOT_APPLICABLE, NOT_APPLICABLE),  # a keyword that may be refused
    ],
)
def test_documented_limits(schema: Any, spec: Any, taken: str, enforced: str) -> None:
    trace = Single((asked(schema, spec, strict=True),))
    assert said("documented_sizes_are_taken", trace, OPENAI) == taken
    assert said("documented_limits_are_enforced", trace, OPENAI) == enforced
    loose = Single((asked(schema, spec, strict=False),))
    assert said("documented_sizes_are_taken", loose, OPENAI) == NOT_APPLICABLE
    assert said("documented_limits_are_enforced", loose, OPENAI) == NOT_APPLICABLE
    assert said("documented_limits_are_enforced", trace) == NOT_APPLICABLE


def test_measures_are_ranges() -> None:
    schema = {
        "type": "object",
        "properties": {"é": {"type": "array", "items": {"anyOf": [{"type": "object"}, {"const": 12}]}}},
        "$defs": {"d": {"properties": {"b": {"enum": ["x", "yy"]}}}},
    }
    found = measure(schema)
    assert (found.levels.least, found.levels.most) == (1, 4)
    assert (found.deepest.schemas, found.reach) == (4, Path(2, 1, 2))
    assert found.properties == 2
    assert (found.characters.least, found.characters.most) == (1 + 1 + 1 + 3, 2 + 1 + 1 + 3 + 2)
    assert (found.enum_values.least, found.enum_values.most) == (2, 3)
    assert found.bytes.least < found.bytes.most
    assert not found.plain
    assert not found.refers
    assert measure(referring(3)).refers


@pytest.mark.parametrize(
    "schema",
    [True, 5, [], {"properties": [], "required": "a"}, {"type": ["object"], "$defs": 1, "anyOf": 5}, {"enum": 1}],
)
def test_nonsense_is_measured(schema: Any) -> None:
    measure(schema)
