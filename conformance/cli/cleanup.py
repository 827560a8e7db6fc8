"""`cleanup`: delete the stored completions that a broken-off run left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from conformance.cli.common import one_sentence
from conformance.cli.run import endpoint_options
from conformance.suite import stored
from conformance.suite.options import OPTIONS, Options, UsageProblem, read
from conformance.suite.verify import VerifyError

KEYS = (
    "base_url",
    "api_key_env",
    "header",
    "header_env",
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
)


def options_of(base_url: str, given: dict[str, Any]) -> Options:
    """As given; where no endpoint is, the one that the run went to, so that the key of the environment counts."""
    values = {option.key: () if option.many else option.default for option in OPTIONS}
    values |= {name: value for name, value in given.items() if value is not None}
    return read({**values, "base_url": given.get("base_url") or base_url})


@click.command("cleanup", help="Delete the stored completions that a run left behind: only those that it made.")
@click.argument("report_dir", type=click.Path(path_type=Path))
@endpoint_options(KEYS)
@click.option("--dialect", metavar="NAME|FILE", help="Where the run's own dialect file has moved.")
@click.option("--planted", is_flag=True, help="Also what --plant left on purpose.")
def cleanup_command(report_dir: Path, dialect: str | None, planted: bool, **given: Any) -> int:
    """0 if nothing is left, 1 if something could not be deleted."""
    with one_sentence(VerifyError, UsageProblem, ValueError):
        evidence = stored.evidence_of(report_dir)
        options = options_of(evidence.header.base_url, given)
        spoken = stored.dialect_of(evidence, dialect)
        send, close = stored.sender(evidence, options)
    try:
        done = list(stored.clean(evidence, spoken, send, planted=planted))
    finally:
        close()
    for stored_id, gone in done:
        if not gone:
            click.echo(f"not deleted: {stored_id}")
    deleted = sum(gone for _, gone in done)
    click.echo(f"{deleted} of {len(done)} deleted" if done else "nothing was left behind")
    return 0 if deleted == len(done) else 1
