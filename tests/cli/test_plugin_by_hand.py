"""The same run by `pytest -p conformance.plugin`, with pytest's own options and exit codes."""

import json
import subprocess
import sys

import pytest

from tests.command_line import environment

pytestmark = pytest.mark.sockets


def by_hand(cwd, *arguments, timeout=120, **env):
    command = [sys.executable, "-m", "pytest", "-p", "conformance.plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def suite(cwd, *arguments, **env):
    return by_hand(cwd, "--pyargs", "conformance.suite", "--effort", "quick", "--report", "out", *arguments, **env)


def test_it_is_the_same_run_with_pytests_own_selection(tmp_path):
    done = suite(tmp_path, "-k", "sse and encoding")
    assert done.returncode == 0, done.stdout
    assert "certifying the EMBEDDED endpoint" in done.stdout
    assert "CONFORMANT" in done.stdout
    ids = [row["id"] for row in json.loads((tmp_path / "out" / "report.json").read_text())["requirements"]]
    assert ids
    assert all(name.startswith("sse.encoding") for name in ids)


def test_capabilities_are_keywords(tmp_path):
    done = suite(tmp_path, "--collect-only", "-q", "-k", "streaming and not stream_tools and not stream_errors")
    assert done.returncode == 0
    areas = {line.split("[")[1].split(".")[0] for line in done.stdout.splitlines() if "[" in line}
    assert {"sse", "stream"} <= areas
    assert not areas & {"tools", "stream_tools", "stream_errors"}
    assert not (tmp_path / "out").exists()


def test_a_violation_is_a_failed_item_with_its_finding(tmp_path, toy):
    done = suite(tmp_path, "--base-url", toy.url, "--requirement", "response.choices.*", "-rA")
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "expected:" in done.stdout
    assert "curl -sS" in done.stdout
    assert "Traceback" not in done.stdout
    assert "NONCONFORMANT" in done.stdout


def test_a_users_ini_turns_no_warning_into_a_failure(tmp_path, toy):
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    should = ["response.*", "errors.*"]
    selected = [item for name in should for item in ("--requirement", name)]
    done = suite(tmp_path, "--base-url", toy.url, *selected)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    warned = {row["id"] for row in report["requirements"] if row["verdict"] == "warn"}
    failed = {line.split("[")[1].split("]")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")}
    assert not warned & failed


def test_xdist_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "numprocesses.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--numprocesses', type=int, default=None)\n"
    )
    done = suite(
        tmp_path, "-p", "numprocesses", "--numprocesses", "2", PYTHONPATH=f"{tmp_path}:{environment()['PYTHONPATH']}"
    )
    assert done.returncode == 4
    assert "run it without xdist" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_usage_problem_is_one_sentence(tmp_path):
    done = suite(tmp_path, "--dialect", "nobody")
    assert done.returncode == 4
    assert "no dialect is called 'nobody'" in done.stderr
    assert "Traceback" not in done.stderr


def test_pytest_base_url_does_not_end_the_session(tmp_path):
    pytest.importorskip("pytest_base_url")
    done = suite(tmp_path, "--collect-only", "-q", "--requirement", "sse")
    assert done.returncode == 0, done.stderr


def test_our_own_trouble_is_an_error_and_no_failure(tmp_path):
    (tmp_path / "breaks_a_rule.py").write_text(
        "from conformance import rules\n"
        "from conformance.rules import base\n"
        "from dataclasses import replace\n"
        "rules.load()\n"
        "name = 'sse.encoding.is_utf8'\n"
        "def check(trace, terms):\n    raise ValueError('what the endpoint sent')\n    yield\n"
        "base.RULES[name] = replace(base.RULES[name], check=check, when=None)\n"
    )
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    done = suite(tmp_path, "-p", "breaks_a_rule", "--requirement", "sse.encoding.*", PYTHONPATH=path)
    assert "ERROR" in done.stdout
    assert "the rule sse.encoding.is_utf8 raised ValueError" in done.stdout
    assert "what the endpoint sent" not in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["outcome"] == "incomplete"
    assert next(row for row in report["requirements"] if row["id"] == "sse.encoding.is_utf8")["verdict"] == "error"


def test_what_is_known_is_expected_to_fail(tmp_path):
    entry = {"requirement": "response.id.is_text", "reason": "known", "owner": "ana", "expires": "2999-12-31"}
    (tmp_path / "w.yaml").write_text(json.dumps({"waivers": [entry]}))
    (tmp_path / "c.yaml").write_text("waivers: w.yaml\nfault: [ro-id-empty]\nseed: 3\n")
    done = suite(tmp_path, "--conformance-config", "c.yaml", "--seed", "0", "--requirement", "response", "-rx")
    assert done.returncode == 0, done.stdout
    assert "1 xfailed" in done.stdout
    assert "until 2999-12-31: known (ana)" in done.stdout
    assert "waivers: 1 used" in done.stdout
    assert json.loads((tmp_path / "out" / "report.json").read_text())["run"]["seed"] == 0
