"""Make a JSON body smaller while it still shows what it shows.

Pure: the caller says what "still shows" means. Big steps come first, since each costs a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from conformance.wire import strict_json
from conformance.wire.strict_json import Json

Body = dict[str, Any]
Step = str | int
Path = tuple[Step, ...]
_ABSENT = object()


def at(value: Json, path: Path) -> Json:
    """The value at a path of keys and indices."""
    for step in path:
        value = value[step]
    return value


def replaced(value: Json, path: Path, new: object) -> Json:
    """A copy with another value at the path; only the containers on the way are copied."""
    if not path:
        return new
    first, rest = path[0], path[1:]
    copy: Json = dict(value) if isinstance(value, dict) else list(value)
    if not rest and new is _ABSENT:
        del copy[first]
    else:
        copy[first] = replaced(value[first], rest, new)
    return copy


def places(value: Json) -> Iterator[Path]:
    """All paths inside a value, outer ones first, without recursion; not the value itself."""
    level: list[tuple[Path, Json]] = [((), value)]
    while level:
        inner: list[tuple[Path, Json]] = []
        for path, item in level:
            children: Iterator[tuple[Step, Json]]
            if isinstance(item, dict):
                children = iter(item.items())
            elif isinstance(item, list):
                children = iter(enumerate(item))
            else:
                continue
            inner += [((*path, step), child) for step, child in children]
        yield from (path for path, _ in inner)
        level = inner


def weight(value: Json) -> int:
    """How big a value is: every step of reduction makes it smaller, so that reducing ends."""
    total = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        total += 4
        if isinstance(item, dict):
            total += sum(len(key) + 4 for key in item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            total += len(item)
        elif strict_json.is_number(item):
            total += _magnitude(item)
    return total


def _magnitude(number: int | float) -> int:
    """0 for 0, 1 for 1, and more for everything else; fractions are heavier than whole numbers."""
    if number in (0, 1):
        return int(number)
    return 1 + number.bit_length() if isinstance(number, int) else 100_000


def _simpler(value: Json) -> Iterator[Json]:
    """Values that may stand in for this one, simplest first. Booleans and null are as simple as can be."""
    if isinstance(value, str) and value:
        yield ""
        half = len(value) // 2
        if half:
            yield value[:half]
            yield value[half:]
    elif strict_json.is_number(value):
        for simple in (0, 1):
            if value != simple and weight(simple) < weight(value):
                yield simple
        if isinstance(value, int) and abs(value) > 3:
            yield value // 2 if value > 0 else -(-value // 2)
    elif isinstance(value, list) and len(value) > 1:
        half = len(value) // 2
        yield value[:half]
        yield value[half:]


def _bulk(body: Body) -> Iterator[Body]:
    """Steps that drop much at once: many top-level keys, or one half of them."""
    keys = list(body)
    if len(keys) > 3:
        half = len(keys) // 2
        for dropped in (keys[3:], keys[half:], keys[:half]):
            yield {key: value for key, value in body.items() if key not in dropped}


def removals(body: Body) -> Iterator[Body]:
    """Every body with a key or an element less, the outer ones first."""
    for path in places(body):
        yield replaced(body, path, _ABSENT)


def simplifications(body: Body) -> Iterator[Body]:
    """Every body with half a list or string, or with a simpler value."""
    for path in places(body):
        for simple in _simpler(at(body, path)):
            made: Body = replaced(body, path, simple)
            yield made


def neighbours(body: Body) -> Iterator[Body]:
    """Every body that is one step smaller."""
    yield from removals(body)
    yield from simplifications(body)


class _Reduction:
    """The body as small as it is by now, and what was asked; no question is asked twice, or beyond the budget."""

    def __init__(
        self, body: Body, still_violates: Callable[[Body], bool], valid: Callable[[Body], bool], budget: int
    ) -> None:
        self.current = body
        self._still_violates = still_violates
        self._valid = valid
        self._left = budget
        self._asked: set[bytes] = {strict_json.dump(body)}

    def _open(self, candidate: Body) -> bool:
        return strict_json.dump(candidate) not in self._asked and self._valid(candidate)

    def passes(self, candidate: Body) -> bool | None:
        """Whether it violates too and now is the current body; None where there is no budget left to know."""
        if not self._open(candidate):
            return False
        if self._left <= 0:
            return None
        self._asked.add(strict_json.dump(candidate))
        self._left -= 1
        if self._still_violates(candidate):
            self.current = candidate
            return True
        return False

    def take_away(self) -> bool:
        """Take away until nothing more can be; false where the budget does not suffice to know.

        After a step that works the next candidates are tried on what it left: those before it have just failed on
        nearly the same body. A last pass over all of them, without a success, is what makes the body 1-minimal.
        """
        position, changed = 0, False
        while True:
            for number, candidate in enumerate(removals(self.current)):
                if number < position:
                    continue
                found = self.passes(candidate)
                if found is None:
                    return False
                if found:
                    position, changed = number, True
                    break
            else:
                if position == 0 or not changed:
                    return True
                position, changed = 0, False

    def _affords(self, candidate: Body) -> bool:
        """The budget suffices to ask about it, and to show again that nothing can be taken away from it."""
        room = self._left - 1
        return room >= sum(1 for _ in places(candidate)) or room >= sum(map(self._open, removals(candidate)))

    def simplify(self) -> bool:
        """Make values simpler, as far as the budget goes; whether something changed."""
        position, changed = 0, False
        while True:
            for number, candidate in enumerate(simplifications(self.current)):
                if number < position or not self._open(candidate):
                    continue
                if not self._affords(candidate):
                    return changed
                if self.passes(candidate):
                    position, changed = number, True
                    break
            else:
                return changed


def reduce(
    body: Body, still_violates: Callable[[Body], bool], valid: Callable[[Body], bool], budget: int
) -> tuple[Body, bool]:
    """A smaller body that still violates, and whether it is verified that no key and no element can be taken away.

    `still_violates` is asked at most `budget` times, never about a body that is not `valid` and never twice about the
    same. The body given is taken to violate. Values are made simpler only while the budget suffices to verify what
    that leads to: a short text tells a reader as much as an empty one, a needless key misleads.
    """
    found = _Reduction(body, still_violates, valid, budget)
    for candidate in _bulk(body):
        if found.passes(candidate):
            break
    while found.take_away():
        if not found.simplify():
            return found.current, True
    return found.current, False
