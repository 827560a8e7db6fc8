"""What every probe owes: small, repeatable tables of well-formed groups that respect what the endpoint offers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from conformance.catalogue import loader as catalogue
from conformance.dialects import loader as dialects
from conformance.probes import load
from conformance.probes.base import Ask, Base, Effort, Group, Probe
from conformance.wire import strict_json
from conformance.wire.facts import Facts
from conformance.wire.traces import Relation

NAMES = ("openai", "xerotier", "aurous")
MODELS: tuple[dict[str, Any], ...] = (
    {"id": "reference-1", "aurous_metadata": {"capabilities": ["tool_choice_required"]}},
    {"id": "reference-mini", "aurous_metadata": {"capabilities": []}},
    {"id": "reference-embed"},
)
PROBES = load()


def base(name: str, effort: Effort = Effort.STANDARD, without: frozenset[str] = frozenset(), **facts: Any) -> Base:
    """A base as preflight leaves it on the reference endpoint; `facts` over the usual ones."""
    dialect = dialects.load(name)
    usual: dict[str, Any] = {
        "models": MODELS,
        "model": "reference-1",
        "token_limit_field": "max_tokens",
        "accepts_temperature": True,
        "accepts_seed": True,
    }
    return Base(dialect, Facts(**{**usual, **facts}), "reference-1", effort, dialect.capabilities - without)


def running(on: Base) -> Iterator[Probe]:
    """The probes that run on a base."""
    return (probe for probe in PROBES.values() if probe.needs <= on.capabilities and probe.at <= on.effort)


def groups(on: Base) -> list[tuple[Probe, Group]]:
    """Every table's groups."""
    return [(probe, group) for probe in running(on) if probe.table is not None for group in probe.table(on)]


def asks(on: Base) -> list[Ask]:
    """Every table's requests."""
    return [ask for _, group in groups(on) for ask in group.asks]


