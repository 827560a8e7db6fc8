"""Stored completions on a shared account: a run leaves nothing, `cleanup` and `revisit` touch only what a run made."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.reference.endpoint import KEY, SECOND_KEY
from conformance.reference.server import start_process
from conformance.reference.store import Store, Stored
from tests.command_line import Cli

pytestmark = pytest.mark.sockets
FOREIGN = 1000
ENV = {"STORAGE_KEY": KEY, "OTHER_KEY": SECOND_KEY}


def others(store: Store) -> None:
    for number in range(FOREIGN):
        made = 1_700_000_000 + number
        body = {"id": f"chatcmpl-foreign{number}", "object": "chat.completion", "created": made, "model": "reference-1"}
        store.put(
            Stored(str(body["id"]), "first", made, "reference-1", body, {"messages": []}, {"colour": "red"}, made, made)
        )


def records(file: Path) -> dict[str, Stored]:
    store = Store(file)
    try:
        return {record.id: record for record in store.every("first", 2_000_000_000)}
    finally:
        store.close()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    file = tmp_path / "shared.sqlite"
    store = Store(file)
    others(store)
    store.close()
    with start_process("openai", store=file) as url:
        yield url, file


def count(file: Path) -> int:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM completions").fetchone()[0])


def certifying(url: str, report: Path, *more: str) -> tuple[str, ...]:
    keys = ("--api-key-env", "STORAGE_KEY", "--second-api-key-env", "OTHER_KEY")
    return ("run", "storage", "--base-url", url, *keys, "--report", str(report), "--no-progress", *more)


def test_a_run_on_a_shared_account_leaves_others_alone_and_nothing_of_its_own(
    shared: tuple[str, Path], cli: Cli
) -> None:
    url, file = shared
    before = records(file)
    done = cli(*certifying(url, cli.cwd / "report", "--effort", "quick"), env=ENV)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(before) == FOREIGN
    assert records(file) == before
    evidence = (cli.cwd / "report" / "evidence.jsonl").read_text("utf-8")
    assert KEY not in evidence
    assert SECOND_KEY not in evidence


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_a_broken_off_run_left_is_deleted_and_nothing_else(
    how: signal.Signals, shared: tuple[str, Path], cli: Cli
) -> None:
    url, file = shared
    before, report = records(file), cli.cwd / "report"
    process = cli.start(*certifying(url, report, "--rate", "20/s"), env=ENV)
    until = time.monotonic() + 60
    while count(file) <= FOREIGN and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(how)
    process.communicate(timeout=60)
    if how is signal.SIGINT:
        assert records(file) == before
        return
    answered = (report / "evidence.jsonl").read_text("utf-8")
    done = cli("cleanup", report, "--api-key-env", "STORAGE_KEY", env=ENV)
    assert done.returncode == 0, done.stdout + done.stderr
    # What was not answered before the run was killed has no id that this run knows of.
    left = records(file)
    assert {name: left.pop(name) for name in before} == before
    assert not any(name in answered for name in left)


def test_what_is_planted_stays_until_it_is_cleaned_up(shared: tuple[str, Path], cli: Cli) -> None:
    url, file = shared
    before, report = records(file), cli.cwd / "report"
    assert cli(*certifying(url, report, "--effort", "quick", "--plant"), env=ENV).returncode == 0
    left = set(records(file)) - set(before)
    assert len(left) == 1
    assert "nothing was left" in cli("cleanup", report, "--api-key-env", "STORAGE_KEY", env=ENV).stdout
    assert set(records(file)) - set(before) == left
    assert "1 of 1 deleted" in cli("cleanup", report, "--api-key-env", "STORAGE_KEY", "--planted", env=ENV).stdout
    assert records(file) == before


def test_revisit_sees_what_is_kept_and_what_is_purged(tmp_path: Path, cli: Cli) -> None:
    dialect, file, report = tmp_path / "short.yaml", tmp_path / "store.sqlite", cli.cwd / "report"

    def promise(seconds: float) -> None:
        dialect.write_text(
            f"name: short\ntitle: Short\nextends: openai\nlimits:\n  retention.test.total: {seconds}\n", "utf-8"
        )

    def look(url: str) -> tuple[int, str]:
        given = ("--api-key-env", "STORAGE_KEY", "--slack", "0", "--base-url", url, "--dialect", dialect)
        done = cli("revisit", report, *given, env=ENV)
        return done.returncode, done.stdout + done.stderr

    promise(3600)
    with start_process("openai", store=file) as url:
        done = cli(*certifying(url, report, "--effort", "quick", "--plant", "--dialect", str(dialect)), env=ENV)
        assert done.returncode == 0, done.stdout + done.stderr
        code, said = look(url)
        assert (code, "kept, as promised" in said, "come back after" in said) == (0, True, True), said
        promise(0.1)
        code, said = look(url)
        assert (code, "still there after its time" in said) == (1, True), said
    with start_process("openai", store=file, retention=0.1) as url:
        code, said = look(url)
        assert (code, "purged, as promised" in said) == (0, True), said
        promise(3600)
        code, said = look(url)
        assert (code, "gone before its time" in said) == (1, True), said


@pytest.mark.parametrize("command", ["cleanup", "revisit"])
def test_a_directory_without_evidence_is_told_in_a_sentence(command: str, cli: Cli) -> None:
    done = cli(command, cli.cwd)
    assert done.returncode == 2
    assert done.stderr.startswith("conformance: cannot read ")
    assert "Traceback" not in done.stderr
