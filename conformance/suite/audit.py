"""Judge recorded traffic: every rule over every exchange of any number of files, streaming, without a network."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from conformance import rules as rulebook
from conformance import sources
from conformance.catalogue.loader import load as load_catalogue
from conformance.catalogue.model import Impact, Level, Requirement
from conformance.dialects.loader import DialectError
from conformance.dialects.loader import load as load_dialect
from conformance.dialects.model import Dialect
from conformance.rules.base import Finding, FoldRule, Reason, Rule, Terms
from conformance.rules.judge import Judgement, came_through, is_readable, judge
from conformance.wire.assemble import assemble
from conformance.wire.exchange import LIVE_FACETS, Exchange
from conformance.wire.facts import Facts, derive
from conformance.wire.traces import Trace

WINDOW_BYTES = 32 << 20
"""Bodies held at a time. Relations are found within a window, and within one origin of one file."""
WINDOW_EXCHANGES = 10_000
MOST_CLUSTERS = 200
"""Places of one requirement that are told apart; the rest are counted together."""
MOST_EXAMPLES = 3
_OTHER_PLACES = "(other places)"


@dataclass
class Cluster:
    """Findings of one requirement at one normalised place; `files` counts them by file."""

    requirement: str
    place: str
    count: int = 0
    files: Counter[str] = field(default_factory=Counter)
    examples: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding, file: str) -> None:
        """Count one more; the first few are kept as examples, one of each file."""
        if file not in self.files and len(self.examples) < MOST_EXAMPLES:
            self.examples.append(finding)
        self.count += 1
        self.files[file] += 1


@dataclass
class Tally:
    """Of one requirement: traces that held, that violated it, and why the others could not show anything."""

    held: int = 0
    violated: int = 0
    vacuous: Counter[Reason] = field(default_factory=Counter)


@dataclass
class AuditResult:
    """What the recordings show. `raised` names rules that failed themselves: a defect of ours, never a verdict."""

    dialect: Dialect
    requirements: dict[str, Requirement]
    exchanges: int = 0
    duplicates: int = 0
    files: list[str] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    clusters: dict[tuple[str, str], Cluster] = field(default_factory=dict)
    raised: dict[str, str] = field(default_factory=dict)

    def level(self, requirement: str) -> Level | None:
        """The level in this dialect; a user's dialect may have moved it."""
        row = self.dialect.rows.get(requirement)
        if row is not None and row.level is not None:
            return Level(row.level)
        claim = self.requirements[requirement].claim(self.dialect.lineage)
        return None if claim is None else claim.level

    def ordered(self) -> list[Cluster]:
        """Clusters by level, impact, requirement and falling count."""
        levels = list(Level)

        def key(cluster: Cluster) -> tuple[int, int, str, int]:
            level = self.level(cluster.requirement)
            impact: Impact = self.requirements[cluster.requirement].impact
            return (levels.index(level) if level else len(levels), impact.rank, cluster.requirement, -cluster.count)

        return sorted(self.clusters.values(), key=key)


