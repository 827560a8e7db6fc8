"""The report: one frozen value that every format is a pure function of. Nothing in it is secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.catalogue.model import Impact, Level
from conformance.verdict.baseline import Against
from conformance.verdict.fold import Verdict
from conformance.verdict.outcome import Coverage, Gap, Outcome
from conformance.verdict.waivers import Told
from conformance.wire.strict_json import Json

FORMAT = "conformance-report/1"
MOST_PLACES = 100
"""Places of one requirement that a report names; where there are more, they cannot be told apart by place."""


@dataclass(frozen=True)
class Where:
    """The place of a violation: `part` is body, chunk, header, status or sequence; `chunk` counts from 0."""

    exchange: str
    part: str
    pointer: str = ""
    chunk: int | None = None
    byte: int | None = None

    @property
    def text(self) -> str:
        """For people."""
        chunk = f" {self.chunk}" if self.chunk is not None else ""
        byte = f", byte {self.byte}" if self.byte is not None else ""
        pointer = f" {self.pointer}" if self.pointer else ""
        return f"{self.exchange}, {self.part}{chunk}{pointer}{byte}"


@dataclass(frozen=True)
class Step:
    """One request of the smallest steps, and as a curl command that takes the key from the environment.

    A JSON body stands in `body`, parsed; any other bytes, and JSON that another writer would spell otherwise, stand in
    `body_base64` exactly. `auth` says how the request authenticates, as in `conformance.wire.exchange.Request`.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: Json = None
    body_base64: str | None = None
    auth: str = "key"
    curl: str = ""


@dataclass(frozen=True)
class Violation:
    """One cluster of findings. `count` is the number of traces that show it; `confirmed` is (k, n).

    `relation` says how the steps belong together, `about` the place that differs, the axis or the stored id, and
    `rungs` a ladder's values: with them `replay` judges fresh answers as the run did.
    """

    where: Where
    expected: str
    observed: str
    count: int
    minimal: bool = False
    confirmed: tuple[int, int] | None = None
    steps: tuple[Step, ...] = ()
    relation: str = "single"
    about: str = ""
    rungs: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """In lines, with the commands that show it."""
        lines = [
            f"where:    {self.where.text}",
            f"expected: {self.expected}",
            f"observed: {self.observed}",
            f"traces:   {self.count}",
        ]
        if self.confirmed is not None:
            lines.append(f"again:    {self.confirmed[0]} of {self.confirmed[1]}")
        return "\n".join([*lines, *(step.curl for step in self.steps)])


@dataclass(frozen=True)
class Row:
    """One requirement with its verdict."""

    id: str
    ref: str
    area: str
    capability: str
    level: Level
    basis: str
    impact: Impact
    title: str
    source: str
    quote: str
    verdict: Verdict
    exercised: int
    violated: int
    reason: str | None = None
    findings: tuple[Violation, ...] = ()
    places: tuple[str, ...] = ()
    """Every normalised place at which it is violated, known or not; at most `MOST_PLACES`."""
    excused: int = 0
    """How many of the places were known before, beside others that count."""


@dataclass(frozen=True)
class Observation:
    """A number that the run measured, with the exchanges that show it. `exact` or a bound."""

    id: str
    value: Json
    unit: str
    exact: bool
    exchanges: tuple[str, ...]


@dataclass(frozen=True)
class AreaCost:
    """What an area cost: requests, and the seconds that they were under way, summed."""

    requests: int
    seconds: float


@dataclass(frozen=True)
class Suite:
    """Which suite judged."""

    version: str
    catalogue_sha256: str
    python: str
    hypothesis: str


@dataclass(frozen=True)
class RunInfo:
    """How the run went. Times are RFC 3339 in UTC; `plan_sha256` is None where nothing was planned.

    `defects` are errors of this suite, a sentence each: what broke off may have left requirements unexercised.
    """

    started: str
    finished: str
    seed: int
    effort: str
    embedded: bool
    plan_sha256: str | None = None
    requests: int = 0
    generating_requests: int = 0
    shrink_requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    areas: Mapping[str, AreaCost] = field(default_factory=dict)
    config: Mapping[str, Json] = field(default_factory=dict)
    defects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """What was certified. `capabilities` maps each of the dialect's to `claimed` or `excluded`."""

    base_url: str
    model: str | None
    dialect: str
    capabilities: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Everything that is told of one run."""

    suite: Suite
    run: RunInfo
    endpoint: Endpoint
    outcome: Outcome
    reason: str
    coverage: Coverage
    gaps: tuple[Gap, ...]
    rows: tuple[Row, ...]
    observations: tuple[Observation, ...] = ()
    waivers: tuple[Told, ...] = ()
    baseline: Against | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How often each verdict was given; every verdict has its key."""
        return {verdict.value: sum(row.verdict is verdict for row in self.rows) for verdict in Verdict}

    @property
    def violations(self) -> tuple[Row, ...]:
        """The violated rows, worst first: by impact, then by level, then as the catalogue has them."""
        levels = list(Level)
        found = [row for row in self.rows if row.verdict.violated]
        return tuple(sorted(found, key=lambda row: (row.impact.rank, levels.index(row.level))))

    @property
    def without(self) -> tuple[str, ...]:
        """Each `--without` that would say honestly what the endpoint does not offer."""
        return tuple(dict.fromkeys(gap.without for gap in self.gaps if gap.without is not None))
