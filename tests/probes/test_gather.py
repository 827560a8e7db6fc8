from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from conformance.dialects import loader as dialects
from conformance.probes.base import Ask, Base, Group, Probe, Session
from conformance.probes.build import contrast, single
from conformance.probes.gather import CLOSING, gather, in_order
from conformance.probes.plan import Plan, make_plan, plain_request
from conformance.transport.courier import Courier, Limits
from conformance.transport.memory import MemoryTransport
from conformance.wire.exchange import Exchange, Request
from conformance.wire.facts import Facts
from conformance.wire.traces import Mark, Relation
from tests.fake_endpoint import Endpoint, chat, completion

OPENAI = dialects.load("openai")
BASE = Base(OPENAI, Facts(), "m", capabilities=OPENAI.capabilities)


def table(base: Base) -> Iterator[Group]:
    yield single(base.body("one"))
    yield contrast(base.body("two"), base.body("three"), "/messages/0/content")
    again = Ask(chat("again"), "again")
    yield Group((again, replace(again, ordinal=1)), Relation.REPEAT)


def bad_keys(base: Base) -> Iterator[Group]:
    yield Group((Ask(replace(chat("no key"), auth="none")),))


def scenario(session: Session) -> None:
    group = session.group("talk")
    first = session.send(chat("first"))
    second = session.send(chat("second " + (first.answer.choices[0].text if first.answer else "")))
    for exchange in (first, second):
        session.mark(exchange, Relation.CONVERSATION, group, "turn")


TABLE = Probe("table", "response", ("response",), table=table)
TALK = Probe("talk", "tool_calls", ("tool_calls",), scenario=scenario, upper=2)
KEYS = Probe("keys", "auth", ("auth",), table=bad_keys, last=True)


def plan(*probes: Probe) -> Plan:
    return make_plan(probes, BASE, 0, opening=(Ask(chat("opening")),))


def texts(exchanges: list[Exchange]) -> list[Any]:
    found = []
    for exchange in exchanges:
        assert exchange.request.chat is not None
        found.append(exchange.request.chat.messages[0]["content"])
    return found


def run(made: Plan, *, threads: int | None = None, limits: Limits | None = None, **more: Any) -> Courier:
    endpoint = Endpoint(lambda request, number: completion("well"))
    courier = Courier(endpoint.transport(), limits)
    if threads is None:
        in_order(made, courier)
    else:
        gather(made, courier, concurrency=threads, **more)
    return courier


def test_in_order_sends_everything_in_one_fixed_order() -> None:
    courier = run(plan(TALK, KEYS, TABLE))
    assert texts(courier.exchanges) == [
        "opening",
        "one",
        "two",
        "three",
        "again",
        "again",
        "first",
        "second well",
        "no key",
        plain_request(BASE).chat.messages[0]["content"],  # type: ignore[union-attr]
    ]
    assert courier.marks == run(plan(TALK, KEYS, TABLE)).marks


def test_marks_tell_relation_role_and_place() -> None:
    courier = run(plan(TABLE, TALK))
    assert courier.marks == [
        Mark(Relation.CONTRAST, "table/t1", "control", "e3", "/messages/0/content"),
        Mark(Relation.CONTRAST, "table/t1", "variant", "e4", "/messages/0/content"),
        Mark(Relation.REPEAT, "table/t2", "again", "e5"),
        Mark(Relation.REPEAT, "table/t2", "again", "e6"),
        Mark(Relation.CONVERSATION, "talk/talk#0", "turn", "e7"),
        Mark(Relation.CONVERSATION, "talk/talk#0", "turn", "e8"),
    ]


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_send_the_same_but_for_the_opening(threads: int) -> None:
    made = plan(TALK, KEYS, TABLE)
    alone, together = run(made), run(made, threads=threads)
    assert sorted(texts(together.exchanges)) == sorted(texts(alone.exchanges)[1:])
    assert len(together.marks) == len(alone.marks)
    assert texts(together.exchanges)[-2:] == texts(alone.exchanges)[-2:], "bad keys come last, then the closing control"


def test_the_closing_control_is_sent_even_if_it_was_sent_before() -> None:
    endpoint = Endpoint(lambda request, number: completion())
    courier = Courier(endpoint.transport())
    courier.send(plain_request(BASE))
    gather(plan(), courier, concurrency=2)
    assert len(courier.exchanges) == 2
    assert CLOSING > 10


def test_progress_counts_groups_and_scenarios() -> None:
    heard: list[tuple[int, int, str]] = []
    run(plan(TALK, KEYS, TABLE), threads=2, progress=lambda *said: heard.append(said))
    assert sorted(done for done, _, _ in heard) == [1, 2, 3, 4, 5]
    assert {planned for _, planned, _ in heard} == {5}
    assert {area for _, _, area in heard} == {"response", "tool_calls", "auth"}


def test_a_group_that_was_cut_off_is_not_marked() -> None:
    courier = run(plan(TABLE), limits=Limits(requests=3))
    assert len(courier.exchanges) == 3
    assert courier.marks == []


def test_a_scenario_ends_where_the_budget_does_and_cleans_up() -> None:
    cleaned: list[int | None] = []

    def storing(session: Session) -> None:
        session.send(chat("keep", store=True))
        try:
            for number in range(100):
                session.send(chat(str(number)))
        finally:
            cleaned.append(session.send(Request("DELETE", "/chat/completions/chatcmpl-1")).status)

    probe = Probe("storing", "storage", ("storage",), scenario=storing)
    for threads in (None, 2):
        courier = run(plan(probe), threads=threads, limits=Limits(requests=5))
        assert courier.exchanges[-1].request.method == "DELETE"
        assert courier.stopped is not None
    assert cleaned == [200, 200]


def test_a_defect_in_a_scenario_ends_that_scenario_and_is_told() -> None:
    def broken(session: Session) -> None:
        session.send(chat("before"))
        raise ZeroDivisionError

    made = plan(Probe("broken", "tools", ("tools",), scenario=broken), TABLE, TALK)
    courier = Courier(Endpoint(lambda request, number: completion()).transport())
    assert gather(made, courier, concurrency=2) == ["the probe broken raised ZeroDivisionError: a defect of this suite"]
    assert {"before", "one", "first"} <= set(texts(courier.exchanges))
    with pytest.raises(ZeroDivisionError):
        in_order(made, Courier(Endpoint(lambda request, number: completion()).transport()))


def test_an_interruption_keeps_what_was_measured_and_sends_no_more() -> None:
    under_way = threading.Semaphore(0)

    class Interrupting(MemoryTransport):
        def send(self, request: Request) -> Exchange:
            under_way.release()
            threading.Event().wait(0.02)
            return super().send(request)

    def many(base: Base) -> Iterator[Group]:
        return (single(base.body(f"number {number}")) for number in range(300))

    courier = Courier(Interrupting(lambda request, now: completion()))

    def progress(done: int, planned: int, area: str) -> None:
        if done == 5:
            import _thread

            _thread.interrupt_main()

    made = plan(Probe("many", "response", ("response",), table=many))
    with pytest.raises(KeyboardInterrupt):
        gather(made, courier, concurrency=2, progress=progress)
    assert courier.stopped == "interrupted"
    sent = len(courier.exchanges)
    assert 5 <= sent < 100
    threading.Event().wait(0.1)
    assert len(courier.exchanges) == sent
