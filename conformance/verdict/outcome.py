"""From verdicts to one outcome, with the coverage that it rests on and the reasons in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from conformance.catalogue.model import Level
from conformance.verdict.fold import Result, Verdict


class Outcome(StrEnum):
    """What a run came to."""

    CONFORMANT = "conformant"
    NONCONFORMANT = "nonconformant"
    INCOMPLETE = "incomplete"
    NO_VERDICT = "no_verdict"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> int:
        """The process's exit code: 0, 1, 2 or 130."""
        return {"conformant": 0, "nonconformant": 1, "interrupted": 130}.get(self.value, 2)


@dataclass(frozen=True)
class Gate:
    """What fails a run: `fail_on` MUST or SHOULD; with `require_all` every unexercised row makes it incomplete."""

    fail_on: Level = Level.MUST
    require_all: bool = False

    def trips(self, result: Result) -> bool:
        """A violation at or above the gate."""
        return result.verdict is Verdict.FAIL or (result.verdict is Verdict.WARN and self.fail_on is Level.SHOULD)


@dataclass(frozen=True)
class Gap:
    """What keeps a run without violations from being conformant.

    `ids` are the requirements, `why` is a reason in words. `without` is the name that an honest `--without` would
    give: only where the endpoint said that it does not offer the thing, or where no answer ever showed it.
    """

    ids: tuple[str, ...]
    why: str
    without: str | None = None


@dataclass(frozen=True)
class Coverage:
    """Of how many requirements something could be said; `of` leaves out what was excluded or is untestable."""

    exercised: int
    of: int
    must_exercised: int
    must_of: int

    @property
    def text(self) -> str:
        """For people."""
        share = f" ({100 * self.exercised // self.of} %)" if self.of else ""
        return (
            f"{self.exercised} of {self.of} requirements exercised{share}, MUST {self.must_exercised} of {self.must_of}"
        )


@dataclass(frozen=True)
class Decision:
    """The outcome, why, what is missing, and how much of the selection it rests on."""

    outcome: Outcome
    reason: str
    gaps: tuple[Gap, ...]
    coverage: Coverage

    @property
    def without(self) -> tuple[str, ...]:
        """Each `--without` that would say honestly what the endpoint does not offer."""
        return tuple(dict.fromkeys(gap.without for gap in self.gaps if gap.without is not None))


def coverage(results: Iterable[Result]) -> Coverage:
    """Counted over everything that is not excluded."""
    counted = [result for result in results if result.verdict is not Verdict.EXCLUDED]
    musts = [result for result in counted if result.standing.claim.level is Level.MUST]
    return Coverage(
        sum(result.verdict.exercised for result in counted),
        len(counted),
        sum(result.verdict.exercised for result in musts),
        len(musts),
    )


_MISSING = frozenset({Verdict.UNSUPPORTED, Verdict.BLOCKED, Verdict.ERROR, Verdict.NOT_EXERCISED})


def _is_gap(result: Result, gate: Gate) -> bool:
    if result.raised:
        return True
    if result.forgiven:
        return False
    if gate.require_all:
        return not result.verdict.exercised and result.verdict not in (Verdict.EXCLUDED, Verdict.WAIVED)
    return result.standing.requirement.exercise == "always" and result.verdict in _MISSING


def _name(capability: str, results: Sequence[Result]) -> str:
    """A capability as `--without` takes it: with its kind where an area has the same name."""
    areas = {result.standing.requirement.area for result in results}
    return f"capability:{capability}" if capability in areas else capability


def _capability(name: str, results: Sequence[Result]) -> Iterable[Gap]:
    """The gaps of one capability's rows among which the whole capability may be what is missing."""
    rows = [result for result in results if result.standing.requirement.capability == name]
    refused = [result for result in rows if result.verdict is Verdict.UNSUPPORTED and not result.forgiven]
    whole = name != "core" and not any(result.verdict.exercised for result in rows)
    if refused and whole:
        yield Gap(tuple(result.id for result in refused), f"the endpoint refuses {name}", _name(name, results))
        return
    for result in refused:
        yield Gap((result.id,), f"refused: {result.reason}", result.id)


