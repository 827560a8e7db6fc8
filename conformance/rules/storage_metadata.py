"""Metadata on the way in: how many pairs, how long, of what type, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable

from conformance.rules.base import Terms, Verdicts, rule
from conformance.rules.checks import keyed_chat, undoubtedly_valid
from conformance.rules.refusals import must_accept, must_refuse
from conformance.rules.storage_steps import STATUS, is_call
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange
from conformance.wire.stored import Kind
from conformance.wire.strict_json import Json, is_integer
from conformance.wire.traces import Single


def faults(value: Json, terms: Terms) -> set[str]:
    """What is certainly wrong with metadata, by the dialect's limits; characters count, not bytes."""
    if not isinstance(value, dict):
        return {"type"}
    limit = terms.dialect.limit
    most, longest_key, longest = (
        limit(n) for n in ("metadata.max", "metadata_key.max_length", "metadata_value.max_length")
    )
    found = set()
    if is_integer(most) and len(value) > most:
        found.add("count")
    if is_integer(longest_key) and any(len(key) > longest_key for key in value):
        found.add("key")
    if is_integer(longest) and any(isinstance(item, str) and len(item) > longest for item in value.values()):
        found.add("value")
    if not all(isinstance(item, str) for item in value.values()):
        found.add("item")
    return found


def _rest_is_valid(chat: ChatRequest, terms: Terms) -> bool:
    kept = {key: value for key, value in chat.body.items() if key not in ("store", "metadata")}
    return undoubtedly_valid(ChatRequest(kept), terms)


def _creates(trace: Single, terms: Terms) -> ChatRequest | None:
    """A request that is undoubtedly valid but for `store` and `metadata`, and that asks to be stored."""
    chat = keyed_chat(trace.exchange)
    if chat is None or chat.body.get("store") is not True or not _rest_is_valid(chat, terms):
        return None
    return chat


def _lone(fault: str) -> Callable[[Single, Terms], bool]:
    """Nothing is wrong with the request but this."""

    def when(trace: Single, terms: Terms) -> bool:
        chat = _creates(trace, terms)
        return chat is not None and "metadata" in chat.body and faults(chat.body["metadata"], terms) == {fault}

    return when


def _refused(requirement: str, fault: str, says: str) -> None:
    """Register the rule that metadata with one fault is refused."""

    def check(trace: Single, terms: Terms) -> Verdicts:
        yield from must_refuse(trace.exchange, says)

    check.__doc__ = f"{says[0].upper()}{says[1:]}."
    rule(requirement, on=Single, reads=STATUS, when=_lone(fault))(check)


_refused("storage.metadata.too_many_pairs_are_refused", "count", "more pairs of metadata than allowed are refused")
_refused("storage.metadata.long_key_is_refused", "key", "a metadata key that is too long is refused")
_refused("storage.metadata.long_value_is_refused", "value", "a metadata value that is too long is refused")
_refused("storage.metadata.non_string_is_refused", "item", "a metadata value that is no string is refused")


def _is_beyond_ascii(value: dict[str, Json]) -> bool:
    return not all(key.isascii() and (not isinstance(item, str) or item.isascii()) for key, item in value.items())


def _within(beyond_ascii: bool) -> Callable[[Single, Terms], bool]:
    def when(trace: Single, terms: Terms) -> bool:
        chat = _creates(trace, terms)
        value = chat.body.get("metadata") if chat is not None else None
        return isinstance(value, dict) and not faults(value, terms) and _is_beyond_ascii(value) is beyond_ascii

    return when


def _accepted(exchange: Exchange, terms: Terms, expected: str) -> Verdicts:
    yield from must_accept(exchange, terms, ("metadata",), expected)


@rule("storage.metadata.within_limits_is_accepted", on=Single, reads=STATUS, when=_within(False))
def within_limits_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """Metadata up to the limits is accepted."""
    yield from _accepted(trace.exchange, terms, "metadata within the limits is accepted")


@rule("storage.metadata.characters_are_counted", on=Single, reads=STATUS, when=_within(True))
def characters_are_counted(trace: Single, terms: Terms) -> Verdicts:
    """The limits of metadata count characters, not bytes."""
    yield from _accepted(trace.exchange, terms, "metadata within the limits is accepted, in characters of any script")


def _without_store(trace: Single, terms: Terms) -> bool:
    chat = keyed_chat(trace.exchange)
    value = chat.body.get("metadata") if chat is not None else None
    return (
        chat is not None
        and chat.body.get("store") in (None, False)
        and isinstance(value, dict)
        and bool(value)
        and not faults(value, terms)
        and _rest_is_valid(chat, terms)
    )


@rule("storage.metadata.needs_store", on=Single, reads=STATUS, when=_without_store)
def metadata_needs_store(trace: Single, terms: Terms) -> Verdicts:
    """Metadata without store is refused."""
    yield from must_refuse(trace.exchange, "400 for metadata without store: true")


def _odd_store(trace: Single, terms: Terms) -> bool:
    chat = keyed_chat(trace.exchange)
    value = chat.body.get("store") if chat is not None else None
    return (
        chat is not None
        and value is not None
        and not isinstance(value, bool)
        and "metadata" not in chat.body
        and _rest_is_valid(chat, terms)
    )


@rule("storage.store.non_boolean_is_refused", on=Single, reads=STATUS, when=_odd_store)
def store_non_boolean_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A store that is no boolean is refused."""
    yield from must_refuse(trace.exchange, "400 for a store that is no boolean")


def _update(trace: Single, terms: Terms) -> dict[str, Json] | None:
    body = trace.exchange.request.document.value
    return body if is_call(Kind.UPDATE, ok=False)(trace, terms) and isinstance(body, dict) else None


def _bare_update(trace: Single, terms: Terms) -> bool:
    body = _update(trace, terms)
    return body is not None and "metadata" not in body


@rule("storage.update.without_metadata_is_refused", on=Single, reads=STATUS, when=_bare_update)
def update_without_metadata_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """An update without metadata is refused."""
    yield from must_refuse(trace.exchange, "400 for an update without metadata")


def _excessive_update(trace: Single, terms: Terms) -> bool:
    body = _update(trace, terms)
    return (
        body is not None and isinstance(body.get("metadata"), dict) and bool(faults(body["metadata"], terms) - {"item"})
    )


@rule("storage.update.over_the_limits_is_refused", on=Single, reads=STATUS, when=_excessive_update)
def update_over_the_limits_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """An update with more or longer metadata than allowed is refused."""
    yield from must_refuse(trace.exchange, "400 for metadata over the limits")
