"""One HTTP request and all that came back, as a frozen value with lazily derived views."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.wire import strict_json
from conformance.wire.strict_json import Document

if TYPE_CHECKING:
    from conformance.wire.answer import Answer
    from conformance.wire.chat_request import ChatRequest
    from conformance.wire.deltas import Assembly
    from conformance.wire.event_stream import EventStream

Headers = tuple[tuple[str, str], ...]


class End(StrEnum):
    """How the reading of an answer ended."""

    COMPLETE = "complete"
    RESET = "reset"
    TIMEOUT = "timeout"
    OVER_LIMIT = "over_limit"
    NOT_SENT = "not_sent"


class Facet(StrEnum):
    """What of an exchange was recorded. A rule declares the facets that it reads."""

    REQUEST = "request"
    STATUS = "status"
    HEADERS = "headers"
    """All response headers: an absent one was not sent."""
    CONTENT_TYPE = "content_type"
    """At least the content-type header, as filtered recordings keep it."""
    BODY = "body"
    """The body's values, apart from those that `Exchange.altered` names."""
    BODY_BYTES = "body_bytes"
    """The body's bytes are those that the server sent (content codings undone)."""
    FRAMING = "framing"
    """The event stream's lines, blank lines and end are those that the server sent."""
    PIECES = "pieces"
    """The sizes in which the body arrived."""
    TIMES = "times"
    """When each piece arrived, relative to sending."""
    WALL_CLOCK = "wall_clock"
    """When the request was sent, as Unix time."""
    KEYS_COMPLETE = "keys_complete"
    """Keys absent from the JSON were absent on the wire, and null was null."""


LIVE_FACETS = frozenset(Facet)

_DEPLOYMENT = re.compile(r"/deployments/[^/]+(?=/chat/completions(?:[/?]|$))")
"""A model that the URL names before the route."""


def header_values(headers: Iterable[tuple[str, str]], name: str) -> list[str]:
    """All values of one field, compared without case (RFC 9110, section 5.1)."""
    wanted = name.lower()
    return [value for key, value in headers if key.lower() == wanted]


@dataclass(frozen=True)
class Request:
    """An HTTP request relative to the base URL.

    `path` begins with a slash and carries the query. `headers` hold no credentials, unless a probe tests those.
    `auth` says how the transport authenticates: `key` (the run's key as a bearer token), `x-api-key` (the same key in
    that field), `second` (the key of another project), `none`, or `as_given` (headers only).
    """

    method: str = "POST"
    path: str = "/chat/completions"
    headers: Headers = ()
    body: bytes | None = None
    auth: str = "key"

    @cached_property
    def document(self) -> Document:
        """The body parsed as strict JSON; an absent body is an unreadable document."""
        return strict_json.parse(self.body if self.body is not None else b"")

    @cached_property
    def chat(self) -> ChatRequest | None:
        """The typed view of a POST to the chat-completions route with a JSON object as body, else None."""
        from conformance.wire.chat_request import ChatRequest

        if self.method != "POST" or self.route != "/chat/completions":
            return None
        body = self.document.value
        return ChatRequest(body) if self.document.ok and isinstance(body, dict) else None

    @cached_property
    def route(self) -> str:
        """The path without the query, and without the deployment that it names."""
        return _DEPLOYMENT.sub("", self.path.split("?", 1)[0])

    @property
    def names_a_deployment(self) -> bool:
        """The URL says what is to answer, so that the body need not name a model."""
        return _DEPLOYMENT.match(self.path) is not None


@dataclass(frozen=True)
class Exchange:
    """One request and everything that was recorded of its answer.

    `body` has its content codings undone. `pieces` are (milliseconds since sending, byte length). `started` is Unix
    time in seconds. `altered` names the values that a recorder changed (`id`, `created`, …), or JSON pointers.
    """

    id: str
    request: Request
    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    pieces: tuple[tuple[float, int], ...] = ()
    end: End = End.COMPLETE
    started: float | None = None
    facets: frozenset[Facet] = LIVE_FACETS
    altered: frozenset[str] = frozenset()
    retry_of: str | None = None
    note: str | None = field(default=None, compare=False)
    """What the transport says of a failed exchange, for people."""
    coded_length: int | None = None
    """Bytes of the body before its content codings were undone; None where it had none."""
    origin: str = field(default="", compare=False)
    """Where foreign traffic was recorded: only exchanges of one origin are related to each other."""

    def header(self, name: str) -> str | None:
        """The field's values joined by a comma (RFC 9110, section 5.3), or None where it was not sent."""
        values = header_values(self.headers, name)
        return ", ".join(values) if values else None

    @cached_property
    def media_type(self) -> str | None:
        """The content type without parameters, in lower case; None where the header is absent."""
        value = self.header("content-type")
        return value.split(";", 1)[0].strip().lower() if value is not None else None

    @cached_property
    def document(self) -> Document:
        """The body parsed as strict JSON."""
        return strict_json.parse(self.body)

    @cached_property
    def is_success(self) -> bool:
        """A whole answer with a 2xx status."""
        return self.status is not None and 200 <= self.status < 300 and self.end is End.COMPLETE

    @cached_property
    def is_event_stream(self) -> bool:
        """The body is an event stream: by its content type, or by its first bytes where a stream was asked for.

        Where neither was recorded, the first bytes decide alone.
        """
        if self.media_type == "text/event-stream":
            return True
        if self.status is None or not 200 <= self.status < 300:
            return False
        chat = self.request.chat
        if (chat is None or chat.stream is not True) and self.facets & {Facet.REQUEST, Facet.CONTENT_TYPE}:
            return False
        head = self.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:16]
        return head.startswith((b"data:", b":", b"event:", b"id:", b"retry:"))

    @cached_property
    def events(self) -> EventStream | None:
        """The parsed event stream, or None where the body is none."""
        from conformance.wire.event_stream import parse

        return parse(self.body) if self.is_event_stream else None

    @cached_property
    def assembly(self) -> Assembly | None:
        """The reassembled chunks of a streamed answer with a 2xx status, or None."""
        from conformance.wire.deltas import assemble_chunks

        if self.events is None or self.status is None or not 200 <= self.status < 300:
            return None
        return assemble_chunks(self.events)

    @cached_property
    def answer(self) -> Answer | None:
        """The completion in one shape for both modes, or None where the body holds none."""
        from conformance.wire.answer import answer_of

        return answer_of(self)
