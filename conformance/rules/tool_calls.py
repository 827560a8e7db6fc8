"""Tool calls: the shape of a call in an answer, streamed or not, and of the message that holds it."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_chunk,
    rule,
)
from conformance.rules.calls import called, chat_of, choices_of, takes_nothing, without_arguments
from conformance.rules.tool_entries import functions
from conformance.rules.tool_history import calls_of, history_of
from conformance.wire.answer import MISSING, Call
from conformance.wire.deltas import Irregular
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Document, kind, show
from conformance.wire.traces import Single

_NOT_JSON = ("NaN", "Infinity", "-Infinity")


def _has_calls(trace: Single, terms: Terms) -> bool:
    return called(trace.exchange)


def _functions(exchange: Exchange) -> Iterator[Call]:
    """Calls of functions that are objects: custom tools, and what is no object, are left out."""
    for choice in choices_of(exchange):
        for call in choice.calls:
            if call.type != "custom" and (call.chunk is not None or isinstance(call.raw, dict)):
                yield call


def _at(exchange: Exchange, call: Call, key: str, expected: str, observed: str) -> Finding:
    pointer = f"{call.pointer}{key}"
    if call.chunk is not None:
        return at_chunk(exchange, call.chunk, pointer, expected, observed)
    return at_body(exchange, pointer, expected, observed)


def _told(value: object) -> str:
    return "absent" if value is MISSING else show(value, 80)


@rule("tool_calls.list.holds_objects", on=Single, reads=(Facet.BODY,), when=_has_calls)
def list_holds_objects(trace: Single, terms: Terms) -> Verdicts:
    """The entries of a message's tool_calls are objects."""
    for choice in choices_of(trace.exchange):
        for call in choice.calls:
            if call.chunk is None and not isinstance(call.raw, dict):
                yield at_body(trace.exchange, call.pointer, "an object", kind(call.raw))


@rule("tool_calls.id.is_a_string", on=Single, reads=(Facet.BODY,), when=_has_calls)
def id_is_a_string(trace: Single, terms: Terms) -> Verdicts:
    """Every tool call has a non-empty string as id."""
    for call in _functions(trace.exchange):
        if not isinstance(call.id, str) or not call.id:
            yield _at(trace.exchange, call, "/id", "a non-empty string", _told(call.id))


@rule("tool_calls.type.is_function", on=Single, reads=(Facet.BODY, Facet.KEYS_COMPLETE), when=_has_calls)
def type_is_function(trace: Single, terms: Terms) -> Verdicts:
    """Every call of a function has the type "function"."""
    for call in _functions(trace.exchange):
        if call.type != "function":
            yield _at(trace.exchange, call, "/type", '"function"', _told(call.type))


def _function_objects(exchange: Exchange) -> Iterator[Call]:
    """Calls whose `function` is an object; in a stream every call."""
    return (
        call
        for call in _functions(exchange)
        if call.chunk is not None or (isinstance(call.raw, dict) and isinstance(call.raw.get("function"), dict))
    )


@rule("tool_calls.function.is_an_object", on=Single, reads=(Facet.BODY,), when=_has_calls)
def function_is_an_object(trace: Single, terms: Terms) -> Verdicts:
    """Every call of a function has an object as function."""
    for call in _functions(trace.exchange):
        found = call.raw.get("function", MISSING) if isinstance(call.raw, dict) else {}
        if not isinstance(found, dict):
            yield _at(trace.exchange, call, "/function", "an object", _told(found))


@rule("tool_calls.name.is_a_string", on=Single, reads=(Facet.BODY,), when=_has_calls)
def name_is_a_string(trace: Single, terms: Terms) -> Verdicts:
    """Every call of a function has a non-empty string as name."""
    for call in _function_objects(trace.exchange):
        # A name that the request declared is repeated rightly: that it was not refused is another rule's finding.
        declared = call.name == "" and any(item.get("name") == "" for item in functions(trace.exchange))
        if not declared and (not isinstance(call.name, str) or not call.name):
            yield _at(trace.exchange, call, "/function/name", "a non-empty string", _told(call.name))


