import pytest

from conformance.rules.base import FoldRule, Reason, Rule, Terms, Vacuous
from conformance.rules.judge import Judgement, judge, judge_run
from conformance.verdict.fold import MOST_CLUSTERS, Verdict, fold, tally
from conformance.verdict.selection import Scope, Standing
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request
from conformance.wire.traces import Single
from tests.verdict_builders import broken, exchange, held, raised, requirement, scope, vacuous

ID = "tools.a"


def verdict_of(judgements, *rows, entries=None):
    rows = rows or (requirement(ID),)
    results = fold(tally(judgements), scope(*rows), entries)
    return {result.id: result for result in results}


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ([held(ID)], "pass"),
        ([held(ID), vacuous(ID, "refused")], "pass"),
        ([held(ID), broken(ID)], "fail"),
        ([broken(ID), vacuous(ID, "transport")], "fail"),
        ([broken(ID), raised(ID)], "fail"),
        ([held(ID), raised(ID)], "error"),
        ([raised(ID)], "error"),
        ([vacuous(ID, "refused"), vacuous(ID, "model_free")], "unsupported"),
        ([vacuous(ID, "facets")], "not_observable"),
        ([vacuous(ID, "facets"), vacuous(ID, "no_control")], "not_exercised"),
        ([vacuous(ID, "transport")], "error"),
        ([vacuous(ID, "transport"), vacuous(ID, "model_free")], "not_exercised"),
        ([], "not_exercised"),
    ],
)
def test_the_first_that_applies(said, verdict):
    assert verdict_of(said)[ID].verdict == verdict


@pytest.mark.parametrize(("level", "verdict"), [("MUST", "fail"), ("SHOULD", "warn"), ("MAY", "info")])
def test_the_level_weighs_a_violation(level, verdict):
    assert verdict_of([broken(ID)], requirement(ID, level))[ID].verdict == verdict


def test_only_our_own_error_counts_as_raised():
    assert verdict_of([raised(ID)])[ID].raised
    assert not verdict_of([vacuous(ID, "transport")])[ID].raised


def test_what_is_excluded_is_not_judged():
    row = requirement(ID)
    results = fold(tally([broken(ID)]), Scope({ID: Standing(row, row.claims["openai"], "--without tools")}))
    assert [(found.verdict, found.reason) for found in results] == [(Verdict.EXCLUDED, "--without tools")]


def test_counts_are_of_traces():
    found = verdict_of([broken(ID), broken(ID, "/id", 2), held(ID), vacuous(ID, "model_free")])[ID]
    assert (found.exercised, found.violated) == (3, 2)


def test_findings_cluster_by_normalised_place():
    said = [broken(ID, f"/choices/{n}/index", n) for n in range(3)]
    said.append(broken(ID, "/id", 7))
    clusters = verdict_of(said)[ID].clusters
    assert [(cluster.place, cluster.count) for cluster in clusters] == [("body:/choices/*/index", 3), ("body:/id", 1)]
    assert clusters[0].finding.exchange == "e0"


def test_two_findings_at_one_place_of_one_trace_count_once():
    found = verdict_of([broken(ID, "/choices/0/index", 1, "/choices/1/index", "/id")])[ID]
    assert {cluster.place: cluster.count for cluster in found.clusters} == {"body:/choices/*/index": 1, "body:/id": 1}
    assert next(c for c in found.clusters if c.count and "index" in c.place).finding.pointer == "/choices/0/index"


def test_only_the_most_frequent_clusters_are_told():
    said = [broken(ID, f"/field{n}", n) for n in range(8)] + [broken(ID, "/field7", 9)]
    found = verdict_of(said)[ID]
    assert len(found.clusters) == MOST_CLUSTERS
    assert found.clusters[0].place == "body:/field7"
    assert found.violated == 9


def test_the_commonest_reason_is_told_in_the_rules_words():
    said = [vacuous(ID, "model_free", "it did not call"), vacuous(ID, "model_free"), vacuous(ID, "no_control")]
    assert verdict_of(said)[ID].reason == "it did not call"


