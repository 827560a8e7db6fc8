"""Builders that probes share: requests, groups, tools and prompts. Nothing here looks at an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from conformance.probes.base import Ask, Base, Effort, Group
from conformance.wire import strict_json
from conformance.wire.exchange import Headers, Request
from conformance.wire.strict_json import Json
from conformance.wire.traces import Relation

CITIES = "What is the weather in Paris and in London right now?"
"""Asks for two calls of one tool."""
WEATHER = "What is the weather in Paris right now?"
"""Asks for one call."""
GREETING = "Say hello in one word."
"""Asks for no tool."""
LONG = "Write a long story about a lighthouse keeper, at length, in plain prose."
"""Runs into any small token limit."""
COUNT = "Count from 1 to 10, separated by commas."
"""Has known text for stop sequences."""

UNICODE = "caffè ☕ 日本語 😀 ẞ"
"""Two, three and four byte characters, one outside the basic plane."""
SEPARATORS = "one\u2028two\u2029three\u0085four"
"""Characters at which careless readers split lines; JSON and event streams do not."""

CODE = 'if (a < b && c > 0) {\n\tprint("one\\ntwo");\n\n    # *done* `x`\n}'
"""Line breaks, indentation, escapes and markup: what careless writers trim, escape twice or take for HTML."""


def plain(base: Base) -> dict[str, Json]:
    """What preflight has sent, so that it costs nothing."""
    return base.body(GREETING, limit=32)


BARE: dict[str, Any] = {"temperature": ..., "seed": ...}
"""Leaves the optional fields out that not every dialect documents, so that nothing but the variant is in doubt."""


def bare(base: Base) -> dict[str, Json]:
    """The control of most contrasts: with only those fields that every dialect documents."""
    return base.body(GREETING, limit=32, **BARE)


def post(body: Json, headers: Headers = (), path: str = "/chat/completions", auth: str = "key") -> Request:
    """A POST of a JSON value; the transport declares it as JSON unless `headers` say otherwise."""
    return Request("POST", path, headers, strict_json.dump(body), auth)


def raw(body: bytes, headers: Headers = ()) -> Request:
    """A POST of these bytes to the chat-completions route."""
    return Request("POST", "/chat/completions", headers, body)


def get(path: str, auth: str = "key") -> Request:
    """A GET."""
    return Request("GET", path, (), None, auth)


def single(body: Json, *, free: bool = False) -> Group:
    """One chat request by itself."""
    return Group((Ask(post(body), free=free),))


def alone(request: Request, *, free: bool = False) -> Group:
    """One request of any kind by itself."""
    return Group((Ask(request, free=free),))


def contrast(control: Json, variant: Json, about: str, *, refused: bool = False) -> Group:
    """Two chat bodies that differ at the JSON pointer `about` only. `refused`: the variant ought to be turned down."""
    return contrasted(post(control), post(variant), about, refused=refused)


def contrasted(control: Request, variant: Request, about: str, *, refused: bool = False) -> Group:
    """Two requests that differ at `about` only: a JSON pointer, or a header's name."""
    return Group((Ask(control, "control"), Ask(variant, "variant", free=refused)), Relation.CONTRAST, about)


def set_at(body: Mapping[str, Json], field: str, value: Json, *, refused: bool = False) -> Group:
    """A contrast between a body and the same with one top-level field set; Ellipsis removes it."""
    variant = {key: item for key, item in {**body, field: value}.items() if item is not ...}
    return contrast(dict(body), variant, f"/{strict_json.escape_pointer(field)}", refused=refused)


def streamed(body: Mapping[str, Json], usage: bool | None = None) -> dict[str, Json]:
    """The same body as a stream; `usage` sets `stream_options.include_usage`, None leaves the options out."""
    made = {**body, "stream": True}
    return made if usage is None else {**made, "stream_options": {"include_usage": usage}}


def asks_for_usage(base: Base) -> bool:
    """The dialect documents `stream_options.include_usage`: usage then comes in an extra chunk."""
    return bool(base.dialect.convention("usage.in_stream") in (None, "extra_chunk"))


def parity(
    base: Base, body: Mapping[str, Json], *, usage: bool | None = None, twice: bool | None = None
) -> Iterator[Group]:
    """The same body unstreamed twice and streamed, where streaming is offered; else once by itself.

    `usage` True streams with `include_usage` where the dialect has it, False without, None both ways. `twice` False
    asks unstreamed only once; by default that is so at the least effort.
    """
    if "streaming" not in base.capabilities:
        yield single(dict(body))
        return
    ways: tuple[bool | None, ...] = (None,)
    if asks_for_usage(base) and usage is not False:
        ways = (None, True) if usage is None else (True,)
    plain = post(dict(body))
    again = base.effort >= Effort.STANDARD if twice is None else twice
    unstreamed = (Ask(plain, "unstreamed"), Ask(plain, "unstreamed", 1))[: 2 if again else 1]
    for way in ways:
        yield Group((*unstreamed, Ask(post(streamed(body, way)), "streamed")), Relation.PARITY)


