from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.probes.reduce import at, neighbours, places, reduce, removals, replaced, weight
from conformance.wire import strict_json

PLENTY = 100_000

scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=6)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(max_size=4), values, max_size=5)


def everything(body: dict[str, Any]) -> bool:
    return True


@given(bodies)
@settings(max_examples=200)
def test_every_step_makes_the_body_lighter(body: dict[str, Any]) -> None:
    for smaller in neighbours(body):
        assert weight(smaller) < weight(body)


@given(bodies, st.data())
@settings(max_examples=150, deadline=None)
def test_the_result_violates_and_no_neighbour_does(body: dict[str, Any], data: st.DataObject) -> None:
    """The predicate asks for a few of the places that the body has, whatever is around them."""
    paths = list(places(body))
    wanted = data.draw(st.lists(st.sampled_from(paths), max_size=3)) if paths else []

    def violates(candidate: dict[str, Any]) -> bool:
        try:
            for path in wanted:
                at(candidate, path)
        except (LookupError, TypeError):
            return False
        return True

    found, minimal = reduce(body, violates, everything, PLENTY)
    assert violates(found)
    assert minimal
    assert not any(map(violates, neighbours(found)))


@given(bodies, st.integers(0, 12), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_budget_is_kept_and_minimal_is_never_claimed_without_proof(
    body: dict[str, Any], budget: int, random: Any
) -> None:
    asked: dict[bytes, bool] = {strict_json.dump(body): True}

    def violates(candidate: dict[str, Any]) -> bool:
        key = strict_json.dump(candidate)
        assert key not in asked, "asked twice"
        asked[key] = random.random() < 0.4
        return asked[key]

    found, minimal = reduce(body, violates, everything, budget)
    assert len(asked) - 1 <= budget
    assert asked[strict_json.dump(found)]
    assert weight(found) <= weight(body)
    if minimal:
        assert all(asked.get(strict_json.dump(smaller)) is False for smaller in removals(found))


@given(bodies)
@settings(max_examples=100, deadline=None)
def test_what_is_not_valid_is_never_asked(body: dict[str, Any]) -> None:
    size = len(body)

    def violates(candidate: dict[str, Any]) -> bool:
        assert len(candidate) == size
        return True

    found, minimal = reduce(body, violates, lambda candidate: len(candidate) == size, PLENTY)
    assert minimal
    assert found.keys() == body.keys()
    assert all(value in (None, True, False, 0, "", [], {}) for value in found.values())


@pytest.mark.parametrize(
    ("body", "violates", "smallest"),
    [
        ({"n": 7, "stop": ["a", "b"]}, lambda b: "n" in b, {"n": 0}),
        ({"n": 100}, lambda b: b.get("n", 0) > 20, {"n": 25}),
        ({"n": -0.7}, lambda b: "n" in b and b["n"] != 0, {"n": 1}),
        ({"m": [{"r": "user", "c": "Hello there"}] * 3}, lambda b: len(b.get("m", [])) >= 1, {"m": [{}]}),
        ({"a": {"b": {"c": "xyz", "d": 1}}}, lambda b: "c" in str(b), {"a": {"b": {"c": ""}}}),
        ({"s": "needle in a haystack"}, lambda b: "needle" in b.get("s", ""), {"s": "needle in "}),
    ],
)
def test_small_examples(body: dict[str, Any], violates: Callable[[dict[str, Any]], bool], smallest: Any) -> None:
    found, minimal = reduce(body, violates, everything, PLENTY)
    assert minimal
    assert found == smallest


def test_a_long_body_shrinks_in_few_steps() -> None:
    body = {f"field{number}": number for number in range(12)} | {"bad": True}
    asked = 0

    def violates(candidate: dict[str, Any]) -> bool:
        nonlocal asked
        asked += 1
        return "bad" in candidate

    found, minimal = reduce(body, violates, everything, 25)
    assert (found, minimal) == ({"bad": True}, True)
    assert asked <= 18


def test_replacing_copies_only_the_way() -> None:
    value = {"a": [{"b": 1}, {"c": 2}], "d": {}}
    made = replaced(value, ("a", 0, "b"), 5)
    assert made == {"a": [{"b": 5}, {"c": 2}], "d": {}}
    assert value["a"][0] == {"b": 1}  # type: ignore[index]
    assert made["a"][1] is value["a"][1]  # type: ignore[index]
