"""What the user knew of before the run is taken out of the verdicts: by waiver, or because a baseline had it already.

An error of ours is never excused, nor is a run that came to no verdict: both stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from conformance.verdict.baseline import Baseline
from conformance.verdict.fold import Cluster, Result, Verdict
from conformance.verdict.waivers import Spell, Waiver

_MOST_REASONS = 3


@dataclass(frozen=True)
class Known:
    """What is known before a run: waivers and a baseline. `today` is the day of the run in UTC.

    A waiver that names one requirement also answers for its absence: what a model shows only now and then would else
    make a gate flap. A glob does not, or the loss of a whole area could go unnoticed.
    """

    today: date
    waivers: tuple[Waiver, ...] = ()
    baseline: Baseline | None = None

    def excuse(self, requirement: str, place: str, dialect: str) -> str | None:
        """Why a violation at a place is excused, or None where it counts."""
        about = [waiver for waiver in self.waivers if waiver.covers(requirement, place) and waiver.speaks(dialect)]
        for waiver in about:
            if not waiver.expired(self.today):
                return waiver.text
        # A day that has passed was a promise: a baseline, made while it still held, does not prolong it.
        if not about and self.baseline is not None and self.baseline.knows(requirement, place):
            return f"known from the baseline {self.baseline.name}"
        return None

    def lacked(self, result: Result, dialect: str) -> bool:
        """Whether it is known that a requirement cannot be judged. An error is no such thing to a waiver."""
        if self.baseline is not None and self.baseline.lacked(result.id):
            return True
        about = [waiver for waiver in self.waivers if waiver.requirement == result.id and waiver.speaks(dialect)]
        return result.verdict is not Verdict.ERROR and any(not waiver.expired(self.today) for waiver in about)


def _one(result: Result, known: Known, dialect: str, spell: Spell) -> Result:
    if not result.verdict.violated:
        return result
    reasons: dict[str, None] = {}
    counting: list[Cluster] = []
    excused: list[Cluster] = []
    for cluster in result.found:
        why = known.excuse(result.id, spell(cluster.place), dialect)
        (counting if why is None else excused).append(cluster)
        if why is not None:
            reasons[why] = None
    if counting:
        return replace(result, found=tuple(counting), excused=tuple(excused))
    if result.reason is not None:
        # Our own rule raised on other traces: what it would have said of them, nobody has excused.
        return Result(result.standing, Verdict.ERROR, result.exercised, reason=result.reason, raised=True)
    return replace(result, verdict=Verdict.WAIVED, reason="; ".join(list(reasons)[:_MOST_REASONS]))


_JUDGED_OR_LEFT_OUT = frozenset(verdict for verdict in Verdict if verdict.exercised) | {Verdict.EXCLUDED}


def _forgiven(result: Result, known: Known, dialect: str, waived: frozenset[str]) -> Result:
    """What is known to be lacking makes no run incomplete, nor what a known violation blocks until that is mended."""
    if result.raised or result.verdict in _JUDGED_OR_LEFT_OUT:
        return result
    if known.lacked(result, dialect):
        return replace(result, forgiven=True)
    if result.blocker not in waived:
        return result
    return replace(result, reason=f"{result.blocker} is known to be violated, and this one builds on it", forgiven=True)


def excuse(results: Iterable[Result], known: Known, dialect: str, spell: Spell = str) -> tuple[Result, ...]:
    """The results with everything excused that is known: a violation is `waived` if all its places are.

    `spell` gives a normalised place as reports tell it. Pure: the same results and knowledge give the same verdicts.
    """
    made = tuple(_one(result, known, dialect, spell) for result in results)
    waived = frozenset(result.id for result in made if result.verdict is Verdict.WAIVED)
    return tuple(_forgiven(result, known, dialect, waived) for result in made)
