"""A listener that tells whether somebody called a URL out of a request. It serves nothing, and sends nothing.

It stands on loopback where the endpoint does, or at the port of an address that the user gives, at which an endpoint
elsewhere can reach this machine.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_MOST = 1000
"""Different addresses that are remembered."""
_STEP = 0.05
_IDLE_SECONDS = 5.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class StillCanary:
    """Hears by being told: for transports without sockets."""

    def __init__(self) -> None:
        """Nobody has called."""
        self._calls: Counter[str] = Counter()

    def address(self, name: str) -> str:
        """A URL of its own for a name."""
        return f"http://canary.invalid/{name}"

    def note(self, url: str) -> None:
        """Somebody called this URL."""
        self._calls[url] += 1

    def calls(self, name: str, patience: float = 0.0) -> int:
        """How often the name's URL was called."""
        return self._calls[self.address(name)]

    def close(self) -> None:
        """Nothing is held."""
        return None


class Canary:
    """Listens in threads of its own until closed."""

    def __init__(self, public: str | None = None) -> None:
        """`public` is the address under which others reach this machine; without it loopback, at any free port.

        Raises ValueError, with one sentence for the user, where it cannot listen there.
        """
        calls: Counter[str] = Counter()
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            timeout = _IDLE_SECONDS

            def do_GET(self) -> None:
                with lock:
                    if len(calls) < _MOST or self.path in calls:
                        calls[self.path] += 1
                body = b'{"type":"string"}'
                self.send_response(200)
                self.send_header("Content-Type", "application/schema+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return None

        self._calls, self._lock = calls, lock
        try:
            parts = urlsplit(public or "http://127.0.0.1")
            if parts.scheme != "http" or not parts.hostname:
                raise ValueError
            place = ("127.0.0.1", 0) if public is None else ("", parts.port or 80)
        except ValueError as problem:
            raise ValueError(f"{public!r} is no address of a listener: give one like http://host:8099") from problem
        try:
            self._server = ThreadingHTTPServer(place, Handler)
        except OSError as problem:
            raise ValueError(f"cannot listen at port {place[1]} for {public}: {problem.strerror}") from problem
        self._server.daemon_threads = True
        self._base = (public or f"http://127.0.0.1:{self._server.server_port}").rstrip("/")
        self._path = urlsplit(self._base).path
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def address(self, name: str) -> str:
        """A URL of its own for a name."""
        return f"{self._base}/{name}"

    def calls(self, name: str, patience: float = 0.0) -> int:
        """How often the name's URL was called; waits up to `patience` seconds for the first call."""
        until = time.monotonic() + patience
        while True:
            with self._lock:
                found = self._calls[f"{self._path}/{name}"]
            if found or time.monotonic() >= until:
                return found
            time.sleep(_STEP)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=1.0)
