"""Recorded traffic of real providers, one exchange a line, with what is known of how faithful each recording is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from conformance.sources.files import SourceError
from conformance.sources.routes import relative_path
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Facet, Request

_VALUES = frozenset({Facet.REQUEST, Facet.STATUS, Facet.CONTENT_TYPE, Facet.BODY})

FIDELITY: dict[str, frozenset[Facet]] = {
    "wire": _VALUES | {Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE},
    "rewritten": _VALUES | {Facet.FRAMING, Facet.KEYS_COMPLETE},
    "body-only": frozenset({Facet.BODY, Facet.FRAMING, Facet.KEYS_COMPLETE}),
    "sdk-level": _VALUES,
}
"""What a recording of each kind can have kept. HEADERS never: the corpus keeps a few fields of each answer."""

ALTERED: dict[str, tuple[frozenset[Facet], frozenset[str]]] = {
    "reserialised": (frozenset({Facet.BODY_BYTES}), frozenset()),
    "key-order": (frozenset({Facet.BODY_BYTES}), frozenset()),
    "whitespace": (frozenset({Facet.BODY_BYTES}), frozenset()),
    "edge-whitespace": (frozenset({Facet.BODY_BYTES, Facet.FRAMING}), frozenset()),
    "number-format": (frozenset({Facet.BODY_BYTES}), frozenset({"number-format"})),
    "redacted": (frozenset({Facet.BODY_BYTES}), frozenset({"redacted"})),
    "sse-framing": (frozenset({Facet.BODY_BYTES, Facet.FRAMING}), frozenset()),
    "done-sentinel": (frozenset({Facet.BODY_BYTES, Facet.FRAMING}), frozenset({"done-sentinel"})),
    "null-filled": (frozenset({Facet.BODY_BYTES, Facet.KEYS_COMPLETE}), frozenset()),
    "headers": (frozenset({Facet.HEADERS}), frozenset()),
    "status": (frozenset({Facet.STATUS}), frozenset()),
    "url": (frozenset(), frozenset({"url"})),
    "request.stream_options": (frozenset({Facet.REQUEST}), frozenset({"request.stream_options"})),
    "created": (frozenset(), frozenset({"created"})),
    "id": (frozenset(), frozenset({"id"})),
    "service_tier": (frozenset(), frozenset({"service_tier"})),
}
"""What each known alteration takes away: facets, and the names of values that are no longer the server's."""

_UNKNOWN = frozenset({Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE, Facet.HEADERS})


def trust(record: dict[str, Any]) -> tuple[frozenset[Facet], frozenset[str]]:
    """The facets of a record and the names of its altered values. A suspect record proves nothing: no facets."""
    if record.get("suspect"):
        return frozenset(), frozenset()
    facets = FIDELITY.get(str(record.get("fidelity")), frozenset({Facet.BODY}))
    altered: set[str] = set()
    for name in record.get("altered") or ():
        lost, values = ALTERED.get(str(name), (_UNKNOWN, frozenset({str(name)})))
        facets -= lost
        altered |= values
    if record.get("request") is None and record.get("method", "POST") == "POST":
        facets -= {Facet.REQUEST}
    headers = record.get("response_headers")
    if not record.get("headers_seen") or not (isinstance(headers, dict) and "content-type" in headers):
        facets -= {Facet.CONTENT_TYPE}
    if record.get("status") is None:
        facets -= {Facet.STATUS}
    return facets, frozenset(altered)


def exchange_of(record: dict[str, Any]) -> Exchange:
    """One record as an exchange. The request's bytes are rebuilt from its parsed body, so they are not verbatim."""
    facets, altered = trust(record)
    source = str(record.get("source") or "?")
    path, query = record.get("url_path") or "/chat/completions", record.get("query")
    headers = record.get("response_headers")
    request, status, body = record.get("request"), record.get("status"), record.get("body")
    return Exchange(
        id=source,
        request=Request(
            str(record.get("method") or "POST"),
            relative_path(f"{path}?{query}" if query else str(path)),
            body=None if request is None else strict_json.dump(request),
        ),
        status=status if strict_json.is_integer(status) else None,
        headers=tuple((str(name), str(value)) for name, value in headers.items()) if isinstance(headers, dict) else (),
        body=str(body if body is not None else "").encode("utf-8", "surrogatepass"),
        facets=facets,
        altered=altered,
        origin=f"{record.get('provider')} in {record.get('repo') or source.split(':', 1)[0]}",
    )


def is_record(value: Any) -> bool:
    """A line of this format."""
    return isinstance(value, dict) and "fidelity" in value and "body" in value


def exchanges(numbered: Iterable[tuple[int, bytes]], shown: str) -> Iterator[Exchange]:
    """All records of a file, in its order. Raises SourceError at the first line that is none."""
    for number, line in numbered:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{shown}, line {number}: not a JSON object on one line") from error
        if not is_record(record):
            raise SourceError(f"{shown}, line {number}: no recorded exchange (fidelity and body are expected)")
        yield exchange_of(record)
