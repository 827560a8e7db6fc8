"""Is a request undoubtedly valid? A whitelist: only documented fields with documented values, and nothing unusual."""

from __future__ import annotations

import re
from collections.abc import Callable

from conformance.rules.base import Terms
from conformance.rules.blemishes import Blemish, blemishes, number_fault
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange, header_values
from conformance.wire.strict_json import Json, is_integer

_LONGEST_PROMPT = 12_000
"""Characters of all messages: far below any context window that is in use."""
_MOST_MESSAGES = 50
_MOST_TOOLS = 16
_MOST_CHOICES = 4
_LARGEST_LIMIT = 512
_SMALLEST_LIMIT = 16
"""Models that think before they speak may answer a smaller token limit with an error that says so."""
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")

_Test = Callable[[Json, ChatRequest, Terms], bool]


def undoubtedly_valid(chat: ChatRequest, terms: Terms) -> bool:
    """Whether no reader of the dialect's documents could doubt that the request is valid. Total."""
    body = chat.body
    if not {"model", "messages"} <= body.keys() or not body.keys() <= _FIELDS.keys():
        return False
    if {"max_tokens", "max_completion_tokens"} <= body.keys() or {"tools", "response_format"} <= body.keys():
        return False
    return all(_FIELDS[field](value, chat, terms) for field, value in body.items())


def lone_blemish(chat: ChatRequest, terms: Terms) -> Blemish | None:
    """The one thing that is wrong with a request which is undoubtedly valid without it, or None."""
    found = blemishes(chat.body, terms.dialect)
    if len(found) != 1:
        return None
    field = found[0].field
    mended = {key: value for key, value in chat.body.items() if key != field}
    # Whether the model exists is another question, which no fault of another field depends on.
    mended["model"] = terms.facts.model or "example"
    if field == "messages":
        mended["messages"] = [{"role": "user", "content": "Hi"}]
    return found[0] if undoubtedly_valid(ChatRequest(mended), terms) else None


NOT_ABOUT_THE_BODY = frozenset({401, 402, 403, 404, 407, 429})
"""Credentials, credit, routes and rates."""


def keyed_chat(exchange: Exchange) -> ChatRequest | None:
    """The request of an exchange that carried the run's key, strict JSON, and no content type of its own."""
    request = exchange.request
    usual = request.auth == "key" and not header_values(request.headers, "content-type")
    return request.chat if usual and not request.document.problems else None


def lone(exchange: Exchange, terms: Terms) -> Blemish | None:
    """The lone blemish of an exchange's request that carries the run's key, or None."""
    chat = exchange.request.chat
    return lone_blemish(chat, terms) if chat is not None and exchange.request.auth == "key" else None


def plainer(body: dict[str, Json]) -> dict[str, Json]:
    """The same request with each developer as system, each text part as a string, and without names and nulls."""
    messages = body.get("messages")
    made = {key: value for key, value in body.items() if value is not None}
    if isinstance(messages, list):
        made["messages"] = [_plainer_message(item) if isinstance(item, dict) else item for item in messages]
    return made


def _plainer_message(item: dict[str, Json]) -> dict[str, Json]:
    made = {key: value for key, value in item.items() if key != "name"}
    if made.get("role") == "developer":
        made["role"] = "system"
    content = made.get("content")
    if isinstance(content, list) and content:
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        if len(texts) == len(content) and all(isinstance(text, str) for text in texts):
            made["content"] = "".join(str(text) for text in texts)
    return made


