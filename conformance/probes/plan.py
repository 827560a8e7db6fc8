"""What will be sent, worked out before anything is sent: tables first, then random draws, within an effort.

Deterministic: the same probes, base, seed, versions and install give the same plan. Nothing in it depends on answers,
apart from the facts in the base.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy

from conformance.probes.base import Ask, Base, Effort, Group, Probe
from conformance.probes.build import post
from conformance.wire.exchange import Request
from conformance.wire.strict_json import Json

BUDGETS: Mapping[Effort, int] = {Effort.QUICK: 100, Effort.STANDARD: 550, Effort.THOROUGH: 1600}
"""Requests that can generate tokens, in a full selection."""
_WIDEN = 3
"""A narrower selection may use up to this many times its share."""
_UNBOUNDED_TOKENS = 512
"""What a request without a token limit is taken to generate, for estimates."""
_BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class Item:
    """One group of requests, and the probe that it comes from. `name` is unique in the plan."""

    name: str
    probe: Probe
    group: Group

    @property
    def costly(self) -> set[tuple[Request, int]]:
        """Its requests that can generate tokens."""
        return {(ask.request, ask.ordinal) for ask in self.group.asks if can_generate(ask)}


@dataclass(frozen=True)
class Plan:
    """Everything that is sent whatever the answers, and the scenarios, whose requests depend on them.

    `items` go side by side; `scenarios` beside them; `last` and `last_scenarios` afterwards, one request at a time.
    `opening` is what preflight sent, for replays.
    """

    base: Base
    seed: int
    items: tuple[Item, ...] = ()
    scenarios: tuple[Probe, ...] = ()
    last: tuple[Item, ...] = ()
    last_scenarios: tuple[Probe, ...] = ()
    opening: tuple[Ask, ...] = ()
    digest: str = ""
    """SHA-256 over all requests, hexadecimal."""

    @property
    def every(self) -> Iterator[Item]:
        """All groups, in order."""
        return chain(self.items, self.last)

    @property
    def requests(self) -> int:
        """How many requests go out, scenarios apart: equal ones are sent once."""
        return len({(ask.request, ask.ordinal) for item in self.every for ask in item.group.asks})


@dataclass
class AreaCost:
    """What an area is going to cost. `scenarios` bounds the requests of its scenarios from above."""

    requests: int = 0
    generating: int = 0
    tokens: int = 0
    scenarios: int = 0


def can_generate(ask: Ask) -> bool:
    """The request can cost tokens: a chat request with messages that nobody expects to be turned down."""
    chat = ask.request.chat
    return not ask.free and chat is not None and bool(chat.messages)


def estimated_tokens(request: Request) -> int:
    """Tokens that the request may cost at most, roughly: its length, and its token limit for every choice."""
    chat = request.chat
    if chat is None:
        return 0
    prompt = len(request.body or b"") // _BYTES_PER_TOKEN
    limit = chat.token_limit
    generated = _UNBOUNDED_TOKENS if limit is None or limit < 0 else min(limit, 4096)
    choices = min(max(chat.n or 1, 1), 128)
    return prompt + generated * choices


def costs(plan: Plan) -> dict[str, AreaCost]:
    """The plan's cost by area; a request that several areas share counts for the first."""
    found: dict[str, AreaCost] = {}
    seen: set[tuple[Request, int]] = set()
    for item in plan.every:
        cost = found.setdefault(item.probe.area, AreaCost())
        for ask in item.group.asks:
            key = (ask.request, ask.ordinal)
            if key in seen:
                continue
            seen.add(key)
            cost.requests += 1
            if can_generate(ask):
                cost.generating += 1
                cost.tokens += estimated_tokens(ask.request)
    for probe in (*plan.scenarios, *plan.last_scenarios):
        found.setdefault(probe.area, AreaCost()).scenarios += probe.upper
    return found


