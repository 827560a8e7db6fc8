"""Wrong content types, JSON that is none, broken characters, and bodies that are no requests."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from conformance.reference.faults.call_edits import turning_down
from conformance.reference.rewriting import is_stream, joined, with_body
from conformance.reference.stages import Chosen, Completion, Context, ErrorReply, Refusal, Reply, Stage, fault
from conformance.reference.tokens import tokens_of
from conformance.wire.exchange import header_values
from conformance.wire.strict_json import Json


def _is_completion(reply: Reply, context: Context) -> bool:
    """An unstreamed 2xx answer of the chat route."""
    return context.route == "POST /chat/completions" and reply.status == 200 and not is_stream(reply)


@fault("tr-text-plain", at=Stage.REPLY, violates=["transport.unstreamed.content_type"])
def declared_as_text(reply: Reply, context: Context) -> Reply:
    """Completions are declared as text/plain."""
    if not _is_completion(reply, context):
        return reply
    others = tuple((name, value) for name, value in reply.headers if name.lower() != "content-type")
    return replace(reply, headers=(("content-type", "text/plain; charset=utf-8"), *others))


@fault("tr-concatenated", at=Stage.REPLY, violates=["transport.unstreamed.is_one_object"])
def two_objects(reply: Reply, context: Context) -> Reply:
    """A second JSON object follows the completion."""
    return with_body(reply, joined(reply) + b"\n{}") if _is_completion(reply, context) else reply


@fault(
    "tr-concatenated-for-many",
    at=Stage.REPLY,
    violates=["transport.unstreamed.is_one_object"],
    dialects=("openai",),
    condition="only if n is more than 1",
)
def two_objects_for_many(reply: Reply, context: Context) -> Reply:
    """With n of 2 and more, a second JSON object follows the completion."""
    return two_objects(reply, context) if (context.chat.n or 1) > 1 else reply


@fault("tr-nan", at=Stage.REPLY, violates=["transport.json.has_only_numbers_of_json"])
def not_a_number(reply: Reply, context: Context) -> Reply:
    """An extension of the completion holds NaN."""
    if not _is_completion(reply, context):
        return reply
    return with_body(reply, joined(reply).replace(b'"choices":', b'"x_score":NaN,"choices":', 1))


@fault(
    "tr-nan-streamed",
    at=Stage.REPLY,
    violates=["transport.json.has_only_numbers_of_json"],
    condition="only if streamed",
)
def not_a_number_streamed(reply: Reply, context: Context) -> Reply:
    """An extension of every chunk holds Infinity."""
    return (
        with_body(reply, joined(reply).replace(b'"choices":', b'"x_score":Infinity,"choices":'))
        if is_stream(reply)
        else reply
    )


@fault("tr-duplicate-key", at=Stage.REPLY, violates=["transport.json.names_are_unique"])
def name_twice(reply: Reply, context: Context) -> Reply:
    """The completion has its model twice."""
    if not _is_completion(reply, context):
        return reply
    return with_body(reply, re.sub(rb'("model":"[^"]*",)', rb"\1\1", joined(reply), count=1))


_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")


@fault(
    "un-lone-surrogate-out",
    at=Stage.REPLY,
    violates=["transport.text.has_no_lone_surrogates"],
    entails={
        "stream.parity.same_text": "streamed, the characters are whole",
        "structured_output.strict.answer_satisfies_the_schema": "property names lose their halves too",
    },
    thread="https://github.com/NousResearch/hermes-agent/pull/80409",
    condition="only with characters beyond U+FFFF, unstreamed",
)
def half_a_pair(reply: Reply, context: Context) -> Reply:
    """Of an escaped surrogate pair the second half is lost."""
    if not _is_completion(reply, context):
        return reply
    text = joined(reply).decode()
    return with_body(reply, _BEYOND_BMP.sub(lambda found: json.dumps(found.group())[1:7], text).encode())


@fault(
    "un-replacement-char-unstreamed",
    at=Stage.COMPLETION,
    violates=["transport.text.has_no_replacement_characters"],
    entails={
        "stream.parity.same_text": "streamed, the characters are whole",
        "structured_output.strict.answer_satisfies_the_schema": "the text is none of those that the schema allows",
    },
    thread="https://github.com/vllm-project/vllm/issues/931",
    condition="only unstreamed, with characters beyond U+FFFF",
)
def replacement_characters(completion: Completion, context: Context) -> Completion:
    """Characters of four bytes come out as U+FFFD in unstreamed answers."""
    if context.streamed:
        return completion

    def spoiled(chosen: Chosen) -> Chosen:
        if chosen.content is None or not _BEYOND_BMP.search(chosen.content):
            return chosen
        data = _BEYOND_BMP.sub("\ufffd", chosen.content).encode()
        return replace(chosen, tokens=tokens_of(data[at : at + 3] for at in range(0, len(data), 3)))

    return replace(completion, choices=tuple(map(spoiled, completion.choices)))


@fault("tr-escapes-counted", at=Stage.COMPLETION, violates=["transport.escapes.equal_raw_text"])
def escapes_are_not_undone(completion: Completion, context: Context) -> Completion:
    r"""The prompt is counted with its \\u escapes as they were sent."""
    escapes = len(re.findall(rb"\\u[0-9a-f]{4}", context.request.body or b""))
    return replace(completion, prompt_tokens=completion.prompt_tokens + escapes)


def _has_lone_surrogate(context: Context) -> bool:
    return "lone surrogate" in context.request.document.problems


fault(
    "un-lone-surrogate-in-5xx",
    at=Stage.REFUSAL,
    violates=["transport.lone_surrogate.is_no_server_fault"],
    thread="https://github.com/Aider-AI/aider/issues/3693",
)(
    turning_down(
        "Half of a surrogate pair in the request fails to encode on the way to the model.",
        _has_lone_surrogate,
        "internal",
        "The text could not be encoded.",
    )
)


def _with_status(checks: tuple[str, ...], status: int) -> Any:
    def hook(error: ErrorReply, context: Context) -> ErrorReply:
        refused = context.refusal
        return replace(error, status=status) if refused is not None and refused.check in checks else error

    return hook


_CODE_STAYS = {
    "errors.code.fits_status": "the code of a 400 stays on the other status",
    "errors.code.keeps_its_status": "the code of a 400 stays on the other status",
    "errors.type.fits_status": "the type of a 400 stays on the other status",
}


@fault(
    "tr-broken-json-500",
    at=Stage.ERROR,
    violates=["transport.invalid_json.gets_400"],
    entails=_CODE_STAYS,
    thread="https://github.com/BerriAI/liteLLM-proxy/issues/10",
)
def broken_json_is_500(error: ErrorReply, context: Context) -> ErrorReply:
    """A body that is no JSON is answered by 500."""
    changed: ErrorReply = _with_status(("body.json",), 500)(error, context)
    return changed


@fault("tr-array-500", at=Stage.ERROR, violates=["transport.not_an_object.gets_400"], entails=_CODE_STAYS)
def array_is_500(error: ErrorReply, context: Context) -> ErrorReply:
    """A body that is no object is answered by 500."""
    changed: ErrorReply = _with_status(("body.object",), 500)(error, context)
    return changed


@fault("tr-charset-415", at=Stage.REFUSAL, violates=["transport.charset_parameter.is_accepted"])
def charset_is_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The content type is compared as a whole, with its parameters."""
    declared = header_values(context.request.headers, "content-type")
    if refusal is None and declared and ";" in declared[0]:
        return Refusal("media_type", "body.media_type", "The body has to be sent as application/json.")
    return refusal


