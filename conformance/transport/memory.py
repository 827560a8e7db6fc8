"""A transport without sockets: the answer of a function, with the times that it would have taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from conformance.transport.base import authenticated
from conformance.transport.canary import StillCanary
from conformance.wire.exchange import End, Exchange, Headers, Request

EPOCH = 1_760_000_000
"""Unix time at which the deterministic clock starts, in seconds."""
_STEP = 0.05
"""Seconds between one answer and the next request."""


class Replied(Protocol):
    """An answer as the reference endpoint gives it: `pieces` are (delay in seconds before the piece, bytes)."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> Headers:
        """All response fields."""

    @property
    def pieces(self) -> tuple[tuple[float, bytes], ...]:
        """The body as it goes out."""

    @property
    def broken(self) -> bool:
        """The connection is closed without an orderly end."""

    @property
    def fetches(self) -> tuple[str, ...]:
        """URLs that the endpoint calls before it answers."""


Respond = Callable[[Request, int], Replied]
"""A request with its credentials and the Unix time in whole seconds, to an answer."""


class MemoryTransport:
    """Sends to a function. Time is counted, not spent: equal runs give equal exchanges."""

    def __init__(
        self,
        respond: Respond,
        key: str | None = "sk-reference-made-up-key",
        second_key: str | None = "sk-reference-of-another-project",
    ) -> None:
        """`respond` is usually `Endpoint(...).respond`; the keys are what `auth` "key" and "second" send."""
        self._respond = respond
        self._key = key
        self._second_key = second_key
        self._clock = float(EPOCH)
        self.canary = StillCanary()

    def send(self, request: Request) -> Exchange:
        """The function's answer as an exchange."""
        started = self._clock
        reply = self._respond(authenticated(request, self._key, self._second_key), int(started))
        for url in reply.fetches:
            self.canary.note(url)
        elapsed = 0.0
        pieces: list[tuple[float, int]] = []
        for delay, data in reply.pieces:
            elapsed += delay
            if data:
                pieces.append((elapsed * 1000.0, len(data)))
        self._clock = started + elapsed + _STEP
        return Exchange(
            "",
            request,
            reply.status,
            reply.headers,
            b"".join([data for _, data in reply.pieces]),
            tuple(pieces),
            End.RESET if reply.broken else End.COMPLETE,
            started,
            note="the connection was closed without an orderly end" if reply.broken else None,
        )

    def now(self) -> float:
        """The counted time."""
        return self._clock

    def wait(self, seconds: float) -> None:
        """Count the seconds."""
        self._clock += max(0.0, seconds)

    def close(self) -> None:
        """Nothing is held."""
