"""The report as Markdown: `report.md` fits a CI job's summary, `comment.md` a comment on a pull request.

Everything that the endpoint said stands in code, so that no mention, link or markup comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from conformance.catalogue.model import Impact, Level
from conformance.reporting import markdown_text as md
from conformance.reporting.model import Report, Row, Violation
from conformance.reporting.terminal import COLUMNS, KNOWN
from conformance.verdict.baseline import Against
from conformance.verdict.difference import Place
from conformance.verdict.fold import Verdict
from conformance.verdict.outcome import Outcome
from conformance.verdict.waivers import State, Told

MOST_BYTES = 900_000
"""Of a report; a job's summary takes 1 MiB of UTF-8."""
MOST_CHARACTERS = 60_000
"""Of a comment; GitHub takes 65 536."""
MOST_IN_COMMENT = 10
"""Violations that a comment names."""
_LONGEST_CURL = 4_000
_MOST_IDS = 20
MARK = "<!-- conformance -->"
"""The first line of a comment, by which the next run finds the one to replace."""

_SIGNS = {Outcome.CONFORMANT: "✅", Outcome.NONCONFORMANT: "❌"}


def _headline(report: Report) -> str:
    name, sign = report.outcome.value.upper().replace("_", " "), _SIGNS.get(report.outcome, "⚠️")
    return f"## {sign} {name}\n\n{md.plain(report.reason)}; {md.plain(report.coverage.text)}."


def _about(report: Report) -> str:
    endpoint, run = report.endpoint, report.run
    return (
        f"{md.code(endpoint.base_url)}, model {md.code(str(endpoint.model))}, dialect {md.code(endpoint.dialect)}, "
        f"effort {run.effort}, {run.requests} requests, {run.prompt_tokens + run.completion_tokens} tokens"
    )


def _areas(report: Report) -> str:
    columns = (*COLUMNS, KNOWN) if report.counts[Verdict.WAIVED.value] else COLUMNS
    lines = []
    for area in dict.fromkeys(row.area for row in report.rows):
        verdicts = [row.verdict for row in report.rows if row.area == area]
        cells = [sum(verdict in group for verdict in verdicts) for _, group in columns]
        cost = report.run.areas.get(area)
        lines.append((area, *(str(cell or "·") for cell in cells), str(cost.requests) if cost is not None else "·"))
    return md.rows(("area", *(name for name, _ in columns), "requests"), lines, right=1)


def _curl(row: Row, found: Violation) -> str:
    commands = "\n".join(step.curl for step in found.steps)
    if not commands:
        return ""
    if len(commands) > _LONGEST_CURL:
        return f"The commands are long: `conformance replay <report> {row.id}` sends them.\n"
    count = "" if len(found.steps) == 1 else f" ({len(found.steps)} requests)"
    return md.fold(f"{'Smallest curl' if found.minimal else 'Curl'}{count}", md.block(commands, "sh")) + "\n"


def _seen(row: Row, found: Violation) -> str:
    again = "" if found.confirmed is None else f"; sent again: {found.confirmed[0]} of {found.confirmed[1]}"
    return f"in {found.count} of {row.exercised} traces{again}"


def _violation(row: Row) -> str:
    lines = [f"**{row.verdict.value.upper()}** {row.level.value} {md.code(row.id)}: {md.plain(row.title)}", ""]
    found = row.findings[0]
    for label, text in (
        ("where", md.code(found.where.text)),
        ("expected", md.code(found.expected, 400)),
        ("observed", md.code(found.observed, 400)),
        ("seen", _seen(row, found)),
        ("source", md.code(row.source)),
    ):
        lines.append(f"- {label}: {text}")
    if len(row.findings) > 1:
        lines.append(f"- and at {len(row.findings) - 1} more {'place' if len(row.findings) == 2 else 'places'}")
    if row.excused:
        lines.append(f"- and at {row.excused} {'place that is' if row.excused == 1 else 'places that are'} known")
    return "\n".join([*lines, "", _curl(row, found)])


def _violations(report: Report) -> Iterator[str]:
    """By impact, the worst first; remarks of level MAY come last of each."""
    for impact in Impact:
        rows = [row for row in report.violations if row.impact is impact]
        for number, row in enumerate(sorted(rows, key=lambda row: row.level is Level.MAY)):
            head = f"### {impact.value.capitalize()}\n\n" if number == 0 else ""
            yield head + _violation(row)


def _ids(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_IDS} more" if len(listed) > _MOST_IDS else ""
    return ", ".join(md.code(name) for name in listed[:_MOST_IDS]) + more


def _waiver(told: Told) -> tuple[str, ...]:
    waiver = told.waiver
    link = f" {md.code(waiver.link)}" if waiver.link else ""
    return (
        told.state.value if told.state is State.USED else f"**{told.state.value}**",
        md.code(waiver.requirement),
        md.code(waiver.place) if waiver.place else "",
        f"{md.plain(waiver.reason)}{link}",
        md.plain(waiver.owner),
        waiver.expires.isoformat(),
        md.plain(told.why),
    )


