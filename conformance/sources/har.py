"""HTTP Archive 1.2 files, as browsers and proxies save them. http://www.softwareishard.com/blog/har-12-spec/"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from conformance.sources.files import SourceError
from conformance.sources.routes import relative_path
from conformance.wire.exchange import Exchange, Facet, Headers, Request
from conformance.wire.strict_json import is_integer

_FACETS = frozenset(
    {Facet.REQUEST, Facet.STATUS, Facet.BODY, Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE, Facet.WALL_CLOCK}
)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _headers(value: Any) -> Headers:
    found = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    # Names that begin with a colon are HTTP/2's pseudo-headers, which some tools list among the fields.
    pairs = [(str(item.get("name", "")), str(item.get("value", ""))) for item in found]
    return tuple(pair for pair in pairs if not pair[0].startswith(":"))


def _started(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _content(content: dict[str, Any]) -> tuple[bytes, bool]:
    """The body, and whether its bytes are the server's."""
    text = content.get("text")
    if not isinstance(text, str):
        return b"", False
    if content.get("encoding") == "base64":
        try:
            return base64.b64decode(text), True
        except (binascii.Error, ValueError):
            return b"", False
    # A replacement character may stand for bytes that were no UTF-8.
    return text.encode("utf-8", "surrogatepass"), "\ufffd" not in text


def _exchange(entry: dict[str, Any], name: str) -> Exchange:
    request, response = _object(entry.get("request")), _object(entry.get("response"))
    post = _object(request.get("postData")).get("text")
    body, verbatim = _content(_object(response.get("content")))
    started, headers = _started(entry.get("startedDateTime")), _headers(response.get("headers"))
    facets = set(_FACETS)
    if not verbatim:
        facets -= {Facet.BODY_BYTES, Facet.FRAMING}
    if not body and _object(response.get("content")).get("size"):
        # The size without the text: the tool was told not to save bodies.
        facets -= {Facet.BODY, Facet.KEYS_COMPLETE}
    if started is None:
        facets -= {Facet.WALL_CLOCK}
    if headers:
        facets |= {Facet.HEADERS, Facet.CONTENT_TYPE}
    status = response.get("status")
    if request.get("method") == "POST" and not isinstance(post, str):
        facets -= {Facet.REQUEST}
    return Exchange(
        id=name,
        request=Request(
            str(request.get("method") or "GET").upper(),
            relative_path(str(request.get("url") or "/")),
            _headers(request.get("headers")),
            post.encode("utf-8", "surrogatepass") if isinstance(post, str) else None,
        ),
        status=status if is_integer(status) and status > 0 else None,
        headers=headers,
        body=body,
        started=started,
        facets=frozenset(facets),
        origin=relative_origin(str(request.get("url") or "")),
    )


def relative_origin(url: str) -> str:
    """Scheme and host of a URL as text."""
    return "/".join(url.split("/", 3)[:3])


def exchanges(document: dict[str, Any], shown: str) -> Iterator[Exchange]:
    """The entries of a parsed archive. Raises SourceError where it has none."""
    entries = _object(document.get("log")).get("entries")
    if not isinstance(entries, list):
        raise SourceError(f"{shown} looks like HAR, but has no log.entries")
    for number, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield _exchange(entry, f"{shown}#{number}")
