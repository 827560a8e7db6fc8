from __future__ import annotations

from dataclasses import dataclass

from conformance.transport.base import authenticated
from conformance.transport.memory import EPOCH, MemoryTransport
from conformance.wire.exchange import End, Headers, Request, header_values
from tests.fake_endpoint import Endpoint, chat, completion


@dataclass(frozen=True)
class Pieces:
    pieces: tuple[tuple[float, bytes], ...]
    status: int = 200
    headers: Headers = (("content-type", "text/event-stream"),)
    broken: bool = False
    fetches: tuple[str, ...] = ()


def test_delays_become_arrival_times_and_nobody_waits() -> None:
    reply = Pieces(((0.5, b"data: 1\n\n"), (1.0, b""), (3600.0, b"data: 2\n\n")))
    transport = MemoryTransport(lambda request, now: reply)
    exchange = transport.send(chat())
    assert exchange.pieces == ((500.0, 9), (3_601_500.0, 9))
    assert exchange.body == b"data: 1\n\ndata: 2\n\n"
    assert (exchange.started, exchange.end) == (EPOCH, End.COMPLETE)
    assert transport.send(chat()).started > EPOCH + 3601  # type: ignore[operator]


def test_a_broken_reply_is_a_reset_that_keeps_its_pieces() -> None:
    transport = MemoryTransport(lambda request, now: Pieces(((0.0, b"data: 1\n\n"),), broken=True))
    exchange = transport.send(chat())
    assert (exchange.status, exchange.end, exchange.body) == (200, End.RESET, b"data: 1\n\n")


def test_time_passes_by_waiting_only() -> None:
    transport = MemoryTransport(lambda request, now: Pieces(()))
    transport.wait(12.5)
    transport.wait(-3)
    assert transport.now() == EPOCH + 12.5


def test_the_other_end_sees_the_same_fields_as_over_http() -> None:
    endpoint = Endpoint(lambda request, number: completion())
    transport = endpoint.transport()
    for auth in ("key", "x-api-key", "none", "as_given"):
        transport.send(Request(body=b"{}", headers=(("X-Extra", "1"),), auth=auth))
    sent = [request.headers for request in endpoint.requests]
    assert [header_values(headers, "authorization") for headers in sent] == [["Bearer sk-made-up"], [], [], []]
    assert [header_values(headers, "x-api-key") for headers in sent] == [[], ["sk-made-up"], [], []]
    assert all(header_values(headers, "content-type") == ["application/json"] for headers in sent)
    assert all(header_values(headers, "x-extra") == ["1"] for headers in sent)


def test_a_request_that_is_sent_again_keeps_its_parsed_body() -> None:
    assert authenticated(chat("a"), "k") is authenticated(chat("a"), "k")
    assert authenticated(chat("a"), "k") is not authenticated(chat("a"), "other")
    assert authenticated(chat("a"), "k") is not authenticated(chat("b"), "k")
