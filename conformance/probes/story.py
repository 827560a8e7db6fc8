"""A story of stored completions: what a scenario stores is tagged, found again, shown with its causes, and deleted.

Each call that tells something is marked together with the calls that led to it and nothing else, so that a violation
shows the shortest way there. Visibility is polled up to a bound, and a story does not wait for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from conformance.probes import build
from conformance.probes.base import Session
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request
from conformance.wire.ledger import PLANTED, Ledger, created_id
from conformance.wire.stored import ROUTE, Kind, Query, call_of, list_path, path_of, query_of
from conformance.wire.strict_json import Json
from conformance.wire.traces import Relation

TAG = "conformance-run"
"""The metadata key that marks what a run stored."""
_PAUSES = (0.1, 0.3, 0.6, 1.0, 2.0, 3.0, 3.5)
"""Seconds between polls: the last one comes after more than the bound."""
_PATIENCE = 45.0
"""Seconds that one story waits in all."""

__all__ = ["PLANTED", "Story", "story"]

Done = Callable[[Exchange], bool]


class Story:
    """One scenario's records. `tag` is the pair that all of them carry."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.base = session.base
        self.tag = (TAG, f"{session.base.run_id}-{name}")
        self.always = session.base.dialect.convention("storage.stores") == "always"
        self.ledger = Ledger(self.always)
        self._changes: list[Exchange] = []
        self._shown: dict[str, Exchange] = {}
        self._before: dict[str, Exchange] = {}
        self._waited = 0.0
        self.diverged: Callable[[], Exception] | None = None
        """What is raised where the run judges, and finds, that a call was answered as no store may answer it."""

    @property
    def leftovers(self) -> list[str]:
        """The ids of all records that were made and not deleted."""
        return [record.id for record in self.ledger.records.values() if not record.deleted]

    def begin_again(self) -> None:
        """Delete what is there, and go on as if nothing had been."""
        for name in self.leftovers:
            self.session.send(Request("DELETE", path_of(name)), fresh=True)
        self.ledger = Ledger(self.always)
        self._changes, self._shown, self._before = [], {}, {}

    def request(self, body: dict[str, Json], **metadata: Json) -> Request:
        """A completion that asks to be stored under the story's tag."""
        return build.post({**body, "store": True, "metadata": dict([self.tag]) | metadata})

    def create(self, body: dict[str, Json], **metadata: Json) -> str | None:
        """Store a completion; its id, or None where there is none."""
        return self.made(self.session.send(self.request(body, **metadata), fresh=True))

    def made(self, exchange: Exchange) -> str | None:
        """Take note of a creation that was sent."""
        self._note(exchange)
        found = created_id(exchange)
        return found if found is not None and found in self.ledger.records else None

    def _note(self, exchange: Exchange) -> None:
        before = self.ledger
        self.ledger = before.after(exchange)
        if self.ledger is not before:
            self._changes.append(exchange)

    def _causes(self, stored_id: str) -> list[Exchange]:
        """What led to how things are with a record, or with all of them where the id is empty."""
        if not stored_id:
            return list(self._changes)
        found = []
        for exchange in self._changes:
            call = call_of(exchange.request)
            if call is not None and stored_id in (call.id, created_id(exchange)):
                found.append(exchange)
        return found

    def tell(self, tellings: Sequence[Exchange], stored_id: str = "", causes: Sequence[Exchange] | None = None) -> None:
        """Mark calls together with what led to them."""
        group = self.session.group("life")
        led = self._causes(stored_id) if causes is None else causes
        settled = [self._shown[stored_id]] if stored_id in self._shown else []
        exchanges = list({item.id: item for item in (*led, *settled, *tellings)}.values())
        for exchange in exchanges:
            call = call_of(exchange.request)
            role = call.kind.value if call is not None else Kind.CREATE.value
            self.session.mark(exchange, Relation.LIFECYCLE, group, role, stored_id)
        if self.diverged is not None and self.session.diverges(exchanges, stored_id):
            raise self.diverged()

    def poll(self, request: Request, done: Done) -> list[Exchange]:
        """Send until it is as it has to be, or the bound is over; all answers."""
        found = [self.session.send(request, fresh=True)]
        for pause in _PAUSES:
            if done(found[-1]) or found[-1].status is None or self._waited + pause > _PATIENCE:
                break
            self._waited += pause
            self.session.wait(pause)
            found.append(self.session.send(request, fresh=True))
        return found

    def retrieve(self, stored_id: str, done: Done | None = None) -> Exchange:
        """Retrieve until it is found, or as `done` says."""
        found = self.poll(build.get(path_of(stored_id)), done or (lambda exchange: exchange.is_success))
        record = self.ledger.records.get(stored_id)
        before = [self._before[stored_id]] if stored_id in self._before else []
        if record is not None and record.updates:
            creation, *changes = self._causes(stored_id)
            self.tell(found[-1:], stored_id, [creation, *before, *changes])
        else:
            self.tell(found[-1:], stored_id)
            if found[-1].is_success:
                self._before[stored_id] = found[-1]
        return found[-1]

    def messages(self, stored_id: str, **parameters: str | int) -> Exchange:
        """The messages of a record."""
        path = list_path(path_of(stored_id, "messages"), (), **parameters)
        record = self.ledger.records.get(stored_id)
        there = record is None or not record.deleted
        found = self.poll(build.get(path), lambda exchange: exchange.is_success is there)
        self.tell(found[-1:], stored_id)
        return found[-1]

    def update(self, stored_id: str, body: Json) -> Exchange:
        """Send an update; it is shown with what led to it."""
        led = self._causes(stored_id)
        exchange = self.session.send(build.post(body, path=path_of(stored_id)), fresh=True)
        self.updated(exchange, stored_id, led)
        return exchange

    def updated(self, exchange: Exchange, stored_id: str, led: Sequence[Exchange] | None = None) -> None:
        """Take note of an update that was sent."""
        before = self._causes(stored_id) if led is None else led
        self._note(exchange)
        self.tell([exchange], stored_id, before)

    def shows_the_update(self, stored_id: str) -> Done:
        """A retrieval has one of the values that the metadata may have."""
        record = self.ledger.records[stored_id]

        def done(exchange: Exchange) -> bool:
            body = exchange.document.value if exchange.is_success else None
            held = body.get("metadata") if isinstance(body, dict) else None
            return any(strict_json.equal(dict(item), held) for item in record.metadata)

        return done

    def delete(self, stored_id: str) -> Exchange:
        """Delete, and wait until a retrieval shows it."""
        led = self._causes(stored_id)
        exchange = self.session.send(Request("DELETE", path_of(stored_id)), fresh=True)
        self._note(exchange)
        self.tell([exchange], stored_id, led)
        found = self.poll(build.get(path_of(stored_id)), lambda item: not item.is_success)
        self.tell(found[-1:], stored_id)
        if found[-1].status == 404:
            self._shown[stored_id] = found[-1]
        return exchange

    def deleted_again(self, stored_id: str) -> None:
        """Delete what is deleted."""
        self.tell([self.session.send(Request("DELETE", path_of(stored_id)), fresh=True)], stored_id)

    def list(self, *pairs: tuple[str, str], tagged: bool = True, **parameters: Any) -> Exchange:
        """A list by the story's tag and more pairs, polled until all that match are there and nothing deleted is."""
        wanted = ((self.tag,) if tagged else ()) + pairs
        path = list_path(ROUTE, wanted, **parameters)
        found = self.poll(build.get(path), self._as_expected(query_of(path.partition("?")[2])))
        self.tell(found[-1:])
        return found[-1]

    def _as_expected(self, query: Query) -> Done:
        def done(exchange: Exchange) -> bool:
            listed, wanted = set(listed_ids(exchange)), self.ledger.matching(query)
            gone = {record.id for record in self.ledger.records.values() if record.deleted}
            stale = {record.id for record in self.ledger.live() if record.updates and record.matches(query) is False}
            if (gone | stale) & listed or not exchange.is_success or wanted is None:
                return not exchange.is_success and (exchange.status or 0) < 500
            room = query.count if query.count is not None else 20
            return query.after is not None or len(listed) >= min(room, len(wanted))

        return done

    def walk(self, limit: int, between: Callable[[], object] | None = None, **parameters: str) -> None:
        """All pages of the story's records, each after the last one's last entry; `between` runs after the first."""
        # What a list has shown has to be on the pages that follow.
        path = list_path(metadata=(self.tag,), limit=100)
        seen = self.poll(build.get(path), self._as_expected(query_of(path.partition("?")[2])))[-1:]
        after: str | None = None
        for number in range(len(self.ledger.records) + 3):
            path = list_path(metadata=(self.tag,), limit=limit, after=after, **parameters)
            seen.append(self.session.send(build.get(path), fresh=True))
            body = seen[-1].document.value if seen[-1].is_success else None
            names = listed_ids(seen[-1])
            if not names or not isinstance(body, dict) or body.get("has_more") is False:
                break
            after = names[-1]
            if number == 0 and between is not None:
                between()
        self.tell(seen)

    def odd(self, **parameters: str | int) -> None:
        """A list with a parameter that has to be refused, of the story's records."""
        self.tell([self.session.send(build.get(list_path(ROUTE, (self.tag,), **parameters)), fresh=True)])


def listed_ids(exchange: Exchange) -> list[str]:
    """The ids in a list, as far as there are any."""
    body = exchange.document.value if exchange.is_success else None
    data = body.get("data") if isinstance(body, dict) else None
    found = [item.get("id") for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    return [name for name in found if isinstance(name, str)]


@contextmanager
def story(session: Session, name: str) -> Iterator[Story]:
    """A story whose records are deleted at its end, whatever happens."""
    told = Story(session, name)
    try:
        yield told
    finally:
        if "delete" in (session.base.dialect.convention("storage.routes") or ()):
            for name in told.leftovers:
                session.send(Request("DELETE", path_of(name)), fresh=True)
