"""Where does a schema become too deep, and where too large? Double until the answer flips, then halve what is between.

Bounded in requests, in bytes sent and in time: a rung that gets no answer ends its probe, once it was sent again and a
plain request has shown whether the endpoint is still there. Left out by `--without schema_limits`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conformance.probes import schema_rungs as rungs
from conformance.probes.base import Ask, Base, Effort, Group, Probe, Session, register
from conformance.probes.schema_rungs import Axis
from conformance.wire.exchange import End, Exchange, Request
from conformance.wire.rungs import PLAIN, Outcome, outcome
from conformance.wire.traces import Relation

CAPABILITY = "schema_limits"
SCHEMA = "/response_format/json_schema/schema"
_PLAINS = 3
"""Plain requests after one that failed, until one succeeds."""
_DEEPER, _WIDER = 4, 2
"""How many times the first refused value is tried as well."""
_NEEDS = frozenset({"structured_output", CAPABILITY})


@dataclass(frozen=True)
class Reach:
    """How far a probe goes: up to which value, how closely it pins a cap down, and what it may send in all.

    A cap is pinned down to one part in `parts` of it; None pins it down exactly. `bytes` bounds all bodies together.
    """

    levels: int
    size: int
    parts: int | None
    requests: int
    bytes: int


REACH = {
    Effort.STANDARD: Reach(128, 131_072, 64, 36, 2 * 1024 * 1024),
    Effort.THOROUGH: Reach(1024, 4 * 1024 * 1024, None, 120, 32 * 1024 * 1024),
}

Taken = Callable[[int], bool | None]
"""Asks for a value: taken, not taken, or None where this axis goes no further."""


def steps(most: int) -> int:
    """How many values `search` asks for at most to pin down exactly any cap up to `most`."""
    return 2 * most.bit_length() + 3


def search(
    taken: Taken, start: int, most: int, *, least: int = 1, near: bool = False, parts: int | None = None
) -> tuple[int, int]:
    """The largest value known to be taken (0: none) and the smallest known not to be (0: none up to `most`).

    Doubles from `start`, or halves down to `least` where not even that is taken; then tries the next value, as caps are
    often the round numbers that doubling meets; then halves what is between. `near`: `start` is expected to be the cap.
    """
    low, high, value = 0, 0, min(start, most)
    while value >= least and not (low and high):
        said = taken(value)
        if said is None:
            return low, high
        if said:
            low = value
            value = 0 if low >= most else low + 1 if near else min(2 * low, most)
        else:
            high = value
            value //= 2
        near = False
    if not high or not low:
        return low, high
    value = low + 1
    while high - low > (1 if parts is None else max(1, low // parts)):
        said = taken(value)
        if said is None:
            break
        low, high = (value, high) if said else (low, value)
        value = (low + high) // 2
    return low, high


class _Spent(Exception):
    """The probe ends here: nothing more may be sent, or the endpoint stopped answering."""


class _Climber:
    """One probe's hands: counts requests and bytes, marks rungs, and looks after the endpoint when something fails."""

    def __init__(self, session: Session, reach: Reach) -> None:
        self.session = session
        self.reach = reach
        self._requests = reach.requests
        self._bytes = reach.bytes
        self._sent: set[Request] = set()

    def send(self, request: Request, *, fresh: bool = False) -> Exchange:
        """Send within the bounds. Raises _Spent beyond them."""
        if fresh or request not in self._sent:
            self._sent.add(request)
            self._requests -= 1
            self._bytes -= len(request.body or b"")
            if self._requests < 0 or self._bytes < 0:
                raise _Spent
        return self.session.send(request, fresh=fresh)

    def plain(self, axis: Axis, group: str, *, fresh: bool) -> bool:
        """A plain request on the ladder's lowest rung: whether it succeeds."""
        exchange = self.send(rungs.plain(self.session.base), fresh=fresh)
        self.session.mark(exchange, Relation.LADDER, group, f"rung:{PLAIN}", axis.name)
        return exchange.answer is not None

    def rung(self, axis: Axis, group: str, value: int) -> bool | None:
        """Send one rung: taken, not taken, or None where it says nothing of a cap."""
        request = rungs.asking(self.session.base, axis.text(value))
        exchange = self.send(request)
        self.session.mark(exchange, Relation.LADDER, group, f"rung:{value}", axis.name)
        what = outcome(exchange, self.session.base.dialect)
        if what is Outcome.SILENT and exchange.end is End.TIMEOUT:
            again = self.send(request, fresh=True)
            self.session.mark(again, Relation.LADDER, group, f"rung:{value}", axis.name)
        if what in (Outcome.FAILED, Outcome.SILENT):
            self._look_after(axis, group)
        if what is Outcome.SILENT:
            raise _Spent
        return {Outcome.TAKEN: True, Outcome.REFUSED: False, Outcome.FAILED: False}.get(what)

    def _look_after(self, axis: Axis, group: str) -> None:
        """A plain request now, and again until one succeeds."""
        for _ in range(_PLAINS):
            if self.plain(axis, group, fresh=True):
                return

    def climb(self, axis: Axis, start: int, *, near: bool) -> tuple[int, int]:
        """Find the cap along one axis: see `search`. A rung well above it shows whether what is over it stays refused.

        An axis with an overshoot ends with that, and with a plain request: is the endpoint still there?
        """
        group = self.session.group(axis.name)
        most = self.reach.size if axis.by_size else self.reach.levels
        if not self.plain(axis, group, fresh=False):
            return 0, 0
        low, high = search(
            lambda value: self.rung(axis, group, value),
            start,
            most,
            least=axis.least,
            near=near,
            parts=self.reach.parts if axis.by_size else None,
        )
        if low and high:
            self.rung(axis, group, (_WIDER if axis.by_size else _DEEPER) * high)
        if low and axis.overshoot:
            self.rung(axis, group, axis.overshoot)
            self._look_after(axis, group)
        return low, high

    def through_definitions(self, low: int, high: int) -> None:
        """What is too deep by itself, cut into definitions well below what was taken; and as one definition."""
        base, session = self.session.base, self.session
        for control, variant in (
            (rungs.objects(low), rungs.in_definitions(high, max(1, low // 2))),
            (rungs.objects(high), rungs.in_one_definition(high)),
        ):
            group = session.group("definitions")
            for role, text in (("control", control), ("variant", variant)):
                session.mark(self.send(rungs.asking(base, text)), Relation.CONTRAST, group, role, SCHEMA)


def _depth(session: Session) -> None:
    climber = _Climber(session, REACH[session.base.effort])
    first, *others = rungs.DEPTHS
    try:
        low, high = climber.climb(first, first.first, near=False)
        if low and high and session.base.dialect.convention("schema.depth_resets_at_ref"):
            climber.through_definitions(low, high)
        for axis in others if low else ():
            climber.climb(axis, low, near=True)
    except _Spent:
        return


def _size(session: Session) -> None:
    documented = session.base.dialect.limit("json_schema.max_properties") is not None
    if documented and session.base.effort < Effort.THOROUGH:
        return  # the documented numbers are tried by themselves, at their edges
    climber = _Climber(session, REACH[session.base.effort])
    first, *others = rungs.SIZES
    try:
        low, _ = climber.climb(first, first.first, near=False)
        for axis in others if low else ():
            climber.climb(axis, low, near=True)
    except _Spent:
        return


def _edges(base: Base) -> Iterator[Group]:
    """The documented limits, at the edge and over it by every way of counting."""
    for number, (text, over) in enumerate(rungs.edges(base, costly=base.effort >= Effort.THOROUGH)):
        if number < 2 or base.effort >= Effort.STANDARD:
            yield Group((Ask(rungs.asking(base, text), free=over),))


_REACHES = ("structured_output.limits",)

register(
    Probe(
        "schema_depth",
        "structured_output",
        _REACHES,
        scenario=_depth,
        at=Effort.STANDARD,
        upper=REACH[Effort.STANDARD].requests,
        costly=(0, 22, 80),
        needs=_NEEDS,
        summary="Schemas that nest deeper and deeper, in four ways, until one is refused; and through definitions.",
    )
)
register(
    Probe(
        "schema_size",
        "structured_output",
        _REACHES,
        scenario=_size,
        at=Effort.STANDARD,
        upper=REACH[Effort.STANDARD].requests,
        costly=(0, 18, 80),
        needs=_NEEDS,
        summary="Schemas that grow larger and larger, in four ways, until one is refused.",
    )
)
register(
    Probe(
        "schema_edges",
        "structured_output",
        _REACHES,
        table=_edges,
        needs=_NEEDS,
        summary="Schemas as large as the documented limits allow, and a little larger.",
    )
)
