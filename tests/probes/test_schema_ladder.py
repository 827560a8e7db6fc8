"""Ladders find the caps of the reference endpoint, whatever they are, within few requests; rungs differ in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conformance import rules
from conformance.dialects import loader as dialects
from conformance.dialects.model import Dialect
from conformance.probes import load
from conformance.probes.base import Base, Effort
from conformance.probes.gather import play
from conformance.probes.schema_ladder import REACH, search, steps
from conformance.probes.schema_rungs import DEPTHS, SIZES, Axis, asking, edges, in_definitions, in_one_definition
from conformance.reference import schemas
from conformance.reference.endpoint import Endpoint
from conformance.reference.schemas import Caps
from conformance.reporting.model import Observation
from conformance.suite.judging import judge_evidence
from conformance.suite.observations import observe
from conformance.transport.courier import Courier
from conformance.transport.memory import MemoryTransport
from conformance.wire import strict_json
from conformance.wire.exchange import End, Exchange, Request
from conformance.wire.facts import Facts
from conformance.wire.traces import Relation

FACTS = Facts(token_limit_field="max_tokens", accepts_temperature=True, accepts_seed=True)
PROBES = load()
PLAINLY = settings(max_examples=15, database=None, deadline=None, suppress_health_check=list(HealthCheck))


def climb(dialect: Dialect, caps: Caps, probe: str, effort: Effort) -> tuple[Courier, dict[str, Observation]]:
    """One probe against an endpoint with these caps, and what it measured, by the last word of each id."""
    courier = Courier(MemoryTransport(Endpoint(dialect, caps=caps).respond))
    play(PROBES[probe], Base(dialect, FACTS, "reference-1", effort, dialect.capabilities), courier)
    found = observe(courier.exchanges, courier.marks, dialect)
    return courier, {seen.id.rpartition(".")[2]: seen for seen in found}


def sent(courier: Courier, axis: Axis) -> int:
    """How many different values an axis was asked for, apart from those that look for something else than the cap."""
    values = {mark.role for mark in courier.marks if mark.about == axis.name}
    return len(values - {"rung:0", f"rung:{axis.overshoot}"}) - 1


@PLAINLY
@given(depth=st.integers(1, 70), name=st.sampled_from(["xerotier", "aurous"]), effort=st.sampled_from(list(REACH)))
@example(depth=1, name="aurous", effort=Effort.STANDARD)
@example(depth=64, name="aurous", effort=Effort.THOROUGH)
def test_any_cap_on_depth_is_found_exactly(depth: int, name: str, effort: Effort) -> None:
    courier, found = climb(dialects.load(name), Caps(depth=depth), "schema_depth", effort)
    assert {form: (seen.value, seen.exact) for form, seen in found.items()} == {
        axis.name.removeprefix("depth."): (depth, True) for axis in DEPTHS
    }
    assert sent(courier, DEPTHS[0]) <= steps(depth)
    assert all(sent(courier, axis) <= 2 for axis in DEPTHS[1:]), "the other axes begin where the first ended"
    assert len(courier.exchanges) <= REACH[effort].requests


@PLAINLY
@given(depth=st.integers(2, 60))
def test_a_documented_depth_is_found_as_it_is_counted(depth: int) -> None:
    openai = dialects.load("openai")
    dialect = replace(openai, limits={**openai.limits, "json_schema.max_depth": depth})
    found = climb(dialect, Caps(), "schema_depth", Effort.THOROUGH)[1]
    assert {form: (seen.value, seen.exact) for form, seen in found.items() if form != "arrays"} == {
        "objects": (depth, True),
        "any_of": (depth, True),
        "both": (2 * depth, True),
    }
    assert found["arrays"].value > depth


@PLAINLY
@given(size=st.integers(600, 200_000), name=st.sampled_from(["xerotier", "aurous"]))
@example(size=65_536, name="aurous")
@example(size=100_000, name="aurous")
def test_any_cap_on_size_is_found_exactly_at_the_highest_effort(size: int, name: str) -> None:
    courier, found = climb(dialects.load(name), Caps(size=size), "schema_size", Effort.THOROUGH)
    assert {form: (seen.value, seen.exact) for form, seen in found.items()} == {
        axis.name.removeprefix("size."): (size, True) for axis in SIZES
    }
    assert sent(courier, SIZES[0]) <= steps(size)
    assert all(sent(courier, axis) <= 2 for axis in SIZES[1:])


@PLAINLY
@given(size=st.integers(600, 130_000))
def test_a_cap_on_size_is_found_closely_at_the_usual_effort(size: int) -> None:
    courier, found = climb(dialects.load("aurous"), Caps(size=size), "schema_size", Effort.STANDARD)
    low, high = found["descriptions"].value, size + 1
    assert low <= size < low + max(2, low // 64 + 1)
    assert high > low
    assert sum(len(item.request.body or b"") for item in courier.exchanges) <= REACH[Effort.STANDARD].bytes
    assert len(courier.exchanges) <= REACH[Effort.STANDARD].requests


def test_the_number_of_requests_is_logarithmic(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for size in (1000, 10_000, 100_000, 1_000_000):
        courier, found = climb(dialects.load("aurous"), Caps(size=size), "schema_size", Effort.THOROUGH)
        assert found["descriptions"].value == size
        lines.append(f"a cap of {size} bytes: {sent(courier, SIZES[0])} requests, at most {steps(size)}")
    with capsys.disabled():
        print("", *lines, sep="\n")  # noqa: T201


def test_caps_out_of_reach_are_bounds() -> None:
    _, depth = climb(dialects.load("aurous"), Caps(depth=10_000), "schema_depth", Effort.STANDARD)
    assert (depth["objects"].value, depth["objects"].exact) == (REACH[Effort.STANDARD].levels, False)
    courier, size = climb(dialects.load("aurous"), Caps(size=10**9), "schema_size", Effort.STANDARD)
    assert (size["descriptions"].value, size["descriptions"].exact) == (REACH[Effort.STANDARD].size, False)
    assert all(item.status == 200 for item in courier.exchanges)


@given(cap=st.integers(0, 5000), start=st.integers(1, 300), most=st.integers(1, 4096), near=st.booleans())
def test_the_search_by_itself(cap: int, start: int, most: int, near: bool) -> None:
    asked: list[int] = []

    def taken(value: int) -> bool:
        asked.append(value)
        return value <= cap

    low, high = search(taken, start, most, near=near)
    assert len(asked) == len(set(asked)) <= steps(max(start, most))
    assert max(asked) <= max(start, most)
    if cap == 0:
        assert (low, high) == (0, 1)
    elif cap >= most:
        assert (low, high) == (most, 0)
    else:
        assert (low, high) == (cap, cap + 1)


@given(stop=st.integers(1, 12), cap=st.integers(1, 500))
def test_a_search_that_is_cut_short_gives_bounds(stop: int, cap: int) -> None:
    left: Iterator[int] = iter(range(stop))
    low, high = search(lambda value: None if next(left, None) is None else value <= cap, 2, 512)
    assert low <= cap
    assert high == 0 or high > cap


@pytest.mark.parametrize("axis", DEPTHS, ids=lambda axis: axis.name)
@pytest.mark.parametrize("levels", [1, 2, 3, 9, 64])
def test_rungs_of_depth_are_as_deep_as_they_say(axis: Axis, levels: int) -> None:
    schema = strict_json.parse(axis.text(levels)).value
    assert schemas.measure(schema).containers == levels
    jsonschema_rs.validator_for(schema)
    assert list(schemas.laxities(schema, ())) == []


@pytest.mark.parametrize("axis", SIZES, ids=lambda axis: axis.name)
@pytest.mark.parametrize("size", [512, 513, 4096, 4097, 65_536])
def test_rungs_of_size_have_the_bytes_that_they_say(axis: Axis, size: int) -> None:
    text = axis.text(size)
    schema = strict_json.parse(text).value
    assert len(text.encode()) == len(strict_json.dump(schema)) == size
    assert schemas.measure(schema).containers == 1
    assert list(schemas.laxities(schema, ())) == []


@pytest.mark.parametrize(("levels", "piece"), [(1, 1), (5, 2), (33, 16), (33, 33), (40, 7)])
def test_definitions_hold_the_same_levels_in_pieces(levels: int, piece: int) -> None:
    schema = strict_json.parse(in_definitions(levels, piece)).value
    assert schemas.measure(schema).containers == min(levels, piece)
    assert list(schemas.laxities(schema, ())) == []
    value: object = "leaf"
    for _ in range(levels + 1):
        value = {"a": value}
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(value)
    assert not validator.is_valid({"a": value})


def test_one_definition_is_as_deep_as_the_whole() -> None:
    assert schemas.measure(strict_json.parse(in_one_definition(33)).value).containers == 33


def test_a_request_too_deep_to_dump_is_sent_as_text() -> None:
    dialect = dialects.load("openai")
    base = Base(dialect, FACTS, "reference-1", Effort.STANDARD, dialect.capabilities)
    body = asking(base, DEPTHS[-1].text(1024)).body or b""
    assert body.count(b'"items"') == 1023
    assert asking(base, DEPTHS[0].text(1)).document.value["response_format"]["json_schema"]["strict"] is True


def test_edges_lie_on_both_sides_of_the_documented_limits() -> None:
    dialect = dialects.load("openai")
    base = Base(dialect, FACTS, "reference-1", Effort.THOROUGH, dialect.capabilities)
    made = list(edges(base, costly=True))
    assert len(made) == 10
    for text, over in made:
        answer = MemoryTransport(Endpoint(dialect).respond).send(asking(base, text))
        assert (answer.status == 400) is over, text[:200]
    aurous = dialects.load("aurous")
    assert list(edges(replace(base, dialect=aurous), costly=True)) == []


def test_marks_say_axis_and_value() -> None:
    courier, _ = climb(dialects.load("aurous"), Caps(), "schema_depth", Effort.STANDARD)
    ladders = [mark for mark in courier.marks if mark.relation is Relation.LADDER]
    assert {mark.about for mark in ladders} == {axis.name for axis in DEPTHS}
    assert {mark.about for mark in courier.marks if mark.relation is Relation.CONTRAST} == {
        "/response_format/json_schema/schema"
    }


class Failing:
    """The reference endpoint, but what has a request body that `hits` ends in the given way."""

    def __init__(self, hits: Callable[[bytes], bool], **ending: Any) -> None:
        self.inner = MemoryTransport(Endpoint(dialects.load("aurous")).respond)
        self.hits, self.ending = hits, ending
        self.now, self.wait, self.close = self.inner.now, self.inner.wait, self.inner.close

    def send(self, request: Request) -> Exchange:
        answer = self.inner.send(request)
        return replace(answer, **self.ending) if self.hits(request.body or b"") else answer


def verdicts(transport: Failing, probe: str = "schema_depth") -> tuple[Courier, dict[str, str]]:
    """What a probe's exchanges come to: `found` or `held` by the last word of each row that says something."""
    dialect = dialects.load("aurous")
    courier = Courier(transport)
    play(PROBES[probe], Base(dialect, FACTS, "reference-1", Effort.STANDARD, dialect.capabilities), courier)
    every = [rule for name, rule in rules.load().items() if name.startswith("structured_output.limits.")]
    judged = judge_evidence(courier.exchanges, courier.marks, dialect, every)[1]
    said = {item.requirement.rpartition(".")[2]: "held" for item in judged if item.held}
    said |= {item.requirement.rpartition(".")[2]: "found" for item in judged if item.findings}
    return courier, said


