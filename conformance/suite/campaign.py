"""A run against one endpoint, step by step: preflight, plan, gather, judge, shrink, confirm.

Everything that is judged is in `exchanges` and `marks`, so that `verify` derives the same verdicts from the evidence.
An interruption leaves what was measured in place, and every later step can still be taken.
"""

from __future__ import annotations

import importlib
import pkgutil
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import conformance
from conformance import probes as probe_modules
from conformance import rules as rule_modules
from conformance.catalogue.model import Catalogue
from conformance.dialects.model import Dialect
from conformance.probes import confirm as confirming
from conformance.probes import shrink as shrinking
from conformance.probes.base import Effort, Probe
from conformance.probes.gather import gather
from conformance.probes.plan import Plan, make_plan
from conformance.probes.preflight import Ready, preflight
from conformance.rules.base import FoldRule, Rule, Terms, by_id
from conformance.rules.judge import Judgement, judge
from conformance.suite.judging import judge_evidence
from conformance.suite.leftovers import deletions, leftovers
from conformance.transport.base import Transport
from conformance.transport.courier import Counts, Courier, Limits, Recorder
from conformance.verdict.smallest import Smallest
from conformance.wire.exchange import Exchange, Request
from conformance.wire.facts import Facts
from conformance.wire.traces import Lifecycle, Mark, Relation, Trace

CONFIRMATIONS = {Effort.QUICK: 2, Effort.STANDARD: 3, Effort.THOROUGH: 3}
"""How often the smallest steps are sent again."""
_PLACES = 5
"""Places of one requirement that are shrunk and confirmed; the report shows no more."""
_NOT_IMPORTED = frozenset({"conformance.__main__"})
"""Starts something when it is imported."""

Place = tuple[str, str]
"""A requirement and a normalised place."""


class Listener(Protocol):
    """Hears how a run gets on; called from any thread."""

    def progress(self, done: int, planned: int, area: str) -> None:
        """Groups and scenarios that are done, how many were planned, and the area of the last one."""

    def sent(self, exchange: Exchange, lane: str) -> None:
        """One more exchange; `lane` is its area, `preflight`, `shrink` or `confirm`."""


@dataclass(frozen=True)
class Settings:
    """What shapes a run, apart from where it goes. `probes` names the only sources of requests; empty means all.

    `has_key` says whether the transport sends a key: without one, nothing can be said about keys. `second_key` says
    the same of another project's, and `plant` leaves a stored completion behind.
    """

    model: str | None = None
    effort: Effort = Effort.STANDARD
    seed: int = 0
    probes: frozenset[str] = frozenset()
    without_capabilities: frozenset[str] = frozenset()
    has_key: bool = True
    second_key: bool = False
    plant: bool = False
    bad_keys: bool = True
    limits: Limits = field(default_factory=Limits)
    shrink: bool = True
    confirm: bool = True


def import_everything() -> None:
    """Import all of the package: Hypothesis draws constants from imported modules, so the same must be there each time.

    Modules that need something which is not installed are left out.
    """
    for module in pkgutil.walk_packages(conformance.__path__, "conformance."):
        if module.name not in _NOT_IMPORTED and not module.name.rpartition(".")[2].startswith(("test_", "conftest")):
            try:
                importlib.import_module(module.name)
            except ImportError:
                continue


def _as_it_is(exchange: Exchange) -> Exchange:
    return exchange


