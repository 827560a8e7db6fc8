"""What is provably wrong with a request body, by the documented types, limits and words of the dialect.

Read from the request alone, so it works on anybody's traffic. What is not certainly wrong is left out: an unlisted
blemish costs a judgement, an invented one would accuse an endpoint that is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from conformance.dialects.model import Dialect
from conformance.wire.strict_json import Json, is_integer, is_number

PART_TYPES = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
"""ChatCompletionRequestUserMessageContentPart and its siblings in https://github.com/openai/openai-openapi."""


@dataclass(frozen=True)
class Blemish:
    """One fault: `about` names the predicate that it breaks, `field` the top-level field, `path` the place in it.

    `kind` is the key of the dialect's error forms. `path` is spelled like `messages[0].role`.
    """

    about: str
    field: str
    path: str
    kind: str


def blemishes(body: dict[str, Json], dialect: Dialect) -> tuple[Blemish, ...]:
    """All faults that are certain, in the order of the fields."""
    return tuple(
        item
        for find in (_model, _messages, _numbers, _stop, _flags, _words, _tools, _format)
        for item in find(body, dialect)
    )


def _model(body: dict[str, Json], dialect: Dialect) -> Iterator[Blemish]:
    value = body.get("model")
    if "model" not in body and "models" in body:
        return
    if "model" not in body:
        yield Blemish("model", "model", "model", "missing_parameter")
    elif not isinstance(value, str):
        yield Blemish("model", "model", "model", "invalid_type")
    elif not value:
        yield Blemish("model", "model", "model", "string_too_short")
    elif is_integer(longest := dialect.limit("model.max_length")) and len(value) > longest:
        yield Blemish("model", "model", "model", "string_too_long")


def _messages(body: dict[str, Json], dialect: Dialect) -> Iterator[Blemish]:
    value = body.get("messages")
    if "messages" not in body:
        yield Blemish("messages", "messages", "messages", "missing_parameter")
    elif not isinstance(value, list):
        yield Blemish("messages", "messages", "messages", "invalid_type")
    elif not value:
        yield Blemish("messages", "messages", "messages", "array_too_short")
    else:
        if is_integer(most := dialect.limit("messages.max")) and len(value) > most:
            yield Blemish("messages_count", "messages", "messages", "array_too_long")
        for position, item in enumerate(value):
            yield from _message(item, f"messages[{position}]", dialect)


def _message(item: Json, path: str, dialect: Dialect) -> Iterator[Blemish]:
    if not isinstance(item, dict):
        yield Blemish("messages", "messages", path, "invalid_type")
        return
    role = item.get("role")
    if "role" not in item:
        yield Blemish("role", "messages", f"{path}.role", "missing_parameter")
        return
    if not isinstance(role, str) or role not in (dialect.words("role") or (role,)):
        kind = "invalid_value" if isinstance(role, str) else "invalid_type"
        yield Blemish("role", "messages", f"{path}.role", kind)
        return
    if "name" in item and item["name"] is not None and not isinstance(item["name"], str):
        yield Blemish("name", "messages", f"{path}.name", "invalid_type")
    about = {"assistant": "assistant_content", "tool": "tool_message"}.get(role, "content")
    if role == "tool" and not isinstance(item.get("tool_call_id"), str):
        kind = "invalid_type" if "tool_call_id" in item else "missing_parameter"
        yield Blemish(about, "messages", f"{path}.tool_call_id", kind)
    if role != "function" and not (role == "assistant" and _speaks_otherwise(item)):
        fault = _content_fault(item)
        if fault is not None:
            yield Blemish(about, "messages", f"{path}.content", fault)


def _speaks_otherwise(item: dict[str, Json]) -> bool:
    """An assistant message that needs no content."""
    return any(item.get(key) for key in ("tool_calls", "function_call", "audio", "refusal"))


def _content_fault(item: dict[str, Json]) -> str | None:
    content = item.get("content")
    if "content" not in item:
        return "missing_parameter"
    if isinstance(content, str):
        return None
    if not isinstance(content, list):
        return "invalid_type"
    if not content:
        return "array_too_short"
    for part in content:
        if not isinstance(part, dict):
            return "invalid_type"
        if not isinstance(part.get("type"), str):
            return "invalid_type" if "type" in part else "missing_parameter"
        # A part of an unlisted type that carries something may be a vendor's extension.
        if part["type"] not in PART_TYPES and len(part) == 1:
            return "invalid_value"
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            return "invalid_type" if "text" in part else "missing_parameter"
    return None


_RANGES: tuple[tuple[str, str, str, bool], ...] = (
    ("temperature", "temperature", "temperature", False),
    ("top_p", "top_p", "top_p", False),
    ("presence_penalty", "penalty", "penalties", False),
    ("frequency_penalty", "penalty", "penalties", False),
    ("max_tokens", "max_tokens", "token_limit", True),
    ("max_completion_tokens", "max_tokens", "token_limit", True),
    ("n", "n", "n", True),
    ("seed", "seed", "seed", True),
    ("top_logprobs", "top_logprobs", "top_logprobs", True),
)
"""(field, limit's name, predicate, integer)."""


