"""Requests out of fixture files: the documents' own examples, and the user's recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.sources.fixtures import builtin, read_all


def _table(base: Base) -> Iterator[Group]:
    """One request each, the shipped ones not at the least effort. Dialects not named are expected to accept."""
    for directory in (builtin(), *map(Path, base.fixtures)):
        for fixture in read_all(directory):
            shipped = directory == builtin()
            if shipped and base.effort < Effort.STANDARD:
                continue
            if fixture.needs <= base.capabilities:
                refused = fixture.expectation(base.dialect.lineage) == "refused"
                yield build.alone(fixture.request(base.model), free=refused)


register(
    Probe(
        "fixtures",
        "tool_calls",
        ("tool_calls", "tools", "structured_output", "logprobs", "storage"),
        table=_table,
        summary="The documents' own example requests, and those of --fixtures.",
    )
)
