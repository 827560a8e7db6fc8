"""`compare`: two reports, or several as a table of requirements by endpoints."""

from __future__ import annotations

import json
from pathlib import Path

import click

from conformance.cli.common import COLOURS, console, one_sentence
from conformance.reporting import comparison, comparison_text
from conformance.reporting.comparison import Named
from conformance.suite.baseline_file import report_at
from conformance.suite.yaml_file import FileProblem


@click.command("compare", help="Compare two reports, or several in a table. REPORT: a report.json or its directory.")
@click.argument("reports", nargs=-1, required=True, metavar="REPORT REPORT ...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--markdown", is_flag=True, help="As Markdown.")
@click.option("-v", "--verbose", is_flag=True, help="In a table also what holds everywhere.")
@click.option("--color", "colour", type=click.Choice(COLOURS), default="auto", show_default=True)
def compare_command(reports: tuple[Path, ...], as_json: bool, markdown: bool, verbose: bool, colour: str) -> int:
    """0 if the reports say the same, 1 if they differ, 2 if one cannot be read."""
    if len(reports) < 2:
        raise click.ClickException("name two reports at least")
    if as_json and markdown:
        raise click.ClickException("--json and --markdown exclude each other")
    with one_sentence(FileProblem):
        named = [Named(str(path), report_at(path)) for path in reports]
    if len(named) == 2:
        pair = comparison.compare(*named)
        if as_json:
            click.echo(json.dumps(comparison.comparison_json(pair), indent=1))
        elif markdown:
            click.echo(comparison_text.comparison_markdown(pair), nl=False)
        else:
            comparison_text.show_comparison(console(colour), pair)
        return 1 if pair.differs else 0
    table = comparison.table(named)
    if as_json:
        click.echo(json.dumps(comparison.table_json(table), indent=1))
    elif markdown:
        click.echo(comparison_text.table_markdown(table), nl=False)
    else:
        comparison_text.show_table(console(colour), table, verbose=verbose)
    return 1 if table.differs else 0
