"""Conversations with tools: the model's own message is echoed verbatim and every call gets its result."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, Session, register
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json
from conformance.wire.traces import Relation

_TOOLS: Json = [build.WEATHER_TOOL, build.TIME_TOOL]
_SECRET = "73914"
"""A number that only the tool result holds."""


def said(exchange: Exchange) -> dict[str, Json] | None:
    """The assistant message of an answer as a client echoes it: verbatim, or as the deltas join. None without calls."""
    answer = exchange.answer
    if answer is None or not answer.complete or not answer.choices:
        return None
    choice = answer.choices[0]
    if not choice.calls:
        return None
    if isinstance(choice.raw, dict):
        message = choice.raw.get("message")
        return message if isinstance(message, dict) else None
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in choice.calls
    ]
    if not all(isinstance(part, str) for call in choice.calls for part in (call.id, call.name, call.arguments)):
        return None
    return {"role": "assistant", "content": choice.text or None, "tool_calls": calls}


def results(message: dict[str, Json], content: str) -> list[dict[str, Json]]:
    """One tool message for each call that has an id; each tells its call's number, so that results differ."""
    calls = message.get("tool_calls")
    ids = [item.get("id") for item in calls if isinstance(item, dict)] if isinstance(calls, list) else []
    return [build.result(found, f"{content}{number}") for number, found in enumerate(ids) if isinstance(found, str)]


def _flow(session: Session, prompt: str, choice: Json, *, reverse: bool = False, streams: bool = False) -> None:
    """Question, calls, results, answer; then a second question, whose calls need fresh ids.

    `reverse` sends the results in reversed order. The last request leaves `tools` out; it is also marked as a
    conversation of its own with the one before, so that both ways to go on are seen.
    """
    base = session.base
    group = session.group("weather")
    messages: list[Json] = [build.user(prompt)]

    def turn(tools: bool, tool_choice: Json = ...) -> Exchange:
        body = base.body(*messages, **({"tools": _TOOLS, "tool_choice": tool_choice} if tools else {}))
        exchange = session.send(build.post(build.streamed(body) if streams else body))
        session.mark(exchange, Relation.CONVERSATION, group, "turn")
        return exchange

    message = said(turn(True, choice))
    if message is None:
        return
    answers = results(message, f"Weather report {_SECRET}: mild, station ")
    messages += [message, *(reversed(answers) if reverse else answers)]
    final = turn(True)
    answer = final.answer
    if answer is None or not answer.choices or answer.choices[0].calls or not answer.choices[0].text:
        return
    messages += [{"role": "assistant", "content": answer.choices[0].text}]
    messages += [build.user("And what is the weather in Tokyo and in Rome?")]
    second = turn(True, "required")
    message = said(second)
    if message is None:
        return
    messages += [message, *results(message, "Weather report: cold, station ")]
    bare = session.group("weather-without-tools")
    for exchange in (second, turn(False)):
        session.mark(exchange, Relation.CONVERSATION, bare, "turn")


def _conversations(session: Session) -> None:
    _flow(session, build.CITIES, "required")
    if session.base.effort < Effort.STANDARD:
        return
    _flow(session, build.CITIES, "auto", reverse=True)
    if "streaming" in session.base.capabilities:
        _flow(session, build.CITIES, "auto", reverse=True, streams=True)
        _flow(session, build.WEATHER, build.named("get_weather"), streams=True)


register(
    Probe(
        "conversations",
        "tool_calls",
        ("tool_calls", "tool_choice"),
        scenario=_conversations,
        upper=16,
        needs=frozenset({"tools"}),
        summary="Whole tool conversations with the model's own calls, also streamed and in reversed order.",
    )
)


def _history(base: Base, *messages: Json) -> dict[str, Json]:
    return base.body(*messages, tools=[build.WEATHER_TOOL], **build.BARE)


def _turns(base: Base) -> tuple[dict[str, Json], list[Json]]:
    """A finished round with client-chosen ids: the body, and its messages."""
    messages: list[Json] = [
        build.user(build.CITIES),
        build.called(
            build.call("call_paris", "get_weather", '{"location":"Paris"}'),
            build.call("call_london", "get_weather", '{"location":"London"}'),
        ),
        build.result("call_paris", '{"temp": 18, "condition": "sunny"}'),
        build.result("call_london", '{"temp": 14, "condition": "cloudy"}'),
    ]
    return _history(base, *messages), messages


