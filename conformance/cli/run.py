"""`run`: certify an endpoint. Reads the options, hands over to pytest, and tells the report."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from conformance.cli.common import COLOURS, catalogue, check_changes, console, dialect, one_sentence
from conformance.suite.options import OPTIONS, Option, Options, UsageProblem, read
from conformance.verdict.outcome import Outcome
from conformance.verdict.selection import scope

_KINDS: dict[str, Any] = {"whole": int, "seconds": float}


def _click_option(option: Option) -> Callable[[Any], Any]:
    if option.kind == "flag":
        return click.option(option.name, option.key, is_flag=True, help=option.help)
    kind = click.Choice(option.choices) if option.choices else _KINDS.get(option.kind, str)
    more: dict[str, Any] = {"metavar": option.metavar} if not option.choices else {}
    if option.many:
        more["multiple"] = True
    else:
        more |= {"default": option.default, "show_default": option.default is not None}
    return click.option(option.name, option.key, type=kind, help=option.help, **more)


def endpoint_options(keys: tuple[str, ...] | None = None) -> Callable[[Any], Any]:
    """A decorator that adds options of the table: all of them, or those of these keys."""

    def decorate(command: Any) -> Any:
        for option in reversed([found for found in OPTIONS if keys is None or found.key in keys]):
            command = _click_option(option)(command)
        return command

    return decorate


def _check(options: Options) -> None:
    """Everything that can be told to be wrong without the engine, before it is imported."""
    if options.faults or options.variations:
        check_changes(options.faults, options.variations)
    with one_sentence():
        scope(catalogue(), dialect(options.dialect), options.selectors, options.without)


def _isolate() -> None:
    """Nothing of the user's own configuration reaches our pytest."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_THEME"):
        os.environ.pop(name, None)


def _arguments() -> list[str]:
    root = Path(str(files("conformance.suite")))
    quiet = ["-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:logging"]
    return [
        "-p",
        "conformance.plugin",
        "-c",
        str(root / "pytest.ini"),
        "--rootdir",
        str(root),
        "--capture=no",
        *quiet,
        str(root / "test_requirements.py"),
    ]


@click.command("run", help="Certify an endpoint. SELECTOR: an area, a requirement id or a glob (tool_choice.*).")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR ...]")
@endpoint_options()
@click.option("--strict", is_flag=True, help="The same as --fail-on should.")
@click.option("-q", "--quiet", is_flag=True, help="Only the outcome.")
@click.option("-v", "--verbose", is_flag=True, help="Every place and every reason.")
@click.option("--color", "colour", type=click.Choice(COLOURS), default="auto", show_default=True)
def run_command(
    selectors: tuple[str, ...], strict: bool, quiet: bool, verbose: bool, colour: str, **values: Any
) -> int:
    """Exit codes: 0 conformant, 1 violations, 2 no verdict or incomplete, 130 interrupted."""
    if strict:
        values["fail_on"] = "should"
    if quiet:
        values["no_progress"] = True
    with one_sentence(UsageProblem):
        options = read(values, selectors)
    _check(options)
    if options.embedded:
        click.echo("no --base-url: certifying the EMBEDDED endpoint")
    _isolate()
    return _certify(options, colour, verbosity=1 if verbose else -1 if quiet else 0)


def _certify(options: Options, colour: str, verbosity: int) -> int:
    import pytest

    from conformance.plugin import Launch
    from conformance.reporting import terminal

    launch = Launch(options, console(colour, stderr=True))
    code = pytest.main(_arguments(), plugins=[launch])
    report = launch.report
    if report is None:
        if launch.problem is not None:
            raise click.ClickException(launch.problem)
        if options.plan and code == pytest.ExitCode.OK:
            return 0
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise click.ClickException("nothing was selected")
        return 130 if code == pytest.ExitCode.INTERRUPTED else 2
    terminal.show(console(colour), report, verbosity=verbosity)
    if launch.certification is not None:
        click.echo(f"report: {launch.certification.directory}")
    if report.outcome is Outcome.NO_VERDICT:
        click.echo(f"conformance: {report.reason}", err=True)
    return report.outcome.exit_code
