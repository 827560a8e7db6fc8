"""How a budget is split, how a target's command line is made, and which exit code is the worst."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.suite import config_file, targets
from conformance.suite.options import OPTIONS, UsageProblem
from conformance.suite.targets import Crew, Job, Share

BASE = config_file.options({}, environ={})


@pytest.mark.parametrize(
    ("number", "concurrency", "beside", "each"), [(2, 8, 2, 4), (3, 8, 3, 2), (12, 8, 8, 1), (1, 8, 1, 8), (2, 1, 1, 1)]
)
def test_what_is_in_flight_never_exceeds_the_budget(number, concurrency, beside, each):
    options = replace(BASE, concurrency=concurrency, rate=6.0)
    assert targets.at_once(number, concurrency) == beside
    found = targets.shares(options, number)
    assert {share.concurrency for share in found} == {each}
    assert beside * each <= concurrency
    assert all(share.rate * beside == pytest.approx(6.0) for share in found)


@pytest.mark.parametrize("total", [3, 4, 100])
def test_totals_are_split_without_rest(total):
    found = targets.shares(replace(BASE, max_requests=total, max_tokens_total=total), 3)
    assert sum(share.max_requests for share in found) == total
    assert sum(share.max_tokens_total for share in found) == total
    assert min(share.max_requests for share in found) >= 1


def test_a_budget_that_cannot_be_split_is_refused():
    with pytest.raises(UsageProblem, match="--max-requests: 2 are too few for 3 targets"):
        targets.shares(replace(BASE, max_requests=2), 3)


def test_a_command_line_holds_what_was_given_and_the_share():
    given = {
        "seed": 0,
        "effort": "quick",
        "header": ("X: 1", "-Y: 2"),
        "strict": True,
        "require_all": True,
        "report": "r",
        "rate": "9",
    }
    job = Job("a", Share(2, 1.5, 10), Path("r/a"))
    words = targets.command(job, Path("c.yaml"), given, ("sse", "-x"))
    assert words[:4] == [sys.executable, "-m", "conformance", "run"]
    assert "--config=c.yaml" in words
    assert "--target=a" in words
    assert "--header=-Y: 2" in words
    assert "--require-all" in words
    assert "--rate=1.5" in words
    assert "--seed=0" in words
    assert "--max-requests=10" in words
    assert not any(word.startswith("--max-tokens-total") for word in words)
    assert "--report=r/a" in words
    assert words[words.index("--") :] == ["--", "sse", "-x"]


def test_every_flag_is_passed_on_or_shared():
    given = {option.key: ("x",) if option.many else True if option.kind == "flag" else "x" for option in OPTIONS}
    passed = {word.split("=")[0] for word in targets.flags(given)}
    kept = {"--config", "--target", "--no-progress", *(f"--{name.replace('_', '-')}" for name in config_file.SHARED)}
    assert passed == {option.name for option in OPTIONS} - kept


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 2], 2), ([2, 1, 0], 1), ([1, 130], 130), ([], 2), ([0, 1], 1)]
)
def test_the_worst_exit_code(codes, code):
    assert targets.worst(codes) == code


def crew(tmp_path, script):
    (tmp_path / "child.py").write_text(script)
    return Crew(lambda job: [sys.executable, str(tmp_path / "child.py"), job.name])


def test_a_process_without_report_is_told_by_what_it_said_last(tmp_path):
    team = crew(tmp_path, "import sys\nprint('conformance: no key', file=sys.stderr)\nsys.exit(2)\n")
    heard = []
    found = team.run([Job(name, Share(1), tmp_path / name) for name in "abc"], 2, heard.append)
    assert [done.text for done in found] == [f"{name}: no key" for name in "abc"]
    assert len(heard) == 3
    assert targets.side_by_side(found).reports == ()


def test_a_process_that_is_killed_is_no_verdict(tmp_path):
    team = crew(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    found = team.run([Job("a", Share(1), tmp_path / "a")], 1, lambda done: None)
    assert found[0].exit_code == 2
    assert found[0].text == "a: no report, exit code 2"


def test_what_has_not_begun_when_interrupted_does_not_begin(tmp_path):
    team = crew(tmp_path, "raise SystemExit(0)\n")
    team.interrupted = True
    assert team.run([Job("a", Share(1), tmp_path / "a")], 1, lambda done: None)[0].exit_code == 130
