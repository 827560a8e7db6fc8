"""Faults, the user's own dialect, serve, audit and replay, through processes."""

import json
import select
import sys
import urllib.request

import pytest

from tests.command_line import COMPLETION, ROOT, environment

pytestmark = pytest.mark.sockets
QUICK = ("--effort", "quick", "--no-progress")


def rows_of(directory):
    return {row["id"]: row for row in json.loads((directory / "report.json").read_text())["requirements"]}


def test_a_fault_is_caught_and_replayed_against_the_same_fault(cli):
    fault = next(
        row
        for row in json.loads(cli("faults", "--json").stdout)
        if row["kind"] == "fault" and not row["condition"] and "sse.content_type.is_event_stream" in row["violates"]
    )
    done = cli("run", "sse", *QUICK, "--fault", fault["name"], "--report", "out")
    assert done.returncode == 1, done.stdout
    assert set(fault["violates"]) <= {name for name, row in rows_of(cli.cwd / "out").items() if row["findings"]}
    again = cli("replay", "out", "sse.content_type.is_event_stream", env={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})
    assert again.returncode == 1, again.stderr
    assert "VIOLATED again" in again.stdout


def test_a_users_dialect_switches_rows_off_and_moves_levels(cli, toy):
    wanted = "response.choices.*"
    first = cli("run", wanted, *QUICK, "--base-url", toy.url, "--report", "a")
    broken = [name for name, row in rows_of(cli.cwd / "a").items() if row["verdict"] == "fail"]
    assert first.returncode == 1
    rows = {broken[0]: {"off": "our gateway renumbers choices"}}
    rows |= {name: {"level": "MAY", "source": "https://example.test/contract"} for name in broken[1:]}
    (cli.cwd / "mine.yaml").write_text(
        json.dumps({"name": "mine", "title": "Mine", "extends": "openai", "rows": rows}), "utf-8"
    )
    second = cli("run", wanted, *QUICK, "--base-url", toy.url, "--dialect", "mine.yaml", "--report", "b")
    assert second.returncode != 1, second.stdout
    told = rows_of(cli.cwd / "b")
    assert told[broken[0]]["verdict"] == "excluded"
    assert told[broken[0]]["reason"] == "the dialect mine says: our gateway renumbers choices"
    assert all(told[name]["verdict"] == "info" for name in broken[1:])
    assert cli("verify", "b").returncode == 0
    (cli.cwd / "mine.yaml").unlink()
    moved = cli("verify", "b")
    assert moved.returncode == 2
    assert "cannot read the dialect file" in moved.stderr


def test_the_users_own_requests_are_sent_too(cli, toy):
    (cli.cwd / "mine").mkdir()
    empty = cli("run", "response", *QUICK, "--base-url", toy.url, "--fixtures", "mine", "--report", "a")
    assert empty.returncode == 2
    assert "there is no fixture in mine" in empty.stderr
    assert not (cli.cwd / "a").exists()

    shipped = next((ROOT / "fixtures").rglob("*.yaml"))
    (cli.cwd / "mine" / shipped.name).write_text(shipped.read_text("utf-8"), "utf-8")
    cli("run", "sse", *QUICK, "--base-url", toy.url, "--probe", "own_fixtures", "--fixtures", "mine", "--report", "b")
    run = json.loads((cli.cwd / "b" / "report.json").read_text())["run"]
    assert run["config"]["probes"] == ["own_fixtures"]
    assert run["areas"]["requests"]["requests"] > 0


def test_serve_tells_its_url_and_answers(cli):
    process = cli.start("serve", "--dialect", "xerotier")
    try:
        assert select.select([process.stdout], [], [], 30)[0], "no URL in time"
        url = process.stdout.readline().strip()
        request = urllib.request.Request(f"{url}/models", headers={"Authorization": "Bearer sk-reference-made-up-key"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["data"]
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_the_evidence_of_a_run_can_be_audited(cli, toy):
    cli("run", "response", *QUICK, "--base-url", toy.url, "--report", "out")
    done = cli("audit", "out/evidence.jsonl")
    assert done.returncode == 1, done.stderr
    assert "response.choices" in done.stdout


def test_what_holds_now_is_said_to_hold(cli, toy):
    cli("run", "response.choices.*", *QUICK, "--base-url", toy.url, "--report", "out")
    name = next(
        name for name, row in rows_of(cli.cwd / "out").items() if name.endswith("count_from_zero") and row["findings"]
    )
    toy.completion = {**COMPLETION, "choices": [{**COMPLETION["choices"][0], "index": 0}]}
    done = cli("replay", "out", name)
    assert done.returncode == 0, done.stdout
    assert f"HELD this time: {name}" in done.stdout


def test_a_suite_that_breaks_comes_to_no_verdict(cli):
    (cli.cwd / "breaking.py").write_text(
        "import sys\nfrom conformance.suite import campaign\n"
        "def gather(*arguments, **more):\n    raise ZeroDivisionError\n"
        "campaign.gather = gather\n"
        "from conformance.cli import main\nmain(sys.argv[1:])\n"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "breaking.py", "run", "sse", *QUICK, "--report", "out"],
        cwd=cli.cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    assert "NO VERDICT: the suite itself failed: ZeroDivisionError" in done.stdout
    assert not any(row["exercised"] for row in rows_of(cli.cwd / "out").values())


def test_colour_is_for_who_asks(cli):
    plain = cli("run", "sse", *QUICK, "--report", "a")
    coloured = cli("run", "sse", *QUICK, "--report", "b", "--color", "always")
    assert "\x1b[" not in plain.stdout
    assert "\x1b[" in coloured.stdout
