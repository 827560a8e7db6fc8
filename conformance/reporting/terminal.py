"""The report on a terminal: violations worst first, then the areas, then one line with the outcome.

Readable at 80 columns and without colour. Commands are printed without wrapping, so that they can be copied.
"""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from conformance.catalogue.model import Level
from conformance.reporting.model import Report, Row, Violation
from conformance.reporting.text import printable
from conformance.verdict.baseline import Against
from conformance.verdict.fold import Verdict
from conformance.verdict.outcome import Outcome
from conformance.verdict.waivers import State

_STYLE = {Verdict.FAIL: "bold red", Verdict.WARN: "yellow", Verdict.INFO: "cyan"}
_OUTCOME = {Outcome.CONFORMANT: "bold green", Outcome.NONCONFORMANT: "bold red"}
_ASIDE = (
    Verdict.WAIVED,
    Verdict.UNSUPPORTED,
    Verdict.BLOCKED,
    Verdict.NOT_EXERCISED,
    Verdict.NOT_OBSERVABLE,
    Verdict.ERROR,
)
_MOST_IDS = 4


def wrapped(console: Console, text: str, indent: int, first: str = "") -> None:
    """Text under an indentation, wrapped at words, without spaces at the end of lines."""
    room = max(40, console.width) - indent
    lines = [part for line in printable(text).split("\n") for part in textwrap.wrap(line, room) or [""]]
    for number, line in enumerate(lines):
        head = first.ljust(indent) if number == 0 else " " * indent
        console.print(Text.assemble((head, "dim"), line), soft_wrap=True)


def _line(console: Console, label: str, text: str) -> None:
    wrapped(console, text, 14, f"    {label}")


def _again(found: Violation, row: Row) -> str:
    seen = f"in {found.count} of {row.exercised} traces"
    if found.confirmed is None:
        return seen
    k, n = found.confirmed
    return f"{seen}; sent again: {k} of {n}"


def _violation(console: Console, row: Row, found: Violation, *, commands: bool) -> None:
    _line(console, "where", found.where.text)
    _line(console, "expected", found.expected)
    _line(console, "observed", found.observed)
    _line(console, "seen", _again(found, row))
    if not commands:
        return
    for number, step in enumerate(found.steps, 1):
        label = "smallest" if found.minimal else "shown by"
        count = f" ({number} of {len(found.steps)})" if len(found.steps) > 1 else ""
        console.print(Text(f"    {label}{count}", style="dim"))
        console.print(Text(f"      {printable(step.curl, None)}"), soft_wrap=True)


def violated(console: Console, row: Row, *, verbose: bool = False) -> None:
    """One violated requirement: every place with `verbose`, else the most frequent with its commands."""
    head = Text(f"{row.verdict.value.upper():<5}", style=_STYLE[row.verdict])
    head.append(f"{row.level.value} {row.id}", style="bold")
    head.append(f"  [{row.impact.value}]", style="dim")
    console.print(head, soft_wrap=True)
    wrapped(console, row.title, 4)
    shown = row.findings if verbose else row.findings[:1]
    for found in shown:
        _violation(console, row, found, commands=verbose or row.verdict is not Verdict.INFO)
    hidden = len(row.findings) - len(shown)
    if hidden:
        places = "place" if hidden == 1 else "places"
        console.print(Text(f"    and at {hidden} more {places} (-v shows them)", style="dim"))
    if row.excused:
        places = "place that is" if row.excused == 1 else "places that are"
        console.print(Text(f"    and at {row.excused} {places} known", style="dim"))
    console.print()


COLUMNS = (
    ("pass", (Verdict.PASS,)),
    ("fail", (Verdict.FAIL,)),
    ("warn", (Verdict.WARN,)),
    ("info", (Verdict.INFO,)),
    ("unsup.", (Verdict.UNSUPPORTED,)),
    ("not run", (Verdict.NOT_EXERCISED, Verdict.NOT_OBSERVABLE, Verdict.BLOCKED, Verdict.ERROR)),
    ("left out", (Verdict.EXCLUDED,)),
)
KNOWN = ("known", (Verdict.WAIVED,))


