"""`explain`: one requirement, with its sources, how it is probed, what kills it, and an example of right and wrong."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.console import Console
from rich.text import Text

from conformance.catalogue import examples
from conformance.catalogue.model import Requirement
from conformance.cli.common import changes, console, requirement
from conformance.reporting.terminal import wrapped
from conformance.reporting.text import printable
from conformance.wire.exchange import End, Exchange

_EXERCISE = {
    "always": "in every run",
    "model": "wherever the model's answers allow it",
    "passive": "wherever traffic happens to show it; a run is complete without",
}
_MOST_LINES = 14
_WIDEST = 400
_DEFAULT_HEADERS = frozenset({"x-request-id"})


def _request(found: Exchange) -> Iterator[str]:
    request = found.request
    yield f"{request.method} {request.path}" + ("" if request.auth == "key" else f"  (auth: {request.auth})")
    for name, value in request.headers:
        yield f"{name}: {value}"
    if request.body is not None:
        yield request.body.decode("utf-8", "replace")


def _answer(found: Exchange) -> Iterator[str]:
    yield "no status" if found.status is None else f"status {found.status}"
    for name, value in found.headers:
        if name.lower() not in _DEFAULT_HEADERS:
            yield f"{name}: {value}"
    text = found.body.decode("utf-8", "backslashreplace")
    lines = text.split("\n")
    if found.is_event_stream:
        lines = [line for line in lines if line.strip("\r")]
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"… {len(lines) - _MOST_LINES} more lines"
    if found.end is not End.COMPLETE:
        yield f"(the answer ended by {found.end.value})"


def _side(out: Console, title: str, exchanges: tuple[Exchange, ...]) -> None:
    out.print(Text(title, style="bold"))
    for number, found in enumerate(exchanges, 1):
        if len(exchanges) > 1:
            out.print(Text(f"  exchange {number} of {len(exchanges)}", style="dim"))
        for mark, lines in ((">", _request(found)), ("<", _answer(found))):
            for line in lines:
                out.print(Text(f"  {mark} {printable(line, _WIDEST)}"), soft_wrap=True)


def _claims(out: Console, row: Requirement) -> None:
    for name, claim in row.claims.items():
        head = Text(f"{name}: ", style="bold")
        head.append(f"{claim.level.value}, on the word of: {claim.basis.value}", style="none")
        out.print(head)
        wrapped(out, claim.source, 4)
        if claim.quote:
            wrapped(out, f"“{claim.quote}”", 4)


def _exercise(row: Requirement) -> str:
    kind, _, flag = row.exercise.partition(":")
    return f"only with --{flag}" if kind == "opt_in" else _EXERCISE.get(kind, kind)


def _kills(out: Console, row: Requirement) -> None:
    broken = changes()[0].values()
    named = [change for change in broken if row.id in change.violates]
    entailed = [change for change in broken if row.id in change.entails]
    if named:
        out.print(Text("Faults that it catches", style="bold"))
    for change in named:
        wrapped(out, f"{change.name}: {change.summary}", 4, "  - ")
        if change.thread is not None:
            out.print(Text(f"    {change.thread}"), soft_wrap=True)
    if entailed:
        wrapped(out, "also broken by: " + ", ".join(change.name for change in entailed), 4, "  - ")


@click.command("explain", help="Explain one requirement: source, quote, how it is probed, right and wrong.")
@click.argument("id")
def explain_command(id: str) -> None:
    """One row of the catalogue, for people."""
    row = requirement(id)
    out = console()
    out.print(Text(row.id, style="bold"))
    wrapped(out, row.title, 0)
    wrapped(out, f"{row.ref}, area {row.area}, capability {row.capability}, impact: {row.impact.value}", 0)
    out.print()
    _claims(out, row)
    out.print()
    if row.excluded is not None:
        wrapped(out, f"Cannot be tested from outside: {row.excluded}", 0)
        return
    wrapped(out, f"Probed by {row.probed_by}; {_exercise(row)}.", 0)
    if row.requires:
        wrapped(out, "Builds on " + ", ".join(row.requires), 0)
    _kills(out, row)
    if row.example is not None:
        out.print()
        _side(out, "Right (a near miss)", examples.trace(row.example, "right").exchanges)
        _side(out, "Wrong", examples.trace(row.example, "wrong").exchanges)
