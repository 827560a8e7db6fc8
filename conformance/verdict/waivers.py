"""Waivers: violations that somebody knows of and answers for until a day, and what became of each in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase

from conformance.verdict.fold import Cluster, Result, Verdict

Spell = Callable[[str], str]
"""A normalised place as reports and waivers spell it."""


class State(StrEnum):
    """What a run shows of a waiver."""

    USED = "used"
    """It excused a violation."""
    STALE = "stale"
    """All that it names was exercised, and nothing of it violated: it can go."""
    UNOBSERVED = "unobserved"
    """What it names was not exercised this time: nothing can be said."""
    EXPIRED = "expired"
    """Its day is over: it excuses nothing."""


@dataclass(frozen=True)
class Waiver:
    """A known violation. `requirement` is an id or a glob; `expires` is the last day on which it excuses.

    Without `dialect` it holds in each, without `place` (normalised, as reports tell it) everywhere.
    """

    requirement: str
    reason: str
    owner: str
    expires: date
    dialect: str | None = None
    place: str | None = None
    link: str | None = None

    def names(self, requirement: str) -> bool:
        """Whether this is about a requirement."""
        return self.requirement == requirement or fnmatchcase(requirement, self.requirement)

    def covers(self, requirement: str, place: str) -> bool:
        """Whether this is about a violation of a requirement at a place."""
        return self.names(requirement) and self.place in (None, place)

    def speaks(self, dialect: str) -> bool:
        """Whether it holds in a dialect: that very one, not those that extend it."""
        return self.dialect in (None, dialect)

    def expired(self, today: date) -> bool:
        """Whether its day is over."""
        return today > self.expires

    @property
    def text(self) -> str:
        """Why a violation is excused, in words."""
        link = f", {self.link}" if self.link else ""
        return f"until {self.expires}: {self.reason} ({self.owner}{link})"


@dataclass(frozen=True)
class Told:
    """What became of a waiver. `requirements` are those that it excused, or would have if it had not expired."""

    waiver: Waiver
    state: State
    requirements: tuple[str, ...] = ()
    why: str = ""


def _places(result: Result) -> tuple[Cluster, ...]:
    violated = result.verdict.violated or result.verdict is Verdict.WAIVED
    return (*result.found, *result.excused) if violated else ()


def _told(waiver: Waiver, results: Sequence[Result], dialect: str, today: date, spell: Spell) -> Told:
    named = [result for result in results if waiver.names(result.id) and result.verdict is not Verdict.EXCLUDED]
    speaks = waiver.speaks(dialect)
    hit = tuple(
        result.id for result in named if any(waiver.covers(result.id, spell(found.place)) for found in _places(result))
    )
    if waiver.expired(today):
        still = "" if hit and speaks else ", and nothing of it was violated"
        return Told(waiver, State.EXPIRED, hit if speaks else (), f"since {waiver.expires} it excuses nothing{still}")
    if not speaks:
        return Told(waiver, State.UNOBSERVED, (), f"it is for the dialect {waiver.dialect}")
    if hit:
        return Told(waiver, State.USED, hit)
    missing = [result.id for result in named if not result.verdict.exercised]
    if not named:
        return Told(waiver, State.UNOBSERVED, (), "nothing of it was part of this run")
    if missing:
        more = f" and {len(missing) - 1} more were" if len(missing) > 1 else " was"
        return Told(waiver, State.UNOBSERVED, (), f"{missing[0]}{more} not exercised")
    where = "" if waiver.place is None else " at this place"
    return Told(waiver, State.STALE, (), f"exercised, and not violated{where}: it can go")


def told(
    waivers: Iterable[Waiver], results: Iterable[Result], dialect: str, today: date, spell: Spell = str
) -> tuple[Told, ...]:
    """What became of each waiver. `results` are those of the selection, excused already."""
    selected = tuple(results)
    return tuple(_told(waiver, selected, dialect, today, spell) for waiver in waivers)
