"""What the rules on stored completions share: the calls of a trace, each with what the store has to hold by then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from conformance.rules.base import Finding, Reason, Terms, Vacuous, Verdicts, at_status, rule
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.ledger import BOUND, Ledger, Record
from conformance.wire.stored import Call, Kind, call_of
from conformance.wire.strict_json import Json
from conformance.wire.traces import Lifecycle, Single

STATUS = (Facet.REQUEST, Facet.STATUS)
BODY = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
SOMETHING_ELSE = frozenset({401, 403, 408, 429, 502, 503, 504})
"""Statuses that say nothing of a record."""


@dataclass(frozen=True)
class Step:
    """One call, what the store has to hold before it, and for how long the last change has been over (seconds)."""

    exchange: Exchange
    call: Call
    ledger: Ledger
    waited: float
    settled: frozenset[str] = frozenset()
    """Ids whose last change a retrieval has shown: nobody waits for it any more."""
    earlier: Exchange | None = None
    """What was retrieved of the record before its first update."""
    listed: frozenset[str] = frozenset()
    """Ids that a list has shown since their last change."""

    @property
    def record(self) -> Record | None:
        """The record that the call names, unless nothing is known of it."""
        found = self.ledger.records.get(self.call.id)
        return found if found is not None and not found.unsure else None

    @property
    def late(self) -> bool:
        """Asked late enough for every change to be visible."""
        return self.waited >= BOUND or self.call.id in self.settled

    def visible(self, record: Record) -> bool:
        """A list has to know of the record: it had the time, or one has shown it as it is."""
        return self.waited >= BOUND or record.id in self.listed

    @property
    def body(self) -> dict[str, Json] | None:
        """The answer's JSON object, or None."""
        value = self.exchange.document.value if self.exchange.document.ok else None
        return value if isinstance(value, dict) else None


def steps(trace: Lifecycle, terms: Terms, *kinds: Kind, auth: str = "key") -> Iterator[Step]:
    """The calls of these kinds with the run's key, or with that of another project.

    Of equal requests with no change between them only the last counts: the others were polls.
    """
    ledger = Ledger(always=terms.dialect.convention("storage.stores") == "always")
    polled: dict[str, Step] = {}
    settled: frozenset[str] = frozenset()
    retrieved: dict[str, Exchange] = {}
    listed: frozenset[str] = frozenset()
    for exchange in trace.exchanges:
        call = call_of(exchange.request)
        after = ledger.after(exchange)
        if call is not None and call.kind in kinds and exchange.request.auth == auth:
            began, changed = exchange.started, ledger.changed_at
            waited = began - changed if began is not None and changed is not None else 0.0
            name = f"{exchange.request.method} {exchange.request.path} {exchange.request.auth} {len(polled)}"
            if exchange.request.method == "GET":
                name = f"{exchange.request.path} {exchange.request.auth}"
            polled[name] = Step(exchange, call, ledger, waited, settled, retrieved.get(call.id), listed)
        if call is not None and call.kind is Kind.RETRIEVE and exchange.is_success and not _is_updated(ledger, call.id):
            retrieved[call.id] = exchange
        if call is not None and call.kind is Kind.RETRIEVE and exchange.status == 404 and _is_deleted(ledger, call.id):
            settled |= {call.id}
        if call is not None and call.kind is Kind.LIST:
            listed |= frozenset(ids(exchange) or ())
        if after is not ledger:
            listed -= {name for name in after.records if after.records[name] is not ledger.records.get(name)}
            yield from polled.values()
            polled = {}
        ledger = after
    yield from polled.values()


def _is_updated(ledger: Ledger, stored_id: str) -> bool:
    record = ledger.records.get(stored_id)
    return record is not None and bool(record.updates)


def _is_deleted(ledger: Ledger, stored_id: str) -> bool:
    record = ledger.records.get(stored_id)
    return record is not None and record.deleted


