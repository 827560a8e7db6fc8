from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_builders import call, chat

from conformance.dialects.model import Dialect, ErrorForm
from conformance.wire.exchange import Exchange, Request
from conformance.wire.refusal import (
    CAPABILITY_OF,
    STATUSES,
    Refused,
    names_field,
    refusal_of,
    refuses,
    refuses_feature,
    top_field,
)

DIALECT = Dialect(
    "made_up",
    "Made up",
    ("made_up",),
    frozenset(),
    errors={
        "invalid_request": ErrorForm("invalid_request", (400,), codes=("invalid_request", None)),
        "no_tools": ErrorForm("no_tools", (400,), codes=("tools_unsupported",), features=("tools",)),
        "no_schema": ErrorForm("no_schema", (400,), codes=("schema_off",), features=("structured_output", "logprobs")),
    },
)


def refusal(error: Any, status: int = 400, **fields: Any) -> Refused | None:
    body = json.dumps(error).encode()
    return refusal_of(chat("e1", body, status=status, **fields), DIALECT)


TOOLS: dict[str, Any] = {"tools": [{"type": "function"}], "tool_choice": "required"}

REFUSALS = [
    pytest.param({"param": "tools"}, TOOLS, Refused(400, "param", ("tools",), ("tools",)), id="param"),
    pytest.param(
        {"param": "tools[0].function.strict"}, TOOLS, Refused(400, "param", ("tools",), ("tools",)), id="path"
    ),
    pytest.param(
        {"param": "/tool_choice/function"}, TOOLS, Refused(400, "param", ("tool_choice",), ("tools",)), id="ptr"
    ),
    pytest.param({"param": "n", "message": "tools"}, {"n": 2}, Refused(400, "param", ("n",), ()), id="core field"),
    pytest.param(
        {"code": "tools_unsupported"}, TOOLS, Refused(400, "code", ("tools", "tool_choice"), ("tools",)), id="code"
    ),
    pytest.param(
        {"code": "schema_off"},
        {"response_format": {}},
        Refused(400, "code", ("response_format",), ("structured_output",)),
        id="only what was used of a code's features",
    ),
    pytest.param(
        {"message": "Unrecognized request argument supplied: reasoning_effort"},
        {"reasoning_effort": "low"},
        Refused(400, "message", ("reasoning_effort",), ()),
        id="message names the field",
    ),
    pytest.param(
        {"message": "This model does not support tool calling."},
        TOOLS,
        Refused(400, "message", ("tools", "tool_choice"), ("tools",)),
        id="message names the capability",
    ),
    pytest.param(
        {"message": "'stop' is not supported with this model."},
        {"stop": "x"},
        Refused(400, "message", ("stop",), ()),
        id="an everyday word in quotes",
    ),
    pytest.param(
        {"message": "Streaming is off"},
        {"stream": True},
        Refused(400, "message", ("stream",), ("streaming",)),
        id="noun",
    ),
]

NO_REFUSALS = [
    pytest.param({"param": "tools"}, {}, id="a field that was not sent"),
    pytest.param({"param": "tools"}, {"tools": None}, id="a field that was sent as null"),
    pytest.param({"code": "tools_unsupported"}, {"n": 2}, id="a capability that was not used"),
    pytest.param({"code": "invalid_request"}, TOOLS, id="a code that refuses nothing"),
    pytest.param({"param": "messages[0].content"}, TOOLS, id="what every request needs is no feature"),
    pytest.param({"message": "model m is not available"}, TOOLS, id="the model neither"),
    pytest.param(
        {"message": "upstream error, please stop and store nothing"}, {"stop": "x", "stream": True}, id="words"
    ),
    pytest.param({"message": "Bad request"}, TOOLS, id="nothing is named"),
    pytest.param({"message": ["tools"], "param": {"tools": 1}, "code": ["tools_unsupported"]}, TOOLS, id="wrong types"),
]


@pytest.mark.parametrize(("error", "fields", "expected"), REFUSALS)
def test_refusals(error: dict[str, Any], fields: dict[str, Any], expected: Refused) -> None:
    assert refusal({"error": error}, **fields) == expected
    for name in expected.fields:
        assert refuses(chat("e1", json.dumps({"error": error}).encode(), status=400, **fields), name, DIALECT)


