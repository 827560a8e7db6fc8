"""`list` and `faults`: what is required, and how the embedded endpoint can be broken or varied."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase

import click
from rich.text import Text

from conformance.catalogue.model import Catalogue, Requirement
from conformance.cli.common import catalogue, changes, console
from conformance.reference.stages import Change
from conformance.verdict.selection import suggestion


def _chosen(found: Catalogue, selectors: tuple[str, ...]) -> list[Requirement]:
    """Rows of any dialect, by area, id or glob."""
    rows = list(found.requirements.values())
    for selector in selectors:
        if not any(_matches(row, selector) for row in rows):
            hint = suggestion(selector, [*found.areas, *found.requirements])
            raise click.ClickException(f"nothing is called {selector!r}{hint}")
    return [row for row in rows if not selectors or any(_matches(row, selector) for selector in selectors)]


def _matches(row: Requirement, selector: str) -> bool:
    return selector in (row.id, row.area) or fnmatchcase(row.id, selector)


def _levels(row: Requirement) -> str:
    """`MUST`, or `MUST xerotier SHOULD` where dialects differ."""
    levels = {name: claim.level.value for name, claim in row.claims.items()}
    if len(set(levels.values())) == 1:
        return next(iter(levels.values()))
    return " ".join(f"{name}:{level}" for name, level in levels.items())


def _as_json(row: Requirement) -> dict[str, object]:
    return {
        "id": row.id,
        "ref": row.ref,
        "area": row.area,
        "capability": row.capability,
        "impact": row.impact.value,
        "exercise": row.exercise,
        "title": row.title,
        "requires": list(row.requires),
        "excluded": row.excluded,
        "dialects": {
            name: {
                "level": claim.level.value,
                "basis": claim.basis.value,
                "source": claim.source,
                "quote": claim.quote,
            }
            for name, claim in row.claims.items()
        },
    }


@click.command("list", help="List requirements: id, level, impact, title, dialects.")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR ...]")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array.")
def list_command(selectors: tuple[str, ...], as_json: bool) -> None:
    """All rows of all dialects, in catalogue order."""
    rows = _chosen(catalogue(), selectors)
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in rows], indent=1))
        return
    out = console()
    for row in rows:
        head = Text(row.id, style="bold")
        head.append(f"  {_levels(row)}  [{row.impact.value}]  {', '.join(row.claims)}", style="none")
        if row.excluded is not None:
            head.append("  (cannot be tested from outside)", style="dim")
        out.print(head, soft_wrap=True)
        out.print(Text(f"    {row.title}"), soft_wrap=True)
    click.echo(f"{len(rows)} requirements", err=True)


def _rows(kind: str, found: Iterable[Change]) -> list[dict[str, object]]:
    return [
        {
            "name": change.name,
            "kind": kind,
            "summary": change.summary,
            "violates": list(change.violates),
            "entails": dict(change.entails),
            "dialects": sorted(change.dialects),
            "condition": change.condition,
            "thread": change.thread,
            "legal": change.legal,
        }
        for change in found
    ]


def _tell(rows: list[dict[str, object]]) -> None:
    out = console()
    for change in rows:
        out.print(Text(str(change["name"]), style="bold"), soft_wrap=True)
        out.print(Text(f"    {change['summary']}"), soft_wrap=True)
        for label in ("violates", "entails", "dialects"):
            names = change[label]
            if isinstance(names, (list, dict)) and names:
                out.print(Text(f"    {label}: {', '.join(names)}"), soft_wrap=True)
        for label in ("condition", "thread", "legal"):
            if change[label] is not None:
                out.print(Text(f"    {label}: {change[label]}"), soft_wrap=True)


@click.command("faults", help="List the embedded endpoint's faults (must be caught) and variations (must not be).")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array.")
def faults_command(as_json: bool) -> None:
    """By name, for `run --fault` and `run --vary`."""
    faults, variations = changes()
    broken, varied = _rows("fault", faults.values()), _rows("variation", variations.values())
    if as_json:
        click.echo(json.dumps([*broken, *varied], indent=1))
        return
    out = console()
    for title, rows in (("Faults", broken), ("Legal variations", varied)):
        out.print(Text(f"{title} ({len(rows)})", style="bold underline"))
        _tell(rows)
