"""Stored completions in SQLite: a file that survives a restart, or memory that goes with the endpoint."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conformance.wire import strict_json
from conformance.wire.strict_json import Json

_TABLE = """CREATE TABLE IF NOT EXISTS completions (
    serial INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, id TEXT NOT NULL, record BLOB NOT NULL,
    kept_at INTEGER NOT NULL, UNIQUE (owner, id))"""


@dataclass(frozen=True)
class Stored:
    """A stored completion. Times are Unix seconds; `hidden` names the calls that do not find it (faults only)."""

    id: str
    owner: str
    created: int
    model: str
    body: dict[str, Json]
    """The completion as it was answered, unstreamed form."""
    request: dict[str, Json]
    """What is kept of the request: its messages, and the fields that a record shows."""
    metadata: dict[str, Json] = field(default_factory=dict)
    kept_at: int = 0
    visible_at: int = 0
    gone_at: int | None = None
    hidden: tuple[str, ...] = ()
    serial: int = 0
    """The place in the order of storing."""

    def shows(self, now: int, call: str) -> bool:
        """Whether a call at this time finds it."""
        return self.visible_at <= now and (self.gone_at is None or now < self.gone_at) and call not in self.hidden


def _packed(record: Stored) -> bytes:
    kept = {name: value for name, value in vars(record).items() if name not in ("serial", "owner")}
    return strict_json.dump({**kept, "hidden": list(record.hidden)})


def _unpacked(row: tuple[int, str, bytes]) -> Stored:
    serial, owner, packed = row
    kept = strict_json.parse(packed).value
    return Stored(**{**kept, "hidden": tuple(kept["hidden"])}, owner=owner, serial=serial)


class Store:
    """Completions by owner and id. Safe to use from several threads; opened when it is first used."""

    def __init__(self, path: Path | None = None, retention: float | None = None) -> None:
        """`path` None keeps everything in memory. `retention` is the seconds after which a record is gone."""
        self.retention = retention
        self._path = ":memory:" if path is None else str(path)
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = sqlite3.connect(self._path, check_same_thread=False)
            self._opened.execute(_TABLE)
        return self._opened

    def open(self) -> None:
        """Open now. Raises ValueError, with one sentence, where the file is no store or cannot be written."""
        with self._lock:
            try:
                self._connection().execute("SELECT serial, owner, record, kept_at FROM completions LIMIT 1")
                self._connection().commit()
            except sqlite3.Error as problem:
                raise ValueError(f"--store: {self._path} cannot be used as a store: {problem}") from problem

    def put(self, record: Stored) -> None:
        """Keep a record, in place of one with the same owner and id."""
        with self._lock:
            connection = self._connection()
            connection.execute(
                "INSERT INTO completions (owner, id, record, kept_at) VALUES (?, ?, ?, ?) ON CONFLICT (owner, id) "
                "DO UPDATE SET record = excluded.record",
                (record.owner, record.id, _packed(record), record.kept_at),
            )
            connection.commit()

    def remove(self, record: Stored) -> None:
        """Forget a record."""
        with self._lock:
            connection = self._connection()
            connection.execute("DELETE FROM completions WHERE owner = ? AND id = ?", (record.owner, record.id))
            connection.commit()

    def find(self, owner: str, stored_id: str, now: int, call: str) -> Stored | None:
        """The owner's record of this id that the call finds now."""
        self._purge(now)
        with self._lock:
            row = (
                self._connection()
                .execute("SELECT serial, owner, record FROM completions WHERE owner = ? AND id = ?", (owner, stored_id))
                .fetchone()
            )
        record = None if row is None else _unpacked(row)
        return record if record is not None and record.shows(now, call) else None

    def every(self, owner: str, now: int) -> Iterator[Stored]:
        """The owner's records that a list finds now, in the order of storing."""
        self._purge(now)
        with self._lock:
            rows = (
                self._connection()
                .execute("SELECT serial, owner, record FROM completions WHERE owner = ? ORDER BY serial", (owner,))
                .fetchall()
            )
        return (record for record in map(_unpacked, rows) if record.shows(now, "list"))

    def _purge(self, now: int) -> None:
        if self.retention is None:
            return
        with self._lock:
            connection = self._connection()
            connection.execute("DELETE FROM completions WHERE kept_at <= ?", (now - self.retention,))
            connection.commit()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
