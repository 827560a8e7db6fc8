"""How surely and how soon each fault is found: `python -m benchmarks.detection --seeds 20 [--area NAME,...]`.

Each fault is put into the in-memory reference endpoint and looked for with plans of many seeds, in the first dialect
that it makes sense in. Seeds decide on random draws only, so what all plans have in common is sent once; only a fault
that this does not show is looked for among the draws of each seed. "Requests" counts what was sent until the first
violation of a requirement that the fault names: by the probes that reach it, tables and scenarios before draws.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from benchmarks.sequences import shortest, spelled
from conformance.dialects import loader as dialects
from conformance.probes.base import Effort
from conformance.probes.plan import Plan, touches
from conformance.probes.shrink import smallest
from conformance.reference import faults as fault_modules
from conformance.reference.endpoint import Endpoint
from conformance.reference.stages import Change
from conformance.rules import load as load_rules
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import Judgement
from conformance.suite.judging import judge_evidence
from conformance.suite.replay import prepare, replay
from conformance.transport.memory import MemoryTransport
from conformance.wire.traces import Lifecycle
from tests.matrix.harness import Case, fault_cases

DOCS = Path(__file__).parents[1] / "docs"


@cache
def plans(dialect: str, seeds: int, effort: Effort) -> tuple[Plan, ...]:
    """The plan of each seed."""
    found = dialects.load(dialect)
    transport = MemoryTransport(Endpoint(found).respond)
    return tuple(prepare(transport, found, seed=seed, effort=effort) for seed in range(seeds))


def common(made: Sequence[Plan]) -> Plan:
    """What all of the plans send: the first without what another one lacks."""
    first, *others = made
    shared = set.intersection(*({item.group for item in plan.items} for plan in others)) if others else None
    return replace(first, items=tuple(item for item in first.items if shared is None or item.group in shared))


def reaching(plan: Plan, rows: frozenset[str]) -> Plan:
    """The part of a plan that is meant to exercise these rows."""
    return replace(
        plan,
        items=tuple(item for item in plan.items if touches(item.probe, rows)),
        scenarios=tuple(probe for probe in plan.scenarios if touches(probe, rows)),
        last=tuple(item for item in plan.last if touches(item.probe, rows)),
        last_scenarios=tuple(probe for probe in plan.last_scenarios if touches(probe, rows)),
    )


@dataclass(frozen=True)
class Found:
    """How many requests were sent until each seed's violation, and the shortest calls that show one of a store."""

    requests: tuple[int | None, ...]
    calls: str = ""


def first_violation(plan: Plan, change: Change) -> tuple[int | None, int, str]:
    """(the requests until a named requirement was violated or None, those sent in all, the shortest calls)."""
    rules = [rule for name, rule in load_rules().items() if name in change.violates]
    endpoint = Endpoint(plan.base.dialect, faults=[change])
    exchanges, marks = replay(plan, MemoryTransport(endpoint.respond))
    terms, judgements = judge_evidence(exchanges, marks, plan.base.dialect, rules)
    positions = {exchange.id: number for number, exchange in enumerate(exchanges, 1)}
    ends = [
        max((positions[exchange.id] for exchange in judgement.trace.exchanges), default=len(exchanges))
        for judgement in judgements
        if judgement.findings
    ]
    return min(ends, default=None), len(exchanges), _calls(judgements, change, terms)


def _calls(judgements: Sequence[Judgement], change: Change, terms: Terms) -> str:
    """The shortest sequence of calls to the store that violates one of the named requirements."""
    for name in change.violates:
        rule = load_rules()[name]
        traces = [item.trace for item in judgements if item.findings and item.requirement == name]
        lives = [trace for trace in traces if isinstance(trace, Lifecycle)]
        if lives and isinstance(rule, Rule):
            best = shortest(lives, rule, change, terms)
            return spelled(best) if best is not None else ""
        if traces and name.startswith("storage."):
            return spelled(smallest(traces))
    return ""


