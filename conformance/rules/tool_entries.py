"""The entries of a request's `tools`, and conditions on them for `when=`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.rules.base import Terms
from conformance.rules.calls import chat_of, has_tools
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json
from conformance.wire.traces import Single

Condition = Callable[[Single, Terms], bool]


def entries(exchange: Exchange) -> list[Json]:
    """The entries of `tools`, whatever they are."""
    found = chat_of(exchange).body.get("tools")
    return found if isinstance(found, list) else []


def functions(exchange: Exchange) -> Iterator[dict[str, Json]]:
    """The function objects of entries of type function."""
    for entry in entries(exchange):
        if isinstance(entry, dict) and entry.get("type") == "function" and isinstance(entry.get("function"), dict):
            yield entry["function"]


def some_entry(test: Callable[[Json], bool]) -> Condition:
    """Requests with an entry that passes the test."""
    return lambda trace, terms: any(map(test, entries(trace.exchange)))


def some_function(test: Callable[[dict[str, Json]], bool]) -> Condition:
    """Requests with a function that passes the test."""
    return lambda trace, terms: any(map(test, functions(trace.exchange)))


def sound(test: Callable[[dict[str, Json]], bool]) -> Condition:
    """Requests whose tools are all well-formed functions, one of which passes the test."""
    return lambda trace, terms: has_tools(chat_of(trace.exchange)) and some_function(test)(trace, terms)
