"""On the faultless reference endpoint the probes exercise every row that a run promises to exercise."""

from __future__ import annotations

import pytest

from conformance import rules
from conformance.catalogue import loader as catalogue
from conformance.catalogue.model import Level
from conformance.dialects import loader as dialects
from conformance.probes.base import Effort
from conformance.reference.endpoint import Endpoint
from conformance.rules.base import Terms
from conformance.rules.judge import judge_all
from conformance.suite.replay import prepare, replay
from conformance.transport.memory import MemoryTransport
from conformance.verdict.fold import Tally, tally
from conformance.wire.assemble import assemble
from conformance.wire.facts import derive

RULES = rules.load()
CATALOGUE = catalogue.load()
MINDS = ("obedient", "refusing", "random", "chatty")


def judged(name: str, effort: Effort, mind: str = "obedient") -> dict[str, Tally]:
    """What a whole run of an effort says of each row of a dialect."""
    dialect = dialects.load(name)
    plan = prepare(MemoryTransport(Endpoint(dialect, mind=mind).respond), dialect, effort=effort)
    exchanges, marks = replay(plan, MemoryTransport(Endpoint(dialect, mind=mind).respond))
    here = [
        RULES[row.id] for row in CATALOGUE.requirements.values() if row.claim(dialect.lineage) and row.excluded is None
    ]
    return tally(judge_all(here, exchanges, assemble(exchanges, marks), Terms(dialect, derive(exchanges))))


def unexercised(name: str, tallies: dict[str, Tally], *exercises: str) -> list[str]:
    """The dialect's rows of these kinds that no trace could have shown to be broken."""
    lineage = dialects.load(name).lineage
    return [
        row.id
        for row in CATALOGUE.requirements.values()
        if row.claim(lineage) and row.excluded is None and row.exercise in exercises
        if row.id not in tallies or tallies[row.id].exercised == 0
    ]


@pytest.mark.parametrize("effort", [Effort.QUICK, Effort.STANDARD])
@pytest.mark.parametrize("name", dialects.builtin_names())
def test_every_promised_row_is_exercised(name: str, effort: Effort) -> None:
    tallies = judged(name, effort)
    assert unexercised(name, tallies, "always", "model") == []
    assert [row for row, found in tallies.items() if found.errors] == []


@pytest.mark.parametrize("mind", MINDS)
@pytest.mark.parametrize("name", dialects.builtin_names())
def test_no_mind_breaks_a_rule_or_hides_what_is_not_its_to_decide(name: str, mind: str) -> None:
    tallies = judged(name, Effort.STANDARD, mind)
    assert unexercised(name, tallies, "always") == []
    lineage = dialects.load(name).lineage
    broken = {row: list(found.clusters) for row, found in tallies.items() if found.violated}
    claims = {row: CATALOGUE.requirements[row].claim(lineage) for row in broken}
    # What the model makes of its freedom may earn a warning, as when it passes over the results of its own calls.
    grave = {Level.MUST, Level.SHOULD} if mind == "obedient" else {Level.MUST}
    assert {row: broken[row] for row, claim in claims.items() if claim and claim.level in grave} == {}
