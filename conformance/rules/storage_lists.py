"""Lists of stored completions: their envelope, pages, order and filters. Only the run's own entries are counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise, zip_longest

from conformance.rules.base import (
    NOT_APPLICABLE,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_sequence,
    at_status,
    rule,
)
from conformance.rules.refusals import must_refuse
from conformance.rules.storage import Said
from conformance.rules.storage_steps import (
    BODY,
    STATUS,
    Step,
    document,
    entries,
    has,
    ids,
    is_call,
    judged,
    on_steps,
    seconds_after,
    steps,
)
from conformance.wire.exchange import Exchange
from conformance.wire.ledger import Record
from conformance.wire.stored import Kind, Query, call_of
from conformance.wire.strict_json import Json, is_integer, is_number, show
from conformance.wire.traces import Lifecycle, Single

DEFAULT = 20
"""Entries of a page where none are asked for."""
_SIMPLE = re.compile(r"[A-Za-z0-9_-]+")


def query_of(exchange: Exchange) -> Query:
    """The query of a list."""
    call = call_of(exchange.request)
    return call.query if call is not None else Query()


@rule("storage.list.is_a_list", on=Single, reads=BODY, when=is_call(Kind.LIST))
def list_is_a_list(trace: Single, terms: Terms) -> Verdicts:
    """A list has `object` list and an array as `data`."""
    yield from envelope(trace.exchange)


def envelope(exchange: Exchange) -> Verdicts:
    """Judge the outer form of a list."""
    body = document(exchange)
    if not exchange.document.ok:
        yield Vacuous(Reason.NO_CONTROL, "an answer that is no JSON")
    elif body is None:
        yield at_body(exchange, "", "an object with data", show(exchange.document.value, 60))
    elif not isinstance(body.get("data"), list):
        yield at_body(exchange, "/data", "an array", show(body["data"], 60) if "data" in body else "absent")
    elif body.get("object") != "list":
        yield at_body(exchange, "/object", '"list"', show(body["object"], 60) if "object" in body else "absent")


def _listed(trace: Single, terms: Terms) -> bool:
    return is_call(Kind.LIST)(trace, terms) and entries(trace.exchange) is not None


@rule("storage.list.has_more_is_boolean", on=Single, reads=BODY, when=_listed)
def list_has_more_is_boolean(trace: Single, terms: Terms) -> Verdicts:
    """A list says in `has_more`, a boolean, whether it goes on."""
    body = document(trace.exchange) or {}
    if not isinstance(body.get("has_more"), bool):
        observed = show(body["has_more"], 60) if "has_more" in body else "absent"
        yield at_body(trace.exchange, "/has_more", "true or false", observed)


@rule("storage.list.names_its_ends", on=Single, reads=BODY, values=("id",), when=_listed)
def list_names_its_ends(trace: Single, terms: Terms) -> Verdicts:
    """A list that is not empty has the ids of its first and last entry."""
    body, found = document(trace.exchange) or {}, ids(trace.exchange)
    if not found:
        yield Vacuous(Reason.NO_CONTROL, "no entries with ids")
        return
    for key, expected in (("first_id", found[0]), ("last_id", found[-1])):
        if body.get(key) != expected:
            yield at_body(trace.exchange, f"/{key}", expected, show(body[key], 60) if key in body else "absent")


def _is_limited(trace: Single, terms: Terms) -> bool:
    count = query_of(trace.exchange).count
    most = terms.dialect.limit("storage.list.max")
    return _listed(trace, terms) and count is not None and 1 <= count <= (most if is_integer(most) else 100)


@rule("storage.list.limit_is_kept", on=Single, reads=BODY, when=_is_limited)
def list_limit_is_kept(trace: Single, terms: Terms) -> Verdicts:
    """A list holds no more entries than `limit` says."""
    yield from limited(trace.exchange)


def limited(exchange: Exchange) -> Verdicts:
    """Judge the number of entries against the limit that was asked for."""
    count, data = query_of(exchange).count, entries(exchange) or []
    if count is not None and len(data) > count:
        yield at_body(exchange, "/data", f"at most {count} entries", f"{len(data)} entries")


@rule("storage.list.holds_20_by_default", on=Single, reads=BODY, when=_listed)
def list_holds_20_by_default(trace: Single, terms: Terms) -> Verdicts:
    """Without `limit` a page holds 20 entries, if there are more."""
    body, data = document(trace.exchange) or {}, entries(trace.exchange) or []
    if query_of(trace.exchange).limit is not None:
        yield NOT_APPLICABLE
    elif len(data) > DEFAULT or (body.get("has_more") is True and len(data) != DEFAULT):
        yield at_body(trace.exchange, "/data", f"{DEFAULT} entries", f"{len(data)} entries")
    elif len(data) < DEFAULT:
        yield Vacuous(Reason.NO_CONTROL, "fewer entries than the default")


def _odd_limit(trace: Single, terms: Terms) -> bool:
    query, most = query_of(trace.exchange), terms.dialect.limit("storage.list.max")
    if not is_call(Kind.LIST, ok=False)(trace, terms) or query.limit is None or not is_integer(most):
        return False
    return query.count is None or not 1 <= query.count <= most


@rule("storage.list.odd_limit_is_refused_or_clamped", on=Single, reads=BODY, when=_odd_limit)
def list_odd_limit(trace: Single, terms: Terms) -> Verdicts:
    """A limit outside its bounds is refused, or brought within them."""
    status, most = trace.exchange.status or 0, terms.dialect.limit("storage.list.max")
    data = entries(trace.exchange)
    if status in (502, 503, 504):
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif status >= 500:
        yield at_status(trace.exchange, "400, or a page of a permitted size")
    elif data is not None and len(data) > most:
        yield at_body(trace.exchange, "/data", f"at most {most} entries", f"{len(data)} entries")


def _goes_on(trace: Single, terms: Terms) -> bool:
    return _listed(trace, terms) and bool(query_of(trace.exchange).after)


@rule("storage.list.after_excludes_the_cursor", on=Single, reads=BODY, values=("id",), when=_goes_on)
def list_after_excludes_the_cursor(trace: Single, terms: Terms) -> Verdicts:
    """A page after an entry does not hold that entry."""
    after, found = query_of(trace.exchange).after, ids(trace.exchange)
    if not found:
        yield Vacuous(Reason.NO_CONTROL, "no entries with ids")
    elif after in found:
        yield at_body(trace.exchange, f"/data/{found.index(after)}/id", f"entries after {after}", "the entry itself")


def _times(exchange: Exchange) -> list[float] | None:
    """The creation times of the entries, where there are two different ones at least."""
    found = [item.get("created") if isinstance(item, dict) else None for item in entries(exchange) or []]
    times = [value for value in found if is_number(value)]
    return times if len(times) == len(found) and len(set(times)) > 1 else None


def _sorted(exchange: Exchange, order: Json) -> Verdicts:
    times = _times(exchange)
    if times is None:
        yield Vacuous(Reason.NO_CONTROL, "no two entries of different times")
        return
    for place, (one, other) in enumerate(pairwise(times), 1):
        if (one > other) if order == "asc" else (one < other):
            words = "not before" if order == "asc" else "not after"
            yield at_body(exchange, f"/data/{place}/created", f"{words} {show(one)}", show(other))
            return


def _ordered(trace: Single, terms: Terms) -> bool:
    return _listed(trace, terms) and query_of(trace.exchange).order in ("asc", "desc")


@rule("storage.list.order_is_by_time", on=Single, reads=BODY, values=("created",), when=_ordered)
def list_order_is_by_time(trace: Single, terms: Terms) -> Verdicts:
    """With `order` the entries rise or fall by the time of their creation."""
    yield from _sorted(trace.exchange, query_of(trace.exchange).order)


def _falls_by_default(trace: Single, terms: Terms) -> bool:
    asked = query_of(trace.exchange).order
    return _listed(trace, terms) and asked is None and terms.dialect.convention("storage.default_order") == "desc"


@rule("storage.list.descends_by_default", on=Single, reads=BODY, values=("created",), when=_falls_by_default)
def list_descends_by_default(trace: Single, terms: Terms) -> Verdicts:
    """Without `order` the newest entries come first."""
    yield from _sorted(trace.exchange, "desc")


def _odd_order(trace: Single, terms: Terms) -> bool:
    order, words = query_of(trace.exchange).order, terms.dialect.words("storage.order")
    return is_call(Kind.LIST, ok=False)(trace, terms) and bool(words) and order is not None and order not in words


@rule("storage.list.unknown_order_is_refused", on=Single, reads=STATUS, when=_odd_order)
def list_unknown_order_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """An order that is neither asc nor desc is refused."""
    yield from must_refuse(trace.exchange, "400 for an order that is neither asc nor desc")


def _by_model(trace: Single, terms: Terms) -> bool:
    return _listed(trace, terms) and bool(query_of(trace.exchange).model)


@rule("storage.list.model_leaves_others_out", on=Single, reads=BODY, values=("model",), when=_by_model)
def list_model_leaves_others_out(trace: Single, terms: Terms) -> Verdicts:
    """A list by model holds no entry of another model; a dated name of the same one is none."""
    wanted = query_of(trace.exchange).model or ""
    for place, item in enumerate(entries(trace.exchange) or []):
        model = item.get("model") if isinstance(item, dict) else None
        if isinstance(model, str) and not model.startswith(wanted):
            yield at_body(trace.exchange, f"/data/{place}/model", show(wanted, 60), show(model, 60))
            return


def _listed_ids(step: Step) -> set[str] | None:
    found = ids(step.exchange)
    return None if found is None else set(found)


def _leaves_out(step: Step, wrong: list[Record]) -> Said:
    """None of these records may be listed. A change of metadata has to have had the time to be seen."""
    found = _listed_ids(step)
    if found is None or not wrong:
        return
    named = [record for record in wrong if record.id in found]
    if not named:
        yield None
    elif named[0].updates and not step.late:
        yield Vacuous(Reason.NO_CONTROL, f"asked {seconds_after(step)}, which may be too soon")
    else:
        yield at_body(step.exchange, "/data", "only entries that match", f"{named[0].id}, which does not")


def _unmatched(step: Step) -> list[Record]:
    return [record for record in step.ledger.live() if record.matches(step.call.query) is False]


@on_steps("storage.list.metadata_leaves_others_out", Kind.LIST, values=("id",))
def list_metadata_leaves_others_out(step: Step, terms: Terms) -> Said:
    """A list by one pair of metadata holds no own entry without that pair."""
    if len(step.call.query.metadata) == 1:
        yield from _leaves_out(step, _unmatched(step))


@on_steps("storage.list.pairs_are_combined", Kind.LIST, values=("id",))
def list_pairs_are_combined(step: Step, terms: Terms) -> Said:
    """A list by several pairs of metadata holds no own entry that lacks one of them."""
    if len(step.call.query.metadata) > 1:
        yield from _leaves_out(step, _unmatched(step))


def _finds(step: Step) -> Said:
    """Every matching record is listed, where one page has room for all of them."""
    query, found = step.call.query, _listed_ids(step)
    wanted = step.ledger.matching(query)
    room = query.count if query.count is not None else DEFAULT
    if not wanted or query.after is not None or len(wanted) > room:
        return
    if found is None:
        if step.exchange.status == 404:
            yield Vacuous(Reason.NO_CONTROL, "status 404")
        return
    lost = [record.id for record in wanted if record.id not in found]
    if not lost:
        yield None
    elif not step.late:
        yield Vacuous(Reason.NO_CONTROL, f"asked {seconds_after(step)}, which may be too soon")
    elif len(found) >= room:
        yield Vacuous(Reason.NO_CONTROL, "the page is full of others' entries")
    else:
        yield at_body(step.exchange, "/data", f"{lost[0]} among the entries", f"{len(found)} entries without it")


def _is_simple(query: Query) -> bool:
    return all(_SIMPLE.fullmatch(key) and _SIMPLE.fullmatch(value) for key, value in query.metadata)


@on_steps("storage.list.finds_by_metadata", Kind.LIST, values=("id",))
def list_finds_by_metadata(step: Step, terms: Terms) -> Said:
    """A list by metadata holds every own entry that has it."""
    if step.call.query.metadata and step.call.query.model is None and _is_simple(step.call.query):
        yield from _finds(step)


@on_steps("storage.list.finds_by_any_characters", Kind.LIST, values=("id",))
def list_finds_by_any_characters(step: Step, terms: Terms) -> Said:
    """A list by metadata works for keys and values of any characters."""
    if step.call.query.metadata and step.call.query.model is None and not _is_simple(step.call.query):
        yield from _finds(step)


@on_steps("storage.list.finds_by_model", Kind.LIST, values=("id", "model"))
def list_finds_by_model(step: Step, terms: Terms) -> Said:
    """A list by model holds the own entries of that model."""
    if step.call.query.model is not None and _is_simple(step.call.query):
        yield from _finds(step)


def _walks(trace: Lifecycle, terms: Terms) -> Iterator[list[Step]]:
    """Pages that follow each other by their cursors, from a first page on."""
    walk: list[Step] = []
    for step in steps(trace, terms, Kind.LIST):
        follows = bool(walk) and step.call.query.after is not None and _follows(walk[-1], step)
        if follows:
            walk.append(step)
        elif step.call.query.after is None:
            if walk:
                yield walk
            walk = [step]
    if walk:
        yield walk


def _follows(before: Step, step: Step) -> bool:
    one, other = before.call.query, step.call.query
    listed = ids(before.exchange)
    same = (one.order, one.model, one.metadata) == (other.order, other.model, other.metadata)
    return bool(listed) and same and listed is not None and other.after == listed[-1]


def _says_more(step: Step) -> bool | None:
    value = (document(step.exchange) or {}).get("has_more")
    return value if isinstance(value, bool) else None


@rule("storage.list.has_more_tells_the_truth", on=Lifecycle, reads=BODY, values=("id",), when=has(Kind.LIST))
def list_has_more_tells_the_truth(trace: Lifecycle, terms: Terms) -> Verdicts:
    """`has_more` is true exactly where own matching entries are left after the page."""

    def said() -> Said:
        for walk in _walks(trace, terms):
            seen: set[str] = set()
            for step, following in zip_longest(walk, walk[1:]):
                found, wanted, says = _listed_ids(step), step.ledger.matching(step.call.query), _says_more(step)
                if found is None or not wanted or says is None or not step.call.query.metadata:
                    break
                seen |= found
                own = {record.id for record in wanted}
                # Others' entries under the same filter may go on where ours end.
                if not found or not seen <= own or step.call.query.count is None:
                    break
                left = sum(step.visible(record) for record in wanted if record.id not in seen)
                if own <= seen and says:
                    if following is None or ids(following.exchange) != []:
                        break
                    yield at_body(step.exchange, "/has_more", "false: no entry is left", "true")
                # On later pages a lost entry is the walk's business.
                elif left and not says and step is walk[0] and len(found) >= step.call.query.count:
                    yield at_body(step.exchange, "/has_more", f"true: {left} more to come", "false")
                else:
                    yield None

    yield from judged(said())


@rule("storage.list.walk_yields_each_once", on=Lifecycle, reads=BODY, values=("id",), when=has(Kind.LIST))
def list_walk_yields_each_once(trace: Lifecycle, terms: Terms) -> Verdicts:
    """Pages that follow each other hold every entry that was there before, and none twice."""

    def said() -> Said:
        for walk in _walks(trace, terms):
            pages = [ids(step.exchange) for step in walk]
            if len(walk) < 2 or not all(page is not None for page in pages):
                continue
            every = [name for page in pages for name in page or []]
            twice = next((name for place, name in enumerate(every) if name in every[:place]), None)
            if twice is not None:
                yield at_sequence(walk[-1].exchange, "/data", "each entry on one page", f"{twice} on two pages")
                continue
            wanted = walk[0].ledger.matching(walk[0].call.query)
            ended = _says_more(walk[-1]) is False or not pages[-1]
            if not wanted or not ended:
                continue
            deleted = {record.id for record in walk[-1].ledger.records.values() if not record.live}
            missed = [record for record in wanted if record.id not in every and record.id not in deleted]
            lost = [record.id for record in missed if walk[0].visible(record)]
            if missed and not lost:
                yield Vacuous(Reason.NO_CONTROL, "some entries may be too new to be listed")
            elif lost:
                observed = f"{lost[0]} on none of {len(walk)} pages"
                yield at_sequence(walk[-1].exchange, "/data", "every entry on one of the pages", observed)
            else:
                yield None

    yield from judged(said())


@on_steps("storage.list.unknown_cursor_is_no_first_page", Kind.LIST, values=("id",))
def list_unknown_cursor_is_no_first_page(step: Step, terms: Terms) -> Said:
    """A page after an id that does not exist is not the whole list from its start."""
    query = step.call.query
    if not query.after or query.after in step.ledger.records:
        return
    wanted, found = step.ledger.matching(query), _listed_ids(step)
    if wanted is None or len(wanted) < 2:
        return
    if found is not None and found == {record.id for record in wanted}:
        yield at_body(step.exchange, "/data", "an error or an empty page", f"all {len(wanted)} entries")
    else:
        yield None
