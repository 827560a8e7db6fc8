"""`serve`: the embedded endpoint on loopback, correct, broken or varied by name."""

from __future__ import annotations

import click

from conformance.cli.common import changes, one_sentence
from conformance.verdict.selection import suggestion

_MINDS = ("obedient", "refusing", "random", "chatty")


def known(option: str, names: tuple[str, ...], table: object) -> None:
    """Refuse a name that is not in a table, with what may have been meant."""
    words = list(table) if isinstance(table, dict) else []
    for name in names:
        if name not in words:
            raise click.ClickException(f"{option}: nothing is called {name!r}{suggestion(name, words)}")


@click.command("serve", help="Start the embedded endpoint on loopback; its base URL is the first line.")
@click.option("--dialect", default="openai", show_default=True, metavar="NAME|FILE")
@click.option("--fault", "fault_names", multiple=True, metavar="NAME", help="Break it by name.")
@click.option("--vary", "variation_names", multiple=True, metavar="NAME", help="Vary it legally, by name.")
@click.option("--model-mind", "mind", type=click.Choice(_MINDS), default="obedient", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any that is free.")
@click.option("--latency", type=click.FloatRange(0, 60), default=0.0, metavar="S", help="Seconds before each answer.")
def serve_command(
    dialect: str, fault_names: tuple[str, ...], variation_names: tuple[str, ...], mind: str, port: int, latency: float
) -> None:
    """Until interrupted."""
    from conformance.reference.endpoint import KEY
    from conformance.reference.server import endpoint, serve

    faults, variations = changes()
    known("--fault", fault_names, faults)
    known("--vary", variation_names, variations)
    with one_sentence(OSError):
        served = endpoint(dialect, fault_names, variation_names, mind, latency)

    def listening(url: str) -> None:
        click.echo(url)
        click.echo(f"key: {KEY} (made up)", err=True)

    serve(served, port, listening)
