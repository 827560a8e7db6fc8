"""One root cause is one finding: what another rule owns is left to it."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load as load_dialect
from conformance.rules import load
from conformance.rules.base import Reason, Rule, Terms
from conformance.rules.judge import Judgement, judge
from conformance.wire.traces import Single

TERMS = Terms(load_dialect("openai"))


def _judge(name: str, spec: dict[str, Any]) -> Judgement:
    rule = load()[name]
    assert isinstance(rule, Rule)
    return judge(rule, Single((exchange(spec),)), TERMS)


def _refused(error: dict[str, Any]) -> dict[str, Any]:
    return {"request": {"messages": "Hi"}, "status": 400, "error": error}


@pytest.mark.parametrize(
    ("requirement", "error", "found"),
    [
        ("errors.code.names_the_fault", {"code": 400}, False),
        ("errors.code.names_the_fault", {"code": "<absent>"}, False),
        ("errors.code.names_the_fault", {"code": "malformed_document"}, True),
        ("errors.param.names_the_parameter", {"param": "<absent>"}, False),
        ("errors.param.names_the_parameter", {"param": ["messages"]}, False),
        ("errors.param.names_the_parameter", {"param": None}, True),
        ("errors.param.names_the_parameter", {"param": "temperature"}, True),
    ],
)
def test_what_an_error_says_is_read_only_where_it_has_the_right_form(
    requirement: str, error: dict[str, Any], found: bool
) -> None:
    assert bool(_judge(requirement, _refused(error)).findings) is found


def _calling(name: Any, declared: str) -> dict[str, Any]:
    function = {"name": name, "arguments": "{}"}
    return {
        "request": {"tools": [{"type": "function", "function": {"name": declared}}]},
        "message": {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
    }


def test_a_call_repeats_a_bad_name_that_was_taken() -> None:
    requirement = "tool_calls.name.is_a_string"
    assert not _judge(requirement, _calling("", declared="")).findings
    assert _judge(requirement, _calling("", declared="press")).findings
    assert _judge(requirement, _calling(None, declared="")).findings


def _history(*ids: str | None) -> dict[str, Any]:
    calls: list[dict[str, Any]] = [{"type": "function", "function": {"name": "f", "arguments": "{}"}} for _ in ids]
    for call, name in zip(calls, ids, strict=True):
        call |= {"id": name} if name is not None else {}
    results = [{"role": "tool", "tool_call_id": name, "content": "1"} for name in ("a", "b")]
    return {"request": {"messages": [{"role": "assistant", "content": None, "tool_calls": calls}, *results]}}


def test_a_result_may_be_meant_for_a_call_without_an_id() -> None:
    requirement = "tool_calls.results.unknown_id_is_refused"
    assert not _judge(requirement, _history("a", None)).findings
    assert _judge("tool_calls.history.incomplete_call_is_refused", _history("a", None)).findings
    assert _judge(requirement, _history("a", "z")).findings


@pytest.mark.parametrize(
    ("message", "vacuous"),
    [
        ("Failed to parse messages: Expected an array", False),
        ("The messages are not supported", False),
        ("The model broke down", True),
    ],
)
def test_a_server_error_that_explains_itself_did_not_serve_the_request(message: str, vacuous: bool) -> None:
    spec = _refused({"message": message, "type": "server_error"}) | {"status": 500}
    judgement = _judge("requests.messages.are_checked", spec)
    assert not judgement.findings
    assert judgement.held is not vacuous
    if judgement.vacuous is not None:
        assert judgement.vacuous.reason is Reason.TRANSPORT
    assert _judge("errors.client_fault.is_4xx", spec).findings
