"""Steps of a report become requests and traces again."""

import base64

import pytest

from conformance.reporting.build import step
from conformance.reporting.model import Step, Violation, Where
from conformance.suite import resend
from conformance.transport.base import Access
from conformance.transport.http import HttpTransport
from conformance.wire.exchange import Exchange, Request
from conformance.wire.traces import RELATIONS, Contrast, Ladder, Lifecycle

REQUESTS = [
    Request(body=b'{"model":"m"}'),
    Request(body=b'{"model": "m"}'),
    Request(body=b'{"model":NaN}'),
    Request(body=b"\xff\x00", headers=(("content-type", "text/plain"),)),
    Request("GET", "/models", auth="none"),
    Request("DELETE", "/chat/completions/x", (("A", "1"), ("A", "2"))),
    Request(body='{"content":"caffè ☕"}'.encode(), auth="as_given"),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_comes_back_to_the_byte(request_):
    assert resend.request_of(step(request_, lambda request: "")) == request_


def finding(relation, **more):
    return Violation(Where("e1", "body", "/choices/0/id"), "a", "b", 1, relation=relation, **more)


@pytest.mark.parametrize("kind", RELATIONS)
def test_a_trace_comes_back_in_its_relation(kind):
    exchanges = [Exchange(f"e{number}", REQUESTS[0]) for number in (1, 2)]
    made = resend.trace_of(finding(RELATIONS[kind].value, about="/n", rungs=(1, 2, 3)), exchanges)
    assert type(made) is kind
    assert made.exchanges == tuple(exchanges)
    if isinstance(made, Contrast):
        assert made.about == "/n"
    if isinstance(made, Ladder):
        assert (made.axis, made.values) == ("/n", (1, 2))
    if isinstance(made, Lifecycle):
        assert made.stored_id == "/n"


def test_a_stored_id_is_the_one_of_this_time(toy):
    steps = [
        Step("POST", "/chat/completions", body={"model": "m", "messages": [], "store": True}),
        Step("GET", "/chat/completions/chatcmpl-old/messages?limit=1"),
    ]
    transport = HttpTransport(Access(toy.url))
    try:
        exchanges, stored = resend._send(steps, transport, "chatcmpl-old")
    finally:
        transport.close()
    assert stored == toy.completion["id"]
    assert exchanges[1].request.path == f"/chat/completions/{stored}/messages?limit=1"
    assert [path for path, _ in toy.seen][1].endswith(exchanges[1].request.path)


def test_bytes_win_over_the_parsed_body():
    made = Step("POST", "/chat/completions", body={"a": 1}, body_base64=base64.b64encode(b'{"a": 1}').decode())
    assert resend.request_of(made).body == b'{"a": 1}'
