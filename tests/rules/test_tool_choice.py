"""Tool choice: a finding needs no control, a pass does, and what the model may decide is never held against it."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load as load_dialect
from conformance.rules import load
from conformance.rules.base import Reason, Rule, Terms
from conformance.rules.judge import Judgement, judge
from conformance.wire.traces import Contrast, Single

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
CALL = {
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
}
TERMS = Terms(load_dialect("openai"))


def _judge(name: str, *specs: dict[str, Any]) -> Judgement:
    rule = load()[name]
    assert isinstance(rule, Rule)
    made = tuple(exchange(spec, number) for number, spec in enumerate(specs, 1))
    return judge(rule, Single(made) if len(made) == 1 else Contrast(made, "/tool_choice"), TERMS)


def _asked(chosen: Any, **fields: Any) -> dict[str, Any]:
    return {"request": {"tools": TOOLS, "tool_choice": chosen}, **fields}


def test_a_call_under_none_is_found_without_a_control() -> None:
    assert _judge("tool_choice.none.makes_no_call", _asked("none", message=CALL)).findings


def test_no_call_under_none_proves_nothing_without_a_control() -> None:
    judgement = _judge("tool_choice.none.makes_no_call", _asked("none"))
    assert judgement.vacuous is not None
    assert judgement.vacuous.reason is Reason.NO_CONTROL
    silent = _judge("tool_choice.none.makes_no_call", _asked("auto"), _asked("none"))
    assert silent.vacuous is not None
    assert _judge("tool_choice.none.makes_no_call", _asked("auto", message=CALL), _asked("none")).held


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"choice": {"finish_reason": "length"}, "message": {"content": ""}}, Reason.CUT_BY_LIMIT),
        ({"message": {"content": None, "refusal": "I will not."}}, Reason.MODEL_FREE),
        ({"status": 400, "error": {"param": "tool_choice"}}, Reason.REFUSED),
        ({"status": 503, "error": {}}, Reason.TRANSPORT),
    ],
)
def test_what_excuses_an_answer_without_the_required_call(fields: dict[str, Any], reason: Reason) -> None:
    judgement = _judge("tool_choice.required.calls_a_tool", _asked("required", **fields))
    assert judgement.vacuous is not None
    assert judgement.vacuous.reason is reason


def test_long_prose_instead_of_the_required_call_is_found_and_short_cut_prose_is_not() -> None:
    """A grammar that leaves room for endless text demands nothing: https://github.com/ggml-org/llama.cpp/issues/27217."""
    prose = {"content": "hm " * 200}
    for finish in ("length", "stop"):
        spec = _asked("required", choice={"finish_reason": finish}, message=prose)
        assert _judge("tool_choice.required.calls_a_tool", spec).findings
    short = _asked("required", choice={"finish_reason": "length"}, message={"content": "hm hm"})
    short["request"]["max_tokens"] = 16
    judgement = _judge("tool_choice.required.calls_a_tool", short)
    assert judgement.vacuous is not None
    assert judgement.vacuous.reason is Reason.CUT_BY_LIMIT


@pytest.mark.parametrize("status", [401, 404, 429, 503])
def test_a_refusal_for_another_reason_does_not_count(status: int) -> None:
    judgement = _judge("tool_choice.value.unknown_word_is_refused", _asked("any", status=status, error={}))
    assert judgement.vacuous is not None
    assert not judgement.findings


def test_a_server_error_is_a_refusal_only_if_it_says_what_is_wrong() -> None:
    said = {"message": "Invalid tool_choice: any", "type": "server_error"}
    requirement = "tool_choice.value.unknown_word_is_refused"
    assert _judge(requirement, _asked("any", status=500, error={})).findings
    assert _judge(requirement, _asked("any", status=500, error={"message": "stream of the model broke"})).findings
    assert _judge(requirement, _asked("any", status=500, error=said)).held
    assert _judge(requirement, _asked("any", status=500, error={"param": "tool_choice"})).held
    assert _judge(requirement, _asked("any", status=503, error=said)).vacuous is not None


def test_a_call_that_the_limit_cut_is_no_markup_left_over() -> None:
    requirement = "tool_choice.auto.leaves_no_markup"
    text = {"content": '<tool_call>\n{"name": "get_weather", "argum'}
    cut = _judge(requirement, _asked("auto", choice={"finish_reason": "length"}, message=text))
    assert cut.vacuous is not None
    assert cut.vacuous.reason is Reason.CUT_BY_LIMIT
    whole = {"content": '<tool_call>\n{"name": "get_weather", "arguments": {}}\n</tool_call>'}
    assert _judge(requirement, _asked("auto", message=whole)).findings
    limited = _asked("none", choice={"finish_reason": "length"}, message=whole)
    assert _judge("tool_choice.none.leaves_no_markup", limited).findings
