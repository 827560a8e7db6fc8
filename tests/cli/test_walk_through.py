"""docs/ci.md, followed to the letter: every command is run, and prints what the page says."""

import os
import subprocess
import sys

import pytest

from tests.command_line import environment
from tests.docs_blocks import blocks, fits, session

pytestmark = [pytest.mark.sockets, pytest.mark.slow]


@pytest.fixture
def shell(tmp_path):
    """A bash in an empty directory that has `conformance` on its path; it remembers the last exit code."""
    tools, work = tmp_path / "tools", tmp_path / "work"
    tools.mkdir()
    work.mkdir()
    shim = tools / "conformance"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m conformance "$@"\n')
    shim.chmod(0o755)
    process = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=work,
        env=environment(PATH=f"{tools}{os.pathsep}{os.environ['PATH']}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = "the-end-of-this-command"

    def run(command):
        process.stdin.write(f'{command}\nlast=$?; printf "\\n%s\\n" {end}; (exit $last)\n')
        process.stdin.flush()
        lines = []
        for line in process.stdout:
            if line.rstrip("\n") == end:
                return lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the shell ended in: {command}")

    yield run
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=30)


def test_the_page_can_be_followed(shell):
    followed = [step for block in blocks("ci.md", "console") for step in session(block)]
    assert len(followed) > 10
    for command, said in followed:
        printed = shell(command)
        assert fits(said, printed), (command, said, printed)
        if any(line.startswith("FAIL") for line in said):
            assert [line for line in printed if line.startswith("FAIL")] == [
                line for line in said if line.startswith("FAIL")
            ]


def test_the_measure_can_fail():
    assert fits(["a …", "c"], ["a b", "x", "c"])
    assert not fits(["c", "a …"], ["a b", "x", "c"])
    assert not fits(["a"], ["ab"])
