"""Several choices at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register


def _table(base: Base) -> Iterator[Group]:
    plain = build.plain(base)
    yield build.set_at(plain, "n", 2)
    if not build.takes_many(base):
        return
    two: dict[str, Any] = {**plain, "n": 2}
    yield from build.parity(base, two, usage=True)
    tools = "tools" in base.capabilities
    if tools:
        called = base.body(build.WEATHER, tools=[build.WEATHER_TOOL], tool_choice="required", n=2)
    if base.effort < Effort.STANDARD:
        return
    yield build.single({**plain, "n": 3})
    yield from build.parity(base, base.body(f"Repeat exactly: {build.UNICODE}", n=2), usage=None)
    yield from build.parity(base, base.body(build.LONG, limit=6, n=2), usage=True)
    if build.takes_stops(base):
        yield from build.parity(base, base.body(build.COUNT, n=2, stop=["5"]), usage=False)
    if tools:
        yield from build.parity(base, called, usage=True)
        both = base.body(build.CITIES, tools=[build.WEATHER_TOOL, build.BARE_TOOL], tool_choice="required", n=2)
        yield from build.parity(base, both, usage=False)
        yield build.set_at(both, "parallel_tool_calls", False)
        cut = base.body("Call get_weather for Paris.", limit=3, tools=[build.WEATHER_TOOL], tool_choice="required", n=2)
        yield from build.parity(base, cut, usage=False)


_REACHES = (
    *("response", "requests", "usage", "parallel", "tool_choice", "finish_reason.value", "transport.unstreamed"),
    *("stream", "stream_tools", "sse.done"),
)

register(
    Probe(
        "n_choices",
        "response",
        _REACHES,
        table=_table,
        summary="Two and three choices: text, calls, cut answers, in both modes.",
    )
)