def _waivers(report: Report) -> str:
    states = [told.state for told in report.waivers]
    counted = ", ".join(f"{states.count(state)} {state.value}" for state in State if state in states)
    body = md.rows(("state", "requirement", "place", "reason", "owner", "until", ""), map(_waiver, report.waivers))
    return md.fold(f"Waivers: {counted}", body)


def _listed(places: Iterable[Place]) -> str:
    listed = list(places)
    lines = [f"- {md.code(name)} at {md.code(place)}" for name, place in listed[:_MOST_IDS]]
    return "\n".join([*lines, *([f"- and {len(listed) - _MOST_IDS} more"] if len(listed) > _MOST_IDS else [])])


def _since(found: Against) -> str:
    return "not in the baseline" if found.same_catalogue else "added since"


def _counted(found: Against) -> str:
    return (
        f"{len(found.new)} new, {len(found.known)} known, {len(found.fixed)} fixed, "
        f"{len(found.gone)} no longer exercised, {len(found.added)} {_since(found)}"
    )


def _against(found: Against) -> str:
    parts = [f"### Against {md.plain(found.name)}", "", f"{_counted(found)}."]
    if not found.same_catalogue:
        parts.append("It was made under another catalogue: rules may judge otherwise now.")
    for title, text in (
        ("New", _listed(found.new)),
        ("Fixed", _listed(found.fixed)),
        ("No longer exercised", _ids(found.gone)),
        (_since(found).capitalize(), _ids(found.added)),
    ):
        if text:
            parts += ["", f"{title}:", "", text]
    return "\n".join(parts)


def _gaps(report: Report) -> str:
    lines = [f"- {md.code(gap.why)}: {_ids(gap.ids)}" for gap in report.gaps]
    if report.without:
        flags = " ".join(f"--without {name}" for name in report.without)
        lines += ["", f"If that is meant, say so: {md.code(flags)}"]
    return "\n".join(["### Could not be judged", "", *lines])


def _tail(report: Report) -> Iterator[str]:
    if report.baseline is not None:
        yield _against(report.baseline)
    if report.waivers:
        yield _waivers(report)
    if report.gaps:
        yield _gaps(report)
    if report.run.defects:
        lines = [f"- {md.code(text)}" for text in report.run.defects[:_MOST_IDS]]
        yield "\n".join(["### Errors of the suite itself", "", *lines])


def _fitting(parts: Iterable[str], room: int, size: Callable[[str], int]) -> Iterator[str]:
    """Parts as long as there is room, then how many were left out."""
    waiting = list(parts)
    for number, part in enumerate(waiting):
        room -= size(part) + 2
        if room < 0:
            left = len(waiting) - number
            yield f"{left} more {'is' if left == 1 else 'are'} in `report.json`."
            return
        yield part


def render(report: Report) -> str:
    """`report.md`: outcome, areas, violations by impact with their commands folded, and what was known before."""
    head = [_headline(report), _about(report), *([_areas(report)] if report.rows else [])]
    tail = list(_fitting(_tail(report), MOST_BYTES // 3, _bytes))
    room = MOST_BYTES - sum(_bytes(part) + 2 for part in (*head, *tail))
    return "\n\n".join([*head, *_fitting(_violations(report), room, _bytes), *tail]) + "\n"


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def _short(row: Row) -> str:
    found = row.findings[0]
    return (
        f"- **{row.verdict.value.upper()}** {row.level.value} {md.code(row.id)} ({row.impact.value}), "
        f"{md.code(found.where.part + ' ' + found.where.pointer)}: {md.code(found.observed, 120)}"
    )


def comment(report: Report) -> str:
    """`comment.md`: the outcome, the worst violations in a line each, and what changed against the baseline."""
    rows = [row for row in report.violations if row.level is not Level.MAY]
    parts = [MARK, _headline(report), _about(report)]
    if rows:
        more = len(rows) - MOST_IN_COMMENT
        lines = [*map(_short, rows[:MOST_IN_COMMENT]), *([f"- and {more} more"] if more > 0 else [])]
        parts.append("\n".join(lines))
    if report.baseline is not None:
        parts.append(f"Against {md.plain(report.baseline.name)}: {_counted(report.baseline)}.")
    stale = [told for told in report.waivers if told.state in (State.STALE, State.EXPIRED)]
    if stale:
        lines = [f"- {told.state.value}: {md.code(told.waiver.requirement)}, {md.plain(told.why)}" for told in stale]
        parts.append("\n".join(["Waivers to look at:", "", *lines[:MOST_IN_COMMENT]]))
    return "\n\n".join(_fitting(parts, MOST_CHARACTERS, len)) + "\n"
