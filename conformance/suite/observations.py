"""What a run measured besides its verdicts: numbers, each with the exchanges that show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from conformance.dialects.model import Dialect
from conformance.reporting.model import Observation
from conformance.suite.judging import gathered
from conformance.wire.assemble import assemble
from conformance.wire.exchange import Exchange
from conformance.wire.rungs import DEPTH, SIZE, Outcome, cap_of
from conformance.wire.traces import Ladder, Mark, Relation, Trace

_AREA = "structured_output"
_UNITS = {DEPTH: ("depth_cap", "levels"), SIZE: ("size_cap", "bytes")}


def observe(exchanges: Iterable[Exchange], marks: Iterable[Mark], dialect: Dialect) -> tuple[Observation, ...]:
    """All observations that the evidence holds. Pure: the same evidence gives the same ones."""
    every = list(marks)
    named = [mark for mark in every if mark.relation is Relation.LADDER]
    if not named:
        return ()
    traces: Sequence[Trace] = assemble(gathered(exchanges, every), named)
    return tuple(observation for trace in traces if isinstance(trace, Ladder) for observation in _caps(trace, dialect))


def _caps(ladder: Ladder, dialect: Dialect) -> Iterator[Observation]:
    """Where schemas become too deep or too large along one axis; where none was refused, the value is a lower bound."""
    for start, (name, unit) in _UNITS.items():
        if not ladder.axis.startswith(start):
            continue
        form = ladder.axis.removeprefix(start)
        own = cap_of(ladder, dialect)
        if own is not None:
            yield Observation(f"{_AREA}.{name}.{form}", own.taken, unit, own.exact, own.shown_by)
        proxy = cap_of(ladder, dialect, Outcome.PROXY)
        if proxy is not None and proxy.refused is not None:
            yield Observation(f"{_AREA}.proxy_cap.{form}", proxy.taken, unit, proxy.exact, proxy.shown_by)
