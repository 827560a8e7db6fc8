"""Asking for log probabilities: off by default, checked values, and an object for each choice where they are asked."""

from __future__ import annotations

from dataclasses import replace

from conformance.rules.base import NOT_APPLICABLE, Reason, Terms, Vacuous, Verdicts, at_status, rule
from conformance.rules.calls import chat_of, choices_of
from conformance.rules.checks import undoubtedly_valid
from conformance.rules.conditions import is_completion
from conformance.rules.logprobs_view import SIDES, Piece, asks, content_of, pieces, place_of, whole
from conformance.rules.refusals import broke_down, carries_error, declined, error_object, must_refuse
from conformance.rules.stream_view import one_per_place
from conformance.wire.answer import MISSING
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, is_integer, is_number, show
from conformance.wire.traces import Contrast, Single

_ASKED = (Facet.REQUEST, Facet.STATUS)
_BODY = (*_ASKED, Facet.BODY)
_ABOUT_SOMETHING_ELSE = frozenset({401, 402, 403, 404, 407, 408, 429})
_ON_THE_WAY = frozenset({502, 503, 504})


def _given(exchange: Exchange) -> Json:
    return chat_of(exchange).body.get("logprobs")


def _top(exchange: Exchange) -> Json:
    return chat_of(exchange).body.get("top_logprobs")


def _bounds(terms: Terms) -> tuple[int, int] | None:
    lowest, highest = terms.dialect.limit("top_logprobs.min"), terms.dialect.limit("top_logprobs.max")
    return (lowest, highest) if is_integer(lowest) and is_integer(highest) else None


def _in_range(value: Json, terms: Terms) -> bool:
    bounds = _bounds(terms)
    return bounds is not None and is_integer(value) and bounds[0] <= value <= bounds[1]


@rule(
    "logprobs.default.is_off",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    when=lambda trace, terms: (
        is_completion(trace.exchange)
        and trace.exchange.request.chat is not None
        and _given(trace.exchange) in (None, False)
        and _top(trace.exchange) is None
    ),
)
def default_is_off(trace: Single, terms: Terms) -> Verdicts:
    """Where log probabilities are not asked for, none are given."""
    yield from one_per_place(
        piece.at("", "null: logprobs is not true in the request", show(piece.value, 80))
        for piece in pieces(trace.exchange)
        if piece.value and (not isinstance(piece.value, dict) or any(piece.value.values()))
    )


@rule(
    "logprobs.value.non_boolean_is_refused",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: (
        trace.exchange.request.chat is not None
        and _given(trace.exchange) is not None
        and not isinstance(_given(trace.exchange), bool)
    ),
)
def non_boolean_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A logprobs that is no boolean is refused."""
    yield from must_refuse(trace.exchange, "400: logprobs is a boolean")


@rule(
    "logprobs.top.out_of_range_is_refused",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: (
        chat_of(trace.exchange).wants_logprobs
        and is_integer(_top(trace.exchange))
        and _bounds(terms) is not None
        and not _in_range(_top(trace.exchange), terms)
    ),
)
def out_of_range_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A top_logprobs below or above the documented range is refused."""
    lowest, highest = _bounds(terms) or (0, 0)
    yield from must_refuse(trace.exchange, f"400: top_logprobs is from {lowest} to {highest}")


