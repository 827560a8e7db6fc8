from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from wire_builders import STREAM, body_of, call, chat, said

from conformance.wire.assemble import assemble, last_attempts
from conformance.wire.exchange import LIVE_FACETS, Exchange, Facet, Request
from conformance.wire.kinship import MOST_PAIRS, MOST_PARITIES, MOST_REPEATS, MOST_TURNS
from conformance.wire.traces import (
    Contrast,
    Conversation,
    Ladder,
    Lifecycle,
    Mark,
    Parity,
    Relation,
    Repeat,
    Single,
    Trace,
)


def named(traces: list[Trace]) -> list[tuple[Any, ...]]:
    """Relations as (kind, ids…, what else they say), singles left out."""
    told: list[tuple[Any, ...]] = []
    for trace in traces:
        if isinstance(trace, Single):
            continue
        more = [value for key, value in vars(trace).items() if key in ("about", "axis", "values", "stored_id")]
        told.append((type(trace).__name__, *(exchange.id for exchange in trace.exchanges), *more))
    return told


def of(kind: str, traces: list[Trace]) -> list[tuple[Any, ...]]:
    return [row[1:] for row in named(traces) if row[0] == kind]


def marks(relation: Relation, *rows: tuple[str, str] | tuple[str, str, str], group: str = "g") -> list[Mark]:
    return [Mark(relation, group, role, name, *rest) for name, role, *rest in rows]


def test_every_exchange_is_a_single_in_order() -> None:
    exchanges = [chat("a", n=1), chat("b", n=2), call("GET", "/models", "c")]
    singles = [trace for trace in assemble(exchanges) if isinstance(trace, Single)]
    assert [trace.exchange for trace in singles] == exchanges


def test_equal_requests_are_repeats() -> None:
    exchanges = [chat("a", seed=1), chat("b", seed=1), chat("c", seed=2), chat("d", seed=1)]
    assert of("Repeat", assemble(exchanges)) == [("a", "b", "d")]


def test_key_order_and_white_space_do_not_make_another_request() -> None:
    left = Exchange("a", Request(body=b'{"model": "m", "n": 1}'), 200, body=body_of())
    right = Exchange("b", Request(body=b'{"n":1,"model":"m"}'), 200, body=body_of())
    assert named(assemble([left, right])) == [("Repeat", "a", "b")]


def test_headers_and_paths_do() -> None:
    left = Exchange("a", Request(body=b"{}"), 200, body=body_of())
    others = [
        Request(body=b"{}", headers=(("x", "y"),)),
        Request(body=b"{}", auth="none"),
        Request(body=b"{}", path="/chat/completions?a=b"),
    ]
    for request in others:
        assert named(assemble([left, Exchange("b", request, 200, body=body_of())])) == []


def test_the_same_request_in_both_modes_is_a_parity_with_two_unstreamed_where_there_are() -> None:
    exchanges = [
        chat("u1"),
        chat("s1", STREAM, stream=True),
        chat("u2", stream=False),
        chat("u3"),
        chat("s2", STREAM, stream=True, stream_options={"include_usage": True}),
        chat("other", STREAM, stream=True, n=2),
    ]
    assert of("Parity", assemble(exchanges)) == [("u1", "u2", "s1"), ("u1", "u2", "s2")]
    assert of("Parity", assemble(exchanges[:2])) == [("u1", "s1")]


def test_one_differing_field_is_a_contrast_whose_control_worked() -> None:
    exchanges = [chat("plain"), chat("none", tool_choice="none"), chat("bad", status=400, body=b"{}", tool_choice="x")]
    assert set(of("Contrast", assemble(exchanges))) == {
        ("plain", "none", "/tool_choice"),
        ("plain", "bad", "/tool_choice"),
        ("none", "plain", "/tool_choice"),
        ("none", "bad", "/tool_choice"),
    }


