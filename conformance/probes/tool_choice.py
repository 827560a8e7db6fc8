"""Every form of `tool_choice`, with prompts that pull the other way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json

_TWO: Json = [build.WEATHER_TOOL, build.TIME_TOOL]
_AUTO_PROMPTS = (
    "Call the function get_weather for the city of Paris.",
    "I am about to leave the house in Paris. Look up the weather there for me, please.",
    "Use your tools: weather in Berlin?",
)
_PROSE_PROMPTS = (
    "Do not call any function. Just write a short poem about the sea.",
    "Hello! Please answer in plain words and use no tools.",
)


def _natural(base: Base) -> Iterator[Group]:
    """What the model decides by itself, and the same prompt under `none` and `required`."""
    tools: Json = [build.WEATHER_TOOL]
    omitted = base.body(build.WEATHER, tools=tools)
    auto: dict[str, Any] = {**omitted, "tool_choice": "auto"}
    none: dict[str, Any] = {**omitted, "tool_choice": "none"}
    required: dict[str, Any] = {**omitted, "tool_choice": "required"}
    yield from build.both_modes(base, auto, none, "/tool_choice")
    yield build.contrast(required, none, "/tool_choice")
    yield build.contrast(auto, omitted, "/tool_choice")
    if base.effort < Effort.STANDARD:
        return
    yield from build.parity(base, auto, usage=True)
    yield build.contrast(omitted, none, "/tool_choice")
    yield from build.both_modes(base, required, none, "/tool_choice")
    yield from build.both_modes(base, auto, omitted, "/tool_choice")
    for prompt in _AUTO_PROMPTS[: 2 if base.effort < Effort.THOROUGH else len(_AUTO_PROMPTS)]:
        asked = base.body(prompt, tools=tools)
        yield from build.both_modes(
            base, {**asked, "tool_choice": "auto"}, {**asked, "tool_choice": "none"}, "/tool_choice"
        )
        yield build.contrast({**asked, "tool_choice": "auto"}, asked, "/tool_choice")
    free = base.body(build.GREETING, tools=tools)
    yield from build.parity(base, {**free, "tool_choice": "auto"}, usage=False)
    yield build.contrast({**free, "tool_choice": "auto"}, free, "/tool_choice")


def _required(base: Base) -> Iterator[Group]:
    """Prose is asked for, a call is demanded."""
    hello = base.body("Hello!", tools=_TWO, tool_choice="required")
    yield from build.parity(base, hello, usage=False)
    if base.effort < Effort.STANDARD:
        return
    for prompt in _PROSE_PROMPTS:
        asked = base.body(prompt, tools=_TWO)
        yield from build.both_modes(
            base, {**asked, "tool_choice": "auto"}, {**asked, "tool_choice": "required"}, "/tool_choice"
        )
    many = [build.function(f"tool_{number}", build.record({})) for number in range(20)]
    yield build.single(base.body("Hello!", tools=many, tool_choice="required"))


def _named(base: Base) -> Iterator[Group]:
    """One tool is asked for, another is named."""
    asked = base.body(build.WEATHER, tools=_TWO)
    other: dict[str, Any] = {**asked, "tool_choice": build.named("get_time")}
    first: dict[str, Any] = {**asked, "tool_choice": build.named("get_weather")}
    # Each of two in turn: an endpoint that leaves the choice to the model cannot be right by chance on both.
    yield build.contrast(other, first, "/tool_choice/function/name")
    if base.effort >= Effort.STANDARD:
        yield from build.parity(base, other, usage=False)
    yield build.contrast(
        other, {**asked, "tool_choice": build.named("get_tide")}, "/tool_choice/function/name", refused=True
    )
    if base.effort < Effort.STANDARD:
        return
    prompts = (build.CITIES, "Call list_alarms and nothing else.", *_PROSE_PROMPTS)
    for prompt in prompts[: 2 if base.effort < Effort.THOROUGH else len(prompts)]:
        body = base.body(prompt, tools=[*_TWO, build.BARE_TOOL], tool_choice=build.named("get_time"))
        yield build.single(body)
        if "streaming" in base.capabilities:
            yield build.single(build.streamed(body))
    yield build.contrast({**asked, "tool_choice": "auto"}, other, "/tool_choice")


def _malformed(base: Base) -> Iterator[Group]:
    """Values that the schema does not allow, and choices without tools."""
    asked = base.body(build.WEATHER, tools=[build.WEATHER_TOOL])
    control: dict[str, Any] = {**asked, "tool_choice": "auto"}
    flat = {"type": "function", "name": "get_weather"}
    values: tuple[Json, ...] = (
        "any",
        {"type": "function", "function": {}},
        flat,
        1,
        {"type": "tool", "function": {"name": "get_weather"}},
        "",
        True,
        [],
        "always",
        "Required",
        {"type": "function"},
        {"type": "function", "function": {"name": 5}},
        {"type": "function", "function": "get_weather"},
        {},
        "get_weather",
    )
    for value in values[: 5 if base.effort < Effort.STANDARD else len(values)]:
        yield build.set_at(control, "tool_choice", value, refused=True)
    plain = build.plain(base)
    yield build.set_at(plain, "tool_choice", "required", refused=True)
    yield build.set_at(plain, "tool_choice", "auto", refused=True)
    if base.effort < Effort.STANDARD:
        return
    yield build.set_at(plain, "tool_choice", build.named("get_weather"), refused=True)
    yield build.set_at(plain, "tool_choice", "none")
    forced = base.body(build.GREETING, tools=_TWO, tool_choice="required")
    yield build.set_at(forced, "tools", ..., refused=True)
    yield build.set_at(control, "tool_choice", None)
    if "streaming" in base.capabilities:
        yield build.set_at(build.streamed(control), "tool_choice", "any", refused=True)
        yield build.set_at(build.streamed(plain), "tool_choice", "required", refused=True)


def _allowed(base: Base) -> Iterator[Group]:
    """A subset of the tools is allowed, and another one asked for."""
    asked = base.body(build.WEATHER, tools=_TWO)
    control: dict[str, Any] = {**asked, "tool_choice": build.named("get_time")}
    subset: Json = [{"type": "function", "function": {"name": "get_time"}}]

    def choice(mode: str) -> Json:
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": subset}}

    yield build.set_at(control, "tool_choice", choice("required"))
    yield build.set_at(control, "tool_choice", choice("none"), refused=True)
    yield build.set_at(control, "tool_choice", {"type": "allowed_tools"}, refused=True)
    if base.effort < Effort.STANDARD:
        return
    yield build.set_at(control, "tool_choice", choice("auto"))
    if "streaming" in base.capabilities:
        yield build.single(build.streamed({**control, "tool_choice": choice("required")}))
    malformed: tuple[Json, ...] = (
        {"type": "allowed_tools", "mode": "required", "tools": subset},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": "get_time"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": ["get_time"]}},
        {"type": "allowed_tools", "allowed_tools": {"tools": subset}},
    )
    for value in malformed:
        yield build.set_at(control, "tool_choice", value, refused=True)


def _entangled(base: Base) -> Iterator[Group]:
    """Choices where something else pulls as well: a result just given, a format of the text, an undeclared function."""
    if base.effort < Effort.STANDARD:
        return
    after = build.after_result(base)
    yield build.contrast({**after, "tool_choice": "required"}, {**after, "tool_choice": "none"}, "/tool_choice")
    missing = base.body("Call the function send_mail now, please.", tools=_TWO, tool_choice="auto")
    yield build.single(missing)
    if "streaming" in base.capabilities:
        yield build.single(build.streamed(missing))
    if "structured_output" in base.capabilities and (
        base.dialect.convention("response_format.with_tools") in (None, "allowed")
    ):
        schema = build.record({"answer": {"type": "string"}})
        form: Json = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        asked = base.body(build.WEATHER, tools=_TWO, response_format=form)
        yield build.single({**asked, "tool_choice": "required"})
        yield build.single({**asked, "tool_choice": build.named("get_time")})


def _crossed(base: Base) -> Iterator[Group]:
    """Choices among other features: several choices, several tools, a system message, a result just given."""
    if base.effort < Effort.STANDARD:
        return
    asked = base.body(build.WEATHER, tools=_TWO)
    yield build.contrast({**asked, "tool_choice": "required"}, {**asked, "tool_choice": "none"}, "/tool_choice")
    if build.takes_many(base):
        many = {**asked, "n": 2}
        yield build.contrast({**many, "tool_choice": "required"}, {**many, "tool_choice": "none"}, "/tool_choice")
        yield build.single({**many, "tool_choice": build.named("get_time")})
    yield build.single({**build.after_result(base), "tools": _TWO, "tool_choice": build.named("get_time")})
    brief: Json = {"role": "system", "content": "Be brief."}
    yield build.single(base.body(brief, "Hello!", tools=_TWO, tool_choice="required"))
    # The name of one tool begins with that of another, which stands before it.
    numbered = [build.function(f"tool_{number}", build.record({})) for number in range(20)]
    yield build.single(base.body("Call tool_1, please.", tools=numbered, tool_choice=build.named("tool_12")))


def _table(base: Base) -> Iterator[Group]:
    yield from _natural(base)
    yield from _required(base)
    yield from _named(base)
    yield from _malformed(base)
    yield from _allowed(base)
    yield from _entangled(base)
    yield from _crossed(base)


def _unflagged(base: Base) -> Iterator[Group]:
    """Models whose listed capabilities lack the flag for `required`, in dialects that have such a flag."""
    flag = base.dialect.convention("tool_choice.capability_flag")
    if not flag:
        return
    tools: Json = [build.WEATHER_TOOL]
    for row in base.facts.models or ():
        listed = _capabilities(row)
        if listed is None or not isinstance(row.get("id"), str) or build.kind_of(row) not in (None, "chat"):
            continue
        asked = {**base.body(build.WEATHER, tools=tools), "model": row["id"]}
        required = {**asked, "tool_choice": "required"}
        lacking = flag not in listed
        yield build.contrast({**asked, "tool_choice": "auto"}, required, "/tool_choice", refused=lacking)
        if lacking:
            named = {**asked, "tool_choice": build.named("get_weather")}
            yield build.contrast(named, required, "/tool_choice", refused=True)
            if "streaming" in base.capabilities and base.effort >= Effort.STANDARD:
                yield build.contrast(build.streamed(named), build.streamed(required), "/tool_choice", refused=True)


def _capabilities(row: dict[str, Json]) -> list[Json] | None:
    """The list of capability flags of a chat model's row, wherever a metadata object carries it."""
    for value in (row, *row.values()):
        found = value.get("capabilities") if isinstance(value, dict) else None
        if isinstance(found, list):
            return found
    return None


