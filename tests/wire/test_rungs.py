"""What became of a rung, and which cap a ladder shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load
from conformance.wire.exchange import End
from conformance.wire.rungs import Cap, Outcome, cap_of, codes_of, outcome
from conformance.wire.traces import Ladder

AUROUS, XEROTIER = load("aurous"), load("xerotier")
TOO_DEEP: dict[str, Any] = {"status": 400, "error": {"code": "response_format_too_deep"}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, Outcome.TAKEN),
        ({"message": {"content": None, "refusal": "No."}}, Outcome.TAKEN),
        ({"text": "<html>"}, Outcome.OTHER),
        (TOO_DEEP, Outcome.REFUSED),
        ({"status": 422, "error": {}}, Outcome.REFUSED),
        ({"status": 400, "text": "<html>"}, Outcome.REFUSED),
        ({"status": 413, "text": "<html>"}, Outcome.PROXY),
        ({"status": 400, "error": {"code": "max_input_tokens_exceeded"}}, Outcome.CONTEXT),
        ({"status": 400, "error": {"message": "This model's maximum context length is 8192 tokens."}}, Outcome.CONTEXT),
        (
            {"status": 400, "error": {"message": "Too big in any context length.", "param": "response_format"}},
            Outcome.REFUSED,
        ),
        ({"status": 429, "error": {}}, Outcome.OTHER),
        ({"status": 401, "error": {}}, Outcome.OTHER),
        ({"status": 502, "text": ""}, Outcome.FAILED),
        ({"end": "reset"}, Outcome.SILENT),
        ({"status": 500, "end": "timeout"}, Outcome.SILENT),
        ({"status": 400, "error": {"code": ["no", "text"]}}, Outcome.REFUSED),
        ({"status": 400, "error": {"code": {"no": "text"}}}, Outcome.REFUSED),
    ],
)
def test_outcomes(spec: dict[str, Any], expected: Outcome) -> None:
    assert outcome(exchange(spec), AUROUS) is expected


def test_nothing_came_back() -> None:
    assert outcome(replace(exchange({}), status=None, end=End.NOT_SENT), AUROUS) is Outcome.SILENT


def test_a_code_that_stands_for_several_kinds_says_nothing_of_one() -> None:
    assert codes_of(AUROUS, "schema_too_deep") == {"response_format_too_deep"}
    assert codes_of(XEROTIER, "schema_too_large") == set()
    assert codes_of(XEROTIER, "never heard of") == set()


def ladder(*rungs: tuple[int, dict[str, Any]]) -> Ladder:
    made = [exchange(spec, number) for number, (_, spec) in enumerate(rungs, 1)]
    return Ladder(tuple(made), "depth.objects", tuple(value for value, _ in rungs))


def test_a_cap_is_exact_where_nothing_lies_between() -> None:
    found = cap_of(ladder((0, {}), (4, {}), (5, {}), (6, TOO_DEEP), (8, TOO_DEEP)), AUROUS)
    assert found == Cap("depth.objects", 5, 6, ("e3", "e4"))
    assert found.exact


def test_bounds() -> None:
    between = cap_of(ladder((4, {}), (8, TOO_DEEP), (16, {})), AUROUS)
    assert between == Cap("depth.objects", 4, 8, ("e1", "e2"))
    assert not between.exact
    assert cap_of(ladder((4, {}), (8, {})), AUROUS) == Cap("depth.objects", 8, None, ("e2",))
    assert cap_of(ladder((0, {}), (1, TOO_DEEP)), AUROUS) is None


def test_what_stands_in_front_has_a_cap_of_its_own() -> None:
    found = ladder((4, {}), (8, {"status": 413, "text": ""}))
    assert cap_of(found, AUROUS) == Cap("depth.objects", 4, None, ("e1",))
    assert cap_of(found, AUROUS, Outcome.PROXY) == Cap("depth.objects", 4, 8, ("e1", "e2"))
