"""How unmarked exchanges belong together, read from their requests alone: for foreign traffic, and for random draws.

Equal requests are a Repeat; equal but for `stream` and `stream_options`, a Parity; equal but for one field, or one key
of an object-valued field, a Contrast; one whose messages go on where an answer ended, a Conversation; calls that name
the id of a completion, a Lifecycle.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, escape_pointer
from conformance.wire.traces import Contrast, Conversation, Lifecycle, Parity, Repeat, Trace

MOST_PAIRS = 12
"""Contrasts of one group: all ordered pairs of up to four values, or one control against the others."""
MOST_PARITIES = 8
MOST_REPEATS = 16
MOST_TURNS = 64

_STREAMING = frozenset({"stream", "stream_options"})
_NO_CONTRAST = frozenset({"messages", "model", "stream"})
"""Other messages are another question, another model answers differently, and `stream` makes a Parity."""
_SIZE = 16
_MODULUS = 1 << (8 * _SIZE)
_STORED = re.compile(r"/chat/completions/([^/]+)(?:/messages)?", re.ASCII)


def _number(*parts: str) -> int:
    """A hash that adds up: a body's is the sum of its fields', so that one field is taken out by subtraction."""
    text = json.dumps(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=_SIZE).digest(), "big")


def _text(value: Json) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return repr(type(value))


@dataclass(frozen=True)
class _Body:
    """A request body as numbers: the whole, without streaming, and without each field or inner key."""

    exchange: Exchange
    total: int
    plain: int
    without: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By pointer: the body's number without that value, and the value's own."""


def _read(exchange: Exchange) -> _Body | None:
    chat = exchange.request.chat
    if chat is None or Facet.REQUEST not in exchange.facets:
        return None
    request = exchange.request
    start = _number("request", request.path, request.auth, _text(request.headers), exchange.origin)
    total, streaming = start, 0
    places: dict[str, int] = {}
    for key, value in chat.body.items():
        if isinstance(value, dict):
            inner = {name: _number("inner", key, name, _text(item)) for name, item in value.items()}
            part = _number("object", key) + sum(inner.values())
            if key not in _NO_CONTRAST:
                places.update({f"/{escape_pointer(key)}/{escape_pointer(name)}": n for name, n in inner.items()})
        else:
            part = _number("field", key, _text(value))
        total += part
        if key in _STREAMING:
            streaming += part
        if key not in _NO_CONTRAST:
            places[f"/{escape_pointer(key)}"] = part
    without = {pointer: ((total - part) % _MODULUS, part) for pointer, part in places.items()}
    return _Body(exchange, total % _MODULUS, (total - streaming) % _MODULUS, without)


def related(exchanges: Iterable[Exchange]) -> Iterator[Trace]:
    """Repeats, parities and contrasts among these exchanges, in linear time."""
    bodies = [body for exchange in exchanges if (body := _read(exchange)) is not None]
    by_total: dict[int, list[_Body]] = {}
    by_plain: dict[int, list[_Body]] = {}
    by_place: dict[tuple[str, int], dict[int, list[_Body]]] = {}
    for body in bodies:
        by_total.setdefault(body.total, []).append(body)
        by_plain.setdefault(body.plain, []).append(body)
        for pointer, (rest, part) in body.without.items():
            by_place.setdefault((pointer, rest), {}).setdefault(part, []).append(body)
    for group in by_total.values():
        if len(group) > 1:
            yield Repeat(tuple(body.exchange for body in group[:MOST_REPEATS]))
    for group in by_plain.values():
        yield from _parities([body.exchange for body in group])
    for (pointer, rest), values in by_place.items():
        absent = by_total.get(rest)
        members = ([absent] if absent else []) + list(values.values())
        yield from _contrasts(pointer, [max(group, key=_shown).exchange for group in members])


def _shown(body: _Body) -> bool:
    return body.exchange.is_success


def _parities(group: Sequence[Exchange]) -> Iterator[Parity]:
    def streams(exchange: Exchange) -> bool | None:
        chat = exchange.request.chat
        return chat.stream if chat is not None else None

    plain = [exchange for exchange in group if streams(exchange) is False][:2]
    if plain:
        for exchange in [exchange for exchange in group if streams(exchange) is True][:MOST_PARITIES]:
            yield Parity((*plain, exchange))


