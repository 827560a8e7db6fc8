"""`serve`: the embedded endpoint on loopback, correct, broken or varied by name."""

from __future__ import annotations

from pathlib import Path

import click

from conformance.cli.common import check_changes, one_sentence

_MINDS = ("obedient", "refusing", "random", "chatty")


@click.command("serve", help="Start the embedded endpoint on loopback; its base URL is the first line.")
@click.option("--dialect", default="openai", show_default=True, metavar="NAME|FILE")
@click.option("--fault", "fault_names", multiple=True, metavar="NAME", help="Break it by name.")
@click.option("--vary", "variation_names", multiple=True, metavar="NAME", help="Vary it legally, by name.")
@click.option("--model-mind", "mind", type=click.Choice(_MINDS), default="obedient", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any that is free.")
@click.option("--latency", type=click.FloatRange(0, 60), default=0.0, metavar="S", help="Seconds before each answer.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep stored completions in this SQLite file, beyond a restart.",
)
@click.option("--retention", type=click.FloatRange(0, min_open=True), metavar="S", help="Forget them after S seconds.")
def serve_command(
    dialect: str,
    fault_names: tuple[str, ...],
    variation_names: tuple[str, ...],
    mind: str,
    port: int,
    latency: float,
    store: Path | None,
    retention: float | None,
) -> None:
    """Until interrupted."""
    from conformance.reference.endpoint import KEY, SECOND_KEY
    from conformance.reference.server import endpoint, serve

    check_changes(fault_names, variation_names)
    with one_sentence(OSError, ValueError):
        served = endpoint(dialect, fault_names, variation_names, mind, latency, store=store, retention=retention)

    def listening(url: str) -> None:
        click.echo(url)
        click.echo(f"key: {KEY} (made up), and {SECOND_KEY} of another project", err=True)

    serve(served, port, listening)
