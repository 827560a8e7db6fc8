"""Stored completions: what is kept, whether it is what was answered, and that nothing else is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Part,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_status,
    fold,
    rule,
)
from conformance.rules.storage_steps import (
    BODY,
    SOMETHING_ELSE,
    STATUS,
    Step,
    document,
    is_call,
    judged,
    on_steps,
    still,
)
from conformance.wire.answer import Answer, Choice
from conformance.wire.exchange import Exchange
from conformance.wire.ledger import created_id, keeps
from conformance.wire.stored import Kind, call_of
from conformance.wire.strict_json import Json, equal, is_integer, show
from conformance.wire.traces import Lifecycle, Single

Said = Iterator[Finding | Vacuous | None]


def _streams(step: Step) -> bool:
    return step.record is not None and step.record.creator.answer is not None and step.record.creator.answer.streamed


def _is_found(step: Step) -> Said:
    status = step.exchange.status or 0
    if 200 <= status < 300:
        if not step.exchange.document.ok:
            yield Vacuous(Reason.NO_CONTROL, "an answer that is no JSON")
        elif step.body is None:
            yield at_body(step.exchange, "", "the stored completion", show(step.exchange.document.value, 80))
        else:
            yield None
    elif 300 <= status < 400:
        yield Vacuous(Reason.NO_CONTROL, f"status {status}")
    else:
        yield still(step, "a completion that asked to be stored is found by its id")


_NOT_OFFERED = frozenset({400, 404, 405, 422, 501})


@on_steps("storage.stored.is_retrievable", Kind.CREATE, Kind.RETRIEVE, reads=BODY, values=("id",))
def stored_is_retrievable(step: Step, terms: Terms) -> Said:
    """A completion that asked to be stored can be retrieved by its id."""
    if step.call.kind is Kind.CREATE:
        if keeps(step.exchange) and step.exchange.status in _NOT_OFFERED:
            yield Vacuous(Reason.REFUSED, f"status {step.exchange.status} to a completion that asks to be stored")
    elif step.record is not None and step.record.live and not _streams(step):
        yield from _is_found(step)


@on_steps("storage.streamed.is_retrievable", Kind.RETRIEVE, reads=BODY, values=("id",))
def streamed_is_retrievable(step: Step, terms: Terms) -> Said:
    """A streamed completion that asked to be stored can be retrieved by its id."""
    if step.record is not None and step.record.live and _streams(step):
        yield from _is_found(step)


def _unstored(trace: Lifecycle, terms: Terms) -> dict[str, Exchange]:
    """Completions that did not ask to be stored, by id."""
    always = terms.dialect.convention("storage.stores") == "always"
    found = {created_id(exchange): exchange for exchange in trace.exchanges if not keeps(exchange, always)}
    return {name: exchange for name, exchange in found.items() if name is not None}


@rule("storage.unstored.is_not_kept", on=Lifecycle, reads=BODY, values=("id",), when=lambda t, s: bool(_unstored(t, s)))
def unstored_is_not_kept(trace: Lifecycle, terms: Terms) -> Verdicts:
    """A completion that did not ask to be stored cannot be retrieved."""
    plain = _unstored(trace, terms)

    def said() -> Said:
        for exchange in trace.exchanges:
            call = call_of(exchange.request)
            if call is None or call.kind is not Kind.RETRIEVE or call.id not in plain:
                continue
            if exchange.status in SOMETHING_ELSE:
                yield Vacuous(Reason.TRANSPORT, f"status {exchange.status}")
            elif exchange.is_success and not (document(exchange) or {}).get("id"):
                yield Vacuous(Reason.NO_CONTROL, "an answer without a completion")
            elif exchange.is_success:
                yield at_status(exchange, "404: the completion did not ask to be stored")
            else:
                yield None

    yield from judged(said())


def shown(step: Step) -> dict[str, Json] | None:
    """The record that a retrieval shows of a live completion, or None."""
    record = step.record
    if record is None or not record.live or not step.exchange.is_success or record.creator.answer is None:
        return None
    return step.body


def identity(step: Step, body: dict[str, Json], answer: Answer) -> Said:
    """The head of a record against the answer that it is of, as far as that has what it has to have."""
    expected: dict[str, Json] = {"id": answer.id, "object": "chat.completion"}
    if is_integer(answer.created):
        expected["created"] = answer.created
    if isinstance(answer.model, str):
        expected["model"] = answer.model
    created = document(step.record.creator) if step.record is not None and not answer.streamed else None
    if created is not None:
        expected["object"] = created.get("object")
    for key, value in expected.items():
        if not equal(body.get(key), value):
            yield at_body(
                step.exchange, f"/{key}", show(value, 60), show(body.get(key), 60) if key in body else "absent"
            )
    yield None


def choices(step: Step, body: dict[str, Json], answer: Answer) -> Said:
    """The choices of a record against those of the answer, whatever order they stand in."""
    found = body.get("choices")
    if not isinstance(found, list):
        yield at_body(
            step.exchange, "/choices", "the choices of the answer", show(found, 60) if "choices" in body else "absent"
        )
        return
    if len(found) != len(answer.choices):
        yield at_body(step.exchange, "/choices", f"{len(answer.choices)} choices", str(len(found)))
        return
    for place, choice in enumerate(answer.choices):
        if not is_integer(choice.index):
            continue
        kept = next((item for item in found if isinstance(item, dict) and equal(item.get("index"), choice.index)), None)
        for name, expected, observed in _differences(choice, kept):
            yield at_body(step.exchange, f"/choices/{place}/{name}", show(expected, 120), show(observed, 120))
    yield None


def _differences(choice: Choice, kept: Json) -> Iterator[tuple[str, Json, Json]]:
    """What of a choice is kept otherwise. Absent, null and empty count the same."""
    record = kept if isinstance(kept, dict) else {}
    message = record.get("message")
    inner = message if isinstance(message, dict) else {}
    wanted = {"content": choice.content or None, "refusal": choice.refusal or None}
    for key, value in wanted.items():
        if not equal(inner.get(key) or None, value):
            yield f"message/{key}", value, inner.get(key)
    calls = [_plain(call.id, call.name, call.arguments) for call in choice.calls]
    held = inner.get("tool_calls")
    kept_calls = [_plain_call(item) for item in held] if isinstance(held, list) else []
    if not equal(calls, kept_calls):
        yield "message/tool_calls", calls, held
    if not equal(record.get("finish_reason"), choice.finish_reason or None):
        yield "finish_reason", choice.finish_reason or None, record.get("finish_reason")


def _plain(call_id: Json, name: Json, arguments: Json) -> dict[str, Json]:
    return {"id": call_id or None, "name": name or None, "arguments": arguments or None}


def _plain_call(item: Json) -> Json:
    function = item.get("function") if isinstance(item, dict) else None
    inner = function if isinstance(function, dict) else {}
    return _plain(item.get("id") if isinstance(item, dict) else None, inner.get("name"), inner.get("arguments"))


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def _adds_up(counts: dict[str, Json]) -> bool:
    """The counts are whole numbers and come to the total, with tokens of reasoning or without."""
    prompt, made, total = (counts.get(key) for key in _COUNTS)
    if not (is_integer(prompt) and is_integer(made) and is_integer(total)):
        return False
    apart = counts.get("reasoning_tokens")
    return total == prompt + made or (is_integer(apart) and total == prompt + made + apart)


def usage(step: Step, body: dict[str, Json], answer: Answer) -> Said:
    """The three counts of a record against those of the answer, where those are sound."""
    if not isinstance(answer.usage, dict) or not _adds_up(answer.usage):
        return
    found = body.get("usage")
    held = found if isinstance(found, dict) else {}
    for key in _COUNTS:
        if not equal(held.get(key), answer.usage[key]):
            yield at_body(step.exchange, f"/usage/{key}", show(answer.usage[key]), show(held.get(key)))
    yield None


def _untouched(step: Step) -> tuple[dict[str, Json], Answer] | None:
    """A shown record that was never updated, and the answer that it is of."""
    body, record = shown(step), step.record
    if body is None or record is None or record.updates or record.creator.answer is None:
        return None
    return body, record.creator.answer


@on_steps("storage.retrieve.has_the_same_head", Kind.RETRIEVE, values=("id", "created", "model"))
def retrieve_has_the_same_head(step: Step, terms: Terms) -> Said:
    """A retrieved completion has the id, object, time and model of the answer."""
    found = _untouched(step)
    if found is not None:
        yield from identity(step, *found)


@on_steps("storage.retrieve.has_the_same_choices", Kind.RETRIEVE, values=("content",))
def retrieve_has_the_same_choices(step: Step, terms: Terms) -> Said:
    """A retrieved completion has the choices of the answer."""
    found = _untouched(step)
    if found is not None and not found[1].streamed:
        yield from choices(step, *found)


@on_steps("storage.streamed.has_the_joined_choices", Kind.RETRIEVE, values=("content",))
def streamed_has_the_joined_choices(step: Step, terms: Terms) -> Said:
    """A retrieved completion that was streamed has what the chunks join to."""
    found = _untouched(step)
    if found is not None and found[1].streamed:
        yield from choices(step, *found)


@on_steps("storage.retrieve.has_the_same_usage", Kind.RETRIEVE, values=("usage",))
def retrieve_has_the_same_usage(step: Step, terms: Terms) -> Said:
    """A retrieved completion has the usage of the answer."""
    found = _untouched(step)
    if found is not None:
        yield from usage(step, *found)


@on_steps("storage.retrieve.shows_the_metadata", Kind.RETRIEVE)
def retrieve_shows_the_metadata(step: Step, terms: Terms) -> Said:
    """A retrieved completion shows the metadata that it was stored with."""
    found, record = _untouched(step), step.record
    if found is None or record is None or not record.metadata[0]:
        return
    given = dict(record.metadata[0])
    kept = found[0].get("metadata")
    held = kept if isinstance(kept, dict) else {}
    for key, value in given.items():
        if not equal(held.get(key), value):
            observed = show(held[key], 80) if key in held else "absent"
            yield at_body(step.exchange, "/metadata", f"{show(key, 40)}: {show(value, 80)}", observed)
            return
    yield None


@rule("storage.record.has_a_status", on=Single, reads=BODY, when=is_call(Kind.RETRIEVE))
def record_has_a_status(trace: Single, terms: Terms) -> Verdicts:
    """A retrieved completion has a status of the documented ones."""
    body, words = document(trace.exchange), terms.dialect.words("status")
    if body is None or "id" not in body:
        yield Vacuous(Reason.NO_CONTROL, "an answer that is no completion")
    elif body.get("status") not in words:
        observed = show(body["status"], 60) if "status" in body else "absent"
        yield at_body(trace.exchange, "/status", f"one of {', '.join(words)}", observed)


@on_steps("storage.cancel_finished.gets_409", Kind.CANCEL, reads=STATUS)
def cancel_finished_gets_409(step: Step, terms: Terms) -> Said:
    """Cancelling a completion that is finished gets 409."""
    if step.record is None:
        return
    yield None if step.exchange.status == 409 else at_status(step.exchange, "status 409: it is finished")


@on_steps("storage.other_key.gets_404", Kind.RETRIEVE, reads=STATUS, auth="second")
def other_key_gets_404(step: Step, terms: Terms) -> Said:
    """The key of another project gets 404 for a stored completion, as for one that does not exist."""
    if step.record is not None and step.record.live:
        status = step.exchange.status
        yield None if status == 404 else at_status(step.exchange, "404: no other project knows of it")


@dataclass(frozen=True)
class _Seen:
    """Retrievals of one origin: ids that exist, and the first odd answer for each id."""

    existing: frozenset[str] = frozenset()
    odd: tuple[tuple[str, str, int, str], ...] = ()
    """(id, exchange, status, what was answered)."""
    missing: frozenset[str] = frozenset()
    """Ids that got 404."""


def _existing(exchange: Exchange) -> frozenset[str]:
    """The ids that the exchange shows to exist."""
    made, call = created_id(exchange), call_of(exchange.request)
    found = {made} if made is not None else set()
    if call is not None and call.id and exchange.is_success and call.kind is not Kind.RETRIEVE:
        found.add(call.id)
    return frozenset(found)


@fold("storage.unknown_id.gets_404", reads=BODY, values=("id",))
class UnknownIdGets404:
    """A retrieval by an id that does not exist gets 404."""

    def empty(self) -> dict[str, _Seen]:
        """Nothing seen."""
        return {}

    def step(self, state: dict[str, _Seen], exchange: Exchange, terms: Terms) -> dict[str, _Seen]:
        """Note what exists, and what was answered to retrievals."""
        seen, call = state.get(exchange.origin, _Seen()), call_of(exchange.request)
        existing, odd, missing = seen.existing | _existing(exchange), seen.odd, seen.missing
        if call is not None and call.kind is Kind.RETRIEVE and exchange.request.auth == "key":
            body = document(exchange)
            if exchange.status == 404:
                missing |= {call.id}
            elif exchange.is_success and body is not None and (body.get("id") == call.id or "choices" in body):
                existing |= {call.id}
            elif exchange.status not in SOMETHING_ELSE and (exchange.document.ok or not exchange.is_success):
                shows = show(exchange.document.value, 60) if exchange.is_success else ""
                odd = (*odd, (call.id, exchange.id, exchange.status or 0, shows))
        if (existing, odd, missing) != (seen.existing, seen.odd, seen.missing):
            state[exchange.origin] = _Seen(existing, odd, missing)
        return state

    def merge(self, earlier: dict[str, _Seen], later: dict[str, _Seen]) -> dict[str, _Seen]:
        """Both parts."""
        merged = dict(earlier)
        for origin, seen in later.items():
            before = merged.get(origin, _Seen())
            merged[origin] = _Seen(
                before.existing | seen.existing, before.odd + seen.odd, before.missing | seen.missing
            )
        return merged

    def finish(self, state: dict[str, _Seen], terms: Terms) -> Verdicts:
        """Odd answers for ids that nothing shows to exist."""
        held = False
        for seen in state.values():
            held = held or bool(seen.missing - seen.existing)
            for name, exchange, status, shows in seen.odd:
                if name not in seen.existing:
                    held = True
                    yield Finding(exchange, Part.STATUS, "status 404", f"status {status} {shows}".strip())
        if not held:
            yield NOT_APPLICABLE
