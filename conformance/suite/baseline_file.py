"""The baseline: an earlier report.json, read before a run, and kept in the configuration of report and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.reporting.comparison import seen
from conformance.reporting.json_report import ReportError
from conformance.reporting.json_report import read as read_report
from conformance.reporting.model import MOST_PLACES, Report
from conformance.suite.yaml_file import FileProblem
from conformance.verdict.baseline import Baseline
from conformance.verdict.difference import Seen
from conformance.verdict.fold import Verdict
from conformance.verdict.outcome import Outcome

_KNOWS_NOTHING = (Outcome.NO_VERDICT, Outcome.INTERRUPTED)


def report_at(path: Path) -> Report:
    """A report by its file or its directory. Raises FileProblem."""
    file = path / "report.json" if path.is_dir() else path
    try:
        return read_report(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileProblem(f"cannot read {file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    except ReportError as error:
        raise FileProblem(f"{file} is no report: {error}") from error


def load(path: Path, dialect: str) -> Baseline:
    """A report as the baseline of a run in a dialect. Raises FileProblem."""
    report = report_at(path)
    if report.endpoint.dialect != dialect:
        raise FileProblem(
            f"{path} is a report on the dialect {report.endpoint.dialect}, and this run is on {dialect}: "
            "they cannot be compared"
        )
    if report.outcome in _KNOWS_NOTHING:
        raise FileProblem(f"{path} tells of a run that came to no verdict: take the report of a whole run")
    return Baseline(
        name=f"{path.name} of {report.run.started}",
        catalogue_sha256=report.suite.catalogue_sha256,
        rows={row.id: seen(row) for row in report.rows},
        left_out=frozenset(row.id for row in report.rows if row.verdict is Verdict.EXCLUDED),
    )


def as_values(baseline: Baseline) -> dict[str, Any]:
    """A baseline as plain values: what was violated where, what held, what was lacking, what was left out."""
    rows = baseline.rows
    return {
        "name": baseline.name,
        "catalogue_sha256": baseline.catalogue_sha256,
        "violated": {name: sorted(found.places) for name, found in rows.items() if found.places},
        "held": [name for name, found in rows.items() if found.exercised and not found.places],
        "lacking": [name for name, found in rows.items() if not found.exercised and name not in baseline.left_out],
        "left_out": sorted(baseline.left_out),
    }


def from_values(values: object) -> Baseline | None:
    """A baseline back from a recorded configuration. Raises FileProblem where it is none."""
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise FileProblem("the recorded configuration holds a baseline that cannot be read")
    try:
        rows = {
            **{name: Seen(True, frozenset(at), len(at) >= MOST_PLACES) for name, at in values["violated"].items()},
            **{name: Seen(True) for name in values["held"]},
            **{name: Seen(False) for name in (*values["lacking"], *values["left_out"])},
        }
        return Baseline(values["name"], values["catalogue_sha256"], rows, frozenset(values["left_out"]))
    except (TypeError, KeyError, AttributeError) as error:
        raise FileProblem("the recorded configuration holds a baseline that cannot be read") from error
