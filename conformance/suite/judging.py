"""From evidence alone to judgements: live, in `verify`, and in the matrices alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from conformance.dialects.model import Dialect
from conformance.rules.base import FoldRule, Reason, Rule, Terms, Vacuous
from conformance.rules.judge import Judgement, came_through, judge_all
from conformance.wire.assemble import assemble
from conformance.wire.exchange import Exchange
from conformance.wire.facts import derive
from conformance.wire.traces import Mark, Relation

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
        kept = tuple(finding for finding in judgement.findings if finding.exchange not in self._excused)
        if len(kept) == len(judgement.findings):
            return judgement
        return replace(judgement, findings=kept, vacuous=None if kept else _ACCIDENT)


def _failed(exchange: Exchange) -> bool:
    return not came_through(exchange) or (exchange.status or 0) >= 500


def judge_evidence(
    exchanges: Iterable[Exchange], marks: Iterable[Mark], dialect: Dialect, rules: Iterable[Rule | FoldRule]
) -> tuple[Terms, list[Judgement]]:
    """The terms that the exchanges show, and what the rules say of every trace. Pure; equal evidence, equal verdicts.

    An answer with a 5xx status is held against the endpoint only if a completion succeeded before and after it, and
    each attempt at the request failed, two at least; requests without the run's key are never sent twice, so there
    one is enough. Otherwise what it violates is vacuous for reasons of transport.
    """
    every = list(marks)
    counted = gathered(exchanges, every)
    terms = Terms(dialect, derive(counted))
    traces = assemble(counted, [mark for mark in every if not aside(mark)])
    accidents = _Accidents(counted)
    return terms, [accidents.excuse(judgement) for judgement in judge_all(rules, counted, traces, terms)]
