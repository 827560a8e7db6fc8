"""The simple parameters of a request: types, ranges, vocabularies, and what needs what."""

from __future__ import annotations

import re
from collections.abc import Iterator

from conformance.reference.models_list import serving
from conformance.reference.stages import Context, Refusal
from conformance.wire.strict_json import Json, is_integer, is_number, kind, show

_KNOWN = frozenset(
    {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)
_UNSUPPORTED = ("functions", "function_call", "audio", "prediction", "web_search_options")
_DECIMALS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "presence_penalty": "penalty",
    "frequency_penalty": "penalty",
}
_INTEGERS = {
    "n": "n",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "top_logprobs": "top_logprobs",
    "seed": "seed",
}
_BOOLEANS = ("stream", "logprobs", "store")
_STRINGS = ("user", "safety_identifier", "prompt_cache_key")
_WORDS = ("service_tier", "verbosity")
_TOKEN_ID = re.compile(r"[0-9]+")


def unknown(context: Context) -> Iterator[Refusal]:
    """Top-level fields that the protocol does not have, where the dialect refuses them."""
    if context.dialect.convention("unknown_fields") == "refused":
        for name in context.body or ():
            if name not in _KNOWN:
                yield Refusal(
                    "unknown_parameter", "field.unknown", f"There is no parameter {name[:100]!r}.", name[:100]
                )


def wrong_type(name: str, value: Json, wanted: str, check: str) -> Refusal:
    """A refusal of a value's JSON type."""
    return Refusal("invalid_type", check, f"'{name}' has to be {wanted}, not {kind(value)}.", name)


def refuse(context: Context) -> Iterator[Refusal]:
    """Reasons that lie in single parameters and in pairs of them. Null counts as omitted."""
    given = {name: value for name, value in (context.body or {}).items() if value is not None}
    for name in _UNSUPPORTED:
        if name in given:
            yield Refusal(
                "unsupported_parameter", "field.unsupported", f"'{name}' is not supported by this model.", name
            )
    for name, limits in _DECIMALS.items():
        if name in given:
            yield from _number(context, name, given[name], limits, "decimal")
    for name, limits in _INTEGERS.items():
        if name in given:
            yield from _number(context, name, given[name], limits, "integer")
    for name in _BOOLEANS:
        if name in given and not isinstance(given[name], bool):
            yield wrong_type(name, given[name], "a boolean", f"{name}.type")
    for name in _STRINGS:
        if name in given:
            yield from _string(context, name, given[name])
    for name in _WORDS:
        if name in given:
            yield from _word(context, name, given[name])
    if "reasoning_effort" in given:
        yield from _effort(context, given["reasoning_effort"])
    if "stop" in given:
        yield from _stop(context, given["stop"])
    if "logit_bias" in given:
        yield from _logit_bias(context, given["logit_bias"])
    if "metadata" in given:
        yield from metadata(context, given["metadata"], stored=given.get("store") is True)
    if "stream_options" in given:
        yield from _stream_options(given["stream_options"], streamed=given.get("stream") is True)
    if "modalities" in given and given["modalities"] != ["text"]:
        yield Refusal("unsupported_value", "modalities.value", "Only the modality 'text' is supported.", "modalities")
    yield from _pairs(context, given)


def _number(context: Context, name: str, value: Json, limits: str, form: str) -> Iterator[Refusal]:
    fits = is_integer(value) if form == "integer" else is_number(value)
    if not fits:
        yield wrong_type(name, value, "an integer" if form == "integer" else "a number", f"{name}.type")
        return
    low, high = context.dialect.limit(f"{limits}.min"), context.dialect.limit(f"{limits}.max")
    if low is not None and value < low:
        yield Refusal(
            f"{form}_below_min", f"{name}.range", f"'{name}' has to be at least {low}, not {show(value, 40)}.", name
        )
    elif high is not None and not value <= high:
        yield Refusal(
            f"{form}_above_max", f"{name}.range", f"'{name}' may be at most {high}, not {show(value, 40)}.", name
        )
    elif (
        name in ("max_tokens", "max_completion_tokens")
        and context.dialect.convention("max_tokens.above_cap") == "refused"
    ):
        cap = serving(context.chat.model).cap
        if value > cap:
            yield Refusal(
                "max_tokens_above_cap", f"{name}.above_cap", f"'{name}' is over this model's cap of {cap}.", name
            )


def _string(context: Context, name: str, value: Json) -> Iterator[Refusal]:
    longest = context.dialect.limit(f"{name}.max_length")
    if not isinstance(value, str):
        yield wrong_type(name, value, "a string", f"{name}.type")
    elif longest is not None and len(value) > longest:
        yield Refusal("string_too_long", f"{name}.length", f"'{name}' has more than {longest} characters.", name)


