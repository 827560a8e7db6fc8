"""The waivers file: read and checked before a run, and kept in the configuration of report and evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from conformance.catalogue.loader import load as load_catalogue
from conformance.reporting.model import Report
from conformance.reporting.text import printable
from conformance.suite.yaml_file import FileProblem, check, read, schema
from conformance.verdict.fold import Verdict
from conformance.verdict.selection import suggestion
from conformance.verdict.waivers import Waiver

MOST_APART = 5
"""Places of one requirement that are waived one by one in a first file; beyond that the requirement is, as a whole."""

_HEAD = """\
# What is known of {endpoint}, model {model}, dialect {dialect}, as of {day}.
# Fill in each reason: an empty one is refused. After its day a waiver excuses nothing any more.
# Without `place` a waiver holds for the whole requirement; `requirement` may be a glob such as stream.*.
# A waiver that names one requirement also answers for its not being judged.
"""


def _waiver(data: Mapping[str, Any]) -> Waiver:
    return Waiver(**{**data, "expires": date.fromisoformat(data["expires"])})


def load(path: Path) -> tuple[Waiver, ...]:
    """The waivers of a file. Raises FileProblem, also where one matches no requirement."""
    document = read(path)
    check(document, schema("waivers"))
    rows = load_catalogue().requirements
    made = []
    for number, data in enumerate(document.value["waivers"]):
        at = ("waivers", number)
        try:
            waiver = _waiver(data)
        except ValueError as error:
            raise document.problem((*at, "expires"), "expires is no day of the calendar") from error
        if not any(map(waiver.names, rows)):
            hint = suggestion(waiver.requirement, rows)
            raise document.problem((*at, "requirement"), f"no requirement is called {waiver.requirement!r}{hint}")
        made.append(waiver)
    return tuple(made)


def as_values(waiver: Waiver) -> dict[str, Any]:
    """A waiver as plain values, without what it leaves out."""
    made = {
        "requirement": waiver.requirement,
        "place": waiver.place,
        "dialect": waiver.dialect,
        "reason": waiver.reason,
        "owner": waiver.owner,
        "expires": waiver.expires.isoformat(),
        "link": waiver.link,
    }
    return {name: value for name, value in made.items() if value is not None}


def from_values(values: object) -> tuple[Waiver, ...]:
    """Waivers back from a recorded configuration. Raises FileProblem where they are none."""
    if values is None:
        return ()
    try:
        return tuple(map(_waiver, values if isinstance(values, list) else []))
    except (TypeError, KeyError, ValueError) as error:
        raise FileProblem("the recorded configuration holds waivers that cannot be read") from error


def missing(report: Report) -> dict[str, str]:
    """What could not be judged and made the run incomplete, with the reason; errors are nothing to waive."""
    errors = {row.id for row in report.rows if row.verdict is Verdict.ERROR}
    return {name: gap.why for gap in report.gaps for name in gap.ids if name not in errors}


def _first(report: Report, owner: str, expires: date) -> Iterable[Waiver]:
    """What counts as violated, place by place where those are few, and what is missing; known things are left alone."""
    for row in report.violations:
        counting = row.places[: len(row.places) - row.excused]
        for place in counting if 0 < len(counting) <= MOST_APART else (None,):
            yield Waiver(row.id, "", owner, expires, place=place)
    for name in missing(report):
        yield Waiver(name, "", owner, expires)


def _entry(waiver: Waiver, titles: Mapping[str, str]) -> str:
    """One entry. JSON's way to write text is YAML's double-quoted one."""
    title = titles.get(waiver.requirement)
    lines = [f"# {_line(title)}"] if title else []
    mark = "- "
    for name, value in as_values(waiver).items():
        plain = name == "requirement" and value in titles
        shown = value if plain else json.dumps(printable(value, None), ensure_ascii=False)
        lines.append(f"{mark}{name}: {shown}")
        mark = "  "
    return "".join(f"  {line}\n" for line in lines)


def render(report: Report, owner: str, expires: date) -> str:
    """A file of the waivers that a run had and of everything that kept it from conforming, with reasons to fill in."""
    endpoint = report.endpoint
    head = _HEAD.format(
        endpoint=_line(endpoint.base_url),
        model=_line(endpoint.model or "unknown"),
        dialect=_line(endpoint.dialect),
        day=report.run.started[:10],
    )
    lacking = missing(report)
    titles = {row.id: f"{row.level.value} {row.title}" for row in report.rows}
    titles |= {name: f"{titles[name]} ({why})" for name, why in lacking.items() if name in titles}
    waivers = [*(found.waiver for found in report.waivers), *_first(report, owner, expires)]
    if not waivers:
        return f"{head}waivers: []\n"
    return f"{head}waivers:\n" + "\n".join(_entry(waiver, titles) for waiver in waivers)


def _line(text: str) -> str:
    """One line, so that a comment stays one."""
    return " ".join(printable(text).split())
