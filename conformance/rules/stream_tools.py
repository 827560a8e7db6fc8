"""Streamed tool calls: what each delta has to carry, and what the deltas have to add up to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_chunk,
    at_sequence,
    rule,
)
from conformance.rules.calls import at_call, called, chat_of, choices_of, has_tools, takes_nothing, without_arguments
from conformance.rules.conditions import is_chat, ok
from conformance.rules.schema_check import pinned, valid
from conformance.wire.answer import Call
from conformance.wire.chat_request import Choosing
from conformance.wire.deltas import Irregular, Irregularity
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, equal, show
from conformance.wire.traces import Parity, Single

_MOST_CALLS = 128
"""openai-node, src/lib/ChatCompletionStream.ts: MAX_STREAM_TOOL_CALLS."""


def _mentions_calls(exchange: Exchange) -> bool:
    """Some delta has tool calls, or something else under that key."""
    assembly = exchange.assembly
    return assembly is not None and (
        any(choice.calls for choice in assembly.choices)
        or any(assembly.having(Irregular.TOOL_CALLS_NOT_ARRAY, Irregular.CALL_NOT_OBJECT))
    )


def _streams_calls(trace: Single, terms: Terms) -> bool:
    return is_chat(trace.exchange) and ok(trace.exchange) and _mentions_calls(trace.exchange)


def _calls_streamed(trace: Single, terms: Terms) -> bool:
    """A stream in which at least one call can be made out."""
    return _streams_calls(trace, terms) and called(trace.exchange)


def _continued(trace: Single, terms: Terms) -> bool:
    """A stream in which at least one call takes more than one delta."""
    assembly = trace.exchange.assembly
    return (
        _calls_streamed(trace, terms)
        and assembly is not None
        and any(len(call.chunks) > 1 for choice in assembly.choices for call in choice.calls)
    )


def _noted(exchange: Exchange, *what: Irregular) -> list[Irregularity]:
    return list(exchange.assembly.having(*what)) if exchange.assembly is not None else []


def _each(exchange: Exchange, expected: str, *what: Irregular) -> Iterator[Finding]:
    for item in _noted(exchange, *what):
        observed = item.what.value if item.observed is None else f"{item.what.value}: {show(item.observed, 60)}"
        yield at_chunk(exchange, item.chunk, item.pointer, expected, observed)


@rule("stream_tools.list.is_an_array_of_objects", on=Single, reads=(Facet.BODY,), when=_streams_calls)
def list_is_an_array_of_objects(trace: Single, terms: Terms) -> Verdicts:
    """A delta's tool_calls is an array of objects whose function is an object."""
    yield from _each(
        trace.exchange,
        "an array of objects, each with an object as function",
        Irregular.TOOL_CALLS_NOT_ARRAY,
        Irregular.CALL_NOT_OBJECT,
        Irregular.CALL_FUNCTION_BAD,
    )


@rule("stream_tools.index.is_an_integer", on=Single, reads=(Facet.BODY, Facet.KEYS_COMPLETE), when=_calls_streamed)
def index_is_an_integer(trace: Single, terms: Terms) -> Verdicts:
    """Every tool-call delta has a non-negative integer as index."""
    yield from _each(
        trace.exchange, "a non-negative integer as index", Irregular.CALL_INDEX_MISSING, Irregular.CALL_INDEX_BAD
    )


@rule("stream_tools.index.counts_from_zero", on=Single, reads=(Facet.BODY,), when=_calls_streamed)
def index_counts_from_zero(trace: Single, terms: Terms) -> Verdicts:
    """The indices of a choice's calls begin at 0, grow by 1 and stay below 128."""
    exchange = trace.exchange
    odd = {item.chunk for item in _noted(exchange, Irregular.CALL_INDEX_MISSING, Irregular.CALL_INDEX_BAD)}
    for item in _noted(exchange, Irregular.CALL_INDEX_GAP):
        if item.chunk not in odd:
            yield at_chunk(
                exchange, item.chunk, item.pointer, "indices that begin at 0 and grow by 1", show(item.observed)
            )
    for choice in exchange.assembly.choices if exchange.assembly is not None else ():
        for call in choice.calls:
            if call.index >= _MOST_CALLS and call.index == len(choice.calls) - 1:
                yield at_chunk(exchange, call.chunks[0], f"{call.pointer}/index", "below 128", str(call.index))


