"""Reasoning that stands in the text of an answer, told by the marks with which chat templates open it."""

from __future__ import annotations

from conformance.wire.exchange import Exchange

_MARKS = ("<think>", "<thinking>", "<|channel|>analysis", "[THINK]")


def opens_with_a_thought(exchange: Exchange, text: str) -> bool:
    """The text begins with a mark of reasoning that the request does not hold, so that nobody asked for it."""
    said, start = exchange.request.body or b"", text.lstrip()
    return any(start.startswith(mark) and mark.encode() not in said for mark in _MARKS)
