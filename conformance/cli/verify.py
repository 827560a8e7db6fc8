"""`verify`: does a report stand on its evidence?"""

from __future__ import annotations

from pathlib import Path

import click

from conformance.cli.common import one_sentence
from conformance.suite.verify import Difference, Verification, VerifyError, verify


def _tell(difference: Difference) -> None:
    click.echo(difference.about)
    click.echo(f"    reported {difference.reported}")
    click.echo(f"    derived  {difference.derived}")


def _closing(found: Verification) -> str:
    judged = f"{found.requirements} requirements, {found.exchanges} exchanges"
    if found.broken is not None:
        return f"NOT VERIFIED: {found.broken}"
    if found.fails:
        return f"NOT VERIFIED: {len(found.differences)} differences; {judged}"
    if found.differences:
        other = "catalogue" if not found.same_catalogue else "dialect"
        return f"made under another {other}: {len(found.differences)} differences, which prove nothing; {judged}"
    note = "" if found.same_catalogue else ", though the catalogue is another now"
    return f"VERIFIED: every verdict follows from the evidence{note}; {judged}"


@click.command("verify", help="Derive every verdict of a report again from its evidence; exit code 1 if they differ.")
@click.argument("report_dir", type=click.Path(path_type=Path))
@click.option("--dialect", metavar="NAME|FILE", help="Where the run's own dialect file has moved.")
def verify_command(report_dir: Path, dialect: str | None) -> int:
    """Offline."""
    with one_sentence(VerifyError):
        found = verify(report_dir, dialect)
    for difference in found.differences:
        _tell(difference)
    click.echo(_closing(found))
    return 1 if found.fails else 0
