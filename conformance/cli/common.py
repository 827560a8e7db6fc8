"""What commands share: one sentence for each problem, and the console."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
from rich.console import Console

from conformance.catalogue.loader import load as load_catalogue
from conformance.catalogue.model import Catalogue, Requirement
from conformance.dialects.loader import DialectError
from conformance.dialects.loader import load as load_dialect
from conformance.dialects.model import Dialect
from conformance.reference import faults, stages, variations
from conformance.verdict.selection import SelectionError, suggestion

COLOURS = ("auto", "always", "never")


@contextmanager
def one_sentence(*kinds: type[Exception]) -> Iterator[None]:
    """Problems of these kinds end the command with their sentence and exit code 2."""
    told: tuple[type[Exception], ...] = (SelectionError, DialectError, *kinds)
    try:
        yield
    except told as problem:
        raise click.ClickException(str(problem)) from problem


def catalogue() -> Catalogue:
    """The catalogue; a broken one is told in one sentence."""
    with one_sentence(ValueError):
        return load_catalogue()


def dialect(name: str) -> Dialect:
    """A dialect by name or file."""
    with one_sentence():
        return load_dialect(name)


def requirement(name: str) -> Requirement:
    """A row of the catalogue by id, or one sentence with what may have been meant."""
    rows = catalogue().requirements
    if name not in rows:
        raise click.ClickException(f"there is no requirement {name!r}{suggestion(name, rows)}")
    return rows[name]


def changes() -> tuple[Mapping[str, stages.Change], Mapping[str, stages.Change]]:
    """The embedded endpoint's faults and its legal variations, by name."""
    return faults.load(), variations.load()


def check_changes(fault_names: Iterable[str], variation_names: Iterable[str]) -> None:
    """Refuse names of faults and variations that do not exist, with what may have been meant."""
    broken, varied = changes()
    for option, names, known in (("--fault", fault_names, broken), ("--vary", variation_names, varied)):
        for name in names:
            if name not in known:
                raise click.ClickException(f"{option}: nothing is called {name!r}{suggestion(name, known)}")


def console(colour: str = "auto", *, stderr: bool = False) -> Console:
    """Stdout for results, stderr for progress. Emoji codes and highlighting are off: text is shown as it is."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 80
    return Console(
        file=stream,
        width=width,
        force_terminal=True if colour == "always" else None,
        no_color=True if colour == "never" else None,
        color_system=None if colour == "never" else "auto",
        highlight=False,
        emoji=False,
    )
