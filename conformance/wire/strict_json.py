"""JSON by RFC 8259, strictly: what Python's parser forgives is recorded instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

Json = Any
"""A JSON value: dict, list, str, int, float, bool or None. Kept as Any: every reader checks what it touches."""


DEEPEST = 300
"""Levels of nesting that are read: what is deeper could overflow the stack of whoever walks the value."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """The outcome of parsing: `value` if `ok`, the first `error` otherwise, and every irregularity in `problems`.

    Problems are short words: `duplicate key "x"`, `NaN`, `Infinity`, `-Infinity`, `byte order mark`,
    `lone surrogate`, `huge integer` (thousands of digits: read as an infinite number).
    """

    ok: bool
    value: Json = None
    error: str | None = None
    problems: tuple[str, ...] = ()


def parse(data: bytes | str) -> Document:
    """Parse one JSON text. Never raises: unreadable input gives `ok=False` with the reason in `error`."""
    problems: list[str] = []
    if isinstance(data, bytes):
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            return Document(False, error=f"not UTF-8 at byte {error.start}")
    else:
        text = data
    if text.startswith("\ufeff"):
        problems.append("byte order mark")
        text = text[1:]

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        mapping = dict(items)
        if len(mapping) != len(items):
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    problems.append(f'duplicate key "{key}"')
                seen.add(key)
        return mapping

    def constant(name: str) -> float:
        problems.append(name)
        return float(name.replace("Infinity", "inf"))

    def integer(digits: str) -> int | float:
        try:
            return int(digits)
        except ValueError:
            problems.append("huge integer")
            return float(digits)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_int=integer)
    except RecursionError:
        return Document(False, error="nested too deeply to read", problems=tuple(problems))
    except ValueError as error:
        return Document(False, error=str(error), problems=tuple(problems))
    if text.count("[") + text.count("{") > DEEPEST and _too_deep(value):
        return Document(False, error="nested too deeply to read", problems=tuple(problems))
    if "\\u" in text and any(map(_SURROGATE.search, strings(value))):
        problems.append("lone surrogate")
    return Document(True, value, None, tuple(problems))


def _too_deep(value: Json) -> bool:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            return True
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, (dict, list))
        ]
    return False


def strings(value: Json) -> Iterator[str]:
    """Every string in a JSON value, keys included, without recursion."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item.keys()
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def is_integer(value: Json) -> TypeGuard[int]:
    """A JSON integer as Python reads it: true is none, 1.0 is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Json) -> TypeGuard[int | float]:
    """A JSON number; true is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(left: Json, right: Json) -> bool:
    """Equality that keeps 1, 1.0 and true apart, at every depth, without recursion. NaN equals nothing."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return False
            pairs.extend((one[key], other[key]) for key in one)
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif one != other:
            return False
    return True


def kind(value: Json) -> str:
    """The JSON type's name, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "integer" if isinstance(value, int) else "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "unknown")


def dump(value: Json) -> bytes:
    """Compact UTF-8 JSON in the given key order; lone surrogates are escaped, so that it never fails on them."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def show(value: Json, limit: int = 160) -> str:
    """A value as short JSON text for a message."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        if _SURROGATE.search(text):
            text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape_pointer(token: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")
