"""The schemas shaped like real ones: taken by every strict mode, and each answer judged as it says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from conformance import rules
from conformance.catalogue import examples
from conformance.dialects import loader as dialects
from conformance.probes.structured_shapes import Shape, shapes
from conformance.reference.endpoint import Endpoint
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import judge
from conformance.transport.memory import MemoryTransport
from conformance.wire.exchange import Request
from conformance.wire.traces import Single

RULES = {name: rule for name, rule in rules.load().items() if name.startswith("structured_output.")}
SHAPES = shapes()


def requested(shape: Shape) -> dict[str, Any]:
    declared = {"name": shape.name, "strict": True, "schema": shape.schema}
    return {"response_format": {"type": "json_schema", "json_schema": declared}}


def broken(shape: Shape, content: str, *, streamed: bool) -> set[str]:
    """What the rules find in an answer with this content."""
    said = {"deltas": [{"content": content[:7]}, {"content": content[7:]}]} if streamed else {}
    spec = {"request": requested(shape), "message": {"content": content}} | said
    trace, terms = examples.trace({"wrong": spec}, "wrong"), Terms(dialects.load("openai"))
    assert isinstance(trace, Single)
    found = [judge(rule, trace, terms) for rule in RULES.values() if isinstance(rule, Rule) and rule.on is Single]
    assert [item.error for item in found if item.error] == []
    return {item.requirement for item in found if item.findings}


def test_there_are_many_and_each_is_named() -> None:
    assert len({shape.name for shape in SHAPES}) == len(SHAPES) >= 30
    assert {shape.breaks for shape in SHAPES} >= {
        f"structured_output.strict.{name}"
        for name in ("answer_satisfies_the_schema", "patterns_are_kept", "formats_are_kept", "bounds_are_kept")
    }
    assert all(shape.breaks in RULES and shape.why for shape in SHAPES)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_good_answer_is_right_and_the_bad_one_breaks_what_it_says(shape: Shape, streamed: bool) -> None:
    good, bad = (json.dumps(value, ensure_ascii=False) for value in (shape.good, shape.bad))
    assert broken(shape, good, streamed=streamed) == set()
    assert broken(shape, bad, streamed=streamed) == {shape.breaks}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_both_libraries_accept_the_good_answer(shape: Shape) -> None:
    assert jsonschema_rs.Draft202012Validator(shape.schema, validate_formats=True).is_valid(shape.good)
    jsonschema.Draft202012Validator(shape.schema).validate(shape.good)


@pytest.mark.parametrize("name", ["openai", "xerotier", "aurous"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_strict_mode_takes_the_schema_and_keeps_to_it(shape: Shape, name: str) -> None:
    body = {"model": "reference-1", "messages": [{"role": "user", "content": shape.prompt}], **requested(shape)}
    transport = MemoryTransport(Endpoint(dialects.load(name)).respond)
    exchange = transport.send(Request("POST", "/chat/completions", (), json.dumps(body).encode()))
    assert exchange.status == 200, exchange.body
    assert exchange.answer is not None
    assert exchange.answer.choices[0].finish_reason == "stop"
    made = json.loads(exchange.answer.choices[0].text)
    assert jsonschema_rs.Draft202012Validator(shape.schema, validate_formats=True).is_valid(made)
