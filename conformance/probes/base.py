"""What a probe is: a named source of requests.

Two kinds. A *table* probe plans independently of answers: it yields groups of requests, boundary cases first, then
draws from a Hypothesis strategy. A *scenario* probe's next step depends on the last answer: it is a function of a
`Session` and runs beside the gathering in a thread. Neither looks at whether an answer is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

from hypothesis.strategies import SearchStrategy

from conformance.dialects.model import Dialect
from conformance.wire.exchange import Exchange, Request
from conformance.wire.facts import Facts
from conformance.wire.strict_json import Json
from conformance.wire.traces import Relation


class Effort(IntEnum):
    """At most 100, at most 550, or as many as help: requests that can generate tokens, in a full selection."""

    QUICK = 1
    STANDARD = 2
    THOROUGH = 3


@dataclass(frozen=True)
class Ask:
    """One request and its role in its group. `ordinal` tells apart equal requests that must be sent again.

    `free` marks a request that a conforming endpoint turns down, or one to a route that generates nothing: it costs
    no tokens and does not count towards the effort. It is a matter of budget only and is never written down.
    """

    request: Request
    role: str = "single"
    ordinal: int = 0
    free: bool = False


@dataclass(frozen=True)
class Group:
    """Requests that belong together. `about` is the JSON pointer that differs (contrast) or the axis (ladder)."""

    asks: tuple[Ask, ...]
    relation: Relation = Relation.SINGLE
    about: str = ""


@dataclass(frozen=True)
class Base:
    """What every probe builds on: the endpoint's facts after preflight, and the dialect.

    `body(...)` makes a request body that is accepted by all that is known: the model, the accepted token-limit field
    with room for reasoning, temperature 0 and seed where they are accepted.
    """

    dialect: Dialect
    facts: Facts
    model: str
    effort: Effort = Effort.STANDARD
    capabilities: frozenset[str] = field(default_factory=frozenset)
    """Capabilities of the dialect that were not excluded."""
    fixtures: tuple[str, ...] = ()
    """Directories with the user's own recorded requests, sent beside the shipped ones."""
    run_id: str = "run-in-memory"
    """Marks what this run stores: random in a run, so that nobody else's records are taken for its own."""
    seed: int = 0
    """Of draws that a scenario makes for itself."""
    second_key: bool = False
    """The run has the key of another project."""
    plant: bool = False
    """Leave a stored completion behind, for a later look at its retention."""

    def body(self, *messages: Json, limit: int = 256, **fields: Json) -> dict[str, Json]:
        """A chat body; strings become user messages. A field given as `...` (Ellipsis) is left out."""
        made: dict[str, Json] = {
            "model": self.model,
            "messages": [{"role": "user", "content": item} if isinstance(item, str) else item for item in messages],
        }
        if self.facts.token_limit_field:
            made[self.facts.token_limit_field] = limit + 2 * self.facts.reasoning_tokens
        if self.facts.accepts_temperature:
            made["temperature"] = 0
        if self.facts.accepts_seed:
            made["seed"] = 7
        made.update(fields)
        return {key: value for key, value in made.items() if value is not ...}


class Listener(Protocol):
    """Tells whether the endpoint called a URL."""

    def address(self, name: str) -> str:
        """A URL of its own for a name."""

    def calls(self, name: str, patience: float = 0.0) -> int:
        """How often the name's URL was called; waits up to `patience` seconds for the first call."""


class Session(Protocol):
    """What a scenario may do: send requests one after the other, and mark what they are to each other."""

    base: Base

    @property
    def canary(self) -> Listener | None:
        """A listener that the endpoint can reach, or None."""

    def send(self, request: Request, *, fresh: bool = False) -> Exchange:
        """Send (or answer from the memo, unless `fresh` or state-changing). Never raises on what comes back."""

    def together(self, requests: Sequence[Request]) -> list[Exchange]:
        """Send side by side, where the transport can; answers in the order of the requests."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def diverges(self, exchanges: Sequence[Exchange], stored_id: str) -> bool:
        """Whether these calls show a violation, where the run judges on the way; else false."""

    def mark(self, exchange: Exchange, relation: Relation, group: str, role: str, about: str = "") -> None:
        """Write a mark into the evidence."""

    def group(self, name: str) -> str:
        """A group name that is unique in this run."""


Table = Callable[[Base], Iterator[Group]]
Strategy = Callable[[Base], SearchStrategy[Group]]
Scenario = Callable[[Session], None]
Valid = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Probe:
    """A probe of one area (the budget it draws on). `reaches` are the areas or ids that it is meant to exercise.

    `at` is the least effort at which it runs. `draws` is the share of random draws per effort: (quick, standard,
    thorough). `upper` bounds a scenario's requests, for `--plan`. `needs` are capabilities that it asks for.
    """

    name: str
    area: str
    reaches: tuple[str, ...]
    table: Table | None = None
    strategy: Strategy | None = None
    scenario: Scenario | None = None
    at: Effort = Effort.QUICK
    draws: tuple[int, int, int] = (0, 0, 0)
    upper: int = 0
    costly: tuple[int, int, int] | None = None
    """How many of a scenario's requests can generate tokens, by effort; None: as many as `upper`."""
    needs: frozenset[str] = frozenset()
    last: bool = False
    """Run after everything else, one request at a time (bad keys)."""
    summary: str = ""


PROBES: dict[str, Probe] = {}


def register(probe: Probe) -> Probe:
    """Add a probe; names are unique."""
    if probe.name in PROBES:
        raise ValueError(f"two probes are called {probe.name}")
    PROBES[probe.name] = probe
    return probe
