"""The response object: identity, choices and messages of an unstreamed completion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Part,
    Terms,
    Verdicts,
    at_body,
    at_chunk,
    fold,
    rule,
)
from conformance.rules.conditions import COMPLETION, is_unstreamed_success
from conformance.rules.refusals import carries_error
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, is_integer, show
from conformance.wire.traces import Single

BODY = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
KEYS = (*BODY, Facet.KEYS_COMPLETE)


def body_of(exchange: Exchange) -> dict[str, Json]:
    """The body of a completion; empty where it is no object, which other rules judge."""
    found = exchange.document.value if exchange.document.ok else None
    return found if isinstance(found, dict) else {}


def holds_an_object(trace: Single, terms: Terms) -> bool:
    """An unstreamed 2xx answer whose body is an object, and no error in disguise."""
    return is_unstreamed_success(trace.exchange) and bool(body_of(trace.exchange)) and not carries_error(trace.exchange)


def holds_choices(trace: Single, terms: Terms) -> bool:
    """Such an object with an array of choices."""
    return holds_an_object(trace, terms) and isinstance(body_of(trace.exchange).get("choices"), list)


def shown(container: dict[str, Json], key: str) -> str:
    """A member as short JSON text, or that it is absent."""
    return show(container[key], 80) if key in container else "absent"


def choices_in(exchange: Exchange) -> Iterator[tuple[str, dict[str, Json]]]:
    """Each choice that is an object, with its pointer."""
    found = body_of(exchange).get("choices")
    for position, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield f"/choices/{position}", item


def messages_in(exchange: Exchange) -> Iterator[tuple[str, dict[str, Json]]]:
    """Each message that is an object, with its pointer."""
    for pointer, choice in choices_in(exchange):
        if isinstance(choice.get("message"), dict):
            yield f"{pointer}/message", choice["message"]


def _text(exchange: Exchange, key: str) -> Verdicts:
    body = body_of(exchange)
    if not isinstance(body.get(key), str) or not body[key]:
        yield at_body(exchange, f"/{key}", "a non-empty string", shown(body, key))


@rule("response.id.is_text", on=Single, reads=KEYS, values=("id",), when=holds_an_object)
def id_is_text(trace: Single, terms: Terms) -> Verdicts:
    """The id is a non-empty string."""
    yield from _text(trace.exchange, "id")


def _id(exchange: Exchange) -> str | None:
    """The id of a completion in either mode, where it is a non-empty string."""
    found = exchange.answer.id if exchange.answer is not None else None
    return found if isinstance(found, str) and found else None


def _has_id(trace: Single, terms: Terms) -> bool:
    return _id(trace.exchange) is not None


def _id_like(exchange: Exchange, pattern: str, expected: str) -> Verdicts:
    found = _id(exchange)
    if found is None or not re.match(pattern, found):
        streamed = exchange.answer is not None and exchange.answer.streamed
        seen = show(found, 80)
        yield at_chunk(exchange, 0, "/id", expected, seen) if streamed else at_body(exchange, "/id", expected, seen)


@rule("response.id.has_the_prefix", on=Single, reads=BODY, values=("id",), when=_has_id)
def id_has_the_prefix(trace: Single, terms: Terms) -> Verdicts:
    """The id begins with the dialect's prefix."""
    prefix = str(terms.dialect.convention("id.prefix") or "")
    yield from _id_like(trace.exchange, re.escape(prefix), f"an id that begins with {prefix}")


@rule("response.id.is_a_prefixed_ulid", on=Single, reads=BODY, values=("id",), when=_has_id)
def id_is_a_prefixed_ulid(trace: Single, terms: Terms) -> Verdicts:
    """The id is the dialect's prefix and 24 to 26 characters of Crockford's base 32."""
    prefix = str(terms.dialect.convention("id.prefix") or "")
    yield from _id_like(trace.exchange, rf"{re.escape(prefix)}[0-9A-HJKMNP-TV-Z]{{24,26}}$", f"{prefix} and a ULID")


@dataclass(frozen=True)
class _First:
    """The first completion with an id: which exchange, and what was asked and answered."""

    exchange: str
    asked: bytes | None
    body: bytes