def _accepted(base: Base) -> Iterator[Group]:
    """Legal histories that real servers have been seen to refuse."""
    body, messages = _turns(base)
    yield build.single(body)
    asked, calls, paris, london = messages
    yield build.contrast(body, {**body, "messages": [asked, calls, london, paris]}, "/messages")
    parts = {**paris, "content": [{"type": "text", "text": "18 degrees, "}]}
    yield build.contrast(body, {**body, "messages": _with(messages, 2, parts)}, "/messages/2/content")
    bad = {**calls, "tool_calls": [build.call("call_paris", "get_weather", "{bad"), calls["tool_calls"][1]]}
    yield build.contrast(
        body, {**body, "messages": [asked, bad, paris, london]}, "/messages/1/tool_calls/0/function/arguments"
    )
    if base.effort < Effort.STANDARD:
        return
    yield build.set_at(body, "tools", ...)
    told = {**paris, "content": f"report number {_SECRET}"}
    secret = base.body(asked, calls, told, london, tools=[build.WEATHER_TOOL])
    yield from build.parity(base, secret, usage=False)
    changed: tuple[tuple[int, Json, str], ...] = (
        (1, {key: item for key, item in calls.items() if key != "content"}, "/messages/1/content"),
        (1, {**calls, "content": ""}, "/messages/1/content"),
        (1, {**calls, "content": "Let me look."}, "/messages/1/content"),
        (1, {**calls, "refusal": None}, "/messages/1/refusal"),
        (1, {**calls, "refusal": None, "annotations": [], "audio": None, "function_call": None}, "/messages/1"),
        (2, {**paris, "content": ""}, "/messages/2/content"),
    )
    for position, message, about in changed:
        yield build.contrast(body, {**body, "messages": _with(messages, position, message)}, about)
    twice = [*messages, {"role": "assistant", "content": "18 and 14 degrees."}, build.user("Which one is warmer?")]
    yield build.single({**body, "messages": twice})
    alarms = [
        build.user("Which alarms are set?"),
        build.called(build.call("call_0", "list_alarms", "{}")),
        build.result("call_0", "[]"),
    ]
    yield build.single(base.body(*alarms, tools=[build.BARE_TOOL]))


def _with(messages: list[Json], position: int, message: Json) -> list[Json]:
    return [*messages[:position], message, *messages[position + 1 :]]


def _refused(base: Base) -> Iterator[Group]:
    """Histories whose calls and results do not fit together."""
    body, messages = _turns(base)
    asked, calls, paris, london = messages
    more = build.user("Thanks. And now?")
    without = {key: item for key, item in paris.items() if key != "tool_call_id"}
    wrong: list[tuple[list[Json], str]] = [
        (_with(messages, 2, {**paris, "tool_call_id": "call_zzz"}), "/messages/2/tool_call_id"),
        ([asked, calls, paris, more], "/messages/3"),
        ([asked, paris, london], "/messages/1"),
        (_with(messages, 2, without), "/messages/2/tool_call_id"),
        ([asked, calls, more, paris, london], "/messages/2"),
        (_with(messages, 2, {key: item for key, item in paris.items() if key != "content"}), "/messages/2/content"),
        (_with(messages, 2, {**paris, "content": None}), "/messages/2/content"),
        (_with(messages, 2, {**paris, "tool_call_id": 5}), "/messages/2/tool_call_id"),
        ([asked, calls, paris], "/messages/3"),
        (
            _with(
                messages,
                2,
                {**paris, "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]},
            ),
            "/messages/2/content",
        ),
        (
            _with(messages, 1, {**calls, "tool_calls": [_less("id"), calls["tool_calls"][1]]}),
            "/messages/1/tool_calls/0/id",
        ),
        (
            _with(messages, 1, {**calls, "tool_calls": [_less("function"), calls["tool_calls"][1]]}),
            "/messages/1/tool_calls/0/function",
        ),
        (_with(messages, 1, {**calls, "tool_calls": "call_paris"}), "/messages/1/tool_calls"),
    ]
    for items, about in wrong:
        yield build.contrast(body, {**body, "messages": items}, about, refused=True)
    spoken: Json = {"role": "assistant", "content": "It depends on the day."}
    plain = _history(base, asked, spoken, more)
    empty = _history(base, asked, {**spoken, "tool_calls": []}, more)
    if base.effort < Effort.STANDARD:
        yield build.single(empty, free=True)
    else:
        yield build.contrast(plain, empty, "/messages/1/tool_calls", refused=True)


def _less(key: str) -> dict[str, Json]:
    """The call to Paris without one key."""
    whole = build.call("call_paris", "get_weather", '{"location":"Paris"}')
    return {name: item for name, item in whole.items() if name != key}


def _histories(base: Base) -> Iterator[Group]:
    yield from _accepted(base)
    yield from _refused(base)


register(
    Probe(
        "histories",
        "tool_calls",
        ("tool_calls", "errors", "requests"),
        table=_histories,
        needs=frozenset({"tools"}),
        summary="Histories with client-chosen call ids, right and wrong.",
    )
)