def test_one_differing_inner_key_is_a_contrast_at_its_pointer() -> None:
    exchanges = [chat("a", metadata={"x": 1, "y~/": 2}), chat("b", metadata={"x": 1, "y~/": 3})]
    contrasts = of("Contrast", assemble(exchanges))
    assert ("a", "b", "/metadata/y~0~1") in contrasts
    assert ("a", "b", "/metadata") in contrasts
    lacking = [chat("a", metadata={"x": 1}), chat("b", metadata={})]
    assert ("b", "a", "/metadata/x") in of("Contrast", assemble(lacking))


def test_two_differing_fields_are_no_contrast() -> None:
    assert named(assemble([chat("a", n=1, seed=1), chat("b", n=2, seed=2)])) == []


def test_other_messages_or_models_are_no_contrast() -> None:
    assert named(assemble([chat("a"), chat("b", messages=said("Bye"))])) == []
    assert named(assemble([chat("a"), chat("b", model="other")])) == []


def test_one_and_true_are_different_values() -> None:
    assert of("Repeat", assemble([chat("a", n=1), chat("b", n=True), chat("c", n=1.0)])) == []


def test_turns_that_go_on_are_conversations_one_for_each_last_turn() -> None:
    exchanges = [
        chat("1", body_of("Ho"), messages=said("Hi")),
        chat("2", body_of("Ha"), messages=said("Hi", "Ho", "He")),
        chat("3a", body_of(), messages=said("Hi", "Ho", "He", "Ha", "x")),
        chat("3b", body_of(), messages=said("Hi", "Ho", "He", "Ha", "y")),
        chat("made up", body_of(), messages=said("Hi", "never said", "He")),
        chat("else", body_of(), messages=said("Hello")),
    ]
    assert of("Conversation", assemble(exchanges)) == [("1", "2", "3a"), ("1", "2", "3b")]


CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def with_result(*before: Any) -> list[Any]:
    return [
        *before,
        {"role": "assistant", "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
    ]


def test_turns_are_found_by_tool_call_id_though_the_history_was_trimmed() -> None:
    first = chat("1", body_of(None, calls=CALLS), messages=said("Long", "ago", "Hi"))
    second = chat("2", messages=with_result(*said("Hi")))
    assert of("Conversation", assemble([first, second])) == [("1", "2")]
    # An id that two answers issued says nothing.
    other = chat("0", body_of(None, calls=CALLS), messages=said("Else"))
    assert of("Conversation", assemble([other, first, second])) == []


def test_later_turns_are_no_earlier_ones() -> None:
    first = chat("1", body_of(None, calls=CALLS), messages=said("Hi"))
    second = chat("2", messages=with_result(*said("Hi")))
    assert of("Conversation", assemble([second, first])) == []


def test_calls_around_an_id_are_a_lifecycle() -> None:
    exchanges = [
        chat("create", body_of(identifier="chatcmpl-9"), store=True),
        call("GET", "/chat/completions/chatcmpl-9", "get"),
        call("GET", "/chat/completions/chatcmpl%2D9/messages?limit=1", "messages"),
        call("GET", "/chat/completions/other", "other"),
        call("DELETE", "/chat/completions/chatcmpl-9", "delete"),
        call("GET", "/chat/completions", "list"),
    ]
    assert of("Lifecycle", assemble(exchanges)) == [
        ("create", "get", "messages", "delete", "chatcmpl-9"),
        ("other", "other"),
    ]


def test_masked_ids_relate_nothing() -> None:
    created = chat("create", body_of(identifier="REDACTED"), store=True, more={"altered": frozenset({"id"})})
    found = assemble([created, call("GET", "/chat/completions/REDACTED", "get")])
    assert of("Lifecycle", found) == [("get", "REDACTED")]


def test_traffic_of_other_origins_or_without_its_requests_is_unrelated() -> None:
    assert named(assemble([chat("a", more={"origin": "x"}), chat("b", more={"origin": "y"})])) == []
    unknown = LIVE_FACETS - {Facet.REQUEST}
    assert named(assemble([chat("a", more={"facets": unknown}), chat("b", more={"facets": unknown})])) == []


def test_marks_make_the_relation_they_name() -> None:
    exchanges = [chat(name, n=number) for number, name in enumerate("abcd")]
    table = [
        (
            marks(Relation.CONTRAST, ("a", "control"), ("b", "variant", "/n"), ("c", "variant", "/m")),
            [
                ("Contrast", "a", "b", "/n"),
                ("Contrast", "a", "c", "/m"),
            ],
        ),
        (
            marks(Relation.PARITY, ("a", "unstreamed"), ("c", "streamed"), ("b", "unstreamed")),
            [("Parity", "a", "b", "c")],
        ),
        (marks(Relation.CONVERSATION, ("b", "turn"), ("a", "turn")), [("Conversation", "a", "b")]),
        (marks(Relation.REPEAT, ("a", "again"), ("b", "again"), ("d", "again")), [("Repeat", "a", "b", "d")]),
        (
            marks(Relation.LADDER, ("a", "rung:8", "depth"), ("b", "rung:2"), ("c", "rung:x")),
            [
                ("Ladder", "b", "a", "depth", (2, 8)),
            ],
        ),
        (marks(Relation.LIFECYCLE, ("a", "create"), ("b", "retrieve", "id-1")), [("Lifecycle", "a", "b", "id-1")]),
        (marks(Relation.LIFECYCLE, ("a", "create"), ("b", "delete")), [("Lifecycle", "a", "b", "chatcmpl-1")]),
    ]
    for given_marks, expected in table:
        found = [row for row in named(assemble(exchanges, given_marks)) if row[0] == expected[0][0]]
        assert [row for row in expected if row not in found] == []
        assert len([row for row in found if set(row[1:]) & {mark.exchange for mark in given_marks}]) == len(expected)


def test_marked_exchanges_are_left_out_of_derived_relations() -> None:
    exchanges = [chat("a"), chat("b"), chat("c")]
    told = named(assemble(exchanges, marks(Relation.REPEAT, ("a", "again"), ("b", "again"))))
    assert told == [("Repeat", "a", "b")]
    single = marks(Relation.SINGLE, ("a", "single"))
    assert named(assemble(exchanges, single)) == [("Repeat", "a", "b", "c")]


def test_groups_that_a_broken_off_run_left_unfinished_make_nothing() -> None:
    exchanges = [chat("a"), chat("b", n=3)]
    for relation, role in [
        (Relation.CONTRAST, "control"),
        (Relation.CONTRAST, "variant"),
        (Relation.PARITY, "streamed"),
        (Relation.PARITY, "unstreamed"),
        (Relation.CONVERSATION, "turn"),
        (Relation.REPEAT, "again"),
        (Relation.LADDER, "rung:"),
        (Relation.RUN, "x"),
    ]:
        assert named(assemble(exchanges[:1], marks(relation, ("a", role), ("lost", role)))) == []


def test_groups_of_one_name_in_two_relations_are_two() -> None:
    exchanges = [chat("a"), chat("b")]
    both = marks(Relation.REPEAT, ("a", "again"), ("b", "again")) + marks(
        Relation.CONTRAST, ("a", "control"), ("b", "variant", "/x")
    )
    assert named(assemble(exchanges, both)) == [("Repeat", "a", "b"), ("Contrast", "a", "b", "/x")]


def test_of_retries_the_last_attempt_stands_in_relations_and_each_is_a_single() -> None:
    exchanges = [
        chat("a"),
        chat("b", status=503, body=b""),
        chat("b2", more={"retry_of": "b"}, status=503, body=b""),
        chat("b3", more={"retry_of": "b2"}),
    ]
    assert named(assemble(exchanges)) == [("Repeat", "a", "b3")]
    marked = marks(Relation.CONTRAST, ("a", "control"), ("b", "variant", "/n"))
    assert named(assemble(exchanges, marked)) == [("Contrast", "a", "b3", "/n")]
    assert sum(isinstance(trace, Single) for trace in assemble(exchanges)) == 4


def test_retries_that_name_each_other_end() -> None:
    exchanges = [
        chat("a", more={"retry_of": "b"}),
        chat("b", more={"retry_of": "a"}),
        chat("c", more={"retry_of": "c"}),
    ]
    assert set(last_attempts(exchanges)) == {"a", "b", "c"}
    assert len(assemble(exchanges)) >= 3


def test_groups_are_bounded() -> None:
    same = [chat(f"u{i}") for i in range(50)] + [chat(f"s{i}", STREAM, stream=True) for i in range(50)]
    many = [chat(f"n{i}", n=i) for i in range(50)]
    turns = [chat(f"t{i}", body_of(f"{2 * i + 1}"), messages=said(*map(str, range(2 * i + 1)))) for i in range(80)]
    traces = assemble(same + many + turns)
    assert max(len(trace.exchanges) for trace in traces if isinstance(trace, Repeat)) == MOST_REPEATS
    assert sum(isinstance(trace, Parity) for trace in traces) == MOST_PARITIES
    assert sum(isinstance(trace, Contrast) for trace in traces) == MOST_PAIRS
    assert max(len(trace.exchanges) for trace in traces if isinstance(trace, Conversation)) == MOST_TURNS


def test_the_work_is_linear() -> None:
    def seconds(count: int) -> float:
        exchanges = [chat(f"e{i}", n=i, seed=i % 7, metadata={"a": i, "b": 1}) for i in range(count)]
        start = time.perf_counter()
        assemble(exchanges)
        return time.perf_counter() - start

    seconds(100)
    assert seconds(8000) < 40 * max(seconds(1000), 0.001)


_VALUE = st.none() | st.booleans() | st.integers(-2, 3) | st.text("ab", max_size=2) | st.just([]) | st.just({"a": 1})
_MESSAGE = st.fixed_dictionaries({}, optional={"role": _VALUE, "content": _VALUE, "tool_calls": _VALUE}) | _VALUE
_BODY = st.dictionaries(st.sampled_from(["stream", "n", "store", "metadata", "stream_options"]), _VALUE, max_size=3)
_EXCHANGE = st.builds(
    lambda fields, messages, answer, status, retry, path, method: Exchange(
        "",
        Request(method, path, (), json.dumps({**fields, "messages": messages}).encode()),
        status,
        (),
        answer,
        retry_of=retry,
    ),
    _BODY,
    st.lists(_MESSAGE, max_size=3) | _VALUE,
    st.sampled_from([b"", b"{}", STREAM, body_of(), body_of(None, calls=[None, {"id": []}]), b"\xff"]),
    st.sampled_from([None, 200, 400]),
    st.sampled_from([None, "e0", "e1", "e9"]),
    st.sampled_from(["/chat/completions"] * 4 + ["/chat/completions/x", "/models"]),
    st.sampled_from(["POST", "POST", "GET"]),
)
_MARK = st.builds(
    Mark,
    st.sampled_from(Relation),
    st.sampled_from("gh"),
    st.sampled_from(
        ["control", "variant", "streamed", "unstreamed", "turn", "again", "rung:1", "rung:x", "create", ""]
    ),
    st.sampled_from(["e0", "e1", "e2", "lost"]),
    st.sampled_from(["", "/n"]),
)


@given(st.lists(_EXCHANGE, max_size=7), st.lists(_MARK, max_size=6))
def test_anything_can_be_assembled_and_the_order_is_fixed(exchanges: list[Exchange], given_marks: list[Mark]) -> None:
    numbered = [
        Exchange(f"e{i}", e.request, e.status, e.headers, e.body, retry_of=e.retry_of) for i, e in enumerate(exchanges)
    ]
    traces = assemble(numbered, given_marks)
    assert named(assemble(numbered, given_marks)) == named(traces)
    assert [trace.exchanges[0] for trace in traces if isinstance(trace, Single)] == numbered
    for trace in traces:
        assert trace.exchanges
        assert set(trace.exchanges) <= set(numbered)
        if isinstance(trace, Contrast):
            assert len(trace.exchanges) == 2
        if isinstance(trace, Ladder):
            assert len(trace.values) == len(trace.exchanges)
            assert list(trace.values) == sorted(trace.values)
        if isinstance(trace, Parity):
            assert 1 <= len(trace.unstreamed) <= 2
        if isinstance(trace, Lifecycle):
            assert isinstance(trace.stored_id, str)
