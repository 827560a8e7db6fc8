"""Log probabilities in streams: each piece of text brings its own, and all together say what the unstreamed say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.rules.base import NOT_APPLICABLE, Finding, Reason, Terms, Vacuous, Verdicts, rule
from conformance.rules.calls import chat_of, choices_of
from conformance.rules.logprobs_text import spells
from conformance.rules.logprobs_view import (
    FLOOR,
    SIDES,
    Entry,
    Piece,
    asks,
    content_of,
    entries,
    is_wellformed,
    joined,
    pieces,
    place_of,
    whole,
)
from conformance.rules.stream_view import tells_choices_apart
from conformance.wire.answer import Choice
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import is_integer, show
from conformance.wire.traces import Parity, Single

_ASKED = (Facet.REQUEST, Facet.BODY)
_DRIFT = 0.05
"""What the same token's log probability may differ by from one answer to the next."""
_LONGEST_CHARACTER = 4
"""Bytes in UTF-8 (RFC 3629)."""


def _of_piece(piece: Piece, side: str = "content") -> tuple[Entry, ...]:
    return tuple(Entry(piece, f"/{side}/{place}", place, item) for place, item in enumerate(piece.listed(side)))


def _streams_entries(trace: Single, terms: Terms) -> bool:
    """A whole stream that was asked for log probabilities and has some."""
    exchange = trace.exchange
    return asks(exchange) and tells_choices_apart(trace, terms) and whole(exchange) and bool(entries(exchange))


def _told(exchange: Exchange) -> Iterator[tuple[Choice, list[Piece]]]:
    """The choices whose content has entries somewhere, with their pieces in order."""
    for choice in choices_of(exchange):
        if choice.text and choice.finish_reason != "content_filter" and content_of(exchange, choice):
            yield choice, [piece for piece in pieces(exchange) if piece.index == place_of(choice)]


@rule("logprobs.stream.each_text_has_entries", on=Single, reads=_ASKED, when=_streams_entries)
def each_text_has_entries(trace: Single, terms: Terms) -> Verdicts:
    """Each chunk with text has entries, where the choice has any."""
    for _, found in _told(trace.exchange):
        bare = [piece for piece in found if piece.text() and not piece.listed("content")]
        if bare:
            told = sum(bool(piece.text()) for piece in found)
            expected = f"entries for the tokens of {show(bare[0].text(), 40)}"
            yield bare[0].at("/content", expected, f"none in {len(bare)} of {told} chunks with text")
            return


@rule("logprobs.stream.entries_are_of_their_chunk", on=Single, reads=_ASKED, when=_streams_entries)
def entries_are_of_their_chunk(trace: Single, terms: Terms) -> Verdicts:
    """The entries of a chunk spell its text; part of a character may wait for the rest of it."""
    judged = [
        (choice, found)
        for choice, found in _told(trace.exchange)
        if spells(trace.exchange, choice, content_of(trace.exchange, choice))
    ]
    if not judged:
        yield NOT_APPLICABLE
    for _, found in judged:
        finding = _displaced(found)
        if finding is not None:
            yield finding
            return


def _displaced(found: list[Piece]) -> Finding | None:
    """The first chunk with text and entries that are of other text."""
    waiting = b""
    for piece in found:
        said = _of_piece(piece)
        if not said:
            continue
        data = waiting + joined(said)
        if not piece.text():
            waiting = data
            continue
        kept = _unfinished(data)
        spelt, waiting = data[: len(data) - kept].decode("utf-8", "replace"), data[len(data) - kept :]
        if spelt != piece.text() and data.decode("utf-8", "replace") != piece.text():
            return said[0].at("", f"entries of this chunk's text, {show(piece.text(), 40)}", f"of {show(spelt, 60)}")
    return None


def _unfinished(data: bytes) -> int:
    """How many bytes at the end begin a character and do not end it."""
    for size in range(1, min(_LONGEST_CHARACTER, len(data) + 1)):
        lead = data[-size]
        if lead >= 0xC0:
            return size if size < (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4) else 0
        if lead < 0x80:
            return 0
    return 0


@rule("logprobs.stream.none_beside_text", on=Single, reads=_ASKED, when=_streams_entries)
def none_beside_text(trace: Single, terms: Terms) -> Verdicts:
    """A chunk without text, as those with the role or the finish, has no entries, or none of whole characters."""
    for piece in pieces(trace.exchange):
        for side in SIDES:
            said = _of_piece(piece, side)
            if said and not any(
                piece.said.get(key) for key in (*SIDES, "tool_calls", "reasoning_content", "reasoning")
            ):
                text = joined(said).decode("utf-8", "replace")
                if text and "\ufffd" not in text:
                    yield said[0].at("", "no entries, as the chunk has no text", f"of {show(text, 60)}")
                    return


