"""Chunk objects: their keys, the values that stay the same, and what may stand beside the choices."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.rules.base import NOT_APPLICABLE, Finding, Terms, Vacuous, Verdicts, at_chunk, rule
from conformance.rules.conditions import STREAM, every, on
from conformance.rules.stream_view import (
    assembly_of,
    choices_in,
    chunks_of,
    ended_unsaid,
    has_chunks,
    has_idempotency_key,
    intact,
    is_spoken,
    is_warning,
    one_per_place,
    parts_of,
)
from conformance.wire.answer import MISSING
from conformance.wire.deltas import Chunk
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, equal, is_integer, kind, show
from conformance.wire.traces import Single

_BODY = {Facet.BODY}
_KEYS = {Facet.BODY, Facet.KEYS_COMPLETE}
_ENVELOPE = ("id", "object", "created", "model")
_SECONDS = range(1_000_000_000, 100_000_000_000)
"""Unix times from 2001 on; thirteen digits are milliseconds."""


@rule("stream.chunks.are_sent", on=Single, reads=_BODY, when=STREAM)
def chunks_are_sent(trace: Single, terms: Terms) -> Verdicts:
    """Some chunk has a choice, unless an error came instead; a stream that was cut is another rule's."""
    exchange = trace.exchange
    if assembly_of(exchange).errors or not intact(exchange) or ended_unsaid(exchange):
        yield NOT_APPLICABLE
    elif not any(True for chunk in chunks_of(exchange, terms) for _ in choices_in(chunk)):
        yield at_chunk(exchange, None, "", "a chunk with a choice", f"{len(assembly_of(exchange).chunks)} chunks")


@rule("stream.chunk.has_required_keys", on=Single, reads=_KEYS, when=has_chunks)
def chunk_has_required_keys(trace: Single, terms: Terms) -> Verdicts:
    """id, object, created and model are keys of every chunk."""
    yield from one_per_place(
        at_chunk(trace.exchange, chunk.position, f"/{key}", f"the key {key}", "absent")
        for chunk in chunks_of(trace.exchange, terms)
        for key in _ENVELOPE
        if key not in chunk.value
    )


@rule("stream.chunk.has_choices", on=Single, reads=_KEYS, when=every(has_chunks, on(lambda e: not is_spoken(e))))
def chunk_has_choices(trace: Single, terms: Terms) -> Verdicts:
    """Choices is an array of objects in every chunk."""
    for chunk in chunks_of(trace.exchange, terms):
        choices = chunk.value.get("choices", MISSING)
        if not isinstance(choices, list):
            observed = "absent" if choices is MISSING else kind(choices)
            yield at_chunk(trace.exchange, chunk.position, "/choices", "an array of objects", observed)
            return
        for place, item in enumerate(choices):
            if not isinstance(item, dict):
                yield at_chunk(trace.exchange, chunk.position, f"/choices/{place}", "an object", kind(item))
                return


@rule("stream.chunk.has_documented_keys", on=Single, reads=_KEYS, when=has_chunks)
def chunk_has_documented_keys(trace: Single, terms: Terms) -> Verdicts:
    """The keys that the dialect promises are in every chunk, whatever their values."""
    promised = terms.dialect.convention("chunk.always_keys")
    yield from one_per_place(
        at_chunk(trace.exchange, chunk.position, f"/{key}", f"the key {key}", "absent")
        for chunk in chunks_of(trace.exchange, terms)
        for key in (promised if isinstance(promised, (list, tuple)) else ())
        if key not in chunk.value
    )


def _each(exchange: Exchange, terms: Terms, key: str) -> Iterator[tuple[Chunk, Json]]:
    """The parts of the completion that have the key, each with its value."""
    return ((chunk, chunk.value[key]) for chunk in parts_of(exchange, terms) if key in chunk.value)


@rule("stream.object.is_chunk", on=Single, reads=_BODY, when=has_chunks)
def object_is_chunk(trace: Single, terms: Terms) -> Verdicts:
    """Object is the one word, where the key is there at all."""
    for chunk, value in _each(trace.exchange, terms, "object"):
        if value != "chat.completion.chunk":
            yield at_chunk(trace.exchange, chunk.position, "/object", '"chat.completion.chunk"', show(value))
            return


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and value != ""


def _names(trace: Single, terms: Terms, key: str) -> Iterator[Finding]:
    for chunk, value in _each(trace.exchange, terms, key):
        if not _is_name(value):
            yield at_chunk(trace.exchange, chunk.position, f"/{key}", "a non-empty string", show(value))
            return


@rule("stream.id.is_a_name", on=Single, reads=_BODY, values={"id"}, when=has_chunks)
def id_is_a_name(trace: Single, terms: Terms) -> Verdicts:
    """Id is a non-empty string, where the key is there at all."""
    yield from _names(trace, terms, "id")


@rule("stream.model.is_a_name", on=Single, reads=_BODY, values={"model"}, when=has_chunks)
def model_is_a_name(trace: Single, terms: Terms) -> Verdicts:
    """Model is a non-empty string, where the key is there at all."""
    yield from _names(trace, terms, "model")


def _is_time(value: Json) -> bool:
    return is_integer(value) and value in _SECONDS


@rule("stream.created.is_unix_seconds", on=Single, reads=_BODY, values={"created"}, when=has_chunks)
def created_is_unix_seconds(trace: Single, terms: Terms) -> Verdicts:
    """Created is an integer of the size of a Unix time in seconds, where the key is there at all."""
    for chunk, value in _each(trace.exchange, terms, "created"):
        if not _is_time(value):
            yield at_chunk(trace.exchange, chunk.position, "/created", "an integer Unix time in seconds", show(value))
            return