def _draws(base: Base) -> SearchStrategy[Group]:
    pool = st.lists(st.sampled_from(build.TOOL_POOL), min_size=1, max_size=4, unique_by=build.name_of)
    prompts = st.sampled_from((build.WEATHER, build.CITIES, build.GREETING, *_AUTO_PROMPTS, *_PROSE_PROMPTS))

    @st.composite
    def group(draw: st.DrawFn) -> Group:
        tools = draw(pool)
        prompt = draw(prompts | st.sampled_from([f"Call {build.name_of(tool)} now." for tool in tools]))
        body = base.body(prompt, tools=tools)
        kind = draw(st.sampled_from(("auto", "none", "required", "named", "omitted")))
        one = build.named(build.name_of(draw(st.sampled_from(tools))))
        choice: Json = {"named": one, "omitted": ...}.get(kind, kind)
        control = {**body, "tool_choice": "auto"}
        modes = st.booleans() if "streaming" in base.capabilities else st.just(False)
        if draw(modes):
            control = build.streamed(control)
        if choice == "auto":
            return build.single(control)
        return build.set_at(control, "tool_choice", choice)

    return group()


register(
    Probe(
        "tool_choice",
        "tool_choice",
        ("tool_choice", "finish_reason", "stream_tools", "errors", "requests.valid"),
        table=_table,
        strategy=_draws,
        draws=(0, 12, 120),
        needs=frozenset({"tools"}),
        summary="Each form of tool_choice against prompts that ask for something else.",
    )
)
register(
    Probe(
        "tool_choice_flags",
        "tool_choice",
        ("tool_choice", "models"),
        table=_unflagged,
        needs=frozenset({"tools", "models"}),
        summary="tool_choice on listed models with and without the capability flag.",
    )
)
