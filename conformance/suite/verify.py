"""Derive every verdict of a report again from its evidence, offline, and say where the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from conformance import rules as rulebook
from conformance.catalogue.loader import load as load_catalogue
from conformance.catalogue.model import Level
from conformance.dialects.loader import load as load_dialect
from conformance.dialects.model import Dialect
from conformance.reporting.json_report import ReportError, read
from conformance.reporting.model import Report, Row
from conformance.reporting.text import printable
from conformance.rules.base import Finding, Part, by_id
from conformance.rules.judge import Judgement
from conformance.sources.evidence import Evidence, read_evidence
from conformance.sources.files import SourceError
from conformance.suite import baseline_file, waivers_file
from conformance.suite.judging import judge_evidence
from conformance.suite.yaml_file import FileProblem
from conformance.verdict.excuses import Known, excuse
from conformance.verdict.fold import Result, fold, tally
from conformance.verdict.outcome import Decision, Gate, Outcome, decide
from conformance.verdict.selection import Scope, scope

REPORT = "report.json"
EVIDENCE = "evidence.jsonl"


class VerifyError(ValueError):
    """A report directory that cannot be verified; the message is one sentence for the user."""


@dataclass(frozen=True)
class Difference:
    """One thing on which report and evidence do not agree; `about` is a requirement's id, `outcome` or `evidence`."""

    about: str
    reported: str
    derived: str


@dataclass(frozen=True)
class Verification:
    """What came of it. `same_catalogue` and `same_dialect`: the report was made under today's digests.

    Under other digests differences are to be expected: they are told, and fail nothing. A broken evidence file does.
    """

    requirements: int
    exchanges: int
    same_catalogue: bool
    same_dialect: bool
    broken: str | None
    differences: tuple[Difference, ...]

    @property
    def fails(self) -> bool:
        """The report does not stand on its evidence."""
        return self.broken is not None or bool(self.differences and self.same_catalogue and self.same_dialect)


def read_report(directory: Path) -> Report:
    """The report of a directory. Raises VerifyError."""
    path = directory / REPORT
    try:
        return read(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise VerifyError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    except ReportError as error:
        raise VerifyError(f"{path}: {error}") from error


def recorded(directory: Path) -> Evidence:
    """The evidence of a directory. Raises VerifyError."""
    path = directory / EVIDENCE
    try:
        return read_evidence(path)
    except OSError as error:
        raise VerifyError(f"cannot read {path}: {error.strerror}") from error
    except SourceError as error:
        raise VerifyError(str(error)) from error


def dialect_of(report: Report, given: str | None = None) -> Dialect:
    """The dialect that the run was judged by: as given now, else as the run's configuration names it."""
    named = report.run.config.get("dialect")
    return load_dialect(given or (named if isinstance(named, str) else report.endpoint.dialect))


def _texts(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = config.get(name)
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _scope(report: Report, dialect: Dialect) -> Scope:
    """The requirements that were selected: those that the report names, where they still exist."""
    whole = scope(load_catalogue(), dialect, (), _texts(report.run.config, "without"))
    return whole.narrowed(row.id for row in report.rows)


def _results(evidence: Evidence, found: Scope, dialect: Dialect) -> tuple[Result, ...]:
    rules = by_id(rulebook.load(), found.judged)
    judgements: Sequence[Judgement] = judge_evidence(evidence.exchanges, evidence.marks, dialect, rules)[1]
    entries = {area.name: area.entry for area in load_catalogue().areas.values()}
    return fold(tally(judgements), found, entries)


def _known(report: Report) -> Known:
    """What was known before the run, as its configuration says; the day is that of the run."""
    try:
        day = date.fromisoformat(report.run.started[:10])
    except ValueError as problem:
        raise VerifyError("the report was started on no day of the calendar") from problem
    try:
        waivers = waivers_file.from_values(report.run.config.get("waivers"))
        return Known(day, waivers, baseline_file.from_values(report.run.config.get("baseline")))
    except FileProblem as problem:
        raise VerifyError(str(problem)) from problem


def _gate(report: Report) -> Gate:
    config = report.run.config
    return Gate(
        Level.SHOULD if config.get("fail_on") == "should" else Level.MUST, bool(config.get("require_all", False))
    )


def _said(verdict: str, exercised: int, violated: int, places: Sequence[str]) -> str:
    text = f"{verdict}, {violated} of {exercised} traces"
    return f"{text}, at {'; '.join(places)}" if places else text


def _place(part: str, pointer: str, count: int) -> str:
    return f"{Finding('', Part(part), '', '', pointer).place} ({count})"


def _row_text(row: Row) -> str:
    places = sorted(_place(found.where.part, found.where.pointer, found.count) for found in row.findings)
    return _said(row.verdict.value, row.exercised, row.violated, places)


def _result_text(result: Result) -> str:
    places = sorted(_place(c.finding.part.value, printable(c.finding.pointer), c.count) for c in result.clusters)
    return _said(result.verdict.value, result.exercised, result.violated, places)


def _differences(report: Report, results: Sequence[Result], decision: Decision) -> Iterator[Difference]:
    derived = {result.id: _result_text(result) for result in results}
    for row in report.rows:
        text, now = _row_text(row), derived.get(row.id, "there is no such requirement now")
        if text != now:
            yield Difference(row.id, text, now)
    if report.outcome is not decision.outcome and report.outcome is not Outcome.INTERRUPTED:
        yield Difference("outcome", report.outcome.value, decision.outcome.value)


def _unjudged(report: Report) -> Iterator[Difference]:
    """A run that ended before it judged anything may hold no verdict that rests on evidence."""
    for row in report.rows:
        if row.verdict.exercised:
            yield Difference(row.id, _row_text(row), "the run came to no verdict")


_EXCUSES = ("waivers", "baseline")


def _broken(report: Report, evidence: Evidence) -> str | None:
    if evidence.intact is False:
        return "the evidence was changed after it was written: its footer does not fit"
    if evidence.footer is None and report.outcome is not Outcome.INTERRUPTED:
        return "the evidence has no footer: it was cut"
    if evidence.header.catalogue_sha256 not in (None, report.suite.catalogue_sha256):
        return "report and evidence were made under different catalogues: they do not belong together"
    recorded = evidence.header.configuration
    if any(report.run.config.get(name) != recorded.get(name) for name in _EXCUSES):
        return "the report excuses other violations than the run was told to"
    return None


def verify(directory: Path, dialect: str | None = None) -> Verification:
    """Judge the evidence of a report directory again. Raises VerifyError, DialectError or SelectionError."""
    report, evidence = read_report(directory), recorded(directory)
    spoken = dialect_of(report, dialect)
    found = _scope(report, spoken)
    if report.outcome is Outcome.NO_VERDICT:
        differences = tuple(_unjudged(report))
    else:
        results = excuse(_results(evidence, found, spoken), _known(report), spoken.name, printable)
        differences = tuple(_differences(report, results, decide(results, _gate(report))))
    return Verification(
        requirements=len(report.rows),
        exchanges=len(evidence.exchanges),
        same_catalogue=report.suite.catalogue_sha256 == load_catalogue().digest,
        same_dialect=evidence.header.dialect_sha256 in (None, spoken.digest),
        broken=_broken(report, evidence),
        differences=differences,
    )
