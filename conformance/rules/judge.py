"""Apply rules to traces: facets first, then the rule, without ever raising on what an endpoint sent.

A rule that raises nevertheless is a defect of the suite: the judgement then carries `error`, and the verdict of that
requirement becomes our `error`; nobody else's verdict is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.rules.base import NOT_APPLICABLE, Finding, FoldRule, Reason, Rule, Terms, Vacuous
from conformance.wire.exchange import End, Exchange
from conformance.wire.traces import Run, Single, Trace

_TRANSPORT = Vacuous(Reason.TRANSPORT)
_FACETS = Vacuous(Reason.FACETS)
_NO_CONTROL = Vacuous(Reason.NO_CONTROL)


@dataclass(frozen=True)
class Judgement:
    """What one rule said of one trace. No findings, no `vacuous` and no `error` means: held.

    `error` is set where the rule itself raised: one sentence that names the rule and the line, without a traceback.
    """

    requirement: str
    trace: Trace
    findings: tuple[Finding, ...] = ()
    vacuous: Vacuous | None = None
    error: str | None = None

    @property
    def held(self) -> bool:
        """The trace could have shown a violation and did not."""
        return not self.findings and self.vacuous is None and self.error is None


def came_through(exchange: Exchange) -> bool:
    """There is an answer to judge: a status came, and the reading was not stopped by us or the network.

    An orderly end of a stream without `[DONE]` came through; a reset or a timeout did not.
    """
    return exchange.status is not None and exchange.end is End.COMPLETE


def is_readable(rule: Rule | FoldRule, exchange: Exchange) -> bool:
    """The recording holds what the rule reads, and did not alter the values that it trusts."""
    return rule.reads <= exchange.facets and not (rule.values & exchange.altered)


def _sentence(rule: Rule | FoldRule, error: Exception) -> str:
    """Which rule raised what, and where; the message is left out, for it may quote what the endpoint sent."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = f" ({Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno})" if last is not None else ""
    return f"the rule {rule.id} raised {type(error).__name__}{place}: a defect of this suite"


def judge(rule: Rule, trace: Trace, terms: Terms) -> Judgement:
    """One rule over one trace. `NOT_APPLICABLE` is returned before facets are looked at. Never raises."""
    try:
        return _judge(rule, trace, terms)
    except Exception as error:  # the guard that makes a defect of one rule its own verdict
        return Judgement(rule.id, trace, error=_sentence(rule, error))


def _judge(rule: Rule, trace: Trace, terms: Terms) -> Judgement:
    if rule.when is not None and not rule.when(trace, terms):
        return Judgement(rule.id, trace, vacuous=NOT_APPLICABLE)
    if not rule.broken and not all(map(came_through, trace.exchanges)):
        return Judgement(rule.id, trace, vacuous=_TRANSPORT)
    if not all(is_readable(rule, exchange) for exchange in trace.exchanges):
        return Judgement(rule.id, trace, vacuous=_FACETS)
    findings: list[Finding] = []
    vacuous: Vacuous | None = None
    for said in rule.check(trace, terms):
        if isinstance(said, Finding):
            findings.append(said)
        else:
            vacuous = vacuous or said
    if not isinstance(trace, rule.on):
        vacuous = vacuous or _NO_CONTROL
    return Judgement(rule.id, trace, tuple(findings), None if findings else vacuous)


def judge_traces(rules: Iterable[Rule], traces: Iterable[Trace], terms: Terms) -> Iterator[Judgement]:
    """Every rule over every trace of its relations; `not_applicable` is left out."""
    by_relation: dict[type[Trace], list[Rule]] = {}
    for rule in rules:
        for relation in (rule.on, *rule.also):
            by_relation.setdefault(relation, []).append(rule)
    for trace in traces:
        for rule in by_relation.get(type(trace), ()):
            judgement = judge(rule, trace, terms)
            if judgement.vacuous is not NOT_APPLICABLE and (
                judgement.vacuous is None or judgement.vacuous.reason is not Reason.NOT_APPLICABLE
            ):
                yield judgement


def judge_run(rules: Iterable[FoldRule], exchanges: Sequence[Exchange], terms: Terms) -> Iterator[Judgement]:
    """Every fold over all exchanges that have its facets. Never raises."""
    for rule in rules:
        try:
            judgement = _judge_run(rule, exchanges, terms)
        except Exception as error:  # as in `judge`
            judgement = Judgement(rule.id, Run(()), error=_sentence(rule, error))
        if judgement is not None:
            yield judgement


def _judge_run(rule: FoldRule, exchanges: Sequence[Exchange], terms: Terms) -> Judgement | None:
    state: Any = rule.fold.empty()
    unreadable = 0
    for exchange in exchanges:
        if not came_through(exchange):
            continue
        if is_readable(rule, exchange):
            state = rule.fold.step(state, exchange, terms)
        else:
            unreadable += 1
    findings: list[Finding] = []
    vacuous: Vacuous | None = None
    for said in rule.fold.finish(state, terms):
        if isinstance(said, Finding):
            findings.append(said)
        else:
            vacuous = vacuous or said
    if not findings and vacuous is not None and vacuous.reason is Reason.NOT_APPLICABLE:
        if not unreadable:
            return None
        vacuous = _FACETS
    shown = {finding.exchange for finding in findings}
    trace = Run(tuple(exchange for exchange in exchanges if exchange.id in shown))
    return Judgement(rule.id, trace, tuple(findings), None if findings else vacuous)


def judge_all(
    rules: Iterable[Rule | FoldRule], exchanges: Sequence[Exchange], traces: Iterable[Trace], terms: Terms
) -> Iterator[Judgement]:
    """Single rules over every exchange, relation rules over the given traces, folds over everything.

    `traces` come from `conformance.wire.assemble.assemble` and already hold each exchange as a Single.
    """
    every = list(rules)
    yield from judge_traces([rule for rule in every if isinstance(rule, Rule)], traces, terms)
    yield from judge_run([rule for rule in every if isinstance(rule, FoldRule)], exchanges, terms)


def singles(exchanges: Iterable[Exchange]) -> Iterator[Single]:
    """Each exchange by itself."""
    return (Single((exchange,)) for exchange in exchanges)
