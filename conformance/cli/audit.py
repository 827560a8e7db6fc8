"""`audit`: judge recorded traffic."""

from __future__ import annotations

import click


@click.command(
    "audit",
    help="Judge recorded traffic (JSONL, HAR, VCR YAML), without a network.",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE ...")
@click.option("--dialect", default="openai", show_default=True, metavar="NAME|FILE")
@click.option("-v", "--verbose", is_flag=True, help="More examples, and a tally of every requirement.")
def audit_command(files: tuple[str, ...], dialect: str, verbose: bool) -> int:
    """0 if nothing was violated at MUST, 1 if so, 2 if nothing could be said."""
    from conformance.suite.audit import main

    return main([*files, "--dialect", dialect, *(["--verbose"] if verbose else [])])