@rule(
    "tool_calls.arguments.are_a_string",
    on=Single,
    reads=(Facet.BODY,),
    when=lambda trace, terms: called(trace.exchange) and trace.exchange.assembly is None,
)
def arguments_are_a_string(trace: Single, terms: Terms) -> Verdicts:
    """The arguments of an unstreamed call are a string, not the object that it encodes."""
    for call in _function_objects(trace.exchange):
        if not isinstance(call.arguments, str):
            observed = "absent" if call.arguments is MISSING else f"{kind(call.arguments)} {show(call.arguments, 60)}"
            yield _at(trace.exchange, call, "/function/arguments", "a string of JSON", observed)


def _trouble(document: Document) -> str | None:
    """Why the arguments are no JSON object, or None where they are one."""
    if not document.ok:
        return document.error or "unreadable"
    if not isinstance(document.value, dict):
        return f"{kind(document.value)} instead of an object"
    return next((problem for problem in document.problems if problem in _NOT_JSON), None)


def _arguments_parse(exchange: Exchange, *, strict: bool) -> Verdicts:
    chat, judged = chat_of(exchange), False
    if exchange.assembly is not None and any(exchange.assembly.having(Irregular.ARGUMENTS_NOT_STRING)):
        yield NOT_APPLICABLE
        return
    for choice in choices_of(exchange):
        if choice.cut or not isinstance(choice.finish_reason, str):
            if choice.calls:
                yield Vacuous(Reason.CUT_BY_LIMIT)
            continue
        for call in choice.calls:
            tool = chat.tool(call.name)
            if call.type == "custom" or (tool is not None and tool.strict) is not strict:
                continue
            if not isinstance(call.arguments, str) or (takes_nothing(chat, call.name) and without_arguments(call)):
                continue
            judged = True
            trouble = _trouble(call.parsed)
            if trouble is not None:
                observed = f"{trouble}: {show(call.arguments, 80)}"
                yield _at(exchange, call, "/function/arguments", "a string that holds a JSON object", observed)
    if not judged:
        yield NOT_APPLICABLE


@rule("tool_calls.arguments.hold_an_object", on=Single, reads=(Facet.BODY,), when=_has_calls)
def arguments_hold_an_object(trace: Single, terms: Terms) -> Verdicts:
    """The arguments of a whole answer hold a JSON object."""
    yield from _arguments_parse(trace.exchange, strict=False)


@rule("tool_calls.arguments.hold_an_object_when_strict", on=Single, reads=(Facet.REQUEST, Facet.BODY), when=_has_calls)
def arguments_hold_an_object_when_strict(trace: Single, terms: Terms) -> Verdicts:
    """The arguments of a strict tool hold a JSON object in every whole answer."""
    yield from _arguments_parse(trace.exchange, strict=True)


@rule(
    "tool_calls.content.is_null_or_text",
    on=Single,
    reads=(Facet.BODY, Facet.KEYS_COMPLETE),
    when=lambda trace, terms: called(trace.exchange) and trace.exchange.assembly is None,
)
def content_is_null_or_text(trace: Single, terms: Terms) -> Verdicts:
    """Beside tool calls the content is null or text, not an empty string."""
    for choice in choices_of(trace.exchange):
        if choice.calls and choice.content == "":
            yield at_body(trace.exchange, f"{choice.pointer}/message/content", "null, or text", '""')


def _earlier_ids(exchange: Exchange) -> set[str]:
    return {
        call["id"]
        for item in history_of(exchange.request.chat).rounds
        for call in calls_of(item.message)
        if isinstance(call, dict) and isinstance(call.get("id"), str)
    }


@rule(
    "tool_calls.id.is_fresh",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    values=("tool_call_id",),
    when=lambda trace, terms: called(trace.exchange) and bool(_earlier_ids(trace.exchange)),
)
def id_is_fresh(trace: Single, terms: Terms) -> Verdicts:
    """A call in a later turn has an id that no call of the conversation had before."""
    earlier = _earlier_ids(trace.exchange)
    for call in _functions(trace.exchange):
        if isinstance(call.id, str) and call.id in earlier:
            yield _at(trace.exchange, call, "/id", "an id that is new in this conversation", show(call.id))
