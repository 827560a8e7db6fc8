from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore
import pytest

from conformance.transport.base import Access, Timeouts, header_fields, join_url
from conformance.transport.http import HttpTransport, _outgoing, check_url, is_loopback
from conformance.wire.exchange import End, Exchange, Facet, Request, header_values
from tests.toy_servers import Answer, Toy, answering, chunk, chunked_head, reply, reset, serve

pytestmark = pytest.mark.sockets

KEY = "sk-made-up-for-these-tests"
QUICK = Timeouts(connect=2.0, first_byte=0.4, idle=0.4, total=1.2)
POST = Request(body=b'{"model":"m","messages":[]}')


@contextmanager
def sending(answer: Answer, timeouts: Timeouts = QUICK, **more: int) -> Iterator[tuple[HttpTransport, Toy]]:
    with serve(answer) as toy:
        transport = HttpTransport(Access(toy.url, KEY), timeouts, **more)
        try:
            yield transport, toy
        finally:
            transport.close()


def send(answer: Answer, timeouts: Timeouts = QUICK, **more: int) -> Exchange:
    with sending(answer, timeouts, **more) as (transport, _):
        begun = time.monotonic()
        exchange = transport.send(POST)
        assert time.monotonic() - begun < 10
        return exchange


@pytest.mark.parametrize(
    ("base", "path", "joined"),
    [
        ("https://h/proj/x/v1", "/chat/completions", "https://h/proj/x/v1/chat/completions"),
        ("https://h/proj/x/v1/", "/chat/completions", "https://h/proj/x/v1/chat/completions"),
        ("https://h", "/models", "https://h/models"),
        ("https://h/v1?api-version=2", "/models", "https://h/v1/models?api-version=2"),
        ("https://h/v1?a=1", "/chat/completions?limit=2", "https://h/v1/chat/completions?a=1&limit=2"),
        ("https://h/v1#part", "/models?x=%20y", "https://h/v1/models?x=%20y"),
        ("https://h/v1", "//evil.example/models", "https://h/v1/evil.example/models"),
        ("https://h/v1", "/chat/completions/ä b", "https://h/v1/chat/completions/%C3%A4%20b"),
    ],
)
def test_paths_hang_off_the_base_url(base: str, path: str, joined: str) -> None:
    assert join_url(base, path) == joined


@pytest.mark.parametrize("url", ["", "h/v1", "ftp://h/v1", "http://", "https://user:word@h/v1", "http://h:99999/v1"])
def test_what_is_no_endpoint_is_said_in_one_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        check_url(url)
    assert "\n" not in str(caught.value)
    assert "word" not in str(caught.value)


def test_loopback_is_known_by_name_and_number() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "::1", "api.localhost")))
    assert not any(map(is_loopback, ("example.com", "10.0.0.1", "localhost.example.com")))


def test_credentials_go_where_auth_says() -> None:
    def sent(auth: str, **more: object) -> tuple[tuple[str, str], ...]:
        return header_fields(Request(body=b"{}", auth=auth, headers=(("X-Extra", "1"),)), KEY, (("X-Own", "2"),))

    assert header_values(sent("key"), "authorization") == [f"Bearer {KEY}"]
    assert header_values(sent("x-api-key"), "x-api-key") == [KEY]
    assert not header_values(sent("x-api-key"), "authorization")
    for auth in ("none", "as_given"):
        assert KEY not in str(sent(auth))
        assert header_values(sent(auth), "x-extra") == ["1"]
        assert header_values(sent(auth), "x-own") == ["2"]


def test_content_type_is_json_unless_given_and_absent_where_given_empty() -> None:
    assert header_values(header_fields(Request(body=b"{}"), None), "content-type") == ["application/json"]
    plain = Request(body=b"{}", headers=(("content-type", "text/plain"),))
    assert header_values(header_fields(plain, None), "content-type") == ["text/plain"]
    bare = Request(body=b"{}", headers=(("Content-Type", ""),))
    assert header_values(header_fields(bare, None), "content-type") == []
    assert header_values(header_fields(Request("GET", "/models"), None), "content-type") == []