def _word(context: Context, name: str, value: Json) -> Iterator[Refusal]:
    words = context.dialect.words(name)
    if not isinstance(value, str):
        yield wrong_type(name, value, "a string", f"{name}.type")
    elif words and value not in words:
        yield Refusal("invalid_value", f"{name}.value", f"'{name}' has to be one of {', '.join(words)}.", name)


def _effort(context: Context, value: Json) -> Iterator[Refusal]:
    flag = context.dialect.convention("reasoning_effort.capability_flag")
    if not flag or flag in serving(context.chat.model).flags:
        yield from _word(context, "reasoning_effort", value)


def _stop(context: Context, value: Json) -> Iterator[Refusal]:
    most = context.dialect.limit("stop.max")
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        yield wrong_type("stop", value, "a string or an array of strings", "stop.type")
    elif not value:
        yield Refusal("array_too_short", "stop.empty", "'stop' is an empty array.", "stop")
    elif most is not None and len(value) > most:
        yield Refusal("array_too_long", "stop.count", f"'stop' may hold at most {most} sequences.", "stop")
    elif not all(isinstance(item, str) for item in value):
        yield Refusal("invalid_type", "stop.item", "'stop' has to hold strings only.", "stop")


def _logit_bias(context: Context, value: Json) -> Iterator[Refusal]:
    if not isinstance(value, dict):
        yield wrong_type("logit_bias", value, "an object", "logit_bias.type")
        return
    low, high = context.dialect.limit("logit_bias.min"), context.dialect.limit("logit_bias.max")
    for token, bias in value.items():
        if not _TOKEN_ID.fullmatch(token):
            yield Refusal("invalid_value", "logit_bias.key", f"{token[:40]!r} is no token id.", "logit_bias")
        if not is_integer(bias):
            yield Refusal("invalid_type", "logit_bias.value", "A bias has to be an integer.", "logit_bias")
        elif low is not None and not low <= bias <= high:
            form = "decimal_above_max" if bias > high else "decimal_below_min"
            yield Refusal(form, "logit_bias.range", f"A bias lies between {low} and {high}.", "logit_bias")


def metadata(context: Context, value: Json, *, stored: bool) -> Iterator[Refusal]:
    """Reasons that lie in `metadata`, of a completion or of an update. `stored`: the request asks to be stored."""
    if not isinstance(value, dict):
        yield wrong_type("metadata", value, "an object", "metadata.type")
        return
    most, longest_key, longest = (
        context.dialect.limit(name) for name in ("metadata.max", "metadata_key.max_length", "metadata_value.max_length")
    )
    if most is not None and len(value) > most:
        yield Refusal("object_too_large", "metadata.count", f"'metadata' may hold at most {most} pairs.", "metadata")
    for key, item in value.items():
        if longest_key is not None and len(key) > longest_key:
            yield Refusal(
                "string_too_long", "metadata.key_length", f"A key has at most {longest_key} characters.", "metadata"
            )
        if not isinstance(item, str):
            yield Refusal("invalid_type", "metadata.value", "A metadata value has to be a string.", "metadata")
        elif longest is not None and len(item) > longest:
            yield Refusal(
                "string_too_long", "metadata.value_length", f"A value has at most {longest} characters.", "metadata"
            )
    if context.dialect.convention("metadata.needs_store") and not stored:
        yield Refusal(
            "needs_other_parameter", "metadata.needs_store", "'metadata' goes with 'store': true.", "metadata"
        )


def _stream_options(value: Json, *, streamed: bool) -> Iterator[Refusal]:
    if not isinstance(value, dict):
        yield wrong_type("stream_options", value, "an object", "stream_options.type")
        return
    for name in ("include_usage", "include_obfuscation"):
        if value.get(name) is not None and not isinstance(value[name], bool):
            yield wrong_type(f"stream_options.{name}", value[name], "a boolean", f"stream_options.{name}.type")
    if not streamed:
        message = "'stream_options' goes with 'stream': true."
        yield Refusal("needs_other_parameter", "stream_options.without_stream", message, "stream_options")


def _pairs(context: Context, given: dict[str, Json]) -> Iterator[Refusal]:
    if "top_logprobs" in given and given.get("logprobs") is not True:
        message = "'top_logprobs' goes with 'logprobs': true."
        yield Refusal("needs_other_parameter", "top_logprobs.needs_logprobs", message, "top_logprobs")
    both = "max_tokens" in given and "max_completion_tokens" in given
    if both and context.dialect.convention("max_tokens.both") == "refused":
        message = "'max_tokens' and 'max_completion_tokens' exclude each other."
        yield Refusal("invalid_combination", "max_tokens.both", message, "max_tokens")
