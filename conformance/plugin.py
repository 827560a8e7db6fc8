"""The pytest plugin: one item per requirement, one campaign per session, one report at the end.

Used as `-p conformance.plugin`; there is no entry point, so that nobody's own test runs change. The campaign runs
before the first item, over the items that were finally selected; an item then tells its verdict.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console

from conformance.dialects.loader import DialectError
from conformance.reporting import terminal
from conformance.reporting.model import Report
from conformance.reporting.progress import RunProgress
from conformance.suite.certify import Certification, Refused
from conformance.suite.config_file import only_run
from conformance.suite.options import OPTIONS, Option, Options, UsageProblem
from conformance.verdict.selection import SelectionError

_RUN: pytest.StashKey[Certification] = pytest.StashKey()
_KINDS: dict[str, Any] = {"whole": int, "seconds": float}


class RequirementWarning(UserWarning):
    """A requirement of level SHOULD is violated."""


@dataclass(eq=False)
class Launch:
    """Registered by `conformance run`: the options it read, and the report that came of them."""

    options: Options
    progress: Console
    certification: Certification | None = None
    report: Report | None = None
    problem: str | None = None
    """Why there is no report."""


def _launch(config: pytest.Config) -> Launch | None:
    return next((item for item in config.pluginmanager.get_plugins() if isinstance(item, Launch)), None)


def _add(group: pytest.OptionGroup, option: Option) -> None:
    if option.kind == "flag":
        group.addoption(option.pytest_name, action="store_true", dest=f"conformance_{option.key}", help=option.help)
        return
    more: dict[str, Any] = {"choices": option.choices} if option.choices else {"metavar": option.metavar}
    if option.many:
        more |= {"action": "append", "default": []}
    else:
        # What is not given may stand in a configuration, so that no default is put here.
        more |= {"default": None, "type": _KINDS.get(option.kind, str)}
    group.addoption(option.pytest_name, dest=f"conformance_{option.key}", help=option.help.replace("%", "%%"), **more)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The options of a run. pytest-base-url has one of the same name and would end the session: it is kept out."""
    pluginmanager.set_blocked("base_url")
    group = parser.getgroup("conformance", "certify a chat-completions endpoint")
    for option in OPTIONS:
        _add(group, option)
    group.addoption(
        "--requirement",
        action="append",
        default=[],
        metavar="SELECTOR",
        dest="conformance_requirement",
        help="an area, a requirement id or a glob (repeatable)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the options; everything that cannot be used ends here with one sentence."""
    config.addinivalue_line("markers", "requirement(id): the requirement that an item tells the verdict of")
    if getattr(config.option, "numprocesses", None) or getattr(config.option, "dist", "no") != "no":
        raise pytest.UsageError("conformance sends side by side itself (--concurrency): run it without xdist")
    launch = _launch(config)
    values = {option.key: getattr(config.option, f"conformance_{option.key}") for option in OPTIONS}
    given = {key: value for key, value in values.items() if value is not None and value is not False and value != []}
    try:
        options = launch.options if launch else only_run(given, tuple(config.option.conformance_requirement))
        config.stash[_RUN] = Certification(options)
    except (UsageProblem, DialectError, SelectionError) as problem:
        raise pytest.UsageError(str(problem)) from problem
    if launch is not None:
        launch.certification = config.stash[_RUN]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What is certified."""
    return config.stash[_RUN].headline()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per selected requirement."""
    if "requirement" in metafunc.fixturenames:
        run = metafunc.config.stash[_RUN]
        metafunc.parametrize("requirement", list(run.scope.standings))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let `-k` find areas and capabilities too, and let no ini of the user's turn a warning into a failure."""
    run = config.stash[_RUN]
    for item in items:
        standing = run.scope.standings.get(_requirement(item) or "")
        if standing is not None:
            row = standing.requirement
            item.extra_keyword_matches |= {row.area, row.capability, standing.claim.level.value}
            item.add_marker(pytest.mark.requirement(row.id))
            item.add_marker(pytest.mark.filterwarnings("always::conformance.plugin.RequirementWarning"))


def _requirement(item: pytest.Item) -> str | None:
    found = getattr(item, "callspec", None)
    name = found.params.get("requirement") if found is not None else None
    return name if isinstance(name, str) else None


def _uncaptured(config: pytest.Config) -> AbstractContextManager[Any]:
    manager = config.pluginmanager.getplugin("capturemanager")
    return manager.global_and_fixture_disabled() if manager is not None else nullcontext()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Preflight, plan, gather and judge over the finally selected items; then the items; and always the report."""
    config = session.config
    ids = [name for name in map(_requirement, session.items) if name is not None]
    if config.option.collectonly or session.testsfailed or not ids:
        return (yield)
    run, launch = config.stash[_RUN], _launch(config)
    try:
        with _uncaptured(config):
            if run.options.plan:
                sys.stdout.writelines(f"{line}\n" for line in run.plan_lines(ids))
                session.items.clear()
            else:
                _prepare(run, ids, _progress(launch, run.options))
        return (yield)
    except KeyboardInterrupt:
        run.interrupted = True
        raise
    except Refused as refused:
        if launch is not None:
            launch.problem = str(refused)
        pytest.exit(str(refused), returncode=2)
    finally:
        with _uncaptured(config):
            report = run.close()
        if launch is not None:
            launch.report = report


def _prepare(run: Certification, ids: list[str], progress: RunProgress) -> None:
    """Everything before the first item. Where that breaks, no verdict may rest on what came before."""
    try:
        run.open(ids, progress)
        run.gather()
    except Refused:
        raise
    except Exception as error:
        run.broke(error)
        raise


def _progress(launch: Launch | None, options: Options) -> RunProgress:
    console = launch.progress if launch is not None else Console(stderr=True, highlight=False)
    return RunProgress(console, quiet=not options.progress)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """By hand: the areas and the outcome below pytest's own summary."""
    report = config.stash[_RUN].report
    if report is not None and _launch(config) is None:
        terminalreporter.section("conformance")
        console = Console(file=terminalreporter._tw._file, width=terminalreporter._tw.fullwidth, highlight=False)
        console.print(terminal.areas(report))
        terminal.known(console, report)
        terminal.outcome(console, report)
        terminalreporter.write_line(f"report: {config.stash[_RUN].directory}")


@pytest.fixture(scope="session")
def certification(request: pytest.FixtureRequest) -> Certification:
    """The campaign behind the items."""
    return request.config.stash[_RUN]


@pytest.fixture
def judged(requirement: str, certification: Certification) -> str:
    """The requirement's id; an error here means that the suite or the network failed, not the endpoint."""
    trouble = certification.error(requirement)
    if trouble is not None:
        pytest.fail(trouble, pytrace=False)
    return requirement
