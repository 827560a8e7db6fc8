"""Stages, hooks and the store's seam; and arbitrary bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.reference import rewriting, variations
from conformance.reference.endpoint import Endpoint
from conformance.reference.stages import Change, Completion, Context, ErrorReply, Refusal, Reply, Stage
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request
from tests.reference.asking import DIALECTS, NOW, ask, chat, exchange_of, make, raw, tool

VARIATIONS = variations.load()


def skip(*checks: str) -> Change:
    def hook(refusal: Refusal | None, context: Context) -> Refusal | None:
        return None if refusal is not None and refusal.check in checks else refusal

    return Change("skip", Stage.REFUSAL, hook, "passes over checks")


def change(at: Stage, hook: Any, dialects: frozenset[str] = frozenset()) -> Change:
    return Change("change", at, hook, "", dialects=dialects)


def test_passing_over_one_check_leaves_the_others() -> None:
    request = chat("Hi", temperature=3, top_p=3)
    assert ask(make(faults=(skip("temperature.range"),)), request).document.value["error"]["param"] == "top_p"
    assert ask(make(faults=(skip("temperature.range", "top_p.range"),)), request).status == 200


def test_hooks_act_at_their_stages_in_order_and_in_their_dialects() -> None:
    seen: list[str] = []

    def noting(at: Stage, by: str) -> Change:
        def hook(value: Any, context: Context) -> Any:
            seen.append(f"{by}:{at}:{type(value).__name__}")
            return value

        return change(at, hook)

    every = tuple(noting(stage, "fault") for stage in Stage)
    ask(make(faults=every), chat("Hi"))
    assert seen == [
        f"fault:{item}"
        for item in ("refusal:NoneType", "demand:dict", "completion:Completion", "body:dict", "reply:Reply")
    ]
    seen.clear()
    ask(make(faults=every), chat("Hi", stream=True))
    assert seen[-3:] == ["fault:chunks:list", "fault:frames:list", "fault:reply:Reply"]
    seen.clear()
    ask(make(faults=every), chat("Hi", model=5))
    assert seen == ["fault:refusal:Refusal", "fault:error:ErrorReply", "fault:reply:Reply"]
    seen.clear()
    ask(make(faults=every), raw(None, "GET", "/models"))
    assert seen == ["fault:refusal:NoneType", "fault:body:dict", "fault:reply:Reply"]
    seen.clear()
    ask(make(faults=(noting(Stage.BODY, "fault"),), variations=(noting(Stage.BODY, "variation"),)), chat("Hi"))
    assert [item.split(":")[0] for item in seen] == ["variation", "fault"]
    elsewhere = change(Stage.BODY, lambda body, context: {}, frozenset({"aurous"}))
    assert ask(make("openai", faults=(elsewhere,)), chat("Hi")).document.value
    assert ask(make("aurous", faults=(elsewhere,)), chat("Hi")).document.value == {}


def test_demand_is_a_copy_that_decides_the_rendering() -> None:
    def forget(demand: dict[str, Any], context: Context) -> dict[str, Any]:
        demand["messages"][0]["content"] = "Repeat exactly: changed"
        return {key: value for key, value in demand.items() if key != "stream"}

    request = chat("Hi", stream=True)
    exchange = ask(make(faults=(change(Stage.DEMAND, forget),)), request)
    assert exchange.document.value["choices"][0]["message"]["content"] == "changed"
    assert request.document.value["messages"][0]["content"] == "Hi"


def test_changes_may_remember_and_know_the_refusal() -> None:
    def count(reply: Reply, context: Context) -> Reply:
        context.state["count"] = context.state.get("count", 0) + 1
        return replace(reply, headers=(*reply.headers, ("x-count", str(context.state["count"]))))

    def tell(error: ErrorReply, context: Context) -> ErrorReply:
        assert context.refusal is not None
        return replace(error, status=418, body={"error": {"message": context.refusal.check}})

    endpoint = make(faults=(change(Stage.REPLY, count), change(Stage.ERROR, tell)))
    assert ask(endpoint, chat("Hi")).header("x-count") == "1"
    refused = ask(endpoint, chat("Hi", model=5))
    assert refused.header("x-count") == "2"
    assert refused.document.value["error"]["message"] == "model.type"


def well_formed(exchange: Exchange) -> None:
    assert exchange.status is not None
    if exchange.is_event_stream:
        assert exchange.assembly is not None
        assert exchange.assembly.done
        assert not exchange.assembly.irregularities
        return
    assert exchange.document.ok
    assert not exchange.document.problems or exchange.document.problems == ("lone surrogate",)
    body = exchange.document.value
    if exchange.status == 200:
        assert exchange.answer is not None
    else:
        assert 400 <= exchange.status < 500
        assert body["error"]["message"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["user", "tool", "function", "text", "auto", "required", "json_schema", "x", "reference-1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "function",
                    "name",
                    "parameters",
                    "properties",
                    "$ref",
                    "id",
                    "schema",
                    "json_schema",
                    "strict",
                    "anyOf",
                    "text",
                    "tool_calls",
                    "tool_call_id",
                    "enum",
                    "items",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = [
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "temperature",
    "n",
    "stop",
    "logit_bias",
    "stream",
    "stream_options",
    "metadata",
    "max_tokens",
    "logprobs",
    "top_logprobs",
    "seed",
    "parallel_tool_calls",
    "model",
    "reasoning_effort",
    "service_tier",
    "user",
]


@st.composite
def bodies(draw: Any) -> bytes:
    """Valid requests with some fields replaced by anything."""
    body: dict[str, Any] = {
        "model": "reference-1",
        "messages": [{"role": "user", "content": "Hi weather json"}],
        "stream": draw(st.booleans()),
        "tools": [tool()],
    }
    body.update(draw(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=3)))
    return strict_json.dump(body)


def pass_over_all() -> Iterator[Change]:
    yield change(Stage.REFUSAL, lambda refusal, context: None)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=bodies() | st.binary(max_size=60), name=st.sampled_from(DIALECTS), mind=st.sampled_from(["obedient", "random"])
)
def test_any_body_gets_a_well_formed_reply(data: bytes, name: str, mind: str) -> None:
    well_formed(ask(make(name, mind=mind), raw(data)))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=bodies() | st.binary(max_size=60), name=st.sampled_from(DIALECTS))
def test_even_unchecked_bodies_raise_nothing(data: bytes, name: str) -> None:
    exchange = ask(make(name, faults=tuple(pass_over_all())), raw(data))
    assert exchange.status == 200


@pytest.mark.parametrize("depth", [50, 200, 330, 1000, 100_000])
@pytest.mark.parametrize("key", ["metadata", "tools", "messages", "x", "response_format"])
def test_deep_bodies_raise_nothing(depth: int, key: str) -> None:
    data = b'{"model":"reference-1","stream":true,"%s":%s}' % (key.encode(), b'[{"a":' * depth + b"1" + b"}]" * depth)
    for options in ({}, {"faults": (*pass_over_all(), change(Stage.DEMAND, lambda demand, context: demand))}):
        assert ask(make(**options), raw(data)).status in (200, 400)


PROBES = [
    chat('Repeat exactly: 日本 😀 data: {"x":1}', stream=True),
    chat("What is the weather in Paris and London?", tools=[tool()]),
    chat(
        "What is the weather in Paris and London?", tools=[tool()], stream=True, stream_options={"include_usage": True}
    ),
    chat("Hi", tools=[tool()], tool_choice={"type": "function", "function": {"name": "get_weather"}}, stream=True),
    chat("Hi", n=2, logprobs=True, top_logprobs=2, stream=True),
    chat("Hi", response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}),
    chat("Hi", temperature="x"),
    raw(None, "GET", "/models"),
    raw(None, "GET", "/models/reference-1"),
    Request(body=b"{}"),
]


BOUNDED = {
    "name": "a",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"hex": {"type": "string", "pattern": "^#[0-9]{6}$"}, "n": {"type": "integer", "maximum": 3}},
        "required": ["hex", "n"],
        "additionalProperties": False,
    },
}


def vary_check(names: list[str], name: str, mind: str = "obedient") -> None:
    endpoint = make(name, variations=tuple(VARIATIONS[item] for item in names), mind=mind)
    for request in PROBES:
        for _ in range(2):
            reply = endpoint.respond(request, NOW)
            exchange = exchange_of(request, reply)
            if exchange.is_event_stream:
                assert exchange.events is not None
                assert not exchange.events.strays
                assert not exchange.events.bad_utf8
                assert exchange.assembly is not None
                assert exchange.assembly.done
                assert exchange.assembly.errors or not exchange.assembly.irregularities
            else:
                assert exchange.document.ok
                assert not exchange.document.problems


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("varied", sorted(VARIATIONS))
def test_each_variation_keeps_answers_readable(varied: str, name: str) -> None:
    vary_check([varied], name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    names=st.lists(st.sampled_from(sorted(VARIATIONS)), min_size=2, max_size=8, unique=True),
    name=st.sampled_from(DIALECTS),
    mind=st.sampled_from(["obedient", "chatty", "random"]),
)
def test_combined_variations_keep_answers_readable(names: list[str], name: str, mind: str) -> None:
    vary_check(names, name, mind)


def formatted(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}


def flat(size: int) -> dict[str, Any]:
    return {"type": "object", "description": "x" * size}


def life(endpoint: Endpoint) -> list[Reply]:
    """Three stored completions, two of one second, from creation to a second deletion: what was answered."""
    replies = [
        endpoint.respond(chat(f"Hi {place}", store=True, metadata={"a": "b"}), NOW + later)
        for place, later in enumerate((0, 0, 5))
    ]
    made = [json.loads(rewriting.joined(reply)).get("id", "none") for reply in replies if reply.status == 200]
    for found in made:
        path = f"/chat/completions/{found}"
        replies += [
            endpoint.respond(request, NOW + 5)
            for request in (
                raw(None, "GET", path),
                raw(b'{"metadata":{"c":"d"}}', "POST", path),
                raw(None, "GET", f"{path}/messages"),
                raw(None, "GET", "/chat/completions?limit=1000"),
                raw(None, "GET", "/chat/completions?after=chatcmpl-none"),
                raw(None, "GET", "/chat/completions?metadata[a]=none"),
                raw(None, "GET", "/chat/completions"),
                raw(None, "GET", "/chat/completions?order=desc"),
            )
        ]
    for found in made:
        path = f"/chat/completions/{found}"
        replies += [endpoint.respond(raw(None, method, path), NOW + 5) for method in ("DELETE", "DELETE", "GET")]
    return replies


@pytest.mark.parametrize("varied", sorted(VARIATIONS))
def test_each_variation_shows(varied: str) -> None:
    """A variation that changes no byte of any answer varies nothing."""
    found = VARIATIONS[varied]
    assert found.legal
    assert found.summary
    deep: Any = {"type": "string"}
    for _ in range(24):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"]}
    requests = [
        *PROBES,
        chat("Hi", zzz=1),
        chat("Hi", tools=[]),
        chat("Hi", metadata={"a": "b"}),
        chat("Hi", max_tokens=9),
        chat("Hi", tool_choice="auto"),
        chat("Hi", parallel_tool_calls=True),
        chat("Hi", model="nope"),
        chat("Hi", model=5),
        chat("Hi", {"role": "robot"}),
        chat("Hi", tools=[tool()], parallel_tool_calls=True),
        *[chat(f"Hi {i}", stream=True) for i in range(12)],
        *[chat(f"Hi {i}", response_format=PROBES[5].document.value["response_format"]) for i in range(12)],
        chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a"}}]}),
        chat("Hi", tools=[tool()], response_format=PROBES[5].document.value["response_format"]),
        chat("Hi", tool_choice="none"),
        *[chat("Hi", response_format=formatted(schema)) for schema in (deep, flat(5_000), flat(12_000), flat(70_000))],
        chat("Repeat exactly: 日本 😀", logprobs=True),
        chat("Repeat exactly: 日本 😀", logprobs=True, stream=True),
        chat("What is the weather in Paris?", tools=[tool()], logprobs=True),
        chat('Repeat exactly: {"json": "é"}', response_format={"type": "json_object"}),
        chat("Hi", response_format={"type": "json_schema", "json_schema": BOUNDED}),
    ]
    for name in found.dialects or DIALECTS:
        plain, changed = make(name), make(name, variations=(found,))
        if any(plain.respond(request, NOW) != changed.respond(request, NOW) for request in requests):
            return
        if life(plain) != life(changed):
            return
    raise AssertionError("nothing changed")


def test_small_requests_are_answered_fast() -> None:
    endpoint = make()
    request = PROBES[2]
    start = time.perf_counter()
    for _ in range(200):
        endpoint.respond(Request(request.method, request.path, request.headers, request.body), NOW)
    assert (time.perf_counter() - start) / 200 < 0.01


def test_completions_may_be_replaced() -> None:
    def mute(completion: Completion, context: Context) -> Completion:
        return replace(completion, choices=())

    assert ask(make(faults=(change(Stage.COMPLETION, mute),)), chat("Hi")).document.value["choices"] == []
