from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from conformance.transport.courier import BAD_KEYS, BUSY, SILENCE, Courier, Limits
from conformance.transport.memory import EPOCH, MemoryTransport
from conformance.transport.retries import Patience, asked_pause
from conformance.wire.exchange import End, Exchange, Request
from conformance.wire.traces import Mark, Relation
from tests.fake_endpoint import Endpoint, Reply, chat, completion, error


class Notebook:
    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.marks: list[Mark] = []

    def exchange(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def mark(self, mark: Mark) -> None:
        self.marks.append(mark)


def always(reply: Reply) -> Endpoint:
    return Endpoint(lambda request, number: reply)


def test_ids_count_in_order_of_sending_and_everything_is_recorded_once() -> None:
    book = Notebook()
    courier = Courier(always(completion()).transport(), recorder=book)
    ids = [courier.send(chat(text)).id for text in ("a", "b", "a", "c")]  # type: ignore[union-attr]
    assert ids == ["e1", "e2", "e1", "e3"]
    assert book.exchanges == courier.exchanges
    assert [exchange.id for exchange in book.exchanges] == ["e1", "e2", "e3"]
    courier.mark(Mark(Relation.REPEAT, "g", "again", "e1"))
    assert book.marks == courier.marks != []


def test_the_key_reaches_the_endpoint_and_stays_out_of_the_exchange() -> None:
    endpoint = always(completion())
    courier = Courier(endpoint.transport())
    exchange = courier.send(chat())
    assert exchange is not None
    assert ("Authorization", "Bearer sk-made-up") in endpoint.requests[0].headers
    assert "sk-made-up" not in str(exchange)


def test_the_memo_tells_ordinals_apart_and_fresh_passes_it_by() -> None:
    endpoint = Endpoint(lambda request, number: completion(str(number)))
    courier = Courier(endpoint.transport())
    first = courier.send(chat())
    assert courier.send(chat()) is first
    assert courier.send(chat(), 1) is not first
    assert courier.send(chat(), fresh=True) is not first
    assert courier.send(chat()) is first
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    "request_",
    [chat(store=True), Request("POST", "/chat/completions/chatcmpl-1", body=b"{}")],
    ids=["store", "update"],
)
def test_what_changes_state_is_always_sent(request_: Request) -> None:
    endpoint = always(completion())
    courier = Courier(endpoint.transport())
    courier.send(chat("mine", store=True))
    courier.send(request_)
    courier.send(request_)
    assert len(endpoint.requests) == 3


def test_equal_requests_side_by_side_are_sent_once() -> None:
    started = threading.Barrier(4)
    endpoint = always(completion())
    courier = Courier(endpoint.transport())

    def send() -> None:
        started.wait(5)
        courier.send(chat())

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(endpoint.requests) == 1


def test_a_broken_answer_is_not_remembered() -> None:
    endpoint = Endpoint(lambda request, number: replace(completion(), broken=number < 2))
    courier = Courier(endpoint.transport())
    assert courier.send(chat()).end is End.RESET  # type: ignore[union-attr]
    assert courier.send(chat()).end is End.COMPLETE  # type: ignore[union-attr]


def test_too_many_requests_are_retried_after_what_the_endpoint_asks_and_each_try_is_an_exchange() -> None:
    busy = error(429, headers=(("Retry-After", "7"),))
    endpoint = Endpoint(lambda request, number: busy if number < 2 else completion())
    courier = Courier(endpoint.transport())
    exchange = courier.send(chat())
    assert [(item.id, item.status, item.retry_of) for item in courier.exchanges] == [
        ("e1", 429, None),
        ("e2", 429, "e1"),
        ("e3", 200, "e2"),
    ]
    assert exchange is courier.exchanges[-1]
    assert endpoint.times[1] - endpoint.times[0] >= 7
    assert courier.counts.retries == 2


def test_retries_are_bounded_in_count_and_in_time() -> None:
    endpoint = always(error(503))
    courier = Courier(endpoint.transport(), Limits(patience=Patience(times=3)))
    assert courier.send(chat()).status == 503  # type: ignore[union-attr]
    assert len(endpoint.requests) == 4
    patient = always(error(429, headers=(("Retry-After", "3600"),)))
    courier = Courier(patient.transport())
    courier.send(chat())
    assert len(patient.requests) == 1


