"""`report.json`, by the published contract: the report to JSON, the schema, and what of it is read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from importlib.resources import files
from typing import Any

from conformance.catalogue.model import Impact, Level
from conformance.reporting.model import (
    FORMAT,
    AreaCost,
    Endpoint,
    Observation,
    Report,
    Row,
    RunInfo,
    Step,
    Suite,
    Violation,
    Where,
)
from conformance.rules.base import Finding, Part
from conformance.verdict.baseline import Against
from conformance.verdict.difference import Place
from conformance.verdict.fold import Verdict
from conformance.verdict.outcome import Coverage, Gap, Outcome
from conformance.verdict.waivers import State, Told, Waiver


class ReportError(ValueError):
    """A report that cannot be read; the message is one sentence for the user."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    found: dict[str, Any] = json.loads(
        (files("conformance.reporting") / "schemas/report.schema.json").read_text("utf-8")
    )
    return found


def _step(step: Step) -> dict[str, Any]:
    made: dict[str, Any] = {
        "method": step.method,
        "path": step.path,
        "headers": [list(pair) for pair in step.headers],
        "body": step.body,
        "body_base64": step.body_base64,
        "auth": step.auth,
        "curl": step.curl,
    }
    names = [name for name, _ in step.headers]
    if len({name.lower() for name in names}) == len(names):
        made["headers"] = dict(step.headers)
    return made


def _finding(found: Violation) -> dict[str, Any]:
    return {
        "where": {
            "exchange": found.where.exchange,
            "part": found.where.part,
            "chunk": found.where.chunk,
            "byte": found.where.byte,
            "pointer": found.where.pointer,
        },
        "expected": found.expected,
        "observed": found.observed,
        "count": found.count,
        "minimal": found.minimal,
        "confirmed": None if found.confirmed is None else {"k": found.confirmed[0], "n": found.confirmed[1]},
        "steps": [_step(step) for step in found.steps],
        "relation": found.relation,
        "about": found.about,
        "rungs": list(found.rungs),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "ref": row.ref,
        "area": row.area,
        "capability": row.capability,
        "level": row.level.value,
        "basis": row.basis,
        "impact": row.impact.value,
        "title": row.title,
        "source": row.source,
        "quote": row.quote,
        "verdict": row.verdict.value,
        "exercised": row.exercised,
        "violated": row.violated,
        "reason": row.reason,
        "findings": [_finding(found) for found in row.findings],
        "places": list(row.places),
        "excused": row.excused,
    }


def _waiver(told: Told) -> dict[str, Any]:
    waiver = told.waiver
    return {
        "requirement": waiver.requirement,
        "place": waiver.place,
        "dialect": waiver.dialect,
        "reason": waiver.reason,
        "owner": waiver.owner,
        "expires": waiver.expires.isoformat(),
        "link": waiver.link,
        "state": told.state.value,
        "requirements": list(told.requirements),
        "why": told.why,
    }


def _places(found: Iterable[Place]) -> list[dict[str, str]]:
    return [{"requirement": requirement, "place": place} for requirement, place in found]


def _against(found: Against) -> dict[str, Any]:
    return {
        "name": found.name,
        "same_catalogue": found.same_catalogue,
        "known": list(found.known),
        "lacking": list(found.lacking),
        "new": _places(found.new),
        "fixed": _places(found.fixed),
        "gone": list(found.gone),
        "added": list(found.added),
    }


def _run(run: RunInfo) -> dict[str, Any]:
    return {
        "started": run.started,
        "finished": run.finished,
        "seed": run.seed,
        "plan_sha256": run.plan_sha256,
        "effort": run.effort,
        "embedded": run.embedded,
        "requests": run.requests,
        "generating_requests": run.generating_requests,
        "shrink_requests": run.shrink_requests,
        "retries": run.retries,
        "prompt_tokens": run.prompt_tokens,
        "completion_tokens": run.completion_tokens,
        "areas": {
            name: {"requests": cost.requests, "seconds": round(cost.seconds, 3)} for name, cost in run.areas.items()
        },
        "config": dict(run.config),
        "defects": list(run.defects),
    }


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    suite, endpoint, counted = report.suite, report.endpoint, report.coverage
    return {
        "format": FORMAT,
        "suite": {
            "version": suite.version,
            "catalogue_sha256": suite.catalogue_sha256,
            "python": suite.python,
            "hypothesis": suite.hypothesis,
        },
        "run": _run(report.run),
        "endpoint": {
            "base_url": endpoint.base_url,
            "model": endpoint.model,
            "dialect": endpoint.dialect,
            "capabilities": dict(endpoint.capabilities),
        },
        "outcome": report.outcome.value,
        "reason": report.reason,
        "coverage": {
            "exercised": counted.exercised,
            "of": counted.of,
            "must_exercised": counted.must_exercised,
            "must_of": counted.must_of,
        },
        "gaps": [{"requirements": list(gap.ids), "why": gap.why, "without": gap.without} for gap in report.gaps],
        "counts": report.counts,
        "observations": [
            {
                "id": seen.id,
                "value": seen.value,
                "unit": seen.unit,
                "exact": seen.exact,
                "exchanges": list(seen.exchanges),
            }
            for seen in report.observations
        ],
        "waivers": [_waiver(told) for told in report.waivers],
        "baseline": None if report.baseline is None else _against(report.baseline),
        "requirements": [_row(row) for row in report.rows],
    }


