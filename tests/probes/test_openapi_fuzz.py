"""The protocol's OpenAPI document, what is generated from it, and what the reference endpoint answers by it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from conformance.dialects import loader as dialects
from conformance.probes import build
from conformance.probes.base import Base, Effort, Group
from conformance.probes.openapi_fuzz import _bodies, _draws, document
from conformance.reference.endpoint import Endpoint
from conformance.transport.memory import MemoryTransport
from conformance.wire.facts import Facts

DOCUMENT = document()


def validator(name: str) -> Any:
    """A validator of one component."""
    return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def drawn(strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """Some examples, always the same."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @seed(11)
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def test_every_component_is_a_schema() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_valid_bodies_keep_the_schema_and_differ() -> None:
    valid, found = validator("Request"), drawn(_bodies(True), 40)
    assert all(valid.is_valid(body) for body in found)
    assert len({json.dumps(body, sort_keys=True) for body in found}) > 20
    assert any("tools" in body for body in found)


def test_most_invalid_bodies_break_the_schema() -> None:
    valid, found = validator("Request"), drawn(_bodies(False), 40)
    broken = [body for body in found if isinstance(body, bytes) or not valid.is_valid(body)]
    assert len(broken) > 30


@pytest.mark.parametrize("name", dialects.builtin_names())
def test_bodies_are_fitted_to_the_endpoint(name: str) -> None:
    dialect = dialects.load(name)
    facts = Facts(token_limit_field="max_tokens")
    base = Base(dialect, facts, "m-1", Effort.STANDARD, dialect.capabilities - {"streaming"})
    groups: list[Group] = drawn(_draws(base), 60)
    bodies = [ask.request.document.value for group in groups for ask in group.asks if ask.request.document.ok]
    objects = [body for body in bodies if isinstance(body, dict)]
    assert len(objects) > 20
    for body in objects:
        assert "stream" not in body
        assert body.get("max_tokens") == 16
        assert "n" not in body or build.takes_many(base)
        assert "tool_choice" not in body or "tools" in body
        assert not isinstance(body.get("model"), str) or body["model"] == "m-1"
    assert {ask.free for group in groups for ask in group.asks} == {True, False}


@pytest.mark.parametrize("name", dialects.builtin_names())
def test_the_reference_answers_by_the_document(name: str) -> None:
    dialect = dialects.load(name)
    transport = MemoryTransport(Endpoint(dialect).respond)
    base = Base(dialect, Facts(token_limit_field="max_tokens"), "reference-1")
    body = base.body(build.WEATHER, tools=[build.WEATHER_TOOL])
    assert validator("Completion").is_valid(transport.send(build.post(body)).document.value)
    assert validator("Completion").is_valid(transport.send(build.post(base.body(build.GREETING))).document.value)
    streamed = transport.send(build.post(build.streamed(body)))
    assert streamed.assembly is not None
    assert len(streamed.assembly.chunks) > 3
    assert all(validator("Chunk").is_valid(chunk.value) for chunk in streamed.assembly.chunks)
    assert validator("ModelList").is_valid(transport.send(build.get("/models")).document.value)
    assert validator("ErrorBody").is_valid(transport.send(build.post({"model": "m"})).document.value)