def masked(value: Any, pointer: str) -> Any:
    """The value without what stands at a JSON pointer; the item of a list is taken out."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]

    def cut(item: Any, left: list[str]) -> Any:
        if not left:
            return None
        if isinstance(item, dict):
            if len(left) == 1:
                return {key: inner for key, inner in item.items() if key != left[0]}
            return {key: cut(inner, left[1:]) if key == left[0] else inner for key, inner in item.items()}
        if isinstance(item, list) and left[0].isdigit():
            position = int(left[0])
            inside = [cut(inner, left[1:]) if n == position else inner for n, inner in enumerate(item)]
            return inside[:position] + inside[position + 1 :] if len(left) == 1 else inside
        return item

    return cut(value, tokens)


def check_group(group: Group) -> None:
    """The roles fit the relation, and the requests differ as they should."""
    roles = [ask.role for ask in group.asks]
    bodies = [ask.request.document.value for ask in group.asks]
    if group.relation is Relation.SINGLE:
        assert roles == ["single"]
    elif group.relation is Relation.CONTRAST:
        assert roles == ["control", "variant"]
        control, variant = group.asks
        assert control.request != variant.request, "nothing differs"
        if group.about.startswith("/"):
            forms = [masked(body, group.about) for body in bodies]
            longer = max(bodies, key=lambda body: len(strict_json.dump(body)))
            inserted = masked(longer, group.about) in bodies
            assert strict_json.equal(*forms) or inserted, f"more than {group.about} differs"
    elif group.relation is Relation.PARITY:
        assert roles in (["unstreamed", "unstreamed", "streamed"], ["unstreamed", "streamed"])
        assert [ask.ordinal for ask in group.asks] == ([0, 1, 0] if len(roles) == 3 else [0, 0])
        assert all(body == bodies[0] for body in bodies[:-1])
        streamed = dict(bodies[-1])
        assert streamed.pop("stream") is True
        streamed.pop("stream_options", None)
        assert bodies[0] == streamed
    else:
        pytest.fail(f"tables make no {group.relation}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("effort", list(Effort))
def test_tables_are_wellformed_and_repeatable(name: str, effort: Effort) -> None:
    on = base(name, effort)
    made = groups(on)
    assert made == groups(on)
    for probe, group in made:
        try:
            check_group(group)
        except AssertionError as error:
            error.add_note(f"{probe.name}: {[ask.request.body for ask in group.asks]}"[:900])
            raise


@pytest.mark.parametrize(("effort", "most"), [(Effort.QUICK, 100), (Effort.STANDARD, 680)])
@pytest.mark.parametrize("name", NAMES)
def test_generating_requests_stay_within_the_effort(name: str, effort: Effort, most: int) -> None:
    on = base(name, effort)
    sent = {(ask.request, ask.ordinal) for ask in asks(on) if not ask.free}
    drawn = sum(probe.draws[effort - 1] for probe in running(on))
    told = [probe.upper if probe.costly is None else probe.costly[effort - 1] for probe in running(on)]
    stored = sum(probe.costly[effort - 1] for probe in running(on) if probe.costly is not None)
    scenarios = sum(told) if effort > Effort.QUICK else 4 + stored
    assert len(sent) + drawn + scenarios <= most
    assert len({ask.request for ask in asks(on) if ask.free}) <= 170 * effort


@pytest.mark.parametrize("name", NAMES)
def test_a_lesser_effort_sends_a_part_of_the_greater(name: str) -> None:
    quick, standard = ({ask.request for ask in asks(base(name, effort))} for effort in (Effort.QUICK, Effort.STANDARD))
    assert quick <= standard


@pytest.mark.parametrize(
    ("capability", "fields"),
    [
        ("streaming", ("stream_options",)),
        ("tools", ("tools", "parallel_tool_calls")),
        ("logprobs", ("logprobs", "top_logprobs")),
        ("storage", ("store", "metadata")),
    ],
)
def test_excluded_capabilities_are_not_asked_for(capability: str, fields: tuple[str, ...]) -> None:
    probing = {"bodies", "parameters"}
    on = base("openai", without=frozenset({capability}))
    for probe, group in groups(on):
        for ask in group.asks:
            body = ask.request.document.value
            if not isinstance(body, dict):
                continue
            if capability == "streaming" and not ask.free:
                assert body.get("stream") is not True, probe.name
            if probe.name not in probing and not ask.free:
                assert not {field for field in fields if body.get(field) is not None}, probe.name


def test_refused_optional_fields_are_not_sent_along() -> None:
    on = base("openai", token_limit_field=None, accepts_temperature=None, accepts_seed=None)
    testing = {"parameters", "bodies", "finish", "fixtures", "streams"}
    for probe, group in groups(on):
        for ask in group.asks:
            body = ask.request.document.value
            if probe.name not in testing and isinstance(body, dict):
                assert not {"temperature", "seed", "max_tokens", "max_completion_tokens"} & body.keys(), probe.name


def test_reasoning_models_get_room_to_think() -> None:
    on = base("openai", token_limit_field="max_completion_tokens", reasoning_tokens=100)
    limits = {
        ask.request.document.value["max_completion_tokens"]
        for probe, group in groups(on)
        for ask in group.asks
        if probe.name == "stream_tools" and not ask.free
    }
    assert min(limits) > 200


def test_wrong_keys_come_last_and_are_few() -> None:
    for name in NAMES:
        on = base(name)
        keyless = [
            (probe.name, ask.request) for probe, group in groups(on) for ask in group.asks if ask.request.auth != "key"
        ]
        wrong = {request for probe, request in keyless if probe == "auth"}
        assert PROBES["auth"].last
        assert 0 < len(wrong) <= 5
        assert {request.auth for probe, request in keyless if probe != "auth"} <= {"x-api-key"}


def test_controls_are_shared() -> None:
    for name in NAMES:
        made = [group for _, group in groups(base(name)) if group.relation is Relation.CONTRAST]
        assert len({group.asks[0].request for group in made}) * 3 <= len(made)


def test_probes_name_areas_and_capabilities_that_exist() -> None:
    areas = catalogue.load().areas
    capabilities = dialects.load("openai").capabilities
    for probe in PROBES.values():
        assert probe.area in areas
        assert all(name.split(".", 1)[0] in areas for name in probe.reaches), probe.name
        assert probe.needs <= capabilities
        assert probe.summary.endswith(".")
        assert probe.table or probe.strategy or probe.scenario
        assert bool(probe.strategy) == any(probe.draws)
        assert bool(probe.scenario) == bool(probe.upper)


@pytest.mark.parametrize("name", [probe.name for probe in PROBES.values() if probe.strategy])
def test_drawn_groups_are_wellformed(name: str) -> None:
    strategy = PROBES[name].strategy
    assert strategy is not None

    @settings(
        max_examples=15, database=None, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
    )
    @seed(5)
    @given(strategy(base("openai")))
    def drawn(group: Group) -> None:
        check_group(group)
        assert all(len(ask.request.body or b"") < 100_000 for ask in group.asks)

    drawn()


def test_loading_all_probes_does_not_import_the_fuzzer() -> None:
    code = "import sys, conformance.probes as p; p.load(); sys.exit('schemathesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
