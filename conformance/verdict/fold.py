"""From judgements to one verdict per requirement. Pure: the same judgements give the same verdicts, live and offline.

Per requirement the first that applies: `excluded` · `fail`, `warn` or `info` by level where anything was violated ·
`error` where the rule itself raised · `pass` where at least one trace held · and of vacuous traces only:
`unsupported`, `blocked`, `not_observable`, `error` (the network's), `not_exercised`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from conformance.catalogue.model import Level
from conformance.rules.base import Finding, Reason
from conformance.rules.judge import Judgement
from conformance.verdict.selection import Scope, Standing
from conformance.wire.traces import Trace

MOST_CLUSTERS = 5


class Verdict(StrEnum):
    """What became of a requirement."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    INFO = "info"
    UNSUPPORTED = "unsupported"
    BLOCKED = "blocked"
    NOT_EXERCISED = "not_exercised"
    NOT_OBSERVABLE = "not_observable"
    EXCLUDED = "excluded"
    WAIVED = "waived"
    """Violated as the user knew and wrote down; part of the report's vocabulary, decided apart from the fold."""
    ERROR = "error"

    @property
    def violated(self) -> bool:
        """Something was found, whatever its weight."""
        return self in _VIOLATED

    @property
    def exercised(self) -> bool:
        """At least one trace said something about the requirement."""
        return self in (Verdict.PASS, Verdict.WAIVED) or self.violated


_BY_LEVEL = {Level.MUST: Verdict.FAIL, Level.SHOULD: Verdict.WARN, Level.MAY: Verdict.INFO}
_VIOLATED = frozenset(_BY_LEVEL.values())

_WORDS = {
    Reason.MODEL_FREE: "the model was free to answer otherwise, and did",
    Reason.REFUSED: "the endpoint refused the feature",
    Reason.CUT_BY_LIMIT: "the answers were cut by the token limit",
    Reason.NO_CONTROL: "no control showed what the answer is to be compared with",
    Reason.FACETS: "the recording lacks what the rule reads",
    Reason.TRANSPORT: "no exchange came through",
}


_UP_TO_THE_MODEL = frozenset({Reason.MODEL_FREE, Reason.NO_CONTROL, Reason.CUT_BY_LIMIT})
_MOST_PROMPTS = 3
_LONGEST_PROMPT = 60
"""Characters of a prompt that are shown."""


def _prompts(trace: Trace) -> set[str]:
    """The last text that each chat request of the trace asks with, on one line."""
    found: set[str] = set()
    for exchange in trace.exchanges:
        chat = exchange.request.chat
        texts = [m["content"] for m in chat.messages if isinstance(m.get("content"), str)] if chat is not None else []
        line = " ".join(texts[-1].split()) if texts else ""
        if line:
            found.add(line if len(line) <= _LONGEST_PROMPT else f"{line[: _LONGEST_PROMPT - 1]}…")
    return found


@dataclass(frozen=True)
class Cluster:
    """Findings at one normalised place: the first of them, its trace, and in how many traces there was one."""

    place: str
    finding: Finding
    trace: Trace
    count: int


@dataclass
class Tally:
    """What all judgements said of one requirement; grows by `add`, holds one trace per place and no others."""

    held: int = 0
    violated: int = 0
    vacuous: Counter[Reason] = field(default_factory=Counter)
    details: Counter[tuple[Reason, str]] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    prompts: Counter[str] = field(default_factory=Counter)
    """What was said to a model that did not play along, cut to a line each."""

    @property
    def exercised(self) -> int:
        """Traces that could have shown a violation."""
        return self.held + self.violated

    def add(self, judgement: Judgement) -> None:
        """Count one judgement."""
        if judgement.error is not None:
            if judgement.error not in self.errors:
                self.errors.append(judgement.error)
        elif judgement.findings:
            self.violated += 1
            for place, finding in {found.place: found for found in reversed(judgement.findings)}.items():
                known = self.clusters.get(place)
                self.clusters[place] = (
                    Cluster(place, known.finding, known.trace, known.count + 1)
                    if known is not None
                    else Cluster(place, finding, judgement.trace, 1)
                )
        elif judgement.vacuous is not None:
            self.vacuous[judgement.vacuous.reason] += 1
            self.details[judgement.vacuous.reason, judgement.vacuous.detail] += 1
            if judgement.vacuous.reason in _UP_TO_THE_MODEL:
                self.prompts.update(_prompts(judgement.trace))
        else:
            self.held += 1

    def why(self, reason: Reason) -> str:
        """A reason in words, with the commonest detail that rules gave."""
        details = [(n, text) for (found, text), n in self.details.items() if found is reason and text]
        return max(details)[1] if details else _WORDS.get(reason, reason.value)

    def tried(self) -> str:
        """The prompts that were tried in vain, the first few of them; nothing where there were none."""
        shown = [f'"{prompt}"' for prompt, _ in self.prompts.most_common(_MOST_PROMPTS)]
        more = len(self.prompts) - len(shown)
        return f"; tried {', '.join(shown)}{f' and {more} more' if more else ''}" if shown else ""


