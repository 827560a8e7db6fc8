"""Chunks whose envelope is wrong: keys, object, id, created, model, and what stands beside the choices."""

from __future__ import annotations

from typing import Any

from conformance.reference.payloads import Payload, Payloads, before_done, chunks_in, each_chunk, last_chunk
from conformance.reference.stages import Context, Stage, fault
from conformance.wire.event_stream import DONE

_NAMES = "stream.id.is_a_name"
_SAME_ID = "stream.id.is_the_same_in_all_chunks"


def _without(chunk: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in chunk.items() if key not in keys}


def _is_usage(chunk: dict[str, Any]) -> bool:
    return not chunk["choices"] and chunk.get("usage") is not None


@fault("sf-only-done", at=Stage.CHUNKS, violates=["stream.chunks.are_sent"])
def only_done(payloads: Payloads, context: Context) -> Payloads:
    """Streams hold nothing but the sentinel."""
    return [DONE]


@fault(
    "sf-only-usage",
    at=Stage.CHUNKS,
    violates=["stream.chunks.are_sent"],
    dialects=("openai", "xerotier"),
    condition="only with include_usage",
)
def only_usage(payloads: Payloads, context: Context) -> Payloads:
    """With include_usage the stream holds the chunk with usage alone."""
    asked = context.chat.include_usage
    return each_chunk(payloads, lambda chunk, place: chunk if _is_usage(chunk) or not asked else None)


@fault(
    "sf-no-id-and-created",
    at=Stage.CHUNKS,
    violates=["stream.chunk.has_required_keys"],
    thread="https://github.com/mudler/LocalAI/issues/340",
)
def no_id_and_created(payloads: Payloads, context: Context) -> Payloads:
    """Chunks have neither id nor created."""
    return each_chunk(payloads, lambda chunk, place: _without(chunk, "id", "created"))


@fault(
    "sf-bare-usage-chunk",
    at=Stage.CHUNKS,
    violates=["stream.chunk.has_required_keys"],
    dialects=("openai", "xerotier"),
    condition="only with include_usage",
)
def bare_usage_chunk(payloads: Payloads, context: Context) -> Payloads:
    """The chunk with usage has no model and no object."""
    return each_chunk(payloads, lambda chunk, place: _without(chunk, "model", "object") if _is_usage(chunk) else chunk)


@fault(
    "sf-bare-finish-chunk",
    at=Stage.CHUNKS,
    violates=["stream.chunk.has_required_keys"],
    condition="only chunks that finish a choice",
)
def bare_finish_chunk(payloads: Payloads, context: Context) -> Payloads:
    """The chunk that finishes a choice has no created."""
    return each_chunk(
        payloads,
        lambda chunk, place: (
            _without(chunk, "created") if any(choice["finish_reason"] for choice in chunk["choices"]) else chunk
        ),
    )


@fault(
    "sf-usage-chunk-without-choices",
    at=Stage.CHUNKS,
    violates=["stream.chunk.has_choices"],
    dialects=("openai", "xerotier"),
    thread="https://github.com/ROCm/ATOM/pull/1711",
    condition="only with include_usage",
)
def usage_chunk_without_choices(payloads: Payloads, context: Context) -> Payloads:
    """The chunk with usage has no choices key."""
    return each_chunk(payloads, lambda chunk, place: _without(chunk, "choices") if _is_usage(chunk) else chunk)


@fault(
    "sf-usage-chunk-with-null-choices",
    at=Stage.CHUNKS,
    violates=["stream.chunk.has_choices"],
    dialects=("openai", "xerotier"),
    condition="only with include_usage",
)
def usage_chunk_with_null_choices(payloads: Payloads, context: Context) -> Payloads:
    """The chunk with usage has choices null."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "choices": None} if _is_usage(chunk) else chunk)


@fault("sf-fingerprint-missing", at=Stage.CHUNKS, violates=["stream.chunk.has_documented_keys"], dialects=("xerotier",))
def fingerprint_missing(payloads: Payloads, context: Context) -> Payloads:
    """Chunks have no system_fingerprint."""
    return each_chunk(payloads, lambda chunk, place: _without(chunk, "system_fingerprint"))


@fault(
    "sf-tier-first-only",
    at=Stage.CHUNKS,
    violates=["stream.chunk.has_documented_keys"],
    dialects=("xerotier",),
    condition="only chunks after the first",
)
def tier_first_only(payloads: Payloads, context: Context) -> Payloads:
    """Only the first chunk says the service tier."""
    return each_chunk(payloads, lambda chunk, place: _without(chunk, "service_tier") if place else chunk)


@fault(
    "sf-object-wrong",
    at=Stage.CHUNKS,
    violates=["stream.object.is_chunk"],
    thread="https://github.com/openai/openai-dotnet/issues/706",
)
def object_wrong(payloads: Payloads, context: Context) -> Payloads:
    """The object of chunks is an extension's own word."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "object": "extensions.chat.completion.chunk"})


