"""The routes of stored completions: what they refuse, what they answer, and what is kept of a completion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from conformance.dialects.model import Dialect
from conformance.reference import access, fields
from conformance.reference.stages import Context, Page, Refusal, Stage
from conformance.reference.store import Store, Stored
from conformance.wire.stored import Call, Kind, Query, call_of
from conformance.wire.strict_json import Json

DEFAULT_LIMIT = 20
MOST = 100
"""The most entries of a page."""
_SHOWN = ("tools", "tool_choice", "temperature", "top_p", "seed", "response_format")
"""What a record shows of its request, where it was given."""

Through = Callable[[Stage, Any, Context], Any]


def call(context: Context) -> Call | None:
    """The call that the request is, if the dialect has its route and it is no creation."""
    found = call_of(context.request)
    if found is None or found.kind is Kind.CREATE:
        return None
    return found if found.kind.value in (context.dialect.convention("storage.routes") or ()) else None


def asks_to_keep(context: Context) -> bool:
    """The dialect keeps this completion: each, or those that ask for it."""
    return context.dialect.convention("storage.stores") == "always" or context.demand.get("store") is True


def record(body: dict[str, Json], context: Context) -> Stored:
    """What is kept of an answered completion."""
    asked = context.body or {}
    metadata = asked.get("metadata")
    return Stored(
        id=str(body.get("id")),
        owner=context.owner,
        created=context.now,
        model=str(body.get("model")),
        body=body,
        request={name: asked[name] for name in ("messages", *_SHOWN) if asked.get(name) is not None},
        metadata=dict(metadata) if isinstance(metadata, dict) else {},
        kept_at=context.now,
        visible_at=context.now,
    )


def reasons(context: Context, asked: Call, store: Store) -> Iterator[Refusal]:
    """Every reason to turn the call down; sets `context.stored` to the record that it names."""
    if asked.kind is not Kind.LIST:
        context.stored = store.find(context.owner, asked.id, context.now, asked.kind.value)
        if context.stored is None:
            kind = "cancel_target_not_found" if asked.kind is Kind.CANCEL else "completion_not_found"
            yield Refusal(kind, "storage.unknown_id", f"There is no stored completion {asked.id[:100]!r}.")
        elif asked.kind is Kind.CANCEL:
            yield Refusal("cancel_target_terminal", "storage.finished", "This completion is finished.")
    if asked.kind in (Kind.LIST, Kind.MESSAGES):
        yield from _query_reasons(context, asked.query)
    after = asked.query.after if asked.kind is Kind.LIST else None
    if after is not None and store.find(context.owner, after, context.now, "list") is None:
        yield Refusal("completion_not_found", "storage.after", f"There is no entry {after[:100]!r}.", "after")
    if asked.kind is Kind.UPDATE:
        value = context.request.document.value
        context.body = value if isinstance(value, dict) else None
        yield from access.refuse_body(context)
        yield from _update_reasons(context)


def _query_reasons(context: Context, query: Query) -> Iterator[Refusal]:
    most = context.dialect.limit("storage.list.max")
    if query.limit is not None:
        if query.count is None:
            yield Refusal("invalid_type", "storage.limit.type", "'limit' has to be a whole number.", "limit")
        elif query.count < 1:
            yield Refusal("integer_below_min", "storage.limit.range", "'limit' has to be at least 1.", "limit")
        elif most is not None and query.count > most:
            yield Refusal("integer_above_max", "storage.limit.range", f"'limit' may be at most {most}.", "limit")
    words = context.dialect.words("storage.order")
    if query.order is not None and query.order not in words:
        yield Refusal("invalid_value", "storage.order", f"'order' has to be one of {', '.join(words)}.", "order")


def _update_reasons(context: Context) -> Iterator[Refusal]:
    body = context.body or {}
    if body.get("metadata") is None:
        yield Refusal("missing_parameter", "storage.update.metadata", "'metadata' is missing.", "metadata")
    else:
        yield from fields.metadata(context, body["metadata"], stored=True)
    if context.dialect.convention("unknown_fields") == "refused":
        for name in body:
            if name != "metadata":
                text = f"Only 'metadata' can be updated, not {name[:100]!r}."
                yield Refusal("unknown_parameter", "storage.update.field", text, name[:100])


def answer(context: Context, asked: Call, store: Store, through: Through) -> dict[str, Json]:
    """The body of a successful answer."""
    found = context.stored
    if asked.kind is Kind.LIST:
        query: Query = through(Stage.QUERY, asked.query, context)
        page: Page = through(
            Stage.PAGE, _page(query, context.dialect, list(store.every(context.owner, context.now))), context
        )
        return _envelope([shown(item) for item in page.records], page.has_more)
    if found is None:
        return {}
    if asked.kind is Kind.MESSAGES:
        return _messages(found, through(Stage.QUERY, asked.query, context))
    if asked.kind is Kind.UPDATE:
        given = (context.body or {}).get("metadata")
        updated = replace(found, metadata=given if isinstance(given, dict) else found.metadata)
        kept: Stored = through(Stage.UPDATE, updated, context)
        store.put(kept)
        return shown(kept)
    if asked.kind is Kind.DELETE:
        left: Stored | None = through(Stage.DELETE, None, context)
        if left is None:
            store.remove(found)
        else:
            store.put(left)
        return {"object": "chat.completion.deleted", "id": found.id, "deleted": True}
    return shown(found)


def shown(found: Stored) -> dict[str, Json]:
    """A record as retrieve, list and update show it."""
    return {**found.body, **{name: found.request[name] for name in _SHOWN if name in found.request}} | {
        "metadata": found.metadata
    }


def _cut(items: list[Any], names: list[str], query: Query) -> tuple[list[Any], bool]:
    """The items after the cursor, as many as asked for, and whether there are more."""
    start = names.index(query.after) + 1 if query.after in names else 0
    limit = max(0, min(query.count if query.count is not None else DEFAULT_LIMIT, MOST))
    return items[start : start + limit], len(items) > start + limit


def _page(query: Query, dialect: Dialect, every: list[Stored]) -> Page:
    order = query.order or str(dialect.convention("storage.default_order"))
    every.sort(key=lambda item: (item.created, item.serial), reverse=order == "desc")
    # The cursor need not match the filter: its place counts.
    names = [item.id for item in every]
    if query.after in names:
        every = every[names.index(query.after) :]
    matching = [item for item in every if _matches(item, query) or item.id == query.after]
    names = [item.id for item in matching]
    return Page(*_cut(matching, names, query))


def _matches(item: Stored, query: Query) -> bool:
    return (query.model is None or item.model == query.model) and all(
        item.metadata.get(key) == value for key, value in query.metadata
    )


def _envelope(data: list[dict[str, Json]], has_more: bool) -> dict[str, Json]:
    return {
        "object": "list",
        "data": data,
        "first_id": data[0].get("id") if data else None,
        "last_id": data[-1].get("id") if data else None,
        "has_more": has_more,
    }


def _messages(found: Stored, query: Query) -> dict[str, Json]:
    given = found.request.get("messages")
    items = [_message(found.id, place, item) for place, item in enumerate(given if isinstance(given, list) else [])]
    if query.order == "desc":
        items.reverse()
    return _envelope(*_cut(items, [str(item["id"]) for item in items], query))


def _message(stored_id: str, place: int, item: dict[str, Json]) -> dict[str, Json]:
    content = item.get("content")
    parts = content if isinstance(content, list) else None
    if parts is not None:
        content = "".join(
            part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return {**item, "id": f"{stored_id}-{place}", "content": content, "content_parts": parts}