def has(*kinds: Kind) -> Callable[[Lifecycle, Terms], bool]:
    """The trace holds a call of one of these kinds."""

    def when(trace: Lifecycle, terms: Terms) -> bool:
        calls = (call_of(exchange.request) for exchange in trace.exchanges)
        return any(call is not None and call.kind in kinds for call in calls)

    return when


def is_call(*kinds: Kind, ok: bool = True) -> Callable[[Single, Terms], bool]:
    """A call of these kinds with the run's key; `ok`: that was answered by 2xx."""

    def when(trace: Single, terms: Terms) -> bool:
        exchange = trace.exchange
        call = call_of(exchange.request)
        return (
            call is not None
            and call.kind in kinds
            and exchange.request.auth == "key"
            and (exchange.is_success or not ok)
        )

    return when


def document(exchange: Exchange) -> dict[str, Json] | None:
    """The answer's JSON object, or None."""
    value = exchange.document.value if exchange.document.ok else None
    return value if isinstance(value, dict) else None


def entries(exchange: Exchange) -> list[Json] | None:
    """The `data` of a list that was answered, or None."""
    body = document(exchange) if exchange.is_success else None
    data = body.get("data") if body is not None else None
    return data if isinstance(data, list) else None


def ids(exchange: Exchange) -> list[str] | None:
    """The ids in a list, or None where it is no list of objects with ids."""
    data = entries(exchange)
    if data is None:
        return None
    found = [item.get("id") if isinstance(item, dict) else None for item in data]
    return [str(name) for name in found] if all(isinstance(name, str) for name in found) else None


def excuse(step: Step) -> Vacuous | None:
    """Why the answer says nothing of the record, if so."""
    status = step.exchange.status or 0
    # To another project's key, 403 says that the record exists.
    if status in SOMETHING_ELSE and not (status == 403 and step.exchange.request.auth == "second"):
        return Vacuous(Reason.TRANSPORT, f"status {status}")
    return None


NOTHING = Vacuous(Reason.NO_CONTROL, "no such call of this run's own stored completions")


def judged(found: Iterator[Finding | Vacuous | None]) -> Verdicts:
    """Findings, and where there are none and nothing held (None), the first reason why nothing could be shown."""
    held, reason = False, None
    for said in found:
        if isinstance(said, Finding):
            held = True
            yield said
        elif said is None:
            held = True
        else:
            reason = reason or said
    if not held:
        yield reason or NOTHING


def seconds_after(step: Step) -> str:
    """For how long the last change had been over, for people."""
    return f"{step.waited:.1f} s after the last change"


def still(step: Step, expected: str) -> Finding | Vacuous:
    """A change is not visible: a finding where it had the time, else nothing is shown."""
    if not step.late:
        return Vacuous(Reason.NO_CONTROL, f"asked {seconds_after(step)}, which may be too soon")
    made = at_status(step.exchange, expected)
    return Finding(made.exchange, made.part, expected, f"{made.observed}, {seconds_after(step)}")


Check = Callable[[Step, Terms], Iterator[Finding | Vacuous | None]]


def on_steps(
    requirement: str, *kinds: Kind, reads: Iterable[Facet] = BODY, values: Iterable[str] = (), auth: str = "key"
) -> Callable[[Check], Check]:
    """Register a rule that judges each call of these kinds by what the store has to hold by then.

    The function yields None where the call could have shown a violation and did not, and nothing where the
    requirement is not about it.
    """

    def decorate(check: Check) -> Check:
        def whole(trace: Lifecycle, terms: Terms) -> Verdicts:
            found = (said for step in steps(trace, terms, *kinds, auth=auth) for said in _one(check, step, terms))
            yield from judged(found)

        whole.__doc__ = check.__doc__
        rule(requirement, on=Lifecycle, reads=reads, values=values, when=has(*kinds))(whole)
        return check

    return decorate


def _one(check: Check, step: Step, terms: Terms) -> Iterator[Finding | Vacuous | None]:
    reason = excuse(step)
    if reason is not None:
        yield reason
    else:
        yield from check(step, terms)
