"""`run`: certify an endpoint. Reads the options, hands over to pytest, and tells the report."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import click

from conformance.cli.common import COLOURS, catalogue, check_changes, console, dialect, one_sentence
from conformance.reporting import comparison_text
from conformance.suite import config_file
from conformance.suite.config_file import Config, Target
from conformance.suite.options import OPTIONS, Option, Options, UsageProblem
from conformance.verdict.outcome import Outcome
from conformance.verdict.selection import scope

_DEFAULT = click.core.ParameterSource.DEFAULT
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


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Only what the user gave: what is left out may stand in the environment or in a file."""
    context = click.get_current_context()
    return {key: value for key, value in values.items() if context.get_parameter_source(key) is not _DEFAULT}


def check_options(options: Options) -> None:
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
    """Exit codes: 0 conformant, 1 violations, 2 no verdict or incomplete, 130 interrupted; of several the worst."""
    given = _given(values)
    if strict:
        given["fail_on"] = "should"
    if quiet:
        given["no_progress"] = True
    _end_like_an_interruption(signal.SIGTERM)
    with one_sentence(UsageProblem):
        config = config_file.configuration(given)
        targets = config.chosen(given.get("target", ())) if config is not None else ()
        if config is None or len(targets) == 1:
            options = config_file.options(given, selectors, config, targets[0] if targets else None)
    if len(targets) > 1 and config is not None:
        return run_targets(config, targets, given, selectors, colour, quiet=quiet)
    check_options(options)
    if options.embedded:
        click.echo("no --base-url: certifying the EMBEDDED endpoint")
    _isolate()
    return _certify(options, colour, verbosity=1 if verbose else -1 if quiet else 0)


def _end_like_an_interruption(number: signal.Signals) -> None:
    """Pipelines that are cancelled or out of time send SIGTERM: what was measured is reported then, too."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(number, signal.default_int_handler)


def run_targets(
    config: Config,
    targets: Sequence[Target],
    given: Mapping[str, Any],
    selectors: tuple[str, ...],
    colour: str,
    *,
    quiet: bool,
) -> int:
    """Several targets side by side: everything is checked before the first request of any."""
    from conformance.suite import targets as crew

    names = [target.name or "" for target in targets]
    with one_sentence(UsageProblem):
        read = [config_file.options(given, selectors, config, target) for target in targets]
        jobs = crew.jobs(names, read[0], read[0].report or _fresh_directory())
    for options in read:
        check_options(options)

    def command(job: crew.Job) -> list[str]:
        return crew.command(job, config.path, given, selectors)

    if read[0].plan:
        return crew.plan(jobs, command, click.echo)
    beside = crew.at_once(len(jobs), read[0].concurrency)
    click.echo(f"{len(jobs)} targets, {beside} side by side, {read[0].concurrency} requests in flight in all", err=True)
    team = crew.Crew(command)
    done = team.run(jobs, beside, lambda found: None if quiet else click.echo(found.text, err=True))
    found = crew.side_by_side(done)
    directory = jobs[0].report.parent
    if found.reports:
        crew.write(found, directory)
        if not quiet:
            comparison_text.show_table(console(colour), found)
    for item in done:
        click.echo(item.text)
    click.echo(f"reports: {directory}")
    return 130 if team.interrupted else crew.worst(item.exit_code for item in done)


def _fresh_directory() -> Path:
    """`reports/targets-<UTC time>`, with a number where that is taken."""
    name = f"targets-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    found = (Path("reports") / (name if number == 1 else f"{name}_{number}") for number in count(1))
    return next(path for path in found if not path.exists())


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
