"""Faults of updates and deletions of stored completions, and of what is seen of them afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.reference.faults.call_edits import skipping
from conformance.reference.faults.storage_keep import is_kind
from conformance.reference.stages import Context, Reply, Stage, fault
from conformance.reference.store import Stored
from conformance.wire.stored import Kind
from conformance.wire.strict_json import Json

_FINDS = "storage.list.finds_by_metadata"
_LEAVES = "storage.update.leaves_the_rest"


@fault("st-update-empty-answer", at=Stage.RECORD, violates=["storage.update.returns_the_record"])
def update_empty_answer(body: Json, context: Context) -> Json:
    """An update is answered by an empty object."""
    return {} if is_kind(context, Kind.UPDATE) else body


@fault("st-update-answers-with-the-old", at=Stage.RECORD, violates=["storage.update.answers_with_the_new_metadata"])
def update_answers_with_the_old(body: Json, context: Context) -> Json:
    """The answer to an update shows the metadata from before."""
    if context.stored is None or not is_kind(context, Kind.UPDATE):
        return body
    return {**body, "metadata": context.stored.metadata}


@fault(
    "st-update-lost",
    at=Stage.UPDATE,
    violates=["storage.update.answers_with_the_new_metadata", "storage.update.is_kept"],
    entails={
        _FINDS: "what is not kept is not found",
        "storage.list.pairs_are_combined": "what is kept still is found",
    },
)
def update_lost(record: Stored, context: Context) -> Stored:
    """An update succeeds and changes nothing."""
    return context.stored or record


@fault(
    "st-second-update-lost",
    at=Stage.UPDATE,
    violates=["storage.update.is_kept"],
    entails={
        "storage.update.answers_with_the_new_metadata": "the answer shows what is kept",
        _FINDS: "what is not kept is not found",
        "storage.list.pairs_are_combined": "what is kept still is found",
    },
    condition="only the second update of a record",
)
def second_update_lost(record: Stored, context: Context) -> Stored:
    """Only the first update of a record is kept."""
    updated: set[str] = context.state.setdefault("updated", set())
    if record.id in updated:
        return context.stored or record
    updated.add(record.id)
    return record


@fault(
    "st-update-cut-at-256",
    at=Stage.UPDATE,
    violates=[
        "storage.update.answers_with_the_new_metadata",
        "storage.update.is_kept",
    ],
    condition="only values of more than 256 characters, in an update",
)
def update_cut_at_256(record: Stored, context: Context) -> Stored:
    """Updated values of metadata are cut to 256 characters."""
    return replace(record, metadata={k: v[:256] if isinstance(v, str) else v for k, v in record.metadata.items()})


@fault(
    "st-updated-not-listed",
    at=Stage.UPDATE,
    violates=[_FINDS],
    condition="only after an update",
    entails={
        "storage.list.walk_yields_each_once": "what is not listed is on no page",
    },
)
def updated_not_listed(record: Stored, context: Context) -> Stored:
    """An updated completion is not listed any more."""
    return replace(record, hidden=("list",))


@fault(
    "st-update-drops-messages",
    at=Stage.UPDATE,
    violates=["storage.messages.are_the_input"],
    condition="only after an update",
)
def update_drops_messages(record: Stored, context: Context) -> Stored:
    """An update leaves no messages."""
    return replace(record, request={**record.request, "messages": []})


@fault("st-update-drops-choices", at=Stage.UPDATE, violates=[_LEAVES], condition="only after an update")
def update_drops_choices(record: Stored, context: Context) -> Stored:
    """An update leaves no choices."""
    return replace(record, body={**record.body, "choices": []})


@fault("st-update-drops-calls", at=Stage.UPDATE, violates=[_LEAVES], condition="only after an update, only tool calls")
def update_drops_calls(record: Stored, context: Context) -> Stored:
    """An update leaves no tool calls."""
    choices = [
        {**choice, "message": {k: v for k, v in choice["message"].items() if k != "tool_calls"}}
        for choice in record.body["choices"]
    ]
    return replace(record, body={**record.body, "choices": choices})


@fault("st-update-other-model", at=Stage.UPDATE, violates=[_LEAVES], condition="only after an update")
def update_other_model(record: Stored, context: Context) -> Stored:
    """An update resets the model of a completion."""
    return replace(record, body={**record.body, "model": "unknown"})


fault("st-update-without-metadata-200", at=Stage.REFUSAL, violates=["storage.update.without_metadata_is_refused"])(
    skipping("An update without metadata succeeds.", "storage.update.metadata", "storage.update.field")
)
fault(
    "st-update-17-pairs-200",
    at=Stage.REFUSAL,
    violates=["storage.update.over_the_limits_is_refused"],
    condition="only the 17th pair of an update",
)(skipping("An update takes seventeen pairs.", "metadata.count", when=lambda context: is_kind(context, Kind.UPDATE)))


@fault("st-delete-204", at=Stage.REPLY, violates=["storage.delete.says_so"], dialects=("openai",))
def delete_204(reply: Reply, context: Context) -> Reply:
    """A deletion is answered by 204 and nothing else."""
    if reply.status != 200 or not is_kind(context, Kind.DELETE):
        return reply
    return replace(reply, status=204, pieces=(), headers=tuple(h for h in reply.headers if h[0] != "content-type"))


@fault("st-delete-other-object", at=Stage.RECORD, violates=["storage.delete.says_so"], dialects=("openai",))
def delete_other_object(body: Json, context: Context) -> Json:
    """A deletion is answered by another object."""
    return {**body, "object": "chat.completion"} if is_kind(context, Kind.DELETE) else body


_CALLS = ("retrieve", "list", "messages", "update", "delete")


def _left(name: str, violates: list[str], says: str, *found: str, **more: Any) -> None:
    """Register a fault that leaves a deleted completion to be found by these calls."""

    def hook(left: Stored | None, context: Context) -> Stored | None:
        hidden = tuple(call for call in _CALLS if call not in found)
        return replace(context.stored, hidden=hidden) if context.stored is not None else left

    hook.__doc__ = says
    fault(name, at=Stage.DELETE, violates=violates, **more)(hook)


_left("st-deleted-retrievable", ["storage.deleted.is_gone"], "A deleted completion can be retrieved.", "retrieve")
_left(
    "st-deleted-listed",
    ["storage.deleted.is_not_listed"],
    "A deleted completion is listed, though it cannot be retrieved.",
    "list",
)
_left("st-deleted-messages", ["storage.deleted.has_no_messages"], "A deleted completion has its messages.", "messages")
_left("st-deleted-updatable", ["storage.deleted.cannot_be_updated"], "A deleted completion can be updated.", "update")
_left("st-deleted-again", ["storage.deleted.cannot_be_deleted_again"], "A second deletion succeeds.", "delete")
_left(
    "st-delete-noop",
    ["storage.deleted.is_gone", "storage.deleted.is_not_listed", "storage.deleted.has_no_messages"],
    "A deletion succeeds and deletes nothing.",
    *_CALLS,
    entails={
        "storage.deleted.cannot_be_updated": "it is there still",
        "storage.deleted.cannot_be_deleted_again": "it is there still",
    },
)