@fault(
    "tr-text-500",
    at=Stage.ERROR,
    violates=["transport.other_content_type.is_no_server_fault"],
    entails=_CODE_STAYS,
)
def other_type_is_500(error: ErrorReply, context: Context) -> ErrorReply:
    """A body that is declared as text is answered by 500."""
    changed: ErrorReply = _with_status(("body.media_type",), 500)(error, context)
    return changed


def _is_null(field: str) -> Any:
    return lambda context: field in (context.body or {}) and (context.body or {})[field] is None


fault("tr-null-refused", at=Stage.REFUSAL, violates=["transport.null.equals_omission"], condition="only stop")(
    turning_down("A stop of null is refused as no string.", _is_null("stop"), "invalid_type", "'stop' is null.", "stop")
)


@fault(
    "tr-null-streams",
    at=Stage.DEMAND,
    violates=["transport.null.equals_omission"],
    entails={
        "transport.unstreamed.content_type": "what was to be JSON is an event stream",
        "transport.unstreamed.is_one_object": "what was to be JSON is an event stream",
        "usage.object.is_present": "a stream counts nothing unasked",
    },
)
def null_streams(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """A stream of null is taken for true."""
    return {**demand, "stream": True} if "stream" in demand and demand["stream"] is None else demand


@fault("tr-unknown-field-500", at=Stage.REFUSAL, violates=["transport.unknown_field.is_no_server_fault"])
def unknown_field_is_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A field of a made-up name is passed on as an argument, where it fails."""
    known = refusal is not None and refusal.check != "field.unknown"
    if known or "zzz_unknown" not in (context.body or {}):
        return refusal
    return Refusal("internal", "field.crash", "unexpected keyword argument")


@fault("tr-unknown-path-200", at=Stage.REPLY, violates=["transport.unknown_path.gets_404"])
def unknown_path_gets_a_page(reply: Reply, context: Context) -> Reply:
    """Any path that is not there gets the web page of the product, with 200."""
    if reply.status != 404 or context.refusal is None or context.refusal.check != "route.unknown":
        return reply
    return Reply(200, (("content-type", "text/html"),), ((0.0, b"<!doctype html><title>Welcome</title>"),))


@fault(
    "tr-wrong-method-500",
    at=Stage.ERROR,
    violates=["transport.wrong_method.gets_405"],
    entails={key: why for key, why in _CODE_STAYS.items() if key != "errors.code.keeps_its_status"},
)
def wrong_method_is_500(error: ErrorReply, context: Context) -> ErrorReply:
    """A method that the route does not have is answered by 500."""
    changed: ErrorReply = _with_status(("route.method",), 500)(error, context)
    return changed