@dataclass(frozen=True)
class _Trio:
    """The entries of one choice: unstreamed, again, and streamed."""

    plain: tuple[tuple[Entry, ...], ...]
    streamed: tuple[Entry, ...]

    def spelled(self) -> tuple[list[list[bytes]], list[bytes]]:
        """The tokens' bytes, unstreamed and streamed."""
        return [[entry.spelled for entry in found] for found in self.plain], [item.spelled for item in self.streamed]


def _trios(trace: Parity) -> list[_Trio]:
    """The choices that say the same in all answers, with entries in all of them."""
    answers = [exchange.answer for exchange in trace.exchanges]
    made: list[_Trio] = []
    for choice in choices_of(trace.streamed):
        same = [answer.choice(choice.index) for answer in answers if answer is not None and is_integer(choice.index)]
        if len(same) != len(answers) or any(one is None or one.text != choice.text for one in same):
            continue
        plain = tuple(content_of(exchange, choice) for exchange in trace.unstreamed)
        streamed = content_of(trace.streamed, choice)
        if all(plain) and streamed and all(map(is_wellformed, (*streamed, *(item for one in plain for item in one)))):
            made.append(_Trio(plain, streamed))
    return made


def _is_pinned(trace: Parity) -> bool:
    body = chat_of(trace.streamed).body
    return body.get("temperature") == 0 or is_integer(body.get("seed"))


def _comparable(trace: Parity, terms: Terms) -> bool:
    """All answers are whole, the request pins the model down, and asks for log probabilities."""
    return asks(trace.streamed) and all(map(whole, trace.exchanges)) and len(trace.exchanges) > 1 and _is_pinned(trace)


@rule("logprobs.parity.same_tokens", on=Parity, reads=_ASKED, when=_comparable)
def parity_same_tokens(trace: Parity, terms: Terms) -> Verdicts:
    """The streamed entries, joined, have the tokens of the unstreamed ones."""
    trios = _trios(trace)
    if not trios:
        yield Vacuous(Reason.MODEL_FREE, "no text with entries that all answers agree on")
    for trio in trios:
        plain, streamed = trio.spelled()
        if len(plain) < 2:
            yield Vacuous(Reason.NO_CONTROL, "only one unstreamed answer")
        elif plain[0] != plain[1]:
            yield Vacuous(Reason.MODEL_FREE, "the unstreamed answers have different tokens")
        elif streamed != plain[0]:
            shorter = min(len(plain[0]), len(streamed))
            pairs = enumerate(zip(plain[0], streamed, strict=False))
            place = next((at for at, (one, other) in pairs if one != other), shorter)
            expected = str(trio.plain[0][place]) if place < len(plain[0]) else "no more tokens"
            observed = f"{len(streamed)} tokens instead of {len(plain[0])}"
            yield trio.streamed[min(place, len(streamed) - 1)].at("", f"{expected}, as unstreamed", observed)


@rule("logprobs.parity.same_values", on=Parity, reads=_ASKED, when=_comparable)
def parity_same_values(trace: Parity, terms: Terms) -> Verdicts:
    """The streamed log probabilities are the unstreamed ones, but for what varies from answer to answer."""
    told = [trio for trio in _trios(trace) if _agree(trio)]
    if not told:
        yield Vacuous(Reason.MODEL_FREE, "no two unstreamed answers with the same tokens and values")
    for trio in told:
        for entry, other in zip(trio.streamed, trio.plain[0], strict=False):
            if _differ(entry, other):
                yield entry.at("/logprob", f"{other.logprob!r}, as unstreamed", repr(entry.logprob))
                return


def _agree(trio: _Trio) -> bool:
    """Two unstreamed answers and the streamed one have the same tokens, and the first two the same values."""
    plain, streamed = trio.spelled()
    if len(plain) < 2 or plain[0] != plain[1] or plain[0] != streamed:
        return False
    return not any(_differ(one, other) for one, other in zip(*trio.plain[:2], strict=True))


def _differ(one: Entry, other: Entry) -> bool:
    values = [entry.logprob for entry in (one, other) if entry.logprob is not None and entry.logprob > FLOOR]
    return len(values) == 2 and abs(values[0] - values[1]) > _DRIFT