@fold("response.id.is_unique", reads=BODY, values=("id",))
class IdIsUnique:
    """No two completions of a run have one id."""

    def empty(self) -> dict[tuple[str, str], tuple[_First, str | None]]:
        """Nothing seen."""
        return {}

    def step(
        self, state: dict[tuple[str, str], tuple[_First, str | None]], exchange: Exchange, terms: Terms
    ) -> dict[tuple[str, str], tuple[_First, str | None]]:
        """Note the first completion with an id, and the first other one."""
        found = _id(exchange)
        # A repeated idempotency key is answered by the first completion once more.
        if found is None or any("idempoten" in name.lower() for name, _ in exchange.request.headers):
            return state
        key = (exchange.origin, found)
        new = _First(exchange.id, exchange.request.body, exchange.body)
        first, again = state.get(key, (new, None))
        if again is None and _differ(first, new):
            again = exchange.id
        state[key] = (first, again)
        return state

    def merge(
        self,
        earlier: dict[tuple[str, str], tuple[_First, str | None]],
        later: dict[tuple[str, str], tuple[_First, str | None]],
    ) -> dict[tuple[str, str], tuple[_First, str | None]]:
        """Both parts, id by id."""
        merged = dict(earlier)
        for key, (new, again) in later.items():
            first, before = merged.get(key, (new, None))
            merged[key] = (first, before or (new.exchange if _differ(first, new) else again))
        return merged

    def finish(self, state: dict[tuple[str, str], tuple[_First, str | None]], terms: Terms) -> Verdicts:
        """One finding for each id that two completions share."""
        if len(state) < 2 and all(again is None for _, again in state.values()):
            yield NOT_APPLICABLE
        for (_, name), (first, again) in state.items():
            if again is not None:
                expected = "an id of its own for each completion"
                yield Finding(again, Part.BODY, expected, f"{show(name, 60)}, as in {first.exchange}", "/id")


def _differ(first: _First, other: _First) -> bool:
    """Two completions, and not one that was recorded or sent twice."""
    return first.exchange != other.exchange and (first.asked != other.asked or first.body != other.body)


@rule("response.object.is_chat_completion", on=Single, reads=KEYS, values=("object",), when=holds_an_object)
def object_is_chat_completion(trace: Single, terms: Terms) -> Verdicts:
    """The object is chat.completion."""
    body = body_of(trace.exchange)
    if body.get("object") != "chat.completion":
        yield at_body(trace.exchange, "/object", '"chat.completion"', shown(body, "object"))


_EARLIEST, _LATEST = 1_400_000_000, 4_200_000_000
"""Unix seconds of 2014 and 2103: far outside, a number is in another unit, or none."""


@rule("response.created.is_in_seconds", on=Single, reads=KEYS, values=("created",), when=holds_an_object)
def created_is_in_seconds(trace: Single, terms: Terms) -> Verdicts:
    """The time of creation is an integer of seconds."""
    body = body_of(trace.exchange)
    found = body.get("created")
    if not is_integer(found) or not _EARLIEST < found < _LATEST:
        yield at_body(trace.exchange, "/created", "an integer Unix time in seconds", shown(body, "created"))


_SKEW_SECONDS = 300


@rule(
    "response.created.is_now",
    on=Single,
    reads=(*BODY, Facet.WALL_CLOCK),
    values=("created",),
    when=lambda trace, terms: (
        holds_an_object(trace, terms)
        and is_integer(found := body_of(trace.exchange).get("created"))
        and _EARLIEST < found < _LATEST
    ),
)
def created_is_now(trace: Single, terms: Terms) -> Verdicts:
    """The time of creation is near the client's."""
    exchange = trace.exchange
    if exchange.started is None:
        yield NOT_APPLICABLE
        return
    took = exchange.pieces[-1][0] / 1000 if exchange.pieces else 0.0
    created = body_of(exchange)["created"]
    if not exchange.started - _SKEW_SECONDS <= created <= exchange.started + took + _SKEW_SECONDS:
        yield at_body(exchange, "/created", f"within {_SKEW_SECONDS} s of {exchange.started:.0f}", str(created))


@rule("response.model.is_text", on=Single, reads=KEYS, values=("model",), when=holds_an_object)
def model_is_text(trace: Single, terms: Terms) -> Verdicts:
    """The model is a non-empty string."""
    yield from _text(trace.exchange, "model")