def _unshown(results: Sequence[Result]) -> Iterable[Gap]:
    """Claimed capabilities of whose `model` rows none was exercised."""
    rows: dict[str, list[Result]] = {}
    for result in results:
        if result.standing.requirement.exercise == "model" and result.verdict is not Verdict.EXCLUDED:
            rows.setdefault(result.standing.requirement.capability, []).append(result)
    for name, found in rows.items():
        if not any(result.verdict.exercised for result in found):
            without = _name(name, results) if name != "core" else None
            missing = tuple(result.id for result in found if not result.forgiven)
            yield Gap(missing, f"no answer ever showed {name}", without)


def _keys(missing: Sequence[Result]) -> Iterable[Gap]:
    """The rows about keys, where none was given: an endpoint may well want none."""
    ids = [
        row.id for row in missing if row.standing.requirement.area == "auth" and row.verdict is Verdict.NOT_EXERCISED
    ]
    if ids:
        yield Gap(tuple(ids), "no key was given, so nothing can be said about keys", "auth")


def gaps(results: Sequence[Result], gate: Gate, *, keyless: bool = False) -> tuple[Gap, ...]:
    """Everything that makes a run incomplete; each requirement is named once. `keyless`: the run had no key."""
    missing = [result for result in results if _is_gap(result, gate)]
    found: list[Gap] = []
    for name in dict.fromkeys(result.standing.requirement.capability for result in missing):
        wanted = {result.id for result in missing}
        found += [gap for gap in _capability(name, results) if wanted & set(gap.ids)]
    found += _keys(missing) if keyless else ()
    named = {name for gap in found for name in gap.ids}
    for gap in _unshown(results):
        left = tuple(name for name in gap.ids if name not in named)
        if left:
            found.append(Gap(left, gap.why, gap.without))
            named |= set(left)
    grouped: dict[str, list[str]] = {}
    for result in missing:
        if result.id not in named:
            words = result.reason or result.verdict.value
            grouped.setdefault(f"{result.verdict.value.replace('_', ' ')}: {words}", []).append(result.id)
    return (*found, *(Gap(tuple(ids), why) for why, ids in grouped.items()))


def _nothing(results: Sequence[Result]) -> str:
    """That the gate was not tripped, without hiding what lies below it or was known before."""
    warned = sum(result.verdict is Verdict.WARN for result in results)
    known = sum(result.verdict is Verdict.WAIVED for result in results)
    lacking = sum(result.forgiven for result in results)
    said = f" beyond what is known of {known} {_words(known)}" if known else ""
    more = f"; {lacking} {_words(lacking)} could not be judged, as is known" if lacking else ""
    if not warned:
        return f"nothing is violated{said}{more}"
    return f"no MUST is violated{said}, and {warned} SHOULD {'is' if warned == 1 else 'are'}{more}"


def _words(number: int) -> str:
    return "requirement" if number == 1 else "requirements"


def decide(
    results: Sequence[Result],
    gate: Gate,
    *,
    interrupted: bool = False,
    failed: str | None = None,
    keyless: bool = False,
) -> Decision:
    """The outcome, first that applies. `failed` is the sentence with which preflight ended, if it did."""
    counted = coverage(results)
    found = gaps(results, gate, keyless=keyless)
    tripped = sum(gate.trips(result) for result in results)
    if interrupted:
        # What is missing is missing because of that: no --without would be an honest answer.
        return Decision(Outcome.INTERRUPTED, "interrupted: the report is partial", (), counted)
    if tripped:
        words = "requirement is" if tripped == 1 else "requirements are"
        return Decision(Outcome.NONCONFORMANT, f"{tripped} {words} violated", found, counted)
    if failed is not None:
        return Decision(Outcome.NO_VERDICT, failed, (), counted)
    if not any(result.verdict.exercised for result in results):
        why = "nothing was selected" if not counted.of else "nothing could be judged"
        return Decision(Outcome.NO_VERDICT, why, found, counted)
    if found:
        rows = len({name for gap in found for name in gap.ids})
        why = f"{_nothing(results)}, but {rows} {_words(rows)} could not be judged"
        return Decision(Outcome.INCOMPLETE, why, found, counted)
    return Decision(Outcome.CONFORMANT, _nothing(results), (), counted)
