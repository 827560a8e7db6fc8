"""What rules on streams share: which payloads were lost on the way, which chunks count, and where findings stand.

One root cause, one finding: where framing lost a payload, or choices cannot be told apart, the rules on what the
chunks add up to are silent, as they would only say it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from conformance.rules.base import Finding, Terms
from conformance.rules.conditions import is_stream
from conformance.wire.deltas import Assembly, Chunk, Irregular
from conformance.wire.event_stream import Event, EventStream, StrayLine
from conformance.wire.exchange import Exchange, Facet, header_values
from conformance.wire.strict_json import Json, is_integer, parse
from conformance.wire.traces import Single

_EMPTY = Assembly()
_UNKNOWN_FIELD = re.compile(r"[A-Za-z_][\w.-]*(:|$)")
"""What a field of a later standard may look like; anything else on a line of its own is text that was lost."""
_TELLING_FIELDS = frozenset({"data", "error"})


def stream_of(exchange: Exchange) -> EventStream:
    """The event stream; an empty one where the body is none."""
    return exchange.events or EventStream()


def assembly_of(exchange: Exchange) -> Assembly:
    """The reassembled chunks; an empty assembly where there are none."""
    return exchange.assembly or _EMPTY


def is_done_but_inexact(event: Event) -> bool:
    """The sentinel in another spelling: in small letters, in quotes, with spaces around it."""
    return not event.is_done and len(event.data) < 12 and event.data.strip("\"' \t").upper() == "[DONE]"


def _is_payload(text: str) -> bool:
    text = text.strip()
    return text == "[DONE]" or (text.startswith("{") and isinstance(parse(text).value, dict))


def is_glued(event: Event) -> bool:
    """Several payloads in one event: the blank line between them is missing."""
    return event.data_lines > 1 and all(map(_is_payload, event.data.split("\n")))


def carries_payload(line: StrayLine) -> bool:
    """A line that is no field, and more than an unknown field that readers may pass over."""
    if not _UNKNOWN_FIELD.match(line.text):
        return True
    name, _, value = line.text.partition(":")
    return name.lower() in _TELLING_FIELDS or _is_payload(value)


def hidden_payload(comment: str) -> bool:
    """A comment that holds a JSON object or the sentinel, with or without `data:` before it."""
    text = comment.strip()
    return _is_payload(text[5:] if text.startswith("data:") else text)


def intact(exchange: Exchange) -> bool:
    """No payload was lost to framing, bad bytes or unreadable JSON: what the chunks add up to is what was sent."""
    stream = stream_of(exchange)
    if stream.bad_utf8:
        return False
    last = stream.unfinished
    if last is not None and last.data_lines and not (last.is_done or is_done_but_inexact(last)):
        return False
    for irregular in assembly_of(exchange).having(Irregular.PAYLOAD_UNREADABLE, Irregular.PAYLOAD_NOT_OBJECT):
        event = stream.events[irregular.chunk]
        if event.data and not is_done_but_inexact(event):
            return False
    return not any(map(carries_payload, stream.strays)) and not any(map(hidden_payload, stream.comments))


def ends_in_done(exchange: Exchange) -> bool:
    """The sentinel came, in whatever spelling, and be it without the blank line after it."""
    if assembly_of(exchange).done:
        return True
    stream = stream_of(exchange)
    last = stream.unfinished if stream.unfinished is not None else (stream.events[-1] if stream.events else None)
    return last is not None and (last.data.endswith("[DONE]") or is_done_but_inexact(last))


def ended_unsaid(exchange: Exchange) -> bool:
    """The stream ended in order without the sentinel, without an error, and with a choice unfinished or none at all.

    False where the recording does not keep the stream's end.
    """
    assembly = assembly_of(exchange)
    if Facet.FRAMING not in exchange.facets or assembly.errors or ends_in_done(exchange) or is_spoken(exchange):
        return False
    return not assembly.choices or any(choice.finish_reason is None for choice in assembly.choices)


def is_spoken(exchange: Exchange) -> bool:
    """An audio stream: its chunks may lack choices, and it gives no finish_reason."""
    chat = exchange.request.chat
    modalities = chat.body.get("modalities") if chat is not None else None
    if isinstance(modalities, list) and "audio" in modalities:
        return True
    return any(
        isinstance(choice.get("delta"), dict) and choice["delta"].get("audio")
        for chunk in assembly_of(exchange).chunks[:4]
        for choice in chunk.choices
    )


def has_idempotency_key(exchange: Exchange, terms: Terms) -> bool:
    """The request carries the header by which the dialect's clients make requests idempotent."""
    name = terms.dialect.convention("idempotency.header")
    return isinstance(name, str) and bool(header_values(exchange.request.headers, name))


def is_warning(chunk: Chunk) -> bool:
    """A payload that is no chunk: it has no choices and calls itself none."""
    return "choices" not in chunk.value and chunk.value.get("object") != "chat.completion.chunk"


def chunks_of(exchange: Exchange, terms: Terms) -> tuple[Chunk, ...]:
    """The chunks, without the warning that a dialect with idempotency keys sends before them."""
    chunks = assembly_of(exchange).chunks
    if chunks and is_warning(chunks[0]) and terms.dialect.convention("idempotency.header") is not None:
        return chunks[1:]
    return chunks


def parts_of(exchange: Exchange, terms: Terms) -> tuple[Chunk, ...]:
    """The chunks that are parts of the completion, without those that only annotate its prompt.

    A filter in front may speak before there is a completion to name; the dialect says by which members it does.
    """
    found = terms.dialect.convention("chunk.annotations")
    members = found if isinstance(found, (list, tuple)) else ()

    def annotates(chunk: Chunk) -> bool:
        value = chunk.value
        return value.get("choices") == [] and not value.get("usage") and any(name in value for name in members)

    return tuple(chunk for chunk in chunks_of(exchange, terms) if not annotates(chunk))


def choices_in(chunk: Chunk) -> Iterator[tuple[str, dict[str, Json]]]:
    """The choices of a chunk that are objects, each with its pointer."""
    found = chunk.value.get("choices")
    for place, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield f"/choices/{place}", item


def indices_fit(exchange: Exchange) -> bool:
    """The choices can be told apart: every index is an integer, and together they are 0 to one less than their number.

    Where the request is known, the number is the one that it asks for.
    """
    assembly = assembly_of(exchange)
    if any(True for _ in assembly.having(Irregular.CHOICE_INDEX_MISSING, Irregular.CHOICE_INDEX_BAD)):
        return False
    chat = exchange.request.chat
    wanted = chat.n if chat is not None else None
    found = {choice.index for choice in assembly.choices}
    return found == set(range(wanted if is_integer(wanted) and 0 < wanted <= 128 else len(found)))


def tells_choices_apart(trace: Single, terms: Terms) -> bool:
    """A condition: an intact stream whose chunks can be added up, choice by choice."""
    exchange = trace.exchange
    return is_stream(exchange) and intact(exchange) and bool(assembly_of(exchange).choices) and indices_fit(exchange)


def has_chunks(trace: Single, terms: Terms) -> bool:
    """A condition: a 2xx event stream with at least one chunk."""
    return is_stream(trace.exchange) and bool(chunks_of(trace.exchange, terms))


def one_per_place(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The first finding at each normalised place: a fault in every chunk is one fault."""
    seen: set[str] = set()
    for finding in findings:
        if finding.place not in seen:
            seen.add(finding.place)
            yield finding
