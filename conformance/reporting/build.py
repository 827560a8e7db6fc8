"""Make the report from verdicts. The only place where results become text, and where secrets are taken out of it."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from conformance.reporting.model import (
    MOST_PLACES,
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
from conformance.reporting.text import printable
from conformance.rules.base import Finding
from conformance.verdict.baseline import Against
from conformance.verdict.fold import Cluster, Result
from conformance.verdict.outcome import Decision
from conformance.verdict.smallest import Smallest
from conformance.verdict.waivers import Told
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request
from conformance.wire.redaction import Secrets
from conformance.wire.strict_json import Json
from conformance.wire.traces import RELATIONS

Curl = Callable[[Request], str]
"""A request as a curl command."""

MOST_STEPS = 12
"""Requests that are told of one finding; a fold over a whole run could name thousands."""

_DEEPEST = 64
"""Levels of a body that is told as JSON; deeper ones are told as bytes, for many readers fail on them."""


def _plain(value: Json) -> bool:
    """Any JSON writer can say it: no infinite numbers, which `1e999` makes of honest text, and no deep nesting."""
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > _DEEPEST or (isinstance(item, float) and not math.isfinite(item)):
            return False
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        waiting += [(found, depth + 1) for found in inner]
    return True


def step(request: Request, curl: Curl) -> Step:
    """A request as a step: its body parsed where that loses nothing, and its bytes wherever it would."""
    document = request.document
    body, exact = None, request.body
    if request.body is not None and document.ok and not document.problems and _plain(document.value):
        body = document.value
        if strict_json.dump(body) == request.body:
            exact = None
    encoded = base64.b64encode(exact).decode() if exact is not None else None
    return Step(request.method, request.path, request.headers, body, encoded, request.auth, curl(request))


def _where(finding: Finding) -> Where:
    return Where(
        printable(finding.exchange), finding.part.value, printable(finding.pointer), finding.chunk, finding.byte
    )


def _violation(cluster: Cluster, smallest: Smallest | None, secrets: Secrets, curl: Curl) -> Violation:
    shown: Sequence[Exchange] = smallest.exchanges if smallest is not None else cluster.trace.exchanges
    finding, trace = cluster.finding, cluster.trace
    about = getattr(trace, "about", getattr(trace, "axis", getattr(trace, "stored_id", "")))
    return Violation(
        where=_where(finding),
        expected=printable(secrets.text(finding.expected)),
        observed=printable(secrets.text(finding.observed)),
        count=cluster.count,
        minimal=smallest.minimal if smallest is not None else False,
        confirmed=smallest.confirmed if smallest is not None else None,
        steps=tuple(step(secrets.request(exchange.request), curl) for exchange in shown[:MOST_STEPS]),
        relation=RELATIONS[type(trace)].value,
        about=printable(secrets.text(about)),
        rungs=getattr(trace, "values", ()),
    )


def row(result: Result, smallest: Mapping[tuple[str, str], Smallest], secrets: Secrets, curl: Curl) -> Row:
    """One result as it is told. `smallest` is keyed by requirement and place."""
    requirement, claim = result.standing.requirement, result.standing.claim
    return Row(
        id=requirement.id,
        ref=requirement.ref,
        area=requirement.area,
        capability=requirement.capability,
        level=claim.level,
        basis=claim.basis.value,
        impact=requirement.impact,
        title=requirement.title,
        source=claim.source,
        quote=claim.quote,
        verdict=result.verdict,
        exercised=result.exercised,
        violated=result.violated,
        reason=printable(secrets.text(result.reason)) if result.reason is not None else None,
        findings=tuple(
            _violation(cluster, smallest.get((requirement.id, cluster.place)), secrets, curl)
            for cluster in result.clusters
        ),
        places=tuple(printable(cluster.place) for cluster in (*result.found, *result.excused))[:MOST_PLACES],
        excused=len(result.excused),
    )


def report(
    suite: Suite,
    run: RunInfo,
    endpoint: Endpoint,
    results: Iterable[Result],
    decision: Decision,
    *,
    smallest: Iterable[Smallest] = (),
    observations: Iterable[Observation] = (),
    waivers: Iterable[Told] = (),
    baseline: Against | None = None,
    secrets: Secrets,
    curl: Curl,
) -> Report:
    """The report of a run."""
    by_place = {(found.requirement, found.place): found for found in smallest}
    return Report(
        suite=suite,
        run=run,
        endpoint=endpoint,
        outcome=decision.outcome,
        reason=printable(secrets.text(decision.reason)),
        coverage=decision.coverage,
        gaps=decision.gaps,
        rows=tuple(row(result, by_place, secrets, curl) for result in results),
        observations=tuple(observations),
        waivers=tuple(waivers),
        baseline=baseline,
    )