def areas(report: Report) -> Table:
    """One line per area: verdicts, and requests."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("area", no_wrap=True)
    columns = (*COLUMNS, KNOWN) if report.counts[Verdict.WAIVED.value] else COLUMNS
    for name, _ in columns:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("requests", justify="right", no_wrap=True)
    for area in dict.fromkeys(row.area for row in report.rows):
        verdicts = [row.verdict for row in report.rows if row.area == area]
        cells = [sum(verdict in group for verdict in verdicts) for _, group in columns]
        style = "red" if cells[1] else "yellow" if cells[2] else ""
        cost = report.run.areas.get(area)
        numbers = [str(cell) if cell else "·" for cell in cells]
        table.add_row(Text(area, style=style), *numbers, str(cost.requests) if cost is not None else "·")
    return table


def _listed(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
    return ", ".join(ids[:_MOST_IDS]) + more


def _aside(console: Console, report: Report) -> None:
    """Every requirement that is known to be violated, or without a verdict on the endpoint, with the reason."""
    for verdict in _ASIDE:
        rows = [row for row in report.rows if row.verdict is verdict]
        for reason in dict.fromkeys(row.reason or "" for row in rows):
            ids = tuple(row.id for row in rows if (row.reason or "") == reason)
            console.print(Text(f"{verdict.value.replace('_', ' ')}: {printable(reason)}", style="dim"))
            wrapped(console, ", ".join(ids), 4)


def _waivers(console: Console, report: Report, *, verbose: bool = False) -> None:
    """What became of the waivers: a line with numbers, then each that is not simply used."""
    if not report.waivers:
        return
    states = [found.state for found in report.waivers]
    counted = ", ".join(f"{states.count(state)} {state.value}" for state in State if state in states)
    console.print(Text(f"waivers: {counted}"))
    for found in report.waivers:
        if found.state is State.USED and not verbose:
            continue
        waiver = found.waiver
        where = f" at {waiver.place}" if waiver.place is not None else ""
        why = found.why or ", ".join(found.requirements)
        wrapped(console, f"{waiver.requirement}{where}: {why} ({waiver.owner})", 14, f"  {found.state.value}")
    console.print()


def _against(console: Console, found: Against, *, verbose: bool) -> None:
    since = "not in the baseline" if found.same_catalogue else "added since"
    counted = (
        f"{len(found.new)} new, {len(found.known)} known, {len(found.fixed)} fixed, "
        f"{len(found.gone)} no longer exercised, {len(found.added)} {since}"
    )
    wrapped(console, f"{found.name}: {counted}", 10, "baseline: ")
    if not found.same_catalogue:
        wrapped(console, "it was made under another catalogue: rules may judge otherwise now", 4)
    for word, places in (("new", found.new), ("fixed", found.fixed)):
        for requirement, place in places:
            wrapped(console, f"{requirement} at {place}", 14, f"  {word}")
    for word, names in (("gone", found.gone), ("added", found.added), ("known", found.known if verbose else ())):
        if names:
            wrapped(console, ", ".join(names) if verbose else _listed(names), 14, f"  {word}")
    console.print()


def known(console: Console, report: Report, *, verbose: bool = False) -> None:
    """What was known before: the waivers, and the baseline."""
    _waivers(console, report, verbose=verbose)
    if report.baseline is not None:
        _against(console, report.baseline, verbose=verbose)


def measured(console: Console, report: Report) -> None:
    """What the run measured, equal numbers together: `depth_cap.objects` and `depth_cap.arrays` are one line."""
    lines: dict[tuple[str, str], list[str]] = {}
    for seen in report.observations:
        name, _, form = seen.id.rpartition(".") if seen.id.count(".") > 1 else (seen.id, "", "")
        number = f"{'' if seen.exact else 'at least '}{seen.value} {seen.unit}"
        lines.setdefault((name, number), []).append(form)
    for (name, number), forms in lines.items():
        of = f" ({', '.join(forms)})" if any(forms) else ""
        wrapped(console, f"{name} {number}{of}", 10, "measured")
    if lines:
        console.print()


def outcome(console: Console, report: Report) -> None:
    """The last lines: what went wrong on our side, what is missing, and the outcome with its coverage."""
    for sentence in report.run.defects:
        console.print(Text("an error of this suite, not of the endpoint:", style="bold red"))
        wrapped(console, sentence, 4)
    for gap in report.gaps:
        wrapped(console, f"{gap.why}: {_listed(gap.ids)}", 4, "  - ")
    if report.gaps and report.without:
        console.print(Text("if that is meant, say so: " + " ".join(f"--without {name}" for name in report.without)))
    line = Text(report.outcome.value.upper().replace("_", " "), style=_OUTCOME.get(report.outcome, "bold yellow"))
    line.append(f": {printable(report.reason)}; {report.coverage.text}", style="none")
    console.print(line, soft_wrap=True)


def _header(console: Console, report: Report) -> None:
    endpoint, run = report.endpoint, report.run
    console.print(f"[bold]{escape(endpoint.base_url)}[/bold]  model {escape(str(endpoint.model))}", soft_wrap=True)
    retried = f", {run.retries} retries" if run.retries else ""
    console.print(
        f"dialect {escape(endpoint.dialect)}, effort {run.effort}, seed {run.seed}, {run.requests} requests{retried}, "
        f"{run.prompt_tokens + run.completion_tokens} tokens"
    )
    stopped = run.config.get("stopped")
    if isinstance(stopped, str):
        wrapped(console, f"sending ended early: {stopped}", 4)
    console.print()


def show(console: Console, report: Report, *, verbosity: int = 0) -> None:
    """Print the report: -1 is the outcome alone, 0 one place per violation, 1 every place and every reason."""
    if verbosity < 0:
        outcome(console, report)
        return
    _header(console, report)
    for row in report.violations:
        if row.level is not Level.MAY or verbosity > 0:
            violated(console, row, verbose=verbosity > 0)
    notes = sum(row.level is Level.MAY for row in report.violations)
    if notes and verbosity == 0:
        words = "remark" if notes == 1 else "remarks"
        console.print(Text(f"{notes} {words} of level MAY (-v shows them)\n", style="dim"))
    if report.rows:
        console.print(areas(report))
        console.print()
    measured(console, report)
    if verbosity > 0:
        _aside(console, report)
    known(console, report, verbose=verbosity > 0)
    outcome(console, report)
