"""The likeliest tokens at each position: how many, in what order, how likely together, and where the chosen one is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import exp

from conformance.rules.base import NOT_APPLICABLE, Reason, Terms, Vacuous, Verdicts, rule
from conformance.rules.calls import chat_of
from conformance.rules.logprobs_view import (
    FLOOR,
    Entry,
    asked_alternatives,
    asks_and_gets,
    entries,
    every_entry,
    gives_alternatives,
    is_free_text,
    is_wellformed,
    says_nothing,
)
from conformance.rules.stream_view import one_per_place
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import is_number, show
from conformance.wire.traces import Single

_BODY = (Facet.BODY,)
_ASKED = (Facet.REQUEST, Facet.BODY)
_CLOSE = 1e-3
"""Two values that differ by less are one value, computed twice or rounded."""
_ROUNDING = 1e-6
_SURPLUS = 1e-3
"""What rounding may lift the sum of probabilities above 1."""
_ENOUGH = 3
"""So many positions show whether a list goes with its position."""


def _comparable(exchange: Exchange) -> list[tuple[Entry, tuple[Entry, ...]]]:
    """Entries and their alternatives, where all of them have a token and a finite value.

    Entries that spell nothing are left out: control tokens of a model cannot be told apart by their text.
    """
    found = [(entry, entry.alternatives) for entry in every_entry(exchange) if entry.spelled]
    return [(entry, top) for entry, top in found if top and is_wellformed(entry) and all(map(is_wellformed, top))]


def _value(entry: Entry) -> float:
    return entry.logprob if entry.logprob is not None else FLOOR


@rule("logprobs.top.at_most_as_asked", on=Single, reads=_ASKED, when=asks_and_gets())
def at_most_as_asked(trace: Single, terms: Terms) -> Verdicts:
    """No entry lists more alternatives than are asked for."""
    most = asked_alternatives(chat_of(trace.exchange))
    yield from one_per_place(
        entry.at("/top_logprobs", f"at most {most} alternatives", str(len(entry.alternatives)))
        for entry in every_entry(trace.exchange)
        if len(entry.alternatives) > most
    )


@rule(
    "logprobs.top.as_many_as_asked",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: (
        is_free_text(chat_of(trace.exchange))
        and 0 < asked_alternatives(chat_of(trace.exchange)) <= (terms.dialect.limit("top_logprobs.max") or 0)
        and bool(entries(trace.exchange))
    ),
)
def as_many_as_asked(trace: Single, terms: Terms) -> Verdicts:
    """Free text has as many alternatives at each position as are asked for."""
    wanted = asked_alternatives(chat_of(trace.exchange))
    listed = [
        entry
        for entry in every_entry(trace.exchange)
        if isinstance(entry.fields.get("top_logprobs"), list) and not says_nothing(entry)
    ]
    if not listed:
        yield NOT_APPLICABLE
    yield from one_per_place(
        entry.at("/top_logprobs", f"{wanted} alternatives", str(len(entry.alternatives)))
        for entry in listed
        if len(entry.alternatives) < wanted
    )


def _judged(exchange: Exchange) -> Iterator[Vacuous]:
    """Says so where no list can be compared."""
    if not _comparable(exchange):
        yield NOT_APPLICABLE


@rule("logprobs.top.are_sorted", on=Single, reads=_BODY, when=gives_alternatives)
def top_are_sorted(trace: Single, terms: Terms) -> Verdicts:
    """The alternatives come in falling order."""
    yield from _judged(trace.exchange)
    yield from one_per_place(
        later.at("/logprob", f"at most {_value(earlier)!r}, as the one before", repr(_value(later)))
        for _, top in _comparable(trace.exchange)
        for earlier, later in pairwise(top)
        if _value(later) > _value(earlier) + _ROUNDING
    )


def repeated(top: Iterable[Entry]) -> Iterator[Entry]:
    """The entries that are the token of an earlier one, as `Entry.is_the_token_of` says; in linear time.

    Some servers answer a large number with their whole vocabulary at each position.
    """
    bytes_seen: set[bytes] = set()
    texts_seen: set[str] = set()
    texts_without_bytes: set[str] = set()
    for entry in (item for item in top if item.spelled):
        data, text = entry.data, entry.token
        by_text = text in (texts_seen if data is None else texts_without_bytes)
        if by_text or (data is not None and data in bytes_seen):
            yield entry
        if data is not None:
            bytes_seen.add(data)
        elif text is not None:
            texts_without_bytes.add(text)
        if text is not None:
            texts_seen.add(text)


@rule("logprobs.top.are_distinct", on=Single, reads=_BODY, when=gives_alternatives)
def top_are_distinct(trace: Single, terms: Terms) -> Verdicts:
    """No token stands twice among the alternatives of a position."""
    yield from _judged(trace.exchange)
    yield from one_per_place(
        other.at("", "another token at each place", "the same token twice")
        for _, top in _comparable(trace.exchange)
        for other in repeated(top)
    )


@rule("logprobs.top.sum_to_at_most_one", on=Single, reads=_BODY, when=gives_alternatives)
def top_sum_to_at_most_one(trace: Single, terms: Terms) -> Verdicts:
    """The probabilities of a position's alternatives sum to at most 1: the logarithms are natural ones."""
    lists = [(entry, [_value(item) for item in top]) for entry, top in _comparable(trace.exchange)]
    sums = [(entry, sum(map(exp, values))) for entry, values in lists if max(values) <= _CLOSE]
    if not sums:
        yield NOT_APPLICABLE
    yield from one_per_place(
        entry.at("/top_logprobs", "probabilities that sum to at most 1", f"they sum to {total:.3f}")
        for entry, total in sums
        if total > 1 + _SURPLUS
    )


