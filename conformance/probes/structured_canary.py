"""References to a listener of ours: whether the endpoint calls a URL that stands in a schema."""

from __future__ import annotations

from conformance.probes import build
from conformance.probes.base import Probe, Session, register
from conformance.probes.structured_bodies import asking
from conformance.wire.rungs import CALLS
from conformance.wire.strict_json import Json
from conformance.wire.traces import Relation

_PATIENCE = 0.5
"""Seconds that a call may come after the answer."""


def _remote(session: Session) -> None:
    """Ask twice, with the reference at a property and inside an array, and mark how often its URL was called."""
    canary = session.canary
    if canary is None:
        return
    for place in ("property", "array"):
        name = f"{place}.json"
        reference: Json = {"$ref": canary.address(name)}
        field = reference if place == "property" else {"type": "array", "items": reference}
        before = canary.calls(name)
        exchange = session.send(build.post(asking(session.base, build.record({"x": field}), limit=32)), fresh=True)
        calls = canary.calls(name, _PATIENCE) - before
        session.mark(exchange, Relation.LADDER, session.group(place), f"rung:{calls}", CALLS)


register(
    Probe(
        "structured_canary",
        "structured_output",
        ("structured_output.reference",),
        scenario=_remote,
        upper=2,
        needs=frozenset({"structured_output"}),
        summary="References to a listener of the suite, where the endpoint can reach one.",
    )
)
