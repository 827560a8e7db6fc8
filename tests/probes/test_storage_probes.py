"""Stories of stored completions: nobody else's record is touched, nothing is left, and the shortest way is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.dialects import loader as dialects
from conformance.probes import load
from conformance.probes.base import Effort
from conformance.probes.gather import ScenarioSession
from conformance.probes.plan import Plan
from conformance.reference import faults as fault_modules
from conformance.reference.endpoint import Endpoint
from conformance.reference.stages import Change, Context, Page, Stage
from conformance.reference.store import Stored
from conformance.rules import load as load_rules
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import judge
from conformance.suite.leftovers import leftovers
from conformance.suite.replay import prepare
from conformance.transport.courier import Courier
from conformance.transport.memory import MemoryTransport
from conformance.wire.assemble import assemble
from conformance.wire.ledger import created_id
from conformance.wire.stored import Kind, call_of
from conformance.wire.traces import Lifecycle, Trace

DIALECT = dialects.load("openai")
SCENARIOS = [probe for name, probe in load().items() if name.startswith("storage_")]
RULES = [rule for rule in load_rules().values() if isinstance(rule, Rule) and rule.id.startswith("storage.")]


def plan(effort: Effort) -> Plan:
    return prepare(MemoryTransport(Endpoint(DIALECT).respond), DIALECT, effort=effort, probes=SCENARIOS)


def violating(terms: Terms) -> Callable[[Trace], bool]:
    on_lives = [rule for rule in RULES if rule.on is Lifecycle]
    return lambda trace: any(judge(rule, trace, terms).findings for rule in on_lives)


def told(name: str, *changes: Change, effort: Effort = Effort.STANDARD, judging: bool = False) -> Courier:
    courier = Courier(MemoryTransport(Endpoint(DIALECT, faults=changes).respond))
    probe = load()[name]
    assert probe.scenario is not None
    judge_on_the_way = violating(Terms(DIALECT)) if judging else None
    probe.scenario(ScenarioSession(plan(effort).base, courier, probe, judge=judge_on_the_way))
    return courier


def hostile(page: Page, context: Context) -> Page:
    """Records of somebody else under whatever filter."""
    body = {"id": "chatcmpl-theirs", "object": "chat.completion", "created": 1, "model": "reference-1"}
    theirs = Stored("chatcmpl-theirs", "other", 1, "reference-1", body, {})
    return Page([theirs, *page.records], page.has_more)


HOSTILE = Change("hostile", Stage.PAGE, hostile, "Others' records stand in every list.")


@pytest.mark.parametrize("probe", SCENARIOS, ids=lambda probe: probe.name)
@pytest.mark.parametrize("changes", [(), (HOSTILE,)], ids=["faithful", "hostile"])
def test_only_own_records_are_changed_and_all_are_deleted(probe, changes: tuple[Change, ...]) -> None:
    courier = told(probe.name, *changes)
    own = {created_id(exchange) for exchange in courier.exchanges}
    for exchange in courier.exchanges:
        call = call_of(exchange.request)
        if call is not None and call.kind in (Kind.UPDATE, Kind.DELETE):
            assert exchange.status is not None
            assert call.id in own
    assert leftovers(courier.exchanges, DIALECT) == ()


def test_random_lives_are_shrunk_to_a_short_sequence_of_calls() -> None:
    fault = fault_modules.load()["st-second-update-lost"]
    courier = told("storage_machine", fault, effort=Effort.THOROUGH, judging=True)
    shows = violating(Terms(DIALECT))
    found = [trace for trace in assemble(courier.exchanges, courier.marks) if isinstance(trace, Lifecycle)]
    lengths = [len(trace.exchanges) for trace in found if shows(trace)]
    assert min(lengths) <= 5
    assert leftovers(courier.exchanges, DIALECT) == ()


def test_random_lives_violate_nothing_on_the_faultless_endpoint() -> None:
    courier = told("storage_machine", effort=Effort.THOROUGH, judging=True)
    shows = violating(Terms(DIALECT))
    assert not any(shows(trace) for trace in assemble(courier.exchanges, courier.marks) if isinstance(trace, Lifecycle))
    kinds = {call.kind for exchange in courier.exchanges if (call := call_of(exchange.request)) is not None}
    assert kinds >= {Kind.CREATE, Kind.RETRIEVE, Kind.LIST, Kind.UPDATE, Kind.DELETE, Kind.MESSAGES}
