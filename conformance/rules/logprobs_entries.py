"""The entries of log probabilities, one by one: their members, their values, and the bytes of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite, isnan

from conformance.rules.base import NOT_APPLICABLE, Finding, Terms, Verdicts, rule
from conformance.rules.logprobs_view import (
    FLOOR,
    Entry,
    all_listed,
    asked_alternatives,
    asks_and_gets,
    every_entry,
    gives_alternatives,
    gives_entries,
    says_nothing,
)
from conformance.rules.stream_view import one_per_place
from conformance.wire.answer import MISSING
from conformance.wire.exchange import Facet
from conformance.wire.strict_json import Json, is_number, kind, show
from conformance.wire.traces import Single

_BODY = (Facet.BODY,)
_ASKED = (Facet.REQUEST, Facet.BODY)
_TOLERANCE = 1e-6
"""What rounding may lift a log probability of 0 to."""


def _shown(entry: Entry, key: str) -> str:
    return show(entry.fields[key], 60) if key in entry.fields else "absent"


def _members(entry: Entry) -> Iterator[Finding]:
    """What is wrong with the members that every entry and alternative needs."""
    if not isinstance(entry.raw, dict):
        yield entry.at("", "an object", kind(entry.raw))
        return
    if entry.token is None:
        yield entry.at("/token", "the token as a string", _shown(entry, "token"))
    if not is_number(entry.fields.get("logprob")):
        yield entry.at("/logprob", "the log probability as a number", _shown(entry, "logprob"))


@rule("logprobs.entry.has_token_and_logprob", on=Single, reads=_BODY, when=gives_entries)
def entry_has_token_and_logprob(trace: Single, terms: Terms) -> Verdicts:
    """Every entry has a token that is a string and a logprob that is a number."""
    yield from one_per_place(finding for entry in every_entry(trace.exchange) for finding in _members(entry))


@rule("logprobs.alternative.has_token_and_logprob", on=Single, reads=_BODY, when=gives_alternatives)
def alternative_has_token_and_logprob(trace: Single, terms: Terms) -> Verdicts:
    """Every alternative has a token that is a string and a logprob that is a number."""
    yield from one_per_place(
        finding
        for entry in every_entry(trace.exchange)
        for alternative in entry.alternatives
        for finding in _members(alternative)
    )


@rule("logprobs.bytes.are_present", on=Single, reads=(*_BODY, Facet.KEYS_COMPLETE), when=gives_entries)
def bytes_are_present(trace: Single, terms: Terms) -> Verdicts:
    """Every entry and every alternative has the key bytes."""
    yield from one_per_place(
        entry.at("/bytes", "the key bytes, an array or null", "absent")
        for entry in all_listed(trace.exchange)
        if isinstance(entry.raw, dict) and "bytes" not in entry.raw
    )


def _top_is_no_array(trace: Single) -> Iterator[Finding]:
    for entry in every_entry(trace.exchange):
        found: Json = entry.fields.get("top_logprobs", MISSING)
        if isinstance(entry.raw, dict) and not isinstance(found, list):
            observed = "absent" if found is MISSING else show(found, 60)
            yield entry.at("/top_logprobs", "an array of alternatives", observed)


@rule(
    "logprobs.top.is_an_array",
    on=Single,
    reads=(*_ASKED, Facet.KEYS_COMPLETE),
    when=asks_and_gets(lambda chat: asked_alternatives(chat) > 0),
)
def top_is_an_array(trace: Single, terms: Terms) -> Verdicts:
    """Where alternatives are asked for, every entry has an array of them."""
    yield from one_per_place(_top_is_no_array(trace))


@rule(
    "logprobs.top.is_an_array_unasked",
    on=Single,
    reads=(*_ASKED, Facet.KEYS_COMPLETE),
    when=asks_and_gets(lambda chat: chat.body.get("top_logprobs") in (None, 0)),
)
def top_is_an_array_unasked(trace: Single, terms: Terms) -> Verdicts:
    """Where no alternatives are asked for, the array of them is there, and empty."""
    yield from one_per_place(_top_is_no_array(trace))


def _values(trace: Single, expected: str, wrong: Callable[[float], bool]) -> Verdicts:
    """Every log probability of entries and alternatives against a test of its value."""
    valued = [entry for entry in all_listed(trace.exchange) if entry.logprob is not None]
    if not valued:
        yield NOT_APPLICABLE
    yield from one_per_place(
        entry.at("/logprob", expected, repr(entry.logprob))
        for entry in valued
        if entry.logprob is not None and wrong(entry.logprob)
    )


@rule("logprobs.value.is_not_positive", on=Single, reads=_BODY, when=gives_entries)
def value_is_not_positive(trace: Single, terms: Terms) -> Verdicts:
    """A log probability is at most 0, the logarithm of certainty."""
    yield from _values(trace, "at most 0", lambda value: isfinite(value) and value > _TOLERANCE)


@rule("logprobs.value.is_finite", on=Single, reads=_BODY, when=gives_entries)
def value_is_finite(trace: Single, terms: Terms) -> Verdicts:
    """A log probability is a finite number."""
    yield from _values(trace, "a finite number", lambda value: not isfinite(value) or isnan(value))


@rule("logprobs.value.is_above_the_floor", on=Single, reads=_BODY, when=gives_entries)
def value_is_above_the_floor(trace: Single, terms: Terms) -> Verdicts:
    """A log probability that stands for "very unlikely" is -9999.0, and nothing is below that."""
    found = terms.dialect.limit("logprob.sentinel")
    floor = float(found) if is_number(found) else FLOOR
    yield from _values(trace, f"at least {floor}", lambda value: isfinite(value) and value < floor - 1)


@rule("logprobs.bytes.are_bytes", on=Single, reads=_BODY, when=gives_entries)
def bytes_are_bytes(trace: Single, terms: Terms) -> Verdicts:
    """The bytes are integers from 0 to 255, in an array."""
    given = [entry for entry in all_listed(trace.exchange) if entry.fields.get("bytes") is not None]
    if not given:
        yield NOT_APPLICABLE
    yield from one_per_place(
        entry.at("/bytes", "an array of integers from 0 to 255", show(entry.fields["bytes"], 60))
        for entry in given
        if entry.data is None
    )


@rule("logprobs.bytes.are_given", on=Single, reads=_BODY, when=gives_entries)
def bytes_are_given(trace: Single, terms: Terms) -> Verdicts:
    """A token of whole characters has bytes: they are null only where there are none."""
    spelt = [entry for entry in every_entry(trace.exchange) if entry.token and "\ufffd" not in entry.token]
    if not spelt:
        yield NOT_APPLICABLE
    yield from one_per_place(
        entry.at("/bytes", "the bytes of the token's text", "null")
        for entry in spelt
        if "bytes" in entry.fields and entry.fields["bytes"] is None
    )


def _spelt(entry: Entry) -> str | None:
    """What the token has to be by its bytes, or None where they leave it open.

    How part of a character is written is free: by U+FFFD, or escaped in ASCII; but not by other characters.
    """
    data, token = entry.data, entry.token
    if not data or token is None:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        free = token.isascii() or "\ufffd" in token or "\\x" in token
        return None if free else data.decode("utf-8", "replace")


@rule("logprobs.bytes.spell_the_token", on=Single, reads=_BODY, when=gives_entries)
def bytes_spell_the_token(trace: Single, terms: Terms) -> Verdicts:
    """Bytes that are whole characters are those of the token's text."""
    whole = [(entry, text) for entry in all_listed(trace.exchange) if (text := _spelt(entry)) is not None]
    if not whole:
        yield NOT_APPLICABLE
    yield from one_per_place(
        entry.at("/token", f"{show(text, 40)}, as the bytes say", show(entry.token, 40))
        for entry, text in whole
        if entry.token != text
    )


@rule(
    "logprobs.entry.is_of_the_text",
    on=Single,
    reads=_BODY,
    when=gives_entries,
)
def entry_is_of_the_text(trace: Single, terms: Terms) -> Verdicts:
    """Every entry is of a token of the text: none is of a special token that says nothing."""
    yield from one_per_place(
        entry.at("", "a token with text or bytes", "an entry of nothing")
        for entry in every_entry(trace.exchange)
        if says_nothing(entry)
    )
