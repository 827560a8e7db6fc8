"""Scenarios echo what they were told, word for word, and answer every call."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from conformance.catalogue.examples import exchange
from conformance.dialects import loader as dialects
from conformance.probes import build, load
from conformance.probes.base import Base, Effort
from conformance.probes.conversations import results, said
from conformance.probes.schemas import closed_schemas
from conformance.reference.endpoint import Endpoint
from conformance.transport.memory import MemoryTransport
from conformance.wire.exchange import Exchange, Request
from conformance.wire.facts import Facts
from conformance.wire.traces import Relation

CALL = build.call("call_1", "get_weather", '{"location":"Paris"}')


class Hands:
    """A session on the reference endpoint that remembers requests and marks."""

    def __init__(self, base: Base, mind: str = "obedient") -> None:
        self.base = base
        self.transport = MemoryTransport(Endpoint(base.dialect, mind=mind).respond)
        self.exchanges: list[Exchange] = []
        self.groups: dict[str, list[Exchange]] = {}

    def send(self, request: Request, *, fresh: bool = False) -> Exchange:
        self.exchanges.append(self.transport.send(request))
        return self.exchanges[-1]

    def mark(self, exchange: Exchange, relation: Relation, group: str, role: str, about: str = "") -> None:
        assert (relation, role) == (Relation.CONVERSATION, "turn")
        self.groups.setdefault(group, []).append(exchange)

    def group(self, name: str) -> str:
        return f"{name}#{len(self.groups)}"


def test_the_message_is_echoed_with_every_key_that_it_has() -> None:
    message: dict[str, Any] = {"content": None, "tool_calls": [CALL], "annotations": [], "x_own": {"kept": True}}
    assert said(exchange({"message": message})) == {"role": "assistant", "refusal": None, **message}


def test_a_streamed_message_is_echoed_as_its_deltas_join() -> None:
    pieces = ['{"location":', '"Paris"}']
    first = {"index": 0, **CALL, "function": {"name": "get_weather", "arguments": pieces[0]}}
    deltas = [
        {"role": "assistant", "content": None},
        {"tool_calls": [first]},
        {"tool_calls": [{"index": 0, "function": {"arguments": pieces[1]}}]},
    ]
    assert said(exchange({"deltas": deltas})) == {"role": "assistant", "content": None, "tool_calls": [CALL]}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"status": 400, "error": {}},
        {"text": "<html>"},
        {"json": {"choices": []}},
        {"json": {"choices": [5]}},
        {"deltas": [{"role": "assistant", "tool_calls": [{"index": 0, "id": 5, "function": {"name": None}}]}]},
        {"deltas": [{"role": "assistant", "content": "cut"}], "finish_reason": None, "done": False},
    ],
    ids=["text", "refused", "page", "no choices", "no object", "mistyped", "cut"],
)
def test_what_cannot_be_echoed_ends_the_conversation(spec: dict[str, Any]) -> None:
    assert said(exchange(spec)) is None


def test_every_call_gets_a_result_of_its_own() -> None:
    message = build.called(CALL, build.call("call_2", "get_time", "{}"), {"id": 7}, "no object")
    assert results(message, "station ") == [
        {"role": "tool", "tool_call_id": "call_1", "content": "station 0"},
        {"role": "tool", "tool_call_id": "call_2", "content": "station 1"},
    ]
    assert results({"tool_calls": "none"}, "") == []


@pytest.mark.parametrize("name", dialects.builtin_names())
def test_flows_run_to_their_end_within_their_bound(name: str) -> None:
    dialect = dialects.load(name)
    probe = load()["conversations"]
    assert probe.scenario is not None
    hands = Hands(Base(dialect, Facts(), "reference-1", Effort.STANDARD, dialect.capabilities))
    probe.scenario(hands)
    assert 10 < len(hands.exchanges) <= probe.upper
    assert {item.status for item in hands.exchanges} == {200}
    assert any(item.is_event_stream for item in hands.exchanges)
    for turns in hands.groups.values():
        for earlier, later in pairwise(turns):
            known = earlier.request.document.value["messages"]
            assert later.request.document.value["messages"][: len(known)] == known
    assert any("tools" not in turns[-1].request.document.value for turns in hands.groups.values())


def test_flows_end_where_the_model_calls_nothing() -> None:
    dialect = dialects.load("openai")
    scenario = load()["conversations"].scenario
    assert scenario is not None
    hands = Hands(Base(dialect, Facts(), "reference-1", Effort.STANDARD, dialect.capabilities), mind="refusing")
    scenario(hands)
    assert all(len(turns) <= 6 for turns in hands.groups.values())
    assert min(len(turns) for turns in hands.groups.values()) == 1


@settings(max_examples=60, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(closed_schemas())
def test_generated_schemas_are_what_strict_tools_take(schema: dict[str, Any]) -> None:
    def closed(item: dict[str, Any]) -> bool:
        inner = [*item.get("properties", {}).values(), *item.get("anyOf", ())]
        inner += [item["items"]] if "items" in item else []
        whole = item.get("type") != "object" or (
            item["additionalProperties"] is False and set(item["required"]) == set(item["properties"])
        )
        return whole and all(map(closed, inner))

    assert schema["type"] == "object"
    assert closed(schema)
