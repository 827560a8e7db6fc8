"""Log probabilities as rules read them: the pieces where they stand, their entries, and what the entries spell.

A piece is the `logprobs` of one choice: the only one of an unstreamed answer, one per chunk of a stream. Values are
kept as they came; whoever needs a well-formed one asks for it here and gets None where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from conformance.rules.base import Finding, Terms, at_body, at_chunk
from conformance.rules.calls import chat_of
from conformance.rules.conditions import is_stream
from conformance.rules.refusals import carries_error
from conformance.rules.stream_view import ended_unsaid, intact
from conformance.wire.answer import MISSING, Choice
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json, is_integer, is_number, show
from conformance.wire.traces import Single

SIDES = ("content", "refusal")
_MOST = 20
"""CreateChatCompletionRequest.top_logprobs: maximum."""
FLOOR = -9999.0
"""Stands for "very unlikely" on the original API: ChatCompletionTokenLogprob.logprob in its OpenAPI document."""


@dataclass(frozen=True)
class Piece:
    """The log probabilities of a choice in the body, or in one chunk; `said` is its message or delta.

    `index` is the choice's own in a stream, and its place in an unstreamed answer, which no wrong index confuses.
    """

    exchange: Exchange
    index: int
    pointer: str
    chunk: int | None
    value: Json
    """As it came; MISSING where the key was absent."""
    said: dict[str, Json]
    finish_reason: Json

    def text(self, side: str = "content") -> str:
        """What the message or delta holds on this side, where it is a string."""
        found = self.said.get(side)
        return found if isinstance(found, str) else ""

    def listed(self, side: str) -> list[Json]:
        """The array on this side; empty where there is none."""
        found = self.value.get(side) if isinstance(self.value, dict) else None
        return found if isinstance(found, list) else []

    def at(self, path: str, expected: str, observed: str) -> Finding:
        """A finding inside of `logprobs`."""
        pointer = f"{self.pointer}/logprobs{path}"
        if self.chunk is not None:
            return at_chunk(self.exchange, self.chunk, pointer, expected, observed)
        return at_body(self.exchange, pointer, expected, observed)


@dataclass(frozen=True)
class Entry:
    """One entry, or one alternative of an entry. `position` counts the choice's tokens from 0 over all its pieces."""

    piece: Piece
    path: str
    position: int
    raw: Json

    @property
    def fields(self) -> dict[str, Json]:
        """The members; none where it is no object."""
        return self.raw if isinstance(self.raw, dict) else {}

    @property
    def token(self) -> str | None:
        """The token's text, where it is a string."""
        found = self.fields.get("token")
        return found if isinstance(found, str) else None

    @property
    def logprob(self) -> float | None:
        """The log probability, where it is a number; may be infinite."""
        found = self.fields.get("logprob")
        return _real(found) if is_number(found) else None

    @cached_property
    def data(self) -> bytes | None:
        """The bytes, where they are an array of bytes."""
        found = self.fields.get("bytes")
        if not isinstance(found, list) or not all(is_integer(item) and 0 <= item <= 255 for item in found):
            return None
        return bytes(found)

    @property
    def spelled(self) -> bytes:
        """The bytes, or where there are none those of the token's text."""
        data = self.data
        return data if data is not None else (self.token or "").encode("utf-8", "surrogatepass")

    @property
    def alternatives(self) -> tuple[Entry, ...]:
        """The listed alternatives; none where they are no array."""
        found = self.fields.get("top_logprobs")
        return tuple(
            Entry(self.piece, f"{self.path}/top_logprobs/{place}", self.position, item)
            for place, item in enumerate(found if isinstance(found, list) else ())
        )

    def is_the_token_of(self, other: Entry) -> bool:
        """The same token: by bytes where both have them, else by text. What spells nothing may be any control token."""
        if not self.spelled or not other.spelled:
            return False
        if self.data is not None and other.data is not None:
            return self.data == other.data
        return self.token is not None and self.token == other.token

    def at(self, path: str, expected: str, observed: str) -> Finding:
        """A finding at this entry, which names the token's position, text and bytes."""
        return self.piece.at(f"{self.path}{path}", expected, f"{observed} ({self})")

    def __str__(self) -> str:
        given = self.fields.get("bytes")
        data = f" {show(given, 40)}" if given is not None else ""
        return f"token {self.position} {show(self.fields.get('token'), 40)}{data}"