def test_a_429_pauses_everybody() -> None:
    busy = error(429, headers=(("Retry-After", "20"),))
    endpoint = Endpoint(lambda request, number: busy if number == 0 else completion())
    courier = Courier(endpoint.transport(), Limits(patience=Patience(times=0)))
    courier.send(chat("a"))
    waiting = Courier(endpoint.transport())
    waiting.send(chat("b"))
    assert endpoint.times[1] - endpoint.times[0] < 20  # another courier knows nothing of it
    retried = Endpoint(lambda request, number: busy if number == 0 else completion())
    courier = Courier(retried.transport())
    courier.send(chat("a"))
    assert retried.times[1] - retried.times[0] >= 20


def test_a_500_is_sent_twice_and_a_400_once() -> None:
    for status, times in ((500, 2), (501, 1), (400, 1), (404, 1), (200, 1)):
        endpoint = always(error(status))
        Courier(endpoint.transport()).send(chat())
        assert len(endpoint.requests) == times, status


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        (format_datetime(datetime.fromtimestamp(EPOCH + 30, UTC), usegmt=True), 30.0),
        (format_datetime(datetime.fromtimestamp(EPOCH - 30, UTC), usegmt=True), 0.0),
        ("soon", None),
        ("-3", None),
        ("²", None),
        ("", None),
        ("9" * 400, float("inf")),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str, seconds: float | None) -> None:
    exchange = Exchange("e1", chat(), 429, (("Retry-After", value),))
    assert asked_pause(exchange, EPOCH) == seconds


def test_bad_keys_are_few_and_never_retried() -> None:
    endpoint = always(error(500))
    courier = Courier(endpoint.transport())
    answers = [courier.send(replace(chat(str(number)), auth="none")) for number in range(BAD_KEYS + 3)]
    assert len(endpoint.requests) == BAD_KEYS
    assert [answer is None for answer in answers] == [False] * BAD_KEYS + [True] * 3
    assert courier.send(chat()) is not None


def test_budgets_end_the_sending_and_say_so() -> None:
    endpoint = always(completion())
    courier = Courier(endpoint.transport(), Limits(requests=2))
    assert [courier.send(chat(text)) is None for text in "abc"] == [False, False, True]
    assert "--max-requests" in (courier.stopped or "")
    assert courier.send(Request("DELETE", "/models")) is None  # cleans nothing up
    courier = Courier(endpoint.transport(), Limits(tokens=14))
    assert [courier.send(chat(text)) is None for text in "abc"] == [False, False, True]
    assert "--max-tokens-total" in (courier.stopped or "")
    assert (courier.counts.prompt_tokens, courier.counts.completion_tokens) == (10, 4)


def test_absurd_usage_does_not_upset_the_books() -> None:
    usages = [{"prompt_tokens": True, "completion_tokens": -3}, [], {"prompt_tokens": 10**30}, "x", None]
    endpoint = Endpoint(lambda request, number: completion(usage=usages[number]))
    courier = Courier(endpoint.transport(), Limits(tokens=100))
    for number in range(len(usages)):
        assert courier.send(chat(str(number))) is not None
    assert courier.counts.prompt_tokens == courier.counts.completion_tokens == 0


def test_only_what_this_run_stored_may_be_changed_or_deleted() -> None:
    endpoint = always(completion(number=7))
    courier = Courier(endpoint.transport())
    foreign = Request("DELETE", "/chat/completions/chatcmpl-7")
    refused = courier.send(foreign)
    assert refused is not None
    assert (refused.end, refused.status) == (End.NOT_SENT, None)
    assert endpoint.requests == []
    assert courier.exchanges == [refused]
    courier.send(chat("made by this run, stored or not: some endpoints keep all"))
    assert courier.send(foreign).end is End.COMPLETE  # type: ignore[union-attr]
    assert courier.send(Request("POST", "/chat/completions/chatcmpl-7", body=b"{}")).status == 200  # type: ignore[union-attr]
    assert courier.send(Request("GET", "/chat/completions/anybody")).status == 200  # type: ignore[union-attr]


