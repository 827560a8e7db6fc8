import pytest

from conformance.catalogue.model import Level
from conformance.verdict.fold import fold, tally
from conformance.verdict.outcome import Gate, Outcome, decide
from conformance.verdict.selection import Scope, Standing
from tests.verdict_builders import broken, held, raised, requirement, scope, vacuous


def outcome_of(judgements, *rows, gate=None, **more):
    return decide(fold(tally(judgements), scope(*rows)), gate or Gate(), **more)


A, B = requirement("tools.a"), requirement("tool_choice.b")
MODEL = requirement("tool_choice.m", exercise="model")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("conformant", 0), ("nonconformant", 1), ("incomplete", 2), ("no_verdict", 2), ("interrupted", 130)],
)
def test_exit_codes(outcome, code):
    assert Outcome(outcome).exit_code == code


def test_everything_held():
    found = outcome_of([held("tools.a"), held("tool_choice.b")], A, B)
    assert found.outcome is Outcome.CONFORMANT
    assert found.coverage.text == "2 of 2 requirements exercised (100 %), MUST 2 of 2"


def test_a_violation_comes_before_what_is_missing():
    assert outcome_of([broken("tools.a")], A, B).outcome is Outcome.NONCONFORMANT


def test_an_interruption_comes_first():
    assert outcome_of([broken("tools.a")], A, interrupted=True).outcome is Outcome.INTERRUPTED
    assert outcome_of([], A, interrupted=True).gaps == ()


@pytest.mark.parametrize(("fail_on", "outcome"), [("MUST", "conformant"), ("SHOULD", "nonconformant")])
def test_the_gate(fail_on, outcome):
    row = requirement("tools.a", "SHOULD")
    assert outcome_of([broken("tools.a")], row, gate=Gate(Level(fail_on))).outcome == outcome


def test_what_lies_below_the_gate_is_told():
    rows = [requirement(f"tools.{name}", "SHOULD") for name in "ab"]
    assert outcome_of([broken("tools.a"), held("tools.b")], *rows).reason == "no MUST is violated, and 1 SHOULD is"
    assert outcome_of([broken(row.id) for row in rows], *rows).reason == "no MUST is violated, and 2 SHOULD are"


def test_a_violated_may_never_gates():
    row = requirement("tools.a", "MAY")
    assert outcome_of([broken("tools.a")], row, gate=Gate(Level.SHOULD)).outcome is Outcome.CONFORMANT


@pytest.mark.parametrize("said", [[], [vacuous("tools.a", "facets")]])
def test_nothing_judged_is_no_verdict(said):
    assert outcome_of(said, A).outcome is Outcome.NO_VERDICT


def test_nothing_selected_is_no_verdict():
    assert outcome_of([]).reason == "nothing was selected"


def test_preflight_that_failed_tells_its_sentence():
    found = outcome_of([], A, failed="the key was refused")
    assert (found.outcome, found.reason) == (Outcome.NO_VERDICT, "the key was refused")


@pytest.mark.parametrize(
    ("said", "without"),
    [
        ([vacuous("tool_choice.b", "refused")], ("tool_choice.b",)),
        ([], ()),
        ([vacuous("tool_choice.b", "transport")], ()),
        ([raised("tool_choice.b")], ()),
    ],
)
def test_an_always_row_that_is_missing_makes_it_incomplete(said, without):
    found = outcome_of([held("tools.a"), *said], A, B)
    assert found.outcome is Outcome.INCOMPLETE
    assert [gap.ids for gap in found.gaps] == [("tool_choice.b",)]
    assert found.without == without


def test_a_capability_that_is_refused_as_a_whole_is_named():
    core = requirement("logprobs.x", exercise="passive")
    rows = requirement("tools.a"), requirement("tool_choice.b"), core
    said = [vacuous("tools.a", "refused"), vacuous("tool_choice.b", "refused"), held("logprobs.x")]
    found = outcome_of(said, *rows)
    assert found.outcome is Outcome.INCOMPLETE
    assert found.without == ("capability:tools",)
    assert [gap.ids for gap in found.gaps] == [("tools.a", "tool_choice.b")]


def test_a_claimed_capability_that_no_answer_showed():
    found = outcome_of([held("tools.a"), vacuous("tool_choice.m", "model_free")], A, MODEL)
    assert found.outcome is Outcome.INCOMPLETE
    assert found.without == ("capability:tools",)
    shown = outcome_of([held("tools.a"), held("tool_choice.m")], A, MODEL)
    assert shown.outcome is Outcome.CONFORMANT


@pytest.mark.parametrize("exercise", ["passive", "opt_in:plant"])
def test_passive_rows_never_gate_by_absence(exercise):
    row = requirement("tool_choice.b", exercise=exercise)
    assert outcome_of([held("tools.a")], A, row).outcome is Outcome.CONFORMANT
    assert outcome_of([held("tools.a")], A, row, gate=Gate(require_all=True)).outcome is Outcome.INCOMPLETE


def test_a_rule_that_raised_is_never_passed_over():
    row = requirement("tool_choice.b", exercise="passive")
    assert outcome_of([held("tools.a"), raised("tool_choice.b")], A, row).outcome is Outcome.INCOMPLETE


def test_what_was_excluded_is_not_missing():
    standings = {"tools.a": Standing(A, A.claims["openai"]), B.id: Standing(B, B.claims["openai"], "--without x")}
    found = decide(fold(tally([held("tools.a")]), Scope(standings)), Gate(require_all=True))
    assert found.outcome is Outcome.CONFORMANT
    assert found.coverage.of == 1


def test_a_run_without_a_key_says_why_nothing_is_known_of_keys():
    rows = (A, requirement("auth.missing_key.gets_401"))
    found = outcome_of([held("tools.a")], *rows, keyless=True)
    assert (found.outcome, found.without) == (Outcome.INCOMPLETE, ("auth",))
    assert [gap.why for gap in found.gaps] == ["no key was given, so nothing can be said about keys"]
    assert outcome_of([held("tools.a")], *rows).without == ()
    assert outcome_of([held("tools.a"), held("auth.missing_key.gets_401")], *rows, keyless=True).gaps == ()
