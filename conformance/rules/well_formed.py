"""Requests that are valid as far as documents go, though a server may know limits of its own: no reason for a 5xx."""

from __future__ import annotations

import re

from conformance.rules.base import Terms
from conformance.rules.checks import keyed_chat, undoubtedly_valid
from conformance.rules.tool_schemas import declares_usual_schemas
from conformance.wire import strict_json
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json

_MOST_MESSAGES = 50
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")


def well_formed(exchange: Exchange, terms: Terms) -> bool:
    """The request is undoubtedly valid, or is so but for usual schemas of parameters and finished rounds of calls."""
    chat = keyed_chat(exchange)
    if chat is None:
        return False
    body = dict(chat.body)
    if declares_usual_schemas(exchange):
        body["tools"] = [_without_parameters(item) for item in chat.body["tools"]]
    if _finished_rounds(body.get("messages")):
        body["messages"] = [{"role": "user", "content": "Hi"}]
    return undoubtedly_valid(ChatRequest(body), terms)


def _without_parameters(item: dict[str, Json]) -> dict[str, Json]:
    return {**item, "function": {key: value for key, value in item["function"].items() if key != "parameters"}}


def _finished_rounds(messages: Json) -> bool:
    """User, system and assistant messages with text, and calls that are followed at once by a result for each."""
    if not isinstance(messages, list) or not 0 < len(messages) <= _MOST_MESSAGES:
        return False
    pending: list[str] = []
    for item in messages:
        if not isinstance(item, dict):
            return False
        if item.get("role") == "tool":
            if not _has_text(item, "tool_call_id") or item["tool_call_id"] not in pending:
                return False
            pending.remove(item["tool_call_id"])
        elif pending:
            return False
        elif "tool_calls" in item:
            pending = _calls(item)
            if not pending:
                return False
        elif item.get("role") not in ("system", "user", "assistant") or not _has_text(item):
            return False
    return not pending and messages[-1]["role"] in ("user", "tool")


def _has_text(item: dict[str, Json], *more: str) -> bool:
    content = item.get("content")
    return item.keys() == {"role", "content", *more} and isinstance(content, str) and bool(content.strip())


def _calls(item: dict[str, Json]) -> list[str]:
    """The ids of the calls of an assistant message that holds nothing else; none where one is malformed or twice."""
    calls = item["tool_calls"]
    if item.keys() != {"role", "content", "tool_calls"} or item["role"] != "assistant" or item["content"] is not None:
        return []
    ids = [found for call in (calls if isinstance(calls, list) else ()) if (found := _call_id(call)) is not None]
    return ids if isinstance(calls, list) and len(set(ids)) == len(calls) else []


def _call_id(call: Json) -> str | None:
    """The id of a call of a function whose arguments are an object, else None."""
    if not isinstance(call, dict) or call.keys() != {"id", "type", "function"} or call["type"] != "function":
        return None
    function, call_id = call["function"], call["id"]
    if not isinstance(call_id, str) or not isinstance(function, dict) or function.keys() != {"name", "arguments"}:
        return None
    name, arguments = function["name"], function["arguments"]
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(arguments, str):
        return None
    return call_id if call_id and isinstance(strict_json.parse(arguments).value, dict) else None
