"""Send a plan: its groups side by side, scenarios beside them, bad keys last and one at a time; and write the marks.

Works against anything that sends (`Sender`), with threads (`gather`) or without (`in_order`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import count
from typing import Protocol

from conformance.probes.base import Base, Listener, Probe
from conformance.probes.plan import Item, Plan, plain_request
from conformance.wire.exchange import Exchange, Request
from conformance.wire.traces import Lifecycle, Mark, Relation, Trace

CLOSING = 99
"""The ordinal of the control that is sent when everything else has been: a success after a failure."""
GRACE = 5.0
"""Seconds that requests in flight get to end after an interruption."""
Judge = Callable[[Trace], bool]
"""Whether a trace violates something: scenarios that look for the shortest sequence ask it."""
Progress = Callable[[int, int, str], None]
"""Hears: groups and scenarios done, how many there are, the area of the one just done."""


class Sender(Protocol):
    """What sends: `conformance.transport.courier.Courier`."""

    def stop(self, why: str) -> None:
        """Send nothing more."""

    @property
    def canary(self) -> Listener | None:
        """A listener that the endpoint can reach, or None."""

    def send(self, request: Request, ordinal: int = 0, *, fresh: bool = False, lane: str = "") -> Exchange | None:
        """The answer, or None where nothing is sent any more."""

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the run is over."""

    def mark(self, mark: Mark) -> None:
        """Write a mark."""


class Ended(Exception):
    """Nothing is sent any more: a scenario ends here, cleaning up on its way out."""


class ScenarioSession:
    """A scenario's hands (`conformance.probes.base.Session`). Raises Ended from `send` when the run is over."""

    def __init__(self, base: Base, sender: Sender, probe: Probe, abreast: int = 1, judge: Judge | None = None) -> None:
        """`abreast` is how many requests may be under way side by side; `judge` says what violates something."""
        self.base = base
        self._sender = sender
        self._probe = probe
        self._abreast = abreast
        self._judge = judge
        self._serial = count()

    @property
    def canary(self) -> Listener | None:
        """A listener that the endpoint can reach, or None."""
        return self._sender.canary

    def send(self, request: Request, *, fresh: bool = False) -> Exchange:
        """Send, or answer from the memo unless `fresh` or state-changing."""
        exchange = self._sender.send(request, fresh=fresh, lane=self._probe.area)
        if exchange is None:
            raise Ended
        return exchange

    def together(self, requests: Sequence[Request]) -> list[Exchange]:
        """Send side by side, one after the other where only one may be under way."""
        if self._abreast < 2:
            return [self.send(request, fresh=True) for request in requests]
        with ThreadPoolExecutor(min(self._abreast, len(requests)), thread_name_prefix="together") as pool:
            return list(pool.map(lambda request: self.send(request, fresh=True), requests))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._sender.wait(seconds)

    def diverges(self, exchanges: Sequence[Exchange], stored_id: str) -> bool:
        """As the run judges, where it does."""
        return self._judge is not None and self._judge(Lifecycle(tuple(exchanges), stored_id))

    def mark(self, exchange: Exchange, relation: Relation, group: str, role: str, about: str = "") -> None:
        """Write a mark."""
        self._sender.mark(Mark(relation, group, role, exchange.id, about))

    def group(self, name: str) -> str:
        """A group name that is unique in this run."""
        return f"{self._probe.name}/{name}#{next(self._serial)}"


def send_item(item: Item, sender: Sender) -> bool:
    """Send one group in order and mark it; false where the run ended before it was whole."""
    exchanges: list[Exchange] = []
    for ask in item.group.asks:
        exchange = sender.send(ask.request, ask.ordinal, lane=item.probe.area)
        if exchange is None:
            return False
        exchanges.append(exchange)
    if item.group.relation is not Relation.SINGLE:
        for ask, exchange in zip(item.group.asks, exchanges, strict=True):
            sender.mark(Mark(item.group.relation, item.name, ask.role, exchange.id, item.group.about))
    return True


def play(probe: Probe, base: Base, sender: Sender, abreast: int = 1, judge: Judge | None = None) -> None:
    """Run one scenario until it is done or the run is over."""
    if probe.scenario is None:
        return
    try:
        probe.scenario(ScenarioSession(base, sender, probe, abreast, judge))
    except Ended:
        return


def _close(plan: Plan, sender: Sender) -> None:
    """One more plain completion, so that what failed near the end has a success after it."""
    sender.send(plain_request(plan.base), CLOSING, lane="preflight")


def in_order(plan: Plan, sender: Sender) -> None:
    """Send everything in this thread, in one fixed order: opening, groups, scenarios, bad keys, closing.

    What a scenario raises is raised.
    """
    for ask in plan.opening:
        sender.send(ask.request, ask.ordinal, lane="preflight")
    for item in plan.items:
        send_item(item, sender)
    for probe in plan.scenarios:
        play(probe, plan.base, sender)
    for item in plan.last:
        send_item(item, sender)
    for probe in plan.last_scenarios:
        play(probe, plan.base, sender)
    _close(plan, sender)


class _Tally:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._lock = threading.Lock()
        self._done = 0
        self._total = total
        self._progress = progress

    def did(self, area: str) -> None:
        with self._lock:
            self._done += 1
            done = self._done
        if self._progress is not None:
            self._progress(done, self._total, area)


def _finish(futures: Iterable[Future[None]]) -> None:
    """Wait for all; raise what one of them raised. Waits in short steps, so that Ctrl-C gets through."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()


def gather(
    plan: Plan, sender: Sender, *, concurrency: int, progress: Progress | None = None, judge: Judge | None = None
) -> list[str]:
    """Send everything, `concurrency` groups at a time. The opening has been sent by preflight.

    Returns a sentence for each scenario that raised: a defect of ours, which ends that scenario and nothing else.

    On KeyboardInterrupt nothing more is sent, what is in flight gets `GRACE` seconds to end, and it is raised again.
    """
    scenarios = len(plan.scenarios) + len(plan.last_scenarios)
    tally = _Tally(len(plan.items) + len(plan.last) + scenarios, progress)

    def group(item: Item) -> None:
        if send_item(item, sender):
            tally.did(item.probe.area)

    defects: list[str] = []

    def scenario(probe: Probe) -> None:
        try:
            play(probe, plan.base, sender, concurrency, judge)
        except Exception as error:  # whatever it stumbled over, the other probes have their say
            defects.append(f"the probe {probe.name} raised {type(error).__name__}: a defect of this suite")
        tally.did(probe.area)

    beside = ThreadPoolExecutor(max(1, len(plan.scenarios)), thread_name_prefix="scenario")
    pool = ThreadPoolExecutor(max(1, concurrency), thread_name_prefix="gather")
    futures: list[Future[None]] = []
    try:
        futures += [beside.submit(scenario, probe) for probe in plan.scenarios]
        futures += [pool.submit(group, item) for item in plan.items]
        _finish(futures)
        for item in plan.last:
            group(item)
        for probe in plan.last_scenarios:
            scenario(probe)
        _close(plan, sender)
    except KeyboardInterrupt:
        sender.stop("interrupted")
        wait(futures, timeout=GRACE)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        beside.shutdown(wait=False, cancel_futures=True)
    return defects
