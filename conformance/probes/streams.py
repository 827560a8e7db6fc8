"""Streams of text: usage on request, long answers, refused requests that ask for a stream."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json


def _usage(base: Base) -> Iterator[Group]:
    """`include_usage` true, false and left out; the options without a stream, and badly typed."""
    plain = build.plain(base)
    stream = build.streamed(plain)
    counted: dict[str, Json] = {**stream, "stream_options": {"include_usage": True}}
    offered = build.asks_for_usage(base)
    if offered:
        yield build.contrast(stream, counted, "/stream_options")
        yield build.set_at(plain, "stream_options", {"include_usage": True}, refused=True)
    if base.effort < Effort.STANDARD:
        return
    yield build.set_at(plain, "stream", False)
    yield build.set_at(plain, "stream", None)
    yield build.set_at(plain, "stream_options", None)
    if not offered:
        return
    silent = {**stream, "stream_options": {"include_usage": False}}
    yield build.contrast(counted, silent, "/stream_options/include_usage")
    yield build.contrast(counted, {**counted, "stream": False}, "/stream", refused=True)
    options: tuple[Json, ...] = (None, {}, {"include_obfuscation": False}, {"include_obfuscation": True})
    for value in options:
        yield build.set_at(stream, "stream_options", value)
    yield build.set_at(stream, "stream_options", "yes", refused=True)
    yield build.set_at(stream, "stream_options", {"include_usage": "yes"}, refused=True)


def _refused(base: Base) -> Iterator[Group]:
    """Requests that fail validation although they ask for a stream: the status line must still say so."""
    bare = build.bare(base)
    stream = build.streamed(bare)
    yield build.refused_pair({**bare, "messages": []})
    changes: tuple[tuple[str, Json], ...] = (
        ("messages", []),
        ("model", ...),
        ("messages", "hello"),
        ("temperature", "hot"),
        ("messages", [{"role": "tool", "tool_call_id": "call_1", "content": "1"}]),
        ("model", 5),
    )
    for field, value in changes[: 2 if base.effort < Effort.STANDARD else len(changes)]:
        yield build.set_at(stream, field, value, refused=True)
    if base.effort >= Effort.STANDARD:
        yield build.refused_pair({**bare, "temperature": "hot"})
    if "tools" in base.capabilities:
        yield build.set_at(stream, "tools", "get_weather", refused=True)
        yield build.set_at(stream, "tools", [{"type": "function"}], refused=True)


def _texts(base: Base) -> Iterator[Group]:
    """A long answer, and features that meet in one stream."""
    yield build.single(build.streamed(base.body(build.LONG, limit=200)))
    if base.effort < Effort.STANDARD:
        return
    yield from build.parity(base, base.body(build.LONG, limit=200), usage=True)
    yield from build.parity(base, base.body(f"Repeat exactly: {build.CODE}"), usage=True)
    mixed = base.body(f"Repeat exactly: {build.UNICODE} and {build.SEPARATORS}")
    if build.takes_stops(base):
        yield from build.parity(base, {**mixed, "stop": ["and"]}, usage=True)
    if build.takes_many(base):
        yield from build.parity(base, {**mixed, "n": 2}, usage=True)
        yield from build.parity(base, {**base.body(build.LONG, limit=8), "n": 2}, usage=True)
    if "structured_output" in base.capabilities:
        forced = base.body(f"Repeat exactly: {build.UNICODE}", response_format=build.fixed_text(build.UNICODE))
        yield from build.parity(base, forced, usage=True)
    if "tools" in base.capabilities:
        idle = base.body(f"Repeat exactly: {build.UNICODE}", tools=[build.WEATHER_TOOL], tool_choice="none")
        yield from build.parity(base, idle, usage=None)


def _table(base: Base) -> Iterator[Group]:
    yield from _usage(base)
    yield from _refused(base)
    yield from _texts(base)


register(
    Probe(
        "streams",
        "stream",
        ("stream", "sse", "stream_errors", "usage", "requests"),
        table=_table,
        needs=frozenset({"streaming"}),
        summary="Usage in streams, long streams, and refused requests that ask for one.",
    )
)
