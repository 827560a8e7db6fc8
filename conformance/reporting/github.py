"""`annotations.txt`: workflow commands by which GitHub Actions shows the worst violations beside a job.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from conformance.catalogue.model import Level
from conformance.reporting.model import Report, Row
from conformance.reporting.text import printable
from conformance.verdict.fold import Verdict
from conformance.verdict.outcome import Outcome

MOST = 10
"""Of each kind: a step shows no more."""


def _data(text: str) -> str:
    """A message: one line for the runner, whatever it holds."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _command(kind: str, title: str, text: str) -> str:
    return f"::{kind} title={_property(title)}::{_data(text)}\n"


def _row(kind: str, row: Row) -> str:
    found = row.findings[0]
    text = f"{row.title}\nwhere: {found.where.text}\nexpected: {found.expected}\nobserved: {found.observed}"
    return _command(kind, f"{row.level.value} {row.id}", text)


def render(report: Report) -> str:
    """Errors for what fails, warnings for what warns, and one line for an outcome that no violation explains."""
    lines = []
    for kind, verdict in (("error", Verdict.FAIL), ("warning", Verdict.WARN)):
        rows = [row for row in report.violations if row.verdict is verdict and row.level is not Level.MAY]
        lines += [_row(kind, row) for row in rows[:MOST]]
    if report.outcome in (Outcome.INCOMPLETE, Outcome.NO_VERDICT, Outcome.INTERRUPTED):
        lines.append(_command("error", report.outcome.value.replace("_", " "), report.reason))
    return "".join(lines)
