"""Cassettes of vcrpy, Ruby's VCR and go-vcr, in YAML or JSON.

They differ in names only: `interactions` or `http_interactions`; `uri` or `url`; the status a number or an object; a
body a string or an object with `string`, `base64_string` or `parsed_body`. Users filter headers in all of them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import yaml

from conformance.sources.files import SourceError
from conformance.sources.har import relative_origin
from conformance.sources.routes import relative_path
from conformance.wire import strict_json
from conformance.wire.coding import undo
from conformance.wire.exchange import Exchange, Facet, Headers, Request, header_values

_LIMIT = 64 << 20
_UNCODED = (b"", b"{", b"[", b"d", b":")
"""How JSON and event streams begin: recorders undo codings and leave the header."""
_KEPT = frozenset({Facet.STATUS, Facet.BODY, Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE})


def load(text: bytes, shown: str) -> Any:
    """The parsed YAML. Raises SourceError with the line where it is none."""
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise SourceError(f"{shown}{where}: no readable YAML") from error


def is_cassette(value: Any) -> bool:
    """A mapping with a list of interactions."""
    return isinstance(value, dict) and any(
        isinstance(value.get(key), list) for key in ("interactions", "http_interactions")
    )


def _object(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _headers(value: Any) -> Headers:
    found: list[tuple[str, str]] = []
    for name, values in _object(value).items():
        every = values if isinstance(values, list) else [values]
        found += [(str(name), str(item)) for item in every]
    return tuple(found)


def _bytes(value: Any) -> tuple[bytes | None, bool]:
    """A body, and whether it stands as it was sent."""
    if isinstance(value, bytes):
        return value, True
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass"), True
    if not isinstance(value, dict):
        return None, True
    if isinstance(value.get("base64_string"), str):
        try:
            return base64.b64decode(value["base64_string"]), True
        except (binascii.Error, ValueError):
            return None, False
    if "parsed_body" in value:
        return _dumped(value["parsed_body"]), False
    return _bytes(value.get("string", value.get("text")))


def _body_of(side: dict[Any, Any]) -> Any:
    """What holds the body: some serialisers put `parsed_body` beside the place of `body`."""
    return side if "parsed_body" in side else side.get("body")


def _dumped(value: Any) -> bytes:
    try:
        return strict_json.dump(value)
    except (TypeError, ValueError, RecursionError):
        return b""


def _status(response: dict[Any, Any]) -> int | None:
    for value in (response.get("code"), response.get("status"), response.get("status_code")):
        code = value.get("code") if isinstance(value, dict) else value
        if strict_json.is_integer(code):
            return code
    return None


def _exchange(item: dict[Any, Any], name: str) -> Exchange:
    request, response = _object(item.get("request")), _object(item.get("response"))
    headers = _headers(response.get("headers"))
    raw, verbatim = _bytes(_body_of(response))
    coded = ", ".join(header_values(headers, "content-encoding"))
    facets = set(_KEPT)
    body = raw or b""
    if coded and body.lstrip()[:1] not in _UNCODED:
        decoded = undo(body, coded, _LIMIT)
        body = decoded.data
        if decoded.error is not None:
            facets -= {Facet.BODY, Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE}
    if not verbatim:
        facets -= {Facet.BODY_BYTES, Facet.FRAMING}
    if header_values(headers, "content-type"):
        facets |= {Facet.CONTENT_TYPE}
    sent, _ = _bytes(_body_of(request))
    method = str(request.get("method") or "GET").upper()
    if method != "POST" or sent:
        facets |= {Facet.REQUEST}
    url = str(request.get("uri") or request.get("url") or "/")
    return Exchange(
        id=name,
        request=Request(method, relative_path(url), _headers(request.get("headers")), sent or None),
        status=_status(response),
        headers=headers,
        body=body,
        facets=frozenset(facets),
        origin=relative_origin(url),
    )


def exchanges(document: dict[str, Any], shown: str) -> Iterator[Exchange]:
    """The interactions of a parsed cassette; non-mappings among them are passed over."""
    found = document.get("interactions") or document.get("http_interactions") or []
    for number, item in enumerate(found):
        if isinstance(item, dict):
            yield _exchange(item, f"{shown}#{number}")