@fault(
    "sf-last-object-wrong",
    at=Stage.CHUNKS,
    violates=["stream.object.is_chunk"],
    thread="https://github.com/GCWing/BitFun/pull/792",
    condition="only the last chunk",
)
def last_object_wrong(payloads: Payloads, context: Context) -> Payloads:
    """The last chunk calls itself a whole completion."""
    last = list(chunks_in(payloads))[-1:]
    return each_chunk(payloads, lambda chunk, place: {**chunk, "object": "chat.completion"} if chunk in last else chunk)


@fault(
    "sf-id-per-chunk", at=Stage.CHUNKS, violates=[_SAME_ID], thread="https://github.com/ggml-org/llama.cpp/issues/5876"
)
def id_per_chunk(payloads: Payloads, context: Context) -> Payloads:
    """Every chunk has an id of its own."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "id": _other_id(chunk["id"], place)})


def _other_id(name: str, place: int) -> str:
    """An id of the same form and length: its last three characters count."""
    return f"{name[:-3]}{place % 1000:03}"


@fault(
    "sf-id-per-choice", at=Stage.CHUNKS, violates=[_SAME_ID], dialects=("openai",), condition="only if n is 2 or more"
)
def id_per_choice(payloads: Payloads, context: Context) -> Payloads:
    """The chunks of every choice have an id of their own."""
    return each_chunk(
        payloads,
        lambda chunk, place: (
            {**chunk, "id": _other_id(chunk["id"], choice["index"])}
            if (choice := next((choice for choice in chunk["choices"] if choice["index"]), None))
            else chunk
        ),
    )


@fault(
    "sf-usage-id-differs",
    at=Stage.CHUNKS,
    violates=[_SAME_ID],
    dialects=("openai", "xerotier"),
    condition="only with include_usage",
)
def usage_id_differs(payloads: Payloads, context: Context) -> Payloads:
    """The chunk with usage has an id of its own."""
    return each_chunk(
        payloads, lambda chunk, place: {**chunk, "id": _other_id(chunk["id"], place)} if _is_usage(chunk) else chunk
    )


@fault(
    "sf-id-empty",
    at=Stage.CHUNKS,
    violates=[_NAMES],
    thread="https://github.com/huggingface/text-generation-inference/issues/1782",
)
def id_empty(payloads: Payloads, context: Context) -> Payloads:
    """The id of every chunk is empty."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "id": ""})


@fault(
    "sf-usage-id-empty",
    at=Stage.CHUNKS,
    violates=[_NAMES],
    dialects=("openai", "xerotier"),
    condition="only with include_usage",
)
def usage_id_empty(payloads: Payloads, context: Context) -> Payloads:
    """The id of the chunk with usage is empty."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "id": ""} if _is_usage(chunk) else chunk)


@fault("sf-id-first-differs", at=Stage.CHUNKS, violates=[_SAME_ID], thread="https://github.com/jundot/omlx/pull/2462")
def id_first_differs(payloads: Payloads, context: Context) -> Payloads:
    """The first chunk has another id."""
    return each_chunk(payloads, lambda chunk, place: chunk if place else {**chunk, "id": _other_id(chunk["id"], 999)})


@fault(
    "sf-empty-first-envelope",
    at=Stage.CHUNKS,
    violates=[_NAMES, "stream.model.is_a_name", "stream.created.is_unix_seconds"],
    entails={
        "stream.object.is_chunk": "the whole envelope is empty, the object too",
        "stream.choices.are_empty_only_beside_usage": "the chunk comes before there is a choice",
    },
    thread="https://github.com/continuedev/continue/pull/5580",
)
def empty_first_envelope(payloads: Payloads, context: Context) -> Payloads:
    """The first chunk has no choices, an empty id, object and model, and created 0."""
    first = next(chunks_in(payloads), None)
    if first is None:
        return payloads
    empty: Payload = {**first, "id": "", "object": "", "model": "", "created": 0, "choices": []}
    place = payloads.index(first)
    return [*payloads[:place], empty, *payloads[place:]]


@fault("sf-created-per-chunk", at=Stage.CHUNKS, violates=["stream.created.is_the_same_in_all_chunks"])
def created_per_chunk(payloads: Payloads, context: Context) -> Payloads:
    """Every chunk says when it was made itself."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "created": chunk["created"] + place // 2})


@fault(
    "sf-created-in-milliseconds",
    at=Stage.CHUNKS,
    violates=["stream.created.is_unix_seconds"],
    condition="only the last chunk",
)
def created_in_milliseconds(payloads: Payloads, context: Context) -> Payloads:
    """The last chunk counts milliseconds."""
    last = list(chunks_in(payloads))[-1:]
    return each_chunk(
        payloads, lambda chunk, place: {**chunk, "created": chunk["created"] * 1000} if chunk in last else chunk
    )


