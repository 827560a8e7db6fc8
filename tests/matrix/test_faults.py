"""Each fault of the reference endpoint is caught by exactly the rules that it names; without faults nothing fails."""

from __future__ import annotations

import time

import pytest

from conformance.catalogue import loader as catalogue_loader
from conformance.dialects import loader as dialects
from conformance.reference import faults as fault_modules
from tests.matrix.harness import DIALECTS, Case, Seen, admits, expected, fault_cases, run, run_all

CASES = fault_cases()


@pytest.fixture(scope="session")
def matrix() -> dict[Case, Seen]:
    started = time.monotonic()
    seen = run_all(CASES)
    print(f"\nfault matrix: {len(CASES)} cells in {time.monotonic() - started:.0f} s")  # noqa: T201
    return seen


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("mind", ["obedient"])
def test_the_faultless_reference_violates_nothing(dialect: str, mind: str) -> None:
    seen = run(Case(dialect, mind=mind))
    assert seen.places == {}
    assert seen.errors == ()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_faultless_reference_exercises_every_row(dialect: str) -> None:
    lineage = dialects.load(dialect).lineage
    rows = catalogue_loader.load().requirements.values()
    wanted = {
        row.id
        for row in rows
        if row.excluded is None and row.exercise in ("always", "model") and row.claim(lineage) is not None
    }
    assert sorted(wanted - run(Case(dialect)).held) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dialect}-{case.faults[0]}")
def test_a_fault_is_caught_by_what_it_names(case: Case, matrix: dict[Case, Seen]) -> None:
    must, may = expected(case)
    seen = matrix[case]
    assert seen.errors == ()
    assert sorted(must - seen.violated.keys()) == [], "not caught"
    assert {name: seen.places[name] for name in sorted(seen.violated.keys() - must - may)} == {}, "caught besides"


def test_every_rule_is_killed_by_a_fault() -> None:
    killed = {name for fault in fault_modules.load().values() for name in fault.violates}
    rows = catalogue_loader.load().requirements
    assert sorted(killed - rows.keys()) == []
    assert sorted(row.id for row in rows.values() if row.excluded is None and row.id not in killed) == []


def test_every_entailed_row_happens_somewhere(matrix: dict[Case, Seen]) -> None:
    shown = {(case.faults[0], name) for case, seen in matrix.items() for name in seen.violated}
    faults = fault_modules.load().values()
    assert [
        f"{fault.name}: {name}" for fault in faults for name in fault.entails if (fault.name, name) not in shown
    ] == []


def test_faults_name_one_to_three_rows_and_give_reasons() -> None:
    for fault in fault_modules.load().values():
        assert 1 <= len(fault.violates) <= 3, fault.name
        assert fault.summary, fault.name
        assert all(fault.entails.values()), fault.name


def test_every_fault_has_a_cell() -> None:
    assert {case.faults[0] for case in CASES} == set(fault_modules.load())
    for name in DIALECTS:
        dialect = dialects.load(name)
        assert any(admits(fault, dialect) for fault in fault_modules.load().values())