def _real(value: float | int) -> float:
    """The number; one that is too large for arithmetic becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _pieces(exchange: Exchange) -> Iterator[Piece]:
    if exchange.assembly is not None:
        documents = [(chunk.position, chunk.value, "delta") for chunk in exchange.assembly.chunks]
    elif exchange.document.ok and isinstance(exchange.document.value, dict):
        documents = [(-1, exchange.document.value, "message")]
    else:
        documents = []
    for position, value, key in documents:
        found = value.get("choices")
        for place, item in enumerate(found if isinstance(found, list) else ()):
            if not isinstance(item, dict):
                continue
            index, said = item.get("index"), item.get(key)
            yield Piece(
                exchange,
                index if position >= 0 and is_integer(index) else place,
                f"/choices/{place}",
                None if position < 0 else position,
                item.get("logprobs", MISSING),
                said if isinstance(said, dict) else {},
                item.get("finish_reason"),
            )


@lru_cache(maxsize=64)
def pieces(exchange: Exchange) -> tuple[Piece, ...]:
    """The pieces of a completion in their order; none where there is no completion, or its bytes came to harm."""
    harmed = exchange.events is not None and exchange.events.bad_utf8
    return tuple(_pieces(exchange)) if exchange.answer is not None and not harmed else ()


@lru_cache(maxsize=64)
def entries(exchange: Exchange) -> dict[tuple[int, str], tuple[Entry, ...]]:
    """The entries by choice and side, in order; only sides that have some."""
    found: dict[tuple[int, str], list[Entry]] = {}
    for piece in pieces(exchange):
        for side in SIDES:
            for place, item in enumerate(piece.listed(side)):
                into = found.setdefault((piece.index, side), [])
                into.append(Entry(piece, f"/{side}/{place}", len(into), item))
    return {key: tuple(items) for key, items in found.items()}


def every_entry(exchange: Exchange) -> Iterator[Entry]:
    """All entries of all choices and sides."""
    return (entry for items in entries(exchange).values() for entry in items)


def all_listed(exchange: Exchange) -> Iterator[Entry]:
    """All entries, each followed by its alternatives."""
    for entry in every_entry(exchange):
        yield entry
        yield from entry.alternatives


def content_of(exchange: Exchange, choice: Choice, side: str = "content") -> tuple[Entry, ...]:
    """The entries of one choice of the answer, without those of nothing, which one rule judges."""
    return tuple(entry for entry in entries(exchange).get((place_of(choice), side), ()) if not says_nothing(entry))


def place_of(choice: Choice) -> int:
    """What the pieces of a choice of the answer have as their index."""
    if choice.raw is None and is_integer(choice.index):
        return choice.index
    return int(choice.pointer.rsplit("/", 1)[1])


def is_wellformed(entry: Entry) -> bool:
    """It has a token and a finite value, so that what it says can be compared."""
    value = entry.logprob
    return entry.token is not None and value is not None and abs(value) < float("inf")


def joined(items: tuple[Entry, ...]) -> bytes:
    """What the entries spell together."""
    return b"".join(entry.spelled for entry in items)


def says_nothing(entry: Entry) -> bool:
    """An entry without text and bytes, as of the token that ends the answer."""
    return entry.token == "" and not entry.fields.get("bytes")


def asked_alternatives(chat: ChatRequest) -> int:
    """How many alternatives the request asks for at each position; 0 where none or malformed."""
    found = chat.body.get("top_logprobs")
    return found if is_integer(found) and found > 0 and chat.wants_logprobs else 0


def asks(exchange: Exchange) -> bool:
    """The request asks for log probabilities, and for no number of alternatives that ought to be refused."""
    return chat_of(exchange).wants_logprobs and not _asks_wrongly(exchange)


def _asks_wrongly(exchange: Exchange) -> bool:
    """What comes of such a request is nobody's promise."""
    top = chat_of(exchange).body.get("top_logprobs")
    return top is not None and not (is_integer(top) and 0 <= top <= _MOST)


def is_free_text(chat: ChatRequest) -> bool:
    """Nothing in the request narrows down which tokens may come: no tools, no format, no bias."""
    narrowing = ("tools", "functions", "logit_bias", "prediction")
    return not any(chat.body.get(key) for key in narrowing) and chat.format_type in (None, "text")


def whole(exchange: Exchange) -> bool:
    """A completion that came to its end, and of whose stream nothing was lost in framing."""
    answer = exchange.answer
    if answer is None or carries_error(exchange) or not answer.complete:
        return False
    return not is_stream(exchange) or (intact(exchange) and not ended_unsaid(exchange))


def gives_entries(trace: Single, terms: Terms) -> bool:
    """A condition: a completion with at least one entry."""
    return bool(entries(trace.exchange)) and not _asks_wrongly(trace.exchange)


def gives_alternatives(trace: Single, terms: Terms) -> bool:
    """A condition: some entry lists alternatives."""
    return gives_entries(trace, terms) and any(entry.alternatives for entry in every_entry(trace.exchange))


def asks_and_gets(test: Callable[[ChatRequest], bool] = lambda chat: True) -> Callable[[Single, Terms], bool]:
    """A condition: a request for log probabilities of this kind, and a completion with at least one entry."""
    return lambda trace, terms: asks(trace.exchange) and test(chat_of(trace.exchange)) and bool(entries(trace.exchange))