def measure(task: tuple[str, str, int, int]) -> Found:
    """All seeds of one fault."""
    fault, dialect, seeds, effort = task
    change = fault_modules.load()[fault]
    rows = frozenset(change.violates)
    made = [reaching(plan, rows) for plan in plans(dialect, seeds, Effort(effort))]
    shared = common(made)
    found, sent, calls = first_violation(shared, change)
    if found is not None:
        return Found((found,) * seeds, calls)
    by_others, _, calls = first_violation(common(plans(dialect, seeds, Effort(effort))), change)
    if by_others is not None:
        return Found((by_others,) * seeds, calls)
    known = {item.group for item in shared.items}
    results: list[int | None] = []
    for plan in made:
        drawn = tuple(item for item in plan.items if item.group not in known)
        draws = replace(plan, items=drawn, scenarios=(), last=(), last_scenarios=())
        found, _, _ = first_violation(draws, change)
        results.append(None if found is None else sent + found)
    return Found(tuple(results))


def cases_of(areas: Sequence[str]) -> list[Case]:
    """Each fault once, in the first dialect that it makes sense in, if it violates a row of these areas."""
    faults = fault_modules.load()
    chosen: dict[str, Case] = {}
    for case in fault_cases():
        touched = {row.split(".", 1)[0] for row in faults[case.faults[0]].violates}
        if not areas or touched & set(areas):
            chosen.setdefault(case.faults[0], case)
    return sorted(chosen.values(), key=lambda case: (case.dialect, case.faults[0]))


def table(rows: Sequence[tuple[Case, Found]], seeds: int, effort: Effort, areas: str) -> str:
    """The published page."""
    faults = fault_modules.load()
    always = sum(None not in found.requests for _, found in rows)
    chosen = f" --area {areas}" if areas else ""
    command = f"python -m benchmarks.detection --seeds {seeds} --effort {effort.name.lower()}{chosen} --write"
    lines = [
        "# Detection",
        "",
        f"Generated by `{command}`:",
        "do not edit. Each fault in the in-memory reference endpoint, looked for with plans of many seeds. *Requests*",
        "counts what was sent until the first violation of a requirement that the fault names, by the probes that",
        "reach it (by all probes where those do not show it), tables and scenarios before random draws. Below: the",
        "shortest calls that show a fault of the store.",
        "",
        f"{always} of {len(rows)} faults were found with every seed.",
        "",
        "| fault | condition | dialect | found | median requests | worst |",
        "|---|---|---|---|---|---|",
    ]
    by_name = sorted(rows, key=lambda row: row[0].faults[0])
    for case, found in by_name:
        results = found.requests
        hits = [number for number in results if number is not None]
        median = f"{statistics.median(hits):.0f}" if hits else "–"
        condition = faults[case.faults[0]].condition or ""
        lines.append(
            f"| `{case.faults[0]}` | {condition} | {case.dialect} | {len(hits)} of {len(results)} | {median} | "
            f"{max(hits) if hits else '–'} |"
        )
    sequences = [f"| `{case.faults[0]}` | {found.calls} |" for case, found in by_name if found.calls]
    if sequences:
        lines += ["", "| fault | shortest sequence of calls |", "|---|---|", *sequences]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print the table; `--write` publishes it as docs/detection.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--area", default="", help="comma-separated areas; all by default")
    parser.add_argument("--effort", choices=[effort.name.lower() for effort in Effort], default="standard")
    parser.add_argument("--write", action="store_true", help="publish the table")
    options = parser.parse_args()
    effort = Effort[options.effort.upper()]
    cases = cases_of([name for name in options.area.split(",") if name])
    tasks = [(case.faults[0], case.dialect, options.seeds, int(effort)) for case in cases]
    started = time.monotonic()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(measure, tasks, chunksize=4))
    page = table(list(zip(cases, results, strict=True)), options.seeds, effort, options.area)
    print(page)
    print(f"{len(cases)} faults, {options.seeds} seeds: {time.monotonic() - started:.0f} s", file=sys.stderr)
    if options.write:
        (DOCS / "detection.md").write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