def refused_pair(body: Mapping[str, Json]) -> Group:
    """A body that ought to be turned down, unstreamed and streamed."""
    plain, stream = Ask(post(dict(body)), "unstreamed", free=True), Ask(post(streamed(body)), "streamed", free=True)
    return Group((plain, stream), Relation.PARITY)


def both_modes(base: Base, control: Json, variant: Json, about: str) -> Iterator[Group]:
    """A contrast unstreamed and, where streaming is offered, the same contrast streamed."""
    yield contrast(control, variant, about)
    if "streaming" in base.capabilities:
        yield contrast(streamed(control), streamed(variant), about)


def function(name: str, parameters: Json = ..., **fields: Json) -> dict[str, Json]:
    """A function tool; parameters left out where they are Ellipsis."""
    inner: dict[str, Any] = {"name": name, **fields}
    if parameters is not ...:
        inner["parameters"] = parameters
    return {"type": "function", "function": inner}


def record(properties: Mapping[str, Json], required: Iterable[str] | None = None) -> dict[str, Json]:
    """A closed object schema, as strict tools want it; every property is required unless said otherwise."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }


def named(name: str) -> dict[str, Json]:
    """The `tool_choice` that names a function."""
    return {"type": "function", "function": {"name": name}}


def fixed(name: str, value: str, field: str = "value", **fields: Json) -> dict[str, Json]:
    """A tool whose only argument has one permitted value, so that a forced call has known arguments."""
    return function(name, record({field: {"type": "string", "enum": [value]}}), **fields)


def fixed_text(text: str) -> dict[str, Json]:
    """The `response_format` that leaves one value open to the model: an object that holds this text."""
    schema = record({"text": {"type": "string", "enum": [text]}})
    return {"type": "json_schema", "json_schema": {"name": "note", "strict": True, "schema": schema}}


WEATHER_TOOL = function(
    "get_weather",
    {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "City name, for example Paris"},
        },
        "required": ["location"],
    },
    description="Get the current weather for a location",
)
TIME_TOOL = function(
    "get_time",
    {
        "type": "object",
        "properties": {"timezone": {"type": "string", "description": "IANA time zone, for example Europe/Paris"}},
        "required": ["timezone"],
    },
    description="Get the current time in a time zone",
)
BARE_TOOL = function("list_alarms", description="List all alarms that are set")
"""Declares no parameters at all."""
PRESS_TOOL = fixed("press_button", "start", description="Press the button with the given label")
"""One permitted value."""
UNICODE_TOOL = fixed("set_motto", UNICODE, field="motto", description="Set the motto to the one permitted text")
"""One permitted value, not ASCII."""
LONG_NAME_TOOL = fixed("n" + "ame-of_64" * 7, "start", description="Start the machine")
"""The longest name that the original API takes: 64 characters, with `-` and `_`."""

TOOL_POOL = (WEATHER_TOOL, TIME_TOOL, BARE_TOOL, PRESS_TOOL, UNICODE_TOOL, LONG_NAME_TOOL)


def name_of(tool: Mapping[str, Json]) -> str:
    """A function tool's name."""
    found: str = tool["function"]["name"]
    return found


def call(call_id: str, name: str, arguments: str) -> dict[str, Json]:
    """A tool call as it stands in an assistant message."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def called(*calls: Json, content: Json = None) -> dict[str, Json]:
    """An assistant message that calls tools."""
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(call_id: str, content: Json) -> dict[str, Json]:
    """A tool message."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def user(content: Json) -> dict[str, Json]:
    """A user message."""
    return {"role": "user", "content": content}


def after_result(base: Base) -> dict[str, Json]:
    """A finished round of one call, and a question that asks for the next; the tool is declared, the choice is open."""
    return base.body(
        WEATHER,
        called(call("call_paris", "get_weather", '{"location":"Paris"}')),
        result("call_paris", '{"temp": 18, "condition": "sunny"}'),
        user("And in London? Look the weather up again."),
        tools=[WEATHER_TOOL],
    )


def takes_many(base: Base) -> bool:
    """The dialect documents `n` above 1."""
    return bool(base.dialect.convention("n.many") in (None, "supported"))


def takes_stops(base: Base) -> bool:
    """The dialect documents `stop`."""
    return any(base.dialect.limit(name) is not None for name in ("stop.max", "stop.min"))


def kind_of(row: Mapping[str, Json]) -> str | None:
    """What a listed model says of its kind, in its row or in an object of metadata; None where it does not."""
    for value in (row, *row.values()):
        found = value.get("kind") if isinstance(value, Mapping) else None
        if isinstance(found, str):
            return found
    return None