@rule("stream_tools.first_delta.has_id", on=Single, reads=(Facet.BODY,), when=_calls_streamed)
def first_delta_has_id(trace: Single, terms: Terms) -> Verdicts:
    """The first delta of a call has a non-empty string as id."""
    exchange = trace.exchange
    yield from _each(exchange, "a non-empty id in the first delta of the call", Irregular.CALL_ID_MISSING)
    first = {
        (call.chunks[0], f"{call.pointer}/id")
        for choice in (exchange.assembly.choices if exchange.assembly is not None else ())
        for call in choice.calls
    }
    for item in _noted(exchange, Irregular.CALL_ID_BAD):
        if (item.chunk, item.pointer) in first:
            yield at_chunk(exchange, item.chunk, item.pointer, "a string as id", show(item.observed))


@rule("stream_tools.first_delta.has_type", on=Single, reads=(Facet.BODY, Facet.KEYS_COMPLETE), when=_calls_streamed)
def first_delta_has_type(trace: Single, terms: Terms) -> Verdicts:
    """The first delta of a call has its type, "function"."""
    exchange = trace.exchange
    yield from _each(exchange, 'type "function" in the first delta of the call', Irregular.CALL_TYPE_MISSING)
    for choice in exchange.assembly.choices if exchange.assembly is not None else ():
        for call in choice.calls:
            if call.type not in (None, "function", "custom"):
                yield at_chunk(exchange, call.chunks[0], f"{call.pointer}/type", '"function"', show(call.type))


@rule("stream_tools.first_delta.has_name", on=Single, reads=(Facet.BODY,), when=_calls_streamed)
def first_delta_has_name(trace: Single, terms: Terms) -> Verdicts:
    """The first delta of a call has the function's name, whole."""
    exchange = trace.exchange
    custom = {
        call.pointer
        for choice in (exchange.assembly.choices if exchange.assembly is not None else ())
        for call in choice.calls
        if call.type == "custom"
    }
    for item in _noted(exchange, Irregular.CALL_NAME_MISSING):
        if item.pointer.removesuffix("/function/name") not in custom:
            yield at_chunk(
                exchange, item.chunk, item.pointer, "the name in the first delta of the call", show(item.observed)
            )


@rule("stream_tools.id.is_sent_once", on=Single, reads=(Facet.BODY,), when=_continued)
def id_is_sent_once(trace: Single, terms: Terms) -> Verdicts:
    """Later deltas of a call do not send its id again, nor an empty one."""
    yield from _each(
        trace.exchange, "no id in later deltas of the call", Irregular.CALL_ID_REPEATED, Irregular.CALL_ID_EMPTY
    )


@rule("stream_tools.name.is_sent_once", on=Single, reads=(Facet.BODY,), when=_continued)
def name_is_sent_once(trace: Single, terms: Terms) -> Verdicts:
    """Later deltas of a call do not send its name again, nor an empty one."""
    yield from _each(
        trace.exchange, "no name in later deltas of the call", Irregular.CALL_NAME_REPEATED, Irregular.CALL_NAME_EMPTY
    )


@rule("stream_tools.id.never_changes", on=Single, reads=(Facet.BODY,), values=("id",), when=_continued)
def id_never_changes(trace: Single, terms: Terms) -> Verdicts:
    """One index keeps one id."""
    yield from _each(trace.exchange, "the id that this index had before", Irregular.CALL_ID_CHANGED)


@rule("stream_tools.name.never_changes", on=Single, reads=(Facet.BODY,), when=_continued)
def name_never_changes(trace: Single, terms: Terms) -> Verdicts:
    """One index keeps one function name."""
    yield from _each(trace.exchange, "the name that this index had before", Irregular.CALL_NAME_CHANGED)


@rule("stream_tools.arguments.are_strings", on=Single, reads=(Facet.BODY,), when=_calls_streamed)
def arguments_are_strings(trace: Single, terms: Terms) -> Verdicts:
    """Every argument fragment is a string."""
    yield from _each(trace.exchange, "a string, to be joined to the others", Irregular.ARGUMENTS_NOT_STRING)


