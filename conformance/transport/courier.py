"""What stands between probes and a transport: budgets, rate, concurrency, retries, memo, ownership, bookkeeping.

Everything that was sent becomes an exchange with an id in order of sending, and reaches the recorder once.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import unquote

from pyrate_limiter import Limiter, Rate

from conformance.transport.base import Listener, Transport
from conformance.transport.retries import Patience, changes_state, pause_before_retry
from conformance.wire.exchange import End, Exchange, Request
from conformance.wire.stored import nameable
from conformance.wire.strict_json import is_integer
from conformance.wire.traces import Mark

BAD_KEYS = 6
"""Requests with a wrong key or none, in one run: providers lock accounts that send many."""
SILENCE = 12
"""Exchanges in a row without any status, after which the endpoint is taken for gone."""
BUSY = 5
"""Requests in a row that were answered by 429 to the last retry, after which the run ends."""
_SLICE = 0.2
_KEYLESS = frozenset({"none", "as_given"})
_STORED = "/chat/completions/"


class Recorder(Protocol):
    """Where exchanges and marks are written as they happen (`conformance.reporting.evidence.EvidenceWriter`)."""

    def exchange(self, exchange: Exchange) -> None:
        """One more exchange."""

    def mark(self, mark: Mark) -> None:
        """One more mark."""


@dataclass(frozen=True)
class Limits:
    """What a run may spend. None means: no bound. `rate` is requests per second."""

    requests: int | None = None
    tokens: int | None = None
    rate: float | None = None
    concurrency: int = 8
    patience: Patience = field(default_factory=Patience)


@dataclass
class Counts:
    """What a run has spent. `generating` counts answers that hold a completion."""

    requests: int = 0
    generating: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    by_lane: dict[str, int] = field(default_factory=dict)
    seconds_by_lane: dict[str, float] = field(default_factory=dict)


MemoKey = tuple[Request, int]
"""Requests hold no credentials, so a request and its ordinal say all that the answer may depend on."""


def _tokens(exchange: Exchange) -> tuple[int, int]:
    usage = exchange.answer.usage if exchange.answer is not None else None
    if not isinstance(usage, dict):
        return 0, 0
    found = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    prompt, completion = (value if is_integer(value) and 0 <= value < 10**9 else 0 for value in found)
    return prompt, completion


class Courier:
    """Shared by threads. `send` answers None where nothing is sent any more: budget spent, stopped, endpoint gone."""

    def __init__(
        self,
        transport: Transport,
        limits: Limits | None = None,
        recorder: Recorder | None = None,
        *,
        serial: int = 0,
        sent: Callable[[Exchange, str], None] | None = None,
        earlier: Mapping[str, Exchange] | None = None,
    ) -> None:
        """`serial` is the number of the last id already used; `sent` hears of every exchange and its lane.

        `earlier` are exchanges by id: where an equal one comes in, it stands for the new one, and what has been read of
        it need not be read again.
        """
        self._transport = transport
        self._limits = limits or Limits()
        self._recorder = recorder
        self._sent = sent
        self._earlier = earlier or {}
        self._lock = threading.Lock()
        self._gate = threading.BoundedSemaphore(max(1, self._limits.concurrency))
        self._alone = threading.Lock()
        self._limiter = _limiter(self._limits.rate)
        self._serial = serial
        self._resume_at = 0.0
        self._silent = 0
        self._busy = 0
        self._bad_keys = 0
        self._closed = False
        self._memo: dict[MemoKey, Exchange] = {}
        self._pending: dict[MemoKey, threading.Lock] = {}
        self._owned: set[str] = set()
        self.exchanges: list[Exchange] = []
        self.marks: list[Mark] = []
        self.counts = Counts()
        self.stopped: str | None = None
        """Why nothing is sent any more, as one phrase."""

    @property
    def canary(self) -> Listener | None:
        """The transport's listener."""
        return self._transport.canary

    def stop(self, why: str) -> None:
        """Send nothing more. What is in flight ends by itself; clean-up of this run's stored completions still goes."""
        with self._lock:
            self.stopped = self.stopped or why

    def close(self) -> None:
        """Record nothing more, whatever still comes back, and let go of connections."""
        with self._lock:
            self._closed = True
        self._transport.close()

    def mark(self, mark: Mark) -> None:
        """Write a mark."""
        with self._lock:
            if self._closed:
                return
            self.marks.append(mark)
            if self._recorder is not None:
                self._recorder.mark(mark)

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the run is over."""
        self._sleep(seconds)

    def send(self, request: Request, ordinal: int = 0, *, fresh: bool = False, lane: str = "") -> Exchange | None:
        """The answer, from the memo where an equal request with this ordinal was sent before.

        `fresh` sends in any case and leaves the memo alone. State-changing requests are always sent. `lane` names the
        account that the request goes on: an area, `shrink`, `confirm`.
        """
        if request.auth in _KEYLESS:
            with self._alone:
                return self._memoised(request, ordinal, fresh, lane)
        return self._memoised(request, ordinal, fresh, lane)

    def _memoised(self, request: Request, ordinal: int, fresh: bool, lane: str) -> Exchange | None:
        if fresh or changes_state(request):
            return self._deliver(request, lane)
        key = (request, ordinal)
        with self._lock:
            found = self._memo.get(key)
            pending = self._pending.setdefault(key, threading.Lock()) if found is None else None
        if found is not None or pending is None:
            return found
        with pending:  # an equal request that is under way answers for both
            with self._lock:
                found = self._memo.get(key)
            if found is None:
                found = self._deliver(request, lane)
                if found is not None and found.end is End.COMPLETE:
                    with self._lock:
                        self._memo[key] = found
        return found

    def _deliver(self, request: Request, lane: str) -> Exchange | None:
        refusal = self._not_ours(request)
        if refusal is not None:
            return self._refuse(request, refusal)
        patience = self._limits.patience
        last: Exchange | None = None
        waited = 0.0
        for attempt in itertools.count(1):
            with self._gate:
                name = self._admit(request)
                if name is None:
                    break
                begun = self._transport.now()
                answer = self._transport.send(request)
                seconds = self._transport.now() - begun
            found = replace(answer, id=name, retry_of=last.id if last else None)
            known = self._earlier.get(name)
            last = self._keep(known if known is not None and known == found else found, lane, seconds)
            pause = pause_before_retry(last, attempt, waited, self._transport.now(), patience)
            if pause is None or request.auth in _KEYLESS:
                break
            waited += pause
            if last.status == 429:
                with self._lock:
                    self._resume_at = max(self._resume_at, self._transport.now() + pause)
            else:
                self._sleep(pause)
        self._count_refusals(last)
        return last

    def _count_refusals(self, last: Exchange | None) -> None:
        """An endpoint that answers 429 through all retries, time and again, has had enough: so has the run."""
        if last is None:
            return
        with self._lock:
            self._busy = self._busy + 1 if last.status == 429 else 0
            if self._busy >= BUSY and self.stopped is None:
                self.stopped = f"the endpoint answered 429 to {BUSY} requests in a row, retries included"

    def _refuse(self, request: Request, why: str) -> Exchange:
        """Record that a request was not sent, and why."""
        with self._lock:
            self._serial += 1
            exchange = Exchange(f"e{self._serial}", request, end=End.NOT_SENT, note=why)
            self._record(exchange)
        return exchange

    def _admit(self, request: Request) -> str | None:
        """Wait for rate and pauses, then the id to send under; None where nothing may be sent any more."""
        cleanup = request.method == "DELETE" and request.route.startswith(_STORED)
        self._sleep(max(0.0, self._resume_at - self._transport.now()))
        if self._limiter is not None:
            while not self._limiter.try_acquire("requests", blocking=False):
                if self.stopped:
                    break
                self._transport.wait(min(_SLICE, 0.5 / (self._limits.rate or 1.0)))
        with self._lock:
            if not cleanup:
                self._check_budget(request)
            if self._closed or (self.stopped is not None and not cleanup):
                return None
            if request.auth in _KEYLESS:
                if self._bad_keys >= BAD_KEYS:
                    return None
                self._bad_keys += 1
            self._serial += 1
            self.counts.requests += 1
            return f"e{self._serial}"

    def _check_budget(self, request: Request) -> None:
        limits, counts = self._limits, self.counts
        if self.stopped is not None:
            return
        if limits.requests is not None and counts.requests >= limits.requests:
            self.stopped = f"the budget of {limits.requests} requests is spent (--max-requests)"
        elif limits.tokens is not None and counts.prompt_tokens + counts.completion_tokens >= limits.tokens:
            self.stopped = f"the budget of {limits.tokens} tokens is spent (--max-tokens-total)"
        elif self._silent >= SILENCE:
            self.stopped = f"the endpoint gave no answer {SILENCE} times in a row"

    def _sleep(self, seconds: float) -> None:
        until = self._transport.now() + seconds
        while self.stopped is None:
            left = until - self._transport.now()
            if left <= 0:
                return
            self._transport.wait(min(left, _SLICE))

    def _keep(self, exchange: Exchange, lane: str, seconds: float) -> Exchange:
        prompt, completion = _tokens(exchange)
        with self._lock:
            counts = self.counts
            counts.retries += exchange.retry_of is not None
            counts.generating += exchange.answer is not None
            counts.prompt_tokens += prompt
            counts.completion_tokens += completion
            counts.by_lane[lane] = counts.by_lane.get(lane, 0) + 1
            counts.seconds_by_lane[lane] = counts.seconds_by_lane.get(lane, 0.0) + seconds
            self._silent = 0 if exchange.status is not None else self._silent + 1
            self._note_owned(exchange)
            self._record(exchange)
        if self._sent is not None:
            self._sent(exchange, lane)
        return exchange

    def _record(self, exchange: Exchange) -> None:
        if self._closed:
            return
        self.exchanges.append(exchange)
        if self._recorder is not None:
            self._recorder.exchange(exchange)

    def _note_owned(self, exchange: Exchange) -> None:
        """Whatever a POST of this run made is the run's own, asked to be stored or not: some endpoints keep all."""
        if exchange.answer is not None and isinstance(exchange.answer.id, str) and nameable(exchange.answer.id):
            self._owned.add(exchange.answer.id)

    def _not_ours(self, request: Request) -> str | None:
        """Why a request is refused here: it would change or delete what this run did not make."""
        if request.method in ("GET", "HEAD") or not request.route.startswith(_STORED):
            return None
        target = unquote(request.route[len(_STORED) :].split("/", 1)[0])
        if target in self._owned:
            return None
        return f"not sent: this run did not create {target or 'that'}"


def _limiter(rate: float | None) -> Limiter | None:
    """One permit every 1/rate seconds."""
    return None if not rate else Limiter(Rate(1, max(1, round(1000 / rate))))
