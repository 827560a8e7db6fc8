"""What a transport is, and what every transport does alike: addresses, header fields, bounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from conformance.wire.exchange import Exchange, Headers, Request
from conformance.wire.urls import join_url

__all__ = ["Access", "Listener", "Timeouts", "Transport", "header_fields", "join_url"]

_JSON = ("Content-Type", "application/json")
_ACCEPT = ("Accept", "*/*")


class Listener(Protocol):
    """Tells whether somebody called a URL."""

    def address(self, name: str) -> str:
        """A URL of its own for a name."""

    def calls(self, name: str, patience: float = 0.0) -> int:
        """How often the name's URL was called; waits up to `patience` seconds for the first call."""


class Transport(Protocol):
    """One way to get a request answered."""

    def send(self, request: Request) -> Exchange:
        """Send once and read the answer to its end. The exchange has no id as yet. Never raises on what comes back."""

    def now(self) -> float:
        """Unix time in seconds."""

    def wait(self, seconds: float) -> None:
        """Let time pass, in whatever clock the transport lives by."""

    def close(self) -> None:
        """Let go of connections."""

    @property
    def canary(self) -> Listener | None:
        """The listener that an endpoint could call, or None where it could not be reached."""


@dataclass(frozen=True)
class Timeouts:
    """Four different bounds, in seconds: to connect, to the first byte, between two pieces, and for the whole."""

    connect: float = 10.0
    first_byte: float = 60.0
    idle: float = 30.0
    total: float = 180.0


@dataclass(frozen=True)
class Access:
    """Where to send, and with what. `headers` are the user's own and as secret as the key."""

    base_url: str
    key: str | None = None
    headers: Headers = ()
    second_key: str | None = None
    """The key of another project, for requests with `auth="second"`."""
    canary_url: str | None = None
    """Where an endpoint that is not on loopback can reach this machine."""

    def __repr__(self) -> str:
        return f"Access({self.base_url!r}, …)"


def header_fields(request: Request, key: str | None, own: Headers = (), second_key: str | None = None) -> Headers:
    """The fields that go out: defaults, the user's own, the request's, then credentials as `request.auth` says.

    `key` sends `Authorization: Bearer`, `x-api-key` sends `X-Api-Key`, `second` the key of another project, `none` and
    `as_given` send no key. A request that names `Content-Type` with an empty value goes without one.
    """
    credentials: Headers = ()
    if key is not None and request.auth == "key":
        credentials = (("Authorization", f"Bearer {key}"),)
    elif key is not None and request.auth == "x-api-key":
        credentials = (("X-Api-Key", key),)
    elif second_key is not None and request.auth == "second":
        credentials = (("Authorization", f"Bearer {second_key}"),)
    defaults: Headers = (_ACCEPT,) if request.body is None else (_ACCEPT, _JSON)
    given = {name.lower() for name, _ in (*request.headers, *own)}
    kept = tuple(field for field in defaults if field[0].lower() not in given)
    sent = tuple((name, value) for name, value in request.headers if value or name.lower() != "content-type")
    return (*kept, *own, *sent, *credentials)


_SMALL = 1 << 14
"""Bytes of a body that is worth keeping."""


def authenticated(request: Request, key: str | None, second_key: str | None = None) -> Request:
    """The request as it arrives at the other end; small ones are shared, so that replays of a plan parse them once."""
    small = request.body is None or len(request.body) <= _SMALL
    return (_kept if small else _kept.__wrapped__)(request, key, second_key)


@lru_cache(maxsize=4096)
def _kept(request: Request, key: str | None, second_key: str | None) -> Request:
    return Request(
        request.method, request.path, header_fields(request, key, (), second_key), request.body, request.auth
    )
