"""Edits that faults of tool calls share: skipping a check, changing calls in a completion, in a body, in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from conformance.reference.stages import Chosen, Completion, Context, Hook, Refusal, Token, ToolCall
from conformance.wire.chat_request import ChatRequest
from conformance.wire.strict_json import Json

When = Callable[[Context], bool]


def skipping(says: str, *checks: str, when: When = lambda context: True) -> Hook:
    """A REFUSAL hook that overlooks these checks; `says` is the summary of the fault."""

    def hook(refusal: Refusal | None, context: Context) -> Refusal | None:
        return None if refusal is not None and refusal.check in checks and when(context) else refusal

    hook.__doc__ = says
    return hook


def turning_down(says: str, when: When, kind: str, message: str, param: str | None = None) -> Hook:
    """A REFUSAL hook that turns down valid requests to which the condition applies; `says` is the fault's summary."""

    def hook(refusal: Refusal | None, context: Context) -> Refusal | None:
        if refusal is None and context.route == "POST /chat/completions" and when(context):
            return Refusal(kind, "fault", message, param)
        return refusal

    hook.__doc__ = says
    return hook


def with_calls(completion: Completion, edit: Callable[[int, ToolCall], ToolCall]) -> Completion:
    """Every call changed; `edit` gets its position in the choice."""
    return replace(
        completion,
        choices=tuple(
            replace(choice, calls=tuple(edit(position, call) for position, call in enumerate(choice.calls)))
            for choice in completion.choices
        ),
    )


def saying(choice: Chosen, text: str, finish: str = "stop") -> Chosen:
    """The choice with this text instead of what it held."""
    tokens = tuple(Token(f"{word} ".encode()) for word in text.split(" "))
    return replace(choice, tokens=tokens, calls=(), finish_reason=finish, call_tokens=0)


def said(completion: Completion, *choices: Chosen) -> Completion:
    """The completion with other choices and the tokens that they count for."""
    made = sum(len(choice.tokens or ()) + choice.call_tokens for choice in choices)
    return replace(completion, choices=choices, completion_tokens=made + completion.reasoning_tokens)


def body_calls(body: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """The calls in an unstreamed answer, to be changed in place."""
    for choice in body.get("choices", ()):
        yield from choice["message"].get("tool_calls", ())


def deltas(chunks: list[dict[str, Json] | str]) -> Iterator[dict[str, Json]]:
    """The deltas of all chunks, to be changed in place."""
    for chunk in chunks:
        if isinstance(chunk, dict):
            for choice in chunk.get("choices", ()):
                yield choice["delta"]


def call_deltas(chunks: list[dict[str, Json] | str]) -> Iterator[tuple[bool, dict[str, Json]]]:
    """(whether it is the first of its call, the tool-call delta), to be changed in place."""
    for delta in deltas(chunks):
        for item in delta.get("tool_calls", ()):
            yield "id" in item, item


def first_deltas(chunks: list[dict[str, Json] | str]) -> Iterator[dict[str, Json]]:
    """The first delta of each call."""
    return (item for first, item in call_deltas(chunks) if first)


def later_deltas(chunks: list[dict[str, Json] | str]) -> Iterator[dict[str, Json]]:
    """The argument fragments of each call."""
    return (item for first, item in call_deltas(chunks) if not first)


def starts_of(chunks: list[dict[str, Json] | str]) -> dict[tuple[int, int], dict[str, Json]]:
    """The first tool-call delta by (choice index, call index)."""
    found: dict[tuple[int, int], dict[str, Json]] = {}
    for chunk in chunks:
        for choice in chunk.get("choices", ()) if isinstance(chunk, dict) else ():
            for item in choice["delta"].get("tool_calls", ()):
                if "id" in item:
                    found[choice["index"], item["index"]] = item
    return found


def parts(chunks: list[dict[str, Json] | str]) -> Iterator[tuple[int, dict[str, Json], dict[str, Any]]]:
    """(position of the chunk, its choice, the tool-call delta) for each tool-call delta."""
    for position, chunk in enumerate(chunks):
        for choice in chunk.get("choices", ()) if isinstance(chunk, dict) else ():
            for item in choice["delta"].get("tool_calls", ()):
                yield position, choice, item


def last_parts(chunks: list[dict[str, Json] | str]) -> list[dict[str, Json]]:
    """The last argument fragment of each call of several deltas."""
    found: dict[tuple[int, int], dict[str, Json]] = {}
    for _, choice, item in parts(chunks):
        if "id" not in item:
            found[choice["index"], item["index"]] = item
    return list(found.values())


def after_result(context: Context) -> bool:
    """A tool has answered in the request's history."""
    return any(message.get("role") == "tool" for message in context.chat.messages)


def history_calls(context: Context) -> list[dict[str, Json]]:
    """The assistant messages with calls in the request's history."""
    return [
        message
        for message in context.chat.messages
        if message.get("role") == "assistant" and isinstance(message.get("tool_calls"), list)
    ]


def demanded(context: Context) -> ChatRequest:
    """The request as the model sees it."""
    return ChatRequest(context.demand)
