"""Exchanges that belong together, in one of eight relations, and the marks by which probes say so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from conformance.wire.exchange import Exchange


class Relation(StrEnum):
    """How the exchanges of a trace belong together."""

    SINGLE = "single"
    CONVERSATION = "conversation"
    CONTRAST = "contrast"
    PARITY = "parity"
    REPEAT = "repeat"
    LADDER = "ladder"
    LIFECYCLE = "lifecycle"
    RUN = "run"


@dataclass(frozen=True)
class Mark:
    """A probe's word that an exchange plays a role in a group. `about` is the place that differs, or the axis.

    Roles: conversation `turn`; contrast `control`, `variant`; parity `unstreamed`, `streamed`; repeat `again`;
    ladder `rung:<value>`; lifecycle `create`, `retrieve`, `list`, `update`, `delete`, `messages`.
    """

    relation: Relation
    group: str
    role: str
    exchange: str
    about: str = ""


@dataclass(frozen=True)
class Trace:
    """What all relations share: the exchanges, in the order of sending."""

    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True)
class Single(Trace):
    """One exchange by itself. Every exchange is also a Single."""

    @property
    def exchange(self) -> Exchange:
        """The only one."""
        return self.exchanges[0]


@dataclass(frozen=True)
class Conversation(Trace):
    """Turns that echo each other: each request repeats the earlier messages and answers."""


@dataclass(frozen=True)
class Contrast(Trace):
    """`exchanges` = (control, variant): two requests that differ at `about` (a JSON pointer) only."""

    about: str

    @property
    def control(self) -> Exchange:
        """The request first shown to work, or the other value of the pair."""
        return self.exchanges[0]

    @property
    def variant(self) -> Exchange:
        """The request that differs."""
        return self.exchanges[1]


@dataclass(frozen=True)
class Parity(Trace):
    """The same request unstreamed (once or twice) and streamed; the streamed exchange is last."""

    @property
    def unstreamed(self) -> tuple[Exchange, ...]:
        """One or two; two show whether the endpoint answers equally at all."""
        return self.exchanges[:-1]

    @property
    def streamed(self) -> Exchange:
        """The same body with `stream: true`."""
        return self.exchanges[-1]


@dataclass(frozen=True)
class Repeat(Trace):
    """The same request k times."""


@dataclass(frozen=True)
class Ladder(Trace):
    """One axis and its rungs in rising order; `values[i]` belongs to `exchanges[i]`."""

    axis: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Lifecycle(Trace):
    """Calls around one stored completion id, in the order of sending."""

    stored_id: str


@dataclass(frozen=True)
class Run(Trace):
    """Everything. Rules on Run are folds and never hold it whole (see `conformance.rules.base.fold`)."""


RELATIONS: dict[type[Trace], Relation] = {
    Single: Relation.SINGLE,
    Conversation: Relation.CONVERSATION,
    Contrast: Relation.CONTRAST,
    Parity: Relation.PARITY,
    Repeat: Relation.REPEAT,
    Ladder: Relation.LADDER,
    Lifecycle: Relation.LIFECYCLE,
    Run: Relation.RUN,
}
