from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.dialects import loader as dialects
from conformance.probes import load
from conformance.probes.base import Ask, Base, Effort, Group, Probe
from conformance.probes.build import contrast, get, post, single
from conformance.probes.plan import (
    BUDGETS,
    Plan,
    can_generate,
    costs,
    derived_seed,
    draw,
    estimated_tokens,
    make_plan,
    shares,
    touches,
)
from conformance.wire.exchange import Request
from conformance.wire.facts import Facts
from conformance.wire.traces import Relation

OPENAI = dialects.load("openai")
BASE = Base(OPENAI, Facts(token_limit_field="max_tokens"), "m", Effort.STANDARD, OPENAI.capabilities)


def body(text: str) -> dict[str, object]:
    return BASE.body(text, limit=10)


def table_of(count: int, prefix: str = "row", *, free: bool = False) -> object:
    def table(base: Base) -> Iterator[Group]:
        for number in range(count):
            yield single(body(f"{prefix} {number}"), free=free)

    return table


def numbers(base: Base) -> SearchStrategy[Group]:
    return st.integers(0, 10**6).map(lambda number: single(body(f"draw {number}")))


def probe(name: str, area: str = "response", rows: int = 3, draws: int = 0, **more: object) -> Probe:
    made = Probe(name, area, (area,), table=table_of(rows, name), draws=(0, draws, draws * 4))  # type: ignore[arg-type]
    return replace(made, strategy=numbers if draws else None, **more)  # type: ignore[arg-type]


def names(plan: Plan) -> list[str]:
    return [item.name for item in plan.items]


def test_equal_inputs_give_the_equal_plan_and_another_seed_other_draws() -> None:
    probes = [probe("a", draws=20), probe("b", "tools", draws=20)]
    one, two = make_plan(probes, BASE, 1), make_plan(reversed(probes), BASE, 1)
    assert one.digest == two.digest
    assert [item.group for item in one.items] == [item.group for item in two.items]
    other = make_plan(probes, BASE, 2)
    assert other.digest != one.digest
    assert [item.group for item in other.items if "/t" in item.name] == [
        item.group for item in one.items if "/t" in item.name
    ]


def test_two_probes_with_one_strategy_draw_differently() -> None:
    one, two = (draw(numbers(BASE), 20, derived_seed(0, name)) for name in ("a", "b"))
    assert one != two
    assert len(one) == 20


def test_drawing_from_what_cannot_be_satisfied_gives_nothing() -> None:
    assert draw(st.integers().filter(lambda number: False).map(lambda number: single({})), 5, 0) == []


def test_tables_come_before_draws_and_alternate_between_probes() -> None:
    plan = make_plan([probe("a", rows=2, draws=2), probe("b", rows=3)], BASE, 0)
    assert names(plan)[:5] == ["a/t0", "b/t0", "a/t1", "b/t1", "b/t2"]
    assert all("/d" in name for name in names(plan)[5:])


def test_a_budget_cuts_the_ends_of_tables_and_of_all_probes_alike() -> None:
    plan = make_plan([probe("a", rows=50), probe("b", rows=50)], BASE, 0, budget=20)
    assert len(plan.items) == 20
    assert Counter(name[0] for name in names(plan)) == {"a": 10, "b": 10}
    assert "a/t0" in names(plan)
    assert "a/t49" not in names(plan)


def test_every_area_gets_a_share() -> None:
    plan = make_plan([probe("big", "tools", rows=500), probe("small", "usage", rows=5)], BASE, 0, budget=60)
    found = Counter(item.probe.area for item in plan.items)
    assert found["usage"] == 5
    assert found["tools"] == 55


def test_draws_take_what_tables_leave() -> None:
    plan = make_plan([probe("a", rows=10, draws=50), probe("b", "tools", rows=10, draws=50)], BASE, 0, budget=40)
    kinds = Counter(name.split("/")[1][0] for name in names(plan))
    assert kinds == {"t": 20, "d": 20}


def test_a_narrower_selection_uses_up_to_three_times_its_share() -> None:
    probes = [probe(area, area, rows=100) for area in ("tools", "usage", "stream", "models")]
    whole = Counter(item.probe.area for item in make_plan(probes, BASE, 0, budget=100).items)
    assert whole == {"tools": 25, "usage": 25, "stream": 25, "models": 25}
    narrow = make_plan(probes, BASE, 0, ids=frozenset({"tools.a.b"}), budget=100)
    assert Counter(item.probe.area for item in narrow.items) == {"tools": 75}


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e"]), st.integers(0, 500), min_size=1), st.integers(1, 600)
)
def test_shares_keep_within_demand_and_budget(demand: dict[str, int], budget: int) -> None:
    found = shares(demand, budget)
    assert sum(found.values()) <= budget + 1e-6 or sum(demand.values()) <= budget
    for area, wanted in demand.items():
        assert found[area] <= wanted + 1e-6
        assert found[area] >= min(wanted, budget / (3 * len(demand))) - 1e-6


