"""The fake model: deterministic, and as obedient as the prompt conventions say.

It reads the last user message. `Repeat exactly: …`, `Count from A to B` and `Write a long story` decide what it says;
tools named in the text, and "weather", decide what it wants to call. The request's parameters then force, forbid and
cut.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

from conformance.reference import tokens
from conformance.reference.arguments import instance
from conformance.reference.headers import token, ulid
from conformance.reference.minds import MINDS, Mind, Wish
from conformance.reference.models_list import serving
from conformance.reference.stages import Chosen, Completion, Context, ToolCall
from conformance.wire import strict_json
from conformance.wire.chat_request import ChatRequest, Choosing, DeclaredTool
from conformance.wire.strict_json import Json

_REPEAT = re.compile(r"Repeat exactly: ?(.*)", re.DOTALL)
_COUNT = re.compile(r"Count from (-?\d{1,9}) to (-?\d{1,9})")
_CITIES = re.compile(r"Paris|London|Tokyo|Berlin|Rome")
_FRAGMENT = re.compile(r"[^\\]{1,5}\\?|\\")
_GREETING = "Hello! How can I help you today?"
_STORY = " ".join(
    f"On day {day} the little ship sailed on past island number {day}, and the crew sang about the sea."
    for day in range(1, 12)
)
_EFFORT_TOKENS = {"low": 8, "medium": 16, "high": 32, "xhigh": 48, "max": 64}
_MOST_CHOICES = 128
_MOST_NUMBERS = 2000


def complete(context: Context) -> Completion:
    """What the model makes of `context.demand`. Total: any demand gives a completion."""
    chat = ChatRequest(context.demand)
    mind = MINDS[context.mind]
    draw = _lots(context)
    calls, named = _calls(chat, mind, draw)
    parallel = chat.parallel is not False
    wishes = calls if parallel else calls[:1]
    text = mind.beside if wishes else _text(chat, mind, draw)
    reasoning, limit = _reasoning(context, chat), _limit(context, chat)
    separate = context.dialect.convention("usage.reasoning") == "separate"
    room = limit if separate else max(0, limit - reasoning)
    spent = min(reasoning, limit) if not separate else reasoning
    finish = (context.dialect.convention("finish_reason.named") or ["tool_calls"])[0] if named else "tool_calls"
    arguments = [_fragments(wish) for wish in wishes]
    count = max(1, min(chat.n or 1, _MOST_CHOICES))
    choices = tuple(
        _choice(context, index, text, list(zip(wishes, arguments, strict=True)), room, chat.stops, finish, spent)
        for index in range(count)
    )
    made = sum(len(choice.tokens or ()) + choice.call_tokens for choice in choices)
    reasoned = spent * count
    return Completion(
        _completion_id(context),
        context.now,
        _model_name(context),
        choices,
        prompt_tokens(context.demand),
        made if separate else made + reasoned,
        reasoned,
    )


def _lots(context: Context) -> random.Random:
    """Free decisions: the same for requests that differ only in how the answer is delivered."""
    asked = {key: value for key, value in context.demand.items() if key not in ("stream", "stream_options")}
    try:
        return random.Random(strict_json.dump(asked) if context.mind == "random" else 0)
    except RecursionError:
        return random.Random(len(context.request.body or b""))


def _completion_id(context: Context) -> str:
    prefix = context.dialect.convention("id.prefix") or ""
    body = (
        ulid(context, "completion")
        if context.dialect.convention("id.form") == "ulid"
        else token(context, "completion", 29)
    )
    return f"{prefix}{body}"


def _model_name(context: Context) -> str:
    name = context.demand.get("model")
    return name if isinstance(name, str) and name else serving(name).id


def message_text(message: dict[str, Json]) -> str:
    """The text of a message: its string, or its text parts joined."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def prompt_tokens(demand: dict[str, Json]) -> int:
    """How many tokens the prompt counts for, by a rough measure: about four characters each."""
    total = 3
    for message in ChatRequest(demand).messages:
        total += 4 + (len(message_text(message)) + 3) // 4
        calls = message.get("tool_calls")
        total += 8 * len(calls) if isinstance(calls, list) else 0
    tools = demand.get("tools")
    return total + (20 * len(tools) if isinstance(tools, list) else 0)


def _limit(context: Context, chat: ChatRequest) -> int:
    cap = serving(chat.model).cap
    return cap if chat.token_limit is None else max(0, min(chat.token_limit, cap))


def _reasoning(context: Context, chat: ChatRequest) -> int:
    effort = chat.body.get("reasoning_effort")
    flag = context.dialect.convention("reasoning_effort.capability_flag")
    if not isinstance(effort, str) or (flag and flag not in serving(chat.model).flags):
        return 0
    return _EFFORT_TOKENS.get(effort, 0)


def _last_user_text(chat: ChatRequest) -> str:
    return next((message_text(item) for item in reversed(chat.messages) if item.get("role") == "user"), "")


def _tool_results(chat: ChatRequest) -> list[str]:
    results: list[str] = []
    for message in reversed(chat.messages):
        if message.get("role") not in ("tool", "function"):
            break
        results.insert(0, message_text(message))
    return results