def test_the_prompts_that_a_model_did_not_follow_are_told():
    def asked(prompt):
        body = strict_json.dump({"model": "m", "messages": [{"role": "user", "content": prompt}]})
        trace = Single((Exchange("e1", Request(body=body), 200, body=b"{}"),))
        return Judgement(ID, trace, vacuous=Vacuous(Reason.MODEL_FREE, "it did not call"))

    said = [asked(prompt) for prompt in ("Call it!", "Call it!", "x" * 90, "Please?", "Well?", "Now\n then?")]
    found = verdict_of(said, requirement(ID, exercise="model"))[ID]
    assert found.verdict is Verdict.NOT_EXERCISED
    assert found.reason.startswith('it did not call; tried "Call it!", ')
    assert found.reason.endswith(" and 2 more")
    assert "x" * 60 not in found.reason
    assert verdict_of(said)[ID].reason == "it did not call", "what does not depend on the model"


def test_a_violated_requirement_blocks_what_builds_on_it():
    rows = requirement("tools.b"), requirement(ID, requires=["tools.b"])
    found = verdict_of([broken("tools.b"), vacuous(ID, "no_control")], *rows)[ID]
    assert found.verdict is Verdict.BLOCKED
    assert found.reason is not None
    assert "tools.b" in found.reason


def test_blocking_reaches_through_what_was_not_exercised_and_ends_in_cycles():
    rows = (
        requirement("tools.c", "SHOULD"),
        requirement("tools.b", requires=["tools.c", ID]),
        requirement(ID, requires=["tools.b"]),
    )
    found = verdict_of([broken("tools.c")], *rows)
    assert found[ID].verdict is found["tools.b"].verdict is Verdict.BLOCKED
    assert verdict_of([], *rows)[ID].verdict is Verdict.NOT_EXERCISED


def test_what_held_in_between_does_not_pass_blocking_on():
    rows = requirement("tools.c"), requirement("tools.b", requires=["tools.c"]), requirement(ID, requires=["tools.b"])
    found = verdict_of([broken("tools.c"), held("tools.b")], *rows)
    assert found[ID].verdict is Verdict.NOT_EXERCISED


@pytest.mark.parametrize(("said", "verdict"), [(broken(ID), "fail"), (vacuous(ID, "refused"), "unsupported")])
def test_blocking_never_hides_a_finding_or_a_refusal(said, verdict):
    rows = requirement("tools.b"), requirement(ID, requires=["tools.b"])
    assert verdict_of([broken("tools.b"), said], *rows)[ID].verdict == verdict


def test_an_area_is_blocked_by_its_entry():
    rows = requirement("sse.entry"), requirement("sse.other")
    found = verdict_of([broken("sse.entry")], *rows, entries={"sse": "sse.entry"})
    assert found["sse.other"].verdict is Verdict.BLOCKED
    assert found["sse.entry"].verdict is Verdict.FAIL


def raises(trace, terms):
    """Raises on everything."""
    raise KeyError("what the endpoint sent")


def test_a_rule_that_raises_is_told_without_a_traceback():
    judgement = judge(
        Rule("tools.raises", Single, frozenset(), frozenset(), None, raises), Single((exchange(),)), Terms(None)
    )
    assert not judgement.held
    assert judgement.error is not None
    assert judgement.error.startswith("the rule tools.raises raised KeyError (test_fold.py:")
    assert "what the endpoint sent" not in judgement.error
    assert "\n" not in judgement.error


def test_a_fold_that_raises_is_told_too():
    class Raising:
        def empty(self):
            raise ValueError

    found = list(judge_run([FoldRule("tools.fold", frozenset(), frozenset(), Raising())], [exchange()], Terms(None)))
    assert [(item.requirement, item.held) for item in found] == [("tools.fold", False)]
    assert "raised ValueError" in (found[0].error or "")
