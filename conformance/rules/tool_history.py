"""Tool calls and their results in the messages of a request: which answer which, and what is out of place.

Positions count messages from 0. Calls and results without a string as id are left to the rules about those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from conformance.wire.chat_request import ChatRequest
from conformance.wire.strict_json import Json


@dataclass(frozen=True)
class Round:
    """An assistant message with calls, and what follows it up to the next assistant message with calls."""

    position: int
    message: dict[str, Json]
    ids: tuple[str, ...]
    results: tuple[tuple[int, str], ...]
    """(position, tool_call_id) of the tool messages after it, in order."""
    others: tuple[int, ...]
    """Positions of messages of other roles after it."""

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Ids of calls without a result."""
        answered = {identifier for _, identifier in self.results}
        return tuple(identifier for identifier in self.ids if identifier not in answered)

    @property
    def interrupted(self) -> bool:
        """A message of another role stands before one of its results."""
        wanted = [position for position, identifier in self.results if identifier in self.ids]
        return any(other < position for other in self.others for position in wanted)

    @property
    def reordered(self) -> bool:
        """All results are there, and stand in another order than the calls."""
        found = [identifier for _, identifier in self.results if identifier in self.ids]
        return not self.unanswered and found != list(self.ids)


def calls_of(message: dict[str, Json]) -> list[Json]:
    """The tool_calls of an assistant message, or nothing."""
    found = message.get("tool_calls")
    return found if message.get("role") == "assistant" and isinstance(found, list) else []


def _ids(message: dict[str, Json]) -> tuple[str, ...]:
    return tuple(call["id"] for call in calls_of(message) if isinstance(call, dict) and isinstance(call.get("id"), str))


def is_well_formed_call(call: Json) -> bool:
    """Id, type and function as the schema wants them in history."""
    function = call.get("function") if isinstance(call, dict) else None
    return (
        isinstance(call, dict)
        and isinstance(call.get("id"), str)
        and bool(call["id"])
        and call.get("type") == "function"
        and isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and isinstance(function.get("arguments"), str)
    )


@dataclass(frozen=True)
class History:
    """The rounds of tool calls in a list of messages, and the results that belong to none."""

    messages: tuple[dict[str, Json], ...] = field(default=())

    @cached_property
    def rounds(self) -> tuple[Round, ...]:
        """One for each assistant message with calls."""
        starts = [place for place, message in enumerate(self.messages) if calls_of(message)]
        return tuple(self._round(start, end) for start, end in pairwise([*starts, len(self.messages)]))

    def _round(self, start: int, end: int) -> Round:
        results: list[tuple[int, str]] = []
        others: list[int] = []
        for place in range(start + 1, end):
            message = self.messages[place]
            if message.get("role") != "tool":
                others.append(place)
            elif isinstance(message.get("tool_call_id"), str):
                results.append((place, message["tool_call_id"]))
        message = self.messages[start]
        return Round(start, message, _ids(message), tuple(results), tuple(others))

    @cached_property
    def orphans(self) -> tuple[int, ...]:
        """Tool messages before any assistant message with calls."""
        first = self.rounds[0].position if self.rounds else len(self.messages)
        return tuple(place for place in range(first) if self.messages[place].get("role") == "tool")

    @cached_property
    def strangers(self) -> tuple[tuple[int, str], ...]:
        """(position, id) of tool messages after a call whose id no earlier call has."""
        known: set[str] = set()
        found: list[tuple[int, str]] = []
        for item in self.rounds:
            known.update(item.ids)
            found += [(place, identifier) for place, identifier in item.results if identifier not in known]
        return tuple(found)

    @cached_property
    def unanswered(self) -> tuple[str, ...]:
        """Ids of calls without a result in rounds that something follows."""
        return tuple(
            identifier for item in self.rounds if item.results or item.others for identifier in item.unanswered
        )

    @cached_property
    def has_nameless_result(self) -> bool:
        """A tool message does not say which call it answers: its own fault, before any gap that it leaves."""
        return any(not isinstance(message.get("tool_call_id"), str) for message in self.results)

    @cached_property
    def has_nameless_call(self) -> bool:
        """A call has no id: its own fault, before a result that may be meant for it."""
        return any(len(item.ids) < len(calls_of(item.message)) for item in self.rounds)

    @cached_property
    def is_sound(self) -> bool:
        """There are rounds, every call is well formed and answered at once, and every result belongs to one."""
        return (
            bool(self.rounds)
            and not (self.orphans or self.strangers)
            and all(
                not item.unanswered
                and not item.interrupted
                and len(item.results) == len(item.ids) == len(set(item.ids))
                and all(map(is_well_formed_call, calls_of(item.message)))
                for item in self.rounds
            )
            and all(_has_text(message) for message in self.results)
        )

    @cached_property
    def results(self) -> tuple[dict[str, Json], ...]:
        """All tool messages."""
        return tuple(message for message in self.messages if message.get("role") == "tool")

    @property
    def ends_with_results(self) -> bool:
        """The last message is a tool result: the model's turn to answer."""
        return bool(self.messages) and self.messages[-1].get("role") == "tool"


def _has_text(message: dict[str, Json]) -> bool:
    content = message.get("content")
    if isinstance(content, str):
        return True
    return isinstance(content, list) and bool(content) and all(is_text_part(part) for part in content)


def is_text_part(part: Json) -> bool:
    """A content part of type text with a string."""
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def history_of(chat: ChatRequest | None) -> History:
    """The history of a request; an empty one where there is none, or where a message is no object."""
    found = chat.body.get("messages") if chat is not None else None
    if not isinstance(found, list) or not all(isinstance(message, dict) for message in found):
        return History()
    return History(tuple(found))


def strings_in(message: dict[str, Json]) -> Iterator[str]:
    """The text of a message, whether it is a string or parts."""
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (part["text"] for part in content if is_text_part(part))