@dataclass(frozen=True)
class Result:
    """The verdict on one requirement. `found` are the places that count, most frequent first.

    `excused` are places that the user knew of, beside others that count. `raised`: the verdict is `error` because our
    own rule raised, not because the network failed; where it is violated elsewhere, `reason` says what was raised.
    `blocker` is the violated requirement that blocks this one. `forgiven`: its absence makes no run incomplete.
    """

    standing: Standing
    verdict: Verdict
    exercised: int = 0
    violated: int = 0
    reason: str | None = None
    found: tuple[Cluster, ...] = ()
    raised: bool = False
    excused: tuple[Cluster, ...] = ()
    blocker: str | None = None
    forgiven: bool = False

    @property
    def id(self) -> str:
        """The requirement's id."""
        return self.standing.id

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """The most frequent places that count, at most `MOST_CLUSTERS`: those that are told."""
        return self.found[:MOST_CLUSTERS]


def tally(judgements: Iterable[Judgement]) -> dict[str, Tally]:
    """Count judgements by requirement, in one pass: judgements may be streamed."""
    made: dict[str, Tally] = {}
    for judgement in judgements:
        made.setdefault(judgement.requirement, Tally()).add(judgement)
    return made


def _most_frequent(clusters: Iterable[Cluster]) -> tuple[Cluster, ...]:
    return tuple(sorted(clusters, key=lambda cluster: (-cluster.count, cluster.place)))


def _own(standing: Standing, counted: Tally) -> Result:
    """The verdict without a look at other requirements: never `blocked`."""
    if standing.excluded is not None:
        return Result(standing, Verdict.EXCLUDED, reason=standing.excluded)
    exercised, violated = counted.exercised, counted.violated
    if violated:
        verdict = _BY_LEVEL[standing.claim.level]
        reason = counted.errors[0] if counted.errors else None
        found = _most_frequent(counted.clusters.values())
        return Result(standing, verdict, exercised, violated, reason, found)
    if counted.errors:
        return Result(standing, Verdict.ERROR, exercised, reason=counted.errors[0], raised=True)
    if counted.held:
        return Result(standing, Verdict.PASS, exercised)
    return _vacuous(standing, counted)


def _vacuous(standing: Standing, counted: Tally) -> Result:
    if not counted.vacuous:
        return Result(standing, Verdict.NOT_EXERCISED, reason="nothing that was exchanged is about it")
    if counted.vacuous[Reason.REFUSED]:
        return Result(standing, Verdict.UNSUPPORTED, reason=counted.why(Reason.REFUSED))
    reasons = set(counted.vacuous)
    if reasons == {Reason.FACETS}:
        return Result(standing, Verdict.NOT_OBSERVABLE, reason=counted.why(Reason.FACETS))
    if reasons == {Reason.TRANSPORT}:
        return Result(standing, Verdict.ERROR, reason=counted.why(Reason.TRANSPORT))
    commonest = max(counted.vacuous, key=lambda reason: counted.vacuous[reason])
    tried = counted.tried() if standing.requirement.exercise == "model" else ""
    return Result(standing, Verdict.NOT_EXERCISED, reason=counted.why(commonest) + tried)


def _blocker(name: str, own: Mapping[str, Result], needs: Mapping[str, tuple[str, ...]]) -> str | None:
    """The first violated requirement that this one builds on, directly or through others; cycles end the search."""
    seen = {name}
    waiting = list(needs.get(name, ()))
    while waiting:
        current = waiting.pop(0)
        if current in seen:
            continue
        seen.add(current)
        found = own.get(current)
        if found is not None and found.verdict in (Verdict.FAIL, Verdict.WARN):
            return current
        if found is None or not found.verdict.exercised:
            waiting += needs.get(current, ())
    return None


def fold(
    counted: Mapping[str, Tally], scope: Scope, entries: Mapping[str, str | None] | None = None
) -> tuple[Result, ...]:
    """The verdict on every requirement of the scope, in catalogue order.

    `entries` maps an area to the requirement whose violation blocks the others of that area.
    """
    own = {name: _own(item, counted.get(name, Tally())) for name, item in scope.standings.items()}
    needs: dict[str, tuple[str, ...]] = {}
    for name, item in scope.standings.items():
        entry = (entries or {}).get(item.requirement.area)
        needs[name] = (*item.requirement.requires, *((entry,) if entry is not None and entry != name else ()))
    return tuple(_blocked(result, own, needs) for result in own.values())


_BLOCKABLE = frozenset({Verdict.NOT_EXERCISED, Verdict.NOT_OBSERVABLE, Verdict.ERROR})


def _blocked(result: Result, own: Mapping[str, Result], needs: Mapping[str, tuple[str, ...]]) -> Result:
    if result.verdict not in _BLOCKABLE or result.raised:
        return result
    blocker = _blocker(result.id, own, needs)
    if blocker is None:
        return result
    reason = f"{blocker} is violated, and this one builds on it"
    return Result(result.standing, Verdict.BLOCKED, reason=reason, blocker=blocker)
