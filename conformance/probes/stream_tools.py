"""Streamed tool calls whose name and arguments are known beforehand, beside the same calls unstreamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json


def _forced(base: Base, tool: dict[str, Json], **fields: Json) -> dict[str, Json]:
    """A body that can only be answered by a call to the tool."""
    name = build.name_of(tool)
    return base.body(f"Please call {name}.", tools=[tool], tool_choice=build.named(name), **fields)


_NESTED = build.function(
    "book_trip",
    build.record(
        {
            "stops": {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": build.record({"city": {"type": "string", "enum": ["Zürich"]}, "nights": {"enum": [3]}}),
            },
            "note": {"type": "string", "enum": ['say "hi" \\ and {go}\n[now]']},
        }
    ),
    description="Book a trip",
)
"""Brackets, quotes and escapes inside string values: what naive cutters and counters of braces trip over."""


def _table(base: Base) -> Iterator[Group]:
    yield from build.parity(base, _forced(base, build.UNICODE_TOOL), usage=True, twice=True)
    yield from build.parity(base, _forced(base, build.BARE_TOOL), usage=False)
    if base.effort < Effort.STANDARD:
        return
    two = base.body(build.CITIES, tools=[build.WEATHER_TOOL, build.TIME_TOOL], tool_choice="required")
    yield from build.parity(base, two, usage=False)
    yield from build.parity(base, _forced(base, build.LONG_NAME_TOOL), usage=True)
    yield from build.parity(base, _forced(base, _NESTED), usage=False)
    pair = base.body(
        "Call press_button and then call list_alarms, both now.",
        tools=[build.PRESS_TOOL, build.BARE_TOOL],
        tool_choice="auto",
    )
    yield from build.parity(base, pair, usage=None)
    yield from build.parity(base, base.body(build.CITIES, tools=[build.WEATHER_TOOL]), usage=True)
    yield from build.parity(base, {**build.after_result(base), "tool_choice": "required"}, usage=False)
    for limit in (1, 6):
        cut = base.body(
            f"Call set_motto with the text {build.UNICODE}.",
            limit=limit,
            tools=[build.UNICODE_TOOL],
            tool_choice="required",
        )
        yield from build.parity(base, cut, usage=True)
    if build.takes_many(base):
        yield from build.parity(base, {**two, "n": 2}, usage=True)
        yield from build.parity(base, _forced(base, build.UNICODE_TOOL, n=2), usage=False)
    if base.effort < Effort.THOROUGH:
        return
    yield from build.parity(base, _forced(base, build.function("ping", build.record({}))), usage=False)
    if build.takes_stops(base):
        yield from build.parity(base, _forced(base, build.PRESS_TOOL, stop=["zzz"]), usage=True)
    yield from build.parity(base, {**two, "parallel_tool_calls": False}, usage=True)


def _draws(base: Base) -> SearchStrategy[Group]:
    values = st.text(st.characters(exclude_categories=("Cs", "Cn", "Co", "Cc")), min_size=1, max_size=24)
    names = st.from_regex(r"\A[a-zA-Z][a-zA-Z0-9_-]{0,63}\Z")

    @st.composite
    def group(draw: st.DrawFn) -> Group:
        tool = build.fixed(draw(names), draw(values))
        name = build.name_of(tool)
        fields: dict[str, Any] = {"tool_choice": draw(st.sampled_from(("required", build.named(name))))}
        if build.takes_many(base) and draw(st.booleans()):
            fields["n"] = 2
        if draw(st.booleans()):
            fields["parallel_tool_calls"] = draw(st.booleans())
        tools = [tool]
        if isinstance(fields["tool_choice"], dict) and draw(st.booleans()):
            tools.append(build.WEATHER_TOOL)
        body = base.body(f"Please call {name}.", tools=tools, **fields)
        return next(build.parity(base, body, usage=draw(st.booleans())))

    return group()


_REACHES = (
    *("stream_tools", "tool_calls", "tools", "finish_reason", "stream"),
    *("tool_choice.name", "sse.done", "requests.valid"),
)

register(
    Probe(
        "stream_tools",
        "stream_tools",
        _REACHES,
        table=_table,
        strategy=_draws,
        draws=(0, 5, 60),
        needs=frozenset({"tools", "streaming"}),
        summary="Forced calls with known arguments, unstreamed twice and streamed.",
    )
)
