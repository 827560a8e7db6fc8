"""One refused request in both modes: what an error status says must not depend on whether a stream was asked for."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json


def _table(base: Base) -> Iterator[Group]:
    """Requests that are wrong in one way, unstreamed twice and streamed; they generate nothing."""
    wrong: list[dict[str, Json]] = [{"messages": []}]
    if base.effort >= Effort.STANDARD:
        wrong += [{"messages": "hello"}, {"model": 5}]
    for change in wrong:
        yield from build.parity(base, {**base.body(build.GREETING), **change}, usage=False)


register(
    Probe(
        "stream_refusals",
        "stream",
        ("stream_errors",),
        table=_table,
        needs=frozenset({"streaming"}),
        summary="Refused requests, unstreamed and streamed.",
    )
)
