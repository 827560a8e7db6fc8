"""Change the JSON of a finished reply, in whatever frames it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from conformance.reference.stages import Reply
from conformance.wire import strict_json
from conformance.wire.exchange import header_values
from conformance.wire.strict_json import Json

_DATA = re.compile(rb"(?:\A|(?<=[\r\n]))(data: ?)(\{[^\r\n]*)")
_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def is_stream(reply: Reply) -> bool:
    """The reply is an event stream."""
    return any(value.startswith("text/event-stream") for value in header_values(reply.headers, "content-type"))


def joined(reply: Reply) -> bytes:
    """The whole body."""
    return b"".join(data for _, data in reply.pieces)


def with_body(reply: Reply, data: bytes) -> Reply:
    """The reply with another body: one write per event of a stream, else one write."""
    parts = [part for part in _EVENT_END.split(data) if part] if is_stream(reply) else [data]
    first = reply.pieces[0][0] if reply.pieces else 0.0
    return replace(reply, pieces=tuple((0.0 if position else first, part) for position, part in enumerate(parts)))


def with_json(reply: Reply, change: Callable[[Json], Json], dump: Callable[[Json], bytes] = strict_json.dump) -> Reply:
    """The reply with every JSON document in it changed: the body, or the payload of each data line."""
    if not is_stream(reply):
        document = strict_json.parse(joined(reply))
        return with_body(reply, dump(change(document.value))) if document.ok else reply

    def line(found: re.Match[bytes]) -> bytes:
        document = strict_json.parse(found.group(2))
        return found.group(1) + dump(change(document.value)) if document.ok else found.group(0)

    return with_body(reply, _DATA.sub(line, joined(reply)))


def escaped(data: bytes) -> bytes:
    r"""JSON text with every character beyond ASCII as a \\u escape, surrogate pairs included."""
    return _BEYOND_ASCII.sub(lambda found: json.dumps(found.group())[1:-1], data.decode("utf-8")).encode("ascii")


def messages(document: Json) -> Iterator[dict[str, Json]]:
    """The message or delta objects in a completion or chunk."""
    for choice in choices(document):
        for key in ("message", "delta"):
            if isinstance(choice.get(key), dict):
                yield choice[key]


def choices(document: Json) -> Iterator[dict[str, Json]]:
    """The choice objects in a completion or chunk."""
    found = document.get("choices") if isinstance(document, dict) else None
    yield from (item for item in (found if isinstance(found, list) else ()) if isinstance(item, dict))
