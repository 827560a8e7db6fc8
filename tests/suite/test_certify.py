"""A certification as the plugin calls it, against a small endpoint on loopback."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from conformance import probes
from conformance.probes.base import Probe, Session
from conformance.reporting import json_report
from conformance.reporting.progress import RunProgress
from conformance.suite.certify import Certification
from conformance.suite.options import OPTIONS, Options, read
from tests.command_line import COMPLETION, Toy, served_toy

OBJECT = "response.object.is_chat_completion"


def options(**changes: Any) -> Options:
    values = {option.key: [] if option.many else option.default for option in OPTIONS}
    return read({**values, **changes}, (OBJECT,), {})


def broken(session: Session) -> None:
    raise KeyError("choices")


def test_a_probe_that_breaks_is_an_error_of_the_suite_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Probe("broken", "response", ("response",), scenario=broken, upper=1, summary="Raises.")
    monkeypatch.setattr(probes, "load", lambda: {"broken": made})
    with served_toy(Toy(COMPLETION)) as toy:
        run = Certification(options(base_url=toy.url, report=str(tmp_path / "report"), effort="quick"))
        run.open([OBJECT], RunProgress(Console(file=io.StringIO()), quiet=True))
        run.gather()
        report = run.close()
    assert report is not None
    assert report.run.defects == ("the probe broken raised KeyError: a defect of this suite",)
    written = json_report.read((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert written.run.defects == report.run.defects
