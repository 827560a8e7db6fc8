"""Requests over real connections: HTTP/1.1, read as it comes, whatever comes.

Built on httpcore, the layer beneath httpx: it has no redirects, cookies, content decoding or default fields to switch
off, and it lets every read be bounded (see `deadline`).
"""

from __future__ import annotations

import threading
import time
import urllib.request
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpcore
import httpx

from conformance.transport.base import Access, Timeouts, header_fields, join_url
from conformance.transport.canary import LOOPBACK, Canary
from conformance.transport.deadline import BoundedBackend, Deadline
from conformance.wire.coding import names, undo
from conformance.wire.exchange import LIVE_FACETS, End, Exchange, Facet, Headers, Request, header_values

MAX_BODY = 32 * 1024 * 1024
"""Bytes of one answer, before and after its content codings are undone."""

# What the library says of it would quote the field, and that may be the key.
_UNSENDABLE = "not sendable: the address, a header or the key holds characters that HTTP forbids"


def check_url(base_url: str) -> None:
    """Raise ValueError, with one sentence for the user, where this is no address of an endpoint."""
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{base_url!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"{base_url!r} is no endpoint: give a URL such as https://host/v1")
    if parts.username or parts.password:
        raise ValueError("the base URL holds credentials: put the key into the variable that --api-key-env names")


def is_loopback(host: str) -> bool:
    """This machine, by name or number."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _proxy(base_url: str) -> httpcore.Proxy | None:
    """The proxy that the environment names for this address; none for loopback."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found:
        return None
    if "://" not in found:
        found = f"http://{found}"
    address = urlsplit(found)
    if address.scheme not in ("http", "https"):
        raise ValueError(
            f"a proxy of the kind {address.scheme} is not supported: unset it, or name the host in NO_PROXY"
        )
    credentials = (address.username, address.password or "") if address.username else None
    url = f"{address.scheme}://{address.hostname}:{address.port or (443 if address.scheme == 'https' else 80)}"
    return httpcore.Proxy(url, auth=credentials)


class HttpTransport:
    """Shared by threads. Redirects are answers, and nothing is ever sent to another origin than the base URL's."""

    def __init__(
        self, access: Access, timeouts: Timeouts | None = None, *, max_body: int = MAX_BODY, connections: int = 64
    ) -> None:
        """Raises ValueError, with one sentence for the user, for an address or a proxy that cannot be used."""
        check_url(access.base_url)
        self._canary = Canary(access.canary_url) if access.canary_url is not None else None
        self._canary_lock = threading.Lock()
        self._access = access
        self._timeouts = timeouts or Timeouts()
        self._max_body = max_body
        self._deadline = Deadline()
        secure = urlsplit(access.base_url).scheme == "https"
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context() if secure else None,
            proxy=_proxy(access.base_url),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=4.0,  # servers commonly close idle connections after 5 s: be the first
            network_backend=BoundedBackend(self._deadline),
        )

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(max(0.0, seconds))

    @property
    def canary(self) -> Canary | None:
        """The user's, or one on loopback where the endpoint is there; it listens from the first look at it."""
        with self._canary_lock:
            if self._canary is None and urlsplit(self._access.base_url).hostname in LOOPBACK:
                self._canary = Canary()
            return self._canary

    def close(self) -> None:
        """Close all connections, and listen no more."""
        self._pool.close()
        with self._canary_lock:
            if self._canary is not None:
                self._canary.close()

    def send(self, request: Request) -> Exchange:
        """Send once and read to the end, a bound, or the breaking of the connection; whichever, it is an exchange."""
        timeouts = self._timeouts
        fields = header_fields(request, self._access.key, self._access.headers, self._access.second_key)
        if not header_values(fields, "accept-encoding"):
            fields = (*fields, ("Accept-Encoding", "identity"))
        begun = Exchange("", request, end=End.NOT_SENT, started=time.time())
        try:
            url = httpcore.URL(join_url(self._access.base_url, request.path))
            outgoing = httpcore.Request(
                request.method,
                url,
                headers=_outgoing(fields, url, request.body),
                content=request.body,
                extensions={"timeout": {"connect": timeouts.connect, "pool": timeouts.total}},
            )
        except (ValueError, TypeError):
            return replace(begun, note=_UNSENDABLE)
        return self._exchange(outgoing, begun)

    def _exchange(self, outgoing: httpcore.Request, begun: Exchange) -> Exchange:
        sent = self._deadline.start(self._timeouts)
        got = _Received(begun)
        try:
            response = self._pool.handle_request(outgoing)
            self._deadline.headers_came()
            got.head(response)
            try:
                for piece in response.iter_stream():
                    if not got.piece(piece, (time.monotonic() - sent) * 1000.0, self._max_body):
                        break
                else:
                    got.end = End.COMPLETE
            finally:
                response.close()
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError) as error:
            got.fail(End.NOT_SENT, f"no connection: {error}")
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol):
            got.fail(End.NOT_SENT, _UNSENDABLE)
        except httpcore.TimeoutException as error:
            got.fail(End.TIMEOUT, str(error))
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            got.fail(End.RESET, f"the connection broke: {error}")
        return got.exchange(self._max_body)