def derived_seed(base_seed: int, name: str) -> int:
    """A probe's own seed: one seed for all would give all of them the same holes."""
    return int.from_bytes(hashlib.sha256(f"{base_seed}:{name}".encode()).digest()[:8], "big")


def draw(strategy: SearchStrategy[Group], count: int, chosen_seed: int) -> list[Group]:
    """Up to `count` groups from a strategy, always the same ones for one seed; nothing is shrunk or stored."""
    found: list[Group] = []

    @seed(chosen_seed)
    @settings(
        max_examples=count,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(group: Group) -> None:
        found.append(group)

    try:
        collect()
    except Unsatisfiable:
        return []
    return found[:count]


def touches(probe: Probe, ids: frozenset[str] | None) -> bool:
    """The probe is meant to exercise one of these requirements; None stands for all of them."""
    if ids is None:
        return True
    return any(name == reached or name.startswith(f"{reached}.") for reached in probe.reaches for name in ids)


def usable(probe: Probe, base: Base) -> bool:
    """The effort is high enough, and no capability that it needs is excluded."""
    return probe.at <= base.effort and probe.needs <= base.capabilities


def _named(probe: Probe, groups: Iterable[Group], kind: str) -> list[Item]:
    return [Item(f"{probe.name}/{kind}{number}", probe, group) for number, group in enumerate(groups)]


def _table(probe: Probe, base: Base) -> list[Item]:
    return _named(probe, probe.table(base), "t") if probe.table is not None else []


def _drawn(probe: Probe, base: Base, chosen_seed: int) -> list[Item]:
    count = probe.draws[base.effort - 1]
    if probe.strategy is None or count <= 0:
        return []
    return _named(probe, draw(probe.strategy(base), count, derived_seed(chosen_seed, probe.name)), "d")


def _alternating(columns: Sequence[Sequence[Item]]) -> list[Item]:
    """The first of each probe, then the second of each: a cut takes from all alike."""
    return [item for row in zip_longest(*columns) for item in row if item is not None]


def _within(items: Iterable[Item], budget: float, seen: set[tuple[Request, int]]) -> tuple[list[Item], float]:
    """As many as the budget allows, in order, and what is left of it. What costs nothing more is always in.

    `seen` are the requests that are planned already, and grows: a request that several groups share, such as the
    control of many contrasts, is sent and paid for once. A group of planned requests stays out, unless it relates them.
    """
    kept: list[Item] = []
    for item in items:
        keys = {(ask.request, ask.ordinal) for ask in item.group.asks}
        if len(keys) == 1 and keys <= seen:
            continue
        cost = len(item.costly - seen)
        if cost == 0 or cost <= budget:
            kept.append(item)
            budget -= cost
            seen |= keys
    return kept, budget


def shares(demand: Mapping[str, int], budget: int) -> dict[str, float]:
    """Each area's part of the budget: what it demands, or in proportion to it, but enough for a few requests."""
    total = sum(demand.values())
    if total <= budget:
        return {area: float(wanted) for area, wanted in demand.items()}
    floor = budget / (3 * max(1, len(demand)))
    floors = {area: min(float(wanted), floor) for area, wanted in demand.items()}
    left = budget - sum(floors.values())
    above = {area: wanted - floors[area] for area, wanted in demand.items()}
    scale = left / max(1e-9, sum(above.values()))
    return {area: floors[area] + above[area] * scale for area in demand}


def _costly(columns: Iterable[Iterable[Item]]) -> set[tuple[Request, int]]:
    """The requests of these that can generate tokens."""
    return {key for column in columns for item in column for key in item.costly}


@dataclass
class _Columns:
    """The requests of one area's probes, a column for each probe."""

    tables: list[list[Item]] = field(default_factory=list)
    draws: list[list[Item]] = field(default_factory=list)

    @property
    def table_cost(self) -> int:
        return len(_costly(self.tables))

    @property
    def draw_cost(self) -> int:
        return len(_costly(self.draws))

    def only(self, ids: frozenset[str] | None) -> _Columns:
        def keep(columns: list[list[Item]]) -> list[list[Item]]:
            return [column for column in columns if column and touches(column[0].probe, ids)]

        return _Columns(keep(self.tables), keep(self.draws))


def _charged(areas: Mapping[str, _Columns], seen: set[tuple[Request, int]]) -> dict[str, int]:
    """What the tables cost by area; a request that areas share counts for the first, a planned one for none."""
    charged: dict[str, int] = {}
    known = set(seen)
    for area, columns in areas.items():
        costly = _costly(columns.tables) - known
        charged[area] = len(costly)
        known |= costly
    return charged


def _allowances(areas: Mapping[str, _Columns], budget: int, tables: Mapping[str, int]) -> dict[str, float]:
    """Tables go before draws, over all areas: what tables leave of the budget is for draws."""
    for_tables = shares(tables, budget)
    rest = max(0, budget - sum(tables.values()))
    for_draws = shares({area: columns.draw_cost for area, columns in areas.items()}, rest)
    return {area: for_tables[area] + for_draws[area] for area in areas}


def make_plan(
    probes: Iterable[Probe],
    base: Base,
    seed: int,
    *,
    ids: frozenset[str] | None = None,
    opening: Sequence[Ask] = (),
    budget: int | None = None,
) -> Plan:
    """Work out what to send. `ids` are the selected requirements (None: all); `budget` overrides the effort's.

    Only probes that reach a selected requirement are asked, and each area keeps to its share of the budget, or up to
    three times its share where the selection is narrower. Where a budget cuts, the first rows of every table stay.
    """
    ready = sorted((probe for probe in probes if usable(probe, base)), key=lambda probe: (probe.area, probe.name))
    areas: dict[str, _Columns] = {}
    last: list[Item] = []
    for probe in ready:
        table, drawn = _table(probe, base), _drawn(probe, base, seed)
        if probe.last:
            last += table if touches(probe, ids) else []
            continue
        columns = areas.setdefault(probe.area, _Columns())
        columns.tables.append(table)
        columns.draws.append(drawn)
    whole = budget if budget is not None else BUDGETS[base.effort]
    seen = {(ask.request, ask.ordinal) for ask in opening}
    tables = _charged(areas, seen)
    allowed = _allowances(areas, whole, tables)
    chosen = {area: columns.only(ids) for area, columns in areas.items()}
    granted = sum(min(allowed[area], columns.table_cost + columns.draw_cost) for area, columns in chosen.items())
    widen = min(float(_WIDEN), whole / max(1.0, granted)) if ids is not None else 1.0
    items: list[Item] = []
    for area, columns in chosen.items():
        shared = 0 if ids is None else areas[area].table_cost - tables[area]
        room = (allowed[area] + shared) * widen
        for column in (columns.tables, columns.draws):
            kept, room = _within(_alternating(column), room, seen)
            items += kept
    scenarios = [probe for probe in ready if probe.scenario is not None and touches(probe, ids)]
    made = Plan(
        replace(base, seed=seed),
        seed,
        tuple(items),
        tuple(probe for probe in scenarios if not probe.last),
        tuple(last),
        tuple(probe for probe in scenarios if probe.last),
        tuple(opening),
    )
    return replace(made, digest=_digest(made))


def _digest(plan: Plan) -> str:
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update("\x00".join(map(str, parts)).encode() + b"\x01")

    for item in plan.every:
        add(item.name, item.group.relation, item.group.about)
        for ask in item.group.asks:
            request = ask.request
            add(ask.role, ask.ordinal, request.method, request.path, request.headers, request.auth)
            digest.update(request.body or b"")
    for probe in (*plan.scenarios, *plan.last_scenarios):
        add(probe.name)
    return digest.hexdigest()


def plain_request(base: Base, prompt: Json = "Say hello in one word.", limit: int = 32) -> Request:
    """A completion that every endpoint can answer: the control of preflight and of the end of a run."""
    return post(base.body(prompt, limit=limit))
