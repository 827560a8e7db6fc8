"""From a violating trace to a smaller one, with live requests: contrasts, parities and repeats shrink as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from conformance.probes.reduce import Body, reduce
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request
from conformance.wire.strict_json import Json
from conformance.wire.traces import Contrast, Parity, Repeat, Single, Trace

PER_REQUIREMENT = 25
"""Live requests for one requirement at most."""
OVERALL = 0.2
"""Live requests in all, as a part of the gathered ones."""
_LIMITS = ("max_completion_tokens", "max_tokens")
_STREAMING = ("stream", "stream_options")

Send = Callable[[Request, int], Exchange | None]
"""Sends a request under an ordinal, or answers from the memo; None where nothing may be sent any more."""
Violates = Callable[[Trace], bool]
"""The same requirement is violated at the same normalised place."""


def size(trace: Trace) -> tuple[int, int]:
    """How big a trace is to read: bytes of all request bodies, then how many exchanges."""
    bodies = sum(len(exchange.request.body or b"") + len(exchange.request.path) for exchange in trace.exchanges)
    return bodies, len(trace.exchanges)


def smallest(traces: Iterable[Trace]) -> Trace:
    """The one that is quickest to read."""
    return min(traces, key=size)


@dataclass(frozen=True)
class Form:
    """How the requests of a trace follow from one body: `unfold` gives each request's body."""

    body: Body
    unfold: Callable[[Body], list[Body]]
    keeps: Callable[[Body], bool] = lambda body: True


