"""How far a run is, on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

EVERY = 5.0
"""Seconds between two plain lines."""


class RunProgress:
    """Hears from any thread how many groups of requests are done; tells it at most a few times a second.

    `violations` counts what was found so far. Used in `with`, so that the bar is gone when the report is shown.
    """

    def __init__(self, console: Console, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        """`console` should write to stderr; a console that is no terminal gets plain lines."""
        self._console = console
        self._quiet = quiet
        self._clock = clock
        self._lock = threading.Lock()
        self._told = clock()
        self._violations = 0
        self._bar = (
            Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[found]}"),
                console=console,
                transient=True,
                refresh_per_second=4,
            )
            if console.is_terminal and not quiet
            else None
        )
        self._task = self._bar.add_task("preflight", total=None, found="") if self._bar is not None else None

    def say(self, text: str) -> None:
        """One line of its own: what begins now."""
        if self._quiet:
            return
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=text)
        else:
            self._console.print(text, markup=False, soft_wrap=True)

    def found(self, violations: int) -> None:
        """How many requirements are known to be violated."""
        with self._lock:
            self._violations = violations

    def step(self, done: int, total: int, area: str) -> None:
        """`done` of `total` groups and scenarios; the last one was of `area`."""
        if self._quiet:
            return
        with self._lock:
            words = "violation" if self._violations == 1 else "violations"
            found = f"{self._violations} {words} so far"
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, description=area, completed=done, total=total, found=found)
                return
            now = self._clock()
            if done < total and now - self._told < EVERY:
                return
            self._told = now
        self._console.print(f"{done} of {total} done, now {area}, {found}", markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
