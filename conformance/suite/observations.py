"""What a run measured besides its verdicts: numbers, each with the exchanges that show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from conformance.dialects.model import Dialect
from conformance.reporting.model import Observation
from conformance.suite.judging import gathered
from conformance.wire.assemble import assemble
from conformance.wire.exchange import Exchange
from conformance.wire.ledger import created_id, ended_at, keeps
from conformance.wire.rungs import DEPTH, SIZE, Outcome, cap_of
from conformance.wire.stored import Kind, call_of
from conformance.wire.traces import Ladder, Mark, Relation, Trace

_AREA = "structured_output"
_UNITS = {DEPTH: ("depth_cap", "levels"), SIZE: ("size_cap", "bytes")}


def observe(exchanges: Iterable[Exchange], marks: Iterable[Mark], dialect: Dialect) -> tuple[Observation, ...]:
    """All observations that the evidence holds. Pure: the same evidence gives the same ones."""
    every = list(marks)
    counted = gathered(exchanges, every)
    return (*_ladders(counted, every, dialect), *_visibility(counted, dialect))


def _ladders(exchanges: Sequence[Exchange], every: Sequence[Mark], dialect: Dialect) -> tuple[Observation, ...]:
    named = [mark for mark in every if mark.relation is Relation.LADDER]
    if not named:
        return ()
    traces: Sequence[Trace] = assemble(exchanges, named)
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


def _visibility(exchanges: Iterable[Exchange], dialect: Dialect) -> Iterator[Observation]:
    """How long it took, at most, until a stored completion was found by its id; 0 where the first look found each."""
    always = dialect.convention("storage.stores") == "always"
    made: dict[str, Exchange] = {}
    missed: set[str] = set()
    longest: tuple[float, tuple[str, ...]] | None = None
    for exchange in exchanges:
        stored_id, call = created_id(exchange), call_of(exchange.request)
        if stored_id is not None and keeps(exchange, always):
            made[stored_id] = exchange
        elif call is None or call.kind is not Kind.RETRIEVE or call.id not in made:
            continue
        elif not exchange.is_success:
            missed.add(call.id)
        else:
            creation = made.pop(call.id)
            over, found = ended_at(creation), exchange.started
            waited = found - over if over is not None and found is not None and call.id in missed else 0.0
            if longest is None or waited > longest[0]:
                longest = (waited, (creation.id, exchange.id))
    if longest is not None:
        yield Observation("storage.visible_after", round(longest[0], 3), "seconds", True, longest[1])
