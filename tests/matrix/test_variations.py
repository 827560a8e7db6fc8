"""No legal variation makes anything fail, alone, in random combinations, under any mind; passive rows are exercised."""

from __future__ import annotations

import random
import time

import pytest

from conformance.catalogue import loader as catalogue_loader
from conformance.catalogue.model import Level
from conformance.dialects import loader as dialects
from conformance.reference import variations as variation_modules
from tests.matrix.harness import DIALECTS, MINDS, Case, Seen, admits, run_all

COMBINATIONS = 8
"""Random combinations per dialect, of three variations each."""

ONLY_RECORDED = frozenset({"finish_reason.calls.go_with_a_call_reason"})
"""Rows that no run can hold: they judge completions whose request is not known, which only recorded traffic has."""


def variation_cases() -> list[Case]:
    cases: list[Case] = []
    for name in DIALECTS:
        dialect = dialects.load(name)
        legal = [change.name for change in variation_modules.load().values() if admits(change, dialect)]
        cases += [Case(name, mind=mind) for mind in MINDS]
        cases += [Case(name, variations=(one,)) for one in legal]
        draw = random.Random(name)
        for number in range(COMBINATIONS):
            chosen = tuple(sorted(draw.sample(legal, min(3, len(legal)))))
            cases.append(Case(name, variations=chosen, mind=MINDS[number % len(MINDS)]))
    return cases


CASES = variation_cases()


def label(case: Case) -> str:
    return f"{case.dialect}-{'+'.join(case.variations) or 'plain'}-{case.mind}"


@pytest.fixture(scope="session")
def matrix() -> dict[Case, Seen]:
    started = time.monotonic()
    seen = run_all(CASES)
    print(f"\nvariation matrix: {len(CASES)} cells in {time.monotonic() - started:.0f} s")  # noqa: T201
    return seen


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_legal_variation_fails_nothing(case: Case, matrix: dict[Case, Seen]) -> None:
    rows, lineage = catalogue_loader.load().requirements, dialects.load(case.dialect).lineage
    seen = matrix[case]
    failed = {
        name: places
        for name, places in seen.places.items()
        if (claim := rows[name].claim(lineage)) is not None and claim.level is Level.MUST
    }
    assert failed == {}
    assert seen.errors == ()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_passive_rows_are_exercised_by_variations(dialect: str, matrix: dict[Case, Seen]) -> None:
    lineage = dialects.load(dialect).lineage
    passive = {
        row.id
        for row in catalogue_loader.load().requirements.values()
        if row.excluded is None and row.exercise not in ("always", "model") and row.claim(lineage) is not None
    }
    held = {name for case, seen in matrix.items() if case.dialect == dialect for name in seen.held}
    assert sorted(passive - held - ONLY_RECORDED) == []
