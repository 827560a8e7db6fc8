from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.wire.deltas import Assembly, Irregular, assemble_chunks
from conformance.wire.event_stream import Parser, parse
from conformance.wire.exchange import Exchange, Request
from conformance.wire.strict_json import dump


def stream(*payloads: Any) -> bytes:
    return b"".join(b"data: " + (p.encode() if isinstance(p, str) else dump(p)) + b"\n\n" for p in payloads)


def put_together(*payloads: Any) -> Assembly:
    return assemble_chunks(parse(stream(*payloads)))


def delta(delta: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, **more}]}


def call(**fields: Any) -> dict[str, Any]:
    return delta({"role": "assistant", "tool_calls": [{"index": 0, **fields}]})


FIRST = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
START = delta({"role": "assistant", "content": ""})
END = delta({}, finish_reason="stop")


def test_a_text_is_joined() -> None:
    assembly = put_together(START, delta({"content": "He"}), delta({"content": "llo"}), END, "[DONE]")
    (choice,) = assembly.choices
    assert (choice.content, choice.role, choice.finish_reason) == ("Hello", "assistant", "stop")
    assert (choice.chunks, choice.finish_chunk) == ((0, 1, 2, 3), 3)
    assert assembly.done
    assert assembly.irregularities == ()


def test_interleaved_choices_and_calls_are_told_apart() -> None:
    def part(choice: int, index: int, text: str, **first: Any) -> dict[str, Any]:
        item = {
            "index": index,
            "function": {"arguments": text, **({"name": first.pop("name")} if first else {})},
            **first,
        }
        begun = {"role": "assistant"} if first and index == 0 else {}
        return {"choices": [{"index": choice, "delta": {**begun, "tool_calls": [item]}}]}

    ends = [{"choices": [{"index": index, "delta": {}, "finish_reason": "tool_calls"}]} for index in (1, 0)]
    assembly = put_together(
        part(1, 0, "{", id="a", type="function", name="f"),
        part(0, 0, "[", id="b", type="function", name="g"),
        part(1, 0, "}"),
        part(1, 1, "1", id="c", type="function", name="f"),
        part(0, 0, "]"),
        *ends,
        "[DONE]",
    )
    assert [(choice.index, [(c.id, c.name, c.arguments) for c in choice.calls]) for choice in assembly.choices] == [
        (0, [("b", "g", "[]")]),
        (1, [("a", "f", "{}"), ("c", "f", "1")]),
    ]
    assert assembly.choices[1].calls[0].fragments == ("{", "}")
    assert assembly.irregularities == ()


def test_logprobs_are_joined_and_usage_is_the_last() -> None:
    assembly = put_together(
        delta({"role": "assistant", "content": "a"}, logprobs={"content": [1], "refusal": None}),
        delta({"content": "b"}, logprobs={"content": [2, 3], "refusal": []}),
        {**END, "usage": None},
        {"choices": [], "usage": {"total_tokens": 1}},
        "[DONE]",
    )
    assert assembly.choices[0].logprobs == (1, 2, 3)
    assert assembly.choices[0].refusal_logprobs == ()
    assert (assembly.usage, assembly.usage_chunks) == ({"total_tokens": 1}, (3,))


