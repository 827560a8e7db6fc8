"""Legal differences in what is accepted: refusals that the documents leave open, and honest ones."""

from __future__ import annotations

from typing import Any

from conformance.reference.errors import RETRY_AFTER_SECONDS, envelope
from conformance.reference.models_list import find
from conformance.reference.stages import Context, Refusal, Reply, Stage, variation
from conformance.wire import strict_json
from conformance.wire.chat_request import Choosing
from conformance.wire.strict_json import Json

_OPEN = "no document of the dialect decides it"
_HONEST = "a feature that is refused by name is unsupported, not violated"
_REASONING = "https://developers.openai.com/api/docs/guides/reasoning: reasoning models refuse these parameters"


def _passes(refusal: Refusal | None, *checks: str) -> Refusal | None:
    return None if refusal is not None and refusal.check in checks else refusal


@variation("unknown-fields-ignored", at=Stage.REFUSAL, legal=_OPEN, dialects=("openai",))
def unknown_fields_ignored(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Unknown top-level fields are ignored."""
    return _passes(refusal, "field.unknown")


@variation("empty-tools-accepted", at=Stage.REFUSAL, legal=_OPEN)
def empty_tools_accepted(refusal: Refusal | None, context: Context) -> Refusal | None:
    """An empty array of tools is no tools."""
    return _passes(refusal, "tools.empty")


@variation(
    "metadata-without-store-accepted",
    at=Stage.REFUSAL,
    dialects=("openai",),
    legal="https://github.com/spiceai/spiceai/pull/5231: refused by the original API once, later accepted",
)
def metadata_without_store_accepted(refusal: Refusal | None, context: Context) -> Refusal | None:
    """`metadata` is accepted without `store`."""
    return _passes(refusal, "metadata.needs_store")


@variation("auto-without-tools-accepted", at=Stage.REFUSAL, legal=_OPEN)
def auto_without_tools_accepted(refusal: Refusal | None, context: Context) -> Refusal | None:
    """tool_choice "auto" is accepted without tools; "required" and names are not."""
    return _passes(refusal, "tool_choice.needs_tools") if context.chat.choosing is Choosing.AUTO else refusal


@variation("parallel-without-tools-accepted", at=Stage.REFUSAL, legal="a warning at most")
def parallel_without_tools_accepted(refusal: Refusal | None, context: Context) -> Refusal | None:
    """parallel_tool_calls is accepted without tools."""
    return _passes(refusal, "parallel_tool_calls.needs_tools")


@variation(
    "schema-beside-tools-accepted",
    at=Stage.REFUSAL,
    legal="the seed document does not exclude it",
    dialects=("xerotier",),
)
def schema_beside_tools_accepted(refusal: Refusal | None, context: Context) -> Refusal | None:
    """json_schema is accepted beside tools."""
    return _passes(refusal, "response_format.with_tools")


def _accepted(refusal: Refusal | None, context: Context) -> dict[str, Json] | None:
    """The body of a chat request that is about to be accepted, else None."""
    return context.body if refusal is None and context.request.chat is not None else None


@variation(
    "unknown-model-refused",
    at=Stage.REFUSAL,
    dialects=("xerotier",),
    legal="https://xerotier.ai/docs/error-handling: model_not_found 404, against the API reference",
)
def unknown_model_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A model that is not listed gets 404."""
    body = _accepted(refusal, context)
    if body is not None and find(body.get("model")) is None:
        return Refusal("unknown_model", "model.unknown", "There is no such model.", "model")
    return refusal


@variation("reasoning-parameters", at=Stage.REFUSAL, legal=_REASONING, dialects=("openai",))
def reasoning_parameters(refusal: Refusal | None, context: Context) -> Refusal | None:
    """As a reasoning model: max_tokens, penalties, logprobs and temperatures other than 1 are refused by name."""
    body = _accepted(refusal, context)
    if body is None:
        return refusal
    if body.get("max_tokens") is not None:
        text = "'max_tokens' is not supported by this model: use 'max_completion_tokens'."
        return Refusal("unsupported_parameter", "max_tokens.unsupported", text, "max_tokens")
    for name in ("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"):
        if body.get(name):
            text = f"'{name}' is not supported by this model."
            return Refusal("unsupported_parameter", f"{name}.unsupported", text, name)
    for name in ("temperature", "top_p"):
        if body.get(name) is not None and body[name] != 1:
            text = f"'{name}' does not support other values than the default (1) with this model."
            return Refusal("unsupported_value", f"{name}.unsupported", text, name)
    return refusal


@variation("reasoning-tokens", at=Stage.DEMAND, legal="https://github.com/openai/openai-openapi reasoning_tokens")
def reasoning_tokens(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """The model spends tokens on reasoning before each answer."""
    return {**demand, "reasoning_effort": demand.get("reasoning_effort") or "medium"}


def _refuses(name: str, wanted: Any, refusal: Refusal | None, context: Context) -> Refusal | None:
    body = _accepted(refusal, context)
    if body is not None and wanted(body):
        text = f"'{name}' is not supported by this model."
        return Refusal("unsupported_parameter", f"{name}.unsupported", text, name)
    return refusal


@variation("n-refused", at=Stage.REFUSAL, legal=_HONEST)
def n_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """More than one choice is refused."""
    return _refuses("n", lambda body: body.get("n") not in (None, 1), refusal, context)


@variation("logprobs-refused", at=Stage.REFUSAL, legal=_HONEST)
def logprobs_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Log probabilities are refused."""
    return _refuses("logprobs", lambda body: body.get("logprobs") is True, refusal, context)


@variation("json-schema-refused", at=Stage.REFUSAL, legal=_HONEST)
def json_schema_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Structured output by a schema is refused."""
    return _refuses("response_format", lambda body: context.chat.format_type == "json_schema", refusal, context)


@variation("tools-refused", at=Stage.REFUSAL, legal=_HONEST)
def tools_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Tools are refused, as by a model that has no template for them."""
    if _accepted(refusal, context) is None or not context.chat.tools:
        return refusal
    return Refusal("unsupported_parameter", "tools.unsupported", "This model does not support tools.", "tools")


@variation("formats-refused", at=Stage.REFUSAL, legal=_HONEST)
def formats_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The field response_format is refused, whatever it says."""
    return _refuses("response_format", lambda body: body.get("response_format") is not None, refusal, context)


@variation(
    "tools-not-implemented",
    at=Stage.REPLY,
    legal="https://www.rfc-editor.org/rfc/rfc9110#section-15.6.2: 501, where a server lacks the functionality",
)
def tools_not_implemented(reply: Reply, context: Context) -> Reply:
    """What declares tools, and would be served, gets 501 with an error that names them."""
    if not 200 <= reply.status < 300 or context.request.chat is None or not context.chat.tools:
        return reply
    refusal = Refusal("unsupported_parameter", "tools.unsupported", "Tools are not implemented.", "tools")
    headers = tuple(
        ("content-type", "application/json") if name == "content-type" else (name, value)
        for name, value in reply.headers
    )
    body = strict_json.dump({"error": envelope(refusal, context)})
    return Reply(501, headers, ((0.0, body),))


@variation("parallel-refused", at=Stage.REFUSAL, legal=_HONEST)
def parallel_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """parallel_tool_calls is refused."""
    return _refuses("parallel_tool_calls", lambda body: body.get("parallel_tool_calls") is not None, refusal, context)


@variation(
    "none-without-tools-refused",
    at=Stage.REFUSAL,
    legal="the original API is reported both to take and to refuse it: https://github.com/vllm-project/vllm/pull/10000",
)
def none_without_tools_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """tool_choice "none" is refused where no tools are declared."""
    body = _accepted(refusal, context)
    if body is None or body.get("tool_choice") != "none" or body.get("tools"):
        return refusal
    return Refusal(
        "needs_other_parameter", "tool_choice.needs_tools", "'tool_choice' goes with 'tools'.", "tool_choice"
    )


@variation("images-refused", at=Stage.REFUSAL, legal="a model without vision answers a clean 4xx")
def images_refused(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Images are refused, as by a model without vision."""
    if _accepted(refusal, context) is None:
        return refusal
    for position, message in enumerate(context.chat.messages):
        parts = message.get("content")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and part.get("type") == "image_url":
                place = f"messages[{position}].content"
                return Refusal("unsupported_value", "image.unsupported", "This model reads text only.", place)
    return refusal


@variation(
    "rate-limited-now-and-then",
    at=Stage.REFUSAL,
    legal="https://github.com/openai/openai-openapi TooManyRequests: Retry-After of at least 1",
)
def rate_limited_now_and_then(refusal: Refusal | None, context: Context) -> Refusal | None:
    """One request in forty gets 429 with Retry-After; the next try is accepted."""
    if refusal is None and context.serial % 40 == 25:
        return Refusal("rate_limit", "rate.limit", f"Too many requests: try again in {RETRY_AFTER_SECONDS} s.")
    return refusal
