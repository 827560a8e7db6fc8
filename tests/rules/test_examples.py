"""Every requirement has one rule, and every rule agrees with its catalogue row's example of right and wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from conformance import rules
from conformance.catalogue import examples
from conformance.catalogue.loader import load as load_catalogue
from conformance.catalogue.model import Level, Requirement
from conformance.dialects.loader import builtin_names
from conformance.dialects.loader import load as load_dialect
from conformance.rules.base import FoldRule, Rule, Terms
from conformance.rules.judge import Judgement, judge, judge_run, singles
from conformance.wire.exchange import Exchange
from conformance.wire.facts import Facts
from conformance.wire.traces import Trace

CATALOGUE = load_catalogue()
RULES = rules.load()
ROWS = [row for row in CATALOGUE.requirements.values() if row.excluded is None]
CASES = [(row, name) for row in ROWS for name in sorted(row.claims) if name in builtin_names()]
DIALECTS = {name: load_dialect(name) for name in builtin_names()}


def _terms(row: Requirement, name: str) -> Terms:
    found = dict((row.example or {}).get("facts", {}))
    if "models" in found:
        found["models"] = tuple(found["models"])
    return Terms(DIALECTS[name], Facts(**found))


def _judge(rule: Rule | FoldRule, trace: Trace, terms: Terms) -> Judgement | None:
    if isinstance(rule, FoldRule):
        return next(iter(judge_run([rule], trace.exchanges, terms)), None)
    return judge(rule, trace, terms)


def _said(judgement: Judgement | None) -> str:
    if judgement is None:
        return "nothing (not applicable)"
    return str(judgement.error or judgement.findings or judgement.vacuous or "held")


def _ids(cases: Iterable[tuple[Requirement, str]]) -> list[str]:
    return [f"{row.id}[{name}]" for row, name in cases]


def test_every_requirement_has_one_rule_and_every_rule_one_requirement() -> None:
    judged = {row.id for row in ROWS}
    assert sorted(judged - RULES.keys()) == []
    assert sorted(RULES.keys() - judged) == []


@pytest.mark.parametrize(("row", "name"), CASES, ids=_ids(CASES))
def test_wrong_is_found_and_right_is_held(row: Requirement, name: str) -> None:
    assert row.example is not None
    terms = _terms(row, name)
    rule = RULES[row.id]
    wrong = _judge(rule, examples.trace(row.example, "wrong"), terms)
    assert wrong is not None, "the wrong example is not this rule's business"
    assert wrong.findings, f"the wrong example: {_said(wrong)}"
    assert all(finding.expected and finding.observed for finding in wrong.findings)
    right = _judge(rule, examples.trace(row.example, "right"), terms)
    assert right is not None, "the right example is not this rule's business"
    assert right.held, f"the right example: {_said(right)}"


def _found_by(exchanges: tuple[Exchange, ...], trace: Trace, terms: Terms, among: Iterable[str]) -> Iterator[str]:
    """The rules that find something in a trace, in each of its exchanges alone, or in all of them as a run."""
    for name in among:
        rule = RULES[name]
        if isinstance(rule, FoldRule):
            shown = [_judge(rule, trace, terms)]
        else:
            shown = [judge(rule, item, terms) for item in (trace, *singles(exchanges)) if isinstance(item, rule.on)]
        if any(judgement is not None and judgement.findings for judgement in shown):
            yield name


@pytest.mark.parametrize("row", [row for row in ROWS if "openai" in row.claims], ids=lambda row: row.id)
def test_no_other_must_rule_finds_the_examples(row: Requirement) -> None:
    """In the dialect whose form the shorthand's defaults have: rows do not overlap, but where they say so."""
    assert row.example is not None
    terms = _terms(row, "openai")
    musts = [item.id for item in ROWS if "openai" in item.claims and item.claims["openai"].level is Level.MUST]
    for side, allowed in (("wrong", {row.id, *row.example.get("also", ())}), ("right", set())):
        trace = examples.trace(row.example, side)
        assert set(_found_by(trace.exchanges, trace, terms, musts)) <= allowed, side
