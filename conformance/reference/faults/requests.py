"""Requests that are taken although they are wrong, or turned down although they are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance.reference.faults.call_edits import skipping, turning_down
from conformance.reference.models_list import find
from conformance.reference.stages import Chosen, Completion, Context, ErrorReply, Refusal, Stage, Token, fault
from conformance.wire.strict_json import Json

_LENIENT: tuple[tuple[str, str, str, tuple[str, ...], str | None], ...] = (
    (
        "va-model-default",
        "requests.model.is_checked",
        "Without a model the server's default one answers.",
        ("model.missing", "model.type", "model.empty"),
        None,
    ),
    (
        "mt-empty-messages-accepted",
        "requests.messages.are_checked",
        "An empty list of messages is accepted.",
        ("messages.empty",),
        None,
    ),
    (
        "va-messages-text",
        "requests.messages.are_checked",
        "Messages that are a string are accepted.",
        ("messages.type",),
        None,
    ),
    (
        "va-messages-unbounded",
        "requests.messages.are_bounded",
        "Any number of messages is accepted.",
        ("messages.count",),
        None,
    ),
    (
        "va-role-unknown",
        "requests.role.is_checked",
        "An unknown role is passed to the chat template.",
        ("message.role.unknown",),
        None,
    ),
    (
        "va-content-bogus-part",
        "requests.content.is_checked",
        "A part of an unknown type is ignored.",
        ("message.part.kind",),
        None,
    ),
    (
        "va-assistant-empty",
        "requests.assistant_content.is_checked",
        "An assistant message that says nothing is accepted.",
        ("message.assistant.empty",),
        None,
    ),
    (
        "va-name-mistyped",
        "requests.name.is_checked",
        "A name that is a number is accepted.",
        ("message.name.type",),
        None,
    ),
    (
        "va-max-tokens-zero",
        "requests.token_limit.is_checked",
        "A token limit of 0 and less is accepted.",
        ("max_tokens.range", "max_completion_tokens.range"),
        "https://github.com/Continuum-AI-Corp/OrcaRouter-Lite/pull/103",
    ),
    (
        "so-too-many-accepted",
        "requests.stop.is_checked",
        "Five stop sequences are accepted.",
        ("stop.count",),
        "https://github.com/Blaizzy/mlx-vlm/pull/1069",
    ),
    (
        "va-range-unchecked",
        "requests.temperature.is_checked",
        "Any temperature is accepted.",
        ("temperature.range",),
        "https://github.com/tenstorrent/vllm-tt-plugin/pull/11",
    ),
    (
        "va-temperature-text",
        "requests.temperature.is_checked",
        "A temperature that is a string is accepted.",
        ("temperature.type",),
        None,
    ),
    ("va-top-p-unchecked", "requests.top_p.is_checked", "Any top_p is accepted.", ("top_p.range",), None),
    ("va-seed-text", "requests.seed.is_checked", "A seed of any type is accepted.", ("seed.type",), None),
    ("va-user-mistyped", "requests.user.is_checked", "A user of any type is accepted.", ("user.type",), None),
    (
        "va-penalties-unchecked",
        "requests.penalties.are_checked",
        "Any penalty is accepted.",
        ("presence_penalty.range", "frequency_penalty.range"),
        None,
    ),
    (
        "va-logit-bias-unchecked",
        "requests.logit_bias.is_checked",
        "Biases of any size are accepted.",
        ("logit_bias.range",),
        "https://github.com/NVIDIA/TensorRT-LLM/pull/13518",
    ),
    (
        "va-stream-text",
        "requests.stream.is_checked",
        "A stream that is no boolean is taken for false.",
        ("stream.type",),
        None,
    ),
    (
        "va-stream-options-alone",
        "requests.stream_options.need_a_stream",
        "stream_options are ignored where nothing streams.",
        ("stream_options.without_stream",),
        None,
    ),
    (
        "va-service-tier-unknown",
        "requests.service_tier.is_checked",
        "An unknown service_tier is ignored.",
        ("service_tier.value",),
        None,
    ),
    (
        "va-reasoning-effort-unknown",
        "requests.reasoning_effort.is_checked",
        "An unknown reasoning_effort is ignored.",
        ("reasoning_effort.value",),
        None,
    ),
)
"""(name, requirement, what happens, the checks that are overlooked, the public thread)."""

for _name, _requirement, _says, _checks, _thread in _LENIENT:
    fault(_name, at=Stage.REFUSAL, violates=[_requirement], thread=_thread)(skipping(_says, *_checks))


def _names_no_call(context: Context) -> bool:
    """A tool message does not say which call it answers."""
    return any(
        message.get("role") == "tool" and not isinstance(message.get("tool_call_id"), str)
        for message in context.chat.messages
    )


fault(
    "va-content-null",
    at=Stage.REFUSAL,
    violates=["requests.content.is_checked"],
    entails={"requests.tool_message.is_checked": "a tool message without content is taken too"},
)(skipping("A message without content is accepted.", "message.content.missing"))
fault("va-tool-call-id-unchecked", at=Stage.REFUSAL, violates=["requests.tool_message.is_checked"])(
    skipping(
        "A tool message needs no tool_call_id.",
        "message.tool_call_id.missing",
        "order.missing_results",
        when=_names_no_call,
    )
)
fault(
    "va-n-zero",
    at=Stage.REFUSAL,
    violates=["requests.n.is_checked"],
    entails={"response.choices.are_n": "an n of 0 is answered by one choice"},
    thread="https://github.com/raullenchai/Rapid-MLX/issues/461",
)(skipping("An n of 0 is taken for 1, and any other number for what it is.", "n.range"))
fault(
    "va-huge-limit-clamped",
    at=Stage.REFUSAL,
    violates=["requests.huge_token_limit.is_refused"],
    dialects=("openai", "aurous"),
)(
    skipping(
        "A token limit over the cap is lowered in silence.", "max_tokens.above_cap", "max_completion_tokens.above_cap"
    )
)


def _over_every_cap(context: Context) -> bool:
    return (context.chat.token_limit or 0) >= 10**6


fault(
    "va-huge-limit-refused",
    at=Stage.REFUSAL,
    violates=["requests.huge_token_limit.is_clamped"],
    dialects=("xerotier",),
)(
    turning_down(
        "A token limit over the cap is refused.",
        _over_every_cap,
        "invalid_request",
        "max_tokens is too large.",
        "max_tokens",
    )
)


def _both_limits(context: Context) -> bool:
    return {"max_tokens", "max_completion_tokens"} <= context.chat.body.keys()


fault(
    "va-both-limits-refused",
    at=Stage.REFUSAL,
    violates=["requests.both_token_limits.are_accepted"],
    dialects=("xerotier",),
)(
    turning_down(
        "Both token limits at once are refused.",
        _both_limits,
        "invalid_request",
        "max_tokens and max_completion_tokens cannot both be set.",
        "max_tokens",
    )
)


@fault(
    "mt-parts-stringified", at=Stage.COMPLETION, violates=["requests.text_parts.equal_a_string"], dialects=("openai",)
)
def parts_are_stringified(completion: Completion, context: Context) -> Completion:
    """An array of parts goes into the prompt as the text of its JSON."""
    parts = sum(isinstance(message.get("content"), list) for message in context.chat.messages)
    return replace(completion, prompt_tokens=completion.prompt_tokens + 20 * parts)


def _has(test: Callable[[dict[str, Json]], bool]) -> Callable[[Context], bool]:
    """Requests with a message to which the test applies."""
    return lambda context: any(test(message) for message in context.chat.messages)


fault(
    "mt-developer-rejected",
    at=Stage.REFUSAL,
    violates=["requests.developer.is_accepted"],
    dialects=("openai", "xerotier"),
    thread="https://github.com/earendil-works/pi/issues/6238",
)(
    turning_down(
        "The role developer is refused.",
        _has(lambda message: message.get("role") == "developer"),
        "invalid_value",
        "The role 'developer' is none of system, user, assistant and tool.",
        "messages[0].role",
    )
)
fault(
    "mt-parts-rejected",
    at=Stage.REFUSAL,
    violates=["requests.text_parts.are_accepted"],
    entails={"tool_calls.results.take_text_parts": "results that are parts are turned down too"},
    thread="https://github.com/qualcomm/GenieX/issues/683",
)(
    turning_down(
        "Content that is an array of parts is refused.",
        _has(lambda message: isinstance(message.get("content"), list)),
        "invalid_type",
        "content has to be a string",
        "messages[0].content",
    )
)
fault(
    "mt-parts-system-rejected",
    at=Stage.REFUSAL,
    violates=["requests.text_parts.are_accepted"],
    dialects=("openai",),
    thread="https://github.com/gptme/gptme/issues/375",
    condition="only system messages",
)(
    turning_down(
        "Content of a system message that is an array of parts is refused.",
        _has(lambda message: message.get("role") == "system" and isinstance(message.get("content"), list)),
        "invalid_type",
        "'messages.0.content' : value must be a string",
        "messages[0].content",
    )
)
fault("va-name-refused", at=Stage.REFUSAL, violates=["requests.name.is_accepted"], dialects=("openai",))(
    turning_down(
        "A message with a name is refused.",
        _has(lambda message: "name" in message),
        "unknown_parameter",
        "There is no parameter 'name'.",
        "messages[0].name",
    )
)


def _top_p_of_one(context: Context) -> bool:
    return context.chat.body.get("top_p") == 1 or context.chat.body.get("temperature") == 2


fault(
    "va-bound-refused",
    at=Stage.REFUSAL,
    violates=["requests.valid.is_accepted"],
    dialects=("openai", "xerotier"),
    condition="only at the upper bounds of temperature and top_p",
)(
    turning_down(
        "The bounds of a range are refused as out of it, without a word on which.",
        _top_p_of_one,
        "invalid_request",
        "Bad request.",
    )
)


@fault(
    "va-500-for-counting",
    at=Stage.REFUSAL,
    violates=["requests.valid.gets_no_server_error"],
    condition="only for prompts that ask to count",
)
def some_prompts_fail(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The server fails on some prompts while it serves others."""
    texts = [str(message.get("content")) for message in context.chat.messages]
    if refusal is None and context.route == "POST /chat/completions" and texts and texts[-1].startswith("Count"):
        return Refusal("internal", "template.crash", "The server had an error.")
    return refusal


