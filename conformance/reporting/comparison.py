"""Two reports side by side, and any number of them as a table: pure values, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.catalogue.model import Impact, Level
from conformance.reporting.model import MOST_PLACES, Observation, Report, Row
from conformance.verdict.difference import Difference, Place, Seen, difference
from conformance.verdict.fold import Verdict


@dataclass(frozen=True)
class Named:
    """A report with the name by which it is told from others."""

    name: str
    report: Report

    @property
    def text(self) -> str:
        """What it is about, in a line."""
        endpoint = self.report.endpoint
        return (
            f"{endpoint.base_url}, model {endpoint.model}, dialect {endpoint.dialect}, {self.report.run.started[:19]}: "
            f"{self.report.outcome.value.replace('_', ' ')}"
        )


@dataclass(frozen=True)
class Changed:
    """Something that is said of `id` in one way before and in another now; None where nothing is said."""

    id: str
    before: str | None
    now: str | None


@dataclass(frozen=True)
class Comparison:
    """What changed from one report to a later one. `rejudged`: the same places, but another verdict."""

    before: Named
    now: Named
    changes: Difference
    rejudged: tuple[Changed, ...]
    observations: tuple[Changed, ...]

    @property
    def differs(self) -> bool:
        """Whether anything changed."""
        return self.changes.any or bool(self.rejudged or self.observations)

    @property
    def notes(self) -> tuple[str, ...]:
        """What makes the two reports less comparable than they look."""
        before, now = self.before.report, self.now.report
        notes = []
        if before.suite.catalogue_sha256 != now.suite.catalogue_sha256:
            notes.append("the catalogues differ: rules may judge otherwise")
        if before.endpoint.dialect != now.endpoint.dialect:
            notes.append("the dialects differ: requirements of only one of them are added or removed")
        if before.run.effort != now.run.effort:
            notes.append("the efforts differ: more or less was asked")
        return tuple(notes)


def seen(row: Row) -> Seen:
    """What a run saw of one requirement, as its report tells it."""
    return Seen(row.verdict.exercised, frozenset(row.places), len(row.places) >= MOST_PLACES)


def _value(seen: Observation | None) -> str | None:
    if seen is None:
        return None
    return f"{'' if seen.exact else 'at least '}{json.dumps(seen.value, ensure_ascii=False)} {seen.unit}".rstrip()


def _observed(before: Report, now: Report) -> Iterable[Changed]:
    old = {seen.id: seen for seen in before.observations}
    new = {seen.id: seen for seen in now.observations}
    for name in dict.fromkeys((*new, *old)):
        was, is_now = _value(old.get(name)), _value(new.get(name))
        if was != is_now:
            yield Changed(name, was, is_now)


def _rejudged(before: Report, now: Report) -> Iterable[Changed]:
    old = {row.id: row for row in before.rows}
    for row in now.rows:
        was = old.get(row.id)
        if was is None or set(was.places) != set(row.places) or not row.places:
            continue
        if (was.verdict, was.level) != (row.verdict, row.level):
            yield Changed(row.id, f"{was.level.value} {was.verdict.value}", f"{row.level.value} {row.verdict.value}")


def compare(before: Named, now: Named) -> Comparison:
    """From one report to a later one."""
    old, new = before.report, now.report
    changes = difference({row.id: seen(row) for row in old.rows}, {row.id: seen(row) for row in new.rows})
    return Comparison(before, now, changes, tuple(_rejudged(old, new)), tuple(_observed(old, new)))


def worst_first(places: Iterable[Place], report: Report) -> list[tuple[Row, str]]:
    """Places with their rows, by impact and level."""
    rows = {row.id: row for row in report.rows}
    levels = list(Level)
    found = [(rows[name], place) for name, place in places if name in rows]
    return sorted(found, key=lambda item: (item[0].impact.rank, levels.index(item[0].level)))


_VIOLATED = frozenset(verdict for verdict in Verdict if verdict.violated) | {Verdict.WAIVED}


@dataclass(frozen=True)
class Line:
    """A requirement in several reports; None where a report does not know it."""

    id: str
    level: Level
    impact: Impact
    verdicts: tuple[Verdict | None, ...]

    @property
    def same(self) -> bool:
        """Whether all reports say the same."""
        return len(set(self.verdicts)) == 1

    @property
    def quiet(self) -> bool:
        """Whether all reports that know it say the same, and none that it is violated."""
        said = set(self.verdicts) - {None}
        return len(said) == 1 and not any(verdict is not None and verdict in _VIOLATED for verdict in said)


@dataclass(frozen=True)
class Table:
    """Requirements by reports, in catalogue order."""

    reports: tuple[Named, ...]
    lines: tuple[Line, ...]
    observations: tuple[tuple[str, tuple[str | None, ...]], ...]

    @property
    def differs(self) -> bool:
        """Whether the reports differ in any verdict or observation."""
        return any(not line.same for line in self.lines) or any(len(set(values)) > 1 for _, values in self.observations)

    @property
    def told(self) -> tuple[Line, ...]:
        """The lines with something to tell: a violation, or a difference."""
        return tuple(line for line in self.lines if not line.quiet)

    @property
    def closing(self) -> str:
        """How many requirements differ, and how many are not told."""
        differing = sum(not line.same for line in self.lines)
        quiet = len(self.lines) - len(self.told)
        return (
            f"{differing} of {len(self.lines)} requirements differ; {quiet} are the same everywhere, and not violated"
        )


def table(reports: Sequence[Named]) -> Table:
    """Any number of reports side by side."""
    rows = [{row.id: row for row in named.report.rows} for named in reports]
    known: dict[str, Row] = {}
    for found in rows:
        for name, row in found.items():
            known.setdefault(name, row)
    lines = tuple(
        Line(name, row.level, row.impact, tuple(found[name].verdict if name in found else None for found in rows))
        for name, row in known.items()
    )
    seen_there = [{seen.id: seen for seen in named.report.observations} for named in reports]
    names = dict.fromkeys(name for found in seen_there for name in found)
    observations = tuple((name, tuple(_value(found.get(name)) for found in seen_there)) for name in names)
    return Table(tuple(reports), lines, observations)


def _about(named: Named) -> dict[str, Any]:
    report = named.report
    return {
        "name": named.name,
        "base_url": report.endpoint.base_url,
        "model": report.endpoint.model,
        "dialect": report.endpoint.dialect,
        "started": report.run.started,
        "effort": report.run.effort,
        "catalogue_sha256": report.suite.catalogue_sha256,
        "outcome": report.outcome.value,
        "exit_code": report.outcome.exit_code,
    }


def _places(found: Iterable[Place]) -> list[dict[str, str]]:
    return [{"requirement": requirement, "place": place} for requirement, place in found]


def _changed(found: Iterable[Changed]) -> list[dict[str, str | None]]:
    return [{"id": item.id, "before": item.before, "now": item.now} for item in found]


def comparison_json(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON values, `conformance-comparison/1`."""
    changes = found.changes
    return {
        "format": "conformance-comparison/1",
        "before": _about(found.before),
        "now": _about(found.now),
        "differs": found.differs,
        "notes": list(found.notes),
        "broken": _places(changes.broken),
        "fixed": _places(changes.fixed),
        "newly_exercised": list(changes.newly),
        "no_longer_exercised": list(changes.gone),
        "added": list(changes.added),
        "removed": list(changes.removed),
        "rejudged": _changed(found.rejudged),
        "observations": _changed(found.observations),
    }


def table_json(found: Table) -> dict[str, Any]:
    """A table as JSON values, `conformance-table/1`; the order of verdicts is that of the reports."""
    return {
        "format": "conformance-table/1",
        "reports": [_about(named) for named in found.reports],
        "differs": found.differs,
        "requirements": [
            {
                "id": line.id,
                "level": line.level.value,
                "impact": line.impact.value,
                "verdicts": [None if verdict is None else verdict.value for verdict in line.verdicts],
            }
            for line in found.lines
        ],
        "observations": [{"id": name, "values": list(values)} for name, values in found.observations],
    }
