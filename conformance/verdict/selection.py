"""Which requirements a run is about: the rows of a dialect, what was selected, and what was left out on purpose."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from conformance.catalogue.model import Area, Basis, Catalogue, Claim, Level, Requirement
from conformance.dialects.model import Dialect, Row


class SelectionError(ValueError):
    """A name that cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Standing:
    """One requirement as it stands in a dialect: with the claim that counts there.

    `excluded` says why it is not judged in this run: the catalogue (untestable from outside), the user's dialect or
    `--without` gave the reason. `untestable` tells the first of these from the others.
    """

    requirement: Requirement
    claim: Claim
    excluded: str | None = None
    untestable: bool = False

    @property
    def id(self) -> str:
        """The requirement's id."""
        return self.requirement.id


@dataclass(frozen=True)
class Scope:
    """The requirements of a run, in catalogue order, and the capabilities that were excluded by name."""

    standings: Mapping[str, Standing]
    excluded_capabilities: frozenset[str] = frozenset()

    @property
    def judged(self) -> tuple[str, ...]:
        """The ids that get a verdict from evidence: everything that is not excluded."""
        return tuple(name for name, standing in self.standings.items() if standing.excluded is None)

    def narrowed(self, ids: Iterable[str]) -> Scope:
        """Only these requirements."""
        wanted = set(ids)
        return replace(self, standings={name: item for name, item in self.standings.items() if name in wanted})


def suggestion(name: str, known: Iterable[str]) -> str:
    """`: did you mean …?`, or an empty string where nothing known resembles the name."""
    close = difflib.get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f": did you mean {' or '.join(close)}?" if close else ""


def _overruled(requirement: Requirement, claim: Claim | None, row: Row, dialect: Dialect) -> Claim:
    """The claim after a user dialect's word on it; a row that no ancestor has needs level, basis and source."""
    if claim is None and not (row.level and row.basis and row.source):
        raise SelectionError(
            f"dialect {dialect.name}: rows: {requirement.id} is new to this dialect and needs level, basis and source"
        )
    base = claim or Claim(Level.MAY, Basis.MEMORY, "")
    changed = Claim(
        Level(row.level) if row.level else base.level,
        Basis(row.basis) if row.basis else base.basis,
        row.source or base.source,
        row.quote if row.quote is not None else base.quote,
    )
    if changed.basis is Basis.MEMORY and changed.level is Level.MUST:
        raise SelectionError(
            f"dialect {dialect.name}: rows: {requirement.id} has no source but memory and can be SHOULD at most"
        )
    return changed


def standings(catalogue: Catalogue, dialect: Dialect) -> dict[str, Standing]:
    """Every requirement of a dialect, in catalogue order. Raises SelectionError for a row that does not exist."""
    unknown = sorted(set(dialect.rows) - set(catalogue.requirements))
    if unknown:
        hint = suggestion(unknown[0], catalogue.requirements)
        raise SelectionError(f"dialect {dialect.name}: rows: there is no requirement {unknown[0]}{hint}")
    made: dict[str, Standing] = {}
    for requirement in catalogue.requirements.values():
        claim = requirement.claim(dialect.lineage)
        row = dialect.rows.get(requirement.id)
        off = None
        if row is not None and row.off is not None:
            off = f"the dialect {dialect.name} says: {row.off}"
        elif row is not None:
            claim = _overruled(requirement, claim, row, dialect)
        if claim is not None:
            made[requirement.id] = Standing(
                requirement, claim, requirement.excluded or off, requirement.excluded is not None
            )
    return made


def select(known: Mapping[str, Standing], selectors: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """The ids that areas, ids or globs name, in catalogue order; no selector names everything.

    Raises SelectionError for a selector that names nothing, with a suggestion.
    """
    if not selectors:
        return tuple(known)
    chosen: set[str] = set()
    for selector in selectors:
        found = {name for name, item in known.items() if selector in (name, item.requirement.area)}
        found = found or {name for name in known if fnmatchcase(name, selector)}
        if not found:
            raise SelectionError(_nothing(selector, known, catalogue))
        chosen |= found
    return tuple(name for name in known if name in chosen)


def _nothing(selector: str, known: Mapping[str, Standing], catalogue: Catalogue) -> str:
    elsewhere = catalogue.requirements.get(selector)
    if elsewhere is not None:
        return f"{selector} is no requirement of this dialect: it stands in {', '.join(sorted(elsewhere.claims))}"
    if any(name.startswith(f"{selector}.") for name in known):
        return f"nothing is called {selector!r}: did you mean {selector}.*?"
    if selector in catalogue.areas:
        return f"the area {selector} has no requirement in this dialect"
    return f"nothing is called {selector!r}{suggestion(selector, [*catalogue.areas, *known])}"


def _named(name: str, known: Mapping[str, Standing], areas: Mapping[str, Area]) -> tuple[str, frozenset[str]]:
    """What a `--without` name means: (`capability`, `area` or `requirement`, the ids)."""
    kind, _, bare = name.rpartition(":")
    by_capability = frozenset(i for i, item in known.items() if item.requirement.capability == bare)
    by_area = frozenset(i for i, item in known.items() if item.requirement.area == bare)
    if kind not in ("", "capability", "area"):
        raise SelectionError(f"--without {name}: only capability: and area: can stand before the colon")
    # A chapter whose rows are not in this dialect, or not written yet, is a good name all the same.
    is_capability = bool(by_capability) or bare in {area.capability for area in areas.values()}
    is_area = bare in areas
    if kind != "area" and is_capability and (kind or not by_area or by_area == by_capability):
        return "capability", by_capability
    if kind != "capability" and is_area and (kind or not by_capability):
        return "area", by_area
    if not kind and is_area and is_capability:
        raise SelectionError(
            f"--without {name} is ambiguous: say capability:{name} ({len(by_capability)} requirements) "
            f"or area:{name} ({len(by_area)})"
        )
    if not kind and bare in known:
        return "requirement", frozenset({bare})
    names = {area.capability for area in areas.values()} | set(areas) | set(known)
    raise SelectionError(f"--without {name}: nothing is called {bare!r}{suggestion(bare, sorted(names))}")


def exclude(known: Mapping[str, Standing], without: Sequence[str], areas: Mapping[str, Area]) -> Scope:
    """Leave out capabilities, areas or requirements by name. Raises SelectionError for an unknown or ambiguous name."""
    reasons: dict[str, str] = {}
    capabilities: set[str] = set()
    for name in without:
        kind, ids = _named(name, known, areas)
        if kind == "capability":
            capabilities.add(name.rpartition(":")[2])
            if "core" in capabilities:
                raise SelectionError("--without core would leave no endpoint to certify: name an area or a requirement")
        for found in ids:
            reasons.setdefault(found, f"--without {name}")
    return Scope(
        {name: replace(item, excluded=item.excluded or reasons.get(name)) for name, item in known.items()},
        frozenset(capabilities),
    )


def scope(catalogue: Catalogue, dialect: Dialect, selectors: Sequence[str], without: Sequence[str]) -> Scope:
    """All of the above: the rows of a dialect, without some, narrowed to the selected."""
    known = standings(catalogue, dialect)
    return exclude(known, without, catalogue.areas).narrowed(select(known, selectors, catalogue))
