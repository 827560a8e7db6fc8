"""The round trip of tool results: which histories are taken, which are refused, and what follows the results."""

from __future__ import annotations

import re
from collections.abc import Callable

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Part,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_status,
    rule,
)
from conformance.rules.calls import at_choice, chat_of, choices_of
from conformance.rules.refusals import broke_down, declined, error_object, must_accept, must_refuse, names
from conformance.rules.tool_history import History, calls_of, history_of, is_text_part, is_well_formed_call, strings_in
from conformance.wire import strict_json
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, equal, show
from conformance.wire.traces import Conversation, Single

_ASKED = (Facet.REQUEST, Facet.STATUS)
_JUDGED = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
_LONG = 500
"""Characters of a result that counts as long."""
_ABOUT_THE_CONTEXT = re.compile(r"context|token|window", re.I)
_MAY_DIFFER = frozenset({"messages", "tools", "tool_choice", "stream", "stream_options", "parallel_tool_calls"})


def _history(trace: Single) -> History:
    return history_of(trace.exchange.request.chat)


def _with(test: Callable[[History], bool]) -> Callable[[Single, Terms], bool]:
    """Chat requests whose messages are all objects, and whose history passes the test."""
    return lambda trace, terms: trace.exchange.request.chat is not None and test(_history(trace))


def _same_base(first: ChatRequest, later: ChatRequest) -> bool:
    """The later request changes nothing but the conversation."""
    keys = (first.body.keys() | later.body.keys()) - _MAY_DIFFER
    return all(equal(first.body.get(key), later.body.get(key)) for key in keys)


def _call_core(call: Json) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return None
    return [call.get("id"), function.get("name"), function.get("arguments")]


def _echoes(exchange: Exchange, history: History) -> bool:
    """The history's last round repeats the calls of the exchange's only choice."""
    choices = choices_of(exchange)
    if len(choices) != 1 or not choices[0].calls or not history.rounds:
        return False
    made = [[call.id, call.name, call.arguments] for call in choices[0].calls]
    return equal(made, [_call_core(call) for call in calls_of(history.rounds[-1].message)])


def _round_trip(trace: Conversation) -> tuple[Exchange, Exchange] | None:
    """(the turn that called, the turn that answers all its calls and does nothing else), the first such pair."""
    for position, later in enumerate(trace.exchanges[1:], 1):
        history = history_of(later.request.chat)
        if not (history.is_sound and history.ends_with_results):
            continue
        for earlier in trace.exchanges[:position]:
            whole = earlier.answer is not None and earlier.answer.complete
            if whole and _echoes(earlier, history) and _same_base(chat_of(earlier), chat_of(later)):
                return earlier, later
    return None


def _returned(trace: Conversation, *, with_tools: bool) -> Verdicts:
    pair = _round_trip(trace)
    if pair is None or (chat_of(pair[1]).body.get("tools") is not None) is not with_tools:
        yield NOT_APPLICABLE
        return
    status = pair[1].status or 0
    if status in (400, 409, 413, 415, 422) or status in (500, 501):
        said = str(error_object(pair[1]).get("message", ""))[:120]
        expected = "2xx: the assistant message came from this endpoint, and every call has its result"
        yield Finding(pair[1].id, Part.STATUS, expected, f"status {status}: {said}")
    elif pair[1].answer is None:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")


@rule("tool_calls.echo.is_accepted", on=Conversation, reads=_JUDGED)
def echo_is_accepted(trace: Conversation, terms: Terms) -> Verdicts:
    """The endpoint takes back its own assistant message with a result for every call."""
    yield from _returned(trace, with_tools=True)


@rule("tool_calls.echo.is_accepted_without_tools", on=Conversation, reads=_JUDGED)
def echo_is_accepted_without_tools(trace: Conversation, terms: Terms) -> Verdicts:
    """The endpoint takes back its own calls and their results in a request that declares no tools."""
    yield from _returned(trace, with_tools=False)


def _awaits_answer(history: History) -> bool:
    return history.is_sound and history.ends_with_results


@rule("tool_calls.results.get_an_answer", on=Single, reads=_JUDGED, when=_with(_awaits_answer))
def results_get_an_answer(trace: Single, terms: Terms) -> Verdicts:
    """After the results of all calls the answer holds text, or further calls."""
    exchange = trace.exchange
    reason = declined(exchange, terms)
    if reason is not None:
        yield reason
        return
    for choice in choices_of(exchange):
        if choice.cut or not isinstance(choice.finish_reason, str):
            yield Vacuous(Reason.CUT_BY_LIMIT)
        elif choice.content in (None, "") and not choice.calls and not choice.refusal:
            yield at_choice(exchange, choice, "text after the results", show(choice.content))


