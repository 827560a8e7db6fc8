"""Against a baseline only what is new counts; what differs between two runs is told place by place."""

from datetime import date

import pytest

from conformance.verdict.baseline import Baseline, against
from conformance.verdict.difference import Seen, difference
from conformance.verdict.excuses import Known, excuse
from conformance.verdict.fold import Verdict, fold, tally
from conformance.verdict.outcome import Gate, Outcome, decide
from conformance.verdict.waivers import Waiver
from tests.verdict_builders import broken, held, raised, requirement, scope, vacuous

TODAY = date(2026, 5, 1)
A, B, C = "tools.a", "tools.b", "tool_choice.c"
ROWS = requirement(A), requirement(B), requirement(C)
INDEX = "body:/choices/*/index"


def baseline(left_out=(), catalogue="0" * 64, **rows):
    made = {A: Seen(True), B: Seen(True), C: Seen(True)}
    made |= {name.replace("__", "."): seen for name, seen in rows.items()}
    return Baseline("report.json", catalogue, made, frozenset(left_out))


def run(judgements, base, *waivers, rows=ROWS):
    results = excuse(fold(tally(judgements), scope(*rows)), Known(TODAY, waivers, base), "openai")
    return {result.id: result for result in results}, against(results, base, "0" * 64), decide(results, Gate())


VIOLATED = Seen(True, frozenset({INDEX}))


def test_what_was_violated_there_is_known():
    found, told, decision = run([broken(A), held(B), held(C)], baseline(tools__a=VIOLATED))
    assert found[A].verdict is Verdict.WAIVED
    assert found[A].reason == "known from the baseline report.json"
    assert (told.known, told.new, told.fixed) == ((A,), (), ())
    assert decision.outcome is Outcome.CONFORMANT


def test_another_place_is_new():
    said = [broken(A, "/choices/0/index", 1, "/id"), held(B), held(C)]
    found, told, decision = run(said, baseline(tools__a=VIOLATED))
    assert [cluster.place for cluster in found[A].found] == ["body:/id"]
    assert told.new == ((A, "body:/id"),)
    assert told.known == (A,)
    assert decision.outcome is Outcome.NONCONFORMANT


def test_another_requirement_is_new():
    _, told, decision = run([held(A), broken(B), held(C)], baseline(tools__a=VIOLATED))
    assert told.new == ((B, INDEX),)
    assert told.fixed == ((A, INDEX),)
    assert decision.outcome is Outcome.NONCONFORMANT


def test_more_places_than_are_told_apart_are_known_as_a_whole():
    _, told, decision = run(
        [broken(A, "/id"), held(B), held(C)], baseline(tools__a=Seen(True, frozenset({INDEX}), True))
    )
    assert told.new == ()
    assert decision.outcome is Outcome.CONFORMANT


def test_what_is_not_exercised_any_more_is_gone_and_not_fixed():
    _, told, decision = run([held(B), held(C)], baseline(tools__a=VIOLATED))
    assert (told.fixed, told.gone) == ((), (A,))
    assert decision.outcome is Outcome.INCOMPLETE


def test_what_was_lacking_there_may_lack_here():
    found, told, decision = run([held(B), held(C)], baseline(tools__a=Seen(False)))
    assert found[A].forgiven
    assert told.lacking == (A,)
    assert decision.outcome is Outcome.CONFORMANT
    assert decision.reason == "nothing is violated; 1 requirement could not be judged, as is known"


def test_what_was_left_out_there_on_purpose_may_not_lack_here():
    _, told, decision = run([held(B), held(C)], baseline([A], tools__a=Seen(False)))
    assert told.lacking == ()
    assert decision.outcome is Outcome.INCOMPLETE


@pytest.mark.parametrize("said", [[raised(A)], [raised(A), broken(A)]])
def test_an_error_of_ours_is_never_forgiven(said):
    for seen in (Seen(False), VIOLATED):
        found, _, decision = run([*said, held(B), held(C)], baseline(tools__a=seen))
        assert not found[A].forgiven
        assert decision.outcome is not Outcome.CONFORMANT


def test_a_capability_that_never_showed_there_either_is_no_gap():
    rows = requirement(A), requirement(C, exercise="model")
    said = [held(A), vacuous(C, "model_free")]
    assert run(said, baseline(tool_choice__c=Seen(False)), rows=rows)[2].outcome is Outcome.CONFORMANT
    assert run(said, baseline(), rows=rows)[2].outcome is Outcome.INCOMPLETE


def test_what_came_with_another_catalogue_is_added_and_counts():
    base = Baseline("old", "1" * 64, {A: Seen(True), B: Seen(True)})
    _, told, decision = run([held(A), held(B), broken(C)], base)
    assert not told.same_catalogue
    assert told.added == (C,)
    assert told.new == ((C, INDEX),)
    assert decision.outcome is Outcome.NONCONFORMANT


def test_a_waiver_that_expired_is_not_prolonged_by_a_baseline():
    old = Waiver(A, "so it is", "ana", date(2020, 1, 1))
    found, told, decision = run([broken(A), held(B), held(C)], baseline(tools__a=VIOLATED), old)
    assert found[A].verdict is Verdict.FAIL
    assert (told.new, told.known) == ((), ())
    assert decision.outcome is Outcome.NONCONFORMANT


def test_a_waiver_and_a_baseline_together_excuse_what_each_knows():
    said = [broken(A, "/choices/0/index", 1, "/id"), held(B), held(C)]
    waiver = Waiver(A, "so it is", "ana", TODAY, place="body:/id")
    found, told, decision = run(said, baseline(tools__a=VIOLATED), waiver)
    assert found[A].verdict is Verdict.WAIVED
    assert "so it is" in found[A].reason
    assert "known from the baseline" in found[A].reason
    assert told.new == ()
    assert decision.outcome is Outcome.CONFORMANT


def test_a_difference_has_every_kind():
    before = {"a": VIOLATED, "b": VIOLATED, "c": Seen(True), "d": Seen(False), "e": VIOLATED, "f": Seen(True)}
    now = {"a": VIOLATED, "b": Seen(True), "c": Seen(False), "d": VIOLATED, "e": Seen(False), "g": Seen(True)}
    found = difference(before, now)
    assert found.broken == (("d", INDEX),)
    assert found.fixed == (("b", INDEX),)
    assert found.newly == ("d",)
    assert found.gone == ("c", "e")
    assert found.added == ("g",)
    assert found.removed == ("f",)
    assert found.any
    assert not difference(before, before).any
