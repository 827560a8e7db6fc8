"""From payloads to bytes: events of an event stream, and the writes in which they go out."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.wire import strict_json
from conformance.wire.strict_json import Json

Pieces = tuple[tuple[float, bytes], ...]


def frame(payload: dict[str, Json] | str) -> bytes:
    """One event: a data line and a blank line. A string goes out as it stands."""
    data = payload.encode("utf-8", "replace") if isinstance(payload, str) else strict_json.dump(payload)
    return b"data: " + data + b"\n\n"


def writes(frames: Iterable[bytes]) -> Pieces:
    """One write per event, and two where it holds a character of several bytes: cut inside the first such one."""
    made: list[tuple[float, bytes]] = []
    for data in frames:
        if data.isascii():
            made.append((0.0, data))
            continue
        cut = next(position for position, byte in enumerate(data) if byte >= 0x80) + 1
        made += [(0.0, data[:cut]), (0.0, data[cut:])]
    return tuple(made)
