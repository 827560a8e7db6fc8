"""Parallel calls: false is judged without a control only where it is broken."""

from __future__ import annotations

from typing import Any

from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load as load_dialect
from conformance.rules import load
from conformance.rules.base import Reason, Rule, Terms
from conformance.rules.judge import Judgement, judge
from conformance.wire.traces import Single


def _judge(count: int, **changes: Any) -> Judgement:
    rule = load()["parallel.false.makes_one_call"]
    assert isinstance(rule, Rule)
    calls: list[dict[str, Any]] = [
        {"id": f"call_{number}", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        for number in range(count)
    ]
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    spec = {
        "request": {"tools": tools, "parallel_tool_calls": False},
        "message": {"content": None, "tool_calls": calls},
        **changes,
    }
    return judge(rule, Single((exchange(spec),)), Terms(load_dialect("openai")))


def test_two_calls_are_found_without_a_control() -> None:
    assert _judge(2).findings


def test_one_call_proves_nothing_without_a_control() -> None:
    judgement = _judge(1)
    assert judgement.vacuous is not None
    assert judgement.vacuous.reason is Reason.NO_CONTROL


def test_a_refusal_without_a_control_may_be_about_anything() -> None:
    judgement = _judge(0, status=400, error={"message": "messages: roles must alternate"})
    assert judgement.vacuous is not None
    assert judgement.vacuous.reason is Reason.NO_CONTROL