@pytest.mark.parametrize(("error", "fields"), NO_REFUSALS)
def test_near_misses_are_no_refusals(error: dict[str, Any], fields: dict[str, Any]) -> None:
    assert refusal({"error": error}, **fields) is None


@pytest.mark.parametrize("status", [200, 401, 402, 403, 408, 409, 413, 429, 500, 502, 503])
def test_other_statuses_refuse_nothing(status: int) -> None:
    assert refusal({"error": {"param": "tools"}}, status, **TOOLS) is None


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_each_status_can_refuse(status: int) -> None:
    found = refusal({"error": {"param": "tools"}}, status, **TOOLS)
    assert found is not None
    assert (found.status, found.feature) == (status, "tools")


def test_other_forms_of_errors_are_read() -> None:
    fastapi = {"detail": [{"loc": ["body", "tools", 0, "function"], "msg": "Extra inputs are not permitted"}]}
    assert refusal(fastapi, 422, **TOOLS) == Refused(422, "param", ("tools",), ("tools",))
    assert refusal({"detail": "tool_choice is not supported"}, **TOOLS) == Refused(
        400, "message", ("tool_choice",), ("tools",)
    )
    assert refusal({"error": "`tools` are not supported"}, **TOOLS) == Refused(400, "message", ("tools",), ("tools",))
    plain = chat("e1", b"parallel_tool_calls: unknown field", status=400, parallel_tool_calls=True)
    assert refusal_of(plain, DIALECT) == Refused(400, "message", ("parallel_tool_calls",), ("tools",))


def test_a_refused_field_is_not_another_one() -> None:
    exchange = chat("e1", b'{"error": {"param": "tool_choice"}}', status=400, **TOOLS)
    assert refuses(exchange, "/tool_choice/function/name", DIALECT)
    assert refuses(exchange, "tool_choice", DIALECT)
    assert not refuses(exchange, "tools", DIALECT)
    assert refuses_feature(exchange, "tools", DIALECT)
    assert not refuses_feature(exchange, "logprobs", DIALECT)


@pytest.mark.parametrize(
    ("method", "path", "status", "feature"),
    [
        ("GET", "/models", 404, "models"),
        ("GET", "/models?limit=1", 501, "models"),
        ("GET", "/chat/completions", 405, "storage"),
        ("DELETE", "/chat/completions/x", 405, "storage"),
        ("GET", "/chat/completions/x", 404, None),
        ("GET", "/models/x", 404, None),
        ("GET", "/models", 400, None),
        ("GET", "/elsewhere", 404, None),
    ],
)
def test_routes_that_are_not_there(method: str, path: str, status: int, feature: str | None) -> None:
    found = refusal_of(call(method, path, "e1", status, b'{"error": {"param": "completion_id"}}'), DIALECT)
    assert (found.feature if found else None) == feature


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("tools", "tools"),
        ("tools[0].function", "tools"),
        ("tools.0.function", "tools"),
        ("/tools/0", "tools"),
        ("$.tools[0]", "tools"),
        ("body.tools", "tools"),
        ("body/tools/0", "tools"),
        ("'n'", "n"),
        ("", ""),
    ],
)
def test_fields_are_read_from_any_kind_of_path(path: str, field: str) -> None:
    assert top_field(path) == field


def test_every_word_of_the_language_can_still_be_named() -> None:
    for field in ("n", "stop", "stream", "tools", "logprobs"):
        assert names_field(f"Unsupported parameter: {field}", field)
        assert names_field(f"`{field}` is not supported", field)
        assert not names_field(f"more {field} today", field)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["tools", "", "/", "body", "message"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "detail", "param", "message", "code", "loc", "msg"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(sorted(STATUSES)), st.dictionaries(st.sampled_from(sorted(CAPABILITY_OF)), _JSON))
def test_any_error_body_is_read_without_raising(body: Any, status: int, fields: dict[str, Any]) -> None:
    exchange = chat("e1", json.dumps(body).encode(), status=status, **fields)
    found = refusal_of(exchange, DIALECT)
    assert found is None or set(found.fields) <= {key for key, value in fields.items() if value is not None}
    refusal_of(Exchange("e2", Request(body=None), status, body=exchange.body), DIALECT)
