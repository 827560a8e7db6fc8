"""Faults of metadata on the way in, and of the messages of stored completions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.reference.faults.call_edits import skipping, turning_down
from conformance.reference.faults.storage_keep import is_kind
from conformance.reference.stages import Context, Refusal, Stage, fault
from conformance.wire.stored import Kind, Query
from conformance.wire.strict_json import Json

_INPUT = "storage.messages.are_the_input"

for _name, _violates, _says, _checks in (
    (
        "st-metadata-17-pairs-200",
        "too_many_pairs_are_refused",
        "Seventeen pairs of metadata are taken.",
        "metadata.count",
    ),
    (
        "st-metadata-long-key-200",
        "long_key_is_refused",
        "A metadata key of any length is taken.",
        "metadata.key_length",
    ),
    (
        "st-metadata-long-value-200",
        "long_value_is_refused",
        "A metadata value of any length is taken.",
        "metadata.value_length",
    ),
    ("st-metadata-number-200", "non_string_is_refused", "Metadata values of any type are taken.", "metadata.value"),
    ("st-metadata-alone-200", "needs_store", "Metadata are taken without store.", "metadata.needs_store"),
):
    fault(_name, at=Stage.REFUSAL, violates=[f"storage.metadata.{_violates}"])(
        skipping(_says, _checks, when=lambda context: is_kind(context, Kind.CREATE))
    )
fault("st-store-word-200", at=Stage.REFUSAL, violates=["storage.store.non_boolean_is_refused"])(
    skipping("Words are taken as store.", "store.type")
)


def _metadata(context: Context) -> dict[str, Json]:
    value = (context.body or {}).get("metadata")
    return value if isinstance(value, dict) else {}


fault(
    "st-metadata-bytes-counted",
    at=Stage.REFUSAL,
    violates=["storage.metadata.characters_are_counted"],
    condition="only beyond ASCII",
)(
    turning_down(
        "The limits of metadata count bytes.",
        lambda context: any(len(key.encode()) > 64 for key in _metadata(context)),
        "string_too_long",
        "A key of 'metadata' is too long.",
        "metadata",
    )
)
fault(
    "st-metadata-16-refused",
    at=Stage.REFUSAL,
    violates=["storage.metadata.within_limits_is_accepted"],
    condition="only exactly sixteen pairs",
)(
    turning_down(
        "Sixteen pairs of metadata are too many.",
        lambda context: len(_metadata(context)) == 16,
        "object_too_large",
        "There are too many pairs in 'metadata'.",
        "metadata",
    )
)


def _messages(name: str, violates: list[str], says: str, edit: Callable[[dict[str, Json]], Json], **more: Any) -> None:
    """Register a fault in the list of messages."""

    def hook(body: Json, context: Context) -> Json:
        return edit(body) if is_kind(context, Kind.MESSAGES) and isinstance(body, dict) and "data" in body else body

    hook.__doc__ = says
    fault(name, at=Stage.RECORD, violates=violates, **more)(hook)


def _each(edit: Callable[[dict[str, Json]], dict[str, Json]]) -> Callable[[dict[str, Json]], Json]:
    return lambda body: {**body, "data": [edit(item) for item in body["data"]]}


_messages(
    "st-messages-bare-array",
    ["storage.messages.are_a_list"],
    "The messages are a bare array.",
    lambda body: body["data"],
)
_messages(
    "st-messages-without-ids",
    ["storage.messages.have_ids"],
    "The messages have no ids.",
    _each(lambda item: {key: value for key, value in item.items() if key != "id"}),
)
_messages(
    "st-messages-only-the-users",
    [_INPUT],
    "Only the user's messages are kept.",
    lambda body: {**body, "data": [item for item in body["data"] if item.get("role") == "user"]},
    entails={
        "storage.messages.order_is_kept": "the others are not there",
        "storage.messages.show_content_parts": "others stand in their place",
    },
)
_messages(
    "st-messages-roles-rewritten",
    [_INPUT],
    "System messages come back as the user's.",
    _each(lambda item: {**item, "role": "user" if item.get("role") == "system" else item.get("role")}),
    entails={"storage.messages.order_is_kept": "the role is rewritten in either order"},
)
_messages(
    "st-messages-without-parts",
    ["storage.messages.show_content_parts"],
    "Messages have no content_parts.",
    _each(lambda item: {key: value for key, value in item.items() if key != "content_parts"}),
    dialects=("openai",),
)


def _asked(name: str, violates: str, says: str, edit: Callable[[Query], Query], **more: Any) -> None:
    def hook(query: Query, context: Context) -> Query:
        return edit(query) if is_kind(context, Kind.MESSAGES) else query

    hook.__doc__ = says
    fault(name, at=Stage.QUERY, violates=[violates], **more)(hook)


_asked(
    "st-messages-limit-ignored",
    "storage.messages.limit_is_kept",
    "The limit of messages is ignored.",
    lambda q: replace(q, limit=None),
    dialects=("openai",),
)
_asked(
    "st-messages-after-ignored",
    "storage.messages.after_excludes_the_cursor",
    "The cursor of messages is ignored.",
    lambda q: replace(q, after=None),
    dialects=("openai",),
)
_asked(
    "st-messages-order-ignored",
    "storage.messages.order_is_kept",
    "The order of messages is ignored.",
    lambda q: replace(q, order=None),
    dialects=("openai",),
)
_asked(
    "st-messages-newest-first",
    _INPUT,
    "The messages come in reverse.",
    lambda q: replace(q, order="desc") if q.order is None else q,
    entails={
        "storage.messages.show_content_parts": "another message stands in its place",
    },
)


@fault(
    "st-messages-route-missing",
    at=Stage.REFUSAL,
    violates=["storage.messages.are_served"],
    thread="https://github.com/ogx-ai/ogx/pull/5459",
)
def messages_route_missing(refusal: Refusal | None, context: Context) -> Refusal | None:
    """There is no route for messages."""
    return Refusal("unknown_route", "fault", "There is nothing here.") if is_kind(context, Kind.MESSAGES) else refusal
