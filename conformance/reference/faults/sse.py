"""Event streams whose bytes, lines, events, sentinel or headers are wrong."""

from __future__ import annotations

import json
from dataclasses import replace

from conformance.reference.payloads import Payloads, chunks_in
from conformance.reference.rewriting import is_stream, joined
from conformance.reference.stages import Context, Reply, Stage, fault
from conformance.wire.event_stream import DONE
from conformance.wire.strict_json import Json

_LINES = "sse.lines.carry_no_payload_outside_fields"
_BLANK = "sse.events.end_with_blank_line"
_PAYLOAD = "sse.payload.is_a_json_object"


def _many(context: Context) -> bool:
    return (context.chat.n or 1) > 1


@fault("sf-stream-ignored", at=Stage.DEMAND, violates=["sse.request.gets_a_stream"])
def stream_ignored(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """`stream: true` is ignored: the answer is one JSON body."""
    return {**demand, "stream": False}


@fault(
    "sf-stream-ignored-with-tools",
    at=Stage.DEMAND,
    violates=["sse.request.gets_a_stream"],
    condition="only if tools are declared",
)
def stream_ignored_with_tools(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """With tools declared, `stream: true` is ignored."""
    return {**demand, "stream": False} if demand.get("tools") else demand


@fault(
    "sf-stream-ignored-for-many",
    at=Stage.DEMAND,
    violates=["sse.request.gets_a_stream"],
    dialects=("openai",),
    condition="only if n is more than 1",
)
def stream_ignored_for_many(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """With n of 2 and more, `stream: true` is ignored."""
    return {**demand, "stream": False} if _many(context) else demand


def _declared_as(reply: Reply, media_type: str | None) -> Reply:
    if not is_stream(reply):
        return reply
    kept = tuple((name, value) for name, value in reply.headers if name.lower() != "content-type")
    return replace(reply, headers=kept if media_type is None else (("content-type", media_type), *kept))


@fault(
    "sf-content-type-missing",
    at=Stage.REPLY,
    violates=["sse.content_type.is_event_stream"],
    thread="https://github.com/nearai/private-ml-sdk/pull/20",
)
def content_type_missing(reply: Reply, context: Context) -> Reply:
    """Streams come without a content type."""
    return _declared_as(reply, None)


@fault("sf-content-type-json", at=Stage.REPLY, violates=["sse.content_type.is_event_stream"])
def content_type_json(reply: Reply, context: Context) -> Reply:
    """Streams are declared as application/json."""
    return _declared_as(reply, "application/json")


@fault("sf-content-type-ndjson", at=Stage.REPLY, violates=["sse.request.gets_a_stream"])
def content_type_ndjson(reply: Reply, context: Context) -> Reply:
    """Streams are lines of bare JSON, declared as application/x-ndjson."""
    if not is_stream(reply):
        return reply
    lines = [line[6:] for line in joined(reply).split(b"\n") if line.startswith(b"data: {")]
    return replace(_declared_as(reply, "application/x-ndjson"), pieces=((0.0, b"\n".join(lines) + b"\n"),))


@fault(
    "sf-latin-1",
    at=Stage.FRAMES,
    violates=["sse.encoding.is_utf8"],
    entails={
        "stream_tools.parity.same_arguments": "a byte that does not decode is read as U+FFFD",
        "structured_output.strict.answer_satisfies_the_schema": "so are those of JSON answers",
        "tools.strict.arguments_satisfy_the_schema": "so are those of property names",
    },
    condition="only for text with characters of Latin-1",
)
def latin_1(frames: list[bytes], context: Context) -> list[bytes]:
    """Characters up to U+00FF are sent as single bytes."""
    return [b"".join(_in_latin_1(character) for character in frame.decode("utf-8")) for frame in frames]


def _in_latin_1(character: str) -> bytes:
    return character.encode("latin-1") if character < "\u0100" else character.encode("utf-8")


@fault("sf-byte-order-mark", at=Stage.FRAMES, violates=["sse.encoding.no_byte_order_mark"])
def byte_order_mark(frames: list[bytes], context: Context) -> list[bytes]:
    """Streams begin with a byte order mark."""
    return [b"\xef\xbb\xbf" + frames[0], *frames[1:]] if frames else frames


@fault(
    "sf-no-data-prefix",
    at=Stage.FRAMES,
    violates=[_LINES],
    thread="https://github.com/kserve/kserve/issues/2788",
)
def no_data_prefix(frames: list[bytes], context: Context) -> list[bytes]:
    """Payloads come as bare lines, without `data:`."""
    return [frame.removeprefix(b"data: ") for frame in frames]


@fault("sf-no-data-prefix-on-usage", at=Stage.FRAMES, violates=[_LINES], condition="only the chunk with usage")
def no_data_prefix_on_usage(frames: list[bytes], context: Context) -> list[bytes]:
    """The chunk with usage comes as a bare line."""
    return [frame.removeprefix(b"data: ") if b'"usage":{' in frame else frame for frame in frames]


@fault("sf-data-in-capitals", at=Stage.FRAMES, violates=[_LINES])
def data_in_capitals(frames: list[bytes], context: Context) -> list[bytes]:
    """The field is spelled `Data:`, which no reader knows."""
    return [b"Data" + frame[4:] if frame.startswith(b"data") else frame for frame in frames]


@fault(
    "sf-raw-error-line",
    at=Stage.FRAMES,
    violates=[_LINES],
    thread="https://github.com/lemonade-sdk/lemonade/pull/2975",
    condition="only if more than one choice is asked for",
    dialects=("openai",),
)
def raw_error_line(frames: list[bytes], context: Context) -> list[bytes]:
    """The backend's error body is written into the open stream as it is."""
    error = b'{"error":{"message":"The backend failed.","type":"server_error","code":500}}\n'
    return [*frames[:3], error] if _many(context) else frames


@fault("sf-error-field", at=Stage.FRAMES, violates=[_LINES], condition="only if the text is not ASCII")
def error_field(frames: list[bytes], context: Context) -> list[bytes]:
    """An error is sent in a field called `error`, which no reader knows."""
    return [*frames[:-1], b'error: {"code":500}\n\n', *frames[-1:]] if not b"".join(frames).isascii() else frames


@fault(
    "sf-pretty-json-broken",
    at=Stage.FRAMES,
    violates=[_LINES],
    entails={
        _PAYLOAD: "what stands on the data line is the beginning of an object",
    },
)
def pretty_json_broken(frames: list[bytes], context: Context) -> list[bytes]:
    """JSON is indented over several lines, of which only the first has `data:`."""
    return [_indented(frame) for frame in frames]


def _indented(frame: bytes) -> bytes:
    payload = frame.removeprefix(b"data: ").strip()
    if not payload.startswith(b"{"):
        return frame
    return b"data: " + json.dumps(json.loads(payload), indent=1, ensure_ascii=False).encode() + b"\n\n"


@fault(
    "sf-pretty-json",
    at=Stage.FRAMES,
    violates=["sse.events.have_one_data_line"],
    dialects=("xerotier", "aurous"),
)
def pretty_json(frames: list[bytes], context: Context) -> list[bytes]:
    """JSON is indented over several data lines."""
    return [_indented(frame).rstrip(b"\n").replace(b"\n", b"\ndata: ") + b"\n\n" for frame in frames]


_BUFFER = 1024
"""Bytes that one event of a careless writer holds."""


@fault(
    "sf-long-events-cut",
    at=Stage.FRAMES,
    violates=["sse.payload.is_a_json_object"],
    dialects=("openai", "xerotier"),
    condition="only in chunks of more than a kilobyte",
)
def long_events_cut(frames: list[bytes], context: Context) -> list[bytes]:
    """Events that fill a buffer go out as two."""
    return [frame if len(frame) <= _BUFFER else frame[:_BUFFER] + b"\n\ndata: " + frame[_BUFFER:] for frame in frames]


@fault(
    "sf-done-glued",
    at=Stage.FRAMES,
    violates=[_BLANK],
    entails={"structured_output.reference.recursion_is_survived": "the end of the answer is unreadable"},
    thread="https://github.com/acheong08/ChatGPT-to-API/issues/14",
)
def done_glued(frames: list[bytes], context: Context) -> list[bytes]:
    """No blank line stands between the last chunk and `[DONE]`."""
    return [*frames[:-2], frames[-2].rstrip(b"\n") + b"\n", frames[-1]] if len(frames) > 1 else frames


@fault("sf-one-newline", at=Stage.FRAMES, violates=[_BLANK])
def one_newline(frames: list[bytes], context: Context) -> list[bytes]:
    """Events end with one line break, and only the stream with a blank line."""
    return [*(frame.rstrip(b"\n") + b"\n" for frame in frames), b"\n"]


@fault("sf-last-newline-missing", at=Stage.FRAMES, violates=[_BLANK])
def last_newline_missing(frames: list[bytes], context: Context) -> list[bytes]:
    """The body ends right after `[DONE]`."""
    return [*frames[:-1], frames[-1].rstrip(b"\n")]


@fault("sf-choices-glued", at=Stage.FRAMES, violates=[_BLANK], dialects=("openai",), condition="only if n is 2 or more")
def choices_glued(frames: list[bytes], context: Context) -> list[bytes]:
    """The finish of one choice and the first chunk of the next share an event."""
    if not _many(context):
        return frames
    return [frame[:-1] if b'"finish_reason":"' in frame and b'"index":0' in frame else frame for frame in frames]


@fault(
    "sf-comment-holds-usage",
    at=Stage.FRAMES,
    violates=["sse.comments.carry_no_payload"],
    dialects=("openai", "xerotier"),
    condition="only with include_usage",
)
def comment_holds_usage(frames: list[bytes], context: Context) -> list[bytes]:
    """The chunk with usage is sent as a comment."""
    return [b": " + frame if b'"choices":[]' in frame else frame for frame in frames]


@fault(
    "sf-comment-holds-error",
    at=Stage.FRAMES,
    violates=["sse.comments.carry_no_payload"],
    condition="only if the text is not ASCII",
)
def comment_holds_error(frames: list[bytes], context: Context) -> list[bytes]:
    """An error is sent as a comment."""
    broken = not b"".join(frames).isascii()
    return [*frames[:3], b': {"error":{"message":"The backend failed."}}\n\n', *frames[-1:]] if broken else frames


@fault(
    "sf-silent-gap",
    at=Stage.REPLY,
    violates=["sse.comments.keep_a_silent_stream_alive"],
    dialects=("aurous",),
    condition="only in streams of more than a hundred writes",
)
def silent_gap(reply: Reply, context: Context) -> Reply:
    """Long answers fall silent for 25 seconds, without a comment."""
    if not is_stream(reply) or len(reply.pieces) < 100:
        return reply
    (_, data), *rest = reversed(reply.pieces)
    return replace(reply, pieces=(*reversed(rest), (25.0, data)))


@fault(
    "sf-event-name",
    at=Stage.FRAMES,
    violates=["sse.events.are_unnamed"],
    thread="https://github.com/mudler/LocalAI/issues/340",
)
def event_name(frames: list[bytes], context: Context) -> list[bytes]:
    """Every event has a name."""
    return [b"event: message\n" + frame for frame in frames]


@fault(
    "sf-event-name-on-usage",
    at=Stage.FRAMES,
    violates=["sse.events.are_unnamed"],
    condition="only the chunk with usage",
)
def event_name_on_usage(frames: list[bytes], context: Context) -> list[bytes]:
    """The chunk with usage is an event called usage."""
    return [b"event: usage\n" + frame if b'"usage":{' in frame else frame for frame in frames]


@fault("sf-retry-block", at=Stage.FRAMES, violates=["sse.events.have_data"])
def retry_block(frames: list[bytes], context: Context) -> list[bytes]:
    """Streams begin with a block that sets the retry time and has no data."""
    return [b"retry: 3000\n\n", *frames]


@fault("sf-ping-event", at=Stage.FRAMES, violates=["sse.events.have_data"], condition="only before the last chunk")
def ping_event(frames: list[bytes], context: Context) -> list[bytes]:
    """An event called ping, without data, stands before the last chunk."""
    return [*frames[:-2], b"event: ping\n\n", *frames[-2:]]


@fault("sf-empty-data", at=Stage.FRAMES, violates=["sse.events.have_data"])
def empty_data(frames: list[bytes], context: Context) -> list[bytes]:
    """Streams begin with an empty data line, to open the connection."""
    return [b"data:\n\n", *frames]


@fault(
    "sf-ids-and-comments",
    at=Stage.FRAMES,
    violates=["sse.events.no_id_beside_comments"],
    thread="https://github.com/theopenco/llmgateway/pull/2334",
)
def ids_and_comments(frames: list[bytes], context: Context) -> list[bytes]:
    """Chunks carry event ids, and a comment stands between them."""
    return [b"id: 1\n" + frames[0], b": ping\n\n", *frames[1:]] if frames else frames


@fault("sf-not-json", at=Stage.CHUNKS, violates=[_PAYLOAD])
def not_json(payloads: Payloads, context: Context) -> Payloads:
    """Payloads are printed as Python objects."""
    return [repr(payload) if isinstance(payload, dict) else payload for payload in payloads]


@fault("sf-array-payload", at=Stage.CHUNKS, violates=[_PAYLOAD], condition="only the last chunk")
def array_payload(payloads: Payloads, context: Context) -> Payloads:
    """The last chunk is wrapped in an array."""
    last = list(chunks_in(payloads))[-1:]
    return [json.dumps([payload]) if payload in last else payload for payload in payloads]


@fault(
    "sf-text-payload", at=Stage.CHUNKS, violates=[_PAYLOAD], dialects=("openai",), condition="only if n is 2 or more"
)
def text_payload(payloads: Payloads, context: Context) -> Payloads:
    """An error is sent as plain text."""
    return [*payloads[:-1], "Internal Server Error", DONE] if _many(context) else payloads


@fault("sf-held-back", at=Stage.REPLY, violates=["sse.arrival.is_incremental"])
def held_back(reply: Reply, context: Context) -> Reply:
    """A proxy holds the whole stream back and sends it at once, after three seconds."""
    return replace(reply, pieces=((3.0, joined(reply)),)) if is_stream(reply) and len(reply.pieces) > 64 else reply


def _without_cache_control(reply: Reply, value: str | None) -> Reply:
    if not is_stream(reply):
        return reply
    kept = tuple((name, old) for name, old in reply.headers if name.lower() != "cache-control")
    return replace(reply, headers=kept if value is None else (*kept, ("cache-control", value)))


@fault(
    "sf-cache-control-missing",
    at=Stage.REPLY,
    violates=["sse.headers.forbid_caching", "sse.headers.forbid_transforming"],
)
def cache_control_missing(reply: Reply, context: Context) -> Reply:
    """Streams carry no Cache-Control."""
    return _without_cache_control(reply, None)


@fault("sf-may-be-cached", at=Stage.REPLY, violates=["sse.headers.forbid_caching"])
def may_be_cached(reply: Reply, context: Context) -> Reply:
    """Streams may be kept for a minute."""
    return _without_cache_control(reply, "max-age=60, no-transform")


@fault("sf-may-be-transformed", at=Stage.REPLY, violates=["sse.headers.forbid_transforming"])
def may_be_transformed(reply: Reply, context: Context) -> Reply:
    """Streams forbid caching, but not compressing."""
    return _without_cache_control(reply, "no-cache")
