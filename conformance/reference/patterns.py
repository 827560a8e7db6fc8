"""A text that a regular expression matches, for the common constructs; the caller checks what comes out."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from functools import lru_cache
from re import _parser
from typing import Any

_ALPHABET = string.ascii_lowercase + string.digits + string.ascii_uppercase + "_- ./:@#+*,;!?=()[]{}<>\"'%&$~^|\\\t\n"

_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "DIGIT": str.isdigit,
    "SPACE": str.isspace,
    "WORD": lambda character: character.isalnum() or character == "_",
}


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """The compiled pattern, or None where it is none that Python reads."""
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None


@lru_cache(maxsize=256)
def sample(pattern: str, extra: int = 0) -> str | None:
    """A text for the pattern, with `extra` more turns of each open repeat; None where that is beyond it.

    The same arguments give the same text. ECMA-262 and Python agree on what is handled here.
    """
    if compiled(pattern) is None:
        return None
    try:
        return _sequence(_parser.parse(pattern), extra, {})
    except (_Beyond, RecursionError):
        return None


_LONGEST = 10_000
"""Characters beyond which no text is made."""


class _Beyond(Exception):
    """A construct for which no text is made."""


def _sequence(items: Any, extra: int, groups: dict[int, str]) -> str:
    return "".join(_one(str(kind), value, extra, groups) for kind, value in items)


def _one(kind: str, value: Any, extra: int, groups: dict[int, str]) -> str:
    match kind:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return next(character for character in _ALPHABET if ord(character) != value)
        case "ANY":
            return "a"
        case "IN":
            return _member(value)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, inner = value
            turns = min(low + extra, int(high)) if low or extra else min(1, int(high))
            return _repeated(inner, turns, extra, groups)
        case "BRANCH":
            return _sequence(value[1][extra % len(value[1])], extra, groups)
        case "SUBPATTERN":
            made = _sequence(value[3], extra, groups)
            if value[0] is not None:
                groups[value[0]] = made
            return made
        case "ATOMIC_GROUP":
            return _sequence(value, extra, groups)
        case "GROUPREF":
            return groups.get(value, "")
        case "AT" | "ASSERT" | "ASSERT_NOT":
            return ""
        case _:
            raise _Beyond


def _repeated(inner: Any, turns: int, extra: int, groups: dict[int, str]) -> str:
    made: list[str] = []
    size = 0
    for _ in range(turns):
        made.append(_sequence(inner, extra, groups))
        size += len(made[-1])
        if not made[-1]:
            break
        if size > _LONGEST:
            raise _Beyond
    return "".join(made)


def _member(items: Any) -> str:
    negated = bool(items) and str(items[0][0]) == "NEGATE"
    tests = [_test(str(kind), value) for kind, value in (items[1:] if negated else items)]
    if not negated:
        kind, value = items[0]
        if str(kind) == "LITERAL":
            return chr(value)
        if str(kind) == "RANGE":
            return chr(value[0])
    for character in _ALPHABET:
        if any(test(character) for test in tests) != negated:
            return character
    raise _Beyond


def _test(kind: str, value: Any) -> Callable[[str], bool]:
    match kind:
        case "LITERAL":
            return lambda character: ord(character) == value
        case "RANGE":
            return lambda character: value[0] <= ord(character) <= value[1]
        case "CATEGORY":
            name = str(value)
            inside = _CATEGORIES[name.rsplit("_", 1)[1]]
            return (lambda character: not inside(character)) if "_NOT_" in name else inside
        case _:
            raise _Beyond
