"""The messages of a request: shapes, roles, contents, and the order of tool calls and their results."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.reference.fields import wrong_type
from conformance.reference.stages import Context, Refusal
from conformance.wire.strict_json import Json, kind, show

_PARTS = {
    "system": ("text",),
    "developer": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "tool": ("text",),
    "function": (),
}


def refuse(context: Context) -> Iterator[Refusal]:
    """Every reason that lies in `messages`."""
    body = context.body or {}
    found, most = body.get("messages"), context.dialect.limit("messages.max")
    if "messages" not in body:
        yield Refusal("missing_parameter", "messages.missing", "The parameter 'messages' is missing.", "messages")
        return
    if not isinstance(found, list):
        yield wrong_type("messages", found, "an array", "messages.type")
        return
    if not found:
        yield Refusal("array_too_short", "messages.empty", "'messages' is an empty array.", "messages")
    if most is not None and len(found) > most:
        yield Refusal("array_too_long", "messages.count", f"'messages' may hold at most {most} messages.", "messages")
    for position, message in enumerate(found):
        where = f"messages[{position}]"
        if not isinstance(message, dict):
            yield wrong_type(where, message, "an object", "message.type")
            continue
        yield from _message(context, message, where)
    yield from _order(found)


def _message(context: Context, message: dict[str, Json], where: str) -> Iterator[Refusal]:
    role, roles = message.get("role"), context.dialect.words("role")
    if "role" not in message:
        yield Refusal("missing_parameter", "message.role.missing", f"'{where}.role' is missing.", f"{where}.role")
    elif not isinstance(role, str):
        yield wrong_type(f"{where}.role", role, "a string", "message.role.type")
    elif roles and role not in roles:
        text = f"'{where}.role' has to be one of {', '.join(roles)}, not {show(role, 40)}."
        yield Refusal("invalid_value", "message.role.unknown", text, f"{where}.role")
    if message.get("name") is not None and not isinstance(message["name"], str):
        yield wrong_type(f"{where}.name", message["name"], "a string", "message.name.type")
    if role == "assistant":
        yield from _assistant(context, message, where)
    elif role == "tool":
        call_id = message.get("tool_call_id")
        if call_id is None:
            text = f"'{where}.tool_call_id' is missing."
            yield Refusal("missing_parameter", "message.tool_call_id.missing", text, f"{where}.tool_call_id")
        elif not isinstance(call_id, str):
            yield wrong_type(f"{where}.tool_call_id", call_id, "a string", "message.tool_call_id.type")
    yield from _content(context, message, where)


def _assistant(context: Context, message: dict[str, Json], where: str) -> Iterator[Refusal]:
    calls, most = message.get("tool_calls"), context.dialect.limit("message_tool_calls.max")
    if calls is None:
        return
    if not isinstance(calls, list):
        yield wrong_type(f"{where}.tool_calls", calls, "an array", "message.tool_calls.type")
        return
    if not calls:
        text = f"'{where}.tool_calls' is an empty array."
        yield Refusal("array_too_short", "message.tool_calls.empty", text, f"{where}.tool_calls")
    if most is not None and len(calls) > most:
        text = f"'{where}.tool_calls' may hold at most {most} calls."
        yield Refusal("array_too_long", "message.tool_calls.count", text, f"{where}.tool_calls")
    for position, call in enumerate(calls):
        wrong = _wrong_call(call)
        if wrong is not None:
            place = f"{where}.tool_calls[{position}]{wrong[0]}"
            missing = "missing_parameter" if wrong[1] else "invalid_type"
            yield Refusal(missing, "message.tool_calls.shape", f"'{place}' is missing or malformed.", place)


def _wrong_call(call: Json) -> tuple[str, bool] | None:
    """The place in a historic call that is wrong, and whether it is missing."""
    if not isinstance(call, dict):
        return "", False
    if not isinstance(call.get("id"), str) or not call["id"]:
        return ".id", call.get("id") is None
    form = call.get("type")
    if form not in ("function", "custom"):
        return ".type", form is None
    inner = call.get(form)
    if not isinstance(inner, dict):
        return f".{form}", inner is None
    for name in ("name", "arguments" if form == "function" else "input"):
        if not isinstance(inner.get(name), str):
            return f".{form}.{name}", inner.get(name) is None
    return None


def _content(context: Context, message: dict[str, Json], where: str) -> Iterator[Refusal]:
    role, content, place = message.get("role"), message.get("content"), f"{where}.content"
    if content is None:
        if role == "assistant":
            if message.get("tool_calls") is None and message.get("function_call") is None:
                text = f"'{place}' is required where there are no tool calls."
                form = "invalid_type" if "content" in message else "missing_parameter"
                yield Refusal(form, "message.assistant.empty", text, place)
        elif role == "function" and "content" in message:
            return
        else:
            form = "invalid_type" if "content" in message else "missing_parameter"
            yield Refusal(form, "message.content.missing", f"'{place}' is missing.", place)
        return
    if isinstance(content, str):
        yield from _length(context, content, place)
    elif not isinstance(content, list):
        yield Refusal(
            "invalid_type", "message.content.type", f"'{place}' is {kind(content)}: send text or parts.", place
        )
    elif not content:
        yield Refusal("array_too_short", "message.content.empty", f"'{place}' is an empty array.", place)
    else:
        for position, part in enumerate(content):
            yield from _part(context, role, part, f"{place}[{position}]")


def _length(context: Context, text: str, place: str) -> Iterator[Refusal]:
    longest = context.dialect.limit("message_text.max_length")
    if longest is not None and len(text) > longest:
        yield Refusal(
            "string_too_long", "message.content.length", f"'{place}' has more than {longest} characters.", place
        )


def _part(context: Context, role: Json, part: Json, place: str) -> Iterator[Refusal]:
    if not isinstance(part, dict):
        yield wrong_type(place, part, "an object", "message.part.type")
        return
    form = part.get("type")
    known = _PARTS.get(role, ("text",)) if isinstance(role, str) else ("text",)
    if form is None:
        yield Refusal("missing_parameter", "message.part.kind", f"'{place}.type' is missing.", f"{place}.type")
    elif not isinstance(form, str) or form not in known:
        check = "message.tool_part.kind" if role == "tool" else "message.part.kind"
        yield Refusal("invalid_value", check, f"'{place}.type' may not be {show(form, 40)} here.", f"{place}.type")
    elif form == "text":
        if isinstance(part.get("text"), str):
            yield from _length(context, part["text"], f"{place}.text")
        else:
            missing = "missing_parameter" if part.get("text") is None else "invalid_type"
            yield Refusal(missing, "message.part.text", f"'{place}.text' has to be a string.", f"{place}.text")
    elif form == "image_url":
        yield from _image(part, place)
    elif form in ("input_audio", "file"):
        yield Refusal(
            "unsupported_value", "message.part.modality", f"'{place}': this model reads text and images.", place
        )


def _image(part: dict[str, Json], place: str) -> Iterator[Refusal]:
    inner = part.get("image_url")
    url = inner.get("url") if isinstance(inner, dict) else None
    if not isinstance(url, str) or not url.startswith(("https://", "http://", "data:image/")):
        text = f"'{place}.image_url.url' has to be an https or data:image/ URL."
        yield Refusal("invalid_value", "message.image_url", text, f"{place}.image_url.url")


def _order(found: list[Json]) -> Iterator[Refusal]:
    """Each tool message answers a call before it; each call is answered before anything else is said."""
    announced: set[str] | None = None
    waiting: list[str] = []
    for position, message in enumerate(found):
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        if role == "tool":
            call_id = message.get("tool_call_id")
            if announced is None:
                text = "A message with role 'tool' has to answer a preceding message with 'tool_calls'."
                yield Refusal("message_order", "order.tool_without_calls", text, f"messages.[{position}].role")
            elif isinstance(call_id, str) and call_id not in announced:
                text = f"'tool_call_id' {show(call_id, 60)} matches no call of the preceding message."
                yield Refusal("message_order", "order.unknown_call_id", text, f"messages.[{position}].tool_call_id")
            waiting = [item for item in waiting if item != call_id]
            continue
        if waiting:
            yield _unanswered(waiting, position)
            waiting = []
        if role == "assistant":
            calls = message.get("tool_calls")
            ids = (
                [call["id"] for call in calls if isinstance(call, dict) and isinstance(call.get("id"), str)]
                if isinstance(calls, list)
                else []
            )
            announced, waiting = (set(ids), ids) if calls else (None, [])
    if waiting:
        yield _unanswered(waiting, len(found))


def _unanswered(waiting: list[str], position: int) -> Refusal:
    text = (
        f"Each 'tool_call_id' needs a tool message right after the calls; these have none: {', '.join(waiting)[:500]}."
    )
    return Refusal("message_order", "order.missing_results", text, f"messages.[{position}].role")
