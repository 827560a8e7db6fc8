"""How the reference endpoint answers, in stages, and how a named change acts on one of them.

parse → REFUSAL → DEMAND → model → COMPLETION → BODY or CHUNKS → FRAMES → KEEP → REPLY; errors go ERROR → REPLY.
On the routes of stored completions: parse → REFUSAL → QUERY → PAGE, UPDATE or DELETE → RECORD → REPLY.
A change (fault or variation) is a function at one stage. It acts on behaviour or bytes and knows no rule.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from conformance.dialects.model import Dialect
from conformance.reference.schemas import CAPS, Caps
from conformance.reference.store import Stored
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Headers, Request
from conformance.wire.strict_json import Json


class Stage(StrEnum):
    """Where a change acts; its function takes and returns the value named here, and takes the Context second."""

    REFUSAL = "refusal"
    """`Refusal | None`: the outcome of authentication, routing and validation. None accepts the request."""
    DEMAND = "demand"
    """`dict`: the accepted request body as the model will see it (a copy): drop or rewrite fields to ignore them."""
    COMPLETION = "completion"
    """`Completion`: what the model produced, before rendering."""
    BODY = "body"
    """`dict`: the JSON of a successful unstreamed answer (`context.route` tells which), stored completions apart."""
    CHUNKS = "chunks"
    """`list[dict | str]`: the stream's payloads; a str is sent as it stands (`[DONE]` is the last)."""
    FRAMES = "frames"
    """`list[bytes]`: the framed events, in order."""
    KEEP = "keep"
    """`Stored | None`: what is kept of an answered completion that asks for it; None keeps nothing."""
    QUERY = "query"
    """`Query`: what a list of completions or messages asks for."""
    PAGE = "page"
    """`Page`: the completions that a list shows."""
    UPDATE = "update"
    """`Stored`: the record as an update leaves it; `context.stored` is how it was."""
    DELETE = "delete"
    """`Stored | None`: what a deletion leaves of `context.stored`; None leaves nothing."""
    RECORD = "record"
    """`dict`: the JSON of a successful answer of a route of stored completions."""
    ERROR = "error"
    """`ErrorReply`: status and JSON body of an error, before it becomes a reply."""
    REPLY = "reply"
    """`Reply`: status, headers and pieces of any answer."""


@dataclass(frozen=True)
class Refusal:
    """A request that is turned down: `kind` is a key of the dialect's `errors`, `check` names what refused it.

    `check` is a stable slug such as `temperature.range` or `auth.missing_key`, by which faults skip checks.
    """

    kind: str
    check: str
    message: str
    param: str | None = None


@dataclass(frozen=True)
class ErrorReply:
    """An error answer: `body` is usually `{"error": {...}}`."""

    status: int
    body: Json
    headers: Headers = ()


@dataclass(frozen=True)
class Reply:
    """An answer as it goes out: `pieces` are (delay in seconds before the piece, bytes)."""

    status: int
    headers: Headers
    pieces: tuple[tuple[float, bytes], ...]
    broken: bool = False
    """Close the connection without an orderly end after the last piece."""
    fetches: tuple[str, ...] = ()
    """URLs that the endpoint calls before it answers; a right one calls none."""


@dataclass(frozen=True)
class Token:
    """One generated token: its text piece as bytes (characters may be cut), log probability and alternatives."""

    data: bytes
    logprob: float = -0.1
    alternatives: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True)
class ToolCall:
    """A call that the model makes; `fragments` join to the JSON arguments and are how it streams."""

    id: str
    name: str
    fragments: tuple[str, ...]

    @property
    def arguments(self) -> str:
        """The whole argument string."""
        return "".join(self.fragments)


@dataclass(frozen=True)
class Chosen:
    """One generated choice. `tokens` join to the content; None means content null."""

    index: int
    tokens: tuple[Token, ...] | None
    calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    refusal: str | None = None
    reasoning_tokens: int = 0
    call_tokens: int = 0
    """How many tokens the calls count for."""

    @property
    def content(self) -> str | None:
        """The text."""
        return None if self.tokens is None else b"".join(token.data for token in self.tokens).decode("utf-8", "replace")


