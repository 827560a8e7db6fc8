"""A look at a run while it is under way: how far it is, and how many requirements are known to be violated."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from conformance.reporting.progress import RunProgress
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import judge_traces
from conformance.suite.judging import ASIDE
from conformance.wire.exchange import Exchange
from conformance.wire.traces import Single


class Watcher:
    """Tells progress, and counts on the way which requirements single exchanges violate already."""

    def __init__(self, progress: RunProgress, rules: Iterable[Rule], terms: Terms) -> None:
        """`rules` are those on single exchanges; none of them means: no count."""
        self._progress = progress
        self._rules = list(rules)
        self._terms = terms
        self._violated: set[str] = set()
        self._lock = threading.Lock()

    def progress(self, done: int, planned: int, area: str) -> None:
        """Groups done of groups planned."""
        self._progress.step(done, planned, area)

    def sent(self, exchange: Exchange, lane: str) -> None:
        """One more exchange; what was sent to shrink or confirm is not news."""
        if lane in ASIDE or not self._rules:
            return
        said = judge_traces(self._rules, [Single((exchange,))], self._terms)
        found = {judgement.requirement for judgement in said if judgement.findings}
        if found:
            with self._lock:
                self._violated |= found
                self._progress.found(len(self._violated))