def _same(trace: Single, terms: Terms, key: str, *, is_value: object) -> Iterator[Finding | Vacuous]:
    """Values of the right form are all equal; others are another rule's, and fewer than two compare to nothing."""
    test = _is_name if is_value is str else _is_time
    values = [(chunk, value) for chunk, value in _each(trace.exchange, terms, key) if test(value)]
    if len(values) < 2:
        yield NOT_APPLICABLE
        return
    first = values[0][1]
    others = [(chunk, value) for chunk, value in values if not equal(value, first)]
    if others:
        chunk, value = others[0]
        observed = f"{show(first)}, then {show(value)}, in {len(others)} of {len(values)} chunks"
        yield at_chunk(trace.exchange, chunk.position, f"/{key}", f"the same {key} in all chunks", observed)


@rule("stream.id.is_the_same_in_all_chunks", on=Single, reads=_BODY, values={"id"}, when=has_chunks)
def id_is_the_same_in_all_chunks(trace: Single, terms: Terms) -> Verdicts:
    """All ids of a stream are equal, those that are empty or no string apart."""
    yield from _same(trace, terms, "id", is_value=str)


@rule("stream.created.is_the_same_in_all_chunks", on=Single, reads=_BODY, values={"created"}, when=has_chunks)
def created_is_the_same_in_all_chunks(trace: Single, terms: Terms) -> Verdicts:
    """All times of a stream are equal, those that are no time apart."""
    yield from _same(trace, terms, "created", is_value=int)


@rule("stream.model.is_the_same_in_all_chunks", on=Single, reads=_BODY, values={"model"}, when=has_chunks)
def model_is_the_same_in_all_chunks(trace: Single, terms: Terms) -> Verdicts:
    """All model names of a stream are equal, those that are empty or no string apart."""
    yield from _same(trace, terms, "model", is_value=str)


@rule("stream.choices.are_empty_only_beside_usage", on=Single, reads=_KEYS, when=has_chunks)
def choices_are_empty_only_beside_usage(trace: Single, terms: Terms) -> Verdicts:
    """A chunk without any choice carries usage, or the moderation that was asked for."""
    for chunk in chunks_of(trace.exchange, terms):
        if chunk.value.get("choices") == [] and not (chunk.value.get("usage") or chunk.value.get("moderation")):
            yield at_chunk(trace.exchange, chunk.position, "/choices", "a choice, or usage", "neither")
            return


@rule("stream.error_key.is_not_in_a_chunk", on=Single, reads=_BODY, when=has_chunks)
def error_key_is_not_in_a_chunk(trace: Single, terms: Terms) -> Verdicts:
    """A chunk that has choices has no truthy error."""
    for chunk in chunks_of(trace.exchange, terms):
        if chunk.value.get("error") and chunk.value.get("choices"):
            yield at_chunk(trace.exchange, chunk.position, "/error", "no error in a chunk", show(chunk.value["error"]))
            return


@rule("stream.obfuscation.is_a_string", on=Single, reads=_BODY, when=has_chunks)
def obfuscation_is_a_string(trace: Single, terms: Terms) -> Verdicts:
    """Obfuscation is a string or null where it is there."""
    values = [(chunk, value) for chunk, value in _each(trace.exchange, terms, "obfuscation") if value is not None]
    if not values:
        yield NOT_APPLICABLE
    for chunk, value in values:
        if not isinstance(value, str):
            yield at_chunk(trace.exchange, chunk.position, "/obfuscation", "a string", show(value))
            return


@rule("stream.obfuscation.is_left_out_on_request", on=Single, reads={Facet.BODY, Facet.REQUEST}, when=has_chunks)
def obfuscation_is_left_out_on_request(trace: Single, terms: Terms) -> Verdicts:
    """With include_obfuscation false no chunk has a non-null obfuscation."""
    chat = trace.exchange.request.chat
    options = chat.body.get("stream_options") if chat is not None else None
    if not isinstance(options, dict) or options.get("include_obfuscation") is not False:
        yield NOT_APPLICABLE
        return
    for chunk, value in _each(trace.exchange, terms, "obfuscation"):
        if value is not None:
            yield at_chunk(trace.exchange, chunk.position, "/obfuscation", "absent", show(value))
            return


@rule("stream.idempotency.warning_comes_first", on=Single, reads={Facet.BODY, Facet.REQUEST}, when=STREAM)
def idempotency_warning_comes_first(trace: Single, terms: Terms) -> Verdicts:
    """With an idempotency key the first payload is no chunk."""
    chunks = assembly_of(trace.exchange).chunks
    if not chunks or not has_idempotency_key(trace.exchange, terms):
        yield NOT_APPLICABLE
    elif not is_warning(chunks[0]):
        yield at_chunk(trace.exchange, chunks[0].position, "", "a warning before the chunks", "a chunk")


@rule("stream.idempotency.no_warning_without_a_key", on=Single, reads={Facet.BODY, Facet.REQUEST}, when=STREAM)
def idempotency_no_warning_without_a_key(trace: Single, terms: Terms) -> Verdicts:
    """Without an idempotency key the first payload is a chunk."""
    chunks = assembly_of(trace.exchange).chunks
    if not chunks or has_idempotency_key(trace.exchange, terms):
        yield NOT_APPLICABLE
    elif is_warning(chunks[0]):
        yield at_chunk(trace.exchange, chunks[0].position, "", "a chunk", show(chunks[0].value, 100))
