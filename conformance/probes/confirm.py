"""Send the smallest steps again, a few times, and count how often they show the violation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from conformance.probes.shrink import Violates
from conformance.wire import strict_json
from conformance.wire.answer import Answer, Call
from conformance.wire.exchange import Exchange, Request
from conformance.wire.strict_json import Json
from conformance.wire.traces import Contrast, Conversation, Parity, Repeat, Single, Trace

_REPEATABLE = (Single, Contrast, Parity, Repeat, Conversation)
_KEYLESS = ("none", "as_given")

Send = Callable[[Request], Exchange | None]
"""Sends afresh, whatever the memo holds; None where nothing may be sent any more."""


@dataclass
class _Echo:
    """What the earlier answers said, and what the answers to the same requests say now."""

    strings: dict[str, str] = field(default_factory=dict)
    messages: list[tuple[dict[str, Json], dict[str, Json]]] = field(default_factory=list)

    def learn(self, before: Exchange, now: Exchange) -> None:
        old, new = before.answer, now.answer
        if old is None or new is None:
            return
        for mine, theirs in zip(old.calls, new.calls, strict=False):
            if isinstance(mine.id, str) and isinstance(theirs.id, str):
                self.strings[mine.id] = theirs.id
        said, says = _message(old), _message(new)
        if said is not None and says is not None:
            self.messages.append((said, says))

    def message(self, item: Json) -> Json:
        """The message as it has to be now: an echoed answer is replaced, ids of tool calls are renamed."""
        if not isinstance(item, dict):
            return item
        if item.get("role") == "assistant":
            for said, says in self.messages:
                if all(strict_json.equal(item.get(key), said.get(key)) for key in ("content", "tool_calls")):
                    return {**item, **says}
        return {key: _renamed(value, self.strings) for key, value in item.items()}


def _message(answer: Answer) -> dict[str, Json] | None:
    """The first choice as the assistant message by which clients echo it."""
    if not answer.choices:
        return None
    choice = answer.choices[0]
    made: dict[str, Json] = {"content": choice.content if isinstance(choice.content, str) else None}
    if choice.calls:
        made["tool_calls"] = [_call(call) for call in choice.calls]
    return made


def _call(call: Call) -> Json:
    if call.raw is not None:
        return call.raw
    return {"id": call.id, "type": call.type, "function": {"name": call.name, "arguments": call.arguments}}


def _renamed(value: Json, strings: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        return strings.get(value, value)
    if isinstance(value, list):
        return [_renamed(item, strings) for item in value]
    if isinstance(value, dict):
        return {key: _renamed(item, strings) for key, item in value.items()}
    return value


def _rebased(request: Request, echo: _Echo) -> Request:
    chat = request.chat
    if chat is None or not isinstance(chat.body.get("messages"), list):
        return request
    messages = [echo.message(item) for item in chat.body["messages"]]
    if strict_json.equal(messages, chat.body["messages"]):
        return request
    return replace(request, body=strict_json.dump({**chat.body, "messages": messages}))


def repeatable(trace: Trace) -> bool:
    """Sending it again is safe and means the same: nothing stored, nothing deleted, no bad keys."""
    if not isinstance(trace, _REPEATABLE):
        return False
    for exchange in trace.exchanges:
        request, chat = exchange.request, exchange.request.chat
        stores = chat is not None and chat.body.get("store") not in (None, False)
        changes = request.method not in ("GET", "HEAD") and request.route != "/chat/completions"
        if stores or changes or request.auth in _KEYLESS:
            return False
    return True


def resend(trace: Trace, send: Send) -> Trace | None:
    """The same trace once more; in a conversation later turns echo what is answered now. None if it ended early."""
    echo = _Echo()
    exchanges = []
    for before in trace.exchanges:
        request = _rebased(before.request, echo) if isinstance(trace, Conversation) else before.request
        now = send(request)
        if now is None:
            return None
        echo.learn(before, now)
        exchanges.append(now)
    return replace(trace, exchanges=tuple(exchanges))


def confirm(trace: Trace, send: Send, violates: Violates, times: int) -> tuple[int, int] | None:
    """Violated k of n times when sent again; None where it was not sent again at all."""
    if not repeatable(trace):
        return None
    shown = tried = 0
    for _ in range(times):
        again = resend(trace, send)
        if again is None:
            break
        tried += 1
        shown += violates(again)
    return (shown, tried) if tried else None
