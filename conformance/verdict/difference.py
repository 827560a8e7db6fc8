"""What differs between two runs, requirement by requirement and place by place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Place = tuple[str, str]
"""A requirement and a normalised place, as reports spell it."""


@dataclass(frozen=True)
class Seen:
    """What a run saw of one requirement. `whole`: violated at more places than were told apart."""

    exercised: bool
    places: frozenset[str] = frozenset()
    whole: bool = False


@dataclass(frozen=True)
class Difference:
    """From one run to another, in the order of the later one.

    `broken` are places that were not violated before, `fixed` those that were and, though exercised, no longer are.
    `newly` and `gone` are requirements that are exercised only now or no longer; `added` and `removed` those that only
    one of the two runs knows.
    """

    broken: tuple[Place, ...]
    fixed: tuple[Place, ...]
    newly: tuple[str, ...]
    gone: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether anything differs."""
        return any((self.broken, self.fixed, self.newly, self.gone, self.added, self.removed))


_NOTHING = Seen(False)


def _only(names: Iterable[str], there: Mapping[str, Seen], other: Mapping[str, Seen]) -> Iterable[Place]:
    """Places that one run has and the other, which could have shown them, has not."""
    for name in names:
        seen = other.get(name, _NOTHING)
        if not seen.whole:
            yield from ((name, place) for place in sorted(there[name].places - seen.places))


def difference(before: Mapping[str, Seen], now: Mapping[str, Seen]) -> Difference:
    """What changed from `before` to `now`."""
    both = [name for name in now if name in before]
    return Difference(
        broken=tuple(_only(now, now, before)),
        fixed=tuple(_only((name for name in both if now[name].exercised), before, now)),
        newly=tuple(name for name in both if now[name].exercised and not before[name].exercised),
        gone=tuple(name for name in both if before[name].exercised and not now[name].exercised),
        added=tuple(name for name in now if name not in before),
        removed=tuple(name for name in before if name not in now),
    )
