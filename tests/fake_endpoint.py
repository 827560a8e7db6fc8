"""A function that answers like an endpoint, for transports in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.transport.memory import MemoryTransport
from conformance.wire.exchange import Headers, Request


@dataclass(frozen=True)
class Reply:
    """An answer as the reference endpoint gives it."""

    status: int = 200
    body: Any = None
    headers: Headers = (("content-type", "application/json"),)
    broken: bool = False
    fetches: tuple[str, ...] = ()
    delay: float = 0.01

    @property
    def pieces(self) -> tuple[tuple[float, bytes], ...]:
        """The whole body at once."""
        return ((self.delay, self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()),)


def completion(text: str = "Hello.", number: int = 1, **top: Any) -> Reply:
    """A whole completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    body = {"id": f"chatcmpl-{number}", "object": "chat.completion", "choices": [choice], "usage": usage, **top}
    return Reply(200, body)


def error(status: int = 400, message: str = "no", param: str | None = None, headers: Headers = ()) -> Reply:
    """An error object."""
    return Reply(
        status, {"error": {"message": message, "param": param}}, (("content-type", "application/json"), *headers)
    )


class Endpoint:
    """Answers by a function of the request and its number from 0; keeps what arrived."""

    def __init__(self, answer: Callable[[Request, int], Reply]) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self.times: list[int] = []

    def respond(self, request: Request, now: int) -> Reply:
        """One answer."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            self.times.append(now)
        return self._answer(request, number)

    def transport(self) -> MemoryTransport:
        """A transport that sends here."""
        return MemoryTransport(self.respond, "sk-made-up")


def chat(text: str = "Hi", **fields: Any) -> Request:
    """A chat request."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    return Request(body=json.dumps(body, separators=(",", ":")).encode())
