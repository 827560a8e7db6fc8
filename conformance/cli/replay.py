"""`replay`: send the smallest steps of a finding again, show the answers and the judgement."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from conformance.cli.common import console, one_sentence
from conformance.cli.run import endpoint_options
from conformance.reporting.text import printable
from conformance.suite.options import OPTIONS, Options, UsageProblem, read
from conformance.suite.resend import Replayed, replay, secrets_of
from conformance.suite.verify import VerifyError, read_report
from conformance.wire.exchange import Exchange
from conformance.wire.redaction import Secrets

_KEYS = (
    "base_url",
    "api_key_env",
    "second_api_key_env",
    "header",
    "header_env",
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
)
_MOST_LINES = 40
_WIDEST = 2000


def _exchange(out: Console, found: Exchange, secrets: Secrets) -> None:
    clean = secrets.exchange(found)
    request = clean.request
    out.print(Text(f"{clean.id}  {request.method} {printable(request.path)}", style="bold"), soft_wrap=True)
    if request.body is not None:
        out.print(Text(f"> {printable(request.body.decode('utf-8', 'backslashreplace'), _WIDEST)}"), soft_wrap=True)
    out.print(Text(f"< {clean.status if clean.status is not None else 'no status'}, {clean.end.value}"), soft_wrap=True)
    for name, value in clean.headers:
        out.print(Text(f"< {printable(name)}: {printable(value)}", style="dim"), soft_wrap=True)
    lines = clean.body.decode("utf-8", "backslashreplace").split("\n")
    for line in lines[:_MOST_LINES]:
        out.print(Text(f"< {printable(line, _WIDEST)}"), soft_wrap=True)
    if len(lines) > _MOST_LINES:
        out.print(Text(f"… {len(lines) - _MOST_LINES} more lines", style="dim"))


def _judgement(found: Replayed, secrets: Secrets) -> str:
    judgement = found.judgement
    if judgement.error is not None:
        return judgement.error
    if judgement.findings:
        first = judgement.findings[0]
        where = "" if found.again else ", at another place"
        return (
            f"VIOLATED again{where}: {found.row.id}\n    expected  {printable(secrets.text(first.expected))}\n"
            f"    observed  {printable(secrets.text(first.observed))}"
        )
    if judgement.vacuous is not None:
        detail = f" ({printable(judgement.vacuous.detail)})" if judgement.vacuous.detail else ""
        return f"UNDECIDED: these answers say nothing about {found.row.id}: {judgement.vacuous.reason.value}{detail}"
    return f"HELD this time: {found.row.id}"


def _options(report_dir: Path, given: dict[str, Any]) -> Options:
    """As given, else to where the report's run went; the embedded endpoint is never given the user's key."""
    values = {option.key: () if option.many else option.default for option in OPTIONS} | given
    report = read_report(report_dir)
    environ = {name: value for name, value in os.environ.items() if name not in ("OPENAI_BASE_URL", "OPENAI_MODEL")}
    if not given["base_url"] and not report.run.embedded:
        values["base_url"] = report.endpoint.base_url
    return read(values, environ=environ)


@click.command("replay", help="Send the smallest steps of one finding again, show the answer and the judgement.")
@click.argument("report_dir", type=click.Path(path_type=Path))
@click.argument("id")
@endpoint_options(_KEYS)
@click.option("--dialect", metavar="NAME|FILE", help="Where the run's own dialect file has moved.")
def replay_command(report_dir: Path, id: str, dialect: str | None, **given: Any) -> int:
    """0 if it holds now, 1 if it is violated again, 2 if the answers say nothing."""
    with one_sentence(VerifyError, UsageProblem, ValueError, RuntimeError):
        options = _options(report_dir, given)
        if options.base_url is not None:
            click.echo(f"sending to {options.base_url}", err=True)
        found = replay(report_dir, id, options, dialect)
    secrets = secrets_of(options)
    out = console()
    for exchange in found.exchanges:
        _exchange(out, exchange, secrets)
    click.echo(_judgement(found, secrets))
    if found.judgement.findings:
        return 1
    return 0 if found.judgement.held else 2