# One stream for each irregularity: where it is noted, as (chunk, pointer).
CALL = "/choices/0/delta/tool_calls/0"
IRREGULAR = {
    Irregular.PAYLOAD_UNREADABLE: (["{"], 0, ""),
    Irregular.PAYLOAD_NOT_OBJECT: (["[]"], 0, ""),
    Irregular.AFTER_DONE: ([START, END, "[DONE]", {"choices": []}], 3, ""),
    Irregular.ERROR_PAYLOAD: ([{"error": {"message": "no"}}], 0, "/error"),
    Irregular.CHOICES_MISSING: ([{}], 0, "/choices"),
    Irregular.CHOICES_NOT_ARRAY: ([{"choices": {}}], 0, "/choices"),
    Irregular.CHOICE_NOT_OBJECT: ([{"choices": [1]}], 0, "/choices/0"),
    Irregular.CHOICE_INDEX_MISSING: ([{"choices": [{"delta": {}}]}], 0, "/choices/0/index"),
    Irregular.CHOICE_INDEX_BAD: ([{"choices": [{"index": True, "delta": {}}]}], 0, "/choices/0/index"),
    Irregular.DELTA_MISSING: ([{"choices": [{"index": 0}]}], 0, "/choices/0/delta"),
    Irregular.DELTA_NOT_OBJECT: ([delta(None)], 0, "/choices/0/delta"),
    Irregular.ROLE_MISSING: ([delta({"content": "a"})], 0, "/choices/0/delta/role"),
    Irregular.ROLE_REPEATED: ([START, START], 1, "/choices/0/delta/role"),
    Irregular.ROLE_CHANGED: ([START, delta({"role": "user"})], 1, "/choices/0/delta/role"),
    Irregular.CONTENT_NOT_STRING: ([delta({"role": "assistant", "content": 1})], 0, "/choices/0/delta/content"),
    Irregular.REFUSAL_NOT_STRING: ([delta({"role": "assistant", "refusal": []})], 0, "/choices/0/delta/refusal"),
    Irregular.LOGPROBS_BAD: ([delta({}, logprobs={"content": 1})], 0, "/choices/0/logprobs/content"),
    Irregular.TOOL_CALLS_NOT_ARRAY: ([delta({"tool_calls": {}})], 0, "/choices/0/delta/tool_calls"),
    Irregular.CALL_NOT_OBJECT: ([delta({"tool_calls": [None]})], 0, CALL),
    Irregular.CALL_INDEX_MISSING: ([delta({"tool_calls": [FIRST]})], 0, f"{CALL}/index"),
    Irregular.CALL_INDEX_BAD: ([delta({"tool_calls": [{**FIRST, "index": -1}]})], 0, f"{CALL}/index"),
    Irregular.CALL_INDEX_GAP: ([delta({"tool_calls": [{**FIRST, "index": 1}]})], 0, f"{CALL}/index"),
    Irregular.CALL_INTERLEAVED: (
        [call(**FIRST), delta({"tool_calls": [{**FIRST, "index": 1}]}), delta({"tool_calls": [{"index": 0}]})],
        2,
        f"{CALL}/index",
    ),
    Irregular.CALL_ID_MISSING: ([call(type="function", function={"name": "f"})], 0, f"{CALL}/id"),
    Irregular.CALL_ID_BAD: ([call(**{**FIRST, "id": 1})], 0, f"{CALL}/id"),
    Irregular.CALL_ID_EMPTY: ([call(**FIRST), call(id="")], 1, f"{CALL}/id"),
    Irregular.CALL_ID_REPEATED: ([call(**FIRST), call(id="a")], 1, f"{CALL}/id"),
    Irregular.CALL_ID_CHANGED: ([call(**FIRST), call(id="b")], 1, f"{CALL}/id"),
    Irregular.CALL_TYPE_MISSING: ([call(id="a", function={"name": "f"})], 0, f"{CALL}/type"),
    Irregular.CALL_TYPE_BAD: ([call(**FIRST), call(type=None)], 1, f"{CALL}/type"),
    Irregular.CALL_TYPE_CHANGED: ([call(**FIRST), call(type="custom")], 1, f"{CALL}/type"),
    Irregular.CALL_NAME_MISSING: ([call(id="a", type="function")], 0, f"{CALL}/function/name"),
    Irregular.CALL_NAME_BAD: ([call(**{**FIRST, "function": {"name": 1}})], 0, f"{CALL}/function/name"),
    Irregular.CALL_NAME_EMPTY: ([call(**FIRST), call(function={"name": ""})], 1, f"{CALL}/function/name"),
    Irregular.CALL_NAME_REPEATED: ([call(**FIRST), call(function={"name": "f"})], 1, f"{CALL}/function/name"),
    Irregular.CALL_NAME_CHANGED: ([call(**FIRST), call(function={"name": "g"})], 1, f"{CALL}/function/name"),
    Irregular.CALL_FUNCTION_BAD: ([call(**{**FIRST, "function": []})], 0, f"{CALL}/function"),
    Irregular.ARGUMENTS_NOT_STRING: (
        [call(**FIRST), call(function={"arguments": {}})],
        1,
        f"{CALL}/function/arguments",
    ),
    Irregular.FINISH_BAD: ([delta({}, finish_reason=1)], 0, "/choices/0/finish_reason"),
    Irregular.FINISH_REPEATED: ([START, END, END], 2, "/choices/0/finish_reason"),
    Irregular.FINISH_MISSING: ([START], 0, ""),
    Irregular.AFTER_FINISH: ([START, END, delta({"content": "more"})], 2, "/choices/0/delta"),
}


def test_every_irregularity_has_a_stream() -> None:
    assert IRREGULAR.keys() == set(Irregular)


