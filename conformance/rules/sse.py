"""Event-stream framing: bytes, lines, blank lines, payloads, the sentinel, and how the pieces arrive."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Part,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_chunk,
    at_header,
    at_sequence,
    rule,
)
from conformance.rules.conditions import STREAM, asked_for_stream, every, is_chat, on
from conformance.rules.stream_view import (
    assembly_of,
    carries_payload,
    ended_unsaid,
    ends_in_done,
    hidden_payload,
    intact,
    is_done_but_inexact,
    is_glued,
    stream_of,
)
from conformance.wire.event_stream import Event
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import kind, show
from conformance.wire.traces import Single

_ASKED = every(on(is_chat), on(asked_for_stream))
_NETWORK_SLACK = 5.0
"""Seconds that a comment may be late: buffers and scheduling on the way."""
_LONG_CHUNKS, _LONG_MILLISECONDS = 64, 2000.0
_BURST_MILLISECONDS_PER_CHUNK = 0.1
"""Ten thousand chunks a second: no model generates them one by one, so they were kept and sent together."""


def _has_events(trace: Single, terms: Terms) -> bool:
    return STREAM(trace, terms) and bool(stream_of(trace.exchange).events)


def _at_byte(exchange: Exchange, byte: int, expected: str, observed: str) -> Finding:
    return Finding(exchange.id, Part.BODY, expected, observed, "", None, byte)


def _at_event(exchange: Exchange, position: int, expected: str, observed: str) -> Finding:
    event = stream_of(exchange).events[position]
    return Finding(exchange.id, Part.CHUNK, expected, observed, "", position, event.start)


def _first(findings: Iterator[Finding]) -> Iterator[Finding]:
    found = next(findings, None)
    if found is not None:
        yield found


@rule("sse.request.gets_a_stream", on=Single, reads={Facet.REQUEST, Facet.BODY_BYTES, Facet.CONTENT_TYPE}, when=_ASKED)
def request_gets_a_stream(trace: Single, terms: Terms) -> Verdicts:
    """A request for a stream is not answered by one JSON body; an error in such a body is another rule's."""
    exchange = trace.exchange
    if exchange.is_event_stream:
        return
    body = exchange.document.value
    if isinstance(body, dict) and body.get("error"):
        yield NOT_APPLICABLE
        return
    yield _at_byte(exchange, 0, "an event stream", f"{exchange.media_type or 'no content type'}: {_head(exchange)}")


def _head(exchange: Exchange) -> str:
    return show(exchange.body[:60].decode("utf-8", "replace"))


@rule(
    "sse.content_type.is_event_stream",
    on=Single,
    reads={Facet.REQUEST, Facet.CONTENT_TYPE, Facet.BODY_BYTES},
    when=every(_ASKED, STREAM),
)
def content_type_is_event_stream(trace: Single, terms: Terms) -> Verdicts:
    """A body that is an event stream is declared as one."""
    if trace.exchange.media_type != "text/event-stream":
        yield at_header(trace.exchange, "content-type", "text/event-stream")


@rule("sse.encoding.is_utf8", on=Single, reads={Facet.BODY_BYTES}, when=STREAM)
def encoding_is_utf8(trace: Single, terms: Terms) -> Verdicts:
    """Every line decodes as UTF-8 by itself."""
    for start in stream_of(trace.exchange).bad_utf8[:1]:
        yield _at_byte(trace.exchange, start, "UTF-8", "a line that does not decode")


@rule("sse.encoding.no_byte_order_mark", on=Single, reads={Facet.BODY_BYTES}, when=STREAM)
def encoding_no_byte_order_mark(trace: Single, terms: Terms) -> Verdicts:
    """The first bytes are no byte order mark."""
    if stream_of(trace.exchange).has_bom:
        yield _at_byte(trace.exchange, 0, "no byte order mark", "EF BB BF")


@rule("sse.lines.carry_no_payload_outside_fields", on=Single, reads={Facet.FRAMING}, when=STREAM)
def lines_carry_no_payload_outside_fields(trace: Single, terms: Terms) -> Verdicts:
    """A line that is no field is at most an unknown field, and holds no JSON, error or sentinel."""
    lost = [line for line in stream_of(trace.exchange).strays if carries_payload(line)]
    if lost:
        yield _at_byte(
            trace.exchange,
            lost[0].start,
            "every payload after data:",
            f"line {lost[0].line} of {len(lost)} such: {show(lost[0].text[:80])}",
        )


