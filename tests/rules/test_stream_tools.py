"""Streamed calls: parity needs two equal unstreamed answers, and a call that is demanded."""

from __future__ import annotations

from typing import Any

from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load as load_dialect
from conformance.rules import load
from conformance.rules.base import Reason, Rule, Terms
from conformance.rules.judge import Judgement, judge
from conformance.wire.traces import Parity

OPEN = {"type": "object", "properties": {"city": {"type": "string"}}}
TERMS = Terms(load_dialect("openai"))


def _message(arguments: str) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    return {"content": None, "tool_calls": [call]}


def _parity(name: str, first: str, second: str, *fragments: str, choice: Any = "required") -> Judgement:
    rule = load()[name]
    assert isinstance(rule, Rule)
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": OPEN}}]
    request = {"tools": tools, "tool_choice": choice}
    start = {"index": 0, "id": "call_2", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    rest = [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in fragments]
    deltas = [{"role": "assistant", "content": None}, {"tool_calls": [start]}, *rest]
    specs = [
        {"request": request, "message": _message(first)},
        {"request": request, "message": _message(second)},
        {"request": request, "deltas": deltas},
    ]
    return judge(rule, Parity(tuple(exchange(spec, number) for number, spec in enumerate(specs, 1))), TERMS)


def test_a_lost_brace_shows_beside_whole_unstreamed_arguments() -> None:
    assert _parity("stream_tools.parity.arguments_stay_whole", "{}", "{}", "{").findings


def test_broken_unstreamed_arguments_are_no_control() -> None:
    judgement = _parity("stream_tools.parity.arguments_stay_whole", "{}", "{", "{")
    assert judgement.vacuous is not None
    assert judgement.vacuous.reason is Reason.NO_CONTROL


def test_other_arguments_are_the_models_own_where_the_schema_is_open() -> None:
    judgement = _parity("stream_tools.parity.same_arguments", '{"city":"Rome"}', '{"city":"Rome"}', '{"city":"Paris"}')
    assert judgement.vacuous is not None
    assert judgement.vacuous.reason is Reason.MODEL_FREE


def test_arguments_that_break_the_schema_in_streams_only_are_found() -> None:
    assert _parity("stream_tools.parity.same_arguments", '{"city":"Rome"}', '{"city":"Rome"}', '{"city":5}').findings


def test_a_free_call_is_not_compared() -> None:
    judgement = _parity("stream_tools.parity.arguments_stay_whole", "{}", "{}", "{", choice="auto")
    assert judgement.vacuous is not None
    assert judgement.vacuous.reason is Reason.NOT_APPLICABLE