@pytest.mark.parametrize("what", list(IRREGULAR), ids=lambda what: what.name.lower())
def test_irregularities_are_noted_where_they_are(what: Irregular) -> None:
    payloads, chunk, pointer = IRREGULAR[what]
    assert [(item.chunk, item.pointer) for item in put_together(*payloads).having(what)] == [(chunk, pointer)]


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param([START, delta({"content": None}), END], id="null content in a later delta"),
        pytest.param([START, delta({}, finish_reason=None), END], id="null finish_reason"),
        pytest.param([START, delta({}, logprobs=None), END], id="null logprobs"),
        pytest.param(
            [call(**FIRST), delta({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}), END], id="call"
        ),
        pytest.param(
            [call(**FIRST), delta({"tool_calls": [{"index": 0, "type": "function"}]}), END], id="type repeated"
        ),
        pytest.param([START, {"choices": [], "x": 1}, END], id="no choices"),
        pytest.param([START, END, delta({"content": ""})], id="an empty delta after the end"),
        pytest.param([{**START, "error": None}, END], id="null error"),
    ],
)
def test_near_misses_are_regular(payloads: list[Any]) -> None:
    assert put_together(*payloads).irregularities == ()


def test_calls_without_index_are_told_apart_by_id() -> None:
    parts = [[{**FIRST, "id": name}] for name in ("a", "b")] + [[{"id": "a", "function": {"arguments": "1"}}]]
    assembly = put_together(*(delta({"role": "assistant", "tool_calls": part}) for part in parts))
    assert [(item.id, item.arguments) for item in assembly.choices[0].calls] == [("a", "1"), ("b", "")]


def test_many_calls_without_an_index_take_linear_time() -> None:
    gaps = [{"index": 30_000 + number} for number in range(30_000)]
    nameless = [{"id": str(number)} for number in range(60_000)]
    start = time.perf_counter()
    assembly = put_together(delta({"tool_calls": gaps + nameless}))
    assert len(assembly.choices[0].calls) == 90_000
    assert time.perf_counter() - start < 20


_KEYS = ["choices", "index", "delta", "role", "content", "refusal", "tool_calls", "id", "type", "function", "name"]
_KEYS += ["arguments", "finish_reason", "logprobs", "usage", "error"]
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "a", "assistant", "stop"]) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=20,
)
_CALL = st.fixed_dictionaries({}, optional={"index": _ANY, "id": _ANY, "type": _ANY, "function": _ANY})
_DELTA = st.fixed_dictionaries({}, optional={"role": _ANY, "content": _ANY, "tool_calls": st.lists(_CALL, max_size=3)})
_CHOICE = st.fixed_dictionaries(
    {}, optional={"index": _ANY, "delta": _DELTA | _ANY, "finish_reason": _ANY, "logprobs": _ANY}
)
_PAYLOAD = st.fixed_dictionaries({"choices": st.lists(_CHOICE | _ANY, max_size=3)}, optional={"usage": _ANY}) | _ANY


@given(st.lists(_PAYLOAD, max_size=6))
def test_any_payloads_can_be_put_together(payloads: list[Any]) -> None:
    body = b"".join(b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads)
    exchange = Exchange("e1", Request(body=b'{"stream": true}'), 200, (("content-type", "text/event-stream"),), body)
    assembly = exchange.assembly
    assert assembly is not None
    assert [chunk.position for chunk in assembly.chunks] == [
        position
        for position, event in enumerate(parse(body).events)
        if isinstance(event.document.value, dict)
        and ("choices" in event.document.value or not event.document.value.get("error"))
    ]
    answer = exchange.answer
    assert (answer is None) is (not assembly.chunks)
    for choice in assembly.choices:
        assert choice.index >= 0
        assert choice.chunks == tuple(sorted(choice.chunks))


@given(st.lists(_PAYLOAD, max_size=4), st.lists(st.integers(0, 400), max_size=8))
def test_it_does_not_matter_how_the_bytes_were_cut(payloads: list[Any], cuts: list[int]) -> None:
    body = b"".join(b"data: " + json.dumps(payload).encode() + b"\r\n\r\n" for payload in payloads)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    parser = Parser()
    for start, stop in itertools.pairwise(places):
        parser.feed(body[start:stop])
    assert repr(assemble_chunks(parser.close())) == repr(assemble_chunks(parse(body)))


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_a_text_cut_anywhere_is_joined_to_itself(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    parts = [delta({"content": text[a:b]}) for a, b in itertools.pairwise(places)]
    assembly = put_together(START, *parts, END, "[DONE]")
    assert assembly.choices[0].content == text
    assert assembly.irregularities == ()
