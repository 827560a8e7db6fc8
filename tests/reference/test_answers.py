"""What the endpoint answers without changes, in each dialect and under each mind."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema_rs
import pytest

from conformance.reference.minds import MINDS
from conformance.wire.exchange import Exchange
from tests.reference.asking import DIALECTS, NOW, PARAMETERS, ask, chat, dialect, exchange_of, make, raw, tool, user

CITIES = "What is the weather in Paris and London?"
RESULTS = [
    user("What is the weather in Paris?"),
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "Celsius 7183"},
]


def both(name: str, *messages: Any, mind: str = "obedient", **fields: Any) -> tuple[Exchange, Exchange]:
    unstreamed = ask(make(name, mind=mind), chat(*messages, **fields))
    streamed = ask(make(name, mind=mind), chat(*messages, stream=True, **fields))
    assert unstreamed.answer is not None
    assert streamed.answer is not None
    assert streamed.assembly is not None
    assert streamed.assembly.done
    assert not [item for item in streamed.assembly.irregularities if name != "aurous" or item.chunk]
    return unstreamed, streamed


def shape(exchange: Exchange) -> Any:
    assert exchange.answer is not None
    return [
        (c.index, c.content or "", c.finish_reason, [(call.name, call.arguments) for call in c.calls])
        for c in exchange.answer.choices
    ]


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("mind", MINDS)
@pytest.mark.parametrize(
    ("messages", "fields"),
    [
        (["Hi"], {}),
        (['Repeat exactly: 日本語 é 😀👨‍👩‍👧 \u2028\x85 "q" \\ end'], {}),
        (["Write a long story"], {"max_tokens": 5}),
        (["Count from 1 to 10"], {"stop": ["5"]}),
        ([CITIES], {"tools": [tool()]}),
        ([CITIES], {"tools": [tool()], "tool_choice": "required", "max_tokens": 4}),
        (
            ["Hi"],
            {"tools": [tool(), tool("other")], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        ),
        (RESULTS, {"tools": [tool()]}),
        (["give me json"], {"response_format": {"type": "json_object"}}),
    ],
)
def test_streamed_and_unstreamed_answers_agree(name: str, mind: str, messages: Any, fields: Any) -> None:
    unstreamed, streamed = both(name, *messages, mind=mind, **fields)
    assert shape(unstreamed) == shape(streamed)


@pytest.mark.parametrize("name", DIALECTS)
def test_text_is_repeated_exactly(name: str) -> None:
    text = '日本語 é 😀 \u2028 \x85 "q" \\ \r\n end '
    for exchange in both(name, f"Repeat exactly: {text}"):
        assert exchange.answer is not None
        assert exchange.answer.choices[0].content == text


def test_a_lone_surrogate_does_no_harm() -> None:
    exchange = ask(
        make(), raw(b'{"model":"reference-1","messages":[{"role":"user","content":"Repeat exactly: \\ud83d"}]}')
    )
    assert exchange.status == 200
    assert exchange.body.decode("utf-8")


def test_characters_are_cut_between_writes_and_between_tokens() -> None:
    request = chat("Repeat exactly: 😀日", stream=True, logprobs=True)
    reply = make().respond(request, NOW)
    assert any(not _decodes(data) for _, data in reply.pieces)
    exchange = exchange_of(request, reply)
    assert exchange.answer is not None
    entries = exchange.answer.choices[0].logprobs["content"]
    assert any(not _decodes(bytes(entry["bytes"])) for entry in entries)
    assert b"".join(bytes(entry["bytes"]) for entry in entries).decode() == "😀日"


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("name", DIALECTS)
def test_argument_fragments_are_many_and_cut_inside_escapes(name: str) -> None:
    schema = {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}
    _, streamed = both(name, "Hi", tools=[tool(parameters=schema)], tool_choice="required")
    assert streamed.assembly is not None
    call = streamed.assembly.choices[0].calls[0]
    assert len(call.fragments) > 3
    assert any(fragment.endswith("\\") for fragment in call.fragments)
    assert jsonschema_rs.is_valid(schema, json.loads(call.arguments))


@pytest.mark.parametrize("mind", MINDS)
@pytest.mark.parametrize("name", DIALECTS)
def test_tool_choice_forces_every_mind(name: str, mind: str) -> None:
    tools = [tool(), tool("other")]
    for exchange in both(name, "Hello", mind=mind, tools=tools, tool_choice="required"):
        assert exchange.answer is not None
        choice = exchange.answer.choices[0]
        assert choice.calls
        assert choice.finish_reason == "tool_calls"
    for exchange in both(name, CITIES, mind=mind, tools=tools, tool_choice="none"):
        assert exchange.answer is not None
        assert not exchange.answer.choices[0].calls
    named = {"type": "function", "function": {"name": "other"}}
    for exchange in both(name, CITIES, mind=mind, tools=tools, tool_choice=named):
        assert exchange.answer is not None
        assert [call.name for call in exchange.answer.calls] == ["other"]
        assert exchange.answer.choices[0].finish_reason == dialect(name).convention("finish_reason.named")[0]
    allowed = {"mode": "required", "tools": [named]}
    for exchange in both(
        name, CITIES, mind=mind, tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed}
    ):
        assert exchange.answer is not None
        assert {call.name for call in exchange.answer.calls} == {"other"}
    for exchange in both(name, CITIES, mind=mind, tools=tools, tool_choice="required", parallel_tool_calls=False):
        assert exchange.answer is not None
        assert len(list(exchange.answer.calls)) == 1


def test_the_obedient_mind_calls_what_the_text_names() -> None:
    def calls(text: str, *tools: Any, mind: str = "obedient") -> list[Any]:
        answer = ask(make(mind=mind), chat(text, tools=list(tools))).answer
        assert answer is not None
        return [(call.name, json.loads(call.arguments)) for call in answer.calls]

    assert calls(CITIES, tool()) == [("get_weather", {"city": c, "unit": "c"}) for c in ("Paris", "London")]
    assert [name for name, _ in calls("Use beta, then alpha.", tool("alpha"), tool("beta"), tool("alp"))] == [
        "beta",
        "alpha",
    ]
    assert calls("Say hi", tool()) == []
    assert calls("Repeat exactly: get_weather", tool()) == []
    assert calls(CITIES, tool(), mind="refusing") == []
    assert calls("use ping", tool("ping", parameters=...)) == [("ping", {})]


def test_tool_results_are_quoted() -> None:
    answer = ask(make(), chat(*RESULTS, tools=[tool()])).answer
    assert answer is not None
    assert "7183" in answer.choices[0].text
    assert answer.choices[0].finish_reason == "stop"


def test_the_random_mind_depends_on_the_request_alone() -> None:
    texts = set()
    for number in range(20):
        request = chat(f"Say something, {number}")
        first, again = (ask(make(mind="random"), request).answer for _ in range(2))
        assert first is not None
        assert again is not None
        assert first.choices[0].text == again.choices[0].text
        texts.add(first.choices[0].text)
    assert len(texts) > 2


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
def test_the_token_limit_is_kept_and_said(name: str, limit: int) -> None:
    for exchange in both(name, "Write a long story", max_tokens=limit):
        assert exchange.answer is not None
        assert exchange.answer.choices[0].finish_reason == "length"
    exchange = ask(make(name), chat(CITIES, tools=[tool()], tool_choice="required", max_tokens=limit))
    assert exchange.answer is not None
    assert exchange.answer.usage["completion_tokens"] <= limit
    assert exchange.answer.choices[0].finish_reason == "length"


def test_stop_sequences_span_tokens() -> None:
    for stop, left in (("5", "1, 2, 3, 4, "), (", 3", "1, 2"), ("4, 5", "1, 2, 3, ")):
        for exchange in both("openai", "Count from 1 to 10", stop=stop):
            assert exchange.answer is not None
            assert exchange.answer.choices[0].content == left
            assert exchange.answer.choices[0].finish_reason == "stop"


def test_reasoning_counts_within_the_limit_or_apart() -> None:
    usage = ask(make("openai"), chat("Hi", reasoning_effort="high", max_completion_tokens=35)).document.value["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 32
    assert usage["completion_tokens"] == 35
    usage = ask(make("aurous"), chat("Hi", reasoning_effort="high")).document.value["usage"]
    assert usage["reasoning_tokens"] == 32
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + 32
    plain = ask(make("aurous"), chat("Hi", model="reference-mini", reasoning_effort="high")).document.value["usage"]
    assert plain["reasoning_tokens"] == 0


def test_credits_add_up() -> None:
    usage = ask(make("aurous"), chat("Write a long story")).document.value["usage"]
    lines = [value for key, value in usage["breakdown"].items() if key.endswith("_credits")]
    assert len(lines) == 4
    assert math.isclose(sum(lines), usage["credits_charged"], abs_tol=1e-6)


def test_usage_in_streams_follows_the_dialect() -> None:
    for name in DIALECTS:
        asked = ask(make(name), chat("Hi", stream=True, stream_options={"include_usage": True})).assembly
        plain = ask(make(name), chat("Hi", stream=True)).assembly
        assert asked is not None
        assert plain is not None
        assert asked.usage_chunks == (len(asked.chunks) - 1,)
        assert bool(asked.chunks[-1].choices) == (name == "aurous")
        assert bool(plain.usage_chunks) == (name == "aurous")
        assert all("usage" in chunk.value for chunk in asked.chunks) == (name == "openai")


def test_several_choices_are_counted_together() -> None:
    one, three = (ask(make(), chat("Hi", n=n)).answer for n in (1, 3))
    assert one is not None
    assert three is not None
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert three.usage["completion_tokens"] == 3 * one.usage["completion_tokens"]
    assert three.usage["prompt_tokens"] == one.usage["prompt_tokens"]


@pytest.mark.parametrize("top", [None, 0, 5, 20])
def test_log_probabilities_are_sane(top: int | None) -> None:
    more = {} if top is None else {"top_logprobs": top}
    for exchange in both("openai", "Write a long story", logprobs=True, max_tokens=60, **more):
        assert exchange.answer is not None
        entries = exchange.answer.choices[0].logprobs["content"]
        assert len(entries) == 60
        for entry in entries:
            assert entry["logprob"] <= 0
            assert len(entry["top_logprobs"]) == (top or 0)
            values = [item["logprob"] for item in entry["top_logprobs"]]
            assert values == sorted(values, reverse=True)
            assert sum(map(math.exp, values)) <= 1
            assert len({item["token"] for item in entry["top_logprobs"]}) == len(values)


def test_structured_output_follows_the_schema() -> None:
    declared = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": PARAMETERS}}
    for mind in MINDS:
        for exchange in both("openai", "Hi", mind=mind, response_format=declared):
            assert exchange.answer is not None
            assert jsonschema_rs.is_valid(PARAMETERS, json.loads(exchange.answer.choices[0].text))
        for exchange in both("openai", "any json", mind=mind, response_format={"type": "json_object"}):
            assert exchange.answer is not None
            assert isinstance(json.loads(exchange.answer.choices[0].text), dict)


@pytest.mark.parametrize("name", DIALECTS)
def test_models_are_listed_and_found(name: str) -> None:
    listed = ask(make(name), raw(None, "GET", "/models")).document.value
    assert [row["id"] for row in listed["data"]] == ["reference-1", "reference-mini", "reference-embed"]
    for row in listed["data"]:
        assert ask(make(name), raw(None, "GET", f"/models/{row['id']}")).document.value == row
    if name == "aurous":
        flags = [row["aurous_metadata"]["capabilities"] for row in listed["data"]]
        assert ["tool_choice_required" in found for found in flags] == [True, False, False]
        assert [row["embedding_pricing"] is None for row in listed["data"]] == [True, True, False]


@pytest.mark.parametrize("name", DIALECTS)
def test_headers_follow_the_dialect_and_ids_are_fresh(name: str) -> None:
    endpoint = make(name)
    header = dialect(name).convention("request_id.header")
    answers = [ask(endpoint, request) for request in (chat("Hi"), chat("Hi", stream=True), chat("Hi", model=5))]
    ids = [exchange.header(header) for exchange in answers]
    assert len(set(ids)) == 3
    assert None not in ids
    completions = [ask(endpoint, chat("Hi")).document.value["id"] for _ in range(3)]
    assert len(set(completions)) == 3
    assert all(value.startswith(dialect(name).convention("id.prefix")) for value in completions)
    if name == "aurous":
        assert answers[2].document.value["error"]["request_id"] == ids[2]
        assert all(exchange.header("aurous-version") for exchange in answers)


def test_a_stream_with_an_idempotency_key_begins_with_a_warning() -> None:
    request = raw(
        chat("Hi", stream=True).body, "POST", "/chat/completions", *chat("Hi").headers, ("Idempotency-Key", "k1")
    )
    exchange = ask(make("aurous"), request)
    assert exchange.header("aurous-idempotency-status") == "ignored_streaming"
    assert exchange.events is not None
    assert "choices" not in exchange.events.events[0].document.value


def test_latency_delays_the_first_piece_alone() -> None:
    reply = make(latency=0.5).respond(chat("Hi", stream=True), NOW)
    assert [delay for delay, _ in reply.pieces][:3] == [0.5, 0.0, 0.0]
