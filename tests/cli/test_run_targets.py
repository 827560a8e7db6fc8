"""A configuration and several targets, through processes."""

import json
import os
import signal
import time

import pytest

from tests.command_line import COMPLETION, KEY, Toy, served_toy

pytestmark = pytest.mark.sockets
HEAD = "effort: quick\nno-progress: true\nselectors: [response]\nconcurrency: 4\n"


def written(cli, text):
    (cli.cwd / "conformance.yaml").write_text(text)


def outcome(cli, name):
    return json.loads((cli.cwd / name / "report.json").read_text())["outcome"]


def test_one_report_each_and_the_table_of_all(cli, toy):
    text = f"""{HEAD}targets:
  - name: good
  - name: bad
    fault: [ro-id-empty]
  - name: away
    base-url: {toy.url}
    models: [toy-1, toy-2]
    api-key-env: TOY_KEY
"""
    written(cli, text)
    env = {"TOY_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    done = cli("run", "--config", "conformance.yaml", "--report", "out", env=env)
    assert done.returncode == 1, done.stdout + done.stderr
    names = ["good", "bad", "away-toy-1", "away-toy-2"]
    assert [outcome(cli, f"out/{name}") for name in names] == ["conformant", *["nonconformant"] * 3]
    lines = done.stdout.splitlines()
    assert any(line.startswith("good: CONFORMANT: ") for line in lines)
    assert any(line.startswith("away-toy-2: NONCONFORMANT: ") for line in lines)
    assert "[1]       [2]       [3]       [4]       level   requirement" in lines
    table = json.loads((cli.cwd / "out" / "table.json").read_text())
    assert [report["name"] for report in table["reports"]] == names
    assert [report["exit_code"] for report in table["reports"]] == [0, 1, 1, 1]
    assert "| [3] | `away-toy-1` |" in (cli.cwd / "out" / "table.md").read_text()
    told = done.stdout + done.stderr + "".join(path.read_text() for path in (cli.cwd / "out").rglob("*.*"))
    assert KEY not in told
    assert {json.dumps(headers).count(KEY) for path, headers in toy.seen if path.endswith("completions")} <= {0, 1}
    assert any(KEY in headers.get("Authorization", "") for _, headers in toy.seen)


def test_one_target_is_an_ordinary_run(cli):
    written(cli, f"{HEAD}targets:\n  - name: good\n  - name: bad\n    fault: [ro-id-empty]\n")
    good = cli("run", "--config", "conformance.yaml", "--target", "good", "--report", "a")
    bad = cli("run", "--config", "conformance.yaml", "--target", "bad", "--report", "b")
    assert (good.returncode, bad.returncode) == (0, 1), good.stderr + bad.stderr
    assert (outcome(cli, "a"), outcome(cli, "b")) == ("conformant", "nonconformant")


def test_a_file_without_targets_sets_options(cli):
    written(cli, f"{HEAD}fault: [ro-id-empty]\nformat: json\n")
    done = cli("run", "--config", "conformance.yaml", "--report", "a")
    assert done.returncode == 1
    assert sorted(path.name for path in (cli.cwd / "a").iterdir()) == ["evidence.jsonl", "report.json"]


def test_everything_is_checked_before_anything_is_sent(cli, toy):
    written(cli, f"{HEAD}targets:\n  - base-url: {toy.url}\n  - name: bad\n    dialect: nobody\n")
    done = cli("run", "--config", "conformance.yaml", "--report", "out")
    assert done.returncode == 2
    assert "no dialect is called 'nobody'" in done.stderr
    assert toy.seen == []
    assert not (cli.cwd / "out").exists()


def test_a_target_that_cannot_be_judged_is_worse_than_one_that_conforms(cli):
    written(cli, f"{HEAD}targets:\n  - name: good\n  - name: gone\n    base-url: http://127.0.0.1:9/v1\n")
    done = cli("run", "--config", "conformance.yaml", "--report", "out")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "gone: NO VERDICT" in done.stdout
    assert outcome(cli, "out/good") == "conformant"


def test_a_plan_of_all_sends_nothing(cli, toy):
    written(cli, f"{HEAD}targets:\n  - name: a\n    base-url: {toy.url}\n  - name: b\n")
    done = cli("run", "--config", "conformance.yaml", "--plan")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("nothing was sent") == 2
    assert toy.seen == []
    assert [path.name for path in cli.cwd.iterdir()] == ["conformance.yaml"]


def test_an_interruption_is_passed_on_and_leaves_partial_reports(cli):
    with served_toy(Toy(dict(COMPLETION), delay=0.3)) as toy:
        targets = "".join(f"  - name: {name}\n    base-url: {toy.url}\n" for name in "ab")
        written(cli, f"no-progress: true\nconcurrency: 2\ntargets:\n{targets}")
        process = cli.start("run", "--config", "conformance.yaml", "--report", "out")
        deadline = time.monotonic() + 40
        while len(toy.seen) < 24 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "a: INTERRUPTED" in out
    assert {outcome(cli, f"out/{name}") for name in "ab"} == {"interrupted"}
