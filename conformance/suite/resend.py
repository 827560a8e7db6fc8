"""Send the smallest steps of a finding again and judge the fresh answers as the run did."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from conformance import rules as rulebook
from conformance.dialects.model import Dialect
from conformance.reference.endpoint import KEY, SECOND_KEY
from conformance.reference.server import start_process
from conformance.reporting.model import Report, Row, Step, Violation
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import Judgement, judge, judge_run
from conformance.suite.judging import gathered
from conformance.suite.options import Options
from conformance.suite.verify import VerifyError, dialect_of, read_report, recorded
from conformance.transport.base import Access, Timeouts
from conformance.transport.http import HttpTransport
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request
from conformance.wire.facts import derive
from conformance.wire.redaction import Secrets
from conformance.wire.traces import (
    Contrast,
    Conversation,
    Ladder,
    Lifecycle,
    Parity,
    Relation,
    Repeat,
    Run,
    Single,
    Trace,
)

_STORED = "/chat/completions/"
_PLAIN: dict[Relation, type[Trace]] = {
    Relation.SINGLE: Single,
    Relation.CONVERSATION: Conversation,
    Relation.PARITY: Parity,
    Relation.REPEAT: Repeat,
    Relation.RUN: Run,
}


@dataclass(frozen=True)
class Replayed:
    """Fresh answers to a finding's steps, and what its rule says of them."""

    row: Row
    finding: Violation
    exchanges: tuple[Exchange, ...]
    judgement: Judgement

    @property
    def again(self) -> bool:
        """The violation shows at the same place again."""
        wanted = (self.finding.where.part, _normal(self.finding.where.pointer))
        return any((found.part.value, _normal(found.pointer)) == wanted for found in self.judgement.findings)


def _normal(pointer: str) -> str:
    return "/".join("*" if token.isdigit() else token for token in pointer.split("/"))


def request_of(step: Step) -> Request:
    """The request that a step describes, to the byte."""
    body = base64.b64decode(step.body_base64) if step.body_base64 is not None else None
    if body is None and step.body is not None:
        body = strict_json.dump(step.body)
    return Request(step.method, step.path, step.headers, body, step.auth)


def trace_of(finding: Violation, exchanges: Sequence[Exchange]) -> Trace:
    """The exchanges in the relation in which the finding was made."""
    relation, found = Relation(finding.relation), tuple(exchanges)
    if relation in _PLAIN:
        return _PLAIN[relation](found)
    if relation is Relation.CONTRAST and len(found) > 1:
        return Contrast(found, finding.about)
    if relation is Relation.LADDER:
        return Ladder(found, finding.about, finding.rungs[: len(found)])
    if relation is Relation.LIFECYCLE:
        return Lifecycle(found, finding.about)
    return Run(found)


def _chosen(report: Report, requirement: str) -> tuple[Row, Violation]:
    row = next((row for row in report.rows if row.id == requirement), None)
    if row is None:
        raise VerifyError(f"the report has no requirement {requirement!r}")
    finding = next((found for found in row.findings if found.steps), None)
    if finding is None:
        raise VerifyError(f"{requirement} has no finding in this report: its verdict is {row.verdict.value}")
    return row, finding


@contextmanager
def _access(report: Report, options: Options) -> Iterator[Access]:
    if options.base_url is not None or not report.run.embedded:
        yield Access(options.base_url or report.endpoint.base_url, options.key, options.headers, options.second_key)
        return
    config = report.run.config
    faults, variations = (tuple(map(str, config.get(name) or ())) for name in ("faults", "variations"))
    mind = str(config.get("mind") or "obedient")
    with start_process(str(config.get("dialect") or "openai"), faults, variations, mind) as url:
        yield Access(url, KEY, second_key=SECOND_KEY)


def _renamed(request: Request, ids: dict[str, str]) -> Request:
    """A stored completion's id as it is this time."""
    for old, new in ids.items():
        request = replace(request, path=request.path.replace(f"{_STORED}{old}", f"{_STORED}{new}"))
    return request


def _send(steps: Sequence[Step], transport: HttpTransport, about: str) -> tuple[list[Exchange], str]:
    """One after the other; returns the answers and the stored id of this time."""
    ids: dict[str, str] = {}
    made: list[Exchange] = []
    for number, step in enumerate(steps, 1):
        request = _renamed(request_of(step), ids)
        exchange = replace(transport.send(request), id=f"e{number}")
        made.append(exchange)
        answer = exchange.answer
        if about and about not in ids and answer is not None and isinstance(answer.id, str):
            ids[about] = answer.id
    return made, ids.get(about, about)


def _terms(directory: Path, dialect: Dialect) -> Terms:
    try:
        evidence = recorded(directory)
    except VerifyError:
        return Terms(dialect)
    return Terms(dialect, derive(gathered(evidence.exchanges, evidence.marks)))


def secrets_of(options: Options) -> Secrets:
    """What must not be shown of a replay."""
    return Secrets(
        frozenset(value for _, value in options.headers) | {key for key in (options.key, options.second_key) if key},
        frozenset(name for name, _ in options.headers),
    )


def replay(directory: Path, requirement: str, options: Options, dialect: str | None = None) -> Replayed:
    """Send the first finding's steps again. Raises VerifyError, DialectError or ValueError with one sentence."""
    report = read_report(directory)
    row, finding = _chosen(report, requirement)
    spoken = dialect_of(report, dialect)
    rule = rulebook.load().get(requirement)
    if rule is None:
        raise VerifyError(f"no rule judges {requirement} any more")
    with _access(report, options) as access:
        transport = HttpTransport(access, Timeouts(*options.timeouts))
        try:
            exchanges, stored = _send(finding.steps, transport, _stored(finding))
        finally:
            transport.close()
    secrets = secrets_of(options)
    exchanges = [secrets.exchange(exchange) for exchange in exchanges]
    terms = _terms(directory, spoken)
    if finding.relation == Relation.LIFECYCLE.value:
        finding = replace(finding, about=stored)
    if isinstance(rule, Rule):
        judgement = judge(rule, trace_of(finding, exchanges), terms)
    else:
        judgement = next(judge_run([rule], exchanges, terms), Judgement(rule.id, Run(tuple(exchanges))))
    return Replayed(row, finding, tuple(exchanges), judgement)


def _stored(finding: Violation) -> str:
    return finding.about if finding.relation == Relation.LIFECYCLE.value else ""