def _model(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    """A model that is listed or was served; any name where neither list nor service was seen."""
    if not isinstance(value, str) or not value:
        return False
    facts = terms.facts
    return value == facts.model or facts.row(value) is not None or (facts.models is None and facts.model is None)


def _messages(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_MESSAGES:
        return False
    length = 0
    for item in value:
        if not isinstance(item, dict) or item.keys() != {"role", "content"}:
            return False
        if item["role"] not in ("system", "user", "assistant") or not isinstance(item["content"], str):
            return False
        text: str = item["content"]
        if not text.strip() or (not text.isprintable() and not text.replace("\n", " ").isprintable()):
            return False
        length += len(text)
    return length <= _LONGEST_PROMPT and _usual_order([item["role"] for item in value])


def _usual_order(roles: list[str]) -> bool:
    """System messages first, then user and assistant in turn, a user last: what every chat template takes."""
    turns = [role for role in roles if role != "system"]
    if roles[: len(roles) - len(turns)].count("system") != len(roles) - len(turns) or len(roles) - len(turns) > 1:
        return False
    return (
        bool(turns)
        and all(role == ("user", "assistant")[place % 2] for place, role in enumerate(turns))
        and (turns[-1] == "user")
    )


def _ranged(field: str, limit: str, usual: tuple[float, float], *, integer: bool = False) -> _Test:
    """A number inside the documented range; or where there is none, a usual one, if the field was accepted before."""

    def test(value: Json, chat: ChatRequest, terms: Terms) -> bool:
        lowest, highest = terms.dialect.limit(f"{limit}.min"), terms.dialect.limit(f"{limit}.max")
        if lowest is None or highest is None:
            if field not in terms.facts.accepted_fields:
                return False
            lowest, highest = usual
        return (is_integer(value) or not integer) and number_fault(value, lowest, highest, integer=integer) is None

    return test


def _token_limit(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    most = _LARGEST_LIMIT + 2 * terms.facts.reasoning_tokens
    return is_integer(value) and _SMALLEST_LIMIT <= value <= most


def _n(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    most = terms.dialect.limit("n.max")
    return is_integer(value) and 1 <= value <= min(_MOST_CHOICES, most if is_integer(most) else 1)


def _stop(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    most = terms.dialect.limit("stop.max")
    values = value if isinstance(value, list) else [value]
    return is_integer(most) and 0 < len(values) <= most and all(isinstance(item, str) and item for item in values)


def _stream(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    return value is False or (value is True and "streaming" in terms.dialect.capabilities)


def _stream_options(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    return (
        chat.stream is True
        and isinstance(value, dict)
        and value.keys() == {"include_usage"}
        and isinstance(value["include_usage"], bool)
        and terms.dialect.convention("usage.in_stream") == "extra_chunk"
    )


def _tools(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    if "tools" not in terms.dialect.capabilities or not isinstance(value, list) or not 0 < len(value) <= _MOST_TOOLS:
        return False
    names = [_tool_name(item) for item in value]
    return all(name is not None for name in names) and len(set(names)) == len(names)


def _tool_name(item: Json) -> str | None:
    """The name of an undoubtedly well-formed function tool, else None."""
    if not isinstance(item, dict) or item.keys() != {"type", "function"} or item["type"] != "function":
        return None
    function = item["function"]
    if not isinstance(function, dict) or not {"name"} <= function.keys() <= {"name", "description", "parameters"}:
        return None
    name, schema = function["name"], function.get("parameters")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(function.get("description", ""), str):
        return None
    plain = isinstance(schema, dict) and schema.get("type") == "object" and _simple_schema(schema, 4)
    return name if "parameters" not in function or plain else None


def _simple_schema(schema: Json, depth: int) -> bool:
    """Objects with properties, arrays with items, and scalars: what every tool-calling server has to take."""
    if not isinstance(schema, dict) or depth == 0:
        return False
    known = {"type", "properties", "required", "description", "enum", "items", "additionalProperties"}
    if not schema.keys() <= known or schema.get("additionalProperties", False) not in (True, False):
        return False
    if not isinstance(schema.get("description", ""), str):
        return False
    kind = schema.get("type")
    if kind == "object":
        properties, required = schema.get("properties"), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            return False
        named = all(isinstance(name, str) and name in properties for name in required)
        return named and all(
            _NAME.fullmatch(key) and _simple_schema(item, depth - 1) for key, item in properties.items()
        )
    if kind == "array":
        return _simple_schema(schema.get("items"), depth - 1)
    choices = schema.get("enum", [""])
    strings = isinstance(choices, list) and bool(choices) and all(isinstance(item, str) for item in choices)
    return kind in ("integer", "number", "boolean", "string") and strings and ("enum" not in schema or kind == "string")


def _tool_choice(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    if "tools" not in chat.body:
        return False
    if isinstance(value, str):
        flagged = value == "required" and terms.dialect.convention("tool_choice.capability_flag") is not None
        return value in ("auto", "none", "required") and not flagged
    if not isinstance(value, dict) or value.keys() != {"type", "function"}:
        return False
    return (
        isinstance(value["function"], dict)
        and value["function"].keys() == {"name"}
        and (chat.chosen_name is not None and chat.tool(chat.chosen_name) is not None)
    )


def _parallel(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    documented = terms.dialect.convention("parallel_tool_calls.default") is not None
    return isinstance(value, bool) and "tools" in chat.body and documented


def _logprobs(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    return isinstance(value, bool) and "logprobs" in terms.dialect.capabilities


def _top_logprobs(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    lowest, highest = terms.dialect.limit("top_logprobs.min"), terms.dialect.limit("top_logprobs.max")
    bounded = is_integer(lowest) and is_integer(highest)
    return bounded and chat.wants_logprobs and is_integer(value) and lowest <= value <= highest


def _format(value: Json, chat: ChatRequest, terms: Terms) -> bool:
    return value == {"type": "text"} and "structured_output" in terms.dialect.capabilities


_FIELDS: dict[str, _Test] = {
    "model": _model,
    "messages": _messages,
    "temperature": _ranged("temperature", "temperature", (0, 1)),
    "top_p": _ranged("top_p", "top_p", (0.1, 1)),
    "presence_penalty": _ranged("presence_penalty", "penalty", (0, 1)),
    "frequency_penalty": _ranged("frequency_penalty", "penalty", (0, 1)),
    "max_tokens": _token_limit,
    "max_completion_tokens": _token_limit,
    "n": _n,
    "seed": _ranged("seed", "seed", (0, 2**31 - 1), integer=True),
    "stop": _stop,
    "user": lambda value, chat, terms: isinstance(value, str) and bool(value),
    "stream": _stream,
    "stream_options": _stream_options,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel,
    "response_format": _format,
    "logprobs": _logprobs,
    "top_logprobs": _top_logprobs,
}