@rule("sse.events.end_with_blank_line", on=Single, reads={Facet.FRAMING}, when=STREAM)
def events_end_with_blank_line(trace: Single, terms: Terms) -> Verdicts:
    """No two payloads share an event, and the last event is closed too.

    A payload that breaks off in its middle is not unclosed but cut, which is another rule's.
    """
    exchange, stream = trace.exchange, stream_of(trace.exchange)
    for position, event in enumerate(stream.events):
        if is_glued(event):
            yield _at_event(exchange, position, "a blank line after each event", f"{event.data_lines} payloads in one")
            return
    last = stream.unfinished
    if last is not None and last.data_lines and (last.document.ok or last.is_done or is_glued(last)):
        yield _at_byte(exchange, last.start, "a blank line at the end", f"end of body after {show(last.data[:60])}")


@rule("sse.comments.carry_no_payload", on=Single, reads={Facet.FRAMING}, when=STREAM)
def comments_carry_no_payload(trace: Single, terms: Terms) -> Verdicts:
    """A comment holds no JSON object and no sentinel."""
    for comment in filter(hidden_payload, stream_of(trace.exchange).comments):
        yield at_sequence(trace.exchange, "", "payloads after data:", f"a comment: {show(comment[:80])}")
        return


@rule(
    "sse.comments.keep_a_silent_stream_alive",
    on=Single,
    reads={Facet.FRAMING, Facet.PIECES, Facet.TIMES},
    when=STREAM,
)
def comments_keep_a_silent_stream_alive(trace: Single, terms: Terms) -> Verdicts:
    """Between two pieces of a stream there is no longer silence than the dialect's, and some slack for the network."""
    seconds = terms.dialect.limit("keep_alive.seconds")
    times = [time for time, _ in trace.exchange.pieces]
    if not isinstance(seconds, (int, float)) or not times or times[-1] - times[0] <= 1000 * seconds:
        yield Vacuous(Reason.MODEL_FREE, "the stream was never silent for long")
        return
    longest = max(later - earlier for earlier, later in pairwise(times))
    if longest > 1000 * (seconds + _NETWORK_SLACK):
        yield at_sequence(trace.exchange, "", f"a comment every {seconds} s", f"{longest / 1000:.1f} s of silence")


@rule("sse.events.have_one_data_line", on=Single, reads={Facet.FRAMING}, when=_has_events)
def events_have_one_data_line(trace: Single, terms: Terms) -> Verdicts:
    """No event has several data lines; payloads that share an event are another rule's."""
    yield from _first(
        _at_event(trace.exchange, position, "one data line", f"{event.data_lines} data lines")
        for position, event in enumerate(stream_of(trace.exchange).events)
        if event.data_lines > 1 and not is_glued(event)
    )


def _carries_error(event: Event) -> bool:
    return isinstance(event.document.value, dict) and bool(event.document.value.get("error"))


@rule("sse.events.are_unnamed", on=Single, reads={Facet.FRAMING}, when=_has_events)
def events_are_unnamed(trace: Single, terms: Terms) -> Verdicts:
    """No event with data has a name, errors apart."""
    yield from _first(
        _at_event(trace.exchange, position, "no event field", f"event: {event.name[:60]}")
        for position, event in enumerate(stream_of(trace.exchange).events)
        if event.name and event.data and not _carries_error(event)
    )


@rule("sse.events.have_data", on=Single, reads={Facet.FRAMING}, when=_has_events)
def events_have_data(trace: Single, terms: Terms) -> Verdicts:
    """Every block of fields has data that is not empty."""
    yield from _first(
        _at_event(trace.exchange, position, "an event with data", "empty data" if event.data_lines else "no data line")
        for position, event in enumerate(stream_of(trace.exchange).events)
        if not event.data
    )


@rule("sse.events.no_id_beside_comments", on=Single, reads={Facet.FRAMING}, when=_has_events)
def events_no_id_beside_comments(trace: Single, terms: Terms) -> Verdicts:
    """Where there are comments, no event has an id."""
    stream = stream_of(trace.exchange)
    if not stream.comments and not any(event.id for event in stream.events):
        yield NOT_APPLICABLE
    elif stream.comments:
        yield from _first(
            _at_event(trace.exchange, position, "no id beside comments", f"id: {show(event.id)}")
            for position, event in enumerate(stream.events)
            if event.id
        )


