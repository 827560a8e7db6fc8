"""Errors of streamed requests: refused by a status, announced in the stream, and never an end without a word."""

from __future__ import annotations

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
    at_status,
    rule,
)
from conformance.rules.conditions import STREAM, every, is_chat, is_error, on
from conformance.rules.stream_view import assembly_of, choices_in, ended_unsaid, intact, stream_of
from conformance.wire.deltas import Chunk
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, is_integer, show
from conformance.wire.traces import Parity, Single, Trace

_NOT_OF_THE_REQUEST = frozenset({408, 409, 425, 429})
"""4xx statuses that may differ between two sendings of one request."""


def _wants_stream(exchange: Exchange) -> bool:
    chat = exchange.request.chat
    return is_chat(exchange) and chat is not None and chat.stream is True


def _refused(exchange: Exchange) -> bool:
    status = exchange.status or 0
    return 400 <= status < 500 and status not in _NOT_OF_THE_REQUEST


def _early_error(exchange: Exchange) -> Json:
    """The error that a 2xx answer to a streamed request holds before any output, or None."""
    assembly = exchange.assembly
    if assembly is None:
        body = exchange.document.value
        return body.get("error") if isinstance(body, dict) and not body.get("choices") else None
    if not assembly.errors or any(map(_says_something, assembly.chunks)):
        return None
    return assembly.errors[0].value["error"]


def _says_something(chunk: Chunk) -> bool:
    """A delta holds more than its role: text, calls, or the thoughts that some servers stream."""
    deltas = (choice.get("delta") for _, choice in choices_in(chunk))
    return any(value for delta in deltas if isinstance(delta, dict) for key, value in delta.items() if key != "role")


def _blames_the_request(error: Json, terms: Terms) -> bool:
    """The error calls itself one that the client caused: by its type, or by a status or code of 4xx."""
    if not isinstance(error, dict):
        return False
    status = next((error[key] for key in ("code", "status", "status_code") if is_integer(error.get(key))), None)
    if status is not None:
        return 400 <= status < 500 and status not in _NOT_OF_THE_REQUEST
    return isinstance(error.get("type"), str) and error["type"] in terms.dialect.error("invalid_request").types


def _is_refused_stream(trace: Trace, terms: Terms) -> bool:
    return _wants_stream(trace.exchanges[-1])


@rule(
    "stream_errors.refusal.has_an_error_status",
    on=Single,
    also=(Parity,),
    reads={Facet.REQUEST, Facet.STATUS, Facet.BODY},
    when=_is_refused_stream,
)
def refusal_has_an_error_status(trace: Trace, terms: Terms) -> Verdicts:
    """A streamed request that is refused is refused by its status.

    By itself, an answer shows a refusal in a 2xx if its error blames the request; beside the same request unstreamed
    and refused, any error instead of output does.
    """
    exchange = trace.exchanges[-1]
    if _refused(exchange):
        return
    error = _early_error(exchange) if (exchange.status or 0) < 300 else None
    if not error:
        yield NOT_APPLICABLE
        return
    alone = isinstance(trace, Single)
    if alone and not _blames_the_request(error, terms):
        yield Vacuous(Reason.NO_CONTROL, "whose fault the error is cannot be told")
    elif alone or all(map(_refused, trace.exchanges[:-1])):
        yield Finding(exchange.id, Part.STATUS, "an error status", f"status {exchange.status} and {show(error)}")


@rule("stream_errors.refusal.has_the_same_status", on=Parity, reads={Facet.STATUS}, when=_is_refused_stream)
def refusal_has_the_same_status(trace: Parity, terms: Terms) -> Verdicts:
    """Both modes are refused by one status; a refusal by 2xx is another rule's."""
    plain = {exchange.status for exchange in trace.unstreamed}
    if len(plain) != 1 or not all(map(_refused, trace.exchanges)):
        yield NOT_APPLICABLE
    elif trace.streamed.status not in plain:
        yield at_status(trace.streamed, f"status {plain.pop()}, as unstreamed")


@rule(
    "stream_errors.refusal.is_plain_json",
    on=Single,
    reads={Facet.REQUEST, Facet.STATUS, Facet.CONTENT_TYPE, Facet.BODY},
    when=every(on(is_error), on(_wants_stream)),
)
def refusal_is_plain_json(trace: Single, terms: Terms) -> Verdicts:
    """An error status comes without an event stream, declared or not."""
    exchange = trace.exchange
    if exchange.media_type == "text/event-stream":
        yield at_header(exchange, "content-type", "application/json")
    elif exchange.body.lstrip()[:5] == b"data:":
        yield Finding(exchange.id, Part.BODY, "a JSON body", show(exchange.body[:60].decode("utf-8", "replace")))


