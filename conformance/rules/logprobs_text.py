"""Log probabilities and the text that they are of: their bytes spell it, and there are no more of them than tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from conformance.rules.base import NOT_APPLICABLE, Finding, Reason, Terms, Vacuous, Verdicts, rule
from conformance.rules.calls import chat_of, choices_of
from conformance.rules.conditions import is_stream
from conformance.rules.logprobs_view import (
    Entry,
    asks,
    asks_and_gets,
    content_of,
    entries,
    joined,
    pieces,
    place_of,
    says_nothing,
    whole,
)
from conformance.wire.answer import Choice
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import is_integer, show
from conformance.wire.traces import Single

_ASKED = (Facet.REQUEST, Facet.BODY)
_BROKEN = Vacuous(Reason.TRANSPORT, "the answer broke off")
_REPLACEMENT = "\ufffd"
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a pair: no bytes spell it."""


def _spelt(exchange: Exchange) -> Iterator[tuple[Choice, tuple[Entry, ...]]]:
    """The choices with entries for a content that is text; where they are of calls or of no text, others judge."""
    for choice in choices_of(exchange):
        found = content_of(exchange, choice)
        if not isinstance(choice.content, str) or _SURROGATE.search(choice.content):
            continue
        filtered = choice.finish_reason == "content_filter" or (not choice.text and (choice.calls or choice.refusal))
        if found and not filtered and all(entry.token is not None for entry in found):
            yield choice, found


def spells(exchange: Exchange, choice: Choice, found: tuple[Entry, ...]) -> bool:
    """The entries' bytes are the text's.

    What a stop sequence cut off may still be in the last entry, and of a text that the token limit cut, the last
    character may be unfinished. Calls beside the text may have entries after its own, which is another rule's matter.
    """
    said = joined(found).decode("utf-8", "replace")
    text = choice.text.encode("utf-8", "replace").decode("utf-8")
    if choice.finish_reason == "length":
        said, text = said.rstrip(_REPLACEMENT), text.rstrip(_REPLACEMENT)
    if choice.calls or (chat_of(exchange).stops and choice.finish_reason == "stop"):
        return said.startswith(text)
    return said == text


def _join(trace: Single, *, beyond_ascii: bool) -> Verdicts:
    exchange = trace.exchange
    if not whole(exchange):
        yield _BROKEN
        return
    found = list(_spelt(exchange))
    if not found:
        yield NOT_APPLICABLE
    for choice, items in found:
        if choice.text.isascii() is beyond_ascii:
            yield Vacuous(Reason.MODEL_FREE, "the text is ASCII" if beyond_ascii else "the text is not ASCII alone")
        elif not spells(exchange, choice, items):
            yield _first_difference(choice, items)


def _first_difference(choice: Choice, items: tuple[Entry, ...]) -> Finding:
    """A finding at the first entry after which the bytes are no beginning of the text."""
    text, so_far = choice.text.encode("utf-8", "replace"), b""
    for entry in items:
        so_far += entry.spelled
        if not text.startswith(so_far):
            break
    start = max(0, len(so_far) - len(entry.spelled) - 10)
    expected = f"bytes that join to the content: {show(text[start : start + 40].decode('utf-8', 'replace'), 60)}"
    return entry.at("/bytes", expected, show(joined(items)[start : start + 40].decode("utf-8", "replace"), 60))


@rule("logprobs.bytes.join_to_the_text", on=Single, reads=_ASKED, values=("content",), when=asks_and_gets())
def bytes_join_to_the_text(trace: Single, terms: Terms) -> Verdicts:
    """The bytes of all entries, joined, are the content."""
    yield from _join(trace, beyond_ascii=False)


@rule("logprobs.bytes.join_beyond_ascii", on=Single, reads=_ASKED, values=("content",), when=asks_and_gets())
def bytes_join_beyond_ascii(trace: Single, terms: Terms) -> Verdicts:
    """The bytes of all entries, joined, are the content where characters take several bytes, or several tokens."""
    yield from _join(trace, beyond_ascii=True)


