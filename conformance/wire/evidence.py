"""The lines of evidence, `conformance-evidence/1`: values to JSON lines and back.

One JSON object a line, told apart by `kind`: a `header` first, then `exchange` and `mark` lines as things happen, and
a `footer` where the run came to its end. A body is `{"text"}` if it is UTF-8, else `{"base64"}`. ASCII throughout, so
that no reader can split a line where it should not. Nothing is redacted here: see `conformance.wire.redaction`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.wire.exchange import LIVE_FACETS, End, Exchange, Facet, Headers, Request
from conformance.wire.strict_json import Json, is_integer, is_number
from conformance.wire.traces import Mark, Relation

FORMAT = "conformance-evidence/1"


class EvidenceError(ValueError):
    """A line that is no evidence; the message says in a few words what is wrong with it."""


@dataclass(frozen=True)
class Header:
    """What a run was: enough to derive every verdict again. Digests are SHA-256, hexadecimal.

    `base_url` is what the requests' paths are relative to. `configuration` holds the run's options, redacted.
    `versions` names versions of suite, python, hypothesis and so on. `started` is RFC 3339.
    """

    base_url: str = ""
    dialect: str = ""
    started: str | None = None
    configuration: Mapping[str, Json] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    plan_sha256: str | None = None
    dialect_sha256: str | None = None
    catalogue_sha256: str | None = None


@dataclass(frozen=True)
class Footer:
    """The orderly end: how many exchanges there are, and SHA-256 over all bytes of the lines before it."""

    count: int
    sha256: str


Line = Header | Exchange | Mark | Footer


def _dump(value: Mapping[str, Json]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _body(data: bytes | None) -> dict[str, Json] | None:
    if data is None:
        return None
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _exchange(exchange: Exchange, base_url: str) -> dict[str, Json]:
    request = exchange.request
    made: dict[str, Json] = {
        "kind": "exchange",
        "id": exchange.id,
        "started": exchange.started,
        "request": {
            "method": request.method,
            "url": base_url + request.path,
            "headers": [list(pair) for pair in request.headers],
            "body": _body(request.body),
            "auth": request.auth,
        },
        "status": exchange.status,
        "headers": [list(pair) for pair in exchange.headers],
        "body": _body(exchange.body),
        "pieces": [list(piece) for piece in exchange.pieces],
        "end": exchange.end.value,
        "retry_of": exchange.retry_of,
    }
    if exchange.coded_length is not None:
        made["body"]["coded_length"] = exchange.coded_length
    if exchange.note is not None:
        made["note"] = exchange.note
    if exchange.facets != LIVE_FACETS:
        made["facets"] = sorted(exchange.facets)
    if exchange.altered:
        made["altered"] = sorted(exchange.altered)
    return made


def encode(value: Line, base_url: str = "") -> bytes:
    """One line, with its line feed. `base_url` goes before the path of an exchange's request."""
    if isinstance(value, Exchange):
        return _dump(_exchange(value, base_url))
    if isinstance(value, Mark):
        return _dump(
            {
                "kind": "mark",
                "relation": value.relation.value,
                "group": value.group,
                "role": value.role,
                "exchange": value.exchange,
                "about": value.about,
            }
        )
    if isinstance(value, Footer):
        return _dump({"kind": "footer", "count": value.count, "sha256": value.sha256})
    return _dump({"kind": "header", "format": FORMAT, **_fields(value)})


def _fields(header: Header) -> dict[str, Json]:
    return {
        "base_url": header.base_url,
        "dialect": header.dialect,
        "started": header.started,
        "configuration": dict(header.configuration),
        "versions": dict(header.versions),
        "plan_sha256": header.plan_sha256,
        "dialect_sha256": header.dialect_sha256,
        "catalogue_sha256": header.catalogue_sha256,
    }


def decode(line: bytes | str, base_url: str = "") -> Line | None:
    """The value of one line; None for a kind that a later version may have added. Raises EvidenceError.

    `base_url` is taken from the front of a request's URL; a URL that does not begin with it is kept whole.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EvidenceError("not a JSON object on one line") from error
    if not isinstance(data, dict):
        raise EvidenceError("not a JSON object on one line")
    readers: dict[str, Callable[[dict[str, Any]], Line]] = {
        "header": _read_header,
        "mark": _read_mark,
        "footer": _read_footer,
    }
    kind = data.get("kind")
    try:
        if kind == "exchange":
            return _read_exchange(data, base_url)
        reader = readers.get(kind) if isinstance(kind, str) else None
        return None if reader is None else reader(data)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise EvidenceError(f"a broken {kind} line: {type(error).__name__} {error}") from error


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("a string is expected")
    return value


def _maybe(value: Json) -> str | None:
    return None if value is None else _text(value)


def _read_header(data: dict[str, Any]) -> Header:
    if data.get("format") != FORMAT:
        raise EvidenceError(f"the format is {data.get('format')!r}, not {FORMAT!r}")
    return Header(
        _text(data.get("base_url", "")),
        _text(data.get("dialect", "")),
        _maybe(data.get("started")),
        dict(data.get("configuration") or {}),
        dict(data.get("versions") or {}),
        _maybe(data.get("plan_sha256")),
        _maybe(data.get("dialect_sha256")),
        _maybe(data.get("catalogue_sha256")),
    )


def _read_mark(data: dict[str, Any]) -> Mark:
    return Mark(
        Relation(data["relation"]),
        _text(data["group"]),
        _text(data["role"]),
        _text(data["exchange"]),
        _text(data.get("about", "")),
    )


def _read_footer(data: dict[str, Any]) -> Footer:
    if not is_integer(data["count"]):
        raise TypeError("count is no integer")
    return Footer(data["count"], _text(data["sha256"]))


def _read_body(data: Json) -> bytes | None:
    if data is None:
        return None
    if "text" in data:
        return _text(data["text"]).encode("utf-8", "surrogatepass")
    return base64.b64decode(_text(data["base64"]), validate=True)


def _read_headers(data: Json) -> Headers:
    return tuple((_text(name), _text(value)) for name, value in data)


def _number(value: Json) -> float:
    if not is_number(value):
        raise TypeError("a number is expected")
    return float(value)


def _read_exchange(data: dict[str, Any], base_url: str) -> Exchange:
    request, status = data["request"], data.get("status")
    if status is not None and not is_integer(status):
        raise TypeError("status is no integer")
    url = _text(request["url"])
    coded = (data.get("body") or {}).get("coded_length")
    return Exchange(
        id=_text(data["id"]),
        request=Request(
            _text(request["method"]),
            url.removeprefix(base_url),
            _read_headers(request.get("headers", [])),
            _read_body(request.get("body")),
            _text(request.get("auth", "key")),
        ),
        status=status,
        headers=_read_headers(data.get("headers", [])),
        body=_read_body(data.get("body")) or b"",
        pieces=tuple((_number(at), int(size)) for at, size in data.get("pieces", [])),
        end=End(data.get("end", "complete")),
        started=None if data.get("started") is None else _number(data["started"]),
        facets=frozenset(map(Facet, data["facets"])) if "facets" in data else LIVE_FACETS,
        altered=frozenset(map(_text, data.get("altered", ()))),
        retry_of=_maybe(data.get("retry_of")),
        note=_maybe(data.get("note")),
        coded_length=coded if is_integer(coded) else None,
    )