@rule("stream_tools.arguments.are_fragments", on=Single, reads=(Facet.BODY,), when=_continued)
def arguments_are_fragments(trace: Single, terms: Terms) -> Verdicts:
    """Argument fragments continue each other; none repeats all that came before."""
    exchange = trace.exchange
    for choice in exchange.assembly.choices if exchange.assembly is not None else ():
        for call in choice.calls:
            parts = [part for part in call.fragments if part]
            cumulative = len(parts) > 2 and all(
                len(later) > len(earlier) and later.startswith(earlier) for earlier, later in pairwise(parts)
            )
            if cumulative:
                yield at_chunk(
                    exchange,
                    call.chunks[-1],
                    f"{call.pointer}/function/arguments",
                    "fragments that join to the arguments",
                    f"each repeats those before it: {show(parts[-1], 60)}",
                )


@rule("stream_tools.calls.do_not_interleave", on=Single, reads=(Facet.BODY,), when=_calls_streamed)
def calls_do_not_interleave(trace: Single, terms: Terms) -> Verdicts:
    """One call is finished before the next index begins."""
    yield from _each(trace.exchange, "no more deltas of an index once a later one began", Irregular.CALL_INTERLEAVED)


@rule("stream_tools.finish.follows_every_fragment", on=Single, reads=(Facet.BODY,), when=_calls_streamed)
def finish_follows_every_fragment(trace: Single, terms: Terms) -> Verdicts:
    """No tool-call delta comes after the finish_reason of its choice."""
    exchange = trace.exchange
    for item in _noted(exchange, Irregular.AFTER_FINISH):
        if isinstance(item.observed, dict) and item.observed.get("tool_calls"):
            yield at_chunk(
                exchange, item.chunk, f"{item.pointer}/tool_calls", "no tool-call delta after finish_reason", "one more"
            )


@rule(
    "stream_tools.finish.says_tool_calls",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    when=lambda trace, terms: _calls_streamed(trace, terms) and chat_of(trace.exchange).choosing is Choosing.REQUIRED,
)
def finish_says_tool_calls(trace: Single, terms: Terms) -> Verdicts:
    """A streamed choice whose calls were demanded by "required" ends with "tool_calls"."""
    for choice in choices_of(trace.exchange):
        if not choice.calls or choice.finish_reason is None:
            yield NOT_APPLICABLE
        elif choice.cut:
            yield Vacuous(Reason.CUT_BY_LIMIT)
        elif choice.finish_reason != "tool_calls":
            yield at_chunk(
                trace.exchange, choice.chunk, "/choices/0/finish_reason", '"tool_calls"', show(choice.finish_reason)
            )


@rule(
    "stream_tools.arguments.of_no_parameters_are_an_object",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    when=_calls_streamed,
)
def arguments_of_no_parameters_are_an_object(trace: Single, terms: Terms) -> Verdicts:
    """The fragments of a call to a tool without parameters join to a JSON object."""
    exchange, chat = trace.exchange, chat_of(trace.exchange)
    judged = False
    if _noted(exchange, Irregular.ARGUMENTS_NOT_STRING):
        yield NOT_APPLICABLE
        return
    for choice in choices_of(exchange):
        for call in choice.calls:
            if choice.cut or not isinstance(choice.finish_reason, str) or not takes_nothing(chat, call.name):
                continue
            judged = True
            if without_arguments(call):
                yield at_call(exchange, call, 'fragments that join to "{}"', show(call.arguments))
    if not judged:
        yield NOT_APPLICABLE


@rule(
    "stream_tools.list.is_never_empty",
    on=Single,
    reads=(Facet.BODY, Facet.KEYS_COMPLETE),
    when=lambda trace, terms: (
        is_chat(trace.exchange) and trace.exchange.assembly is not None and bool(trace.exchange.assembly.chunks)
    ),
)
def list_is_never_empty(trace: Single, terms: Terms) -> Verdicts:
    """No delta carries an empty tool_calls array."""
    assembly = trace.exchange.assembly
    for chunk in assembly.chunks if assembly is not None else ():
        for place, choice in enumerate(chunk.choices):
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta.get("tool_calls") == []:
                pointer = f"/choices/{place}/delta/tool_calls"
                yield at_chunk(trace.exchange, chunk.position, pointer, "no tool_calls key, or null", "[]")
                return


def _forced(trace: Parity, terms: Terms) -> bool:
    """A call is demanded, so that all answers of the trace have calls to compare."""
    chat = chat_of(trace.streamed)
    return has_tools(chat) and chat.choosing in (Choosing.REQUIRED, Choosing.NAMED) and chat.n in (None, 1)


def _made(exchange: Exchange) -> tuple[Call, ...] | None:
    """The calls of the only choice of a whole answer that no limit cut, or None."""
    answer = exchange.answer
    if answer is None or not answer.complete or len(answer.choices) != 1 or answer.choices[0].cut:
        return None
    return answer.choices[0].calls


