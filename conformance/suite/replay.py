"""A plan sent without threads, clock or sockets: what the fault and variation matrices are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from conformance import probes as probe_modules
from conformance.dialects.model import Dialect
from conformance.probes.base import Effort, Probe
from conformance.probes.gather import in_order
from conformance.probes.plan import Plan, make_plan
from conformance.probes.preflight import preflight
from conformance.transport.base import Transport
from conformance.transport.courier import Courier
from conformance.wire.exchange import Exchange
from conformance.wire.traces import Mark


def prepare(
    transport: Transport,
    dialect: Dialect,
    *,
    seed: int = 0,
    effort: Effort = Effort.STANDARD,
    model: str | None = None,
    probes: Iterable[Probe] | None = None,
    ids: frozenset[str] | None = None,
) -> Plan:
    """Preflight against this transport, and the plan that follows from it. Make it once, replay it often."""
    courier = Courier(transport)
    ready = preflight(courier.send, dialect, model=model, effort=effort)
    chosen = probe_modules.load().values() if probes is None else probes
    base = replace(ready.base, second_key=True)
    return make_plan(chosen, base, seed, ids=ids, opening=ready.opening)


def replay(
    plan: Plan, transport: Transport, earlier: Mapping[str, Exchange] | None = None
) -> tuple[list[Exchange], list[Mark]]:
    """Send the whole plan in one fixed order in this thread, scenarios included; returns exchanges and marks.

    `earlier` are exchanges of another replay by their ids: see `Courier`.
    """
    courier = Courier(transport, earlier=earlier)
    in_order(plan, courier)
    return courier.exchanges, courier.marks
