"""After a run: delete what it left behind, and look whether what it planted is kept as long as its tier promises.

Both go by the run's evidence alone: only ids that its own POSTs were answered with are ever deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from conformance.dialects.loader import load as load_dialect
from conformance.dialects.model import Dialect
from conformance.sources.evidence import Evidence
from conformance.suite.judging import gathered
from conformance.suite.leftovers import deletions, leftovers
from conformance.suite.options import Options
from conformance.suite.verify import VerifyError, recorded
from conformance.transport.base import Access, Timeouts
from conformance.transport.http import HttpTransport
from conformance.wire.exchange import Exchange, Request
from conformance.wire.ledger import created_id, is_planted
from conformance.wire.stored import path_of

SLACK = 3600.0
"""Seconds after the end of a promise that a purge may take."""
_TIER = "retention."
Send = Callable[[Request], Exchange]


class Fate(StrEnum):
    """What became of a planted record."""

    KEPT = "kept, as promised"
    PURGED = "purged, as promised"
    LOST = "gone before its time"
    STAYED = "still there after its time"
    UNKNOWN = "nothing can be said"


@dataclass(frozen=True)
class Visit:
    """One planted record now. `age` and `left` are seconds: since it was stored, and until its promise ends."""

    stored_id: str
    fate: Fate
    age: float
    left: float
    status: int | None

    @property
    def broken(self) -> bool:
        """The promise is not kept."""
        return self.fate in (Fate.LOST, Fate.STAYED)


def evidence_of(directory: Path) -> Evidence:
    """The evidence of a report, whole or broken off. Raises VerifyError."""
    return recorded(directory)


def dialect_of(evidence: Evidence, given: str | None) -> Dialect:
    """The dialect as given now, else as the run's configuration names it."""
    named = evidence.header.configuration.get("dialect")
    return load_dialect(given or (named if isinstance(named, str) else evidence.header.dialect))


def sender(evidence: Evidence, options: Options) -> tuple[Send, Callable[[], None]]:
    """What sends to where the run went, or to where the options say, and what lets go of it."""
    embedded = options.base_url is None and evidence.header.configuration.get("embedded") is True
    base_url = options.base_url or evidence.header.base_url
    if embedded or not base_url:
        raise VerifyError("the run certified the embedded endpoint, which is gone with all that it stored")
    transport = HttpTransport(Access(base_url, options.key, options.headers), Timeouts(*options.timeouts))
    return transport.send, transport.close


def clean(evidence: Evidence, dialect: Dialect, send: Send, *, planted: bool = False) -> Iterator[tuple[str, bool]]:
    """Delete what is left, one after the other: each id, and whether it is gone."""
    ids = leftovers(evidence.exchanges, dialect, planted=planted)
    for stored_id, request in zip(ids, deletions(ids), strict=True):
        answer = send(request)
        yield stored_id, answer.is_success or answer.status in (404, 410)


def tiers(dialect: Dialect) -> dict[str, float]:
    """The seconds for which each documented tier keeps a record in all."""
    found = {}
    for name, value in dialect.limits.items():
        if name.startswith(_TIER) and name.endswith(".total") and isinstance(value, (int, float)):
            found[name.removeprefix(_TIER).removesuffix(".total")] = float(value)
    return found


def hot(dialect: Dialect, tier: str) -> float | None:
    """The seconds for which a tier keeps a record at hand."""
    value = dialect.limit(f"{_TIER}{tier}.hot")
    return float(value) if isinstance(value, (int, float)) else None


def planted(evidence: Evidence) -> list[Exchange]:
    """The creations of planted records."""
    every: Sequence[Exchange] = gathered(evidence.exchanges, evidence.marks)
    return [exchange for exchange in every if is_planted(exchange) and created_id(exchange) is not None]


def visit(creation: Exchange, total: float, send: Send, now: float, slack: float = SLACK) -> Visit:
    """Look at one record. `now` is Unix time in seconds; a record may stay for `slack` seconds after its time."""
    stored_id = created_id(creation) or ""
    age = now - (creation.started if creation.started is not None else now)
    answer = send(Request("GET", path_of(stored_id)))
    made = Visit(stored_id, Fate.UNKNOWN, age, total - age, answer.status)
    if answer.is_success:
        return replace(made, fate=Fate.KEPT if age <= total + slack else Fate.STAYED)
    if answer.status in (404, 410):
        return replace(made, fate=Fate.LOST if age < total else Fate.PURGED)
    return made