def _contrasts(pointer: str, members: Sequence[Exchange]) -> Iterator[Contrast]:
    """Pairs of different values whose control worked. The first member lacks the value, where one does."""
    working = [exchange for exchange in members if exchange.is_success]
    if len(members) * (len(members) - 1) > MOST_PAIRS:
        working = working[:1]
    pairs = ((control, variant) for control in working for variant in members if variant is not control)
    for (control, variant), _ in zip(pairs, range(MOST_PAIRS), strict=False):
        yield Contrast((control, variant), pointer)


@dataclass
class _Turn:
    """An exchange as a turn: the numbers of its message prefixes, of growing length."""

    exchange: Exchange
    prefixes: list[int]
    messages: list[Json]
    before: _Turn | None = None
    followed: bool = False


def _turn(exchange: Exchange) -> _Turn | None:
    chat = exchange.request.chat
    messages = chat.body.get("messages") if chat is not None and Facet.REQUEST in exchange.facets else None
    if not isinstance(messages, list) or not messages:
        return None
    number, prefixes = _number("messages", exchange.origin, exchange.request.path), []
    for message in messages:
        number = _number(str(number), _text(message))
        prefixes.append(number)
    return _Turn(exchange, prefixes, messages)


def _call_ids(message: Json) -> Iterator[str]:
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and isinstance(call.get("id"), str) and call["id"]:
            yield call["id"]


def _echoes(turn: _Turn, earlier: _Turn) -> bool:
    """The message after the earlier request's own is what the earlier answer said."""
    said = turn.messages[len(earlier.messages)] if len(turn.messages) > len(earlier.messages) else None
    answer = earlier.exchange.answer
    if answer is None or not isinstance(said, dict) or said.get("role") != "assistant":
        return False
    issued = {call.id for call in answer.calls if isinstance(call.id, str)}
    if any(name in issued for name in _call_ids(said)):
        return True
    content = said.get("content")
    return isinstance(content, str) and content != "" and any(choice.text == content for choice in answer.choices)


def conversations(exchanges: Iterable[Exchange]) -> Iterator[Conversation]:
    """Chains of turns, one for each last turn: by message prefix, or else by a tool-call id that only one issued."""
    turns = [turn for exchange in exchanges if (turn := _turn(exchange)) is not None]
    starts: dict[int, _Turn] = {}
    issued: dict[tuple[str, str], list[_Turn]] = {}
    wanted = {name for turn in turns for message in turn.messages for name in _call_ids(message)}
    for turn in turns:
        earlier = next((starts[n] for n in reversed(turn.prefixes[:-1]) if n in starts), None)
        if earlier is not None and _echoes(turn, earlier):
            turn.before = earlier
        elif wanted:
            turn.before = _by_call_id(turn, issued)
        if turn.before is not None:
            turn.before.followed = True
        starts[turn.prefixes[-1]] = turn
        if wanted and b"tool_calls" in turn.exchange.body and turn.exchange.answer is not None:
            names = {call.id for call in turn.exchange.answer.calls if isinstance(call.id, str)}
            for name in names & wanted:
                issued.setdefault((turn.exchange.origin, name), []).append(turn)
    for turn in turns:
        if turn.followed or turn.before is None:
            continue
        chain: list[Exchange] = []
        link: _Turn | None = turn
        while link is not None and len(chain) < MOST_TURNS:
            chain.append(link.exchange)
            link = link.before
        yield Conversation(tuple(reversed(chain)))


def _by_call_id(turn: _Turn, issued: dict[tuple[str, str], list[_Turn]]) -> _Turn | None:
    """The one earlier turn that issued the last echoed tool-call id."""
    for message in reversed(turn.messages):
        for name in _call_ids(message):
            found = issued.get((turn.exchange.origin, name), [])
            return found[0] if len(found) == 1 else None
    return None


def lifecycles(exchanges: Iterable[Exchange]) -> Iterator[Lifecycle]:
    """Calls below the id of a completion, with the requests that created it where they are known; in order.

    An id that several completions were given names none of them, which is seen only where all of them are there.
    """
    found: dict[tuple[str, str], list[Exchange]] = {}
    called: set[tuple[str, str]] = set()
    for exchange in exchanges:
        named = _STORED.fullmatch(exchange.request.route)
        if named is not None:
            key = (exchange.origin, unquote(named[1]))
            called.add(key)
            found.setdefault(key, []).append(exchange)
            continue
        chat = exchange.request.chat
        if chat is None or chat.body.get("store") is not True or "id" in exchange.altered:
            continue
        answer = exchange.answer
        if answer is not None and isinstance(answer.id, str):
            found.setdefault((exchange.origin, answer.id), []).append(exchange)
    for key, group in found.items():
        if key in called:
            yield Lifecycle(tuple(group), key[1])
