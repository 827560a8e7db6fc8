"""What waivers excuse, what they never excuse, and what is said of each."""

from datetime import date, timedelta

import pytest

from conformance.verdict.excuses import Known, excuse
from conformance.verdict.fold import Verdict, fold, tally
from conformance.verdict.outcome import Gate, Outcome, decide
from conformance.verdict.waivers import State, Waiver, told
from tests.verdict_builders import broken, held, raised, requirement, scope, vacuous

TODAY = date(2026, 5, 1)
A, B, C = "tools.a", "tools.b", "tool_choice.c"
ROWS = requirement(A), requirement(B), requirement(C)


def waiver(name=A, **changes):
    return Waiver(**{"requirement": name, "reason": "so it is", "owner": "ana", "expires": TODAY, **changes})


def run(judgements, *waivers, rows=ROWS, entries=None, dialect="openai"):
    results = excuse(fold(tally(judgements), scope(*rows), entries), Known(TODAY, waivers), dialect)
    states = told(waivers, results, dialect, TODAY)
    return {result.id: result for result in results}, states, decide(results, Gate())


FINE = [held(A), held(B), held(C)]
BROKEN = [broken(A), held(B), held(C)]


def test_a_known_violation_is_waived_and_conforms():
    found, states, decision = run(BROKEN, waiver())
    assert found[A].verdict is Verdict.WAIVED
    assert found[A].reason == "until 2026-05-01: so it is (ana)"
    assert found[A].violated == 1
    assert [(told.state, told.requirements) for told in states] == [(State.USED, (A,))]
    assert decision.outcome is Outcome.CONFORMANT
    assert decision.reason == "nothing is violated beyond what is known of 1 requirement"
    assert decision.coverage.exercised == 3


@pytest.mark.parametrize(
    ("judgements", "given", "state", "why"),
    [
        (FINE, waiver(), State.STALE, "exercised, and not violated: it can go"),
        (BROKEN, waiver(place="body:/id"), State.STALE, "exercised, and not violated at this place: it can go"),
        ([held(B), held(C)], waiver(), State.UNOBSERVED, "tools.a was not exercised"),
        ([held(B), held(C)], waiver("*"), State.UNOBSERVED, "tools.a was not exercised"),
        ([held(C)], waiver("tools.*"), State.UNOBSERVED, "tools.a and 1 more were not exercised"),
        (BROKEN, waiver("sse.x"), State.UNOBSERVED, "nothing of it was part of this run"),
        (BROKEN, waiver(dialect="aurous"), State.UNOBSERVED, "it is for the dialect aurous"),
        (
            BROKEN,
            waiver(expires=TODAY - timedelta(days=1)),
            State.EXPIRED,
            "since 2026-04-30 it excuses nothing",
        ),
        (
            FINE,
            waiver(expires=TODAY - timedelta(days=1)),
            State.EXPIRED,
            "since 2026-04-30 it excuses nothing, and nothing of it was violated",
        ),
    ],
)
def test_every_state_that_excuses_nothing(judgements, given, state, why):
    found, states, decision = run(judgements, given)
    assert (states[0].state, states[0].why) == (state, why)
    assert all(result.verdict is not Verdict.WAIVED for result in found.values())
    assert (decision.outcome is Outcome.NONCONFORMANT) is (judgements is BROKEN)


def test_an_expired_waiver_names_what_it_would_have_excused():
    _, states, _ = run(BROKEN, waiver("tools.*", expires=date(2020, 1, 1)))
    assert states[0].requirements == (A,)


@pytest.mark.parametrize("given", [waiver("tools.*"), waiver(dialect="openai"), waiver(place="body:/choices/*/index")])
def test_globs_dialects_and_places(given):
    found, states, _ = run(BROKEN, given)
    assert found[A].verdict is Verdict.WAIVED
    assert states[0].state is State.USED


def test_a_dialect_that_extends_another_is_another():
    _, states, decision = run(BROKEN, waiver(dialect="openai"), dialect="mine")
    assert states[0].state is State.UNOBSERVED
    assert decision.outcome is Outcome.NONCONFORMANT