def _events_with_error(exchange: Exchange) -> list[Chunk]:
    """Payloads that carry an error and no choices: those with choices are another rule's."""
    return [chunk for chunk in assembly_of(exchange).errors if not chunk.value.get("choices")]


def _broke_off(trace: Single, terms: Terms) -> bool:
    return STREAM(trace, terms) and bool(_events_with_error(trace.exchange))


@rule("stream_errors.event.is_an_error_object", on=Single, reads={Facet.BODY}, when=_broke_off)
def event_is_an_error_object(trace: Single, terms: Terms) -> Verdicts:
    """The error is an object, and its message a non-empty string."""
    for chunk in _events_with_error(trace.exchange)[:1]:
        error = chunk.value["error"]
        if not isinstance(error, dict):
            yield at_chunk(trace.exchange, chunk.position, "/error", "an object", show(error))
        elif not (isinstance(error.get("message"), str) and error["message"]):
            where = "/error/message"
            yield at_chunk(trace.exchange, chunk.position, where, "a non-empty string", show(error.get("message")))


@rule("stream_errors.event.has_type_and_code", on=Single, reads={Facet.BODY, Facet.KEYS_COMPLETE}, when=_broke_off)
def event_has_type_and_code(trace: Single, terms: Terms) -> Verdicts:
    """The error object has a type that is a string, and the key code; an error that is no object is another rule's."""
    for chunk in _events_with_error(trace.exchange)[:1]:
        error = chunk.value["error"]
        if not isinstance(error, dict):
            yield NOT_APPLICABLE
        elif not isinstance(error.get("type"), str):
            yield at_chunk(trace.exchange, chunk.position, "/error/type", "a string", show(error.get("type")))
        elif "code" not in error:
            yield at_chunk(trace.exchange, chunk.position, "/error/code", "the key code", "absent")


@rule("stream_errors.event.ends_the_stream", on=Single, reads={Facet.BODY}, when=_broke_off)
def event_ends_the_stream(trace: Single, terms: Terms) -> Verdicts:
    """After the error no chunk brings more output; a finish_reason there is another rule's."""
    error = _events_with_error(trace.exchange)[0].position
    for chunk in assembly_of(trace.exchange).chunks:
        if chunk.position > error and any(_speaks(choice.get("delta")) for choice in chunk.choices):
            yield at_chunk(trace.exchange, chunk.position, "/choices", "nothing after the error", show(chunk.value))
            return


def _speaks(delta: Json) -> bool:
    return isinstance(delta, dict) and any(delta.get(key) for key in ("content", "refusal", "tool_calls"))


@rule("stream_errors.event.has_no_finish_beside_it", on=Single, reads={Facet.BODY}, when=_broke_off)
def event_has_no_finish_beside_it(trace: Single, terms: Terms) -> Verdicts:
    """After the error no choice gets a finish_reason."""
    error = _events_with_error(trace.exchange)[0].position
    for choice in assembly_of(trace.exchange).choices:
        if choice.finish_chunk is not None and choice.finish_chunk > error:
            where = "/choices/0/finish_reason"
            yield at_chunk(
                trace.exchange, choice.finish_chunk, where, "none after an error", show(choice.finish_reason)
            )
            return


@rule("stream_errors.end.is_not_silent", on=Single, reads={Facet.FRAMING}, when=STREAM)
def end_is_not_silent(trace: Single, terms: Terms) -> Verdicts:
    """A stream without the sentinel and without an error has finished all its choices."""
    exchange = trace.exchange
    if not ended_unsaid(exchange):
        return
    lost = [line for line in stream_of(exchange).strays if not line.text.isspace()]
    if lost or not (intact(exchange) or _is_cut_inside(exchange)):
        yield NOT_APPLICABLE
        return
    last = stream_of(exchange).events[-1:]
    observed = show(last[0].data[-80:]) if last else "an empty stream"
    yield at_chunk(exchange, len(stream_of(exchange).events) - 1 if last else None, "", "an end that is said", observed)


def _is_cut_inside(exchange: Exchange) -> bool:
    """The body ends inside a payload, and nothing else is wrong with it."""
    last = stream_of(exchange).unfinished
    return last is not None and not last.document.ok
