"""The GitHub action: its script is run as a runner would, and every example of docs/ci.md fits it."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from conformance.catalogue.model import Level
from conformance.reporting import github
from conformance.verdict.outcome import Outcome
from tests.command_line import KEY, ROOT, Toy, environment, served_toy
from tests.docs_blocks import blocks
from tests.report_builders import report, row, violation

ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
GIVEN = [name for step in ACTION["runs"]["steps"] for name in step.get("env", {}) if name.startswith("GIVEN_")]


class Runner:
    """Runs the action's script in an empty directory, with the files that a runner gives."""

    def __init__(self, cwd):
        self.cwd = cwd
        self.shim = cwd / "conformance-shim"
        self.shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m conformance "$@"\n')
        self.shim.chmod(0o755)
        self.summary = ""
        self.outputs = {}

    def __call__(self, **inputs):
        given = dict.fromkeys(GIVEN, "") | {"GIVEN_REPORT": "conformance-report"}
        given |= {f"GIVEN_{name.upper()}": value for name, value in inputs.items()}
        files = {name: str(self.cwd / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            open(path, "w").close()
        done = subprocess.run(
            ["bash", str(ROOT / ".ci" / "certify")],
            cwd=self.cwd,
            env=environment(**given, **files, CONFORMANCE=str(self.shim)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.summary = (self.cwd / "github_step_summary").read_text()
        lines = (self.cwd / "github_output").read_text().splitlines()
        self.outputs = dict(line.split("=", 1) for line in lines)
        return done


@pytest.fixture
def runner(tmp_path):
    return Runner(tmp_path)


def obeyed(printed):
    """The workflow commands that a runner would carry out (actions/runner, ActionCommandManager)."""
    token, found = None, []
    for line in printed.splitlines():
        command = re.match(r"\s*::([^: ]+)([^:]*)::(.*)", line)
        if command is None:
            continue
        if token is not None:
            token = None if command[1] == token else token
        elif command[1] == "stop-commands":
            token = command[3]
        else:
            found.append((command[1], command[2].strip(), command[3]))
    assert token is None
    return found


@pytest.mark.sockets
def test_a_violation_is_summed_up_annotated_and_put_out(runner):
    done = runner(selectors="response\nsse\n", effort="quick", arguments="--fault=ro-id-empty\n--seed=1")
    assert done.returncode == 1, done.stderr
    assert runner.outputs == {"outcome": "nonconformant", "exit-code": "1", "report": "conformance-report"}
    assert runner.summary.startswith("## ❌ NONCONFORMANT")
    assert [(kind, title) for kind, title, _ in obeyed(done.stdout)] == [("error", "title=MUST response.id.is_text")]
    directory = runner.cwd / "conformance-report"
    assert json.loads((directory / "report.json").read_text())["run"]["seed"] == 1
    assert (directory / "junit.xml").exists()


@pytest.mark.sockets
def test_a_conforming_endpoint_and_a_report_that_is_in_the_way(runner):
    done = runner(selectors="sse", effort="quick", without="sse.encoding.is_utf8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert runner.outputs["outcome"] == "conformant"
    assert obeyed(done.stdout) == []
    again = runner(selectors="sse", effort="quick")
    assert again.returncode == 2
    assert runner.outputs == {"outcome": "no_verdict", "exit-code": "2", "report": "conformance-report"}
    assert runner.summary == ""


@pytest.mark.sockets
def test_an_endpoint_gives_the_runner_no_commands(runner):
    wild = b"\n::error::owned\n::add-mask::x\n##[error]y\n"
    with served_toy(Toy({"choices": [], "id": wild.decode()})) as toy:
        done = runner(base_url=toy.url, selectors="response", effort="quick", api_key=KEY)
        assert any(KEY in headers.get("Authorization", "") for _, headers in toy.seen)
    commands = obeyed(done.stdout)
    assert commands
    assert {kind for kind, _, _ in commands} <= {"error", "warning"}
    assert all("title=" in title for _, title, _ in commands)
    assert KEY not in done.stdout + done.stderr + runner.summary


@pytest.mark.sockets
def test_several_targets_are_summed_up_in_a_table(runner):
    (runner.cwd / "c.yaml").write_text(
        "effort: quick\ntargets:\n  - name: good\n  - name: bad\n    fault: [ro-id-empty]\n"
    )
    done = runner(config="c.yaml", selectors="response.id.*")
    assert done.returncode == 1, done.stderr
    assert runner.outputs["outcome"] == "nonconformant"
    assert "| [2] | `bad` |" in runner.summary
    assert runner.summary.count("<!-- conformance -->") == 2
    assert [kind for kind, _, _ in obeyed(done.stdout)] == ["error"]


@pytest.mark.sockets
def test_no_input_becomes_a_command_of_the_shell(runner):
    wild = "$(touch owned)`touch owned`;touch owned; '\" \\"
    done = runner(model=wild, selectors=wild, report="out")
    assert done.returncode == 2
    assert "nothing is called" in done.stderr
    assert not (runner.cwd / "owned").exists()


def test_the_action_names_what_it_passes_on():
    steps = ACTION["runs"]["steps"]
    assert all("shell" in step or "uses" in step for step in steps)
    assert "inputs." not in "".join(step.get("run", "") for step in steps)
    certify = next(step for step in steps if step.get("id") == "run")
    passed = {value for name, value in certify["env"].items() if name.startswith("GIVEN_")}
    others = {"python-version"}
    assert passed == {f"${{{{ inputs.{name} }}}}" for name in set(ACTION["inputs"]) - others}
    script = (ROOT / ".ci" / "certify").read_text()
    assert set(re.findall(r"GIVEN_\w+", script)) == set(GIVEN)
    assert os.access(ROOT / ".ci" / "certify", os.X_OK)
    named = re.findall(r"steps\.run\.outputs\.([\w-]+)", json.dumps(ACTION["outputs"]))
    assert set(named) == set(re.findall(r'echo "([\w-]+)=', script)) == set(ACTION["outputs"])


def test_every_example_of_the_page_can_be_read():
    documents = [yaml.safe_load(text) for text in blocks("ci.md", "yaml")]
    used = [
        step["with"]
        for document in documents
        if isinstance(document, dict) and "jobs" in document
        for step in document["jobs"]["certify"]["steps"]
        if step["uses"].startswith("OWNER/")
    ]
    assert used
    assert all(set(given) <= set(ACTION["inputs"]) for given in used)


def test_the_configuration_of_the_page_fits_its_schema(tmp_path):
    from conformance.suite import config_file

    text = next(text for text in blocks("ci.md", "yaml") if text.startswith("# conformance.yaml"))
    (tmp_path / "conformance.yaml").write_text(text)
    found = config_file.load(tmp_path / "conformance.yaml")
    assert [target.name for target in found.targets] == ["staging-small", "staging-large", "gateway"]


def test_annotations_are_few_and_of_one_line_each():
    rows = [row(f"stream.r{n}", "fail", "MUST", "lenient", violation(observed="%a\r\n::b")) for n in range(15)]
    lines = github.render(report(*rows)).splitlines()
    assert len(lines) == github.MOST
    assert all(line.startswith("::error title=MUST stream.r") for line in lines)
    assert "%25a\\x0d%0A::b" in lines[0]
    assert github.render(report(row("a.b"), outcome=Outcome.CONFORMANT)) == ""
    why = report(row("a.b"), outcome=Outcome.INCOMPLETE, reason="so: it, is")
    assert github.render(why) == "::error title=incomplete::so: it, is\n"
    both = github.render(report()).splitlines()
    assert [line.split(" ", 1)[0] for line in both] == ["::error", "::error", "::warning"]
    assert Level.MAY.value not in "".join(both)
