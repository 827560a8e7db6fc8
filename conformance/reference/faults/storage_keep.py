"""Faults of keeping completions and of showing one by its id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.reference.faults.call_edits import skipping
from conformance.reference.stages import Context, ErrorReply, Refusal, Stage, fault
from conformance.reference.store import Stored
from conformance.wire import strict_json
from conformance.wire.stored import Kind, call_of
from conformance.wire.strict_json import Json

_HEAD = "storage.retrieve.has_the_same_head"
_CHOICES = "storage.retrieve.has_the_same_choices"
_JOINED = "storage.streamed.has_the_joined_choices"
_METADATA = "storage.retrieve.shows_the_metadata"
_UNKNOWN = "storage.unknown_id.gets_404"
_GONE = "storage.deleted.is_gone"
_LONGEST = 256


def is_kind(context: Context, *kinds: Kind) -> bool:
    """The request is one of these calls."""
    call = call_of(context.request)
    return call is not None and call.kind in kinds


@fault(
    "st-store-noop",
    at=Stage.KEEP,
    violates=["storage.stored.is_retrievable", "storage.streamed.is_retrievable"],
    thread="https://github.com/ogx-ai/ogx/pull/3373",
    entails={"storage.list.finds_by_metadata": "what is not kept is not listed"},
)
def store_noop(record: Stored | None, context: Context) -> Stored | None:
    """A completion that asks to be stored is answered and not kept."""
    return None


@fault(
    "st-stream-not-stored",
    at=Stage.KEEP,
    violates=["storage.streamed.is_retrievable"],
    condition="only streamed",
    entails={"storage.list.finds_by_metadata": "what is not kept is not listed"},
)
def stream_not_stored(record: Stored | None, context: Context) -> Stored | None:
    """A streamed completion is not kept."""
    return None if context.streamed else record


@fault("st-stored-unasked", at=Stage.DEMAND, violates=["storage.unstored.is_not_kept"], dialects=("openai",))
def stored_unasked(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Every completion is kept."""
    return {**demand, "store": True}