class _Auditor:
    """One audit under way."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        catalogue = load_catalogue()
        applicable = {
            name: row
            for name, row in catalogue.requirements.items()
            if row.claim(dialect.lineage) is not None and not (name in dialect.rows and dialect.rows[name].off)
        }
        self.result = AuditResult(dialect, applicable)
        self.by_relation: dict[type[Trace], list[Rule]] = {}
        self.folds: list[FoldRule] = []
        for rule in rulebook.load().values():
            if rule.id not in applicable:
                continue
            if isinstance(rule, FoldRule):
                self.folds.append(rule)
            else:
                for relation in (rule.on, *rule.also):
                    self.by_relation.setdefault(relation, []).append(rule)

    def tally(self, requirement: str) -> Tally:
        return self.result.tallies.setdefault(requirement, Tally())

    def record(self, judgement: Judgement, file: str) -> None:
        vacuous = judgement.vacuous
        if judgement.error is not None:
            self.result.raised.setdefault(judgement.requirement, judgement.error)
        elif vacuous is not None:
            if vacuous.reason is not Reason.NOT_APPLICABLE:
                self.tally(judgement.requirement).vacuous[vacuous.reason] += 1
        elif judgement.held:
            self.tally(judgement.requirement).held += 1
        else:
            self.tally(judgement.requirement).violated += 1
        for finding in judgement.findings:
            self.cluster(judgement.requirement, finding).add(finding, file)

    def cluster(self, requirement: str, finding: Finding) -> Cluster:
        clusters = self.result.clusters
        place = finding.place
        if (requirement, place) not in clusters:
            known = sum(1 for name, _ in clusters if name == requirement)
            if known >= MOST_CLUSTERS:
                place = _OTHER_PLACES
        return clusters.setdefault((requirement, place), Cluster(requirement, place))

    def failed(self, rule: Rule | FoldRule, exchange: str, error: Exception) -> None:
        self.result.raised.setdefault(rule.id, f"{type(error).__name__}: {error} (at {exchange})")

    def window(self, exchanges: Sequence[Exchange], facts: Facts, file: str) -> None:
        terms = Terms(self.dialect, facts)
        for trace in assemble(exchanges):
            for rule in self.by_relation.get(type(trace), ()):
                self.record(judge(rule, trace, terms), file)

    def step(self, states: dict[str, Any], exchange: Exchange, facts: Facts) -> None:
        terms = Terms(self.dialect, facts)
        for rule in self.folds:
            if not came_through(exchange) or not is_readable(rule, exchange):
                continue
            try:
                states[rule.id] = rule.fold.step(states.get(rule.id, rule.fold.empty()), exchange, terms)
            except Exception as error:
                self.failed(rule, exchange.id, error)

    def finish(self, states: dict[str, Any], facts: Facts, file: str) -> None:
        terms = Terms(self.dialect, facts)
        for rule in self.folds:
            if rule.id not in states:
                continue
            try:
                said = list(rule.fold.finish(states[rule.id], terms))
            except Exception as error:
                self.failed(rule, file, error)
                continue
            findings = tuple(item for item in said if isinstance(item, Finding))
            vacuous = next((item for item in said if not isinstance(item, Finding)), None)
            self.record(Judgement(rule.id, Trace(()), findings, None if findings else vacuous), file)

    def file(self, path: str | Path) -> None:
        shown = Path(path).name if str(path) != "-" else "-"
        self.result.files.append(shown)
        states: dict[str, dict[str, Any]] = {}
        facts: dict[str, Facts] = {}
        for window in _windows(sources.read(path)):
            self.result.exchanges += len(window)
            distinct = _distinct(window)
            self.result.duplicates += len(window) - len(distinct)
            for origin, group in _by_origin(distinct).items():
                facts[origin] = derive(group)
                self.window(group, facts[origin], shown)
                for exchange in group:
                    self.step(states.setdefault(origin, {}), exchange, facts[origin])
        for origin, found in states.items():
            self.finish(found, facts[origin], shown)


def _windows(exchanges: Iterable[Exchange]) -> Iterator[list[Exchange]]:
    window: list[Exchange] = []
    size = 0
    for exchange in exchanges:
        window.append(exchange)
        size += len(exchange.body) + len(exchange.request.body or b"")
        if size >= WINDOW_BYTES or len(window) >= WINDOW_EXCHANGES:
            yield window
            window, size = [], 0
    if window:
        yield window


def _distinct(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Without copies: a recording that is kept twice is no second answer with the same id."""
    seen: set[tuple[str, bytes | None, bytes]] = set()
    kept: list[Exchange] = []
    for exchange in exchanges:
        key = (exchange.origin, exchange.request.body, exchange.body)
        if (
            exchange.facets != LIVE_FACETS
            and exchange.request.method == "POST"
            and exchange.is_success
            and exchange.body
        ):
            if key in seen:
                continue
            seen.add(key)
        kept.append(exchange)
    return kept


def _by_origin(exchanges: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    groups: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(exchange.origin, []).append(exchange)
    return groups


def audit(paths: Iterable[str | Path], dialect_name: str = "openai") -> AuditResult:
    """Judge all files by the dialect's rules. Raises SourceError and DialectError, each one sentence for the user."""
    auditor = _Auditor(load_dialect(dialect_name))
    for path in paths:
        auditor.file(path)
    return auditor.result


def _lines(result: AuditResult, *, verbose: bool) -> Iterator[str]:
    for cluster in result.ordered():
        yield f"{result.level(cluster.requirement)} {cluster.requirement}  {cluster.place}  {cluster.count}"
        yield "    in " + ", ".join(f"{name.split('.')[0]} {count}" for name, count in cluster.files.most_common(8))
        for finding in cluster.examples if verbose else cluster.examples[:1]:
            where = "" if finding.chunk is None else f" chunk {finding.chunk}"
            yield f"    {finding.exchange}{where}"
            yield f"        expected {finding.expected[:200]}"
            yield f"        observed {finding.observed[:200]}"
    for name, reason in result.raised.items():
        yield f"RAISED {name}: {reason}"
    if verbose:
        for name, tally in sorted(result.tallies.items()):
            vacuous = " ".join(f"{reason.value} {count}" for reason, count in tally.vacuous.most_common())
            yield f"{name}: held {tally.held}, violated {tally.violated}{', ' + vacuous if vacuous else ''}"
        silent = sorted(name for name in result.requirements if name not in result.tallies)
        yield "nothing to judge: " + (", ".join(silent) or "none")
    yield (
        f"{result.exchanges} exchanges ({result.duplicates} copies left out) of {len(result.files)} files judged as "
        f"{result.dialect.name} by {len(result.tallies)} rules: {len(result.clusters)} kinds of violation"
    )


def _expanded(patterns: Iterable[str]) -> list[str]:
    """File names, with the patterns that a shell left alone resolved in order; what matches nothing stays."""
    found: list[str] = []
    for pattern in patterns:
        matching = sorted(glob(pattern, recursive=True)) if has_magic(pattern) and not Path(pattern).exists() else []
        found += matching or [pattern]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit from the command line; 0 if nothing was violated at MUST, 1 if so, 2 if nothing could be said."""
    parser = argparse.ArgumentParser(prog="python -m conformance.suite.audit", description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--dialect", default="openai")
    parser.add_argument("-v", "--verbose", action="store_true", help="more examples, and a tally of every requirement")
    options = parser.parse_args(arguments)
    try:
        result = audit(_expanded(options.files), options.dialect)
    except (sources.SourceError, DialectError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in _lines(result, verbose=options.verbose))
    if result.raised or not result.exchanges:
        return 2
    return int(any(result.level(cluster.requirement) is Level.MUST for cluster in result.clusters.values()))


if __name__ == "__main__":
    raise SystemExit(main())
