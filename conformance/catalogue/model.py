"""One row of the catalogue, and what it says in one dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """RFC 2119 words: a broken MUST fails a run, SHOULD warns, MAY informs."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Basis(StrEnum):
    """On whose word."""

    SCHEMA = "schema"
    PROSE = "prose"
    CLIENT = "client"
    OBSERVED = "observed"
    MEMORY = "memory"


class Impact(StrEnum):
    """Who is hurt, worst first: reports sort by it."""

    BREAKS_CLIENTS = "breaks clients"
    SILENTLY_WRONG = "silently wrong"
    LENIENT = "lenient"
    COSMETIC = "cosmetic"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Impact).index(self)


@dataclass(frozen=True)
class Claim:
    """What one dialect says: how strongly, on what basis, where, in which words."""

    level: Level
    basis: Basis
    source: str
    quote: str = ""


@dataclass(frozen=True)
class Requirement:
    """One predicate. `excluded` gives the reason why it cannot be tested from outside; then it has no rule.

    `exercise` is `always`, `model`, `passive` or `opt_in:<flag>`. `example` holds `right` and `wrong` exchanges in
    the shorthand of `conformance.catalogue.examples`.
    """

    id: str
    ref: str
    area: str
    capability: str
    title: str
    impact: Impact
    exercise: str
    claims: Mapping[str, Claim]
    requires: tuple[str, ...] = ()
    example: Mapping[str, Any] | None = None
    excluded: str | None = None
    probed_by: str = ""
    """How it is exercised, in one sentence for `explain`."""

    def claim(self, dialect_lineage: tuple[str, ...]) -> Claim | None:
        """The claim of the nearest dialect in a lineage, or None where the row is not of this dialect."""
        return next((self.claims[name] for name in dialect_lineage if name in self.claims), None)


@dataclass(frozen=True)
class Area:
    """A chapter of the catalogue: the first segment of its rows' ids."""

    name: str
    title: str
    section: str
    capability: str
    entry: str | None = None
    """The requirement whose failure blocks the others of this area."""


@dataclass(frozen=True)
class Catalogue:
    """All areas and rows, in catalogue order. `digest` is SHA-256 over the sources, hexadecimal."""

    areas: Mapping[str, Area]
    requirements: Mapping[str, Requirement]
    digest: str