@fault(
    "st-stored-when-omitted",
    at=Stage.DEMAND,
    violates=["storage.unstored.is_not_kept"],
    dialects=("openai",),
    condition="only where store is absent",
)
def stored_when_omitted(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Completions are kept unless store is false."""
    return {"store": True, **demand}


def _kept(name: str, violates: list[str], says: str, edit: Callable[[Stored, Context], Stored], **more: Any) -> None:
    """Register a fault that keeps something else than was answered."""

    def hook(record: Stored | None, context: Context) -> Stored | None:
        return record if record is None else edit(record, context)

    hook.__doc__ = says
    fault(name, at=Stage.KEEP, violates=violates, **more)(hook)


def _body(record: Stored, **changes: Json) -> Stored:
    return replace(record, body={**record.body, **changes})


def _choices(record: Stored, edit: Callable[[dict[str, Json]], dict[str, Json]]) -> Stored:
    """The record with each choice's message changed."""
    choices = [{**choice, "message": edit(choice["message"])} for choice in record.body["choices"]]
    return _body(record, choices=choices)


def _objects(message: dict[str, Json]) -> dict[str, Json]:
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    made = [
        {**call, "function": {**call["function"], "arguments": strict_json.parse(call["function"]["arguments"]).value}}
        for call in calls
    ]
    return {**message, "tool_calls": made}


_kept(
    "st-long-text-cut",
    [_CHOICES, _JOINED],
    "The record holds no more than the first 255 characters of a text.",
    lambda record, context: _choices(
        record, lambda message: {**message, "content": message["content"] and message["content"][: _LONGEST - 1]}
    ),
    condition="only text of more than 255 characters",
    dialects=("openai", "xerotier"),
)
_kept(
    "st-cut-kept-as-stop",
    [_CHOICES, _JOINED],
    "Records of answers that the token limit cut say that they ended by themselves.",
    lambda record, context: _body(
        record,
        choices=[
            {**choice, "finish_reason": "stop"} if choice["finish_reason"] == "length" else choice
            for choice in record.body["choices"]
        ],
    ),
    condition="only cut answers",
    dialects=("openai", "xerotier"),
)
_kept(
    "st-stream-chunk-object-kept",
    [_HEAD],
    "The record of a stream has the object of its chunks.",
    lambda record, context: _body(record, object="chat.completion.chunk") if context.streamed else record,
    condition="only streamed",
)
_kept(
    "st-stream-last-word-lost",
    [_JOINED],
    "The record of a stream lacks the last word.",
    lambda record, context: (
        _choices(record, lambda message: {**message, "content": (message.get("content") or "")[:-4]})
        if context.streamed
        else record
    ),
    condition="only streamed",
)
_kept(
    "st-stream-first-choice-kept",
    [_JOINED],
    "Of a stream with several choices only the first one is kept.",
    lambda record, context: _body(record, choices=record.body["choices"][:1]) if context.streamed else record,
    condition="only streamed with n above 1",
    dialects=("openai",),
)
_kept(
    "st-first-choice-kept",
    [_CHOICES],
    "Of several choices only the first one is kept.",
    lambda record, context: record if context.streamed else _body(record, choices=record.body["choices"][:1]),
    condition="only with n above 1",
    dialects=("openai", "xerotier"),
)
_kept(
    "st-arguments-kept-as-object",
    [_CHOICES, _JOINED],
    "The arguments of kept tool calls are objects.",
    lambda record, context: _choices(record, _objects),
    condition="only with tool calls",
)
_kept(
    "st-calls-lost-in-streams",
    [_JOINED],
    "The record of a stream has no tool calls.",
    lambda record, context: (
        _choices(record, lambda message: {key: value for key, value in message.items() if key != "tool_calls"})
        if context.streamed
        else record
    ),
    condition="only streamed tool calls",
)
_kept(
    "st-usage-not-kept",
    ["storage.retrieve.has_the_same_usage"],
    "The record counts no tokens.",
    lambda record, context: _body(record, usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
)
_kept(
    "st-model-kept-as-family",
    [_HEAD],
    "The record names the family of the model.",
    lambda record, context: _body(record, model="reference"),
    entails={
        "storage.list.model_leaves_others_out": "entries are listed under the name of the model",
    },
)
_kept(
    "st-metadata-cut-at-256",
    [_METADATA],
    "Values of metadata are cut to 256 characters.",
    lambda record, context: replace(record, metadata={k: v[:_LONGEST] for k, v in record.metadata.items()}),
    condition="only values of more than 256 characters",
)
_kept(
    "st-metadata-empty-dropped",
    [_METADATA],
    "Pairs of metadata with an empty value are dropped.",
    lambda record, context: replace(record, metadata={k: v for k, v in record.metadata.items() if v}),
    condition="only empty values",
)
_kept(
    "st-metadata-kept-as-ascii",
    [_METADATA],
    "Characters of metadata beyond ASCII are kept as question marks.",
    lambda record, context: replace(
        record, metadata={k: v.encode("ascii", "replace").decode() for k, v in record.metadata.items()}
    ),
    condition="only beyond ASCII",
    entails={"storage.list.finds_by_any_characters": "what is kept otherwise is not found"},
)


@fault("st-retrieve-other-id", at=Stage.RECORD, violates=[_HEAD])
def retrieve_other_id(body: Json, context: Context) -> Json:
    """A retrieved completion has an id of its own."""
    return {**body, "id": f"stored-{body['id'][-8:]}"} if is_kind(context, Kind.RETRIEVE) and "id" in body else body


@fault(
    "st-retrieve-created-now",
    at=Stage.RECORD,
    violates=[_HEAD],
    condition="only a second after its creation",
    entails={"storage.update.leaves_the_rest": "the time of retrieval moves on"},
)
def retrieve_created_now(body: Json, context: Context) -> Json:
    """A retrieved completion was created when it is retrieved."""
    return {**body, "created": context.now} if is_kind(context, Kind.RETRIEVE) and "id" in body else body


@fault(
    "st-retrieve-wrapped",
    at=Stage.RECORD,
    violates=[_HEAD, _CHOICES, _JOINED],
    entails={
        "storage.retrieve.has_the_same_usage": "everything stands one level deeper",
        _METADATA: "everything stands one level deeper",
        "storage.update.is_kept": "everything stands one level deeper",
    },
)
def retrieve_wrapped(body: Json, context: Context) -> Json:
    """A retrieval shows request and response side by side."""
    return {"request": {}, "response": body} if is_kind(context, Kind.RETRIEVE) else body


def _unknown(name: str, says: str, kind: str | None, **more: Any) -> None:
    """Register a fault of retrievals by an unknown id: answered by 200, or refused as this kind."""

    def hook(refusal: Refusal | None, context: Context) -> Refusal | None:
        if refusal is None or refusal.check != "storage.unknown_id" or not is_kind(context, Kind.RETRIEVE):
            return refusal
        return None if kind is None else replace(refusal, kind=kind)

    hook.__doc__ = says
    entails = {"storage.other_key.gets_404": "what is another's is as unknown"}
    fault(name, at=Stage.REFUSAL, violates=[_UNKNOWN, _GONE], entails=entails, **more)(hook)


_unknown("st-unknown-200", "A retrieval by an unknown id is answered by 200 and an empty object.", None)
_unknown(
    "st-unknown-400",
    "A retrieval by an unknown id is a bad request.",
    "invalid_request",
)
_unknown("st-unknown-500", "A retrieval by an unknown id is a server error.", "internal")


@fault("st-status-missing", at=Stage.RECORD, violates=["storage.record.has_a_status"], dialects=("aurous",))
def status_missing(body: Json, context: Context) -> Json:
    """A retrieved completion has no status."""
    return {key: value for key, value in body.items() if key != "status"}


fault("st-cancel-finished-200", at=Stage.REFUSAL, violates=["storage.cancel_finished.gets_409"], dialects=("aurous",))(
    skipping("Cancelling what is finished succeeds.", "storage.finished")
)


@fault(
    "st-other-key-403",
    at=Stage.ERROR,
    violates=["storage.other_key.gets_404"],
    entails={
        "errors.code.keeps_its_status": "the code says 404",
        "errors.code.fits_status": "the code says 404",
        "errors.type.fits_status": "the type says 404",
    },
)
def other_key_403(error: ErrorReply, context: Context) -> ErrorReply:
    """Another project's key is told that it may not see a completion."""
    return replace(error, status=403) if error.status == 404 and context.owner == "second" else error
