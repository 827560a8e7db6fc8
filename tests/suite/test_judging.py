from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from conformance.dialects import loader as dialects
from conformance.rules.base import Finding, Part, Reason, Rule, Terms, Vacuous
from conformance.rules.judge import Judgement
from conformance.suite.judging import aside, gathered, judge_evidence
from conformance.wire import strict_json
from conformance.wire.exchange import End, Exchange, Facet, Request
from conformance.wire.traces import Contrast, Mark, Relation, Single

OPENAI = dialects.load("openai")
FINE = {
    "id": "c",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}


def chat(text: str = "Hi", **fields: Any) -> Request:
    return Request(body=strict_json.dump({"model": "m", "messages": [{"role": "user", "content": text}], **fields}))


def exchange(number: int, status: int = 200, *, request: Request | None = None, **more: Any) -> Exchange:
    body = strict_json.dump(FINE if status == 200 else {"error": {"message": "boom"}})
    return Exchange(f"e{number}", request or chat(str(number)), status, body=body, **more)


def never_fails(trace: Single, terms: Terms) -> Iterator[Finding | Vacuous]:
    """The status is below 400."""
    if (trace.exchange.status or 0) >= 400:
        yield Finding(trace.exchange.id, Part.STATUS, "success", f"status {trace.exchange.status}")


STATUS = Rule("errors.none", Single, frozenset({Facet.STATUS}), frozenset(), None, never_fails)


def violating(exchanges: list[Exchange], marks: list[Mark] | None = None) -> set[str]:
    _, judgements = judge_evidence(exchanges, marks or [], OPENAI, [STATUS])
    return {finding.exchange for judgement in judgements for finding in judgement.findings}


def reasons(exchanges: list[Exchange]) -> set[Reason]:
    _, judgements = judge_evidence(exchanges, [], OPENAI, [STATUS])
    return {judgement.vacuous.reason for judgement in judgements if judgement.vacuous is not None}


def test_a_4xx_is_held_against_the_endpoint_at_once() -> None:
    assert violating([exchange(1, 400)]) == {"e1"}


def test_a_5xx_counts_if_it_came_twice_of_two_between_successes() -> None:
    twice = [exchange(1), exchange(2, 500), exchange(3, 500, request=chat("2"), retry_of="e2"), exchange(4)]
    assert violating(twice) == {"e2", "e3"}


@pytest.mark.parametrize(
    "exchanges",
    [
        [exchange(1), exchange(2, 500), exchange(3)],
        [exchange(1), exchange(2, 500), exchange(3, 200, retry_of="e2"), exchange(4)],
        [exchange(1), exchange(2, 500), exchange(3, 500, retry_of="e2")],
        [exchange(2, 500), exchange(3, 500, retry_of="e2"), exchange(4)],
        [exchange(1), exchange(2, 500), exchange(3, 500, end=End.RESET), exchange(4)],
    ],
    ids=["once", "not again", "no success after", "no success before", "another request"],
)
def test_a_5xx_that_may_be_an_accident_says_nothing(exchanges: list[Exchange]) -> None:
    assert violating(exchanges) == set()
    assert Reason.TRANSPORT in reasons(exchanges)


@pytest.mark.parametrize("auth", ["none", "as_given"])
def test_without_the_key_once_is_enough_as_it_is_never_sent_twice(auth: str) -> None:
    failed = exchange(2, 500, request=replace(chat(), auth=auth))
    assert violating([exchange(1), failed, exchange(3)]) == {"e2"}
    assert violating([failed, exchange(3)]) == set()


def test_a_finding_elsewhere_survives_an_excused_one() -> None:
    def both(trace: Contrast, terms: Terms) -> Iterator[Finding | Vacuous]:
        """Nothing is ever right."""
        for item in trace.exchanges:
            yield Finding(item.id, Part.BODY, "x", "y")

    rule = Rule("errors.both", Contrast, frozenset({Facet.BODY}), frozenset(), None, both)
    marks = [Mark(Relation.CONTRAST, "g", "control", "e1", "/n"), Mark(Relation.CONTRAST, "g", "variant", "e2", "/n")]
    _, judgements = judge_evidence([exchange(1), exchange(2, 500), exchange(3)], marks, OPENAI, [rule])
    found = [judgement for judgement in judgements if isinstance(judgement.trace, Contrast)]
    assert [[finding.exchange for finding in judgement.findings] for judgement in found] == [["e1"]]
    assert all(judgement.vacuous is None for judgement in found)


def test_what_shrinking_and_confirming_sent_counts_for_no_verdict() -> None:
    marks = [Mark(Relation.SINGLE, "errors.none", role, f"e{n}") for n, role in ((2, "shrink"), (3, "confirm"))]
    assert all(map(aside, marks))
    exchanges = [exchange(1), exchange(2, 400), exchange(3, 400), exchange(4, 404)]
    assert violating(exchanges, marks) == {"e4"}
    assert not aside(Mark(Relation.SINGLE, "g", "single", "e1"))


def test_exchanges_are_judged_in_the_order_of_sending() -> None:
    ids = [item.id for item in gathered([exchange(10), exchange(2), exchange(1)], [])]
    assert ids == ["e1", "e2", "e10"]
    foreign = [replace(exchange(1), id="log:7"), exchange(3), exchange(2)]
    assert gathered(foreign, []) == foreign


def test_equal_evidence_gives_equal_judgements_whatever_the_order_of_writing() -> None:
    exchanges = [exchange(1), exchange(2, 500), exchange(3, 500, retry_of="e2"), exchange(4), exchange(5, 404)]

    def verdicts(items: list[Exchange]) -> list[Judgement]:
        return judge_evidence(items, [], OPENAI, [STATUS])[1]

    assert verdicts(exchanges) == verdicts(list(reversed(exchanges)))


def test_a_chain_of_attempts_that_bites_its_tail_is_survived() -> None:
    strange = [replace(exchange(1, 500), retry_of="e2"), replace(exchange(2, 500), retry_of="e1")]
    assert violating(strange) == set()