def test_stored_completions_are_deleted_even_when_the_run_is_over() -> None:
    courier = Courier(always(completion(number=7)).transport())
    courier.send(chat("stored", store=True))
    courier.stop("interrupted")
    assert courier.send(chat("more")) is None
    assert courier.send(Request("DELETE", "/chat/completions/chatcmpl-7")).status == 200  # type: ignore[union-attr]
    assert courier.stopped == "interrupted"


def test_an_endpoint_that_went_silent_is_not_asked_for_ever() -> None:
    class Dead(MemoryTransport):
        asked = 0

        def send(self, request: Request) -> Exchange:
            self.asked += 1
            return Exchange("", request, end=End.TIMEOUT)

    transport = Dead(lambda request, now: completion())
    courier = Courier(transport)
    for number in range(100):
        courier.send(chat(str(number)))
    assert transport.asked == SILENCE
    assert "no answer" in (courier.stopped or "")


def test_an_endpoint_that_has_had_enough_is_left_alone() -> None:
    endpoint = always(error(429))
    courier = Courier(endpoint.transport())
    answers = [courier.send(chat(str(number))) for number in range(20)]
    assert [answer is not None for answer in answers] == [True] * BUSY + [False] * (20 - BUSY)
    assert len(endpoint.requests) == 4 * BUSY
    assert "429" in (courier.stopped or "")
    recovering = Endpoint(lambda request, number: completion() if number % 8 == 7 else error(429))
    courier = Courier(recovering.transport())
    for number in range(20):
        assert courier.send(chat(str(number))) is not None


def test_concurrency_is_bounded() -> None:
    lock = threading.Lock()
    under_way = most = 0

    class Slow(MemoryTransport):
        def send(self, request: Request) -> Exchange:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            threading.Event().wait(0.01)
            with lock:
                under_way -= 1
            return Exchange("", request, 200, body=b"{}")

    courier = Courier(Slow(lambda request, now: completion()), Limits(concurrency=3))
    threads = [threading.Thread(target=courier.send, args=(chat(str(number)),)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert most == 3
    assert sorted(exchange.id for exchange in courier.exchanges) == sorted(f"e{n}" for n in range(1, 13))


def test_the_rate_spaces_requests() -> None:
    import time

    endpoint = always(completion())
    courier = Courier(endpoint.transport(), Limits(rate=20.0))
    begun = time.monotonic()
    for number in range(5):
        courier.send(chat(str(number)))
    assert 0.15 < time.monotonic() - begun < 5


def test_lanes_are_accounts_and_listeners_hear_of_every_exchange() -> None:
    heard: list[tuple[str, str]] = []
    courier = Courier(always(completion()).transport(), sent=lambda exchange, lane: heard.append((exchange.id, lane)))
    courier.send(chat("a"), lane="tools")
    courier.send(chat("b"), lane="tools")
    courier.send(chat("b"), lane="stream")
    courier.send(chat("c"), lane="stream")
    assert courier.counts.by_lane == {"tools": 2, "stream": 1}
    assert courier.counts.seconds_by_lane["tools"] > 0
    assert heard == [("e1", "tools"), ("e2", "tools"), ("e3", "stream")]
    assert courier.counts.generating == 3


def test_nothing_is_recorded_after_closing() -> None:
    book = Notebook()
    courier = Courier(always(completion()).transport(), recorder=book)
    courier.send(chat("a"))
    courier.close()
    assert courier.send(chat("b")) is None
    courier.mark(Mark(Relation.REPEAT, "g", "again", "e1"))
    assert (len(book.exchanges), book.marks, courier.stopped) == (1, [], None)


def test_equal_runs_in_memory_give_equal_exchanges() -> None:
    def run() -> list[Exchange]:
        courier = Courier(Endpoint(lambda request, number: completion(str(number))).transport())
        for text in "abca":
            courier.send(chat(text))
        return courier.exchanges

    assert run() == run()
    assert [exchange.started for exchange in run()] == sorted(exchange.started or 0 for exchange in run())