def test_only_a_violation_of_which_every_place_is_known_is_waived():
    said = [broken(A, "/choices/0/index", 1, "/id"), held(B), held(C)]
    found, states, decision = run(said, waiver(place="body:/id"))
    assert found[A].verdict is Verdict.FAIL
    assert [cluster.place for cluster in found[A].found] == ["body:/choices/*/index"]
    assert [cluster.place for cluster in found[A].excused] == ["body:/id"]
    assert states[0].state is State.USED
    assert decision.outcome is Outcome.NONCONFORMANT
    both, _, _ = run(said, waiver(place="body:/id"), waiver(place="body:/choices/*/index", reason="other"))
    assert both[A].verdict is Verdict.WAIVED
    assert "so it is" in both[A].reason
    assert "other" in both[A].reason


def test_a_rare_place_is_not_hidden_behind_frequent_ones_that_are_known():
    said = [broken(A, f"/known{n}", n) for n in range(8) for _ in range(2)] + [broken(A, "/new", 99), held(B), held(C)]
    found, _, decision = run(said, *(waiver(place=f"body:/known{n}") for n in range(8)))
    assert [cluster.place for cluster in found[A].clusters] == ["body:/new"]
    assert len(found[A].excused) == 8
    assert decision.outcome is Outcome.NONCONFORMANT


@pytest.mark.parametrize("level", ["SHOULD", "MAY"])
def test_what_only_warns_or_informs_can_be_waived_too(level):
    found, states, _ = run([broken(A)], waiver(), rows=[requirement(A, level)])
    assert found[A].verdict is Verdict.WAIVED
    assert states[0].state is State.USED


def test_an_error_of_ours_is_never_excused():
    found, states, decision = run([raised(A), held(B), held(C)], waiver("*"))
    assert found[A].verdict is Verdict.ERROR
    assert states[0].state is State.UNOBSERVED
    assert decision.outcome is Outcome.INCOMPLETE
    found, _, decision = run([raised(A), broken(A), held(B), held(C)], waiver("*"))
    assert found[A].verdict is Verdict.ERROR
    assert decision.outcome is Outcome.INCOMPLETE


def test_a_run_without_verdict_is_never_excused():
    results = excuse(fold({}, scope(*ROWS)), Known(TODAY, (waiver("*"),)), "openai")
    assert decide(results, Gate(), failed="the key was refused").outcome is Outcome.NO_VERDICT


def test_what_a_known_violation_blocks_makes_no_run_incomplete():
    rows = requirement(B), requirement(A, requires=[B])
    said = [broken(B), vacuous(A, "no_control")]
    found, _, decision = run(said, waiver(B), rows=rows)
    assert found[A].verdict is Verdict.BLOCKED
    assert found[A].reason == "tools.b is known to be violated, and this one builds on it"
    assert decision.outcome is Outcome.CONFORMANT
    _, _, blocked = run(said, rows=rows)
    assert blocked.outcome is Outcome.NONCONFORMANT


def test_places_are_compared_as_reports_spell_them():
    results = fold(tally([broken(A, "/\x1b")]), scope(ROWS[0]))
    spelled = excuse(results, Known(TODAY, (waiver(place="body:/ESC"),)), "openai", lambda p: p.replace("\x1b", "ESC"))
    assert spelled[0].verdict is Verdict.WAIVED


def test_a_waiver_that_names_one_requirement_answers_for_its_absence():
    said = [held(B), held(C)]
    assert run(said)[2].outcome is Outcome.INCOMPLETE
    found, states, decision = run(said, waiver(A))
    assert found[A].verdict is Verdict.NOT_EXERCISED
    assert states[0].state is State.UNOBSERVED
    assert decision.outcome is Outcome.CONFORMANT
    assert decision.reason == "nothing is violated; 1 requirement could not be judged, as is known"


@pytest.mark.parametrize("given", [waiver("tools.*"), waiver(dialect="aurous"), waiver(expires=date(2020, 1, 1))])
def test_no_other_waiver_answers_for_absence(given):
    assert run([held(B), held(C)], given)[2].outcome is Outcome.INCOMPLETE


def test_a_network_that_failed_is_not_waived():
    found, _, decision = run([vacuous(A, "transport"), held(B), held(C)], waiver(A))
    assert found[A].verdict is Verdict.ERROR
    assert decision.outcome is Outcome.INCOMPLETE