@rule("sse.payload.is_a_json_object", on=Single, reads={Facet.BODY}, when=_has_events)
def payload_is_a_json_object(trace: Single, terms: Terms) -> Verdicts:
    """Every payload but the sentinel parses to an object; empty and shared events are other rules'."""
    for position, event in enumerate(stream_of(trace.exchange).events):
        if not event.data or event.is_done or is_done_but_inexact(event) or is_glued(event):
            continue
        document = event.document
        if not document.ok or not isinstance(document.value, dict):
            seen = kind(document.value) if document.ok else f"no JSON: {show(event.data[:80])}"
            yield _at_event(trace.exchange, position, "one JSON object", seen)
            return


@rule("sse.done.is_sent", on=Single, reads={Facet.FRAMING}, when=STREAM)
def done_is_sent(trace: Single, terms: Terms) -> Verdicts:
    """A stream whose choices finished ends with the sentinel; an error may end it too, and a cut is another rule's."""
    exchange, events = trace.exchange, stream_of(trace.exchange).events
    if not events or assembly_of(exchange).errors or not intact(exchange) or ended_unsaid(exchange):
        yield NOT_APPLICABLE
    elif not ends_in_done(exchange):
        yield at_chunk(exchange, len(events) - 1, "", "[DONE] as the last event", show(events[-1].data[-80:]))


@rule("sse.done.is_exact", on=Single, reads={Facet.FRAMING}, when=_has_events)
def done_is_exact(trace: Single, terms: Terms) -> Verdicts:
    """No event is the sentinel in another spelling."""
    yield from _first(
        _at_event(trace.exchange, position, "[DONE]", show(event.data))
        for position, event in enumerate(stream_of(trace.exchange).events)
        if is_done_but_inexact(event)
    )


@rule("sse.done.is_sent_once", on=Single, reads={Facet.FRAMING}, when=_has_events)
def done_is_sent_once(trace: Single, terms: Terms) -> Verdicts:
    """At most one event is the sentinel."""
    positions = stream_of(trace.exchange).done_positions
    if len(positions) > 1:
        yield _at_event(trace.exchange, positions[1], "[DONE] once", f"{len(positions)} times")


@rule("sse.done.is_last", on=Single, reads={Facet.FRAMING}, when=_has_events)
def done_is_last(trace: Single, terms: Terms) -> Verdicts:
    """After the sentinel comes no other event with data."""
    stream = stream_of(trace.exchange)
    if not stream.done_positions:
        yield NOT_APPLICABLE
        return
    yield from _first(
        _at_event(trace.exchange, position, "nothing after [DONE]", show(event.data[:80]))
        for position, event in enumerate(stream.events)
        if position > stream.done_positions[0] and event.data and not event.is_done
    )


@rule("sse.arrival.is_incremental", on=Single, reads={Facet.BODY, Facet.PIECES, Facet.TIMES}, when=_has_events)
def arrival_is_incremental(trace: Single, terms: Terms) -> Verdicts:
    """A long stream that took long does not arrive faster than it can have been made.

    Short streams, and endpoints that answer at once, show nothing.
    """
    pieces, count = trace.exchange.pieces, len(assembly_of(trace.exchange).chunks)
    if count < _LONG_CHUNKS or not pieces or pieces[-1][0] < _LONG_MILLISECONDS:
        yield Vacuous(Reason.MODEL_FREE, "too short or too fast to tell")
        return
    spread = pieces[-1][0] - pieces[0][0]
    if spread < count * _BURST_MILLISECONDS_PER_CHUNK:
        observed = f"{count} chunks within {spread:.0f} ms after {pieces[0][0]:.0f} ms"
        yield at_sequence(trace.exchange, "", "chunks as they are made", observed)


def _cache_control(exchange: Exchange) -> set[str]:
    return {word.strip().lower() for word in (exchange.header("cache-control") or "").split(",")}


@rule("sse.headers.forbid_caching", on=Single, reads={Facet.HEADERS}, when=STREAM)
def headers_forbid_caching(trace: Single, terms: Terms) -> Verdicts:
    """Cache-Control has no-cache; no-store forbids more and is as good."""
    if not _cache_control(trace.exchange) & {"no-cache", "no-store"}:
        yield at_header(trace.exchange, "cache-control", "no-cache")


@rule("sse.headers.forbid_transforming", on=Single, reads={Facet.HEADERS}, when=STREAM)
def headers_forbid_transforming(trace: Single, terms: Terms) -> Verdicts:
    """Cache-Control has no-transform."""
    if "no-transform" not in _cache_control(trace.exchange):
        yield at_header(trace.exchange, "cache-control", "no-transform")
