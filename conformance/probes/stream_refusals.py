"""What concerns a stream before its first chunk: refusals in both modes, and the idempotency key that is ignored."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Ask, Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json


def _table(base: Base) -> Iterator[Group]:
    """Requests that are wrong in one way, unstreamed twice and streamed; they generate nothing."""
    wrong: list[dict[str, Json]] = [{"messages": []}]
    if base.effort >= Effort.STANDARD:
        wrong += [{"messages": "hello"}, {"model": 5}]
    for change in wrong:
        yield from build.parity(base, {**base.body(build.GREETING), **change}, usage=False)
    header = base.dialect.convention("idempotency.header")
    if isinstance(header, str):
        keyed = build.post(build.streamed(base.body(build.GREETING)), ((header, "a-made-up-key"),))
        yield Group((Ask(keyed),))


register(
    Probe(
        "stream_refusals",
        "stream",
        ("stream_errors", "stream"),
        table=_table,
        needs=frozenset({"streaming"}),
        summary="Refused requests, unstreamed and streamed, and a stream with an idempotency key.",
    )
)
