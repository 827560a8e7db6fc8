"""`revisit`: are the records that `run --plant` left kept, and purged, as the tier promises?"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from conformance.cli.cleanup import KEYS, options_of
from conformance.cli.common import one_sentence
from conformance.cli.run import endpoint_options
from conformance.dialects.model import Dialect
from conformance.suite import stored
from conformance.suite.options import UsageProblem
from conformance.suite.verify import VerifyError
from conformance.verdict.selection import suggestion


def _total(dialect: Dialect, tier: str | None) -> tuple[str, float]:
    """The tier and its promise in seconds. Raises UsageProblem."""
    known = stored.tiers(dialect)
    if not known:
        raise UsageProblem(f"the dialect {dialect.name} promises nothing about retention")
    if tier is None and len(known) > 1:
        raise UsageProblem(f"--tier: name the endpoint's service tier, one of {', '.join(known)}")
    chosen = tier or next(iter(known))
    if chosen not in known:
        raise UsageProblem(f"--tier: there is no tier {chosen!r}{suggestion(chosen, known)}")
    return chosen, known[chosen]


def _span(seconds: float) -> str:
    """A duration for people."""
    for size, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


@click.command("revisit", help="Look at the records that `run --plant` left: kept, and purged, as the tier promises?")
@click.argument("report_dir", type=click.Path(path_type=Path))
@endpoint_options(KEYS)
@click.option("--dialect", metavar="NAME|FILE", help="Where the run's own dialect file has moved.")
@click.option("--tier", metavar="NAME", help="The endpoint's service tier, where the dialect has several.")
@click.option("--slack", type=click.FloatRange(0), default=stored.SLACK, show_default=True, metavar="S")
def revisit_command(report_dir: Path, dialect: str | None, tier: str | None, slack: float, **given: Any) -> int:
    """0 if all is as promised so far, 1 if a promise is broken, 2 if nothing can be said."""
    with one_sentence(VerifyError, UsageProblem, ValueError):
        evidence = stored.evidence_of(report_dir)
        options = options_of(evidence.header.base_url, given)
        spoken = stored.dialect_of(evidence, dialect)
        chosen, total = _total(spoken, tier)
        creations = stored.planted(evidence)
        if not creations:
            raise UsageProblem(f"nothing was planted in {report_dir}: run with --plant first")
        send, close = stored.sender(evidence, options)
    try:
        visits = [stored.visit(creation, total, send, time.time(), slack) for creation in creations]
    finally:
        close()
    hot = stored.hot(spoken, chosen)
    at_hand = f"{_span(hot)} at hand, " if hot is not None else ""
    click.echo(f"tier {chosen}: {at_hand}{_span(total)} in all")
    for found in visits:
        click.echo(f"{found.stored_id}: {found.fate.value} (status {found.status}, {_span(found.age)} old)")
        if found.fate is stored.Fate.KEPT and found.left + slack > 0:
            until = datetime.fromtimestamp(time.time() + found.left + slack, UTC)
            click.echo(f"    its end remains to be seen: come back after {until:%Y-%m-%d %H:%M:%S} UTC")
    if any(found.broken for found in visits):
        return 1
    return 2 if all(found.fate is stored.Fate.UNKNOWN for found in visits) else 0
