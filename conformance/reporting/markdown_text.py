"""Text in Markdown as CI systems show it: what comes from outside stays text, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from conformance.reporting.text import printable

_MARKS = re.compile(r"([\\`*_\[\]<>|#~&!])")


def _fence(text: str, shortest: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(shortest, longest + 1)


def code(text: str, longest: int = 200) -> str:
    """One line of code, fit for a table's cell too: no markup, no link and no mention comes of it."""
    line = " ".join(printable(text, longest).split()) or " "
    fence = _fence(line, 1)
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    # A cell ends at a bar, even within code: GitHub takes the backslash away again, in tables only.
    return f"{fence}{pad}{line}{pad}{fence}"


def cell(text: str) -> str:
    """A cell of a table, of Markdown that stands already."""
    return text.replace("|", "\\|")


def plain(text: str, longest: int = 600) -> str:
    """Words without effect as markup; a space of no width keeps GitHub from making mentions and links of them."""
    marked = _MARKS.sub(r"\\\1", " ".join(printable(text, longest).split()))
    return marked.replace("@", "@\u200b").replace("://", ":\u200b//")


def block(text: str, language: str = "") -> str:
    """A block of code, whole."""
    shown = printable(text, None)
    fence = _fence(shown, 3)
    return f"{fence}{language}\n{shown}\n{fence}"


def fold(summary: str, body: str) -> str:
    """A fold; `summary` is Markdown-free text of ours."""
    words = summary.replace("&", "&amp;").replace("<", "&lt;")
    return f"<details><summary>{words}</summary>\n\n{body}\n\n</details>"


def rows(header: Sequence[str], body: Iterable[Sequence[str]], right: int = 0) -> str:
    """A table of cells that are Markdown already; columns from `right` on are flush right, 0 means none."""
    marks = ["--:" if right and number >= right else "---" for number in range(len(header))]
    lines = [header, marks, *body]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)
