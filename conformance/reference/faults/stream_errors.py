"""Streams that refuse without a status, break off without a word, or send errors in a form of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.reference.payloads import Payloads, chunks_in, finishes
from conformance.reference.rewriting import is_stream, joined
from conformance.reference.stages import Context, ErrorReply, Reply, Stage, fault
from conformance.wire import strict_json
from conformance.wire.event_stream import DONE

_STATUS = "stream_errors.refusal.has_an_error_status"
_SILENT = "stream_errors.end.is_not_silent"
_SERVER_ERROR = {"message": "The backend failed.", "type": "server_error", "param": None, "code": None}


def _refused(reply: Reply, context: Context) -> bool:
    return context.streamed and reply.status in (400, 404, 422)


def _as_stream(reply: Reply, status: int, body: Any) -> Reply:
    kept = tuple((name, value) for name, value in reply.headers if name.lower() != "content-type")
    data = b"data: " + strict_json.dump(body) + b"\n\ndata: [DONE]\n\n"
    return Reply(status, (("content-type", "text/event-stream"), *kept, *_CACHE), ((0.0, data),))


_CACHE = (("cache-control", "no-cache, no-transform"),)


@fault(
    "se-200-for-bad-request", at=Stage.REPLY, violates=[_STATUS], thread="https://github.com/BerriAI/litellm/pull/22793"
)
def ok_for_bad_request(reply: Reply, context: Context) -> Reply:
    """A refused request for a stream gets status 200 and an event with the error."""
    if not _refused(reply, context):
        return reply
    error = strict_json.parse(joined(reply)).value["error"]
    return _as_stream(reply, 200, {"error": {**error, "code": reply.status}})


@fault(
    "se-200-with-json-error",
    at=Stage.REPLY,
    violates=[_STATUS],
    entails={"errors.success_status.carries_no_error": "an error as JSON with a 2xx status is judged there too"},
    thread="https://github.com/ggml-org/llama.cpp/pull/16486",
)
def ok_with_json_error(reply: Reply, context: Context) -> Reply:
    """A refused request for a stream gets status 200 and the error as JSON."""
    return replace(reply, status=200) if _refused(reply, context) else reply


@fault(
    "se-other-status",
    at=Stage.ERROR,
    violates=["stream_errors.refusal.has_the_same_status"],
    dialects=("openai", "xerotier"),
    entails={
        "errors.bad_request.is_not_422": "the other status is 422",
    },
)
def other_status(error: ErrorReply, context: Context) -> ErrorReply:
    """A refused request gets another status when it asks for a stream."""
    return replace(error, status=422) if context.streamed and error.status == 400 else error


@fault(
    "se-refused-as-stream",
    at=Stage.REPLY,
    violates=["stream_errors.refusal.is_plain_json"],
    entails={
        "errors.envelope.is_a_json_object": "an event is no JSON body",
    },
)
def refused_as_stream(reply: Reply, context: Context) -> Reply:
    """A refusal has its status, but its body is an event."""
    if not _refused(reply, context) or context.chat.body.get("tool_choice"):
        return reply
    return _as_stream(reply, reply.status, strict_json.parse(joined(reply)).value)


@fault(
    "se-error-shape",
    at=Stage.REPLY,
    violates=["stream_errors.event.has_type_and_code"],
    dialects=("openai", "xerotier"),
    thread="https://github.com/majiayu000/litellm-rs/issues/170",
    entails={_STATUS: "the error is sent in a stream with status 200"},
)
def error_shape(reply: Reply, context: Context) -> Reply:
    """A refused request for a stream gets status 200 and an error of a message alone."""
    return _as_stream(reply, 200, {"error": {"message": "It is not valid."}}) if _refused(reply, context) else reply


def _breaks(payloads: Payloads, *tail: Any) -> Payloads:
    """Where the token limit would cut the answer, the stream ends early, with these payloads."""
    if "length" not in finishes(payloads):
        return payloads
    kept = [
        payload
        for payload in payloads
        if isinstance(payload, dict) and not any(choice["finish_reason"] for choice in payload.get("choices", ()))
    ]
    opening = [payload for payload in kept if not payload.get("usage")]
    return [*opening, *tail]


_CUT = "only where the token limit cuts the answer"


@fault(
    "se-error-string",
    at=Stage.CHUNKS,
    violates=["stream_errors.event.is_an_error_object"],
    dialects=("openai", "xerotier"),
    condition=_CUT,
)
def error_string(payloads: Payloads, context: Context) -> Payloads:
    """A stream that breaks off sends its error as a string."""
    return _breaks(payloads, {"error": "The backend failed."}, DONE)


@fault(
    "se-error-without-message",
    at=Stage.CHUNKS,
    violates=["stream_errors.event.is_an_error_object"],
    dialects=("openai", "xerotier"),
    condition=_CUT,
)
def error_without_message(payloads: Payloads, context: Context) -> Payloads:
    """A stream that breaks off sends an error without a message."""
    return _breaks(payloads, {"error": {**_SERVER_ERROR, "message": None}}, DONE)


@fault(
    "se-goes-on-after-error",
    at=Stage.CHUNKS,
    violates=["stream_errors.event.ends_the_stream"],
    dialects=("openai", "xerotier"),
    condition=_CUT,
)
def goes_on_after_error(payloads: Payloads, context: Context) -> Payloads:
    """After an error the stream goes on with an apology."""
    first = next(chunks_in(payloads))
    sorry = {**first, "choices": [{"index": 0, "delta": {"content": " Sorry."}, "finish_reason": None}]}
    return _breaks(payloads, {"error": _SERVER_ERROR}, sorry, DONE)


@fault(
    "se-finishes-after-error",
    at=Stage.CHUNKS,
    violates=["stream_errors.event.has_no_finish_beside_it"],
    dialects=("openai",),
    condition=_CUT,
)
def finishes_after_error(payloads: Payloads, context: Context) -> Payloads:
    """After an error every choice ends with stop."""
    if any(context.chat.body.get(key) for key in ("tools", "response_format")):
        return payloads
    first = next(chunks_in(payloads))
    end = {**first, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return _breaks(payloads, {"error": _SERVER_ERROR}, end, DONE)


@fault(
    "un-abort-mid-stream",
    at=Stage.CHUNKS,
    violates=[_SILENT],
    thread="https://github.com/abetlen/llama-cpp-python/issues/57",
    condition="only text with characters of four bytes",
)
def abort_mid_stream(payloads: Payloads, context: Context) -> Payloads:
    """The stream ends in order where a character takes several tokens."""
    for place, payload in enumerate(payloads):
        if isinstance(payload, dict) and any(character >= "\U00010000" for character in str(payload.get("choices"))):
            return payloads[:place]
    return payloads


@fault("se-silent-when-cut", at=Stage.CHUNKS, violates=[_SILENT], condition=_CUT)
def silent_when_cut(payloads: Payloads, context: Context) -> Payloads:
    """Where the token limit is reached, the stream just ends."""
    return _breaks(payloads)


@fault(
    "se-nothing-at-all", at=Stage.FRAMES, violates=[_SILENT], condition="only if n is 2 or more", dialects=("openai",)
)
def nothing_at_all(frames: list[bytes], context: Context) -> list[bytes]:
    """The body of the stream is empty."""
    return [] if (context.chat.n or 1) > 1 else frames


@fault("se-cut-inside-event", at=Stage.REPLY, violates=[_SILENT], condition="only if tools are declared")
def cut_inside_event(reply: Reply, context: Context) -> Reply:
    """The body ends in order inside the JSON of an event."""
    if not is_stream(reply) or not context.chat.tools:
        return reply
    data = joined(reply)
    return replace(reply, pieces=((0.0, data[: data.index(b"\n\n") + 40]),))
