"""The endpoint as an ASGI application: bytes in from the socket, `Endpoint.respond`, bytes out as the reply says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from conformance.reference.access import BODY_LIMIT
from conformance.reference.endpoint import Endpoint
from conformance.reference.stages import Reply
from conformance.wire.exchange import Request

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class _Sent(Response):
    """A reply on its way out. A broken one ends without the end of its body: the server drops the connection."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then each piece after its delay."""
        reply = self.reply
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        streamed = any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)
        if len(reply.pieces) == 1 and not streamed and not any(name == b"content-length" for name, _ in headers):
            size = len(reply.pieces[0][1]) + (1 if reply.broken else 0)
            headers.append((b"content-length", str(size).encode()))
        if reply.pieces and reply.pieces[0][0] > 0:
            await asyncio.sleep(reply.pieces[0][0])
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        for position, (delay, data) in enumerate(reply.pieces):
            if position:
                await asyncio.sleep(max(0.0, delay))
            await send({"type": "http.response.body", "body": data, "more_body": True})
        if not reply.broken:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _bounded_body(request: HttpRequest) -> bytes:
    """The body, and no more than one byte over what the endpoint reads; the rest is read and dropped."""
    kept = bytearray()
    stream: AsyncIterator[bytes] = request.stream()
    async for part in stream:
        kept += part[: BODY_LIMIT + 1 - len(kept)]
    return bytes(kept)


def relative(path: str, base: str) -> str:
    """The path below the base path; a path elsewhere stays as it is."""
    return path[len(base) :] or "/" if path == base or path.startswith(base + "/") else path


def application(endpoint: Endpoint, fetch: Callable[[str], None] = lambda url: None) -> Starlette:
    """The ASGI application of one endpoint, below the base path of its dialect; `fetch` calls a URL for it."""
    base = str(endpoint.dialect.convention("base.path") or "")

    async def answer(request: HttpRequest) -> Response:
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        query: bytes = request.scope["query_string"]
        path = relative(raw.decode("latin-1").split("?", 1)[0], base)
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
        body = await _bounded_body(request)
        asked = Request(
            request.method,
            f"{path}?{query.decode('latin-1')}" if query else path,
            headers,
            body if body or request.method == "POST" else None,
            "as_given",
        )
        reply = endpoint.respond(asked)
        for url in reply.fetches:
            await asyncio.to_thread(fetch, url)
        return _Sent(reply)

    return Starlette(routes=[Route("/{path:path}", answer, methods=_METHODS)])
