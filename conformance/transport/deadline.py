"""Sockets that know when to give up: every read is bounded by what the request under way still has left.

The HTTP library bounds single reads only, so an answer that drips one byte at a time would never end, least of all in
its headers. Requests are read in the thread that sent them, hence the bounds are kept per thread.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from conformance.transport.base import Timeouts


class Deadline(threading.local):
    """The bounds of the request that this thread has under way, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._timeouts = Timeouts()
        self._headers_by: float | None = None
        self._total_by = float("inf")

    def start(self, timeouts: Timeouts) -> float:
        """A request begins; returns the time of sending."""
        now = time.monotonic()
        self._timeouts = timeouts
        self._headers_by = now + timeouts.first_byte
        self._total_by = now + timeouts.total
        return now

    def sent(self) -> None:
        """A new connection is there: the first byte is waited for from now on, not from before connecting."""
        self._headers_by = time.monotonic() + self._timeouts.first_byte

    def headers_came(self) -> None:
        """From now on the idle bound holds between two reads."""
        self._headers_by = None

    def left(self) -> tuple[float, str]:
        """Seconds until the nearest bound, and what it is called."""
        now = time.monotonic()
        total = self._total_by - now
        if self._headers_by is None:
            nearest = (self._timeouts.idle, f"no byte for {self._timeouts.idle:g} s (--idle-timeout)")
        else:
            waited = f"no answer within {self._timeouts.first_byte:g} s (--first-byte-timeout)"
            nearest = (self._headers_by - now, waited)
        if total < nearest[0]:
            return total, f"no end within {self._timeouts.total:g} s (--total-timeout)"
        return nearest


class BoundedStream(httpcore.NetworkStream):
    """A connection whose reads and writes end in time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def _allowed(self, error: type[Exception]) -> tuple[float, str]:
        left, why = self._deadline.left()
        if left <= 0:
            raise error(why)
        return left, why

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Whatever comes next; `timeout` gives way to the deadline."""
        left, why = self._allowed(httpcore.ReadTimeout)
        try:
            return self._stream.read(max_bytes, left)
        except httpcore.ReadTimeout as error:
            raise httpcore.ReadTimeout(why) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Everything, or a timeout."""
        left, why = self._allowed(httpcore.WriteTimeout)
        try:
            self._stream.write(buffer, left)
        except httpcore.WriteTimeout as error:
            raise httpcore.WriteTimeout(why) from error

    def close(self) -> None:
        """Let go of the socket. Shutting it down first wakes a thread that is still reading from it."""
        found = self._stream.get_extra_info("socket")
        if isinstance(found, socket.socket):
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same over TLS."""
        return BoundedStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """As the socket says."""
        return self._stream.get_extra_info(info)


class BoundedBackend(httpcore.NetworkBackend):
    """Opens bounded connections."""

    def __init__(self, deadline: Deadline) -> None:
        self._backend = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A TCP connection."""
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        self._deadline.sent()
        return BoundedStream(stream, self._deadline)
