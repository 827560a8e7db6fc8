"""A completion in one shape for both modes, so that one rule judges streamed and unstreamed answers alike.

Values are kept as they came: a field may hold a value of the wrong type, or MISSING where the key was absent.
In streamed answers the text fields hold what the deltas join to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from conformance.wire import strict_json
from conformance.wire.deltas import Assembly, StreamedChoice
from conformance.wire.strict_json import Document, Json

if TYPE_CHECKING:
    from conformance.wire.exchange import Exchange


class _Missing(Enum):
    MISSING = "missing"

    def __repr__(self) -> str:
        return "(absent)"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing.MISSING
"""The key was absent. Falsy, and distinct from None (null)."""


@dataclass(frozen=True)
class Call:
    """One tool call. `arguments` as sent; `parsed` is its strict parse where it is a string."""

    pointer: str
    chunk: int | None
    id: Json
    type: Json
    name: Json
    arguments: Json
    raw: Json
    """The JSON object of an unstreamed call; None in a stream."""

    @property
    def parsed(self) -> Document:
        """The arguments as JSON; an unreadable document where they are no string."""
        if not isinstance(self.arguments, str):
            return Document(False, error="not a string")
        return strict_json.parse(self.arguments)


@dataclass(frozen=True)
class Choice:
    """One choice: `pointer` and `chunk` say where it stands (for a stream: its last chunk)."""

    pointer: str
    chunk: int | None
    index: Json
    role: Json
    content: Json
    refusal: Json
    calls: tuple[Call, ...]
    finish_reason: Json
    logprobs: Json
    """The logprobs object; for a stream one of the same shape, joined, or None."""
    raw: Json
    """The choice object of an unstreamed answer; None in a stream."""

    @property
    def text(self) -> str:
        """The content where it is a string, else the empty string."""
        return self.content if isinstance(self.content, str) else ""

    @property
    def cut(self) -> bool:
        """Ended by the token limit or a filter: its text and arguments may be unfinished."""
        return self.finish_reason in ("length", "content_filter")


@dataclass(frozen=True)
class Answer:
    """A completion. `complete` is false for a stream that broke off or carried an error."""

    streamed: bool
    complete: bool
    id: Json
    created: Json
    model: Json
    choices: tuple[Choice, ...]
    usage: Json

    @property
    def calls(self) -> Iterator[Call]:
        """All tool calls of all choices."""
        return (call for choice in self.choices for call in choice.calls)

    def choice(self, index: int) -> Choice | None:
        """The choice with this index."""
        return next((choice for choice in self.choices if choice.index == index), None)


def _call(item: Json, pointer: str) -> Call:
    fields: dict[str, Any] = item if isinstance(item, dict) else {}
    function = fields.get("function", MISSING)
    inner: dict[str, Any] = function if isinstance(function, dict) else {}
    return Call(
        pointer,
        None,
        fields.get("id", MISSING),
        fields.get("type", MISSING),
        inner.get("name", MISSING),
        inner.get("arguments", MISSING),
        item,
    )


def _choice(item: Json, position: int) -> Choice:
    pointer = f"/choices/{position}"
    fields: dict[str, Any] = item if isinstance(item, dict) else {}
    message = fields.get("message")
    inner: dict[str, Any] = message if isinstance(message, dict) else {}
    calls = inner.get("tool_calls")
    return Choice(
        pointer,
        None,
        fields.get("index", MISSING),
        inner.get("role", MISSING),
        inner.get("content", MISSING),
        inner.get("refusal", MISSING),
        tuple(_call(call, f"{pointer}/message/tool_calls/{i}") for i, call in enumerate(calls))
        if isinstance(calls, list)
        else (),
        fields.get("finish_reason", MISSING),
        fields.get("logprobs", MISSING),
        item,
    )


def _streamed(choice: StreamedChoice) -> Choice:
    logprobs: Json = None
    if choice.logprobs is not None or choice.refusal_logprobs is not None:
        logprobs = {
            "content": None if choice.logprobs is None else list(choice.logprobs),
            "refusal": None if choice.refusal_logprobs is None else list(choice.refusal_logprobs),
        }
    return Choice(
        "/choices/0",
        choice.finish_chunk if choice.finish_chunk is not None else choice.chunks[-1],
        choice.index,
        choice.role,
        choice.content,
        choice.refusal,
        tuple(
            Call(call.pointer, call.chunks[0], call.id, call.type, call.name, call.arguments, None)
            for call in choice.calls
        ),
        choice.finish_reason,
        logprobs,
        None,
    )


def _from_stream(exchange: Exchange, assembly: Assembly) -> Answer | None:
    if not assembly.chunks:
        return None
    first = assembly.chunks[0].value
    finished = bool(assembly.choices) and all(choice.finish_reason is not None for choice in assembly.choices)
    return Answer(
        True,
        exchange.is_success and finished and not assembly.errors,
        first.get("id", MISSING),
        first.get("created", MISSING),
        first.get("model", MISSING),
        tuple(_streamed(choice) for choice in assembly.choices),
        assembly.usage,
    )


def answer_of(exchange: Exchange) -> Answer | None:
    """The completion that a 2xx answer of the chat-completions route holds, or None."""
    if exchange.status is None or not 200 <= exchange.status < 300:
        return None
    if exchange.request.method != "POST" or exchange.request.route != "/chat/completions":
        return None
    if exchange.assembly is not None:
        return _from_stream(exchange, exchange.assembly)
    body = exchange.document.value
    if not exchange.document.ok or not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        return None
    return Answer(
        False,
        exchange.is_success,
        body.get("id", MISSING),
        body.get("created", MISSING),
        body.get("model", MISSING),
        tuple(_choice(item, position) for position, item in enumerate(body["choices"])),
        body.get("usage", MISSING),
    )