@fault("sf-created-is-float", at=Stage.CHUNKS, violates=["stream.created.is_unix_seconds"])
def created_is_float(payloads: Payloads, context: Context) -> Payloads:
    """Created has a fraction."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "created": chunk["created"] + 0.25})


@fault(
    "sf-model-null",
    at=Stage.CHUNKS,
    violates=["stream.model.is_a_name"],
    thread="https://github.com/microsoft/foundry-local/issues/144",
)
def model_null(payloads: Payloads, context: Context) -> Payloads:
    """The model of every chunk is null."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "model": None})


@fault(
    "sf-model-changes",
    at=Stage.CHUNKS,
    violates=["stream.model.is_the_same_in_all_chunks"],
    dialects=("openai", "xerotier"),
    condition="only the last chunk",
)
def model_changes(payloads: Payloads, context: Context) -> Payloads:
    """The last chunk names the model's file."""
    last = list(chunks_in(payloads))[-1:]
    return each_chunk(
        payloads,
        lambda chunk, place: {**chunk, "model": f"/srv/{chunk['model']}.gguf"} if place and chunk in last else chunk,
    )


@fault(
    "sf-service-tier-unknown",
    at=Stage.CHUNKS,
    violates=["response.service_tier.is_known"],
    dialects=("openai",),
    condition="only streamed, only the last chunk",
)
def service_tier_unknown(payloads: Payloads, context: Context) -> Payloads:
    """The last chunk says a service_tier that nobody knows."""
    last = list(chunks_in(payloads))[-1:]
    return each_chunk(payloads, lambda chunk, place: {**chunk, "service_tier": "gold"} if chunk in last else chunk)


@fault("sf-keepalive-chunk", at=Stage.CHUNKS, violates=["stream.choices.are_empty_only_beside_usage"])
def keepalive_chunk(payloads: Payloads, context: Context) -> Payloads:
    """Chunks with nothing in them keep the connection alive."""
    last = last_chunk(payloads)
    if last < 0 or not isinstance(payloads[last], dict):
        return payloads
    first = next(chunks_in(payloads))
    kept = {**_without(first, "usage"), "choices": [], **({"usage": None} if "usage" in first else {})}
    return [*payloads[:1], kept, *payloads[1:]]


@fault(
    "sf-error-in-chunks",
    at=Stage.CHUNKS,
    violates=["stream.error_key.is_not_in_a_chunk"],
    entails={"structured_output.reference.recursion_is_survived": "every answer holds an error"},
)
def error_in_chunks(payloads: Payloads, context: Context) -> Payloads:
    """Chunks say that there is no error, in an object."""
    return each_chunk(
        payloads, lambda chunk, place: {**chunk, "error": {"code": 0, "message": ""}} if chunk["choices"] else chunk
    )


@fault("sf-obfuscation-number", at=Stage.CHUNKS, violates=["stream.obfuscation.is_a_string"], dialects=("openai",))
def obfuscation_number(payloads: Payloads, context: Context) -> Payloads:
    """Obfuscation is a number."""
    options = context.chat.body.get("stream_options")
    off = isinstance(options, dict) and options.get("include_obfuscation") is False
    return payloads if off else each_chunk(payloads, lambda chunk, place: {**chunk, "obfuscation": 17})


@fault(
    "sf-obfuscation-always",
    at=Stage.CHUNKS,
    violates=["stream.obfuscation.is_left_out_on_request"],
    dialects=("openai",),
    condition="only with include_obfuscation false",
)
def obfuscation_always(payloads: Payloads, context: Context) -> Payloads:
    """Obfuscation comes although it was turned off."""
    return each_chunk(payloads, lambda chunk, place: {**chunk, "obfuscation": "xK3"})


@fault("si-no-warning", at=Stage.CHUNKS, violates=["stream.idempotency.warning_comes_first"], dialects=("aurous",))
def no_warning(payloads: Payloads, context: Context) -> Payloads:
    """An idempotency key is ignored in streams without a word."""
    return [payload for payload in payloads if payload == DONE or (isinstance(payload, dict) and "choices" in payload)]


@fault(
    "si-warning-last",
    at=Stage.CHUNKS,
    violates=["stream.idempotency.warning_comes_first"],
    entails={
        "stream.chunk.has_choices": "a payload between chunks is taken for one",
        "stream.chunk.has_required_keys": "a payload between chunks is taken for one",
    },
    dialects=("aurous",),
    condition="only with an idempotency key",
)
def warning_last(payloads: Payloads, context: Context) -> Payloads:
    """The warning about an idempotency key comes at the end."""
    warnings = [payload for payload in payloads if isinstance(payload, dict) and "choices" not in payload]
    return before_done([payload for payload in payloads if payload not in warnings], *warnings)


@fault(
    "si-warning-always", at=Stage.CHUNKS, violates=["stream.idempotency.no_warning_without_a_key"], dialects=("aurous",)
)
def warning_always(payloads: Payloads, context: Context) -> Payloads:
    """The warning about idempotency keys comes without one, too."""
    warned = any(isinstance(payload, dict) and "choices" not in payload for payload in payloads)
    return payloads if warned else [{"warning": {"code": "no_idempotency_key"}}, *payloads]
