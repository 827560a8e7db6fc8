"""Faults of histories with calls: what stands beside the calls, what is echoed, and how a refusal of one looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance.reference.faults.call_edits import history_calls, turning_down
from conformance.reference.stages import Context, ErrorReply, Refusal, Stage, fault
from conformance.wire.strict_json import Json

_LONG = 4096
"""Characters."""


def _beside(test: Callable[[dict[str, Json]], bool]) -> Callable[[Context], bool]:
    """Requests with an assistant message that calls and passes the test."""
    return lambda context: any(map(test, history_calls(context)))


fault(
    "mt-content-absent-rejected",
    at=Stage.REFUSAL,
    violates=["tool_calls.history.content_may_be_absent"],
    dialects=("openai",),
    thread="https://github.com/abetlen/llama-cpp-python/issues/1805",
)(
    turning_down(
        "Calls in the history are refused where no content stands beside them.",
        _beside(lambda message: "content" not in message),
        "missing_parameter",
        "messages.1.content: field required",
        "messages[1].content",
    )
)
fault(
    "mt-content-empty-rejected",
    at=Stage.REFUSAL,
    violates=["tool_calls.history.content_may_be_empty"],
    dialects=("openai",),
    thread="https://github.com/3-ark/Cognito-AI_Sidekick/issues/24",
)(
    turning_down(
        "Calls in the history are refused where an empty string stands beside them.",
        _beside(lambda message: message.get("content") == ""),
        "invalid_value",
        "The content of assistant messages may not be empty.",
        "messages",
    )
)


def _has_own_extension(context: Context) -> bool:
    return any("annotations" in message for message in context.chat.messages)


fault(
    "mt-own-extension-rejected",
    at=Stage.REFUSAL,
    violates=["tool_calls.echo.is_accepted"],
    dialects=("openai",),
    thread="https://github.com/gsd-build/gsd-2/issues/4647",
)(
    turning_down(
        "Members that the endpoint itself adds to its messages are refused when they come back.",
        _has_own_extension,
        "unknown_parameter",
        "Unknown parameter: 'messages[1].annotations'.",
        "messages[1].annotations",
    )
)


@fault(
    "mt-orphan-tool-foreign-envelope",
    at=Stage.ERROR,
    violates=["errors.envelope.has_an_error_object"],
    entails={"tool_calls.results.missing_is_named": "the id stands nowhere that is read"},
    thread="https://github.com/microsoft/vscode/issues/299295",
    condition="only where calls and results do not fit together",
)
def orphan_foreign_envelope(reply: ErrorReply, context: Context) -> ErrorReply:
    """Results that fit no call are refused in the envelope of another API."""
    if context.refusal is None or not context.refusal.check.startswith("order."):
        return reply
    text = "Ensure that function response turns come right after function call turns."
    return replace(reply, body={"code": 400, "message": text, "status": "INVALID_ARGUMENT"})


def _is_long(message: dict[str, Json]) -> bool:
    content = message.get("content")
    return message.get("role") == "tool" and isinstance(content, str) and len(content) > _LONG


fault(
    "mt-long-result-rejected",
    at=Stage.REFUSAL,
    violates=["tool_calls.results.may_be_long"],
    condition="only for results of more than 4,096 characters",
)(
    turning_down(
        "A tool result may not be longer than a field of the database.",
        lambda context: any(map(_is_long, context.chat.messages)),
        "invalid_value",
        "messages[2].content: string should have at most 4096 characters",
        "messages[2].content",
    )
)


@fault(
    "mt-result-beyond-ascii-500",
    at=Stage.REFUSAL,
    violates=["requests.valid.gets_no_server_error"],
    condition="only results with letters beyond ASCII",
)
def result_beyond_ascii_fails(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Results with letters beyond ASCII are a server error."""
    told = [item.get("content") for item in context.chat.messages if item.get("role") == "tool"]
    if refusal is None and not all(isinstance(text, str) and text.isascii() for text in told):
        return Refusal("internal", "fault", "Something went wrong.")
    return refusal