def deep(body: bytes) -> bool:
    return body.count(b'"items"') > 1000


def test_silence_is_met_twice_then_a_plain_request_and_then_the_probe_ends() -> None:
    courier, said = verdicts(Failing(deep, status=None, body=b"", headers=(), pieces=(), end=End.TIMEOUT))
    endings = [item.end for item in courier.exchanges]
    assert endings.count(End.TIMEOUT) == 2
    assert endings[-1] is End.COMPLETE
    assert said["get_an_answer"] == "found"
    assert said["next_request_works"] == "held"


def test_an_endpoint_that_is_gone_is_left_alone() -> None:
    gone: list[bool] = []

    def hits(body: bytes) -> bool:
        gone.append(deep(body) or bool(gone and gone[-1]))
        return gone[-1]

    courier, said = verdicts(Failing(hits, status=None, body=b"", headers=(), pieces=(), end=End.NOT_SENT))
    assert sum(gone) <= 8
    assert "found" not in said.values(), "nothing succeeded afterwards: it may be the network"
    assert len(courier.exchanges) <= REACH[Effort.STANDARD].requests + sum(gone)


def test_what_stands_in_front_is_told_apart() -> None:
    proxy = Failing(lambda body: len(body) > 9000, status=413, body=b"<html>", headers=(("content-type", "text/html"),))
    courier, said = verdicts(proxy, "schema_size")
    assert "found" not in said.values()
    assert "too_large_is_named" not in said, "the endpoint's own cap was not reached"
    found = observe(courier.exchanges, courier.marks, dialects.load("aurous"))
    assert {seen.id.split(".")[1] for seen in found} == {"size_cap", "proxy_cap"}
    assert all(not seen.exact for seen in found)


def test_a_model_that_cannot_hold_the_schema_shows_no_cap() -> None:
    body = strict_json.dump({"error": {"message": "maximum context length is 2048 tokens", "code": "x", "param": None}})
    courier, said = verdicts(Failing(lambda body: len(body) > 9000, status=400, body=body), "schema_size")
    assert "found" not in said.values()
    assert "too_large_is_named" not in said
    assert len(courier.exchanges) < 20


@pytest.mark.parametrize("form", ["json_schema", "response_format"])
def test_an_endpoint_without_schemas_is_asked_little(form: str) -> None:
    body = strict_json.dump(
        {"error": {"message": "not supported", "code": "invalid_format", "param": "response_format"}}
    )
    courier, said = verdicts(Failing(lambda sent: form.encode() in sent, status=400, body=body))
    assert len(courier.exchanges) <= 4
    assert "found" not in said.values()
