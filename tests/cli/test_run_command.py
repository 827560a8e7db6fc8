"""`run` as users call it: real processes, real sockets on loopback."""

import json
import os
import signal
import time
from pathlib import Path

import jsonschema
import pytest

from conformance.reporting import json_report
from tests.command_line import COMPLETION, KEY

pytestmark = pytest.mark.sockets
QUICK = ("--effort", "quick", "--no-progress")


def report_of(directory: Path):
    data = json.loads((directory / "report.json").read_text())
    jsonschema.Draft202012Validator(json_report.schema()).validate(data)
    return data


def test_the_embedded_endpoint_conforms_and_its_report_is_verified(cli):
    done = cli("run", "sse", *QUICK, "--report", "out", env={"OPENAI_API_KEY": KEY})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == "no --base-url: certifying the EMBEDDED endpoint"
    assert "CONFORMANT: nothing is violated" in done.stdout
    report = report_of(cli.cwd / "out")
    assert report["outcome"] == "conformant"
    assert report["run"]["embedded"] is True
    assert report["counts"]["pass"] > 0
    assert {row["area"] for row in report["requirements"]} == {"sse"}
    assert KEY not in "".join(file.read_text() for file in (cli.cwd / "out").iterdir())
    assert [file.name for file in cli.cwd.iterdir()] == ["out"]

    verified = cli("verify", "out")
    assert verified.returncode == 0, verified.stdout
    assert "VERIFIED" in verified.stdout

    path = cli.cwd / "out" / "report.json"
    passed = next(row for row in report["requirements"] if row["verdict"] == "pass")
    passed.update(exercised=passed["exercised"] + 1)
    path.write_text(json.dumps(report))
    forged = cli("verify", "out")
    assert forged.returncode == 1
    assert passed["id"] in forged.stdout

    path.write_text(path.read_text().replace(report["suite"]["catalogue_sha256"], "0" * 64))
    (cli.cwd / "out" / "evidence.jsonl").write_text(
        (cli.cwd / "out" / "evidence.jsonl").read_text().replace('"status":200', '"status":201', 1)
    )
    tampered = cli("verify", "out")
    assert tampered.returncode == 1
    assert "changed after it was written" in tampered.stdout


def test_another_catalogue_proves_nothing(cli):
    assert cli("run", "sse", *QUICK, "--report", "out").returncode == 0
    for name in ("report.json", "evidence.jsonl"):
        path = cli.cwd / "out" / name
        report = json.loads((cli.cwd / "out" / "report.json").read_text()) if name == "report.json" else None
        if report is not None:
            report["suite"]["catalogue_sha256"] = "0" * 64
            report["requirements"][0]["exercised"] += 1
            path.write_text(json.dumps(report))
        else:
            lines = path.read_text().splitlines(keepends=True)
            header = json.loads(lines[0]) | {"catalogue_sha256": "0" * 64}
            path.write_text("".join([json.dumps(header) + "\n", *lines[1:-1]]))
    done = cli("verify", "out")
    assert "no footer" in done.stdout
    assert done.returncode == 1


def test_violations_fail_and_can_be_replayed(cli, toy):
    chosen = "response.choices.*"
    done = cli("run", chosen, *QUICK, "--base-url", toy.url, "--report", "out", env={"OPENAI_API_KEY": KEY})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "NONCONFORMANT" in done.stdout
    assert KEY not in done.stdout
    report = report_of(cli.cwd / "out")
    broken = [row for row in report["requirements"] if row["verdict"] == "fail"]
    assert broken
    finding = broken[0]["findings"][0]
    assert finding["steps"]
    assert finding["confirmed"]["k"] == finding["confirmed"]["n"]
    assert "$OPENAI_API_KEY" in finding["steps"][0]["curl"]
    assert 'name="' + broken[0]["id"] in (cli.cwd / "out" / "junit.xml").read_text()
    assert cli("verify", "out").returncode == 0

    again = cli("replay", "out", broken[0]["id"])
    assert again.returncode == 1, again.stdout + again.stderr
    assert f"VIOLATED again: {broken[0]['id']}" in again.stdout
    assert f"sending to {toy.url}" in again.stderr

    passed = next((row["id"] for row in report["requirements"] if row["verdict"] == "pass"), None)
    if passed is not None:
        refused = cli("replay", "out", passed)
        assert refused.returncode == 2
        assert "has no finding" in refused.stderr


