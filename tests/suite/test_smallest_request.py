"""What a report shows of a fault on arguments that are not ASCII: a request from which nothing can be taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance import rules
from conformance.catalogue import loader as catalogue
from conformance.dialects import loader as dialects
from conformance.probes.reduce import removals
from conformance.probes.shrink import guard
from conformance.reference import faults
from conformance.reference.endpoint import Endpoint
from conformance.rules.base import Rule
from conformance.rules.judge import judge
from conformance.suite.campaign import Campaign, Settings, Smallest
from conformance.transport.memory import MemoryTransport
from conformance.wire import strict_json
from conformance.wire.traces import Single

OPENAI = dialects.load("openai")
BASE = frozenset({"model", "max_tokens", "max_completion_tokens", "temperature", "seed"})
"""The fields that every probe sends."""
ROOM = 400
"""Bytes beyond those."""


def reported(fault: str, requirement: str) -> tuple[Campaign, Smallest]:
    """The campaign of a standard run over the areas of tools, and the smallest steps that it reports."""
    transport = MemoryTransport(Endpoint(OPENAI, faults=[faults.load()[fault]]).respond)
    settings = Settings(probes=frozenset({"tools", "stream_tools", "tool_choice", "parallel"}))
    made = Campaign(settings, transport, OPENAI, catalogue.load(), frozenset({requirement}))
    made.preflight()
    made.plan()
    made.gather()
    made.judge()
    (smallest, *_) = made.shrink(requirement)
    return made, smallest


@pytest.mark.parametrize(
    ("fault", "requirement"),
    [
        ("ts-args-double-encoded", "tool_calls.arguments.hold_an_object"),
        ("ts-letters-replaced", "tools.strict.arguments_satisfy_the_schema"),
    ],
)
def test_the_request_shown_is_as_small_as_can_be(fault: str, requirement: str) -> None:
    made, smallest = reported(fault, requirement)
    (shown,) = smallest.exchanges
    body: dict[str, Any] = shown.request.document.value
    assert smallest.minimal
    assert len(body["messages"]) == len(body["tools"]) == 1
    assert len(body["tools"][0]["function"]["parameters"]["properties"]) == 1
    assert len(strict_json.dump({key: value for key, value in body.items() if key not in BASE})) <= ROOM
    endpoint = Endpoint(OPENAI, faults=[faults.load()[fault]])
    rule, tried = rules.load()[requirement], 0
    assert isinstance(rule, Rule)
    for smaller in filter(guard(body), removals(body)):
        answer = MemoryTransport(endpoint.respond).send(replace(shown.request, body=strict_json.dump(smaller)))
        assert not judge(rule, Single((replace(answer, id="e1"),)), made.terms).findings, smaller
        tried += 1
    assert tried >= 5
