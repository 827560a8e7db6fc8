from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from conformance import rules
from conformance.catalogue import loader as catalogue
from conformance.dialects import loader as dialects
from conformance.probes.base import Base, Effort, Group, Probe
from conformance.probes.build import single
from conformance.probes.preflight import NoVerdict
from conformance.probes.shrink import OVERALL, PER_REQUIREMENT
from conformance.reference.endpoint import Endpoint
from conformance.reference.stages import Change, Stage
from conformance.suite.campaign import Campaign, Settings, import_everything
from conformance.suite.judging import Known, gathered, judge_evidence, known
from conformance.suite.replay import prepare, replay
from conformance.transport.courier import Limits
from conformance.transport.memory import MemoryTransport
from conformance.wire.exchange import Exchange
from conformance.wire.traces import Mark

OPENAI = dialects.load("openai")
CATALOGUE = catalogue.load()
OBJECT = "response.object.is_chat_completion"
PLAIN = frozenset({"plain"})


def every_id() -> frozenset[str]:
    rows = CATALOGUE.requirements.items()
    return frozenset(name for name, row in rows if row.excluded is None and row.claim(OPENAI.lineage) is not None)


def broken(hook: Callable[[Any, Any], Any], at: Stage = Stage.BODY) -> Change:
    return Change("made-up", at, hook, "a made-up fault")


def some_rules() -> list[Any]:
    """Enough of every relation, and quick."""
    areas = ("response", "stream", "tool_choice")
    return [rule for name, rule in rules.load().items() if name.split(".")[0] in areas]


def wrong_object(body: dict[str, Any], context: Any) -> dict[str, Any]:
    return {**body, "object": "chat"} if "choices" in body else body


def campaign(*faults: Change, ids: frozenset[str] = frozenset({OBJECT}), **more: Any) -> Campaign:
    settings = {"probes": PLAIN} | {key: value for key, value in more.items() if key in Settings.__dataclass_fields__}
    others = {key: value for key, value in more.items() if key not in settings}
    transport = MemoryTransport(Endpoint(OPENAI, faults=faults).respond)
    return Campaign(Settings(**settings), transport, OPENAI, CATALOGUE, ids, **others)


def sent(*faults: Change, **more: Any) -> Campaign:
    made = campaign(*faults, **more)
    made.preflight()
    made.plan()
    made.gather()
    return made


def run(*faults: Change, **more: Any) -> Campaign:
    made = sent(*faults, **more)
    made.judge()
    return made


class Listening:
    def __init__(self) -> None:
        self.sent_lanes: list[str] = []
        self.done: list[tuple[int, int, str]] = []

    def progress(self, done: int, planned: int, area: str) -> None:
        self.done.append((done, planned, area))

    def sent(self, exchange: Exchange, lane: str) -> None:
        self.sent_lanes.append(lane)


def test_a_sound_endpoint_violates_nothing_and_the_books_balance() -> None:
    listener = Listening()
    made = run(listener=listener)
    assert any(judgement.held for judgement in made.judgements)
    assert not any(judgement.findings for judgement in made.judgements)
    assert made.shrink(OBJECT) == made.confirm(OBJECT) == []
    counts = made.counts
    assert counts.requests == len(made.exchanges) == sum(counts.by_lane.values()) == len(listener.sent_lanes)
    assert counts.by_lane["preflight"] == 5, "four, and the closing control"
    assert 0 < counts.generating < counts.requests
    assert counts.completion_tokens > 0
    assert (made.stopped, made.interrupted, made.defects) == (None, False, [])
    assert made.model == made.facts.model == "reference-1"
    assert listener.done[-1][1] == len(listener.done)


def test_a_violation_is_shrunk_confirmed_and_set_aside() -> None:
    made = run(broken(wrong_object))
    before = list(made.judgements)
    violated = [judgement for judgement in before if judgement.findings]
    assert {judgement.requirement for judgement in violated} == {OBJECT}
    gathered_count = made.counts.requests
    (smallest,) = made.shrink(OBJECT)
    (confirmed,) = made.confirm(OBJECT)
    assert smallest.place == "body:/object"
    assert confirmed.confirmed == (3, 3)
    assert made.smallest == {(OBJECT, "body:/object"): confirmed}
    (step,) = confirmed.exchanges
    body = json.loads(step.request.body or b"")
    assert body["model"] == "reference-1"
    assert "max_completion_tokens" in body
    assert len(body) <= 3 if smallest.minimal else len(body) <= 5
    assert made.counts.by_lane["shrink"] <= min(PER_REQUIREMENT, OVERALL * gathered_count)
    aside = {mark.exchange for mark in made.marks if mark.role in ("shrink", "confirm")}
    assert len(aside) == made.counts.by_lane["shrink"] + made.counts.by_lane["confirm"]
    assert len(gathered(made.exchanges, made.marks)) == gathered_count
    assert made.judge() == before, "what was sent to show it better changes no verdict"