_NUMBER = re.compile(r"(?<![\w.,])\d{5,}(?![\w.,]*\d)")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[,_'’ \u00a0\u202f](?=\d)")
_SHORT = 200
"""Characters: a longer result holds more than an answer need repeat."""


def _telling_numbers(history: History) -> set[str]:
    """Long numbers in short results: what an answer cannot know from elsewhere."""
    texts = ["".join(strings_in(message)) for message in history.results]
    found = [_NUMBER.findall(text) for text in texts]
    if not all(len(numbers) == 1 and len(text) <= _SHORT for numbers, text in zip(found, texts, strict=True)):
        return set()
    asked = " ".join(
        part for message in history.messages for part in strings_in(message) if message not in history.results
    )
    return {number for numbers in found for number in numbers if number not in asked}


@rule(
    "tool_calls.results.are_used",
    on=Single,
    reads=_JUDGED,
    when=_with(lambda history: _awaits_answer(history) and bool(_telling_numbers(history))),
)
def results_are_used(trace: Single, terms: Terms) -> Verdicts:
    """The answer to tool results repeats the numbers that only they hold."""
    exchange, numbers = trace.exchange, _telling_numbers(_history(trace))
    reason = declined(exchange, terms)
    if reason is not None:
        yield reason
        return
    for choice in choices_of(exchange):
        if choice.calls or choice.cut or not choice.text:
            yield Vacuous(Reason.MODEL_FREE)
        elif not any(number in _BETWEEN_DIGITS.sub("", choice.text) for number in numbers):
            expected = f"an answer that uses the results: {', '.join(sorted(numbers))}"
            yield at_choice(exchange, choice, expected, show(choice.text, 80))


@rule("tool_calls.history.accepts_client_ids", on=Single, reads=_JUDGED, when=_with(lambda history: history.is_sound))
def history_accepts_client_ids(trace: Single, terms: Terms) -> Verdicts:
    """Call ids that the client chose are taken in the history."""
    words = ("tool_call_id", "tool call id", "tool_calls.id", ".id", "'id'", "`id`", '"id"')
    yield from must_accept(trace.exchange, terms, words, "2xx: any id is fine in the history")


@rule(
    "tool_calls.results.unknown_id_is_refused",
    on=Single,
    reads=_ASKED,
    when=_with(lambda history: bool(history.strangers) and not history.has_nameless_call),
)
def unknown_id_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A tool message whose tool_call_id matches no earlier call is refused."""
    _, identifier = _history(trace).strangers[0]
    yield from must_refuse(trace.exchange, f"400: no earlier call has the id {show(identifier, 60)}")


@rule("tool_calls.results.need_a_call", on=Single, reads=_ASKED, when=_with(lambda history: bool(history.orphans)))
def results_need_a_call(trace: Single, terms: Terms) -> Verdicts:
    """A tool message without an assistant message with tool_calls before it is refused."""
    yield from must_refuse(trace.exchange, "400: a tool message answers an earlier tool call")


def _has_gap(history: History) -> bool:
    return bool(history.unanswered) and not (history.strangers or history.orphans or history.has_nameless_result)


@rule("tool_calls.results.missing_is_refused", on=Single, reads=_ASKED, when=_with(_has_gap))
def missing_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A history in which a call has no result is refused."""
    missing = ", ".join(_history(trace).unanswered)[:60]
    yield from must_refuse(trace.exchange, f"400: no result for {missing}")


@rule("tool_calls.results.missing_is_named", on=Single, reads=_JUDGED, when=_with(_has_gap))
def missing_is_named(trace: Single, terms: Terms) -> Verdicts:
    """The refusal of a history with a missing result names the id of the call."""
    exchange = trace.exchange
    if exchange.status not in (400, 422):
        yield NOT_APPLICABLE
    elif not names(exchange, _history(trace).unanswered):
        message = error_object(exchange).get("message")
        yield at_body(exchange, "/error/message", f"the id {_history(trace).unanswered[0]}", show(message, 120))


@rule(
    "tool_calls.results.follow_at_once",
    on=Single,
    reads=_ASKED,
    when=_with(
        lambda history: (
            any(item.interrupted for item in history.rounds)
            and not (history.unanswered or history.strangers or history.orphans)
        )
    ),
)
def results_follow_at_once(trace: Single, terms: Terms) -> Verdicts:
    """A message of another role between a call and its results is refused."""
    yield from must_refuse(trace.exchange, "400: results follow the calls with nothing in between")


@rule(
    "tool_calls.results.may_come_in_any_order",
    on=Single,
    reads=_JUDGED,
    when=_with(lambda history: history.is_sound and any(item.reordered for item in history.rounds)),
)
def results_may_come_in_any_order(trace: Single, terms: Terms) -> Verdicts:
    """Results may stand in another order than the calls."""
    words = ("order", "tool_call_id", "tool call id", "tool message", "tool result", "role 'tool'")
    yield from must_accept(trace.exchange, terms, words, "2xx: results are matched by id")


def _contents(history: History) -> list[Json]:
    return [message.get("content") for message in history.results]


@rule(
    "tool_calls.results.take_text_parts",
    on=Single,
    reads=_JUDGED,
    when=_with(
        lambda history: (
            history.is_sound and any(isinstance(content, list) or content == "" for content in _contents(history))
        )
    ),
)
def results_take_text_parts(trace: Single, terms: Terms) -> Verdicts:
    """The content of a result may be an array of text parts, or an empty string."""
    yield from must_accept(
        trace.exchange, terms, ("content", "messages", "string"), "2xx: text parts are allowed in results"
    )


def _has_long_result(history: History) -> bool:
    return history.is_sound and any(isinstance(item, str) and len(item) > _LONG for item in _contents(history))


@rule("tool_calls.results.may_be_long", on=Single, reads=_JUDGED, when=_with(_has_long_result))
def results_may_be_long(trace: Single, terms: Terms) -> Verdicts:
    """A result is a string of any length that the context of the model takes."""
    said = trace.exchange.body[:4000].decode("utf-8", "replace")
    if 400 <= (trace.exchange.status or 0) < 500 and _ABOUT_THE_CONTEXT.search(said):
        yield Vacuous(Reason.REFUSED, "the context of the model is too short")
    else:
        words = ("too long", "too large", "at most", "longer than", "larger than", "maximum", "exceed", "limit")
        yield from must_accept(trace.exchange, terms, words, "2xx: a result is a string of any length")


def _has_other_part(history: History) -> bool:
    return any(
        isinstance(content, list) and any(isinstance(part, dict) and not is_text_part(part) for part in content)
        for content in _contents(history)
    )


@rule("tool_calls.results.other_parts_are_refused", on=Single, reads=_ASKED, when=_with(_has_other_part))
def other_parts_are_refused(trace: Single, terms: Terms) -> Verdicts:
    """A part of another type than text in a result is refused."""
    yield from must_refuse(trace.exchange, "400: results hold text parts only")


def _has_broken_arguments(history: History) -> bool:
    return any(
        is_well_formed_call(call) and not strict_json.parse(call["function"]["arguments"]).ok
        for item in history.rounds
        for call in calls_of(item.message)
    )


@rule(
    "tool_calls.history.broken_arguments_cause_no_server_error",
    on=Single,
    reads=_ASKED,
    when=_with(_has_broken_arguments),
)
def broken_arguments_cause_no_server_error(trace: Single, terms: Terms) -> Verdicts:
    """Arguments in the history that are no JSON cause no server error."""
    status = trace.exchange.status or 0
    if status in (502, 503, 504):
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif broke_down(trace.exchange, terms):
        yield at_status(trace.exchange, "2xx or 400: models do write broken arguments")


@rule(
    "tool_calls.history.empty_list_is_refused",
    on=Single,
    reads=_ASKED,
    when=_with(
        lambda history: any(m.get("role") == "assistant" and m.get("tool_calls") == [] for m in history.messages)
    ),
)
def empty_list_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """An assistant message with an empty tool_calls array is refused."""
    yield from must_refuse(trace.exchange, "400: tool_calls holds at least one call, or is absent")


def _is_incomplete(call: Json) -> bool:
    return isinstance(call, dict) and ("id" not in call or ("function" not in call and "custom" not in call))


@rule(
    "tool_calls.history.incomplete_call_is_refused",
    on=Single,
    reads=_ASKED,
    when=_with(lambda history: any(_is_incomplete(call) for item in history.rounds for call in calls_of(item.message))),
)
def incomplete_call_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A call without its id or its function in the history is refused."""
    yield from must_refuse(trace.exchange, "400: a call has id, type and function")
