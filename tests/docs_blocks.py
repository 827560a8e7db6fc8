"""What stands in the fenced blocks of a document."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def blocks(name, language):
    """The blocks of a document in a language, in order."""
    text = (ROOT / "docs" / name).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def session(text):
    """A console block as pairs of a command and the lines that it is said to print."""
    steps = []
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def fits(said, printed):
    """Whether the lines come in this order among those that were printed; `…` stands for anything within a line."""
    patterns = [re.compile(".*".join(map(re.escape, line.split("…"))) + r"\Z") for line in said]
    waiting = iter(printed)
    return all(any(pattern.match(line) for line in waiting) for pattern in patterns)