@rule("response.choices.is_an_array", on=Single, reads=KEYS, when=holds_an_object)
def choices_is_an_array(trace: Single, terms: Terms) -> Verdicts:
    """The choices are an array of objects."""
    body = body_of(trace.exchange)
    choices = body.get("choices")
    if not isinstance(choices, list):
        yield at_body(trace.exchange, "/choices", "an array", shown(body, "choices"))
        return
    for position, item in enumerate(choices):
        if not isinstance(item, dict):
            yield at_body(trace.exchange, f"/choices/{position}", "an object", show(item, 80))


@rule("response.choices.are_n", on=Single, reads=BODY, when=holds_choices)
def choices_are_n(trace: Single, terms: Terms) -> Verdicts:
    """There are n choices."""
    chat = trace.exchange.request.chat
    wanted, count = chat.n if chat is not None else None, len(body_of(trace.exchange)["choices"])
    if wanted is None or wanted < 1:
        yield NOT_APPLICABLE
    elif count != wanted:
        yield at_body(trace.exchange, "/choices", f"{wanted} choices", str(count))


@rule("response.choices.are_single", on=Single, reads=BODY, when=holds_choices)
def choices_are_single(trace: Single, terms: Terms) -> Verdicts:
    """There is one choice, whatever n says."""
    count = len(body_of(trace.exchange)["choices"])
    if count != 1:
        yield at_body(trace.exchange, "/choices", "one choice", str(count))


@rule("response.choices.count_from_zero", on=Single, reads=KEYS, when=holds_choices)
def choices_count_from_zero(trace: Single, terms: Terms) -> Verdicts:
    """The choices have the indices 0 to their number less one."""
    places = list(choices_in(trace.exchange))
    expected = set(range(len(places)))
    if not places:
        yield NOT_APPLICABLE
    taken: set[int] = set()
    for pointer, choice in places:
        found = choice.get("index")
        if not is_integer(found) or found not in expected or found in taken:
            wanted = f"one of 0 to {len(places) - 1}, each once" if len(places) > 1 else "0"
            yield at_body(trace.exchange, f"{pointer}/index", wanted, shown(choice, "index"))
        else:
            taken.add(found)


@rule("response.logprobs.key_is_present", on=Single, reads=KEYS, when=holds_choices)
def logprobs_key_is_present(trace: Single, terms: Terms) -> Verdicts:
    """Each choice has the key logprobs."""
    for pointer, choice in choices_in(trace.exchange):
        if "logprobs" not in choice:
            yield at_body(trace.exchange, f"{pointer}/logprobs", "the key logprobs", "absent")


@rule(
    "response.system_fingerprint.is_text_or_null",
    on=Single,
    reads=BODY,
    values=("system_fingerprint",),
    when=holds_an_object,
)
def system_fingerprint_is_text_or_null(trace: Single, terms: Terms) -> Verdicts:
    """The system_fingerprint is a string, null or absent."""
    found = body_of(trace.exchange).get("system_fingerprint")
    if found is not None and not isinstance(found, str):
        yield at_body(trace.exchange, "/system_fingerprint", "a string or null", show(found, 80))


@rule("response.service_tier.is_known", on=Single, reads=BODY, values=("service_tier",), when=COMPLETION)
def service_tier_is_known(trace: Single, terms: Terms) -> Verdicts:
    """The service_tier of the completion, or of each of its chunks, is one of the dialect's, null or absent."""
    exchange, words = trace.exchange, terms.dialect.words("service_tier")

    def is_odd(found: Json) -> bool:
        return found is not None and bool(words) and found not in words

    expected, found = f"one of {', '.join(words)}", body_of(exchange).get("service_tier")
    if is_odd(found):
        yield at_body(exchange, "/service_tier", expected, show(found, 80))
    for chunk in exchange.assembly.chunks if exchange.assembly is not None else ():
        if is_odd(chunk.value.get("service_tier")):
            yield at_chunk(exchange, chunk.position, "/service_tier", expected, show(chunk.value["service_tier"], 80))
            return


@rule("response.status.is_completed", on=Single, reads=KEYS, when=holds_an_object)
def status_is_completed(trace: Single, terms: Terms) -> Verdicts:
    """The status of a completion is completed."""
    body = body_of(trace.exchange)
    if body.get("status") != "completed":
        yield at_body(trace.exchange, "/status", '"completed"', shown(body, "status"))