@rule("logprobs.top.agree_on_the_chosen", on=Single, reads=_BODY, when=gives_alternatives)
def top_agree_on_the_chosen(trace: Single, terms: Terms) -> Verdicts:
    """Where the chosen token is among the alternatives, it has the same log probability there."""
    pairs = [
        (entry, item)
        for entry, top in _comparable(trace.exchange)
        for item in top
        if item.is_the_token_of(entry) and _value(entry) > FLOOR
    ]
    if not pairs:
        yield NOT_APPLICABLE
    yield from one_per_place(
        item.at("/logprob", f"{_value(entry)!r}, as for the chosen token", repr(_value(item)))
        for entry, item in pairs
        if abs(_value(entry) - _value(item)) > _CLOSE
    )


@rule("logprobs.top.are_the_likeliest", on=Single, reads=_BODY, when=gives_alternatives)
def top_are_the_likeliest(trace: Single, terms: Terms) -> Verdicts:
    """A chosen token that is not listed is no likelier than those that are."""
    yield from _judged(trace.exchange)
    yield from one_per_place(
        entry.at("/top_logprobs", "the likeliest tokens", f"without the chosen one, though it is likelier than {least}")
        for entry, top in _comparable(trace.exchange)
        if not any(item.is_the_token_of(entry) for item in top)
        and _value(entry) > (least := min(map(_value, top))) + _CLOSE
    )


def _is_greedy(chat: ChatRequest) -> bool:
    """Temperature 0, and nothing that would make another token than the likeliest the right one."""
    temperature = chat.body.get("temperature")
    penalties = (chat.body.get(name) for name in ("presence_penalty", "frequency_penalty", "repetition_penalty"))
    return is_number(temperature) and temperature == 0 and is_free_text(chat) and not any(penalties)


@rule(
    "logprobs.top.lead_with_the_greedy_choice",
    on=Single,
    reads=_ASKED,
    when=asks_and_gets(lambda chat: asked_alternatives(chat) > 0 and _is_greedy(chat)),
)
def top_lead_with_the_greedy_choice(trace: Single, terms: Terms) -> Verdicts:
    """At temperature 0 most chosen tokens are the likeliest ones of their positions."""
    compared = _comparable(trace.exchange)
    if len(compared) < _ENOUGH:
        yield Vacuous(Reason.CUT_BY_LIMIT, "too few tokens")
        return
    wrong = [(entry, top) for entry, top in compared if not _leads(entry, top)]
    if 2 * len(wrong) > len(compared):
        entry, top = wrong[0]
        expected = f"the chosen token first at temperature 0, not {show(top[0].token, 40)}"
        yield entry.at("/top_logprobs", expected, f"{len(wrong)} of {len(compared)} positions lead with another")


def _leads(entry: Entry, top: tuple[Entry, ...]) -> bool:
    likeliest = max(map(_value, top))
    return any(item.is_the_token_of(entry) and _value(item) > likeliest - _CLOSE for item in top)


@rule("logprobs.top.go_with_their_position", on=Single, reads=_BODY, when=gives_alternatives)
def top_go_with_their_position(trace: Single, terms: Terms) -> Verdicts:
    """Positions with different tokens do not all list the same alternatives."""
    lists: dict[tuple[int, str], list[tuple[Entry, tuple[Entry, ...]]]] = {}
    for entry, top in _comparable(trace.exchange):
        lists.setdefault((entry.piece.index, entry.path.split("/")[1]), []).append((entry, top))
    told = [found for found in lists.values() if len({entry.spelled for entry, _ in found}) >= _ENOUGH]
    if not told:
        yield Vacuous(Reason.CUT_BY_LIMIT, "fewer than three different tokens")
    for found in told:
        if len({_listing(top) for _, top in found}) == 1:
            entry, top = found[1]
            shown = ", ".join(show(item.token, 20) for item in top[:4])
            yield entry.at("/top_logprobs", "the likeliest tokens at this position", f"those of the first one: {shown}")


def _listing(top: tuple[Entry, ...]) -> tuple[tuple[bytes, float], ...]:
    return tuple((item.spelled, _value(item)) for item in top)
