"""Put exchanges together into traces: by the marks of probes, and by what unmarked requests say themselves.

Used live, by `verify` and by `audit` alike, so that a verdict can be derived again. The order is fixed: singles, marked
groups, derived relations, each by the place of its exchanges. Of retried requests the last attempt stands in relations;
each attempt is a Single. Nothing here is quadratic in the number of exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from conformance.wire.exchange import Exchange
from conformance.wire.kinship import conversations, lifecycles, related
from conformance.wire.traces import (
    Contrast,
    Conversation,
    Ladder,
    Lifecycle,
    Mark,
    Parity,
    Relation,
    Repeat,
    Single,
    Trace,
)

_RUNG = "rung:"


def last_attempts(exchanges: Sequence[Exchange]) -> dict[str, Exchange]:
    """By the id of each attempt, the last attempt at the same request; a chain that bites its tail ends there."""
    known = {exchange.id: exchange for exchange in exchanges}
    first: dict[str, str] = {}
    for exchange in exchanges:
        seen = {exchange.id}
        root = exchange
        while root.retry_of in known and root.retry_of not in seen:
            seen.add(root.retry_of)
            root = known[root.retry_of]
        first[exchange.id] = root.id
    last = {first[exchange.id]: exchange for exchange in exchanges}
    return {name: last[root] for name, root in first.items()}


def _marked(relation: Relation, marks: Sequence[Mark], found: Mapping[str, Exchange]) -> list[Trace]:
    """The traces of one marked group; none where the run was broken off before it was whole."""
    members = [(mark, found[mark.exchange]) for mark in marks]
    every = tuple(dict.fromkeys(exchange.id for _, exchange in members))
    by_id = {exchange.id: exchange for _, exchange in members}
    about = next((mark.about for mark in marks if mark.about), "")

    def having(role: str) -> list[Exchange]:
        return list({exchange.id: exchange for mark, exchange in members if mark.role == role}.values())

    exchanges = tuple(by_id[name] for name in every)
    if relation is Relation.CONVERSATION and len(exchanges) > 1:
        return [Conversation(exchanges)]
    if relation is Relation.REPEAT and len(exchanges) > 1:
        return [Repeat(exchanges)]
    if relation is Relation.CONTRAST:
        places = {exchange.id: mark.about or about for mark, exchange in members if mark.role == "variant"}
        return [
            Contrast((control, variant), places[variant.id])
            for control in having("control")[:1]
            for variant in having("variant")
        ]
    if relation is Relation.PARITY:
        plain = having("unstreamed")[:2]
        return [Parity((*plain, streamed)) for streamed in having("streamed") if plain]
    if relation is Relation.LADDER:
        rungs = sorted(
            {
                exchange.id: (value, exchange) for mark, exchange in members if (value := _rung(mark)) is not None
            }.values(),
            key=lambda rung: rung[0],
        )
        return [Ladder(tuple(item for _, item in rungs), about, tuple(value for value, _ in rungs))] if rungs else []
    if relation is Relation.LIFECYCLE:
        return [Lifecycle(exchanges, about or _created_id(having("create")))]
    return []


def _rung(mark: Mark) -> int | None:
    try:
        return int(mark.role.removeprefix(_RUNG)) if mark.role.startswith(_RUNG) else None
    except ValueError:
        return None


def _created_id(creators: Sequence[Exchange]) -> str:
    answer = creators[0].answer if creators else None
    return answer.id if answer is not None and isinstance(answer.id, str) else ""


def assemble(exchanges: Sequence[Exchange], marks: Iterable[Mark] = ()) -> list[Trace]:
    """All traces of these exchanges, which stand in the order of sending. Never raises on what they hold.

    Marks of unknown exchanges are passed over. Relations are derived among exchanges without a mark (or marked
    `single`), and only among those of one origin.
    """
    last = last_attempts(exchanges)
    place = {exchange.id: position for position, exchange in enumerate(exchanges)}
    traces: list[Trace] = [Single((exchange,)) for exchange in exchanges]
    groups: dict[tuple[Relation, str], list[Mark]] = {}
    taken: set[str] = set()
    for mark in marks:
        if mark.exchange in last and mark.relation not in (Relation.SINGLE, Relation.RUN):
            groups.setdefault((mark.relation, mark.group), []).append(mark)
            taken.add(last[mark.exchange].id)
    made: list[Trace] = []
    for (relation, _), members in groups.items():
        members.sort(key=lambda mark: place[last[mark.exchange].id])
        made += _marked(relation, members, last)
    free = [exchange for exchange in exchanges if last[exchange.id] is exchange and exchange.id not in taken]
    made += conversations(free)
    made += related(free)
    made += lifecycles(free)
    return traces + sorted(made, key=lambda trace: [place[exchange.id] for exchange in trace.exchanges])
