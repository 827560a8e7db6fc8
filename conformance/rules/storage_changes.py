"""Updates and deletions of stored completions, and what is seen of them afterwards."""

from __future__ import annotations

from conformance.rules.base import Reason, Terms, Vacuous, Verdicts, at_body, at_status, rule
from conformance.rules.storage import Said, shown
from conformance.rules.storage_metadata import faults
from conformance.rules.storage_steps import (
    BODY,
    STATUS,
    Step,
    document,
    ids,
    is_call,
    on_steps,
    seconds_after,
    still,
)
from conformance.wire.stored import Kind, call_of
from conformance.wire.strict_json import Json, equal, show
from conformance.wire.traces import Single


def _given(step: Step, terms: Terms) -> dict[str, Json] | None:
    """The metadata of an update that cannot be refused, or None."""
    body, record = step.exchange.request.document.value, step.record
    if record is None or not record.live or not isinstance(body, dict) or body.keys() != {"metadata"}:
        return None
    value = body["metadata"]
    return value if isinstance(value, dict) and not faults(value, terms) else None


@on_steps("storage.update.returns_the_record", Kind.UPDATE, values=("id",))
def update_returns_the_record(step: Step, terms: Terms) -> Said:
    """An update of metadata is answered by the whole completion."""
    if _given(step, terms) is None or step.record is None:
        return
    status, body = step.exchange.status or 0, step.body
    if status == 404:
        yield still(step, "a stored completion is updated")
    elif not step.exchange.is_success:
        yield at_status(step.exchange, "a stored completion is updated")
    elif body is None or body.get("id") != step.record.id or not isinstance(body.get("choices"), list):
        if not step.exchange.document.ok and step.exchange.body:
            yield Vacuous(Reason.NO_CONTROL, "an answer that is no JSON")
        else:
            yield at_body(step.exchange, "", "the whole completion", show(step.exchange.document.value, 80))
    else:
        yield None


def _held(body: dict[str, Json]) -> dict[str, Json]:
    value = body.get("metadata")
    return value if isinstance(value, dict) else {}


@on_steps("storage.update.answers_with_the_new_metadata", Kind.UPDATE)
def update_answers_with_the_new_metadata(step: Step, terms: Terms) -> Said:
    """The answer to an update shows the new metadata."""
    given, body = _given(step, terms), step.body
    if given is None or body is None or not step.exchange.is_success or "choices" not in body:
        return
    for key, value in given.items():
        if not equal(_held(body).get(key), value):
            observed = show(_held(body).get(key), 80) if key in _held(body) else "absent"
            yield at_body(step.exchange, "/metadata", f"{show(key, 40)}: {show(value, 80)}", observed)
            return
    yield None


@on_steps("storage.update.is_kept", Kind.RETRIEVE)
def update_is_kept(step: Step, terms: Terms) -> Said:
    """After updates a retrieval shows what one of their orders leaves, replaced or added to."""
    body, record = shown(step), step.record
    if body is None or record is None or not record.updates:
        return
    # Pairs that nobody sent are the server's own.
    sent = {key for item in record.metadata for key in item}
    held = {key: value for key, value in _held(body).items() if key in sent}
    if any(equal(dict(item), held) for item in record.metadata):
        yield None
    elif not step.late:
        yield Vacuous(Reason.NO_CONTROL, f"asked {seconds_after(step)}, which may be too soon")
    else:
        expected = " or ".join(show(dict(item), 90) for item in record.metadata[:2])
        yield at_body(step.exchange, "/metadata", expected, show(held, 120))


_REST = ("id", "object", "created", "model", "choices", "usage")


@on_steps("storage.update.leaves_the_rest", Kind.RETRIEVE, values=("id", "created", "model", "content", "usage"))
def update_leaves_the_rest(step: Step, terms: Terms) -> Said:
    """After an update the rest of the completion is as it was retrieved before."""
    body, before = shown(step), document(step.earlier) if step.earlier is not None else None
    if body is None or before is None or step.record is None or not step.record.updates:
        return
    for key in _REST:
        if not equal(body.get(key), before.get(key)):
            yield at_body(step.exchange, f"/{key}", show(before.get(key), 120), show(body.get(key), 120))
            return
    yield None


@rule("storage.delete.says_so", on=Single, reads=BODY, when=is_call(Kind.DELETE))
def delete_says_so(trace: Single, terms: Terms) -> Verdicts:
    """A deletion is answered by the id and `deleted: true`."""
    exchange, call = trace.exchange, call_of(trace.exchange.request)
    body = document(exchange)
    if exchange.body and not exchange.document.ok:
        yield Vacuous(Reason.NO_CONTROL, "an answer that is no JSON")
        return
    expected = {"object": "chat.completion.deleted", "id": call.id if call is not None else "", "deleted": True}
    for key, value in expected.items():
        if body is None or not equal(body.get(key), value):
            observed = "no JSON object" if body is None else show(body[key], 60) if key in body else "absent"
            yield at_body(exchange, f"/{key}", show(value, 60), observed)
            return


def _gone(step: Step, what: str) -> Said:
    """A call on a deleted completion that has to get 404."""
    status = step.exchange.status or 0
    if status == 404 or status == 410:
        yield None
    elif 200 <= status < 300:
        yield still(step, f"404 for {what} of a deleted completion")
    else:
        yield at_status(step.exchange, f"404 for {what} of a deleted completion")


@on_steps("storage.deleted.is_gone", Kind.RETRIEVE, reads=STATUS)
def deleted_is_gone(step: Step, terms: Terms) -> Said:
    """A deleted completion cannot be retrieved."""
    if step.record is not None and step.record.deleted:
        yield from _gone(step, "a retrieval")


@on_steps("storage.deleted.has_no_messages", Kind.MESSAGES, reads=STATUS)
def deleted_has_no_messages(step: Step, terms: Terms) -> Said:
    """A deleted completion has no messages."""
    if step.record is not None and step.record.deleted:
        yield from _gone(step, "the messages")


@on_steps("storage.deleted.cannot_be_updated", Kind.UPDATE, reads=STATUS)
def deleted_cannot_be_updated(step: Step, terms: Terms) -> Said:
    """A deleted completion cannot be updated."""
    body = step.exchange.request.document.value
    if step.record is not None and step.record.deleted and isinstance(body, dict) and "metadata" in body:
        yield from _gone(step, "an update")


@on_steps("storage.deleted.cannot_be_deleted_again", Kind.DELETE, reads=STATUS)
def deleted_cannot_be_deleted_again(step: Step, terms: Terms) -> Said:
    """A second deletion gets 404."""
    if step.record is not None and step.record.deleted:
        yield from _gone(step, "a second deletion")


@on_steps("storage.deleted.is_not_listed", Kind.LIST, values=("id",))
def deleted_is_not_listed(step: Step, terms: Terms) -> Said:
    """A deleted completion is not listed."""
    deleted = {record.id for record in step.ledger.records.values() if record.deleted and not record.unsure}
    listed = ids(step.exchange)
    if not deleted or listed is None:
        return
    found = sorted(deleted & set(listed))
    if not found:
        yield None
    elif not step.late:
        yield Vacuous(Reason.NO_CONTROL, f"asked {seconds_after(step)}, which may be too soon")
    else:
        place = listed.index(found[0])
        yield at_body(step.exchange, f"/data/{place}/id", "no deleted completion", f"{found[0]}, {seconds_after(step)}")