def test_a_whole_answer_is_kept_as_it_came() -> None:
    body = b'{"object":"list","data":[]}'
    with sending(answering(reply(200, body, ("X-Request-Id: r1", "X-Twice: a", "x-twice: b")))) as (transport, toy):
        exchange = transport.send(Request("GET", "/models?limit=1"))
    assert (exchange.status, exchange.body, exchange.end) == (200, body, End.COMPLETE)
    assert exchange.header("x-twice") == "a, b"
    assert sum(size for _, size in exchange.pieces) == len(body)
    assert exchange.facets == frozenset(Facet)
    head = toy.requests[0].lower()
    assert head.startswith(b"get /v1/models?limit=1 http/1.1\r\n")
    assert b"accept-encoding: identity\r\n" in head
    assert f"authorization: bearer {KEY}".encode() in head


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("http://127.0.0.1:1/v1", b"127.0.0.1:1"),
        ("http://[::1]:8000/v1", b"[::1]:8000"),
        ("https://api.example.com/v1", b"api.example.com"),
    ],
)
def test_the_host_field_names_the_origin(base: str, host: bytes) -> None:
    fields = _outgoing((), httpcore.URL(join_url(base, "/models")), None)
    assert fields == [(b"Host", host)]


def test_pieces_carry_their_arrival_times() -> None:
    def drip(connection: socket.socket, toy: Toy) -> None:
        connection.sendall(chunked_head())
        for number in range(4):
            connection.sendall(chunk(b"data: %d\n\n" % number))
            toy.sleep(0.08)
        connection.sendall(chunk(b""))

    exchange = send(drip)
    assert exchange.end is End.COMPLETE
    assert [size for _, size in exchange.pieces] == [9, 9, 9, 9]
    times = [moment for moment, _ in exchange.pieces]
    assert times == sorted(times)
    assert times[-1] - times[0] > 100


def test_silence_before_the_first_byte_times_out() -> None:
    exchange = send(lambda connection, toy: toy.sleep(5))
    assert (exchange.status, exchange.end) == (None, End.TIMEOUT)
    assert "--first-byte-timeout" in (exchange.note or "")


def test_silence_between_two_pieces_times_out_and_keeps_what_came() -> None:
    def stall(connection: socket.socket, toy: Toy) -> None:
        connection.sendall(chunked_head() + chunk(b"data: 1\n\n"))
        toy.sleep(5)

    exchange = send(stall)
    assert (exchange.status, exchange.end, exchange.body) == (200, End.TIMEOUT, b"data: 1\n\n")
    assert "--idle-timeout" in (exchange.note or "")


