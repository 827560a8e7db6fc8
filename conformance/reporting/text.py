"""Text from outside, made fit to be shown: no control characters, no half characters, of bounded length."""

from __future__ import annotations

import unicodedata

LONGEST = 600
"""Characters of one expected or observed text."""

_KEPT = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def printable(text: str, longest: int | None = LONGEST) -> str:
    """Control, formatting and half characters as escapes, so that no answer can steer a terminal or break a file.

    What is longer than `longest` loses its middle; None keeps it whole.
    """
    if longest is not None and len(text) > longest:
        head, tail = longest * 2 // 3, longest // 4
        text = f"{text[:head]} … {len(text) - head - tail} characters … {text[-tail:]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