def _visible_tokens(exchange: Exchange) -> int | None:
    """The completion's tokens without those of hidden reasoning, where both are counted plausibly."""
    usage = exchange.answer.usage if exchange.answer is not None else None
    if not isinstance(usage, dict) or not is_integer(usage.get("completion_tokens")) or usage["completion_tokens"] <= 0:
        return None
    if is_stream(exchange) and not chat_of(exchange).include_usage:
        return None
    details = usage.get("completion_tokens_details")
    hidden = details.get("reasoning_tokens") if isinstance(details, dict) else None
    made: int = usage["completion_tokens"]
    return made - hidden if is_integer(hidden) and 0 <= hidden <= made else made


@rule("logprobs.entries.are_no_more_than_tokens", on=Single, reads=_ASKED, values=("usage",), when=asks_and_gets())
def entries_are_no_more_than_tokens(trace: Single, terms: Terms) -> Verdicts:
    """There are no more entries than tokens are counted; whether a limit was kept is another rule's matter."""
    exchange = trace.exchange
    counted = None if terms.dialect.convention("usage.reasoning") == "separate" else _visible_tokens(exchange)
    if counted is None:
        yield NOT_APPLICABLE
        return
    found = [[entry for entry in items if not says_nothing(entry)] for items in entries(exchange).values()]
    # What several choices are counted as is a matter of usage: then each of them alone is held against the count.
    most = max(found, key=len) if len(choices_of(exchange)) > 1 else [entry for items in found for entry in items]
    if len(most) > counted:
        yield most[-1].at("", f"at most {counted} entries, as many as tokens are counted", f"{len(most)} entries")


@rule(
    "logprobs.content.leaves_calls_out",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: (
        asks(trace.exchange)
        and whole(trace.exchange)
        and any(choice.calls and not choice.text for choice in choices_of(trace.exchange))
    ),
)
def content_leaves_calls_out(trace: Single, terms: Terms) -> Verdicts:
    """An answer of calls alone has no entries under content."""
    for choice in choices_of(trace.exchange):
        found = content_of(trace.exchange, choice)
        if choice.calls and not choice.text and found:
            text = joined(found).decode("utf-8", "replace")
            yield found[0].at("", "no entries: the content is empty", f"{len(found)} entries: {show(text, 60)}")
            return


@rule(
    "logprobs.refusal.has_entries_of_its_own",
    on=Single,
    reads=_ASKED,
    when=lambda trace, terms: (
        asks(trace.exchange)
        and whole(trace.exchange)
        and any(isinstance(choice.refusal, str) and choice.refusal for choice in choices_of(trace.exchange))
    ),
)
def refusal_has_entries_of_its_own(trace: Single, terms: Terms) -> Verdicts:
    """The tokens of a refusal are listed under refusal, and their bytes spell it."""
    exchange = trace.exchange
    for choice in choices_of(exchange):
        if not isinstance(choice.refusal, str) or not choice.refusal:
            continue
        found, beside = (content_of(exchange, choice, side) for side in ("refusal", "content"))
        if beside and not choice.text:
            yield beside[0].at("", "entries under refusal, as the text is a refusal", f"{len(beside)} under content")
        elif not found or joined(found).decode("utf-8", "replace") != choice.refusal:
            said = joined(found).decode("utf-8", "replace")
            expected = f"entries under refusal that spell {show(choice.refusal, 60)}"
            observed = show(said, 60) if found else "no entries"
            yield _at_refusal(exchange, choice, expected, observed)


def _at_refusal(exchange: Exchange, choice: Choice, expected: str, observed: str) -> Finding:
    last = [piece for piece in pieces(exchange) if piece.index == place_of(choice)][-1]
    return last.at("/refusal", expected, observed)