@fault("er-400-unknown-model", at=Stage.ERROR, violates=["requests.unknown_model.gets_404"], dialects=("openai",))
def unknown_model_is_400(error: ErrorReply, context: Context) -> ErrorReply:
    """An unknown model is answered by 400, with a code for bad values."""
    if context.refusal is None or context.refusal.check != "model.unknown":
        return error
    return ErrorReply(400, {"error": {**error.body["error"], "code": "invalid_value"}})


@fault(
    "er-500-unknown-model",
    at=Stage.REFUSAL,
    violates=["requests.unknown_model.gets_404", "requests.unknown_model.is_no_server_fault"],
    thread="https://github.com/BerriAI/litellm/pull/29402",
)
def unknown_model_is_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """An unknown model makes the server fail."""
    named = context.chat.model
    unknown = refusal.check == "model.unknown" if refusal is not None else isinstance(named, str) and not find(named)
    return Refusal("internal", "model.crash", "The upstream had an error.") if unknown else refusal


@fault(
    "va-streams-by-default",
    at=Stage.DEMAND,
    violates=["requests.stream.is_off_by_default"],
    entails={
        "transport.unstreamed.content_type": "what was to be JSON is an event stream",
        "transport.unstreamed.is_one_object": "what was to be JSON is an event stream",
        "usage.object.is_present": "a stream counts nothing unasked",
    },
    condition="only small plain requests that name a user",
)
def streams_by_default(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Without stream, small plain requests are streamed."""
    usual = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "seed", "user"}
    return {**demand, "stream": True} if set(demand) <= usual and "user" in demand else demand


@fault(
    "so-leak-stop",
    at=Stage.COMPLETION,
    violates=["requests.stop.is_not_in_the_text"],
    thread="https://github.com/mzau/mlx-knife/issues/68",
)
def stop_sequence_stays(completion: Completion, context: Context) -> Completion:
    """The stop sequence is left at the end of the text that it ended."""
    stops = context.chat.stops
    if not stops or context.chat.wants_logprobs:
        return completion
    changed = []
    for chosen in completion.choices:
        if chosen.finish_reason == "stop" and chosen.content and not chosen.calls:
            data = chosen.content.encode() + stops[0].encode()
            chosen = Chosen(chosen.index, (Token(data),), finish_reason="stop")
        changed.append(chosen)
    return Completion(
        completion.id,
        completion.created,
        completion.model,
        tuple(changed),
        completion.prompt_tokens,
        completion.completion_tokens,
    )
