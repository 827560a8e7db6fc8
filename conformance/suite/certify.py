"""A certification from options to report: what the pytest plugin calls, in the order of a run."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import configuration

import conformance
from conformance import probes, rules
from conformance.catalogue.loader import load as load_catalogue
from conformance.catalogue.model import Level
from conformance.dialects.loader import load as load_dialect
from conformance.probes.base import Base, Effort, Group, Probe
from conformance.probes.build import alone
from conformance.probes.plan import costs
from conformance.probes.preflight import NoVerdict
from conformance.reference import faults, variations
from conformance.reference.endpoint import KEY, SECOND_KEY
from conformance.reference.server import endpoint as reference_endpoint
from conformance.reference.server import start_process
from conformance.reporting import build, github, json_report, junit, markdown
from conformance.reporting.evidence import EvidenceWriter
from conformance.reporting.model import AreaCost, Report, Row, RunInfo, Suite
from conformance.reporting.model import Endpoint as Certified
from conformance.reporting.progress import RunProgress
from conformance.reporting.text import printable
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import judge
from conformance.sources.files import SourceError
from conformance.sources.fixtures import read_all
from conformance.suite.campaign import Campaign, Settings
from conformance.suite.judging import ASIDE
from conformance.suite.observations import observe
from conformance.suite.options import Options, UsageProblem, report_directory
from conformance.suite.watch import Watcher
from conformance.transport.base import Access, Timeouts, Transport
from conformance.transport.courier import Limits
from conformance.transport.http import HttpTransport
from conformance.transport.memory import MemoryTransport
from conformance.verdict.baseline import against
from conformance.verdict.excuses import Known, excuse
from conformance.verdict.fold import Cluster, Result, Verdict, fold, tally
from conformance.verdict.outcome import Gate, decide
from conformance.verdict.selection import Scope, scope, suggestion
from conformance.verdict.waivers import told
from conformance.wire.curl import curl
from conformance.wire.evidence import Header
from conformance.wire.exchange import Request
from conformance.wire.redaction import Secrets
from conformance.wire.traces import Single

_OWN = "own_fixtures"
_WRITERS: dict[str, tuple[tuple[str, Callable[[Report], str]], ...]] = {
    "json": (("report.json", json_report.render),),
    "junit": (("junit.xml", junit.render),),
    "github": (("annotations.txt", github.render),),
    "markdown": (("report.md", markdown.render), ("comment.md", markdown.comment)),
}
EMBEDDED = "no --base-url: certifying the EMBEDDED endpoint"


class Refused(Exception):
    """The run ended in preflight; the message is one sentence for the user."""


class Certification:
    """One run. `open`, `gather` and `close` in this order; `row` and `error` between the last two.

    Construction reads dialect and catalogue and raises DialectError, SelectionError or UsageProblem.
    """

    def __init__(self, options: Options) -> None:
        """Read what the options name; nothing is started or written."""
        self.options = options
        self.catalogue = load_catalogue()
        self.dialect = load_dialect(options.dialect)
        self._every = scope(self.catalogue, self.dialect, (), options.without)
        self.scope: Scope = scope(self.catalogue, self.dialect, options.selectors, options.without)
        self._check_names()
        self._own = (self._own_probe(options.fixtures),) if options.fixtures is not None else ()
        self.interrupted = False
        self.report: Report | None = None
        self.directory: Path | None = None
        self._failed: str | None = None
        self._started = time.time()
        self._known = Known(datetime.fromtimestamp(self._started, UTC).date(), options.waivers, options.baseline)
        self._base_url = options.base_url or ""
        self._secrets = Secrets()
        self._campaign: Campaign | None = None
        self._results: dict[str, Result] = {}
        self._ids: tuple[str, ...] = ()
        self._improved: set[str] = set()
        self._plan_digest: str | None = None
        self._stack = ExitStack()
        self._progress: RunProgress | None = None

    def _check_names(self) -> None:
        for option, names, known in (
            ("--probe", self.options.probes, [*probes.load(), _OWN] if self.options.probes else []),
            ("--fault", self.options.faults, list(faults.load()) if self.options.faults else []),
            ("--vary", self.options.variations, list(variations.load()) if self.options.variations else []),
        ):
            for name in names:
                if name not in known:
                    raise UsageProblem(f"{option}: nothing is called {name!r}{suggestion(name, known)}")

    def headline(self) -> list[str]:
        """What is certified, in a line."""
        return [EMBEDDED if self.options.embedded else f"certifying {self.options.base_url}"]

    def _campaign_for(
        self, transport: Transport, writer: EvidenceWriter | None, listener: Watcher | None, *, model: str | None
    ) -> Campaign:
        options = self.options
        settings = Settings(
            model=model,
            effort=Effort[options.effort.upper()],
            seed=options.seed,
            probes=frozenset(options.probes),
            without_capabilities=self._every.excluded_capabilities,
            has_key=self._has_key,
            second_key=options.embedded or options.second_key is not None,
            plant=options.plant,
            limits=Limits(options.max_requests, options.max_tokens_total, options.rate, options.concurrency),
        )
        judged = self.scope.narrowed(self._ids).judged
        return Campaign(
            settings,
            transport,
            self.dialect,
            self.catalogue,
            frozenset(judged),
            writer,
            listener,
            extra_probes=self._own,
            clean=self._secrets.exchange,
        )

    @property
    def _has_key(self) -> bool:
        return self.options.embedded or self.options.key is not None

    def _own_probe(self, directory: Path) -> Probe:
        """The user's recorded requests as a probe; they can show anything, so they go with any selection."""
        try:
            recorded = list(read_all(directory))
        except SourceError as problem:
            raise UsageProblem(f"--fixtures: {problem}") from problem
        if not recorded:
            raise UsageProblem(f"--fixtures: there is no fixture in {directory}")

        def table(base: Base) -> Iterator[Group]:
            for fixture in recorded:
                if fixture.needs <= base.capabilities:
                    refused = fixture.expectation(base.dialect.lineage) == "refused"
                    yield alone(fixture.request(base.model), free=refused)

        areas = tuple(self.catalogue.areas)
        return Probe(_OWN, "requests", areas, table=table, summary="The requests of --fixtures.")

    def plan_lines(self, ids: Iterable[str]) -> Iterator[str]:
        """What would be sent. Nothing is: the plan is made against the reference endpoint and its model, in memory."""
        self._ids = tuple(ids)
        self._hypothesis_home()
        reference = MemoryTransport(reference_endpoint(self.dialect).respond, KEY)
        campaign = self._campaign_for(reference, None, None, model=None)
        campaign.preflight()
        plan = campaign.plan()
        found = costs(plan)
        yield f"plan {plan.digest[:12]}, effort {self.options.effort}, seed {self.options.seed}: nothing was sent"
        yield f"{'area':<20}{'requests':>10}{'generating':>12}{'tokens up to':>14}{'scenarios up to':>17}"
        for area in (*self.catalogue.areas, *sorted(set(found) - set(self.catalogue.areas))):
            cost = found.get(area)
            if cost is not None:
                yield f"{area:<20}{cost.requests:>10}{cost.generating:>12}{cost.tokens:>14}{cost.scenarios:>17}"
        totals = [sum(getattr(cost, name) for cost in found.values()) for name in ("requests", "generating", "tokens")]
        bound = sum(cost.scenarios for cost in found.values())
        yield f"{'in all':<20}{totals[0]:>10}{totals[1]:>12}{totals[2]:>14}{bound:>17}"
        yield "on top come preflight (8 at most), shrinking and confirming; fields that are refused are not sent again"

    def broke(self, error: Exception) -> None:
        """The suite itself failed: no verdict may rest on what came before."""
        self._failed = self._failed or f"the suite itself failed: {type(error).__name__}"

    def _hypothesis_home(self) -> None:
        """Keep what Hypothesis writes out of the user's directory: it goes with the run."""
        configuration.set_hypothesis_home_dir(self._stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))

    def open(self, ids: Iterable[str], progress: RunProgress) -> None:
        """Start what is certified, the evidence and the progress; `ids` are the finally selected requirements."""
        options = self.options
        self._ids = tuple(ids)
        self._hypothesis_home()
        access = self._access()
        self._base_url = access.base_url
        hidden = [value for _, value in access.headers] + [options.key or "", options.second_key or ""]
        self._secrets = Secrets(frozenset(filter(None, hidden)), frozenset(name for name, _ in access.headers))
        self.directory = report_directory(options, self._base_url, options.model, self._started)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            writer = EvidenceWriter(self.directory / "evidence.jsonl", self._header(), self._secrets)
        except OSError as problem:
            raise Refused(f"cannot write a report to {self.directory}: {problem.strerror}") from problem
        self._stack.enter_context(writer)
        try:
            transport = HttpTransport(access, Timeouts(*options.timeouts))
        except ValueError as problem:
            raise Refused(str(problem)) from problem
        self._stack.callback(transport.close)
        judged = set(self.scope.narrowed(self._ids).judged) if options.progress else set()
        single = [rule for rule in rules.load().values() if isinstance(rule, Rule) and rule.on is Single]
        watched = [rule for rule in single if rule.id in judged and self._level(rule.id) is not Level.MAY]
        listener = Watcher(progress, watched, Terms(self.dialect))
        self._campaign = self._campaign_for(transport, writer, listener, model=options.model)
        self._stack.callback(self._campaign.close)
        self._progress = self._stack.enter_context(progress)

    def _level(self, requirement: str) -> Level:
        return self.scope.standings[requirement].claim.level

    def _access(self) -> Access:
        options = self.options
        if options.base_url is not None:
            return Access(options.base_url, options.key, options.headers, options.second_key, options.canary_url)
        process = start_process(
            dialect=_dialect_argument(options.dialect),
            faults=options.faults,
            variations=options.variations,
            mind=options.mind or "obedient",
        )
        try:
            return Access(self._stack.enter_context(process), KEY, options.headers, SECOND_KEY)
        except (RuntimeError, OSError) as problem:
            raise Refused(str(problem)) from problem

    def _header(self) -> Header:
        return Header(
            base_url=self._base_url,
            dialect=self.dialect.name,
            started=_rfc3339(self._started),
            configuration=self.options.configuration(),
            versions=_versions(),
            dialect_sha256=self.dialect.digest,
            catalogue_sha256=self.catalogue.digest,
        )

    def gather(self) -> None:
        """Preflight, plan, gather, judge. Raises Refused where preflight ended the run, KeyboardInterrupt on Ctrl-C."""
        campaign, progress = self._open_campaign(), self._progress
        try:
            campaign.preflight()
        except NoVerdict as problem:
            self._failed = str(problem)
            raise Refused(self._failed) from problem
        plan = campaign.plan()
        self._plan_digest = plan.digest
        if progress is not None:
            progress.say(f"model {campaign.model}; {plan.requests} requests planned, scenarios apart")
        campaign.gather()
        if progress is not None:
            progress.say("judging")
        self._judge()

    def _open_campaign(self) -> Campaign:
        if self._campaign is None:
            raise RuntimeError("open comes before gathering")
        return self._campaign

    def _judge(self) -> None:
        counted = tally(self._open_campaign().judge())
        entries = {area.name: area.entry for area in self.catalogue.areas.values()}
        results = excuse(fold(counted, self._every, entries), self._known, self.dialect.name, printable)
        self._results = {result.id: result for result in results}

    def result(self, requirement: str) -> Result:
        """The verdict; a requirement that was never judged (nothing was gathered) was not exercised."""
        found = self._results.get(requirement)
        if found is None:
            standing = self._every.standings[requirement]
            found = fold({}, Scope({requirement: standing}))[0]
        return found

    def error(self, requirement: str) -> str | None:
        """Why there is no verdict for a reason that is not the endpoint's doing, if so."""
        result = self.result(requirement)
        return result.reason or "error" if result.verdict is Verdict.ERROR else None

    def row(self, requirement: str) -> Row:
        """One requirement as it is told; what is violated is shrunk and confirmed first, once."""
        result = self.result(requirement)
        campaign = self._open_campaign()
        if result.verdict.violated and requirement not in self._improved and self._failed is None:
            self._improved.add(requirement)
            if self._progress is not None:
                self._progress.say(f"shrinking {requirement}")
            campaign.shrink(requirement, frozenset(cluster.place for cluster in result.clusters))
            campaign.confirm(requirement)
        return build.row(self._as_shown(result), campaign.smallest, self._secrets, self._curl)

    def _as_shown(self, result: Result) -> Result:
        """The findings as the smallest steps show them, so that what is told and what can be sent again agree."""
        return replace(result, found=tuple(self._sharpened(result.id, cluster) for cluster in result.found))

    def _sharpened(self, requirement: str, cluster: Cluster) -> Cluster:
        campaign, rule = self._open_campaign(), rules.load().get(requirement)
        smallest = campaign.smallest.get((requirement, cluster.place))
        if smallest is None or not isinstance(rule, Rule):
            return cluster
        if len(smallest.exchanges) != len(cluster.trace.exchanges):
            return cluster
        trace = replace(cluster.trace, exchanges=smallest.exchanges)
        said = judge(rule, trace, campaign.terms).findings
        found = next((finding for finding in said if finding.place == cluster.place), None)
        return cluster if found is None else replace(cluster, finding=found, trace=trace)

    def _curl(self, request: Request) -> str:
        return curl(
            request,
            self._base_url,
            key_variable=self.options.key_variable,
            header_variables=self.options.header_variables,
        )

    def close(self) -> Report | None:
        """Judge what there is if that was not done, write the report, let everything go. None where nothing began."""
        with self._stack:
            campaign = self._campaign
            if campaign is None or self.directory is None:
                return None
            if self.interrupted:
                campaign.interrupt()
            if not self._results and self._failed is None:
                self._judge()
            self.report = self._report(campaign)
        self._write(self.report)
        return self.report

    def _report(self, campaign: Campaign) -> Report:
        options = self.options
        results = [self._as_shown(self.result(name)) for name in self._ids]
        gate = Gate(Level(options.fail_on.upper()), options.require_all)
        counts = campaign.counts
        run = RunInfo(
            started=_rfc3339(self._started),
            finished=_rfc3339(time.time()),
            seed=options.seed,
            effort=options.effort,
            embedded=options.embedded,
            plan_sha256=self._plan_digest,
            requests=counts.requests,
            generating_requests=counts.generating,
            shrink_requests=sum(counts.by_lane.get(lane, 0) for lane in ASIDE),
            retries=counts.retries,
            prompt_tokens=counts.prompt_tokens,
            completion_tokens=counts.completion_tokens,
            areas={
                lane: AreaCost(number, counts.seconds_by_lane.get(lane, 0.0))
                for lane, number in counts.by_lane.items()
                if lane and lane not in ASIDE
            },
            config=self._secrets.json(options.configuration() | {"stopped": campaign.stopped}),
            defects=tuple(map(self._secrets.text, campaign.defects)),
        )
        versions = _versions()
        return build.report(
            Suite(versions["conformance"], self.catalogue.digest, versions["python"], versions["hypothesis"]),
            run,
            Certified(
                self._secrets.text(self._base_url),
                campaign.model,
                self.dialect.name,
                {
                    name: "excluded" if name in self._every.excluded_capabilities else "claimed"
                    for name in sorted(self.dialect.capabilities)
                },
            ),
            results,
            decide(results, gate, interrupted=self.interrupted, failed=self._failed, keyless=not self._has_key),
            smallest=campaign.smallest.values(),
            baseline=(
                against(results, options.baseline, self.catalogue.digest, printable)
                if options.baseline is not None and self._results
                else None
            ),
            waivers=told(self._known.waivers, results, self.dialect.name, self._known.today, printable),
            observations=observe(campaign.exchanges, campaign.marks, self.dialect),
            secrets=self._secrets,
            curl=self._curl,
        )

    def _write(self, report: Report) -> None:
        if self.directory is None:
            return
        if self.options.report is None and report.endpoint.model != self.options.model:
            named = replace(self.options, model=report.endpoint.model)
            target = report_directory(named, self._base_url, named.model, self._started)
            self.directory = self.directory.rename(target)
        for name in self.options.formats:
            for file, render in _WRITERS[name]:
                (self.directory / file).write_text(render(report), "utf-8")


def _dialect_argument(name: str) -> str:
    """A dialect file by its whole path: another process may run elsewhere."""
    return str(Path(name).resolve()) if Path(name).suffix in (".yaml", ".yml") else name


def _versions() -> dict[str, str]:
    return {
        "conformance": conformance.__version__,
        "python": platform.python_version(),
        "hypothesis": version("hypothesis"),
        "pytest": version("pytest"),
    }


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
