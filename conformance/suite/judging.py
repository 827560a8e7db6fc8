"""From evidence alone to judgements: live, in `verify`, and in the matrices alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from conformance.dialects.model import Dialect
from conformance.rules.base import FoldRule, Reason, Rule, Terms, Vacuous
from conformance.rules.judge import Judgement, came_through, judge_all, judge_run, judge_traces
from conformance.wire.assemble import assemble
from conformance.wire.exchange import Exchange
from conformance.wire.facts import derive
from conformance.wire.traces import Mark, Relation, Trace

ASIDE = frozenset({"shrink", "confirm"})
"""Roles of marks on exchanges that were sent to show a violation better: they count for no verdict."""
_ID = re.compile(r"e(\d+)\Z")
_ACCIDENT = Vacuous(Reason.TRANSPORT, "a 5xx that may have been an accident")


def aside(mark: Mark) -> bool:
    """The mark sets its exchange aside."""
    return mark.relation is Relation.SINGLE and mark.role in ASIDE


def gathered(exchanges: Iterable[Exchange], marks: Iterable[Mark]) -> list[Exchange]:
    """The exchanges that count, in the order of sending."""
    apart = {mark.exchange for mark in marks if aside(mark)}
    kept = [exchange for exchange in exchanges if exchange.id not in apart]
    numbers = [_ID.match(exchange.id) for exchange in kept]
    if all(numbers):
        kept.sort(key=lambda exchange: int(exchange.id[1:]))
    return kept


class _Accidents:
    """Which answers with a 5xx status are held against the endpoint: see `judge_evidence`."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        place = {exchange.id: position for position, exchange in enumerate(exchanges)}
        succeeded = [position for position, exchange in enumerate(exchanges) if exchange.answer is not None]
        root: dict[str, str] = {}
        attempts: dict[str, list[Exchange]] = {}
        for exchange in exchanges:
            first = root.get(exchange.retry_of or "", exchange.retry_of or exchange.id)
            root[exchange.id] = first
            attempts.setdefault(first, []).append(exchange)
        self._excused: set[str] = set()
        for exchange in exchanges:
            if exchange.status is None or exchange.status < 500:
                continue
            tries = attempts[root[exchange.id]]
            often = len(tries) > 1 or exchange.request.auth in ("none", "as_given")
            always = all(_failed(attempt) for attempt in tries)
            position = place[exchange.id]
            between = bool(succeeded) and succeeded[0] < position < succeeded[-1]
            if not (often and always and between):
                self._excused.add(exchange.id)

    def excuse(self, judgement: Judgement) -> Judgement:
        if not self._excused or not judgement.findings:
            return judgement
        kept = tuple(finding for finding in judgement.findings if finding.exchange not in self._excused)
        if len(kept) == len(judgement.findings):
            return judgement
        return replace(judgement, findings=kept, vacuous=None if kept else _ACCIDENT)


def _failed(exchange: Exchange) -> bool:
    return not came_through(exchange) or (exchange.status or 0) >= 500


@dataclass(frozen=True)
class Known:
    """What rules said of the traces of one run: rules are pure, so equal traces under equal terms need no judging.

    The matrices replay one plan hundreds of times, and most answers are those of the faultless endpoint.
    """

    terms: Terms
    rules: tuple[Rule, ...]
    said: Mapping[Trace, tuple[Judgement, ...]]


def known(
    exchanges: Iterable[Exchange], marks: Iterable[Mark], dialect: Dialect, rules: Iterable[Rule | FoldRule]
) -> Known:
    """Judge a run to recall it for others."""
    terms, _, traces = _laid_out(exchanges, list(marks), dialect)
    chosen = tuple(rule for rule in rules if isinstance(rule, Rule))
    said: dict[Trace, list[Judgement]] = {trace: [] for trace in traces}
    for judgement in judge_traces(chosen, said, terms):
        said[judgement.trace].append(judgement)
    return Known(terms, chosen, {trace: tuple(found) for trace, found in said.items()})


def _laid_out(
    exchanges: Iterable[Exchange], marks: list[Mark], dialect: Dialect
) -> tuple[Terms, list[Exchange], list[Trace]]:
    counted = gathered(exchanges, marks)
    terms = Terms(dialect, derive(counted))
    return terms, counted, assemble(counted, [mark for mark in marks if not aside(mark)])


def _recalled(rules: list[Rule | FoldRule], traces: list[Trace], terms: Terms, recall: Known) -> Iterator[Judgement]:
    """As judging the traces, in another order."""
    single = tuple(rule for rule in rules if isinstance(rule, Rule))
    if terms != recall.terms or single != recall.rules:
        yield from judge_traces(single, traces, terms)
        return
    new: list[Trace] = []
    for trace in traces:
        said = recall.said.get(trace)
        if said is None:
            new.append(trace)
        else:
            yield from said
    yield from judge_traces(single, new, terms)


def judge_evidence(
    exchanges: Iterable[Exchange],
    marks: Iterable[Mark],
    dialect: Dialect,
    rules: Iterable[Rule | FoldRule],
    recall: Known | None = None,
) -> tuple[Terms, list[Judgement]]:
    """The terms that the exchanges show, and what the rules say of every trace. Pure; equal evidence, equal verdicts.

    An answer with a 5xx status is held against the endpoint only if a completion succeeded before and after it, and
    each attempt at the request failed, two at least; requests without the run's key are never sent twice, so there
    one is enough. Otherwise what it violates is vacuous for reasons of transport. `recall` only makes it faster.
    """
    chosen = list(rules)
    terms, counted, traces = _laid_out(exchanges, list(marks), dialect)
    accidents = _Accidents(counted)
    if recall is None:
        judgements = judge_all(chosen, counted, traces, terms)
    else:
        folds = [rule for rule in chosen if isinstance(rule, FoldRule)]
        judgements = chain(_recalled(chosen, traces, terms, recall), judge_run(folds, counted, terms))
    return terms, [accidents.excuse(judgement) for judgement in judgements]
