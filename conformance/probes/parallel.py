"""Several calls in one answer: allowed, forbidden, and forbidden where there is nothing to forbid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json

_PROMPTS = (
    build.CITIES,
    "Call get_weather for Tokyo, for Berlin and for Rome, all three at once.",
    "I need two things now, look both up: use get_weather for Paris and get_time for Europe/London.",
)


def _table(base: Base) -> Iterator[Group]:
    tools: Json = [build.WEATHER_TOOL, build.TIME_TOOL]
    for prompt in _PROMPTS[: 1 if base.effort < Effort.STANDARD else len(_PROMPTS)]:
        asked = base.body(prompt, tools=tools, tool_choice="auto")
        allowed: dict[str, Any] = {**asked, "parallel_tool_calls": True}
        forbidden: dict[str, Any] = {**asked, "parallel_tool_calls": False}
        yield from build.both_modes(base, allowed, forbidden, "/parallel_tool_calls")
        if base.effort >= Effort.STANDARD and prompt in _PROMPTS[: base.effort - 1]:
            yield build.contrast(allowed, asked, "/parallel_tool_calls")
            yield build.contrast(asked, forbidden, "/parallel_tool_calls")
            yield from build.parity(base, asked, usage=False)
    plain = build.plain(base)
    yield build.set_at(plain, "parallel_tool_calls", True, refused=True)
    asked = base.body(build.CITIES, tools=tools, tool_choice="auto")
    if base.effort < Effort.STANDARD:
        yield build.set_at({**asked, "parallel_tool_calls": True}, "parallel_tool_calls", "yes", refused=True)
        return
    yield build.set_at(asked, "parallel_tool_calls", "yes", refused=True)
    yield build.set_at(asked, "parallel_tool_calls", 1, refused=True)
    yield build.set_at(asked, "parallel_tool_calls", None)
    for choice in ("required", build.named("get_weather")):
        forced = {**asked, "tool_choice": choice}
        yield from build.both_modes(
            base,
            {**forced, "parallel_tool_calls": True},
            {**forced, "parallel_tool_calls": False},
            "/parallel_tool_calls",
        )
    strict = build.fixed("press_button", "start", strict=True)
    yield build.single(
        base.body(
            "Call press_button and press_button again.",
            tools=[strict],
            tool_choice="required",
            parallel_tool_calls=False,
        )
    )


register(
    Probe(
        "parallel",
        "parallel",
        ("parallel", "tool_calls", "stream_tools"),
        table=_table,
        needs=frozenset({"tools"}),
        summary="Prompts that need several calls, with parallel_tool_calls true, false and left out.",
    )
)
