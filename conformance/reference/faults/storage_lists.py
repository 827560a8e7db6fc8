"""Faults of lists of stored completions: envelope, pages, order and filters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.reference.faults.call_edits import skipping
from conformance.reference.faults.storage_keep import is_kind
from conformance.reference.stages import Context, Page, Refusal, Stage, fault
from conformance.wire.stored import Kind, Query
from conformance.wire.strict_json import Json

_LIST = "storage.list."
_WALK = "storage.list.walk_yields_each_once"
_MORE = "storage.list.has_more_tells_the_truth"
_FINDS = "storage.list.finds_by_metadata"


def _shown(name: str, violates: list[str], says: str, edit: Callable[[dict[str, Json]], Json], **more: Any) -> None:
    """Register a fault in the body of a list."""

    def hook(body: Json, context: Context) -> Json:
        return edit(body) if is_kind(context, Kind.LIST) else body

    hook.__doc__ = says
    fault(name, at=Stage.RECORD, violates=violates, **more)(hook)


def _without(*keys: str) -> Callable[[dict[str, Json]], Json]:
    return lambda body: {key: value for key, value in body.items() if key not in keys}


_shown(
    "st-empty-list-null",
    [f"{_LIST}is_a_list"],
    "The data of an empty list are null.",
    lambda body: body if body["data"] else {**body, "data": None},
    condition="only an empty list",
)
_shown("st-list-object-missing", [f"{_LIST}is_a_list"], "A list does not say that it is one.", _without("object"))
_shown("st-list-has-more-missing", [f"{_LIST}has_more_is_boolean"], "A list has no has_more.", _without("has_more"))
_shown(
    "st-list-has-more-word",
    [f"{_LIST}has_more_is_boolean"],
    "The has_more of a list is a word.",
    lambda body: {**body, "has_more": str(body["has_more"]).lower()},
)
_shown(
    "st-list-ends-missing",
    [f"{_LIST}names_its_ends"],
    "A list does not name its first and last entry.",
    _without("first_id", "last_id"),
    dialects=("openai",),
    thread="https://github.com/openai/openai-openapi/pull/229",
)
_shown(
    "st-list-ends-swapped",
    [f"{_LIST}names_its_ends"],
    "A list has its first and last id swapped.",
    lambda body: {**body, "first_id": body["last_id"], "last_id": body["first_id"]},
    dialects=("openai",),
    condition="only with two entries at least",
)
_shown("st-has-more-never", [_MORE], "No list says that it goes on.", lambda body: {**body, "has_more": False})


@fault("st-has-more-on-exact-last-page", at=Stage.PAGE, violates=[_MORE], condition="only on a full last page")
def has_more_on_exact_last_page(page: Page, context: Context) -> Page:
    """A full page always says that it goes on."""
    return replace(page, has_more=page.has_more or f"limit={len(page.records)}&" in f"{context.request.path}&")


def _asked(name: str, violates: list[str], says: str, edit: Callable[[Query, Context], Query], **more: Any) -> None:
    """Register a fault in what a list makes of its query."""

    def hook(query: Query, context: Context) -> Query:
        return edit(query, context) if is_kind(context, Kind.LIST) else query

    hook.__doc__ = says
    fault(name, at=Stage.QUERY, violates=violates, **more)(hook)


_asked(
    "st-limit-ignored",
    [f"{_LIST}limit_is_kept"],
    "The limit of a list is ignored.",
    lambda q, c: replace(q, limit=None),
)
_asked(
    "st-limit-one-more",
    [f"{_LIST}limit_is_kept"],
    "A list holds one entry more than asked for.",
    lambda q, c: replace(q, limit=str(q.count + 1)) if q.count is not None else q,
)
_asked(
    "st-default-limit-2",
    [f"{_LIST}holds_20_by_default"],
    "Without limit an unfiltered list holds two entries.",
    lambda q, c: replace(q, limit="2") if q.limit is None and not q.metadata else q,
    condition="only without limit and filter",
)
_asked(
    "st-after-ignored",
    [f"{_LIST}after_excludes_the_cursor", _WALK],
    "The cursor of a list is ignored.",
    lambda q, c: replace(q, after=None),
    thread="https://github.com/BerriAI/litellm/issues/36324",
)
_asked(
    "st-after-ignored-falling",
    [f"{_LIST}after_excludes_the_cursor", _WALK],
    "In falling order the cursor of a list is ignored.",
    lambda q, c: replace(q, after=None) if q.order == "desc" else q,
    condition="only order=desc with after",
    thread="https://github.com/8monkey-ai/hebo-gateway/pull/55",
)
_asked(
    "st-after-drops-the-filter",
    [_WALK],
    "The page after a cursor is not filtered by model; one by metadata is empty.",
    lambda q, c: replace(q, metadata=(*q.metadata, ("no", "such pair"))) if q.after is not None else q,
    condition="only with after",
)
_asked(
    "st-order-ignored",
    [f"{_LIST}order_is_by_time"],
    "The order of a list is ignored.",
    lambda q, c: replace(q, order=None),
)
_asked(
    "st-default-order-reversed",
    [f"{_LIST}descends_by_default"],
    "Without order a list begins at the wrong end.",
    lambda q, c: (
        replace(q, order="asc" if c.dialect.convention("storage.default_order") == "desc" else "desc")
        if q.order is None
        else q
    ),
)
_asked(
    "st-model-filter-ignored",
    [f"{_LIST}model_leaves_others_out"],
    "The model of a list is ignored.",
    lambda q, c: replace(q, model=None),
)
_asked(
    "st-model-filter-finds-nothing",
    [f"{_LIST}finds_by_model"],
    "A list by model finds nothing.",
    lambda q, c: replace(q, model=f"models/{q.model}") if q.model is not None else q,
)
_asked(
    "st-metadata-filter-ignored",
    [f"{_LIST}metadata_leaves_others_out", f"{_LIST}pairs_are_combined"],
    "The metadata of a list are ignored.",
    lambda q, c: replace(q, metadata=()),
)
_asked(
    "st-second-filter-ignored",
    [f"{_LIST}pairs_are_combined"],
    "Of several pairs of metadata a list regards the first.",
    lambda q, c: replace(q, metadata=q.metadata[:1]),
    condition="only with two filters",
)
_asked(
    "st-filter-decoded-twice",
    [f"{_LIST}finds_by_any_characters"],
    "The metadata of a list are decoded twice.",
    lambda q, c: replace(q, metadata=tuple((k, v.replace("%20", " ").replace("+", " ")) for k, v in q.metadata)),
    condition="only values with a percent or plus sign",
)


@fault("st-walk-skips-one", at=Stage.PAGE, violates=[_WALK], condition="only at a page boundary")
def walk_skips_one(page: Page, context: Context) -> Page:
    """The first entry after a cursor is left out, unless it is the only one."""
    return replace(page, records=page.records[1:]) if "after=" in context.request.path and page.records[1:] else page


@fault("st-walk-repeats-one", at=Stage.PAGE, violates=[_WALK], condition="only a page after a cursor in rising order")
def walk_repeats_one(page: Page, context: Context) -> Page:
    """In rising order the last entry of a page comes again on the next."""
    seen = context.state.setdefault("last entries", {})
    path = context.request.path
    cursor = next((part[6:] for part in path.split("&") if part.startswith("after=")), None)
    records = page.records
    if page.records and "order=asc" in path:
        before = seen.get(cursor)
        if before is not None and len(before) > 1:
            records = [before[-2], *records][: len(records)]
        seen[page.records[-1].id] = page.records
    return replace(page, records=records)


@fault(
    "st-list-one-per-hour",
    at=Stage.PAGE,
    violates=[_FINDS, f"{_LIST}finds_by_model"],
    entails={_WALK: "what is not listed is on no page"},
    condition="only entries of one hour",
)
def list_one_per_hour(page: Page, context: Context) -> Page:
    """Of the entries of one hour a list holds one."""
    return replace(page, records=list({record.created // 3600: record for record in page.records}.values()))


fault("st-order-word-200", at=Stage.REFUSAL, violates=[f"{_LIST}unknown_order_is_refused"])(
    skipping("Any word is taken as the order of a list.", "storage.order")
)
fault("st-unknown-cursor-first-page", at=Stage.REFUSAL, violates=[f"{_LIST}unknown_cursor_is_no_first_page"])(
    skipping("A page after an unknown entry is the first one.", "storage.after")
)


@fault("st-odd-limit-500", at=Stage.REFUSAL, violates=[f"{_LIST}odd_limit_is_refused_or_clamped"])
def odd_limit_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A limit that is no number is a server error."""
    odd = refusal is not None and refusal.check == "storage.limit.type"
    return replace(refusal, kind="internal") if refusal is not None and odd else refusal