def render(report: Report) -> str:
    """The file's text: ASCII, indented, with a last line feed."""
    return json.dumps(to_json(report), indent=1, allow_nan=False) + "\n"


def _read_step(data: dict[str, Any]) -> Step:
    headers = data["headers"]
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Step(
        data["method"],
        data["path"],
        tuple((name, value) for name, value in pairs),
        data["body"],
        data["body_base64"],
        data.get("auth", "key"),
        data["curl"],
    )


def _read_finding(data: dict[str, Any]) -> Violation:
    where, confirmed = data["where"], data["confirmed"]
    return Violation(
        Where(where["exchange"], where["part"], where["pointer"], where["chunk"], where["byte"]),
        data["expected"],
        data["observed"],
        data["count"],
        data["minimal"],
        None if confirmed is None else (confirmed["k"], confirmed["n"]),
        tuple(map(_read_step, data["steps"])),
        data.get("relation", "single"),
        data.get("about", ""),
        tuple(data.get("rungs", ())),
    )


def _normal(found: Violation) -> str:
    """The normalised place of a finding, for reports that do not name their places yet."""
    return Finding("", Part(found.where.part), "", "", found.where.pointer).place


def _read_waiver(data: dict[str, Any]) -> Told:
    named = ("requirement", "reason", "owner", "dialect", "place", "link")
    try:
        expires = date.fromisoformat(data["expires"])
    except ValueError as error:
        raise ReportError("waivers: expires is no day of the calendar") from error
    waiver = Waiver(expires=expires, **{name: data[name] for name in named})
    return Told(waiver, State(data["state"]), tuple(data["requirements"]), data["why"])


def _read_places(data: list[dict[str, str]]) -> tuple[Place, ...]:
    return tuple((item["requirement"], item["place"]) for item in data)


def _read_against(data: dict[str, Any] | None) -> Against | None:
    if data is None:
        return None
    lists = {name: tuple(data[name]) for name in ("known", "lacking", "gone", "added")}
    new, fixed = _read_places(data["new"]), _read_places(data["fixed"])
    return Against(data["name"], data["same_catalogue"], new=new, fixed=fixed, **lists)


def _read_row(data: dict[str, Any]) -> Row:
    plain = {name: data[name] for name in ("id", "ref", "area", "capability", "basis", "title", "source", "quote")}
    findings = tuple(map(_read_finding, data["findings"]))
    return Row(
        **plain,
        level=Level(data["level"]),
        impact=Impact(data["impact"]),
        verdict=Verdict(data["verdict"]),
        exercised=data["exercised"],
        violated=data["violated"],
        reason=data["reason"],
        findings=findings,
        places=tuple(data["places"] if "places" in data else dict.fromkeys(map(_normal, findings))),
        excused=data.get("excused", 0),
    )


def read(text: str) -> Report:
    """A report back from its text. Raises ReportError where it breaks the schema."""
    import jsonschema_rs

    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError("this is no JSON") from error
    for broken in jsonschema_rs.validator_for(schema()).iter_errors(data):
        raise ReportError(f"{'/'.join(map(str, broken.instance_path)) or 'top level'}: {broken.message}")
    run, counted = dict(data["run"]), data["coverage"]
    areas = {name: AreaCost(cost["requests"], cost["seconds"]) for name, cost in run.pop("areas").items()}
    defects = tuple(run.pop("defects", ()))
    known = set(RunInfo.__dataclass_fields__)
    return Report(
        suite=Suite(**{name: data["suite"][name] for name in Suite.__dataclass_fields__}),
        run=RunInfo(**{name: value for name, value in run.items() if name in known}, areas=areas, defects=defects),
        endpoint=Endpoint(**{name: data["endpoint"][name] for name in Endpoint.__dataclass_fields__}),
        outcome=Outcome(data["outcome"]),
        reason=data["reason"],
        coverage=Coverage(**{name: counted[name] for name in Coverage.__dataclass_fields__}),
        gaps=tuple(Gap(tuple(gap["requirements"]), gap["why"], gap["without"]) for gap in data["gaps"]),
        rows=tuple(map(_read_row, data["requirements"])),
        observations=tuple(
            Observation(seen["id"], seen["value"], seen["unit"], seen["exact"], tuple(seen["exchanges"]))
            for seen in data["observations"]
        ),
        waivers=tuple(map(_read_waiver, data.get("waivers", ()))),
        baseline=_read_against(data.get("baseline")),
    )