@dataclass(frozen=True)
class Completion:
    """What the model produced for one request."""

    id: str
    created: int
    model: str
    choices: tuple[Chosen, ...]
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0


@dataclass(frozen=True)
class Page:
    """The completions that a list shows, and whether there are more behind them."""

    records: list[Stored]
    has_more: bool


@dataclass
class Context:
    """One request on its way through the stages."""

    request: Request
    dialect: Dialect
    mind: str
    serial: int
    """Counts this endpoint's requests from 0."""
    now: int
    """Unix time in seconds, given by the caller."""
    body: dict[str, Json] | None = None
    """The parsed request body, as sent."""
    demand: dict[str, Json] = field(default_factory=dict)
    """The body as the model sees it, after DEMAND."""
    caps: Caps = CAPS
    """How deep and large a schema may be where the dialect states no number."""
    refusal: Refusal | None = None
    """Why the request is turned down; known to ERROR and REPLY."""
    owner: str = ""
    """Whose key the request carries: stored completions are seen by their owner alone."""
    stored: Stored | None = None
    """The stored completion that the route names."""
    state: dict[str, Any] = field(default_factory=dict)
    """Lives as long as the endpoint: for changes that remember."""

    @property
    def route(self) -> str:
        """`POST /chat/completions`, `GET /models`, …"""
        return f"{self.request.method} {self.request.route}"

    @property
    def chat(self) -> ChatRequest:
        """The typed view of the request as sent; an empty one where it has no object as body."""
        return ChatRequest(self.body or {})

    @property
    def streamed(self) -> bool:
        """The request as sent asks for a stream."""
        return self.chat.stream is True

    def random(self, salt: str = "") -> random.Random:
        """Deterministic: the same for equal bodies, whatever came before."""
        return random.Random(f"{salt}:{self.request.path}:{(self.request.body or b'').hex()}")


Hook = Callable[[Any, Context], Any]


@dataclass(frozen=True)
class Change:
    """A fault or a variation.

    `violates`: requirement ids that the fault breaks (1 to 3). `entails`: further ids that cannot but break, each
    with the reason. `dialects`: where it makes sense; empty means everywhere. `thread`: URL of the public report of a
    server that shipped it. `condition`: when it shows, for people.
    """

    name: str
    at: Stage
    hook: Hook
    summary: str
    violates: tuple[str, ...] = ()
    entails: Mapping[str, str] = field(default_factory=dict)
    dialects: frozenset[str] = frozenset()
    thread: str | None = None
    condition: str | None = None
    legal: str | None = None
    """For variations: why it is legal (source)."""


FAULTS: dict[str, Change] = {}
VARIATIONS: dict[str, Change] = {}


def fault(
    name: str,
    *,
    at: Stage,
    violates: tuple[str, ...] | list[str],
    entails: Mapping[str, str] | None = None,
    dialects: tuple[str, ...] = (),
    thread: str | None = None,
    condition: str | None = None,
) -> Callable[[Hook], Hook]:
    """Register a function at one stage as a fault; its docstring says what is wrong."""

    def decorate(hook: Hook) -> Hook:
        if name in FAULTS:
            raise ValueError(f"two faults are called {name}")
        FAULTS[name] = Change(
            name,
            at,
            hook,
            " ".join((hook.__doc__ or "").split()),
            tuple(violates),
            dict(entails or {}),
            frozenset(dialects),
            thread,
            condition,
        )
        return hook

    return decorate


def variation(name: str, *, at: Stage, legal: str, dialects: tuple[str, ...] = ()) -> Callable[[Hook], Hook]:
    """Register a function at one stage as a legal variation; `legal` cites why it is one."""

    def decorate(hook: Hook) -> Hook:
        if name in VARIATIONS:
            raise ValueError(f"two variations are called {name}")
        VARIATIONS[name] = Change(
            name, at, hook, " ".join((hook.__doc__ or "").split()), dialects=frozenset(dialects), legal=legal
        )
        return hook

    return decorate