def test_the_judgements_follow_from_the_evidence_alone() -> None:
    made = run(broken(wrong_object), ids=every_id())
    made.shrink(OBJECT)
    chosen = [rule for rule in rules.load().values() if rule.id in every_id()]
    terms, judgements = judge_evidence(reversed(made.exchanges), made.marks, OPENAI, chosen)
    assert terms == made.terms

    def told(found: list[Any]) -> set[str]:
        return {f"{item.requirement} {[e.id for e in item.trace.exchanges]} {item.findings}" for item in found}

    assert told(judgements) == told(made.judgements)


def test_a_violation_that_comes_and_goes_is_confirmed_k_of_n() -> None:
    serial = itertools.count()

    def sometimes(body: dict[str, Any], context: Any) -> dict[str, Any]:
        return wrong_object(body, context) if next(serial) % 2 else body

    made = run(broken(sometimes))
    made.shrink(OBJECT)
    (confirmed,) = made.confirm(OBJECT)
    assert confirmed.confirmed is not None
    shown, tried = confirmed.confirmed
    assert tried == 3
    assert 0 < shown < 3


def test_a_contrast_is_shown_by_both_requests() -> None:
    requirement = "tool_choice.none.makes_no_call"

    def deaf(demand: dict[str, Any], context: Any) -> dict[str, Any]:
        return {key: value for key, value in demand.items() if key != "tool_choice" or value != "none"}

    made = run(
        broken(deaf, Stage.DEMAND), ids=frozenset({requirement}), probes=frozenset({"tool_choice", "tool_choice_none"})
    )
    assert requirement in {judgement.requirement for judgement in made.judgements if judgement.findings}
    found = made.shrink(requirement)
    assert found
    for smallest in found:
        assert "none" in (smallest.exchanges[-1].request.body or b"").decode()
    assert all(item.confirmed == (3, 3) for item in made.confirm(requirement))


def test_a_quick_run_does_not_shrink() -> None:
    made = run(broken(wrong_object), effort=Effort.QUICK)
    (smallest,) = made.shrink(OBJECT)
    assert not smallest.minimal
    assert "shrink" not in made.counts.by_lane
    assert made.confirm(OBJECT)[0].confirmed == (2, 2)


def test_shrinking_and_confirming_can_be_switched_off() -> None:
    made = run(broken(wrong_object), shrink=False, confirm=False)
    spent = made.counts.requests
    assert not made.shrink(OBJECT)[0].minimal
    assert made.confirm(OBJECT)[0].confirmed is None
    assert made.counts.requests == spent


def test_a_spent_budget_ends_the_sending_and_nothing_else() -> None:
    made = run(broken(wrong_object), limits=Limits(requests=9))
    assert len(made.exchanges) == 9
    assert "--max-requests" in (made.stopped or "")
    (smallest,) = made.shrink(OBJECT)
    assert smallest.exchanges
    assert made.confirm(OBJECT)[0].confirmed is None


def test_an_interruption_keeps_what_was_measured() -> None:
    class Impatient(Listening):
        def progress(self, done: int, planned: int, area: str) -> None:
            if done == 3:
                import _thread

                _thread.interrupt_main()

    def many(base: Base) -> Iterator[Group]:
        return (single(base.body(f"number {number}")) for number in range(300))

    extra = Probe("many", "response", ("response",), table=many)
    made = campaign(
        broken(wrong_object),
        listener=Impatient(),
        probes=frozenset({"many"}),
        extra_probes=[extra],
        limits=Limits(concurrency=1),
    )
    made.preflight()
    with pytest.raises(KeyboardInterrupt):
        made.gather()
    assert made.interrupted
    assert made.stopped == "interrupted"
    sent = len(made.exchanges)
    assert any(judgement.findings for judgement in made.judge())
    assert made.shrink(OBJECT)
    assert made.confirm(OBJECT)[0].confirmed is None
    assert len(made.exchanges) == sent