@rule(
    "logprobs.top.non_integer_is_refused",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: chat_of(trace.exchange).wants_logprobs and _is_no_integer(_top(trace.exchange)),
)
def non_integer_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A top_logprobs that is no integer is refused."""
    yield from must_refuse(trace.exchange, "400: top_logprobs is an integer")


def _is_no_integer(value: Json) -> bool:
    """Anything but an integer; 3.0 is one for many readers of JSON, and null is left out."""
    whole_number = is_number(value) and (not isinstance(value, float) or value.is_integer())
    return value is not None and not whole_number


@rule(
    "logprobs.top.needs_logprobs",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: _given(trace.exchange) in (None, False) and _in_range(_top(trace.exchange), terms),
)
def top_needs_logprobs(trace: Single, terms: Terms) -> Verdicts:
    """A top_logprobs without logprobs: true is refused."""
    yield from must_refuse(trace.exchange, "400: top_logprobs needs logprobs: true")


@rule(
    "logprobs.top.whole_range_is_accepted",
    on=Contrast,
    reads=_BODY,
    when=lambda trace, terms: (
        trace.about == "/top_logprobs"
        and asks(trace.control)
        and asks(trace.variant)
        and _in_range(_top(trace.variant), terms)
    ),
)
def whole_range_is_accepted(trace: Contrast, terms: Terms) -> Verdicts:
    """Every documented top_logprobs is accepted where logprobs is."""
    status = trace.variant.status or 0
    if trace.control.answer is None or carries_error(trace.control):
        yield Vacuous(Reason.NO_CONTROL, f"status {trace.control.status} without this top_logprobs")
    elif status >= 500 or status in _ABOUT_SOMETHING_ELSE:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif status >= 400:
        said = show(error_object(trace.variant).get("message"), 120)
        expected = f"2xx with top_logprobs {_top(trace.variant)}, as without it"
        yield replace(at_status(trace.variant, expected), observed=f"status {status}: {said}")


@rule(
    "logprobs.value.causes_no_server_error",
    on=Contrast,
    reads=_BODY,
    when=lambda trace, terms: (
        trace.about == "/logprobs"
        and asks(trace.variant)
        and not asks(trace.control)
        and not undoubtedly_valid(chat_of(trace.variant), terms)
    ),
)
def value_causes_no_server_error(trace: Contrast, terms: Terms) -> Verdicts:
    """Asking for log probabilities is no reason for a server error, also beside what few servers know."""
    status = trace.variant.status or 0
    if trace.control.answer is None or carries_error(trace.control):
        yield Vacuous(Reason.NO_CONTROL, f"status {trace.control.status} without log probabilities")
    elif status in _ON_THE_WAY or status in _ABOUT_SOMETHING_ELSE:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif broke_down(trace.variant, terms):
        yield at_status(trace.variant, "2xx or a 4xx, as the request is answered without log probabilities")


def _has_form(piece: Piece) -> bool:
    """Null, absent, or an object with an array of entries on one of its sides, or null on both."""
    value = piece.value
    if value is None or value is MISSING:
        return True
    if not isinstance(value, dict):
        return False
    sides = [value[side] for side in SIDES if side in value]
    return bool(sides) and all(side is None or isinstance(side, list) for side in sides)


@rule(
    "logprobs.object.has_the_form_of_chat",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    when=lambda trace, terms: asks(trace.exchange) and any(piece.value for piece in pieces(trace.exchange)),
)
def object_has_the_form_of_chat(trace: Single, terms: Terms) -> Verdicts:
    """The log probabilities of a choice are an object with arrays under content and refusal, or nulls."""
    yield from one_per_place(
        piece.at("", "an object with content and refusal, each an array or null", show(piece.value, 120))
        for piece in pieces(trace.exchange)
        if not _has_form(piece)
    )


@rule(
    "logprobs.object.has_both_sides",
    on=Single,
    reads=(Facet.BODY, Facet.KEYS_COMPLETE),
    when=lambda trace, terms: any(piece.listed("content") for piece in pieces(trace.exchange)),
)
def object_has_both_sides(trace: Single, terms: Terms) -> Verdicts:
    """An object of log probabilities has both the keys content and refusal."""
    yield from one_per_place(
        piece.at(f"/{side}", f"the key {side}, null where there is nothing", "absent")
        for piece in pieces(trace.exchange)
        if isinstance(piece.value, dict) and _has_form(piece)
        for side in SIDES
        if side not in piece.value
    )


@rule(
    "logprobs.choices.have_entries",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: asks(trace.exchange),
)
def choices_have_entries(trace: Single, terms: Terms) -> Verdicts:
    """Each choice with text has entries where they are asked for; a model without them refuses."""
    exchange = trace.exchange
    reason = declined(exchange, terms)
    if reason is not None:
        yield reason
        return
    if not whole(exchange):
        yield Vacuous(Reason.TRANSPORT, "the answer broke off")
        return
    told = [choice for choice in choices_of(exchange) if choice.text]
    if not told:
        yield Vacuous(Reason.MODEL_FREE, "no choice has text")
        return
    for choice in told:
        of_choice = [piece for piece in pieces(exchange) if piece.index == place_of(choice)]
        if not of_choice or not all(map(_has_form, of_choice)):
            yield NOT_APPLICABLE
        elif not content_of(exchange, choice):
            expected = f"entries for the tokens of {show(choice.text, 40)}"
            yield of_choice[-1].at("/content", expected, "none: logprobs is true in the request")
