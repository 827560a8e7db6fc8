"""What an endpoint with stored completions may do one way or another: documents leave it open."""

from __future__ import annotations

from dataclasses import replace

from conformance.reference.stages import Context, ErrorReply, Page, Refusal, Stage, variation
from conformance.reference.store import Stored
from conformance.wire.stored import Kind, call_of
from conformance.wire.strict_json import Json

_BOTH = ("openai", "xerotier")
_OPEN = "not specified by any document"
_LATE = 2
"""Seconds until a change is visible."""


def _is(context: Context, *kinds: Kind) -> bool:
    call = call_of(context.request)
    return call is not None and call.kind in kinds


@variation("store-updates-add", at=Stage.UPDATE, legal=_OPEN, dialects=_BOTH)
def updates_add(record: Stored, context: Context) -> Stored:
    """An update adds to the metadata that are there."""
    before = context.stored.metadata if context.stored is not None else {}
    return replace(record, metadata={**before, **record.metadata})


@variation("store-visible-late", at=Stage.KEEP, legal="the visibility delay is not specified")
def visible_late(record: Stored | None, context: Context) -> Stored | None:
    """A stored completion is visible after two seconds."""
    return replace(record, visible_at=context.now + _LATE) if record is not None else None


@variation("store-deleted-late", at=Stage.DELETE, legal="the visibility delay is not specified", dialects=_BOTH)
def deleted_late(left: Stored | None, context: Context) -> Stored | None:
    """A deleted completion is gone after two seconds."""
    return replace(context.stored, gone_at=context.now + _LATE) if context.stored is not None else left


@variation("store-deleted-again", at=Stage.DELETE, legal="a second deletion: " + _OPEN, dialects=_BOTH)
def deleted_again(left: Stored | None, context: Context) -> Stored | None:
    """A second deletion succeeds."""
    if context.stored is None:
        return left
    return replace(context.stored, hidden=("retrieve", "list", "messages", "update"))


@variation("store-ties-reversed", at=Stage.PAGE, legal="the order of equal times: " + _OPEN, dialects=_BOTH)
def ties_reversed(page: Page, context: Context) -> Page:
    """A whole list has entries of one second in the other order."""
    if page.has_more or "after=" in context.request.path:
        return page
    falling = len(page.records) > 1 and page.records[0].created > page.records[-1].created
    return replace(
        page,
        records=sorted(page.records, key=lambda item: (item.created, -item.serial), reverse=falling),
    )


@variation(
    "store-messages-with-the-answer",
    at=Stage.RECORD,
    legal='https://xerotier.ai/docs/completions "full message history (input and output)"',
    dialects=_BOTH,
)
def messages_with_the_answer(body: Json, context: Context) -> Json:
    """The messages end with the answer."""
    if not _is(context, Kind.MESSAGES) or context.stored is None or body.get("has_more") or "?" in context.request.path:
        return body
    message = context.stored.body["choices"][0]["message"]
    last = {**message, "id": f"{context.stored.id}-answer", "content_parts": None}
    return {**body, "data": [*body["data"], last], "last_id": last["id"]}


@variation(
    "store-empty-page-without-ends", at=Stage.RECORD, legal="the ends of an empty page: " + _OPEN, dialects=_BOTH
)
def empty_page_without_ends(body: Json, context: Context) -> Json:
    """An empty page does not name its ends."""
    if not _is(context, Kind.LIST, Kind.MESSAGES) or body["data"]:
        return body
    return {key: value for key, value in body.items() if key not in ("first_id", "last_id")}


@variation("store-unknown-cursor-empty", at=Stage.ERROR, legal="an unknown cursor: " + _OPEN, dialects=_BOTH)
def unknown_cursor_empty(error: ErrorReply, context: Context) -> ErrorReply:
    """The page after an unknown entry is empty."""
    if context.refusal is None or context.refusal.check != "storage.after":
        return error
    return ErrorReply(200, {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})


@variation(
    "store-limit-clamped",
    at=Stage.REFUSAL,
    legal="refusing a limit or bringing it within bounds: " + _OPEN,
    dialects=_BOTH,
)
def limit_clamped(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A limit outside its bounds is brought within them."""
    return None if refusal is not None and refusal.check.startswith("storage.limit.") else refusal


@variation("store-shared", at=Stage.PAGE, legal="others store completions in the same account", dialects=_BOTH)
def shared(page: Page, context: Context) -> Page:
    """Unfiltered lists hold entries of others, more than a page of them."""
    call = call_of(context.request)
    if call is None or call.query.metadata or call.query.model is not None or call.query.after is not None:
        return page
    limit = call.query.count or 20
    falling = (call.query.order or context.dialect.convention("storage.default_order")) == "desc"
    times = [context.now + place if falling else place + 1 for place in range(limit, 0, -1)]
    others = [
        Stored(
            f"chatcmpl-other{place}",
            "other",
            time,
            "reference-1",
            {"id": f"chatcmpl-other{place}", "created": time},
            {},
        )
        for place, time in enumerate(times if falling else times[::-1])
    ]
    return Page(others, True)


@variation(
    "store-not-offered",
    at=Stage.REFUSAL,
    legal="storage need not be offered, where it is refused by name",
    dialects=_BOTH,
)
def not_offered(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Completions cannot be stored: asking for it is refused, and the routes do not exist."""
    call = call_of(context.request)
    if call is not None and call.kind is not Kind.CREATE:
        return Refusal("unknown_route", "storage.off", "There are no stored completions here.")
    if refusal is None and (context.body or {}).get("store"):
        return Refusal("invalid_request", "storage.off", "'store' is not supported here.", "store")
    return refusal
