"""A baseline: an earlier report, against which only what is new counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conformance.verdict.difference import Place, Seen, difference
from conformance.verdict.fold import Result, Verdict
from conformance.verdict.waivers import Spell


@dataclass(frozen=True)
class Baseline:
    """What an earlier run saw. `left_out` are the requirements that were excluded there, on purpose."""

    name: str
    catalogue_sha256: str
    rows: Mapping[str, Seen]
    left_out: frozenset[str] = frozenset()

    def knows(self, requirement: str, place: str) -> bool:
        """Whether a requirement was violated there already, at this place."""
        seen = self.rows.get(requirement)
        return seen is not None and (place in seen.places or seen.whole)

    def lacked(self, requirement: str) -> bool:
        """Whether a requirement could not be judged there either."""
        seen = self.rows.get(requirement)
        return seen is not None and not seen.exercised and requirement not in self.left_out


@dataclass(frozen=True)
class Against:
    """What a run shows against its baseline.

    `known` are requirements of whose violations the baseline forgave some, `lacking` those that could be judged
    neither there nor here, `new` the places that count and were not violated there. `fixed`, `gone` and `added` are as
    in `Difference`. Under another catalogue (`same_catalogue` False) what is added came with the suite.
    """

    name: str
    same_catalogue: bool
    known: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    new: tuple[Place, ...] = ()
    fixed: tuple[Place, ...] = ()
    gone: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def seen(result: Result, spell: Spell = str) -> Seen:
    """What a run saw of one requirement, what is excused included."""
    violated = result.verdict.violated or result.verdict is Verdict.WAIVED
    places = frozenset(spell(found.place) for found in (*result.found, *result.excused)) if violated else frozenset()
    return Seen(result.verdict.exercised, places)


def against(results: Iterable[Result], baseline: Baseline, catalogue_sha256: str, spell: Spell = str) -> Against:
    """Compare the results of a selection, excused already, with the baseline."""
    selected = {result.id: result for result in results}
    now = {name: seen(result, spell) for name, result in selected.items()}
    found = difference(baseline.rows, now)
    counting = {
        (name, spell(cluster.place))
        for name, result in selected.items()
        if result.verdict.violated
        for cluster in result.found
    }
    excused = {(name, place) for name, item in now.items() for place in item.places} - counting
    known = dict.fromkeys(name for name, place in sorted(excused) if baseline.knows(name, place))
    return Against(
        name=baseline.name,
        same_catalogue=baseline.catalogue_sha256 == catalogue_sha256,
        known=tuple(known),
        lacking=tuple(name for name, result in selected.items() if result.forgiven and baseline.lacked(name)),
        new=tuple(place for place in found.broken if place in counting),
        fixed=found.fixed,
        gone=found.gone,
        added=found.added,
    )
