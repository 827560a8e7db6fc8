"""Parallel tool calls: what `parallel_tool_calls: false` forbids, and how several calls are told apart."""

from __future__ import annotations

from conformance.rules.base import Reason, Terms, Vacuous, Verdicts, rule
from conformance.rules.calls import at_call, chat_of, choices_of, has_tools
from conformance.rules.refusals import declined, must_refuse
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import show
from conformance.wire.traces import Contrast, Single, Trace

_FIELD = "parallel_tool_calls"


def _forbids(exchange: Exchange) -> bool:
    chat = chat_of(exchange)
    return has_tools(chat) and chat.parallel is False


def _most_calls(exchange: Exchange) -> int:
    return max((len(choice.calls) for choice in choices_of(exchange)), default=0)


def _false_may_show(trace: Trace, terms: Terms) -> bool:
    if isinstance(trace, Contrast) and trace.about != f"/{_FIELD}":
        return False
    return any(map(_forbids, trace.exchanges))


@rule(
    "parallel.false.makes_one_call",
    on=Contrast,
    reads=(Facet.REQUEST, Facet.STATUS, Facet.BODY),
    when=_false_may_show,
    also=(Single,),
)
def false_makes_one_call(trace: Trace, terms: Terms) -> Verdicts:
    """With parallel_tool_calls false an answer holds at most one call, though the same prompt would call twice."""
    forbidden = [exchange for exchange in trace.exchanges if _forbids(exchange)]
    for exchange in forbidden:
        for choice in choices_of(exchange):
            if len(choice.calls) > 1:
                yield at_call(
                    exchange,
                    choice.calls[1],
                    "at most one call: parallel_tool_calls is false",
                    f"{len(choice.calls)} calls",
                )
    # Alone, a refusal may be about anything else in the request.
    for exchange in forbidden if isinstance(trace, Contrast) else ():
        reason = declined(exchange, terms)
        if reason is not None:
            yield reason
    if not any(_most_calls(exchange) > 1 for exchange in trace.exchanges if not _forbids(exchange)):
        yield Vacuous(Reason.NO_CONTROL, "the other request made no two calls either")


@rule(
    "parallel.ids.are_distinct",
    on=Single,
    reads=(Facet.BODY,),
    values=("tool_call_id",),
    when=lambda trace, terms: _most_calls(trace.exchange) > 1,
)
def ids_are_distinct(trace: Single, terms: Terms) -> Verdicts:
    """Several calls in one choice have ids of their own."""
    for choice in choices_of(trace.exchange):
        seen: set[str] = set()
        for call in choice.calls:
            if isinstance(call.id, str) and call.id:
                if call.id in seen:
                    yield at_call(trace.exchange, call, "an id that no other call of the answer has", show(call.id))
                seen.add(call.id)


@rule(
    "parallel.value.non_boolean_is_refused",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS),
    when=lambda trace, terms: (
        has_tools(chat_of(trace.exchange))
        and chat_of(trace.exchange).body.get(_FIELD) is not None
        and chat_of(trace.exchange).parallel is None
    ),
)
def non_boolean_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A parallel_tool_calls that is no boolean is refused."""
    yield from must_refuse(trace.exchange, "400: parallel_tool_calls is a boolean")


@rule(
    "parallel.value.needs_tools",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS),
    when=lambda trace, terms: (
        chat_of(trace.exchange).parallel is not None
        and chat_of(trace.exchange).body.get("tools") is None
        and chat_of(trace.exchange).body.get("functions") is None
    ),
)
def value_needs_tools(trace: Single, terms: Terms) -> Verdicts:
    """A parallel_tool_calls without tools is refused."""
    yield from must_refuse(trace.exchange, "400: parallel_tool_calls needs tools")
