from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from conformance.probes.confirm import confirm, repeatable, resend
from conformance.probes.shrink import Shrunk, form_of, guard, shrink, size, smallest
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request
from conformance.wire.traces import Contrast, Conversation, Ladder, Lifecycle, Parity, Repeat, Single, Trace

BODY = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be kind to everybody."}, {"role": "user", "content": "Say hello."}],
    "max_tokens": 64,
    "temperature": 0,
    "seed": 7,
    "user": "someone",
}


def post(body: Any, **more: Any) -> Request:
    return Request(body=strict_json.dump(body), **more)


def exchange(body: Any, number: int = 1, answer: Any = None) -> Exchange:
    return Exchange(f"e{number}", post(body), 200, body=strict_json.dump(answer if answer is not None else {}))


class Live:
    """Answers every request and keeps them."""

    def __init__(self, stops_after: int = 10_000) -> None:
        self.bodies: list[Any] = []
        self.ordinals: list[int] = []
        self._stops_after = stops_after

    def __call__(self, request: Request, ordinal: int = 0) -> Exchange | None:
        if len(self.bodies) >= self._stops_after:
            return None
        self.bodies.append(json.loads(request.body or b"null"))
        self.ordinals.append(ordinal)
        return Exchange(f"s{len(self.bodies)}", request, 200)


def body_of(trace: Trace, number: int = -1) -> dict[str, Any]:
    found: dict[str, Any] = trace.exchanges[number].request.document.value
    return found


def shrunk(trace: Trace, violates: Callable[[Trace], bool], budget: int = 1000) -> tuple[Shrunk, Live]:
    live = Live()
    return shrink(trace, live, violates, budget), live


def test_a_single_keeps_model_message_and_token_limit_only() -> None:
    found, live = shrunk(Single((exchange(BODY),)), lambda trace: "user" in body_of(trace))
    assert found.minimal
    kept = body_of(found.trace)
    assert kept.keys() == {"model", "messages", "max_tokens", "user"}
    assert (kept["model"], kept["max_tokens"], kept["user"], len(kept["messages"])) == ("m", 64, "", 1)
    assert found.spent == len(live.bodies)
    assert all("max_tokens" in body and body["max_tokens"] == 64 for body in live.bodies)


def test_a_contrast_shrinks_as_a_whole_and_differs_where_it_did() -> None:
    control, variant = BODY, {**BODY, "tool_choice": "none"}
    trace = Contrast((exchange(control, 1), exchange(variant, 2)), "/tool_choice")
    found, live = shrunk(trace, lambda trace: True)
    assert isinstance(found.trace, Contrast)
    first, second = body_of(found.trace, 0), body_of(found.trace, 1)
    assert second == {**first, "tool_choice": "none"}
    assert "tool_choice" not in first
    assert "user" not in first
    for one, two in zip(live.bodies[::2], live.bodies[1::2], strict=True):
        assert two == {**one, "tool_choice": "none"}


def test_a_contrast_inside_a_message_keeps_its_place() -> None:
    other = json.loads(json.dumps(BODY))
    other["messages"][1]["content"] = "Say goodbye."
    trace = Contrast((exchange(BODY, 1), exchange(other, 2)), "/messages/1/content")
    _, live = shrunk(trace, lambda trace: True, 60)
    assert live.bodies
    for one, two in zip(live.bodies[::2], live.bodies[1::2], strict=True):
        assert two["messages"][1]["content"] == "Say goodbye."
        assert one["messages"][1]["content"] == "Say hello."


def test_a_contrast_that_differs_elsewhere_is_shown_as_it_is() -> None:
    trace = Contrast((exchange(BODY, 1), exchange({**BODY, "n": 2, "seed": 1}, 2)), "/n")
    assert form_of(trace) is None
    found, live = shrunk(trace, lambda trace: True)
    assert (found.trace, found.minimal, live.bodies) == (trace, False, [])


def test_a_parity_keeps_its_modes_and_repeats_get_ordinals() -> None:
    streamed = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
    trace = Parity((exchange(BODY, 1), exchange(BODY, 2), exchange(streamed, 3)))
    found, live = shrunk(trace, lambda trace: True)
    one, two, three = (body_of(found.trace, number) for number in range(3))
    assert one == two
    assert three == {**one, "stream": True, "stream_options": {"include_usage": True}}
    assert "stream" not in one
    assert live.ordinals[:3] == [0, 1, 0]


def test_repeats_stay_equal() -> None:
    found, _ = shrunk(Repeat((exchange(BODY, 1), exchange(BODY, 2))), lambda trace: "seed" in body_of(trace))
    assert body_of(found.trace, 0) == body_of(found.trace, 1)
    assert body_of(found.trace)["seed"] == 0


@pytest.mark.parametrize(
    "trace",
    [
        Conversation((exchange(BODY, 1), exchange(BODY, 2))),
        Ladder((exchange(BODY),), "n", (1,)),
        Lifecycle((exchange(BODY),), "chatcmpl-1"),
        Single((Exchange("e1", Request(body=b'{"model":'), 400),)),
        Single((Exchange("e1", Request(body=b'{ "model": "m" }'), 400),)),
        Single((Exchange("e1", Request(body=b'{"a":1,"a":2}'), 400),)),
        Single((Exchange("e1", Request(body=b"[]"), 400),)),
    ],
    ids=["conversation", "ladder", "lifecycle", "unreadable", "spaced", "duplicate", "no object"],
)
def test_what_cannot_be_reduced_is_shown_as_it_is(trace: Trace) -> None:
    found, live = shrunk(trace, lambda trace: True)
    assert (found, live.bodies) == (Shrunk(trace, False, 0), [])


