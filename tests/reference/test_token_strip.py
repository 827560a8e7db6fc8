"""The log probabilities that the reference really produces: per choice, per chunk, per part of a character."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.reference import variations
from conformance.wire.exchange import Exchange
from tests.reference.asking import ask, chat, make, tool

TEXT = "caffè ☕ 日本語 😀 ẞ e\u0301 \U0001f469\u200d\U0001f467 \ufffd\u0001"
NAMES = ("openai", "xerotier")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}


def entries(exchange: Exchange, side: str = "content") -> list[list[dict[str, Any]]]:
    """The entries of one side, choice by choice."""
    assert exchange.answer is not None
    return [(choice.logprobs or {}).get(side) or [] for choice in exchange.answer.choices]


def joined(found: list[dict[str, Any]]) -> str:
    return bytes(byte for entry in found for byte in entry["bytes"]).decode()


def both(name: str, prompt: str, **fields: Any) -> tuple[Exchange, Exchange]:
    asked = {"logprobs": True, **fields}
    return ask(make(name), chat(prompt, **asked)), ask(make(name), chat(prompt, stream=True, **asked))


@pytest.mark.parametrize("name", NAMES)
def test_streamed_entries_are_the_unstreamed_ones_and_spell_the_text(name: str) -> None:
    unstreamed, streamed = both(name, f"Repeat exactly: {TEXT}", top_logprobs=3, n=2)
    assert entries(unstreamed) == entries(streamed)
    for found in entries(unstreamed):
        assert joined(found) == TEXT
        assert {len(entry["top_logprobs"]) for entry in found} == {3}


def test_some_characters_take_several_tokens() -> None:
    unstreamed, streamed = both("openai", f"Repeat exactly: {TEXT}")
    parts = [entry for entry in entries(unstreamed)[0] if entry["token"].startswith("\\x")]
    assert len(parts) > 4
    assert streamed.assembly is not None
    deltas = [
        choice for chunk in streamed.assembly.chunks for choice in chunk.choices if choice["delta"].get("content")
    ]
    assert {joined(choice["logprobs"]["content"]) == choice["delta"]["content"] for choice in deltas} == {True}
    assert max(len(choice["logprobs"]["content"]) for choice in deltas) > 1


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_of_calls_has_none_and_text_beside_tools_has_some(name: str) -> None:
    for exchange in both(name, "What is the weather in Paris?", tools=[tool()], tool_choice="required"):
        assert entries(exchange) == [[]]
    for exchange in both(name, "Repeat exactly: Hi you", tools=[tool()], tool_choice="none"):
        assert joined(entries(exchange)[0]) == "Hi you"


def test_a_refusal_has_entries_on_its_side() -> None:
    change = [variations.load()["refusal-message"]]
    seen = 0
    for number in range(20):
        fields = {"response_format": FORMAT, "logprobs": True}
        for stream in (False, True):
            exchange = ask(make("openai", variations=change), chat(f"Hi {number}", stream=stream, **fields))
            assert exchange.answer is not None
            choice = exchange.answer.choices[0]
            if choice.refusal:
                seen += 1
                assert joined(entries(exchange, "refusal")[0]) == choice.refusal
                assert entries(exchange) == [[]]
    assert seen > 2


@pytest.mark.parametrize("top", [0, 1, 5, 20])
def test_alternatives_are_as_many_as_asked_and_sum_to_less_than_one(top: int) -> None:
    unstreamed, _ = both("openai", "Count from 1 to 10", top_logprobs=top)
    for entry in entries(unstreamed)[0]:
        values = [item["logprob"] for item in entry["top_logprobs"]]
        assert len(values) == top
        assert values == sorted(values, reverse=True)
        assert sum(2.718281828**value for value in values) < 1
        assert not top or entry["top_logprobs"][0]["bytes"] == entry["bytes"]


@pytest.mark.parametrize("fields", [{}, {"logprobs": False}, {"logprobs": None}])
def test_off_by_default(fields: dict[str, Any]) -> None:
    for exchange in both("openai", "Hi", **{"logprobs": ..., **fields}):
        assert exchange.answer is not None
        assert exchange.answer.choices[0].logprobs is None
