"""Replay one plan per dialect against the reference endpoint under named changes, and say what was violated."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context

from conformance.catalogue import loader as catalogue_loader
from conformance.dialects import loader as dialects
from conformance.dialects.model import Dialect
from conformance.probes.base import Effort
from conformance.probes.plan import Plan
from conformance.reference import faults as fault_modules
from conformance.reference import variations as variation_modules
from conformance.reference.endpoint import Endpoint
from conformance.reference.stages import Change
from conformance.rules import load as load_rules
from conformance.rules.base import FoldRule, Rule
from conformance.rules.judge import Judgement
from conformance.suite.judging import Known, judge_evidence, known
from conformance.suite.replay import prepare, replay
from conformance.transport.memory import MemoryTransport
from conformance.wire.exchange import Exchange

DIALECTS = ("openai", "xerotier", "aurous")
MINDS = ("obedient", "refusing", "random", "chatty")
WORKERS = 2


@dataclass(frozen=True)
class Setting:
    """A dialect, the rules of its rows, the plan that the faultless reference leads to, and what rules said of that."""

    dialect: Dialect
    rules: tuple[Rule | FoldRule, ...]
    plan: Plan
    exchanges: dict[str, Exchange]
    known: Known


@dataclass(frozen=True)
class Seen:
    """What a replay showed: violated and held requirements, and how many different requests show each violation."""

    violated: dict[str, int]
    held: frozenset[str]
    requests: dict[str, int]
    errors: tuple[str, ...]
    places: dict[str, tuple[str, ...]]


def rules_of(dialect: Dialect) -> tuple[Rule | FoldRule, ...]:
    """The rules whose rows have a claim in this dialect."""
    rows = catalogue_loader.load().requirements
    return tuple(
        rule for name, rule in load_rules().items() if name in rows and rows[name].claim(dialect.lineage) is not None
    )


@cache
def setting(name: str, seed: int = 0, effort: Effort = Effort.STANDARD) -> Setting:
    """The plan is made once per process, dialect, seed and effort."""
    dialect = dialects.load(name)
    plan = prepare(MemoryTransport(Endpoint(dialect).respond), dialect, seed=seed, effort=effort)
    rules = rules_of(dialect)
    exchanges, marks = replay(plan, MemoryTransport(Endpoint(dialect).respond))
    return Setting(dialect, rules, plan, {item.id: item for item in exchanges}, known(exchanges, marks, dialect, rules))


def judged(
    where: Setting, faults: Sequence[Change] = (), variations: Sequence[Change] = (), mind: str = "obedient"
) -> list[Judgement]:
    """All judgements of one replay."""
    endpoint = Endpoint(where.dialect, faults=faults, variations=variations, mind=mind)
    exchanges, marks = replay(where.plan, MemoryTransport(endpoint.respond), where.exchanges)
    return judge_evidence(exchanges, marks, where.dialect, where.rules, where.known)[1]


def summary(judgements: Iterable[Judgement]) -> Seen:
    """Fold judgements to what a matrix needs."""
    violated: Counter[str] = Counter()
    held: set[str] = set()
    shown: dict[str, set[bytes]] = {}
    places: dict[str, set[str]] = {}
    errors: list[str] = []
    for judgement in judgements:
        if judgement.findings:
            name = judgement.requirement
            violated[name] += 1
            shown.setdefault(name, set()).add(b"".join(item.request.body or b"" for item in judgement.trace.exchanges))
            places.setdefault(name, set()).update(f"{item.place} ({item.observed[:60]})" for item in judgement.findings)
        elif judgement.held:
            held.add(judgement.requirement)
        elif judgement.error is not None:
            errors.append(f"{judgement.requirement}: {judgement.error}")
    return Seen(
        dict(violated),
        frozenset(held),
        {name: len(bodies) for name, bodies in shown.items()},
        tuple(errors),
        {name: tuple(sorted(found)[:3]) for name, found in places.items()},
    )


@dataclass(frozen=True)
class Case:
    """One cell of a matrix: changes by name, so that it can travel between processes."""

    dialect: str
    faults: tuple[str, ...] = ()
    variations: tuple[str, ...] = ()
    mind: str = "obedient"
    seed: int = 0
    effort: Effort = Effort.STANDARD


def run(case: Case) -> Seen:
    """Replay one cell; a change that raises is an error of that cell alone."""
    all_faults, all_variations = fault_modules.load(), variation_modules.load()
    try:
        judgements = judged(
            setting(case.dialect, case.seed, case.effort),
            [all_faults[name] for name in case.faults],
            [all_variations[name] for name in case.variations],
            case.mind,
        )
    except Exception as error:
        return Seen({}, frozenset(), {}, (f"the change raised {error!r}",), {})
    return summary(judgements)


@cache
def _workers() -> ProcessPoolExecutor:
    """One pool for all matrices of a session, so that each process makes its settings once."""
    return ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))


def _run_undisturbed(case: Case) -> Seen:
    """As `run`. Nearly all that a replay leaves is freed by counting references: the collector only looks around."""
    setting(case.dialect, case.seed, case.effort)
    gc.freeze()
    gc.disable()
    seen = run(case)
    gc.collect()
    return seen


def run_all(cases: Sequence[Case]) -> dict[Case, Seen]:
    """Replay many cells, on two processes."""
    ordered = sorted(cases, key=lambda case: case.dialect)
    return dict(zip(ordered, _workers().map(_run_undisturbed, ordered, chunksize=8), strict=True))


def admits(change: Change, dialect: Dialect) -> bool:
    """The change makes sense in this dialect."""
    return not change.dialects or bool(change.dialects & set(dialect.lineage))


def fault_cases() -> list[Case]:
    """Every fault in every dialect that it makes sense in and that has a row which it violates."""
    rows = catalogue_loader.load().requirements
    cases: list[Case] = []
    for name in DIALECTS:
        dialect = dialects.load(name)
        for fault in fault_modules.load().values():
            claimed = any(rows[row].claim(dialect.lineage) is not None for row in fault.violates if row in rows)
            if admits(fault, dialect) and claimed:
                cases.append(Case(name, faults=(fault.name,)))
    return cases


def expected(case: Case) -> tuple[frozenset[str], frozenset[str]]:
    """What a fault's cell must show (`violates`), and what it may show besides (`entails`), in its dialect."""
    lineage = dialects.load(case.dialect).lineage
    rows = catalogue_loader.load().requirements
    fault = fault_modules.load()[case.faults[0]]

    def claimed(names: Iterable[str]) -> frozenset[str]:
        return frozenset(name for name in names if name in rows and rows[name].claim(lineage) is not None)

    return claimed(fault.violates), claimed(fault.entails)
