"""Requests out of fixture files: the documents' own examples, and the user's recordings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain, islice
from pathlib import Path
from urllib.parse import quote

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, Session, register
from conformance.sources.fixtures import Fixture, builtin, read_all
from conformance.wire.exchange import Request
from conformance.wire.traces import Relation

_STORED = 4
"""At most so many fixtures store a completion."""


@cache
def _shipped() -> tuple[Fixture, ...]:
    return tuple(read_all(builtin()))


def _chosen(base: Base, *, stored: bool) -> Iterator[Fixture]:
    """The fixtures to send, those that store a completion apart; the shipped ones not at the least effort."""
    shipped = () if base.effort < Effort.STANDARD else _shipped()
    for fixture in chain(shipped, *(read_all(Path(directory)) for directory in base.fixtures)):
        stores = isinstance(fixture.body, dict) and fixture.body.get("store") is True
        if fixture.needs <= base.capabilities and stores is stored:
            yield fixture


def _table(base: Base) -> Iterator[Group]:
    """One request each; a dialect that a fixture does not name is expected to accept."""
    for fixture in _chosen(base, stored=False):
        refused = fixture.expectation(base.dialect.lineage) == "refused"
        yield build.alone(fixture.request(base.model), free=refused)


def _leave_nothing(session: Session) -> None:
    """Send the fixtures that store a completion, and delete what they stored; none where nothing can be deleted."""
    if "delete" not in (session.base.dialect.convention("storage.routes") or ()):
        return
    for fixture in islice(_chosen(session.base, stored=True), _STORED):
        group = session.group(fixture.name)
        created = session.send(fixture.request(session.base.model), fresh=True)
        session.mark(created, Relation.LIFECYCLE, group, "create")
        answer = created.answer
        if answer is not None and isinstance(answer.id, str) and answer.id:
            gone = session.send(Request("DELETE", f"/chat/completions/{quote(answer.id, safe='')}"), fresh=True)
            session.mark(gone, Relation.LIFECYCLE, group, "delete")


_REACHES = ("tool_calls", "tools", "tool_choice", "structured_output", "logprobs")

register(
    Probe(
        "fixtures",
        "tool_calls",
        _REACHES,
        table=_table,
        summary="The documents' own example requests, and those of --fixtures.",
    )
)
register(
    Probe(
        "stored_fixtures",
        "storage",
        ("storage",),
        scenario=_leave_nothing,
        upper=2 * _STORED,
        costly=(0, _STORED, _STORED),
        needs=frozenset({"storage"}),
        summary="The fixtures that store a completion, which is deleted again.",
    )
)
