"""Histories of calls and results: each fault of a history is read apart from the others."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.rules.tool_history import History, history_of
from conformance.wire.chat_request import ChatRequest


def _called(*ids: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": "{}"}
    return {"role": "assistant", "tool_calls": [{"id": i, "type": "function", "function": function} for i in ids]}


def _result(identifier: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": "x"}


USER: dict[str, Any] = {"role": "user", "content": "Hi"}


def _history(*messages: dict[str, Any]) -> History:
    return history_of(ChatRequest({"messages": [USER, *messages]}))


def test_sound_histories() -> None:
    assert _history(_called("a", "b"), _result("a"), _result("b")).is_sound
    reordered = _history(_called("a", "b"), _result("b"), _result("a"))
    assert reordered.is_sound
    assert reordered.rounds[0].reordered
    assert not _history().is_sound


@pytest.mark.parametrize(
    ("messages", "orphans", "strangers", "unanswered", "interrupted"),
    [
        ((_result("a"),), 1, 0, 0, False),
        ((_called("a"), _result("a"), _result("z")), 0, 1, 0, False),
        ((_called("a", "b"), _result("a"), USER), 0, 0, 1, False),
        ((_called("a"), USER, _result("a")), 0, 0, 0, True),
        ((_called("a"),), 0, 0, 0, False),
    ],
)
def test_each_fault_is_read_apart(
    messages: tuple[dict[str, Any], ...], orphans: int, strangers: int, unanswered: int, interrupted: bool
) -> None:
    history = _history(*messages)
    assert not history.is_sound
    assert (len(history.orphans), len(history.strangers), len(history.unanswered)) == (orphans, strangers, unanswered)
    assert any(item.interrupted for item in history.rounds) is interrupted


@pytest.mark.parametrize("messages", [None, 5, [5], [{"role": "tool", "tool_call_id": []}], [{"tool_calls": [[]]}]])
def test_any_messages_have_a_history(messages: Any) -> None:
    assert not history_of(ChatRequest({"messages": messages})).is_sound
