"""How the fake model cuts text into tokens: words with the space before them, and some characters in two halves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from conformance.reference.stages import Token

_WORD = re.compile(r" ?[A-Za-z]{1,12}| ?[0-9]{1,3}| ?[^\sA-Za-z0-9]|\s")
_ALTERNATIVES = (
    " the",
    " a",
    ",",
    " and",
    " to",
    ".",
    " is",
    " in",
    "!",
    " it",
    " we",
    " you",
    " I",
    " an",
    " of",
    " not",
    " for",
    " on",
    " as",
    " be",
    " so",
    " or",
)


@lru_cache(maxsize=4096)
def _pieces(word: str) -> tuple[bytes, ...]:
    data = word.encode("utf-8", "replace")
    character = word[-1]
    if ord(character) >= 0x10000 or (ord(character) >= 0x800 and ord(character) % 3 == 0):
        cut = len(data) - 1
        return data[:cut], data[cut:]
    return (data,)


def split(text: str) -> tuple[bytes, ...]:
    """The text's UTF-8 bytes, cut into tokens; a character that cannot be encoded becomes a question mark."""
    return tuple(piece for word in _WORD.findall(text) for piece in _pieces(word))


@lru_cache(maxsize=4096)
def weigh(data: bytes) -> Token:
    """A token with a made-up log probability, natural and below zero, the same each time for equal bytes."""
    return Token(data, -(20 + sum(data) % 40) / 100)


def tokens_of(pieces: Iterable[bytes]) -> tuple[Token, ...]:
    """The tokens of cut text."""
    return tuple(map(weigh, pieces))


def alternatives(token: Token, count: int) -> list[tuple[bytes, float]]:
    """The `count` likeliest tokens in falling order, the chosen one first; their probabilities sum to less than 1."""
    if token.alternatives:
        return list(token.alternatives[:count])
    others = [word.encode() for word in _ALTERNATIVES if word.encode() != token.data]
    logprob = -2.0
    found = [(token.data, token.logprob)][:count]
    for other in others[: max(0, count - 1)]:
        logprob -= 0.7
        found.append((other, round(logprob, 4)))
    return found


def whole(pieces: Sequence[bytes]) -> tuple[bytes, ...]:
    """The pieces without a character that was cut off at the end."""
    kept = list(pieces)
    while kept and not _ends_whole(kept):
        kept.pop()
    return tuple(kept)


def _ends_whole(pieces: Sequence[bytes]) -> bool:
    tail = b"".join(pieces[-4:])
    for size in range(1, min(4, len(tail)) + 1):
        byte = tail[-size]
        if byte < 0x80:
            return size == 1
        if byte >= 0xC0:
            return size == (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
    return True


def cut_at(pieces: Sequence[bytes], length: int) -> tuple[bytes, ...]:
    """The pieces up to `length` bytes, the last one cut where it reaches over."""
    kept: list[bytes] = []
    left = length
    for piece in pieces:
        if left <= 0:
            break
        kept.append(piece[:left])
        left -= len(piece)
    return tuple(kept)