def test_no_secret_reaches_any_output(cli, toy):
    toy.completion = {**COMPLETION, "id": f"leaked {KEY}", "model": "tenant-secret-value"}
    done = cli(
        "run",
        "response",
        *QUICK,
        "--base-url",
        toy.url,
        "--header",
        "X-Tenant: tenant-secret-value",
        "--header-env",
        "X-Team=TEAM",
        "--report",
        "out",
        env={"OPENAI_API_KEY": KEY, "TEAM": "team-secret-value"},
    )
    assert any(headers.get("X-Tenant") == "tenant-secret-value" for _, headers in toy.seen)
    assert any(headers.get("X-Team") == "team-secret-value" for _, headers in toy.seen)
    assert any(headers.get("Authorization") == f"Bearer {KEY}" for _, headers in toy.seen)
    told = done.stdout + done.stderr + "".join(file.read_text() for file in (cli.cwd / "out").iterdir())
    for secret in (KEY, "tenant-secret-value", "team-secret-value"):
        assert secret not in told
    assert '"X-Tenant"' in told


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ((401, "application/json", b'{"error":{"message":"bad key"}}'), "the key was refused with status 401"),
        ((200, "text/html", b"<!doctype html><html>hello</html>"), "answers with a web page"),
    ],
)
def test_preflight_ends_what_is_pointless(cli, toy, instead, said):
    toy.instead = instead
    done = cli("run", *QUICK, "--base-url", toy.url, "--report", "out", env={"OPENAI_API_KEY": KEY})
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert report_of(cli.cwd / "out")["outcome"] == "no_verdict"
    assert cli("verify", "out").returncode == 0


def test_an_endpoint_that_is_not_there(cli):
    done = cli("run", *QUICK, "--base-url", "http://127.0.0.1:9/v1", "--report", "out")
    assert done.returncode == 2
    assert "cannot be reached" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_a_partial_report(cli, toy, number):
    toy.delay = 0.3
    process = cli.start("run", "--base-url", toy.url, "--report", "out", "--concurrency", "2")
    deadline = time.monotonic() + 30
    while len(toy.seen) < 12 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "INTERRUPTED" in out
    assert "Traceback" not in errors
    report = report_of(cli.cwd / "out")
    assert report["outcome"] == "interrupted"
    assert 0 < report["run"]["requests"] < 200
    assert cli("verify", "out").returncode == 0


def test_a_plan_sends_nothing_and_writes_nothing(cli, toy):
    done = cli("run", "tool_choice", "--plan", "--base-url", toy.url, "--model", "a-model-of-theirs")
    assert done.returncode == 0, done.stderr
    assert toy.seen == []
    assert list(cli.cwd.iterdir()) == []
    lines = done.stdout.splitlines()
    assert any(line.startswith("tool_choice") for line in lines)
    assert any(line.startswith("in all") for line in lines)


def test_the_gate(cli, toy):
    toy.completion = {**COMPLETION, "choices": [{**COMPLETION["choices"][0], "index": 0}]}
    rows = json.loads(cli("list", "--json", "response").stdout)
    should = [row["id"] for row in rows if row["dialects"].get("openai", {}).get("level") == "SHOULD"]
    done = cli("run", *should, *QUICK, "--base-url", toy.url, "--report", "a")
    strict = cli("run", *should, *QUICK, "--strict", "--base-url", toy.url, "--report", "b")
    warned = report_of(cli.cwd / "a")["counts"]["warn"]
    assert done.returncode != 1
    assert (strict.returncode == 1) is (warned > 0)


def test_what_is_left_out_is_reported(cli):
    done = cli("run", "sse", "stream", *QUICK, "--without", "area:stream", "--report", "out")
    rows = report_of(cli.cwd / "out")["requirements"]
    left_out = [row for row in rows if row["area"] == "stream"]
    assert left_out
    assert {row["verdict"] for row in left_out} == {"excluded"}
    assert "--without area:stream" in {row["reason"] for row in left_out}
    assert done.returncode == 0


def test_the_default_directory_names_host_model_and_time(cli, toy):
    cli("run", "sse", *QUICK, "--base-url", toy.url, "--format", "json")
    found = list((cli.cwd / "reports").iterdir())
    assert len(found) == 1
    assert found[0].name.startswith("127.0.0.1-")
    assert "-toy-1-" in found[0].name
    assert sorted(file.name for file in found[0].iterdir()) == ["evidence.jsonl", "report.json"]


def test_an_endpoint_that_quotes_the_key_gets_no_part_of_it_told(cli, toy):
    # What a finding quotes is cut: a key that is masked only afterwards would be cut too, and not be found.
    said = {"role": "assistant", "content": f"You sent me the key {KEY} a moment ago"}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    toy.completion = {**COMPLETION, "choices": [choice]}
    areas = ("logprobs", "structured_output")
    done = cli("run", *areas, *QUICK, "--base-url", toy.url, "--report", "out", env={"OPENAI_API_KEY": KEY})
    assert done.returncode == 1, done.stderr
    told = [done.stdout, done.stderr, *(path.read_text("utf-8") for path in (cli.cwd / "out").iterdir())]
    assert not [text for text in told if KEY[:10] in text]
    assert cli("verify", "out").returncode == 0
