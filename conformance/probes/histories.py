"""Histories that hold finished rounds of calls and results with client-chosen ids, right and wrong."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json

_SECRET = "73914"
"""A number that only the tool result holds."""

_LINE = "Paris: mild, a light wind from the west, no rain to speak of.\n"
_LINES = (9, 140, 900)
"""Lines of long results, one more with each effort: some 130, 2,000 and 13,000 tokens."""


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
    nothing = {key: item for key, item in calls.items() if key != "content"}
    yield build.single(_two_rounds(base, nothing, {**calls, "content": ""}))
    for lines in _LINES[: base.effort]:
        long = {**paris, "content": f"{_LINE * lines}Report number {_SECRET}"}
        yield build.single(base.body(asked, calls, long, london, tools=[build.WEATHER_TOOL]))
    if base.effort < Effort.STANDARD:
        return
    for message in (nothing, {**calls, "content": ""}):
        yield build.contrast(body, {**body, "messages": _with(messages, 1, message)}, "/messages/1/content")
    yield build.set_at(body, "tools", ...)
    told = {**paris, "content": f"Météo à Paris ☀ 晴れ: report number {_SECRET}"}
    secret = base.body(asked, calls, told, london, tools=[build.WEATHER_TOOL])
    yield from build.parity(base, secret, usage=False)
    changed: tuple[tuple[int, Json, str], ...] = (
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


def _two_rounds(base: Base, first: Json, second: dict[str, Json]) -> dict[str, Json]:
    """Two finished rounds with these messages as their calls; the second one's ids are others than the first one's."""
    _, (asked, _, *results) = _turns(base)
    renamed = {**second, "tool_calls": [{**call, "id": f"{call['id']}_again"} for call in second["tool_calls"]]}
    again = [{**item, "tool_call_id": f"{item['tool_call_id']}_again"} for item in results]
    return _history(base, asked, first, *results, build.user("And now?"), renamed, *again)


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
