"""Conditions that rules share in `when=`: what an exchange is about, read from request and answer alone."""

from __future__ import annotations

from collections.abc import Callable

from conformance.rules.base import Terms
from conformance.wire.exchange import Exchange
from conformance.wire.traces import Single

Condition = Callable[[Single, Terms], bool]


def every(*conditions: Condition) -> Condition:
    """All of them."""
    return lambda trace, terms: all(condition(trace, terms) for condition in conditions)


def on(test: Callable[[Exchange], bool]) -> Condition:
    """A condition on the exchange alone."""
    return lambda trace, terms: test(trace.exchange)


def is_chat(exchange: Exchange) -> bool:
    """A POST to the chat-completions route, whatever its body."""
    return exchange.request.method == "POST" and exchange.request.route == "/chat/completions"


def ok(exchange: Exchange) -> bool:
    """A 2xx status."""
    return exchange.status is not None and 200 <= exchange.status < 300


def is_completion(exchange: Exchange) -> bool:
    """A 2xx answer of the chat-completions route that holds a completion, streamed or not."""
    return exchange.answer is not None


def is_unstreamed_success(exchange: Exchange) -> bool:
    """A 2xx answer of the chat-completions route to a request that asked for no stream."""
    chat = exchange.request.chat
    return is_chat(exchange) and ok(exchange) and chat is not None and chat.stream is False


def is_stream(exchange: Exchange) -> bool:
    """A 2xx answer that came as an event stream to a chat request."""
    return is_chat(exchange) and ok(exchange) and exchange.is_event_stream


def asked_for_stream(exchange: Exchange) -> bool:
    """A chat request with `stream: true` that was answered by 2xx."""
    chat = exchange.request.chat
    return chat is not None and chat.stream is True and ok(exchange)


def is_error(exchange: Exchange) -> bool:
    """A status from 400 to 599."""
    return exchange.status is not None and 400 <= exchange.status < 600


COMPLETION = on(is_completion)
UNSTREAMED = on(is_unstreamed_success)
STREAM = on(is_stream)
ERROR = on(is_error)
