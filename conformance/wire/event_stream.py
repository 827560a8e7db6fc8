"""Server-sent events, read as the WHATWG HTML standard says, section 9.2.6, without losing what it ignores.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
Bytes in, events out. Lines end at LF, CRLF or CR only: never at U+2028, U+0085 or form feed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from conformance.wire import strict_json
from conformance.wire.strict_json import Document

DONE = "[DONE]"


@dataclass(frozen=True)
class Event:
    """One block of lines closed by a blank line that held at least one field.

    The standard dispatches an event only where `data_lines` > 0; blocks without data are kept, as client libraries
    trip over them. `start` and `end` are byte offsets in the body; `line` counts from 1.
    """

    data: str
    data_lines: int
    name: str | None = None
    id: str | None = None
    retry: str | None = None
    start: int = 0
    end: int = 0
    line: int = 1

    @cached_property
    def document(self) -> Document:
        """The data parsed as strict JSON."""
        return strict_json.parse(self.data)

    @property
    def is_done(self) -> bool:
        """The sentinel, compared exactly."""
        return self.data == DONE


@dataclass(frozen=True)
class StrayLine:
    """A line that is no field of the standard: it is ignored by clients, so what it carries is lost."""

    text: str
    start: int
    line: int


@dataclass(frozen=True)
class EventStream:
    """A whole stream: its events, and all that a conforming client would silently pass over."""

    events: tuple[Event, ...] = ()
    comments: tuple[str, ...] = ()
    strays: tuple[StrayLine, ...] = ()
    has_bom: bool = False
    unfinished: Event | None = None
    """Fields at the end without a blank line after them: discarded by the standard."""
    unfinished_bytes: int = 0
    """Bytes after the last blank line."""
    bad_utf8: tuple[int, ...] = ()
    """Byte offsets of lines that are not UTF-8."""
    line_ends: frozenset[str] = frozenset()
    spaceless: int = 0
    """Data lines without a space after the colon: legal."""

    @property
    def done_positions(self) -> tuple[int, ...]:
        """Which events are the sentinel."""
        return tuple(i for i, event in enumerate(self.events) if event.is_done)


@dataclass
class _Block:
    data: list[str] = field(default_factory=list)
    name: str | None = None
    id: str | None = None
    retry: str | None = None
    start: int = -1
    line: int = 0

    @property
    def empty(self) -> bool:
        return self.start < 0


class Parser:
    """Incremental: feed bytes however they were cut, then close. The result does not depend on the cuts."""

    def __init__(self) -> None:
        """Start before the first byte."""
        self._buffer = bytearray()
        self._scanned = 0
        self._offset = 0
        self._line = 0
        self._block = _Block()
        self._after_blank = 0
        self._events: list[Event] = []
        self._comments: list[str] = []
        self._strays: list[StrayLine] = []
        self._bad: list[int] = []
        self._ends: set[str] = set()
        self._spaceless = 0
        self._bom: bool | None = None

    def feed(self, data: bytes) -> list[Event]:
        """Take more bytes; return the events that they completed."""
        before = len(self._events)
        self._buffer += data
        self._strip_bom(final=False)
        if self._bom is not None:
            self._take_lines(final=False)
        return self._events[before:]

    def close(self) -> EventStream:
        """No more bytes: return everything."""
        self._strip_bom(final=True)
        self._take_lines(final=True)
        total = self._offset + len(self._buffer)
        if self._buffer:
            self._read_line(bytes(self._buffer), self._offset)
        unfinished = None if self._block.empty else self._event(self._block, total)
        return EventStream(
            tuple(self._events),
            tuple(self._comments),
            tuple(self._strays),
            bool(self._bom),
            unfinished,
            total - self._after_blank,
            tuple(self._bad),
            frozenset(self._ends),
            self._spaceless,
        )

    def _strip_bom(self, *, final: bool) -> None:
        if self._bom is not None or (len(self._buffer) < 3 and not final):
            return
        self._bom = self._buffer.startswith(b"\xef\xbb\xbf")
        if self._bom:
            del self._buffer[:3]
            self._offset = self._after_blank = 3

    def _take_lines(self, *, final: bool) -> None:
        # What was scanned before is not scanned again: many small pieces of one long line stay linear.
        buffer, position, size, scan = self._buffer, 0, len(self._buffer), self._scanned
        lf, cr = buffer.find(b"\n", scan), buffer.find(b"\r", scan)
        while lf >= 0 or cr >= 0:
            if cr >= 0 and (lf < 0 or cr < lf):
                if cr + 1 == size and not final:
                    break
                stop, end = cr, ("CRLF" if lf == cr + 1 else "CR")
            else:
                stop, end = lf, "LF"
            self._ends.add(end)
            self._read_line(bytes(buffer[position:stop]), self._offset + position)
            after = stop + (2 if end == "CRLF" else 1)
            if stop == position:
                self._blank(self._offset + after)
            position = after
            if 0 <= lf < position:
                lf = buffer.find(b"\n", position)
            if 0 <= cr < position:
                cr = buffer.find(b"\r", position)
        del self._buffer[:position]
        self._offset += position
        # A carriage return at the very end is looked at again, once it is known what follows.
        self._scanned = max(0, len(self._buffer) - 1)

    def _blank(self, offset: int) -> None:
        self._after_blank = offset
        if not self._block.empty:
            self._events.append(self._event(self._block, offset))
            self._block = _Block()

    @staticmethod
    def _event(block: _Block, end: int) -> Event:
        return Event(
            "\n".join(block.data), len(block.data), block.name, block.id, block.retry, block.start, end, block.line
        )

    def _read_line(self, raw: bytes, start: int) -> None:
        self._line += 1
        if not raw:
            return
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            self._bad.append(start)
            text = raw.decode("utf-8", "replace")
        if text.startswith(":"):
            self._comments.append(text[1:])
            return
        name, colon, value = text.partition(":")
        if value.startswith(" "):
            value = value[1:]
        elif name == "data" and colon:
            self._spaceless += 1
        block = self._block
        if name == "data":
            block.data.append(value)
        elif name == "event":
            block.name = value
        elif name == "id":
            block.id = value
        elif name == "retry":
            block.retry = value
        else:
            self._strays.append(StrayLine(text, start, self._line))
            return
        if block.empty:
            block.start, block.line = start, self._line


def parse(body: bytes) -> EventStream:
    """Parse a whole event stream."""
    parser = Parser()
    parser.feed(body)
    return parser.close()
