"""`waive`: a first waivers file from a report, with the reasons left to fill in."""

from __future__ import annotations

import getpass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from conformance.cli.common import one_sentence
from conformance.reporting.text import printable
from conformance.suite.verify import VerifyError, read_report
from conformance.suite.waivers_file import missing, render

_DAYS = 90


def _login() -> str:
    try:
        return printable(getpass.getuser())
    except (OSError, KeyError):
        return "nobody yet"


def _day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date() + timedelta(days=_DAYS)
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise click.ClickException(f"--expires: {text!r} is no day, such as 2030-12-31") from problem


@click.command("waive", help="Write a first waivers file from a report, to stdout; the reasons are left to fill in.")
@click.argument("report_dir", type=click.Path(path_type=Path))
@click.option("--owner", metavar="NAME", help="Who answers for them. Default: your login name.")
@click.option("--expires", metavar="DAY", help=f"Their last day, as 2030-12-31. Default: in {_DAYS} days.")
def waive_command(report_dir: Path, owner: str | None, expires: str | None) -> int:
    """0 if there was a report, whether or not anything in it is violated."""
    last = _day(expires)
    with one_sentence(VerifyError):
        report = read_report(report_dir)
    text = render(report, owner or _login(), last)
    click.echo(text, nl=False)
    found, lacking = len(report.violations), len(missing(report))
    said = f"{found} violated {'requirement' if found == 1 else 'requirements'}, {lacking} that could not be judged: "
    next_step = "fill in the reasons, then run with --waivers" if found or lacking else "there is nothing new to waive"
    click.echo(f"conformance: {said}{next_step}", err=True)
    return 0