def _compared(trace: Parity) -> tuple[list[tuple[Call, ...]], tuple[Call, ...]] | Vacuous:
    """The calls of the unstreamed answers and of the streamed one, or why they cannot be compared."""
    plain = [_made(exchange) for exchange in trace.unstreamed]
    streamed = _made(trace.streamed)
    if any(calls is None for calls in (*plain, streamed)):
        return Vacuous(Reason.CUT_BY_LIMIT, "an answer is not whole")
    if len(plain) < 2 or not all(plain):
        return Vacuous(Reason.NO_CONTROL, "two unstreamed answers with calls are needed")
    if not streamed:
        return Vacuous(Reason.NO_CONTROL, "the streamed answer holds no call")
    return [calls for calls in plain if calls is not None], streamed


def _names(calls: tuple[Call, ...]) -> list[Json]:
    return [call.name for call in calls]


_PARITY = (Facet.REQUEST, Facet.STATUS, Facet.BODY)


@rule("stream_tools.parity.same_calls", on=Parity, reads=_PARITY, when=_forced)
def parity_same_calls(trace: Parity, terms: Terms) -> Verdicts:
    """A forced call is the same streamed and unstreamed: as many calls, of the same functions."""
    compared = _compared(trace)
    if isinstance(compared, Vacuous):
        yield compared
        return
    plain, streamed = compared
    chat = chat_of(trace.streamed)
    if not all(_names(calls) == _names(plain[0]) for calls in plain):
        yield Vacuous(Reason.NO_CONTROL, "the two unstreamed answers differ")
    elif _names(streamed) != _names(plain[0]):
        fixed = chat.choosing is Choosing.NAMED or (len(chat.tools) == 1 and chat.parallel is False)
        if not fixed:
            yield Vacuous(Reason.MODEL_FREE)
            return
        yield at_sequence(
            trace.streamed, "/choices/0/delta/tool_calls", f"calls to {_names(plain[0])}", f"to {_names(streamed)}"
        )


def _whole(call: Call) -> bool:
    return call.parsed.ok and isinstance(call.parsed.value, dict)


@rule("stream_tools.parity.arguments_stay_whole", on=Parity, reads=_PARITY, when=_forced)
def parity_arguments_stay_whole(trace: Parity, terms: Terms) -> Verdicts:
    """Where the unstreamed arguments are JSON objects, the streamed fragments join to JSON objects too."""
    compared = _compared(trace)
    if isinstance(compared, Vacuous):
        yield compared
        return
    plain, streamed = compared
    if not all(_whole(call) for calls in plain for call in calls):
        yield Vacuous(Reason.NO_CONTROL, "the unstreamed arguments are no JSON objects")
        return
    for call in streamed:
        if not _whole(call):
            yield at_sequence(
                trace.streamed,
                f"{call.pointer}/function/arguments",
                "a JSON object, as unstreamed",
                show(call.arguments),
            )


@rule("stream_tools.parity.same_arguments", on=Parity, reads=_PARITY, when=_forced)
def parity_same_arguments(trace: Parity, terms: Terms) -> Verdicts:
    """Arguments that the schema fixes are equal streamed and unstreamed; valid ones stay valid."""
    compared = _compared(trace)
    if isinstance(compared, Vacuous):
        yield compared
        return
    plain, streamed = compared
    chat = chat_of(trace.streamed)
    judged = False
    for position, call in enumerate(streamed):
        tool = chat.tool(call.name)
        others = [calls[position] for calls in plain if len(calls) > position and calls[position].name == call.name]
        if tool is None or tool.parameters is None or len(others) < len(plain):
            continue
        if not all(map(_whole, (call, *others))) or not all(valid(tool.parameters, o.parsed.value) for o in others):
            continue
        fixed = pinned(tool.parameters)
        invalid = valid(tool.parameters, call.parsed.value) is False
        judged = judged or fixed or invalid
        if invalid or (fixed and not equal(call.parsed.value, others[0].parsed.value)):
            yield at_sequence(
                trace.streamed,
                f"{call.pointer}/function/arguments",
                f"arguments like the unstreamed {show(others[0].arguments, 80)}",
                show(call.arguments, 80),
            )
    if not judged:
        yield Vacuous(Reason.MODEL_FREE, "the schema leaves the arguments open")
