"""What a store must hold, worked out from the calls that were made: creations, updates and deletions, in order.

What documents leave open stays open here: an update may replace metadata or add to it, of two updates side by side
either may win, and a call that was not answered may have been done or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from conformance.wire.exchange import End, Exchange
from conformance.wire.stored import Call, Kind, Query, call_of, nameable
from conformance.wire.strict_json import Json, equal

BOUND = 10.0
"""Seconds within which a change has to be visible."""

PLANTED = "conformance-planted"
"""The metadata key of records that a run leaves behind on purpose."""

Metadata = Mapping[str, Json]


@dataclass(frozen=True)
class Record:
    """One stored completion. `metadata` are all the values that it may have."""

    id: str
    creator: Exchange
    metadata: tuple[Metadata, ...]
    updates: tuple[Exchange, ...] = ()
    deleted: bool = False
    unsure: bool = False
    """A call on it was not answered, or its id was given twice: nothing is known of it."""

    @property
    def live(self) -> bool:
        """It has to be there."""
        return not self.deleted and not self.unsure

    def matches(self, query: Query) -> bool | None:
        """Whether it meets the query's metadata; None where that depends on what is open."""
        found = {_fits(item, query) for item in self.metadata}
        return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class Ledger:
    """Records by id, in the order of creation. `always`: the dialect keeps each completion, asked or not."""

    always: bool = False
    records: Mapping[str, Record] = field(default_factory=dict)
    nameless: tuple[Metadata, ...] = ()
    """The metadata of creations whose answer shows no id, or no end: they may be there, under names not known."""
    changed_at: float | None = None
    """When the last change was answered: Unix time in seconds."""

    def after(self, exchange: Exchange) -> Ledger:
        """The ledger once the exchange is over."""
        call = call_of(exchange.request)
        if call is None or call.kind not in (Kind.CREATE, Kind.UPDATE, Kind.DELETE):
            return self
        changed = _created(self, exchange) if call.kind is Kind.CREATE else _changed(self, call, exchange)
        if changed is None:
            lost = call.kind is Kind.CREATE and _may_be_kept(self, exchange)
            return replace(self, nameless=(*self.nameless, _given(exchange))) if lost else self
        return replace(self, records={**self.records, changed.id: changed}, changed_at=ended_at(exchange))

    def live(self) -> list[Record]:
        """Those that have to be there."""
        return [record for record in self.records.values() if record.live]

    def matching(self, query: Query) -> list[Record] | None:
        """The live records that a list of this query is about, pages apart; None where that is open."""
        if any(record.unsure for record in self.records.values()):
            return None
        if any(_fits(metadata, query) for metadata in self.nameless):
            return None
        found = []
        for record in self.live():
            fits = record.matches(query)
            if fits is None:
                return None
            if fits and (query.model is None or query.model == model_of(record.creator)):
                found.append(record)
        return found


def ended_at(exchange: Exchange) -> float | None:
    """When the last byte of an answer came: Unix time in seconds."""
    if exchange.started is None:
        return None
    return exchange.started + (exchange.pieces[-1][0] / 1000.0 if exchange.pieces else 0.0)


def created_id(exchange: Exchange) -> str | None:
    """The id of a whole completion that can be called by it."""
    answer = exchange.answer
    if answer is None or not answer.complete or not isinstance(answer.id, str):
        return None
    return answer.id if nameable(answer.id) else None


def keeps(exchange: Exchange, always: bool = False) -> bool:
    """The request asks for its completion to be stored."""
    chat = exchange.request.chat
    return chat is not None and (always or chat.body.get("store") is True)


def is_planted(exchange: Exchange) -> bool:
    """The completion was stored to be left behind."""
    chat = exchange.request.chat
    metadata = chat.body.get("metadata") if chat is not None else None
    return isinstance(metadata, dict) and PLANTED in metadata


def model_of(exchange: Exchange) -> Json:
    """The model that the request and its answer agree on; None where they name it differently."""
    chat, answer = exchange.request.chat, exchange.answer
    asked = chat.model if chat is not None else None
    return asked if answer is not None and answer.model == asked else None


def _fits(metadata: Metadata, query: Query) -> bool:
    return all(metadata.get(key) == value for key, value in query.metadata)


def _created(ledger: Ledger, exchange: Exchange) -> Record | None:
    found = created_id(exchange)
    if found is None or not keeps(exchange, ledger.always):
        return None
    return Record(found, exchange, (_given(exchange),), unsure=found in ledger.records)


def _may_be_kept(ledger: Ledger, exchange: Exchange) -> bool:
    """It was not refused, and nothing says what it is called."""
    refused = exchange.status is not None and 300 <= exchange.status < 500
    return keeps(exchange, ledger.always) and not refused and created_id(exchange) is None


def _changed(ledger: Ledger, call: Call, exchange: Exchange) -> Record | None:
    record = ledger.records.get(call.id)
    if record is None:
        return None
    if exchange.status is None or exchange.end is not End.COMPLETE or exchange.status >= 500:
        return replace(record, unsure=True)
    if not exchange.is_success:
        return None
    if call.kind is Kind.DELETE:
        return replace(record, deleted=True)
    before = record.updates[-1] if record.updates else None
    updates = (*record.updates, exchange)
    orders = [updates]
    began, over = exchange.started, ended_at(before) if before is not None else None
    if before is not None and (began is None or over is None or began < over):
        orders.append((*updates[:-2], exchange, before))
    start = _given(record.creator)
    found: list[Metadata] = []
    for order in orders:
        for made in _applied(start, order):
            if not any(equal(dict(made), dict(other)) for other in found):
                found.append(made)
    return replace(record, metadata=tuple(found), updates=updates)


def _given(creator: Exchange) -> Metadata:
    """The metadata that a creation asks to store."""
    chat = creator.request.chat
    given = chat.body.get("metadata") if chat is not None else None
    return given if isinstance(given, dict) else {}


def _applied(start: Metadata, updates: Sequence[Exchange]) -> Iterable[Metadata]:
    """What replacing each time makes, and what adding each time makes."""
    replaced, added = dict(start), dict(start)
    for update in updates:
        body = update.request.document.value
        given = body.get("metadata") if isinstance(body, dict) else None
        if isinstance(given, dict):
            replaced, added = dict(given), {**added, **given}
    return replaced, added