class Campaign:
    """One run. Call the steps in order; each needs the ones before it, and `shrink` and `confirm` may be left out."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        dialect: Dialect,
        catalogue: Catalogue,
        selection: frozenset[str],
        recorder: Recorder | None = None,
        listener: Listener | None = None,
        extra_probes: Iterable[Probe] = (),
        clean: Callable[[Exchange], Exchange] = _as_it_is,
    ) -> None:
        """`selection` are the ids of the requirements to judge; what they require is judged with them.

        `extra_probes` are the user's own recorded requests. `clean` takes the secrets out of an exchange: what is
        judged is what the evidence holds, so that no finding can quote a secret, not even a part of one.
        """
        self.settings = settings
        self.dialect = dialect
        self.selection = selection
        self.smallest: dict[Place, Smallest] = {}
        self.judgements: list[Judgement] = []
        self.terms = Terms(dialect)
        self.interrupted = False
        self.defects: list[str] = []
        """Probes that raised, a sentence each: what they were to exercise may have stayed unexercised."""
        self._catalogue = catalogue
        self._listener = listener
        self._extra = tuple(extra_probes)
        self._clean = clean
        self._shrink_spent = 0
        self._shrinking = ""
        self._shown: dict[Place, Trace] = {}
        self._courier = Courier(transport, settings.limits, recorder, sent=self._heard)
        self._ready: Ready | None = None
        self._plan: Plan | None = None
        self._rules: dict[str, Rule | FoldRule] = {}

    @property
    def exchanges(self) -> list[Exchange]:
        """Everything that was exchanged, shrinking and confirming included."""
        return self._courier.exchanges

    @property
    def marks(self) -> list[Mark]:
        """Everything that probes and this run said about exchanges."""
        return self._courier.marks

    @property
    def counts(self) -> Counts:
        """What was spent. Areas are lanes of `by_lane`, beside `preflight`, `shrink` and `confirm`."""
        return self._courier.counts

    @property
    def facts(self) -> Facts:
        """What is known of the endpoint: after judging from all evidence, before that from preflight."""
        if self.judgements or self._ready is None:
            return self.terms.facts
        return self._ready.base.facts

    @property
    def model(self) -> str | None:
        """The model under test, once preflight has found it."""
        return self._ready.base.model if self._ready is not None else self.settings.model

    @property
    def stopped(self) -> str | None:
        """Why sending ended early: a spent budget, a silent endpoint, an interruption. None if it did not."""
        return self._courier.stopped

    @property
    def capabilities(self) -> frozenset[str]:
        """The dialect's capabilities without the excluded ones."""
        return self.dialect.capabilities - self.settings.without_capabilities

    def _heard(self, exchange: Exchange, lane: str) -> None:
        if lane in ("shrink", "confirm"):
            self._courier.mark(Mark(Relation.SINGLE, self._shrinking, lane, exchange.id))
        if self._listener is not None:
            self._listener.sent(exchange, lane)

    def preflight(self) -> Ready:
        """Look at the endpoint. Raises NoVerdict, with one sentence for the user, where a run would say nothing."""
        settings = self.settings

        def send(request: Request, ordinal: int) -> Exchange | None:
            return self._courier.send(request, ordinal, lane="preflight")

        self._ready = preflight(
            send,
            self.dialect,
            model=settings.model,
            has_key=settings.has_key,
            bad_keys=settings.bad_keys,
            effort=settings.effort,
            capabilities=self.capabilities,
        )
        return self._ready

    def plan(self) -> Plan:
        """Work out what to send for the selection. Sends nothing."""
        if self._ready is None:
            raise RuntimeError("preflight comes before planning")
        import_everything()
        known = [*probe_modules.load().values(), *self._extra]
        if self.settings.probes:
            known = [probe for probe in known if probe.name in self.settings.probes]
        if not (self.settings.has_key and self.settings.bad_keys):
            known = [probe for probe in known if not probe.last]
        base = replace(
            self._ready.base,
            run_id=secrets.token_hex(8),
            second_key=self.settings.second_key,
            plant=self.settings.plant,
        )
        self._plan = make_plan(known, base, self.settings.seed, ids=self._ids(), opening=self._ready.opening)
        return self._plan

    def _ids(self) -> frozenset[str] | None:
        """The selected ids, or None where they are everything that can be judged in this dialect."""
        everything = {
            name
            for name, row in self._catalogue.requirements.items()
            if row.excluded is None
            and row.claim(self.dialect.lineage) is not None
            and row.capability in self.capabilities
        }
        return None if everything <= self.selection else self.selection

    def gather(self) -> None:
        """Send the plan. On Ctrl-C nothing more is sent, what was measured stays, and KeyboardInterrupt is raised."""
        plan = self._plan if self._plan is not None else self.plan()
        progress = self._listener.progress if self._listener is not None else None
        try:
            found = gather(
                plan,
                self._courier,
                concurrency=self.settings.limits.concurrency,
                progress=progress,
                judge=self._diverges(),
            )
            self.defects.extend(found)
        except KeyboardInterrupt:
            self.interrupt()
            raise
        finally:
            self._leave_nothing()

    def _diverges(self) -> Callable[[Trace], bool]:
        """Whether a life of stored completions violates something, by the rules of the selection."""
        chosen = by_id(rule_modules.load(), self._required())
        judging = [rule for rule in chosen if isinstance(rule, Rule) and rule.on is Lifecycle]
        terms = Terms(self.dialect, self.facts)
        return lambda trace: any(judge(rule, trace, terms).findings for rule in judging)

    def _leave_nothing(self) -> None:
        """Delete what this run stored and nobody deleted: after a scenario that broke off, or an interruption."""
        for request in deletions(leftovers(self.exchanges, self.dialect)):
            self._courier.send(request, fresh=True, lane="storage")

    def interrupt(self) -> None:
        """Send nothing more."""
        self.interrupted = True
        self._courier.stop("interrupted")

    def judge(self) -> list[Judgement]:
        """Judge everything by the rules of the selection and of what it requires."""
        self._rules = {rule.id: rule for rule in by_id(rule_modules.load(), self._required())}
        seen = [self._clean(exchange) for exchange in self.exchanges]
        self.terms, self.judgements = judge_evidence(seen, self.marks, self.dialect, self._rules.values())
        return self.judgements

    def _required(self) -> list[str]:
        """The selection and, transitively, what it requires, in catalogue order."""
        wanted: set[str] = set()
        waiting = list(self.selection)
        while waiting:
            name = waiting.pop()
            row = self._catalogue.requirements.get(name)
            if name not in wanted and row is not None:
                wanted.add(name)
                waiting += row.requires
        return [name for name in self._catalogue.requirements if name in wanted]

    def violations(self, requirement: str) -> Mapping[str, list[Trace]]:
        """The traces that violate a requirement, by normalised place, the most frequent place first."""
        found: dict[str, list[Trace]] = {}
        for judgement in self.judgements:
            if judgement.requirement == requirement:
                for place in {finding.place: None for finding in judgement.findings}:
                    found.setdefault(place, []).append(judgement.trace)
        return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))

    def shrink(self, requirement: str, places: Collection[str] | None = None) -> list[Smallest]:
        """The smallest steps for each place at which the requirement is violated, as far as the budgets go.

        `places` are the only ones of interest; None means all.
        """
        budget = shrinking.PER_REQUIREMENT
        made = []
        found = self.violations(requirement).items()
        wanted = [item for item in found if places is None or item[0] in places]
        for place, traces in wanted[:_PLACES]:
            again = [trace for trace in traces if confirming.repeatable(trace)]
            shrunk = self._shrunk((requirement, place), shrinking.smallest(again or traces), budget)
            budget -= shrunk.spent
            steps = tuple(self._clean(exchange) for exchange in shrunk.trace.exchanges)
            smallest = Smallest(requirement, place, steps, shrunk.minimal)
            self.smallest[requirement, place] = smallest
            self._shown[requirement, place] = shrunk.trace
            made.append(smallest)
        return made

    def _shrunk(self, place: Place, start: Trace, budget: int) -> shrinking.Shrunk:
        gathered = self.counts.requests - self._shrink_spent - self.counts.by_lane.get("confirm", 0)
        left = int(shrinking.OVERALL * gathered) - self._shrink_spent
        if self.settings.effort is Effort.QUICK or not self.settings.shrink or self.stopped is not None:
            left = 0
        if not confirming.repeatable(start):
            return shrinking.Shrunk(start, False, 0)
        self._shrinking = place[0]

        def send(request: Request, ordinal: int) -> Exchange | None:
            return self._courier.send(request, ordinal, lane="shrink")

        found = shrinking.shrink(start, send, self._violates(place), min(budget, left))
        self._shrink_spent += found.spent
        return found

    def confirm(self, requirement: str) -> list[Smallest]:
        """Send the smallest steps of each place again, memo off, and note how often they show the violation."""
        times = CONFIRMATIONS[self.settings.effort] if self.settings.confirm and self.stopped is None else 0
        self._shrinking = requirement

        def send(request: Request) -> Exchange | None:
            return self._courier.send(request, fresh=True, lane="confirm")

        made = []
        for place, smallest in list(self.smallest.items()):
            if place[0] == requirement and smallest.confirmed is None:
                seen = confirming.confirm(self._shown[place], send, self._violates(place), times)
                self.smallest[place] = replace(smallest, confirmed=seen)
                made.append(self.smallest[place])
        return made

    def _violates(self, place: Place) -> Callable[[Trace], bool]:
        """Whether a trace shows a violation of the requirement at the normalised place."""
        rule = self._rules.get(place[0])

        def shows(trace: Trace) -> bool:
            if not isinstance(rule, Rule):
                return False
            seen = replace(trace, exchanges=tuple(self._clean(exchange) for exchange in trace.exchanges))
            return any(finding.place == place[1] for finding in judge(rule, seen, self.terms).findings)

        return shows

    def close(self) -> None:
        """Nothing that still comes back is recorded any more, and connections are let go."""
        self._courier.close()
