"""Several targets side by side under one budget: a process for each, one report each, and the table of all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.reporting import comparison_text
from conformance.reporting.comparison import Named, Table, table, table_json
from conformance.suite.baseline_file import report_at
from conformance.suite.config_file import SHARED
from conformance.suite.options import OPTIONS, Options, UsageProblem
from conformance.suite.yaml_file import FileProblem

_WORST = (130, 1, 2, 0)
"""Exit codes, the worst first: as in one run, a violation comes before what could not be judged."""


@dataclass(frozen=True)
class Share:
    """What of the common budget one target may spend."""

    concurrency: int
    rate: float | None = None
    max_requests: int | None = None
    max_tokens_total: int | None = None


@dataclass(frozen=True)
class Job:
    """One target with its share, and where its report goes."""

    name: str
    share: Share
    report: Path


@dataclass(frozen=True)
class Done:
    """What came of a target: its report if there is one, else what its run said last."""

    name: str
    exit_code: int
    report: Named | None
    said: str

    @property
    def text(self) -> str:
        """For people, in a line."""
        if self.report is None:
            return f"{self.name}: {self.said or f'no report, exit code {self.exit_code}'}"
        found = self.report.report
        return f"{self.name}: {found.outcome.value.upper().replace('_', ' ')}: {found.reason}"


def at_once(targets: int, concurrency: int) -> int:
    """How many targets go side by side: each needs one request in flight at least."""
    return max(1, min(targets, concurrency))


def _parts(total: int | None, number: int, option: str) -> list[int | None]:
    if total is None:
        return [None] * number
    if total < number:
        raise UsageProblem(f"{option}: {total} are too few for {number} targets")
    return [total // number + (1 if place < total % number else 0) for place in range(number)]


def shares(options: Options, number: int) -> list[Share]:
    """The budget split: what is in flight and the rate among those side by side, the totals among all."""
    beside = at_once(number, options.concurrency)
    requests = _parts(options.max_requests, number, "--max-requests")
    tokens = _parts(options.max_tokens_total, number, "--max-tokens-total")
    rate = options.rate / beside if options.rate is not None else None
    return [Share(options.concurrency // beside, rate, requests[n], tokens[n]) for n in range(number)]


def flags(given: Mapping[str, Any]) -> list[str]:
    """Options as the user gave them, for another command line, without what all targets share."""
    made: list[str] = []
    for option in OPTIONS:
        value = given.get(option.key)
        if value is None or value is False or value == () or option.key in (*SHARED, "config", "target", "no_progress"):
            continue
        if option.kind == "flag":
            made.append(option.name)
        else:
            made += [f"{option.name}={item}" for item in (value if option.many else (value,))]
    return made


def command(job: Job, config: Path, given: Mapping[str, Any], selectors: Sequence[str]) -> list[str]:
    """The command line of one target. Headers and keys stay where they are: in the file and in the environment."""
    share = job.share
    limits = {
        "--concurrency": share.concurrency,
        "--rate": share.rate,
        "--max-requests": share.max_requests,
        "--max-tokens-total": share.max_tokens_total,
        "--report": job.report,
    }
    return [
        *(sys.executable, "-m", "conformance", "run", "--quiet", f"--config={config}", f"--target={job.name}"),
        *flags(given),
        *(f"{name}={value}" for name, value in limits.items() if value is not None),
        *("--", *selectors),
    ]


class Crew:
    """Runs jobs in processes of their own, so many at once; an interruption is passed on, and waited for."""

    def __init__(self, command_of: Callable[[Job], list[str]]) -> None:
        """`command_of` gives the command line of a job."""
        self._command_of = command_of
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self.interrupted = False

    def _run(self, job: Job) -> Done:
        with self._lock:
            if self.interrupted:
                return Done(job.name, 130, None, "interrupted before it began")
            # A session of its own: Ctrl-C reaches this process alone, which passes it on once.
            process = subprocess.Popen(
                self._command_of(job),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        _, errors = process.communicate()
        with self._lock:
            self._running.discard(process)
        return _done(job, process.returncode, errors)

    def _interrupt(self) -> None:
        with self._lock:
            self.interrupted = True
            for process in self._running:
                process.send_signal(signal.SIGINT)

    def run(self, jobs: Sequence[Job], beside: int, finished: Callable[[Done], None]) -> list[Done]:
        """All jobs, in their order. `finished` hears of each as it ends, in the calling thread."""
        with ThreadPoolExecutor(beside) as pool:
            futures = [pool.submit(self._run, job) for job in jobs]
            waiting = set(futures)
            while waiting:
                try:
                    for future in as_completed(waiting):
                        waiting.discard(future)
                        finished(future.result())
                except KeyboardInterrupt:
                    if self.interrupted:
                        raise
                    self._interrupt()
            return [future.result() for future in futures]


def _done(job: Job, code: int, errors: str) -> Done:
    lines = [line for line in errors.split("\n") if line.strip()]
    try:
        report = Named(job.name, report_at(job.report))
    except FileProblem:
        report = None
    # A process that was killed has a negative code: that is no verdict.
    return Done(
        job.name, code if code in _WORST else 2, report, lines[-1].removeprefix("conformance: ") if lines else ""
    )


def worst(codes: Iterable[int]) -> int:
    """The exit code of all."""
    return min(codes, key=_WORST.index, default=2)


def side_by_side(found: Sequence[Done]) -> Table:
    """The table of those that have a report."""
    return table([done.report for done in found if done.report is not None])


def write(found: Table, directory: Path) -> None:
    """The table as `table.md` and `table.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "table.md").write_text(comparison_text.table_markdown(found), "utf-8")
    (directory / "table.json").write_text(json.dumps(table_json(found), indent=1) + "\n", "utf-8")


def jobs(names: Sequence[str], options: Options, directory: Path) -> list[Job]:
    """A job for each target. `options` are those of any of them: what they share is the same."""
    split = shares(options, len(names))
    return [Job(name, share, directory / name) for name, share in zip(names, split, strict=True)]


def plan(found: Sequence[Job], command_of: Callable[[Job], list[str]], tell: Callable[[str], None]) -> int:
    """What would be sent to each target, one after the other; nothing is. Returns the worst exit code."""
    codes = []
    for job in found:
        words = command_of(job)
        words.insert(words.index("--"), "--plan")
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        tell(f"{job.name}:\n{done.stdout or done.stderr}")
        codes.append(done.returncode if done.returncode in _WORST else 2)
    return worst(codes)