def _calls(chat: ChatRequest, mind: Mind, draw: random.Random) -> tuple[list[Wish], bool]:
    """The calls to make, and whether the request named the function."""
    offered, choosing = chat.tools, chat.choosing
    required = choosing is Choosing.REQUIRED
    if choosing is Choosing.ALLOWED:
        allowed = chat.body["tool_choice"]["allowed_tools"]
        offered, required = _allowed(allowed, offered), allowed.get("mode") == "required"
    if not offered or choosing is Choosing.NONE:
        return [], False
    text = _last_user_text(chat)
    if choosing is Choosing.NAMED:
        tool = chat.tool(chat.chosen_name)
        city = _CITIES.search(text)
        return ([Wish(tool, city.group() if city else None)], True) if tool is not None else ([], False)
    wanted = _wanted(text, offered)
    if required:
        return mind.must_call(wanted, offered, draw), False
    return ([] if _tool_results(chat) else mind.may_call(wanted, offered, draw)), False


def _allowed(allowed: dict[str, Json], offered: tuple[DeclaredTool, ...]) -> tuple[DeclaredTool, ...]:
    listed = allowed.get("tools")
    names = [
        item["function"].get("name")
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and isinstance(item.get("function"), dict)
    ]
    return tuple(tool for tool in offered if tool.name in names)


def _wanted(text: str, offered: tuple[DeclaredTool, ...]) -> list[Wish]:
    if _REPEAT.match(text):
        return []
    places: list[tuple[int, int, DeclaredTool]] = []
    weather = text.lower().find("weather")
    for tool in offered:
        place = _find_name(text, tool.name)
        if place < 0 and weather >= 0 and "weather" in tool.name.lower():
            place = weather
        if place >= 0:
            places.append((place, tool.position, tool))
    wanted = [tool for _, _, tool in sorted(places, key=lambda item: item[:2])]
    cities = list(dict.fromkeys(_CITIES.findall(text)))
    if len(wanted) == 1 and cities:
        return [Wish(wanted[0], city) for city in cities]
    return [Wish(tool, cities[0] if cities else None) for tool in wanted]


def _find_name(text: str, name: str) -> int:
    """Where the name stands as a word of its own, or -1."""
    start = 0
    while (place := text.find(name, start)) >= 0:
        before, after = text[place - 1 : place], text[place + len(name) : place + len(name) + 1]
        if not any(neighbour and (neighbour.isalnum() or neighbour in "_-") for neighbour in (before, after)):
            return place
        start = place + 1
    return -1


def _text(chat: ChatRequest, mind: Mind, draw: random.Random) -> str:
    """The words of an answer without calls."""
    obedient = _obedient_text(chat)
    if chat.format_type == "json_schema":
        declared = chat.body["response_format"].get("json_schema")
        schema = declared.get("schema") if isinstance(declared, dict) else None
        made: Any = instance({} if schema is None else schema) if schema is not None else {"answer": obedient}
        return _json_text(made)
    if chat.format_type == "json_object":
        given = strict_json.parse(obedient)
        return (
            obedient
            if given.ok and isinstance(given.value, dict)
            else _json_text({"answer": mind.says(obedient, draw)})
        )
    return mind.says(obedient, draw)


def _json_text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _obedient_text(chat: ChatRequest) -> str:
    results = _tool_results(chat)
    if results:
        return f"Here is what I found: {'; '.join(results)}"
    text = _last_user_text(chat)
    repeat = _REPEAT.search(text)
    if repeat:
        return repeat.group(1)
    count = _COUNT.search(text)
    if count:
        first, last = int(count.group(1)), int(count.group(2))
        return ", ".join(map(str, range(first, min(last, first + _MOST_NUMBERS) + 1)))
    if "Write a long story" in text or "at length" in text:
        return _STORY
    return _GREETING


def _fragments(wish: Wish) -> tuple[str, ...]:
    value = instance({"type": "object", **(wish.tool.parameters or {})}, wish.hint) if wish.tool.parameters else {}
    return tuple(_FRAGMENT.findall(_json_text(value)))


def _choice(
    context: Context,
    index: int,
    text: str | None,
    calls: list[tuple[Wish, tuple[str, ...]]],
    room: int,
    stops: tuple[str, ...],
    finish: str,
    reasoning: int,
) -> Chosen:
    """One choice within `room` tokens: text first, then calls; `finish` is for whole calls."""
    pieces: tuple[bytes, ...] = ()
    cut = room <= 0
    if text is not None:
        pieces = _stopped(text, stops)
        cut = len(pieces) > room
        pieces = tokens.whole(pieces[:room])
    left, spent, made = room - len(pieces), 0, []
    for position, (wish, fragments) in enumerate(calls):
        if cut or left < 1:
            cut = True
            break
        kept = fragments[: left - 1]
        cut = len(kept) < len(fragments)
        left -= 1 + len(kept)
        spent += 1 + len(kept)
        call_id = f"{context.dialect.convention('call_id.prefix')}{token(context, f'call:{index}:{position}', 24)}"
        made.append(ToolCall(call_id, wish.tool.name, kept))
    return Chosen(
        index,
        None if text is None and made else tokens.tokens_of(pieces),
        tuple(made),
        "length" if cut else finish if made else "stop",
        None,
        reasoning,
        spent,
    )


def _stopped(text: str, stops: tuple[str, ...]) -> tuple[bytes, ...]:
    """The tokens before the first stop sequence."""
    pieces = tokens.split(text)
    found = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return tokens.cut_at(pieces, len(text[: min(found)].encode("utf-8", "replace"))) if found else pieces