def test_what_costs_nothing_is_never_cut() -> None:
    free = Probe("free", "errors", ("errors",), table=table_of(30, "x", free=True))  # type: ignore[arg-type]
    plan = make_plan([free, probe("a", rows=30)], BASE, 0, budget=5)
    assert Counter(item.probe.name for item in plan.items) == {"free": 30, "a": 5}


def test_a_selection_sends_only_what_it_needs() -> None:
    probes = [probe("a", "tools"), probe("b", "usage", reaches=("usage.totals.add_up",))]
    assert {item.probe.name for item in make_plan(probes, BASE, 0, ids=frozenset({"usage.totals.add_up"})).items} == {
        "b"
    }
    assert {item.probe.name for item in make_plan(probes, BASE, 0, ids=frozenset({"tools.x"})).items} == {"a"}
    assert make_plan(probes, BASE, 0, ids=frozenset({"models.x"})).items == ()
    assert not touches(probe("c", "tool"), frozenset({"tools.x"}))


def test_effort_capabilities_and_need_decide_who_speaks() -> None:
    probes = [probe("late", at=Effort.THOROUGH), probe("stored", needs=frozenset({"storage"})), probe("always")]
    without = replace(BASE, capabilities=BASE.capabilities - {"storage"})
    assert {item.probe.name for item in make_plan(probes, without, 0).items} == {"always"}
    thorough = replace(BASE, effort=Effort.THOROUGH)
    assert {item.probe.name for item in make_plan(probes, thorough, 0).items} == {"late", "stored", "always"}


def test_bad_keys_stand_apart_and_come_last() -> None:
    plan = make_plan([probe("keys", "auth", last=True), probe("a")], BASE, 0)
    assert {item.probe.name for item in plan.last} == {"keys"}
    assert "keys" not in {item.probe.name for item in plan.items}
    assert [item.probe.name for item in plan.every][-1] == "keys"


def test_equal_requests_are_planned_once_but_relations_stay_whole() -> None:
    def twice(base: Base) -> Iterator[Group]:
        yield single(body("same"))
        yield single(body("same"))
        yield contrast(body("same"), body("other"), "/messages/0/content")

    plan = make_plan([Probe("p", "response", ("response",), table=twice)], BASE, 0)
    assert [item.group.relation for item in plan.items] == [Relation.SINGLE, Relation.CONTRAST]
    assert plan.requests == 2
    assert costs(plan)["response"].requests == 2


def test_costs_count_what_can_generate_and_bound_scenarios() -> None:
    def mixed(base: Base) -> Iterator[Group]:
        yield single(body("one"))
        yield single(body("two"), free=True)
        yield Group((Ask(get("/models")),))

    scenario = Probe("s", "storage", ("storage",), scenario=lambda session: None, upper=9)
    found = costs(make_plan([Probe("p", "models", ("models",), table=mixed), scenario], BASE, 0))
    assert (found["models"].requests, found["models"].generating) == (3, 1)
    assert (found["storage"].requests, found["storage"].scenarios) == (0, 9)
    assert 10 <= found["models"].tokens < 100


@pytest.mark.parametrize(
    ("fields", "most"),
    [({"max_tokens": 10}, 60), ({}, 560), ({"max_tokens": 10, "n": 4}, 90), ({"max_tokens": 10**9}, 4200)]
    + [({"n": value}, 70_000) for value in (10**12, -1, "x", None, True)],
)
def test_estimates_are_bounded_whatever_stands_in_the_request(fields: dict[str, object], most: int) -> None:
    estimate = estimated_tokens(post({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}))
    assert 0 <= estimate <= most


def test_what_can_generate() -> None:
    assert can_generate(Ask(post(body("x"))))
    assert not can_generate(Ask(post(body("x")), free=True))
    assert not can_generate(Ask(post({"model": "m", "messages": []})))
    assert not can_generate(Ask(Request(body=b"{")))
    assert not can_generate(Ask(get("/models")))


@pytest.mark.parametrize(
    ("name", "effort"),
    [(name, effort) for name in ("openai", "xerotier", "aurous") for effort in (Effort.QUICK, Effort.STANDARD)]
    + [("openai", Effort.THOROUGH)],
)
def test_the_shipped_probes_keep_to_the_effort(name: str, effort: Effort) -> None:
    dialect = dialects.load(name)
    facts = Facts(
        models=({"id": "m"},),
        model="m",
        token_limit_field="max_completion_tokens",
        accepts_temperature=True,
        accepts_seed=True,
    )
    base = Base(dialect, facts, "m", effort, dialect.capabilities)
    plan = make_plan(load().values(), base, 0)
    generating = sum(cost.generating for cost in costs(plan).values())
    assert generating <= BUDGETS[effort]
    assert generating >= BUDGETS[effort] * (0.6 if effort < Effort.THOROUGH else 0.3)
    if effort is Effort.STANDARD:
        assert plan.digest == make_plan(load().values(), base, 0).digest