def test_a_request_without_a_body_is_as_small_as_can_be() -> None:
    trace = Single((Exchange("e1", Request("GET", "/models"), 200),))
    assert shrunk(trace, lambda trace: True)[0] == Shrunk(trace, True, 0)


@pytest.mark.parametrize("budget", [0, 1, 2, 5])
def test_the_budget_counts_requests(budget: int) -> None:
    trace = Contrast((exchange(BODY, 1), exchange({**BODY, "n": 2}, 2)), "/n")
    found, live = shrunk(trace, lambda trace: True, budget)
    assert len(live.bodies) <= budget
    assert not found.minimal


def test_when_nothing_is_sent_any_more_the_best_so_far_stays() -> None:
    live = Live(stops_after=2)
    found = shrink(Single((exchange(BODY),)), live, lambda trace: True, 100)
    assert not found.minimal
    assert found.spent == 2
    assert size(found.trace) < size(Single((exchange(BODY),)))


def test_a_violation_that_does_not_come_back_leaves_the_trace_as_it_was() -> None:
    trace = Single((exchange(BODY),))
    found, _ = shrunk(trace, lambda trace: False)
    assert found.trace == trace


def test_the_smallest_trace_is_the_shortest_to_read() -> None:
    short, long = Single((exchange({"model": "m"}),)), Single((exchange(BODY),))
    assert smallest([long, short]) is short


SAID = [{"role": "user", "content": ""}]
CALLED = [{"role": "assistant", "tool_calls": []}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"messages": SAID}, True),
        ({"messages": CALLED}, True),
        ({"messages": []}, False),
        ({"messages": [{"role": "user"}]}, False),
        ({"messages": [{"content": "Hi"}]}, False),
        ({"messages": [1]}, False),
        ({"tools": ...}, True),
        ({"tools": []}, True),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, True),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, True),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, False),
        ({"tools": [{"type": "function", "function": {}}]}, False),
        ({"tools": [{"function": {"name": "f"}}]}, False),
        ({"tools": None}, False),
        ({"model": ""}, False),
        ({"max_tokens": 0}, False),
        ({"max_tokens": ...}, False),
        ({"temperature": ...}, True),
    ],
)
def test_the_guard_keeps_what_any_endpoint_asks_for(change: dict[str, Any], kept: bool) -> None:
    original = {**BODY, "tools": [TOOL]}
    smaller = {key: value for key, value in {**original, **change}.items() if value is not ...}
    assert guard(original)(original)
    assert guard(original)(smaller) is kept


def test_the_guard_asks_for_no_more_than_there_was() -> None:
    valid = guard({"messages": [{"role": "user"}], "tools": [{}], "n": 1})
    assert valid({})
    assert valid({"messages": [], "tools": 1})


def test_confirming_counts_how_often() -> None:
    answers = iter([True, False, True])
    live = Live()
    assert confirm(Single((exchange(BODY),)), live, lambda trace: next(answers), 3) == (2, 3)
    assert len(live.bodies) == 3


def test_confirming_ends_with_the_run() -> None:
    trace = Repeat((exchange(BODY, 1), exchange(BODY, 2)))
    assert confirm(trace, Live(stops_after=3), lambda trace: True, 3) == (1, 1)
    assert confirm(trace, Live(stops_after=1), lambda trace: True, 3) is None
    assert confirm(trace, Live(), lambda trace: True, 0) is None


@pytest.mark.parametrize(
    "request_",
    [
        post({**BODY, "store": True}),
        Request("DELETE", "/chat/completions/chatcmpl-1"),
        Request("POST", "/chat/completions/chatcmpl-1", body=b"{}"),
        post(BODY, auth="none"),
        post(BODY, auth="as_given"),
    ],
)
def test_what_has_consequences_is_not_sent_again(request_: Request) -> None:
    trace = Single((Exchange("e1", request_, 200),))
    assert not repeatable(trace)
    assert confirm(trace, Live(), lambda trace: True, 3) is None


def calling(call_id: str, city: str) -> dict[str, Any]:
    call = {"id": call_id, "type": "function", "function": {"name": "w", "arguments": json.dumps({"city": city})}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def test_a_conversation_is_sent_again_with_what_is_answered_now() -> None:
    first = {"model": "m", "messages": [{"role": "user", "content": "Weather?"}]}
    before = calling("call_1", "Paris")
    echo = before["choices"][0]["message"]
    second = {
        **first,
        "messages": [*first["messages"], echo, {"role": "tool", "tool_call_id": "call_1", "content": "5"}],
    }
    trace = Conversation((exchange(first, 1, before), exchange(second, 2)))
    sent: list[Any] = []

    def send(request: Request) -> Exchange:
        sent.append(json.loads(request.body or b""))
        return Exchange(f"s{len(sent)}", request, 200, body=strict_json.dump(calling("call_9", "Rome")))

    again = resend(trace, send)
    assert isinstance(again, Conversation)
    assert sent[0] == first
    assert sent[1]["messages"][1]["tool_calls"] == calling("call_9", "Rome")["choices"][0]["message"]["tool_calls"]
    assert sent[1]["messages"][2] == {"role": "tool", "tool_call_id": "call_9", "content": "5"}