def _tokens(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


_NOWHERE = object()


def _find(value: Json, pointer: str) -> Any:
    """The value at a JSON pointer, or `_NOWHERE`."""
    for token in _tokens(pointer):
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            value = value[int(token)]
        else:
            return _NOWHERE
    return value


def _put(value: Json, tokens: list[str], new: Any) -> Json:
    """A copy with another value at the place; `_NOWHERE` removes it. Raises LookupError where the place is missing."""
    if not tokens:
        return new
    first, rest = tokens[0], tokens[1:]
    if isinstance(value, dict):
        copy: Json = dict(value)
        if not rest:
            if new is _NOWHERE:
                copy.pop(first, None)
            else:
                copy[first] = new
            return copy
        copy[first] = _put(value[first], rest, new)
        return copy
    if isinstance(value, list) and first.isdecimal() and int(first) < len(value):
        copy = list(value)
        if not rest and new is _NOWHERE:
            del copy[int(first)]
        else:
            copy[int(first)] = _put(value[int(first)], rest, new)
        return copy
    raise LookupError(first)


def _bodies(trace: Trace) -> list[Body] | None:
    found = []
    for exchange in trace.exchanges:
        document = exchange.request.document
        chat = exchange.request.chat
        if chat is None or document.problems or strict_json.dump(chat.body) != exchange.request.body:
            return None
        found.append(dict(chat.body))
    return found


def _contrast(trace: Contrast, bodies: list[Body]) -> Form | None:
    control, variant = bodies
    theirs, ours = _find(control, trace.about), _find(variant, trace.about)
    if not trace.about.startswith("/") or len(bodies) != 2:
        return None
    tokens = _tokens(trace.about)

    def unfold(body: Body) -> list[Body]:
        return [_put(body, tokens, theirs), body]

    def keeps(body: Body) -> bool:
        found = _find(body, trace.about)
        if found is _NOWHERE or ours is _NOWHERE:
            return found is ours and (len(tokens) == 1 or isinstance(_find(body, _parent(trace.about)), (dict, list)))
        return strict_json.equal(found, ours)

    try:
        same = strict_json.equal(unfold(variant)[0], control)
    except (LookupError, TypeError):
        return None
    return Form(variant, unfold, keeps) if same else None


def _parent(pointer: str) -> str:
    return pointer.rsplit("/", 1)[0]


def _parity(bodies: list[Body]) -> Form | None:
    streamed = bodies[-1]
    modes = {key: streamed[key] for key in _STREAMING if key in streamed}
    plain = {key: value for key, value in streamed.items() if key not in _STREAMING}
    first = bodies[0]
    own = {key: first[key] for key in _STREAMING if key in first}

    def unfold(body: Body) -> list[Body]:
        return [{**body, **own} for _ in bodies[:-1]] + [{**body, **modes}]

    return Form(plain, unfold) if all(map(strict_json.equal, unfold(plain), bodies)) else None


def form_of(trace: Trace) -> Form | None:
    """How the trace's requests follow from one body, or None where it can only be shown as it is."""
    bodies = _bodies(trace)
    if not bodies:
        return None
    if isinstance(trace, Single):
        return Form(bodies[0], lambda body: [body])
    if isinstance(trace, Contrast):
        return _contrast(trace, bodies)
    if isinstance(trace, Parity):
        return _parity(bodies)
    if isinstance(trace, Repeat) and all(strict_json.equal(body, bodies[0]) for body in bodies):
        return Form(bodies[0], lambda body: [body] * len(bodies))
    return None


def _messages_are_whole(body: Body) -> bool:
    """There are messages, each with a role and something said."""
    found = body.get("messages")
    return isinstance(found, list) and bool(found) and all(map(_is_whole_message, found))


def _is_whole_message(item: Json) -> bool:
    return isinstance(item, dict) and isinstance(item.get("role"), str) and ("content" in item or "tool_calls" in item)


def _tools_are_whole(body: Body) -> bool:
    """There are no tools, or each has a type and a name."""
    found = body.get("tools", [])
    return isinstance(found, list) and all(map(_is_whole_tool, found))


def _is_whole_tool(item: Json) -> bool:
    kind = item.get("type") if isinstance(item, dict) else None
    inner = item.get(kind) if isinstance(kind, str) else None
    return isinstance(inner, dict) and isinstance(inner.get("name"), str) and bool(inner["name"])


def guard(original: Body) -> Callable[[Body], bool]:
    """What every smaller body must keep: the model, the bound on tokens, whole messages and tools if they were so.

    That spares the requests which any endpoint would turn down for another reason. Whether the request is otherwise
    fine is left to the rule, which reads from the request what it demands.
    """
    whole = [check for check in (_messages_are_whole, _tools_are_whole) if check(original)]

    def valid(body: Body) -> bool:
        kept = all(body.get(name) == original[name] for name in ("model", *_LIMITS) if name in original)
        return kept and all(check(body) for check in whole)

    return valid


@dataclass(frozen=True)
class Shrunk:
    """A trace that violates, and whether it is verified that nothing can be taken away. `spent`: requests sent."""

    trace: Trace
    minimal: bool
    spent: int


class _Spender:
    def __init__(self, trace: Trace, form: Form, send: Send, violates: Violates, budget: int) -> None:
        self.best = trace
        self.spent = 0
        self.exhausted = False
        self._form = form
        self._send = send
        self._violates = violates
        self._budget = budget
        self._requests = [exchange.request for exchange in trace.exchanges]

    def try_body(self, body: Body) -> bool:
        try:
            bodies = self._form.unfold(body)
        except (LookupError, TypeError):
            return False
        if self.spent + len(bodies) > self._budget:
            self.exhausted = True
            return False
        exchanges = []
        ordinals: dict[Request, int] = {}
        for request, made in zip(self._requests, bodies, strict=True):
            smaller = replace(request, body=strict_json.dump(made))
            ordinal = ordinals.get(smaller, 0)
            ordinals[smaller] = ordinal + 1
            exchange = self._send(smaller, ordinal)
            if exchange is None:
                self.exhausted = True
                return False
            self.spent += 1
            exchanges.append(exchange)
        found = replace(self.best, exchanges=tuple(exchanges))
        if self._violates(found):
            self.best = found
            return True
        return False


def shrink(trace: Trace, send: Send, violates: Violates, budget: int) -> Shrunk:
    """Make a violating trace smaller with at most `budget` requests; it never gets worse, whatever comes back.

    A trace without a JSON body to reduce is minimal as it is if it is a single request without a body.
    """
    form = form_of(trace)
    if form is None:
        bare = isinstance(trace, Single) and trace.exchange.request.body is None
        return Shrunk(trace, bare, 0)
    spender = _Spender(trace, form, send, violates, budget)
    keep = guard(form.body)
    _, finished = reduce(
        form.body,
        spender.try_body,
        lambda body: keep(body) and form.keeps(body),
        max(0, budget // len(trace.exchanges)),
    )
    return Shrunk(spender.best, finished and not spender.exhausted, spender.spent)