def number_fault(value: Json, lowest: Json, highest: Json, *, integer: bool) -> str | None:
    """What is wrong with a number, as the kind of an error; None where nothing is, or nothing is documented."""
    if not is_number(value):
        return "invalid_type"
    if isinstance(value, float) and not isfinite(value):
        return None
    if integer and isinstance(value, float) and not value.is_integer():
        return "invalid_type"
    name = "integer" if integer else "decimal"
    if is_number(lowest) and value < lowest:
        return f"{name}_below_min"
    if is_number(highest) and value > highest:
        return f"{name}_above_max"
    return None


def _numbers(body: dict[str, Json], dialect: Dialect) -> Iterator[Blemish]:
    for field, limit, about, integer in _RANGES:
        if body.get(field) is None:
            continue
        # One choice at most is a limit of the answer: what becomes of a larger n is not documented there.
        highest = None if field == "n" and dialect.limit("n.max") == 1 else dialect.limit(f"{limit}.max")
        kind = number_fault(body[field], dialect.limit(f"{limit}.min"), highest, integer=integer)
        if kind is not None:
            yield Blemish(about, field, field, kind)
    bias = body.get("logit_bias")
    if bias is not None and dialect.limit("logit_bias.max") is not None:
        kind = _bias_fault(bias, dialect)
        if kind is not None:
            yield Blemish("logit_bias", "logit_bias", "logit_bias", kind)


def _bias_fault(bias: Json, dialect: Dialect) -> str | None:
    if not isinstance(bias, dict):
        return "invalid_type"
    for key, value in bias.items():
        if not (key.isascii() and key.isdigit()):
            return "invalid_value"
        kind = number_fault(value, dialect.limit("logit_bias.min"), dialect.limit("logit_bias.max"), integer=False)
        if kind is not None:
            return kind
    return None


def _stop(body: dict[str, Json], dialect: Dialect) -> Iterator[Blemish]:
    """An empty array is left out: the original accepts it, against its own document's minItems of 1."""
    value = body.get("stop")
    kind: str | None = None
    if value is None or isinstance(value, str):
        return
    most = dialect.limit("stop.max")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        kind = "invalid_type"
    elif is_integer(most) and len(value) > most:
        kind = "array_too_long"
    if kind is not None:
        yield Blemish("stop", "stop", "stop", kind)


def _flags(body: dict[str, Json], dialect: Dialect) -> Iterator[Blemish]:
    for field in ("stream", "logprobs", "parallel_tool_calls"):
        if body.get(field) is not None and not isinstance(body[field], bool):
            yield Blemish(field, field, field, "invalid_type")
    top, most = body.get("top_logprobs"), dialect.limit("top_logprobs.max")
    if body.get("logprobs") in (None, False) and is_integer(top) and is_integer(most) and 0 <= top <= most:
        yield Blemish("top_logprobs", "top_logprobs", "top_logprobs", "needs_other_parameter")
    if body.get("user") is not None and not isinstance(body["user"], str):
        yield Blemish("user", "user", "user", "invalid_type")
    if isinstance(body.get("stream_options"), dict) and body.get("stream") in (None, False):
        yield Blemish("stream_options", "stream_options", "stream_options", "needs_other_parameter")


def _words(body: dict[str, Json], dialect: Dialect) -> Iterator[Blemish]:
    for field in ("service_tier", "reasoning_effort"):
        words, value = dialect.words(field), body.get(field)
        if value is not None and words and (not isinstance(value, str) or value not in words):
            yield Blemish(field, field, field, "invalid_value" if isinstance(value, str) else "invalid_type")


def _tools(body: dict[str, Json], dialect: Dialect) -> Iterator[Blemish]:
    tools, choice = body.get("tools"), body.get("tool_choice")
    if tools is not None and not isinstance(tools, list):
        yield Blemish("tools", "tools", "tools", "invalid_type")
    elif isinstance(tools, list):
        if is_integer(most := dialect.limit("tools.max")) and len(tools) > most:
            yield Blemish("tools", "tools", "tools", "array_too_long")
        for position, tool in enumerate(tools):
            if not isinstance(tool, dict):
                yield Blemish("tools", "tools", f"tools[{position}]", "invalid_type")
            elif not isinstance(tool.get("type"), str):
                kind = "invalid_type" if "type" in tool else "missing_parameter"
                yield Blemish("tools", "tools", f"tools[{position}].type", kind)
    if isinstance(choice, str) and choice not in (dialect.words("tool_choice") or (choice,)):
        yield Blemish("tool_choice", "tool_choice", "tool_choice", "invalid_value")
    elif choice is not None and not isinstance(choice, (str, dict)):
        yield Blemish("tool_choice", "tool_choice", "tool_choice", "invalid_type")


def _format(body: dict[str, Json], dialect: Dialect) -> Iterator[Blemish]:
    value = body.get("response_format")
    if value is None:
        return
    if not isinstance(value, dict):
        yield Blemish("response_format", "response_format", "response_format", "invalid_type")
        return
    words, found = dialect.words("response_format"), value.get("type")
    if "type" not in value:
        yield Blemish("response_format", "response_format", "response_format.type", "missing_parameter")
    elif not isinstance(found, str):
        yield Blemish("response_format", "response_format", "response_format.type", "invalid_type")
    elif words and found not in words:
        yield Blemish("response_format", "response_format", "response_format.type", "invalid_value")