@pytest.mark.parametrize("where", ["body", "headers"])
def test_an_answer_that_drips_for_ever_ends_at_a_bound(where: str) -> None:
    def drip(connection: socket.socket, toy: Toy) -> None:
        connection.sendall(chunked_head() if where == "body" else b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(100):
            connection.sendall(chunk(b":\n") if where == "body" else b"x")
            toy.sleep(0.1)
            if toy.closing.is_set():
                return

    exchange = send(drip)
    assert exchange.end is End.TIMEOUT
    assert ("--total-timeout" if where == "body" else "--first-byte-timeout") in (exchange.note or "")


def test_a_reset_in_the_body_is_no_end() -> None:
    def break_off(connection: socket.socket, toy: Toy) -> None:
        connection.sendall(chunked_head() + chunk(b"data: 1\n\n"))
        toy.sleep(0.1)
        reset(connection)

    exchange = send(break_off)
    assert (exchange.status, exchange.end, exchange.body) == (200, End.RESET, b"data: 1\n\n")


def test_a_close_inside_the_announced_length_is_a_reset() -> None:
    def short(connection: socket.socket, toy: Toy) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        connection.close()

    exchange = send(short)
    assert (exchange.status, exchange.end, exchange.body) == (200, End.RESET, b"{")


def test_an_orderly_end_of_chunks_is_complete_even_without_done() -> None:
    exchange = send(answering(chunked_head() + chunk(b"data: 1\n\n") + chunk(b"")))
    assert (exchange.end, exchange.body) == (End.COMPLETE, b"data: 1\n\n")


@pytest.mark.parametrize("garbage", [b"\x00\xff\xfe" * 40, b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/9.9 abc\r\n\r\n"])
def test_what_is_no_http_never_raises(garbage: bytes) -> None:
    def nonsense(connection: socket.socket, toy: Toy) -> None:
        connection.sendall(garbage)
        connection.close()

    exchange = send(nonsense)
    assert exchange.status is None
    assert exchange.end is End.RESET


def test_a_refused_connection_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    exchange = HttpTransport(Access(f"http://127.0.0.1:{port}/v1"), QUICK).send(POST)
    assert (exchange.status, exchange.end) == (None, End.NOT_SENT)
    assert exchange.note


def test_a_huge_body_stops_at_the_limit() -> None:
    def flood(connection: socket.socket, toy: Toy) -> None:
        connection.sendall(chunked_head())
        for _ in range(2000):
            connection.sendall(chunk(b"x" * 65536))

    exchange = send(flood, Timeouts(2, 2, 2, 8), max_body=200_000)
    assert exchange.end is End.OVER_LIMIT
    assert len(exchange.body) == 200_000


def test_codings_are_undone_and_the_length_before_kept() -> None:
    plain = b'{"object":"list"}'
    packed = gzip.compress(plain)
    exchange = send(answering(reply(200, packed, ("Content-Encoding: gzip",))))
    assert (exchange.body, exchange.end, exchange.coded_length) == (plain, End.COMPLETE, len(packed))
    assert Facet.PIECES not in exchange.facets
    assert Facet.BODY_BYTES in exchange.facets


def test_a_bomb_stays_small() -> None:
    bomb = gzip.compress(b"\x00" * 50_000_000)
    exchange = send(answering(reply(200, bomb, ("Content-Encoding: gzip",))), Timeouts(2, 5, 5, 9), max_body=1_000_000)
    assert exchange.end is End.OVER_LIMIT
    assert len(exchange.body) <= 1_000_000


def test_a_coding_that_cannot_be_undone_leaves_nothing_to_judge_in_the_body() -> None:
    exchange = send(answering(reply(200, b"???", ("Content-Encoding: br",))))
    assert exchange.end is End.COMPLETE
    assert not {Facet.BODY, Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE} & exchange.facets
    assert "br" in (exchange.note or "")


def test_a_coded_body_that_ends_early_is_a_reset() -> None:
    half = zlib.compress(b"abcdefgh" * 999)[:-9]
    exchange = send(answering(reply(200, half, ("Content-Encoding: deflate",))))
    assert exchange.end is End.RESET


def test_redirects_are_answers_and_nobody_else_gets_the_key() -> None:
    with serve(answering(reply())) as elsewhere:
        location = f"Location: {elsewhere.url}/chat/completions"
        exchange = send(answering(reply(307, b"", (location,))))
        assert exchange.status == 307
        assert elsewhere.requests == []


def test_cookies_are_not_kept() -> None:
    with sending(answering(reply(200, b"{}", ("Set-Cookie: a=b; Path=/",)))) as (transport, toy):
        transport.send(POST)
        transport.send(POST)
    assert len(toy.requests) == 2
    assert b"cookie" not in toy.requests[1].lower()


def test_environment_proxies_do_not_touch_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(answering(reply())) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        assert send(answering(reply())).status == 200
        assert proxy.requests == []


def test_other_addresses_go_through_the_environment_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(answering(reply(418))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        transport = HttpTransport(Access("http://endpoint.invalid/v1", KEY), QUICK)
        assert transport.send(POST).status == 418
        transport.close()
        assert proxy.requests[0].startswith(b"POST http://endpoint.invalid/v1/chat/completions ")


def test_a_kind_of_proxy_that_is_not_supported_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="socks5 is not supported"):
        HttpTransport(Access("http://endpoint.invalid/v1", KEY))


def test_a_header_that_cannot_be_sent_is_not_sent() -> None:
    with sending(answering(reply())) as (transport, toy):
        exchange = transport.send(Request("GET", "/models", (("X-Bad", "a\r\nb: c"),)))
    assert exchange.end is End.NOT_SENT
    assert toy.requests == []


def test_a_key_that_cannot_be_sent_is_not_told() -> None:
    with serve(answering(reply())) as toy:
        transport = HttpTransport(Access(toy.url, f"{KEY}\n"), QUICK)
        exchange = transport.send(POST)
        transport.close()
        assert exchange.end is End.NOT_SENT
        assert KEY not in repr(exchange)
        assert "the key" in (exchange.note or "")
        assert toy.requests == []


def test_access_does_not_show_the_key() -> None:
    assert KEY not in repr(Access("http://h/v1", KEY, (("X-Secret", KEY),)))


def test_closing_wakes_a_read_that_hangs() -> None:
    with serve(lambda connection, toy: toy.sleep(15)) as toy:
        transport = HttpTransport(Access(toy.url, KEY), Timeouts(2, 30, 30, 30))
        ended: list[Exchange] = []
        thread = threading.Thread(target=lambda: ended.append(transport.send(POST)), daemon=True)
        thread.start()
        while not toy.requests:
            time.sleep(0.01)
        transport.close()
        thread.join(10)
        assert not thread.is_alive()
        assert ended[0].end is End.RESET
