"""What stands beside calls in the history: null, nothing, an empty string, each of which clients do send."""

from __future__ import annotations

from collections.abc import Callable

from conformance.rules.base import Terms, Verdicts, rule
from conformance.rules.refusals import must_accept
from conformance.rules.tool_history import History, history_of
from conformance.wire.exchange import Facet
from conformance.wire.strict_json import Json
from conformance.wire.traces import Single

_JUDGED = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
_USUAL = 500
"""Characters of a content that is not remarkable for its length."""
_Form = Callable[[dict[str, Json]], bool]


def _accepts(requirement: str, says: str, form: _Form) -> None:
    """Register the rule that sound histories whose calls stand beside this form of content are taken."""

    def when(trace: Single, terms: Terms) -> bool:
        history = history_of(trace.exchange.request.chat)
        return history.is_sound and any(form(item.message) for item in history.rounds)

    def check(trace: Single, terms: Terms) -> Verdicts:
        history = history_of(trace.exchange.request.chat)
        words = ("content",) if _is_all_that_is_special(history, form) else _places(history, form)
        yield from must_accept(trace.exchange, terms, words, f"2xx: {says[0].lower()}{says[1:]}")

    check.__doc__ = says
    rule(requirement, on=Single, reads=_JUDGED, when=when)(check)


def _is_all_that_is_special(history: History, form: _Form) -> bool:
    """Every other message has a string as content, not empty and not long: a refusal of a content means this one."""
    callers = [item.message for item in history.rounds]
    others = [message for message in history.messages if message not in callers]
    contents = [message.get("content") for message in others]
    usual = all(isinstance(content, str) and 0 < len(content) <= _USUAL for content in contents)
    return usual and all(map(form, callers))


def _places(history: History, form: _Form) -> tuple[str, ...]:
    """How refusals spell the place of such a content."""
    found = [item.position for item in history.rounds if form(item.message)]
    return tuple(
        spelled.format(place)
        for place in found
        for spelled in ("messages[{}].content", "messages.{}.content", "messages.[{}].content")
    )


_accepts(
    "tool_calls.history.content_may_be_null",
    "Beside calls in the history the content may be null.",
    lambda message: message.get("content", "") is None,
)
_accepts(
    "tool_calls.history.content_may_be_absent",
    "Beside calls in the history the content may be left out.",
    lambda message: "content" not in message,
)
_accepts(
    "tool_calls.history.content_may_be_empty",
    "Beside calls in the history the content may be an empty string.",
    lambda message: message.get("content") == "",
)
