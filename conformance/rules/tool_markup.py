"""Raw tool-call markup in text: what a chat template writes for a call, and a server forgot to parse."""

from __future__ import annotations

import re

from conformance.wire import strict_json
from conformance.wire.chat_request import ChatRequest

_MARKUP = re.compile(
    r"<tool_calls?>|<\|tool_calls?|\[TOOL_CALLS?\]|<function=|<function_calls?>|<\|python_tag\|>|<｜tool▁calls?"
    r"|<tool_use>|functools\[|<\|tool_calls_section_begin\|>|to=functions\.|<invoke name="
)


def leaked(text: str, chat: ChatRequest) -> str | None:
    """The markup in a text that names a declared tool, or None. What the conversation itself quotes is no leak."""
    found = _MARKUP.search(text)
    if found is None or not any(name in text[found.start() :] for name in chat.tool_names):
        return None
    if any(found.group() in part for part in strict_json.strings(chat.body)):
        return None
    return text[found.start() : found.start() + 60]