def test_a_selection_judges_what_it_requires_and_sends_no_more_than_all() -> None:
    rows = dict(CATALOGUE.requirements)
    needed = next(name for name in rows if name.startswith("response.") and name in every_id() and name != OBJECT)
    rows[OBJECT] = replace(rows[OBJECT], requires=(needed,))
    transport = MemoryTransport(Endpoint(OPENAI).respond)
    made = Campaign(Settings(), transport, OPENAI, replace(CATALOGUE, requirements=rows), frozenset({OBJECT}))
    made.preflight()
    made.gather()
    assert {judgement.requirement for judgement in made.judge()} == {OBJECT, needed}
    assert made.counts.requests < sent(ids=every_id(), probes=frozenset()).counts.requests


def test_without_bad_keys_none_are_sent() -> None:
    made = sent(ids=every_id(), probes=frozenset(), bad_keys=False)
    assert {exchange.request.auth for exchange in made.exchanges} <= {"key", "x-api-key"}


def test_excluded_capabilities_are_not_asked_for() -> None:
    made = sent(ids=every_id(), probes=frozenset(), without_capabilities=frozenset({"streaming"}))
    assert "streaming" not in made.capabilities
    streams = [
        exchange
        for exchange in made.exchanges
        if exchange.request.chat is not None and exchange.request.chat.stream is True and exchange.is_success
    ]
    assert streams == []


def test_what_is_pointless_raises_before_anything_is_planned() -> None:
    made = campaign()
    with pytest.raises(RuntimeError):
        made.plan()
    made = Campaign(
        Settings(), MemoryTransport(Endpoint(OPENAI).respond, "sk-wrong"), OPENAI, CATALOGUE, frozenset({OBJECT})
    )
    with pytest.raises(NoVerdict, match="key was refused"):
        made.preflight()
    assert len(made.exchanges) == 1


def test_equal_settings_give_the_equal_plan() -> None:
    import_everything()
    digests = set()
    for _ in range(2):
        made = campaign(ids=every_id(), probes=frozenset())
        made.preflight()
        digests.add(made.plan().digest)
    assert len(digests) == 1


def test_a_replay_in_memory_is_the_same_each_time_and_free_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a thread was started")

    plan = prepare(MemoryTransport(Endpoint(OPENAI).respond), OPENAI, effort=Effort.QUICK)
    monkeypatch.setattr("threading.Thread.start", refuse)

    def once() -> tuple[list[Exchange], list[Mark]]:
        return replay(plan, MemoryTransport(Endpoint(OPENAI).respond))

    (exchanges, marks), again = once(), once()
    assert (exchanges, marks) == again
    assert len({exchange.id for exchange in exchanges}) == len(exchanges)
    assert [ask.request for ask in plan.opening] == [exchange.request for exchange in exchanges[: len(plan.opening)]]


@pytest.mark.parametrize("hook", [None, wrong_object], ids=["sound", "broken"])
def test_recalling_judgements_changes_none_of_them(hook: Any) -> None:
    plan = prepare(MemoryTransport(Endpoint(OPENAI).respond), OPENAI, effort=Effort.QUICK)
    every = some_rules()
    recall = known(*replay(plan, MemoryTransport(Endpoint(OPENAI).respond)), OPENAI, every)
    faults = [broken(hook)] if hook is not None else []
    exchanges, marks = replay(plan, MemoryTransport(Endpoint(OPENAI, faults=faults).respond))
    terms, judged = judge_evidence(exchanges, marks, OPENAI, every)
    again, recalled = judge_evidence(exchanges, marks, OPENAI, every, recall)
    assert terms == again

    def told(found: list[Any]) -> list[str]:
        return sorted(f"{item.requirement} {[e.id for e in item.trace.exchanges]} {item}" for item in found)

    assert told(judged) == told(recalled)


def test_other_terms_or_rules_recall_nothing() -> None:
    plan = prepare(MemoryTransport(Endpoint(OPENAI).respond), OPENAI, effort=Effort.QUICK)
    every = some_rules()
    exchanges, marks = replay(plan, MemoryTransport(Endpoint(OPENAI).respond))
    whole = known(exchanges, marks, OPENAI, every)
    silent = Known(whole.terms, whole.rules, dict.fromkeys(whole.said, ()))
    assert len(judge_evidence(exchanges, marks, OPENAI, every, silent)[1]) < len(exchanges)
    other = replace(OPENAI, name="other")
    plain = judge_evidence(exchanges, marks, other, every)[1]
    assert len(judge_evidence(exchanges, marks, other, every, silent)[1]) == len(plain)
    fewer = every[: len(every) // 2]
    plain = judge_evidence(exchanges, marks, OPENAI, fewer)[1]
    assert len(judge_evidence(exchanges, marks, OPENAI, fewer, silent)[1]) == len(plain)
