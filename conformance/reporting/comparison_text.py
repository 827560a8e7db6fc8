"""A comparison on a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from conformance.reporting import markdown_text as md
from conformance.reporting.comparison import Changed, Comparison, Line, Table, worst_first
from conformance.reporting.terminal import wrapped
from conformance.verdict.fold import Verdict

_WORDS = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "FAIL",
    Verdict.WARN: "warn",
    Verdict.INFO: "info",
    Verdict.UNSUPPORTED: "unsup.",
    Verdict.BLOCKED: "blocked",
    Verdict.NOT_EXERCISED: "not run",
    Verdict.NOT_OBSERVABLE: "not seen",
    Verdict.EXCLUDED: "left out",
    Verdict.WAIVED: "known",
    Verdict.ERROR: "error",
}
_STYLES = {Verdict.FAIL: "bold red", Verdict.WARN: "yellow", Verdict.INFO: "cyan"}
_WIDTH = 10
"""Characters of a column of verdicts."""
MOST_LINES = 500
"""Lines of one list or table in Markdown."""

Section = tuple[str, list[tuple[str, ...]]]
"""A heading, and its entries: a requirement, and what is said of it."""


def _said(changed: Changed) -> str:
    return f"{changed.before or 'nothing'} → {changed.now or 'nothing'}"


def _sections(found: Comparison) -> Iterator[Section]:
    changes = found.changes
    now = {row.id: row.verdict for row in found.now.report.rows}
    yield (
        "broken",
        [
            (row.id, f"{row.level.value}, {row.impact.value}, at {place}")
            for row, place in worst_first(changes.broken, found.now.report)
        ],
    )
    yield (
        "fixed",
        [
            (row.id, f"{row.level.value}, {row.impact.value}, at {place}")
            for row, place in worst_first(changes.fixed, found.before.report)
        ],
    )
    yield "rejudged", [(item.id, _said(item)) for item in found.rejudged]
    yield "newly exercised", [(name, _WORDS[now[name]]) for name in changes.newly]
    yield "no longer exercised", [(name, _WORDS[now[name]]) for name in changes.gone]
    yield "added", [(name, _WORDS[now[name]]) for name in changes.added]
    yield "removed", [(name,) for name in changes.removed]
    yield "observations that changed", [(item.id, _said(item)) for item in found.observations]


def _closing(found: Comparison) -> str:
    if not found.differs:
        return "nothing differs"
    return ", ".join(f"{len(entries)} {title}" for title, entries in _sections(found) if entries)


def show_comparison(console: Console, found: Comparison) -> None:
    """On a terminal: each kind of change with its requirements, then one line."""
    for label, named in (("before", found.before), ("now", found.now)):
        wrapped(console, f"{named.name}: {named.text}", 8, label)
    for note in found.notes:
        wrapped(console, note, 8, "note")
    console.print()
    for title, entries in _sections(found):
        if not entries:
            continue
        console.print(Text(title, style="bold"), soft_wrap=True)
        for name, *said in entries:
            wrapped(console, f"{name}: {said[0]}" if said else name, 4, "  ")
        console.print()
    console.print(Text(_closing(found)), soft_wrap=True)


def comparison_markdown(found: Comparison) -> str:
    """As Markdown."""
    parts = [f"**{_closing(found).capitalize()}**", ""]
    parts += [f"Before: {md.code(found.before.name)} {md.code(found.before.text)}  "]
    parts += [f"Now: {md.code(found.now.name)} {md.code(found.now.text)}", ""]
    parts += [f"> {md.plain(note)}\n" for note in found.notes]
    for title, entries in _sections(found):
        if entries:
            listed = [(md.code(name), md.code(said[0]) if said else "") for name, *said in entries[:MOST_LINES]]
            parts += [f"### {title.capitalize()}", "", md.rows(("requirement", "what"), listed), ""]
    return "\n".join(parts).rstrip() + "\n"


def _word(verdict: Verdict | None) -> str:
    return "–" if verdict is None else _WORDS[verdict]


def show_table(console: Console, found: Table, *, verbose: bool = False) -> None:
    """On a terminal: a column per report by its number, and each requirement with something to tell."""
    for number, named in enumerate(found.reports, 1):
        wrapped(console, f"{named.name}: {named.text}", 6, f"[{number}]")
    console.print()
    lines = found.lines if verbose else found.told
    numbers = "".join(f"[{number}]".ljust(_WIDTH) for number in range(1, len(found.reports) + 1))
    if lines:
        console.print(Text(f"{numbers}{'level':<8}requirement", style="bold"), soft_wrap=True)
    for line in lines:
        console.print(_line(line), soft_wrap=True)
    for name, values in found.observations:
        wrapped(console, f"{name}: " + ", ".join(value or "–" for value in values), 2)
    console.print(Text(f"\n{found.closing}"), soft_wrap=True)


def _line(line: Line) -> Text:
    """Verdicts first: ids are long, and would push columns over the edge."""
    text = Text()
    for verdict in line.verdicts:
        text.append(_word(verdict).ljust(_WIDTH), style=_STYLES.get(verdict, "") if verdict is not None else "dim")
    return text.append(f"{line.level.value:<8}{line.id}")


def table_markdown(found: Table) -> str:
    """As Markdown: the endpoints, then each requirement with something to tell."""
    parts = [
        md.rows(
            ("", "report", "endpoint", "model", "dialect", "outcome", "violated", "exercised"),
            _endpoints(found),
            right=6,
        ),
        "",
    ]
    header = ("requirement", "level", *(f"[{number}]" for number in range(1, len(found.reports) + 1)))
    told = [(md.code(line.id), line.level.value, *map(_marked, line.verdicts)) for line in found.told[:MOST_LINES]]
    if told:
        parts += [md.rows(header, told), ""]
    parts.append(f"{found.closing}.")
    if found.observations:
        header = ("observation", *header[2:])
        seen = [(md.code(name), *(md.code(value or "–") for value in values)) for name, values in found.observations]
        parts += ["", md.rows(header, seen)]
    return "\n".join(parts).rstrip() + "\n"


def _marked(verdict: Verdict | None) -> str:
    return f"**{_word(verdict)}**" if verdict is Verdict.FAIL else _word(verdict)


def _endpoints(found: Table) -> Iterable[tuple[str, ...]]:
    for number, named in enumerate(found.reports, 1):
        report = named.report
        yield (
            f"[{number}]",
            md.code(named.name),
            md.code(report.endpoint.base_url),
            md.code(str(report.endpoint.model)),
            md.code(report.endpoint.dialect),
            report.outcome.value.replace("_", " "),
            str(len(report.violations)),
            f"{report.coverage.exercised} of {report.coverage.of}",
        )
