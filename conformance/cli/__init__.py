"""The command line: thin commands over the other rooms. Each command's module is imported when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

import conformance

_COMMANDS = {
    "run": ("conformance.cli.run", "Certify an endpoint."),
    "list": ("conformance.cli.catalogue", "List requirements."),
    "explain": ("conformance.cli.explain", "Explain one requirement."),
    "faults": ("conformance.cli.catalogue", "List the embedded endpoint's faults and variations."),
    "serve": ("conformance.cli.serve", "Start the embedded endpoint."),
    "audit": ("conformance.cli.audit", "Judge recorded traffic, without a network."),
    "verify": ("conformance.cli.verify", "Derive every verdict of a report again from its evidence."),
    "replay": ("conformance.cli.replay", "Send the smallest steps of a finding again."),
    "compare": ("conformance.cli.compare", "Compare two reports, or several in a table."),
    "waive": ("conformance.cli.waive", "Write a first waivers file from a report."),
    "cleanup": ("conformance.cli.cleanup", "Delete the stored completions that a broken-off run left behind."),
    "revisit": ("conformance.cli.revisit", "Look whether planted records are kept and purged as promised."),
}
"""Name to module and first help line, so that neither help nor a light command imports the engine."""


class Commands(click.Group):
    """A group that imports a command's module only when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which people meet them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        found: click.Command = getattr(module, f"{cmd_name}_command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Help lines from the table: nothing is imported for them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(conformance.__version__, prog_name="conformance")
def cli() -> None:
    """Certify OpenAI-compatible chat-completions endpoints.

    Exit codes: 0 conformant, 1 violations or differences, 2 no verdict or incomplete, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point. Ends the process with the command's exit code; every problem is told in one sentence."""
    try:
        code = cli.main(arguments, prog_name="conformance", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as problem:
        problem.show()
        sys.exit(2)
    except click.ClickException as problem:
        click.echo(f"conformance: {problem.format_message()}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("conformance: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
