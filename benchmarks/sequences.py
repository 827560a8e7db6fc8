"""The shortest sequence of calls that shows a fault of the store: calls are left out, and the rest is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from urllib.parse import quote

from conformance.probes.shrink import smallest
from conformance.reference.endpoint import Endpoint
from conformance.reference.stages import Change
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import judge
from conformance.transport.memory import MemoryTransport
from conformance.wire.exchange import Exchange
from conformance.wire.ledger import created_id
from conformance.wire.stored import call_of
from conformance.wire.traces import Lifecycle, Trace

_TRIES = 400
"""Sequences that are sent for one fault at most."""


def _again(steps: Sequence[Exchange], about: str, change: Change, terms: Terms) -> Lifecycle:
    """The steps sent to a fresh endpoint with the fault, as far apart as they were; ids are those of this time."""
    transport = MemoryTransport(Endpoint(terms.dialect, faults=[change]).respond)
    began = transport.now() - (steps[0].started or 0.0)
    ids: dict[str, str] = {}
    made: list[Exchange] = []
    for number, step in enumerate(steps, 1):
        transport.wait((step.started or 0.0) + began - transport.now())
        path = step.request.path
        for old, new in ids.items():
            path = path.replace(quote(old, safe=""), quote(new, safe=""))
        exchange = replace(transport.send(replace(step.request, path=path)), id=f"e{number}")
        made.append(exchange)
        before, now = created_id(step), created_id(exchange)
        if before is not None and now is not None:
            ids[before] = now
    return Lifecycle(tuple(made), ids.get(about, about))


def shortest(traces: Sequence[Lifecycle], rule: Rule, change: Change, terms: Terms) -> Lifecycle | None:
    """The smallest of the traces without any call that it can do without; None where sending it again shows nothing."""

    def shows(steps: Sequence[Exchange], about: str) -> Lifecycle | None:
        found = _again(steps, about, change, terms)
        return found if judge(rule, found, terms).findings else None

    start = smallest(traces)
    best = shows(start.exchanges, start.stored_id) if isinstance(start, Lifecycle) else None
    tries, at = 0, 0
    while best is not None and at < len(best.exchanges) > 1 and tries < _TRIES:
        tries += 1
        steps = [*best.exchanges[:at], *best.exchanges[at + 1 :]]
        found = shows(steps, best.stored_id)
        best, at = (found, 0) if found is not None else (best, at + 1)
    return best


def spelled(trace: Trace) -> str:
    """The calls in words: `create, list limit=1, delete`."""
    return ", ".join(
        word if (count := len(list(same))) == 1 else f"{word} × {count}"
        for word, same in groupby(map(_word, trace.exchanges))
    )


def _word(exchange: Exchange) -> str:
    call, chat = call_of(exchange.request), exchange.request.chat
    if call is None:
        return f"{exchange.request.method} {exchange.request.path}"
    query = call.query
    given = [f"{name}={value}" for name in ("limit", "order") if (value := getattr(query, name)) is not None]
    given += [name for name in ("after", "model") if getattr(query, name) is not None]
    given += [f"{len(query.metadata)} filters"] if len(query.metadata) > 1 else []
    given += ["streamed"] if chat is not None and chat.stream else []
    given += ["of another key"] if exchange.request.auth == "second" else []
    return " ".join([call.kind.value, *given])
