"""The typed views of requests and answers: what a request demands, and a completion in one shape for both modes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_builders import STREAM, body_of, call, chat

from conformance.wire.answer import MISSING
from conformance.wire.chat_request import ChatRequest, Choosing
from conformance.wire.exchange import LIVE_FACETS, End, Exchange, Facet, Request, header_values
from conformance.wire.facts import Facts, derive

NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("value", "form", "name"),
    [
        (..., Choosing.OMITTED, None),
        (None, Choosing.OMITTED, None),
        ("auto", Choosing.AUTO, None),
        ("none", Choosing.NONE, None),
        ("required", Choosing.REQUIRED, None),
        (NAMED, Choosing.NAMED, "f"),
        ({"type": "custom", "custom": {"name": "c"}}, Choosing.CUSTOM, "c"),
        ({"type": "allowed_tools", "allowed_tools": {}}, Choosing.ALLOWED, None),
        ("any", Choosing.MALFORMED, None),
        ("omitted", Choosing.MALFORMED, None),
        ("named", Choosing.MALFORMED, None),
        (1, Choosing.MALFORMED, None),
        ([], Choosing.MALFORMED, None),
        ({"type": "function", "name": "f"}, Choosing.MALFORMED, None),
        ({"type": "function", "function": {"name": 1}}, Choosing.MALFORMED, None),
        ({"type": ["function"], "function": {"name": "f"}}, Choosing.MALFORMED, None),
    ],
)
def test_tool_choice_has_a_form(value: Any, form: Choosing, name: str | None) -> None:
    request = ChatRequest({} if value is ... else {"tool_choice": value})
    assert (request.choosing, request.chosen_name) == (form, name)


def test_tools_are_those_that_are_well_formed() -> None:
    tools: list[Any] = [
        {"type": "function", "function": {"name": "a", "parameters": {"type": "object"}, "strict": True}},
        {"type": "custom", "custom": {"name": "c"}},
        {"type": "function", "function": {"name": "b", "parameters": None, "strict": 1}},
        {"type": "function", "function": {"name": ""}},
        {"type": "function"},
        {"function": {"name": "d"}},
        None,
    ]
    request = ChatRequest({"tools": tools})
    assert [(tool.position, tool.name, tool.parameters, tool.strict) for tool in request.tools] == [
        (0, "a", {"type": "object"}, True),
        (2, "b", None, False),
    ]
    assert request.tool_names == {"a", "b", "c"}
    assert request.tool("b") is request.tools[1]
    assert request.tool(["a"]) is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, {"stream": False, "n": 1, "token_limit": None, "stops": (), "parallel": None, "format_type": None}),
        ({"stream": None, "n": None, "stop": None}, {"stream": False, "n": 1, "stops": ()}),
        ({"stream": 1, "n": 1.0, "stop": 1}, {"stream": None, "n": None, "stops": ()}),
        ({"stop": ["a", 1, "b"]}, {"stops": ("a", "b")}),
        ({"max_tokens": 5}, {"token_limit": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 7}, {"token_limit": 7}),
        ({"max_tokens": True}, {"token_limit": None}),
        ({"stream_options": {"include_usage": True}}, {"include_usage": True}),
        ({"stream_options": {"include_usage": 1}}, {"include_usage": False}),
        ({"logprobs": 1}, {"wants_logprobs": False}),
        ({"response_format": {"type": ["x"]}}, {"format_type": None}),
        ({"messages": [1, {"role": "user"}]}, {"messages": [{"role": "user"}]}),
        ({"messages": {"role": "user"}}, {"messages": []}),
    ],
    ids=str,
)
def test_what_a_request_demands(body: dict[str, Any], told: dict[str, Any]) -> None:
    request = ChatRequest(body)
    assert {key: getattr(request, key) for key in told} == told


def test_only_posts_of_objects_to_the_route_are_chat_requests() -> None:
    assert Request(body=b"{}").chat is not None
    assert Request(path="/chat/completions?a=b", body=b"{}").chat is not None
    for other in (
        Request("GET", body=b"{}"),
        Request(path="/models", body=b"{}"),
        Request(path="/chat/completions/x", body=b"{}"),
        Request(body=b"[]"),
        Request(body=b"{"),
        Request(body=None),
    ):
        assert other.chat is None


def test_headers_are_compared_without_case_and_joined() -> None:
    exchange = Exchange("e1", Request(), 200, (("A", "1"), ("b", "2"), ("a", "3"), ("Content-Type", "Text/HTML ; x=y")))
    assert header_values(exchange.headers, "a") == ["1", "3"]
    assert exchange.header("a") == "1, 3"
    assert exchange.header("c") is None
    assert exchange.media_type == "text/html"


@pytest.mark.parametrize(
    ("content_type", "asked", "body", "facets", "is_stream"),
    [
        ("text/event-stream; charset=utf-8", False, b"", LIVE_FACETS, True),
        ("application/json", True, b"data: {}\n\n", LIVE_FACETS, True),
        ("application/json", True, b"\xef\xbb\xbf\n: hi\n", LIVE_FACETS, True),
        ("application/json", True, b"{}", LIVE_FACETS, False),
        ("application/json", False, b"data: {}\n\n", LIVE_FACETS, False),
        (None, None, b"data: {}\n\n", frozenset({Facet.BODY}), True),
        (None, None, b"{}", frozenset({Facet.BODY}), False),
        (None, None, b"data: {}\n\n", LIVE_FACETS, False),
    ],
)
def test_streams_are_told_by_their_type_or_by_their_first_bytes(
    content_type: str | None, asked: bool | None, body: bytes, facets: frozenset[Facet], is_stream: bool
) -> None:
    request = Request(body=None if asked is None else json.dumps({"stream": asked}).encode())
    headers = () if content_type is None else (("content-type", content_type),)
    assert Exchange("e1", request, 200, headers, body, facets=facets).is_event_stream is is_stream


def test_both_modes_give_one_shape() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}]
    plain = chat("u", body_of("Hi", calls=calls)).answer
    parts = [{"index": 0, **calls[0]}]
    chunk = {
        "id": "chatcmpl-1",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi", "tool_calls": parts}}],
    }
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    stream = b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in (chunk, end)) + b"data: [DONE]\n\n"
    streamed = chat("s", stream, stream=True).answer
    assert plain is not None
    assert streamed is not None
    assert (plain.streamed, streamed.streamed) == (False, True)
    for answer in (plain, streamed):
        assert answer.complete
        assert answer.id == "chatcmpl-1"
        (choice,) = answer.choices
        assert (choice.text, choice.role, choice.finish_reason, choice.cut) == ("Hi", "assistant", "stop", False)
        (made,) = answer.calls
        assert (made.id, made.type, made.name, made.parsed.value) == ("a", "function", "f", {"x": 1})
        assert answer.choice(0) is choice
        assert answer.choice(1) is None
    assert plain.choices[0].refusal is MISSING
    assert plain.choices[0].calls[0].pointer == "/choices/0/message/tool_calls/0"


def test_broken_off_streams_are_incomplete() -> None:
    assert chat("e1", STREAM, stream=True).answer is not None
    assert not chat("e1", STREAM, stream=True).answer.complete  # type: ignore[union-attr]
    ended = STREAM.replace(b'"Hi"}', b'"Hi"},"finish_reason":"stop"')
    assert chat("e1", ended, stream=True).answer.complete  # type: ignore[union-attr]
    reset = chat("e1", ended, stream=True, more={"end": End.RESET}).answer
    assert reset is not None
    assert not reset.complete
    error = chat("e1", ended + b'data: {"error": {"message": "no"}}\n\n', stream=True).answer
    assert error is not None
    assert not error.complete


def test_what_is_no_completion_gives_no_answer() -> None:
    for exchange in (
        chat("e1", b"{}"),
        chat("e1", b'{"choices": {}}'),
        chat("e1", body_of(), status=400),
        chat("e1", b"data: [DONE]\n\n", stream=True),
        call("GET", "/models", "e1", body=body_of()),
    ):
        assert exchange.answer is None


def test_the_missing_is_not_null() -> None:
    assert not MISSING
    assert MISSING is not None
    assert repr(MISSING) == "(absent)"


def test_facts_are_what_the_exchanges_show() -> None:
    listed = call("GET", "/models", "m", body=b'{"data": [{"id": "m"}, 1, {"id": "x"}]}')
    usage = {"completion_tokens_details": {"reasoning_tokens": 12}}
    thinking = chat("t", body_of()[:-1] + b', "usage": ' + json.dumps(usage).encode() + b"}", seed=1, max_tokens=9)
    facts = derive(
        [
            listed,
            chat("a", seed=7, temperature=0),
            chat("b", seed=7, temperature=0),
            thinking,
            chat("refused", b"{}", status=400, logprobs=True),
            Exchange("none", Request(auth="none", body=b"{}"), 401),
        ]
    )
    assert facts == Facts(
        models=({"id": "m"}, {"id": "x"}),
        model="m",
        token_limit_field="max_tokens",
        accepts_temperature=True,
        accepts_seed=True,
        key_required=True,
        deterministic=True,
        reasoning_tokens=12,
        accepted_fields=frozenset({"model", "messages", "seed", "temperature", "max_tokens"}),
    )
    assert facts.row("x") == {"id": "x"}
    assert facts.row("nothing") is None


def test_answers_that_differ_are_not_deterministic() -> None:
    pair = [chat("a", body_of("x"), seed=1), chat("b", body_of("y"), seed=1)]
    assert derive(pair).deterministic is False
    # Without a seed or temperature 0 nobody promised anything.
    assert derive([chat("a", body_of("x")), chat("b", body_of("y"))]).deterministic is None


def test_of_nothing_nothing_is_known() -> None:
    assert derive([]) == Facts()


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.sampled_from(["", "function", "required", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "function", "name", "custom", "choices", "message", "tool_calls", "data", "usage", "id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_FIELDS = [
    "model",
    "messages",
    "stream",
    "n",
    "stop",
    "tools",
    "tool_choice",
    "stream_options",
    "seed",
    "response_format",
]


@given(st.dictionaries(st.sampled_from(_FIELDS), _ANY), _ANY)
def test_views_of_anything_do_not_raise(body: dict[str, Any], answered: Any) -> None:
    request = ChatRequest(body)
    for view in (name for name in dir(ChatRequest) if not name.startswith("_")):
        getattr(request, view)
    sent = json.dumps(body).encode()
    exchange = Exchange("e1", Request(body=sent), 200, (), json.dumps(answered).encode())
    answer = exchange.answer
    for choice in answer.choices if answer is not None else ():
        assert isinstance(choice.text, str)
        assert choice.cut in (True, False)
    derive([exchange, Exchange("e2", Request("GET", "/models"), 200, (), exchange.body)])
