"""Legal forms of an event stream's bytes."""

from __future__ import annotations

from dataclasses import replace

from conformance.reference.rewriting import is_stream, joined
from conformance.reference.stages import Context, Reply, Stage, variation

_STANDARD = "https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"


def _line_ends(frame: bytes, end: bytes) -> bytes:
    return frame.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", end)


@variation("sse-crlf", at=Stage.FRAMES, legal=f"{_STANDARD}: lines end by CRLF, LF or CR")
def crlf(frames: list[bytes], context: Context) -> list[bytes]:
    """Lines end by CRLF."""
    return [_line_ends(frame, b"\r\n") for frame in frames]


@variation("sse-cr", at=Stage.FRAMES, legal=f"{_STANDARD}: lines end by CRLF, LF or CR")
def cr(frames: list[bytes], context: Context) -> list[bytes]:
    """Lines end by CR alone."""
    return [_line_ends(frame, b"\r") for frame in frames]


@variation("sse-comments", at=Stage.FRAMES, legal=f"{_STANDARD}: a line that starts with a colon is ignored")
def comments(frames: list[bytes], context: Context) -> list[bytes]:
    """A keep-alive comment before the stream and after every event but the last."""
    return [b": keep-alive\n\n", *(part for frame in frames[:-1] for part in (frame, b": keep-alive\n\n")), frames[-1]]


@variation("sse-comments-inside", at=Stage.FRAMES, legal=f"{_STANDARD}: comments may stand inside an event's block")
def comments_inside(frames: list[bytes], context: Context) -> list[bytes]:
    """A comment line in the block of every event."""
    return [b":\n" + frame for frame in frames]


@variation("sse-no-space", at=Stage.FRAMES, legal=f"{_STANDARD}: one space after the colon is removed if it is there")
def no_space(frames: list[bytes], context: Context) -> list[bytes]:
    """No space after `data:`."""
    return [b"data:" + frame[6:] if frame.startswith(b"data: ") else frame for frame in frames]


@variation("sse-event-ids", at=Stage.FRAMES, legal=f"{_STANDARD}: an event may carry an id")
def event_ids(frames: list[bytes], context: Context) -> list[bytes]:
    """An `id` line in every event that has data."""
    return [
        b"id: %d\n" % position + frame if frame.startswith(b"data:") else frame for position, frame in enumerate(frames)
    ]


@variation("sse-blank-lines", at=Stage.FRAMES, legal=f"{_STANDARD}: a blank line without data dispatches nothing")
def blank_lines(frames: list[bytes], context: Context) -> list[bytes]:
    """Two blank lines more between events."""
    return [frame + b"\n\n" for frame in frames]


@variation("sse-one-byte-writes", at=Stage.REPLY, legal="how a body is cut into writes carries no meaning (RFC 9112)")
def one_byte_writes(reply: Reply, context: Context) -> Reply:
    """Every byte is a write of its own."""
    if not is_stream(reply):
        return reply
    return replace(reply, pieces=tuple((0.0, bytes((byte,))) for byte in joined(reply)))


@variation("sse-one-write", at=Stage.REPLY, legal="how a body is cut into writes carries no meaning (RFC 9112)")
def one_write(reply: Reply, context: Context) -> Reply:
    """The whole stream is one write."""
    return replace(reply, pieces=((0.0, joined(reply)),)) if reply.pieces else reply


@variation("sse-bare-content-type", at=Stage.REPLY, legal="event streams are always UTF-8; the parameter is optional")
def bare_content_type(reply: Reply, context: Context) -> Reply:
    """`text/event-stream` without a charset parameter."""
    if not is_stream(reply):
        return reply
    kept = tuple((name, value) for name, value in reply.headers if name.lower() != "content-type")
    return replace(reply, headers=(("content-type", "text/event-stream"), *kept))


_CHUNK_SECONDS = 0.04
_KEEP_ALIVE_SECONDS = 15.0


@variation("sse-slow", at=Stage.REPLY, legal="tokens are sent as they are made, and making them takes time")
def slow(reply: Reply, context: Context) -> Reply:
    """Every write takes 40 ms, but no stream more than six seconds."""
    if not is_stream(reply) or len(reply.pieces) > 150:
        return reply
    return replace(reply, pieces=tuple((_CHUNK_SECONDS, piece) for _, piece in reply.pieces))


@variation("sse-kept-alive", at=Stage.REPLY, legal=f"{_STANDARD}: a comment keeps a silent connection open")
def kept_alive(reply: Reply, context: Context) -> Reply:
    """The model thinks for 16 seconds before the first chunk; a comment is sent meanwhile."""
    if not is_stream(reply) or not reply.pieces:
        return reply
    (_, first), *others = reply.pieces
    comments = ((0.0, b": keep-alive\n\n"), (_KEEP_ALIVE_SECONDS, b": keep-alive\n\n"))
    return replace(reply, pieces=(*comments, (1.0, first), *others))
