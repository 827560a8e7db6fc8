"""The messages of a stored completion: the request's own, in order, page by page."""

from __future__ import annotations

from conformance.rules.base import Reason, Terms, Vacuous, Verdicts, at_body, at_status, rule
from conformance.rules.storage import Said
from conformance.rules.storage_lists import envelope, limited, query_of
from conformance.rules.storage_steps import BODY, Step, entries, ids, is_call, on_steps, still
from conformance.wire.stored import Kind, Query
from conformance.wire.strict_json import Json, equal, show
from conformance.wire.traces import Single


@rule("storage.messages.are_a_list", on=Single, reads=BODY, when=is_call(Kind.MESSAGES))
def messages_are_a_list(trace: Single, terms: Terms) -> Verdicts:
    """The messages come as a list object."""
    yield from envelope(trace.exchange)


def _given(trace: Single, terms: Terms) -> bool:
    return is_call(Kind.MESSAGES)(trace, terms) and bool(entries(trace.exchange))


@rule("storage.messages.have_ids", on=Single, reads=BODY, values=("id",), when=_given)
def messages_have_ids(trace: Single, terms: Terms) -> Verdicts:
    """Each message has an id of its own."""
    seen: set[str] = set()
    for place, item in enumerate(entries(trace.exchange) or []):
        name = item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name or name in seen:
            observed = f"{show(name, 60)} again" if isinstance(name, str) and name else show(name, 60)
            yield at_body(trace.exchange, f"/data/{place}/id", "an id of its own", observed)
            return
        seen.add(name)


def _limited(trace: Single, terms: Terms) -> bool:
    count = query_of(trace.exchange).count
    return is_call(Kind.MESSAGES)(trace, terms) and count is not None and 1 <= count <= 100


@rule("storage.messages.limit_is_kept", on=Single, reads=BODY, when=_limited)
def messages_limit_is_kept(trace: Single, terms: Terms) -> Verdicts:
    """A page of messages holds no more than `limit` says."""
    if entries(trace.exchange) is None:
        yield Vacuous(Reason.NO_CONTROL, "no list")
        return
    yield from limited(trace.exchange)


def _input(step: Step) -> list[dict[str, Json]] | None:
    """The messages of the request whose completion the call names, or None."""
    record = step.record
    chat = record.creator.request.chat if record is not None and record.live else None
    return chat.messages if chat is not None else None


@on_steps("storage.messages.are_served", Kind.MESSAGES)
def messages_are_served(step: Step, terms: Terms) -> Said:
    """The messages of a stored completion can be retrieved."""
    if _input(step) is None:
        return
    if step.exchange.is_success:
        yield None
    elif step.exchange.status == 404:
        yield still(step, "the messages of a stored completion")
    else:
        yield at_status(step.exchange, "the messages of a stored completion")


def _text(content: Json) -> Json:
    """A text in one form: parts are joined, and nothing is null."""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str)) or None
    return content or None


def _same(given: dict[str, Json], kept: Json) -> bool:
    if not isinstance(kept, dict) or kept.get("role") != given.get("role"):
        return False
    content = kept.get("content") or kept.get("content_parts")
    if not equal(_text(content), _text(given.get("content"))):
        return False
    return all(
        key not in given or key not in kept or _holds(kept[key], given[key]) for key in ("tool_calls", "tool_call_id")
    )


def _holds(kept: Json, given: Json) -> bool:
    """Equal, but for further keys of objects."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return all(key in kept and _holds(kept[key], value) for key, value in given.items())
    if isinstance(given, list) and isinstance(kept, list):
        return len(given) == len(kept) and all(map(_holds, kept, given))
    return equal(given, kept)


@on_steps("storage.messages.are_the_input", Kind.MESSAGES, values=("content",))
def messages_are_the_input(step: Step, terms: Terms) -> Said:
    """The messages are those of the request, in order and unchanged; the answer may follow them."""
    given, kept = _input(step), entries(step.exchange)
    if not given or kept is None or step.call.query != Query() or len(given) > 20:
        return
    for place, message in enumerate(given):
        found = kept[place] if place < len(kept) else None
        if not _same(message, found):
            yield at_body(step.exchange, f"/data/{place}", show(message, 120), show(found, 120) if found else "absent")
            return
    if len(kept) > len(given) + 1:
        yield at_body(step.exchange, "/data", f"{len(given)} messages, or the answer besides", f"{len(kept)} messages")
    else:
        yield None


@on_steps("storage.messages.show_content_parts", Kind.MESSAGES, values=("content",))
def messages_show_content_parts(step: Step, terms: Terms) -> Said:
    """`content_parts` is null for a string and the array for content that was given as parts."""
    given, kept = _input(step), entries(step.exchange)
    if not given or kept is None or step.call.query != Query():
        return
    for place, (message, found) in enumerate(zip(given, kept, strict=False)):
        parts = found.get("content_parts", ...) if isinstance(found, dict) else ...
        wanted = message["content"] if isinstance(message.get("content"), list) else None
        fits = isinstance(parts, list) and len(parts) == len(wanted) if wanted is not None else parts is None
        if not fits:
            observed = "absent" if parts is ... else show(parts, 80)
            expected = "null" if wanted is None else f"{len(wanted)} parts"
            yield at_body(step.exchange, f"/data/{place}/content_parts", expected, observed)
            return
    yield None


@on_steps("storage.messages.order_is_kept", Kind.MESSAGES, values=("content",))
def messages_order_is_kept(step: Step, terms: Terms) -> Said:
    """With `order=desc` the messages come in reverse."""
    given, kept, query = _input(step), entries(step.exchange), step.call.query
    if not given or len(given) < 2 or not kept or query.order != "desc" or query.after is not None:
        return
    # The answer may stand behind the input, and then comes first.
    rest = kept[1:] if len(kept) == len(given) + 1 else kept
    for place, (message, found) in enumerate(zip(reversed(given), rest, strict=False)):
        if not _same(message, found):
            yield at_body(step.exchange, f"/data/{place}", show(message, 120), show(found, 120))
            return
    yield None


@rule("storage.messages.after_excludes_the_cursor", on=Single, reads=BODY, values=("id",), when=_given)
def messages_after_excludes_the_cursor(trace: Single, terms: Terms) -> Verdicts:
    """A page of messages after a message does not hold that message."""
    after, found = query_of(trace.exchange).after, ids(trace.exchange)
    if after is None or not found:
        yield Vacuous(Reason.NOT_APPLICABLE)
    elif after in found:
        yield at_body(trace.exchange, f"/data/{found.index(after)}/id", f"messages after {after}", "the message itself")