def _outgoing(fields: Headers, url: httpcore.URL, body: bytes | None) -> list[tuple[bytes, bytes]]:
    """The fields as bytes, with what HTTP/1.1 itself asks for."""
    host = b"[%b]" % url.host if b":" in url.host else url.host
    framed = [(b"Host", host if url.port is None else b"%b:%d" % (host, url.port))]
    framed += [(name.encode("ascii"), value.encode("utf-8")) for name, value in fields]
    if body is not None:
        framed.append((b"Content-Length", b"%d" % len(body)))
    return framed


class _Received:
    """An answer while it is read."""

    def __init__(self, begun: Exchange) -> None:
        self._begun = begun
        self._status: int | None = None
        self._headers: Headers = ()
        self._data: list[bytes] = []
        self._size = 0
        self._pieces: list[tuple[float, int]] = []
        self.end = End.OVER_LIMIT
        self._note: str | None = None

    def head(self, response: httpcore.Response) -> None:
        self._status = response.status
        self._headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)

    def piece(self, data: bytes, milliseconds: float, limit: int) -> bool:
        """Take one piece; false where the answer has grown past the limit."""
        room = limit - self._size
        kept = data[:room] if len(data) > room else data
        if kept:
            self._data.append(kept)
            self._size += len(kept)
            self._pieces.append((milliseconds, len(kept)))
        if kept is data:
            return True
        self._note = f"the answer is longer than {limit} bytes"
        return False

    def fail(self, end: End, note: str) -> None:
        self.end = end
        self._note = note

    def exchange(self, limit: int) -> Exchange:
        body = b"".join(self._data)
        made = replace(
            self._begun,
            status=self._status,
            headers=self._headers,
            body=body,
            pieces=tuple(self._pieces),
            end=self.end,
            note=self._note,
        )
        coding = made.header("content-encoding")
        return _decoded(made, coding, limit) if body and names(coding) else made


_BODY_FACETS = frozenset({Facet.BODY, Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE})


def _decoded(exchange: Exchange, coding: str | None, limit: int) -> Exchange:
    """The exchange with its content codings undone. Pieces then say nothing about the body and are no facet."""
    found = undo(exchange.body, coding, limit)
    facets = LIVE_FACETS - {Facet.PIECES}
    end, note = exchange.end, exchange.note
    if found.error == "over limit":
        end, note = End.OVER_LIMIT, f"the decoded answer is longer than {limit} bytes"
    elif found.error == "truncated":
        end, note = (End.RESET if end is End.COMPLETE else end), note or "the coded body ends early"
    elif found.error is not None:
        facets, note = facets - _BODY_FACETS, f"the body cannot be decoded: {found.error}"
    return replace(exchange, body=found.data, facets=facets, end=end, note=note, coded_length=len(exchange.body))
