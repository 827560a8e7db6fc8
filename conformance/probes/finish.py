"""Why an answer ends: token limits, stop sequences, a natural end, calls."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, Session, register
from conformance.wire.strict_json import Json
from conformance.wire.traces import Relation

_CITY: Json = [build.WEATHER_TOOL]
_LONG_TEXT = "The quick brown fox jumps over the lazy dog. " * 6
"""More than any tokenizer packs into a small limit."""
_STOP_LENGTH = 4
"""Characters of a stop sequence that is taken out of an answer."""


def _limits(base: Base) -> Iterator[Group]:
    short = base.body(build.LONG, limit=5)
    yield from build.parity(base, short, usage=True)
    yield build.contrast(short, base.body(build.LONG, limit=40), _pointer(base))
    if base.effort < Effort.STANDARD:
        return
    for limit in (1, 20) if base.effort < Effort.THOROUGH else (1, 2, 3, 20, 50):
        yield from build.parity(base, base.body(build.LONG, limit=limit), usage=True)
    yield from build.parity(base, base.body(f"Repeat exactly: {build.UNICODE * 3}", limit=7), usage=False)
    other = "max_tokens" if base.facts.token_limit_field == "max_completion_tokens" else "max_completion_tokens"
    renamed = {key: value for key, value in short.items() if key != base.facts.token_limit_field}
    yield build.single({**renamed, other: 5 + 2 * base.facts.reasoning_tokens})


def _pointer(base: Base) -> str:
    return f"/{base.facts.token_limit_field or 'max_tokens'}"


def _stops(base: Base) -> Iterator[Group]:
    """Sequences inside a known text: one token, across tokens, at the start, never met, with what follows a cut."""
    if not build.takes_stops(base):
        return
    count = base.body(build.COUNT)
    yield build.set_at(count, "stop", "5")
    yield from build.parity(base, {**count, "stop": "5"}, usage=False)
    if base.effort < Effort.STANDARD:
        return
    stops: tuple[Json, ...] = (["4, 5"], ["zzz", "6"], ["10"], ["zzz"], [",", "1"], [", 3", "3, 4", "9", "zzz"])
    for stop in stops[: 3 if base.effort < Effort.THOROUGH else len(stops)]:
        yield from build.parity(base, {**count, "stop": stop}, usage=False)
    spoken = base.body(f"Repeat exactly: {build.UNICODE}")
    yield from build.parity(base, {**spoken, "stop": ["😀"]}, usage=True)
    if base.effort < Effort.THOROUGH:
        return
    for text in ("語", " "):
        yield from build.parity(base, {**spoken, "stop": [text]}, usage=True)
    yield from build.parity(base, {**base.body(build.LONG, limit=8), "stop": ["zzz"]}, usage=False)


def _calls(base: Base) -> Iterator[Group]:
    """Calls under `auto`, `required` and a named choice, whole and cut by the limit."""
    if "tools" not in base.capabilities:
        return
    cut = base.body("Call get_weather for the city of Paris.", limit=3, tools=_CITY, tool_choice="required")
    if base.effort < Effort.STANDARD:
        yield build.single(cut)
        return
    yield from build.parity(base, cut, usage=False)
    for choice in ("auto", "required", build.named("get_weather")):
        yield from build.parity(base, base.body(build.WEATHER, tools=_CITY, tool_choice=choice), usage=False)
    for limit in (1, 8) if base.effort < Effort.THOROUGH else (1, 2, 5, 8):
        for choice in ("required", build.named("get_weather")):
            yield build.single(base.body(build.WEATHER, limit=limit, tools=_CITY, tool_choice=choice))


def _json(base: Base) -> Iterator[Group]:
    """JSON that the limit cuts: asked for, and by a schema that leaves nothing shorter to say."""
    if "structured_output" in base.capabilities:
        prompt = "Write a JSON object that lists twelve fruits with their colours."
        cut = base.body(prompt, limit=8, response_format={"type": "json_object"})
        if base.effort >= Effort.STANDARD:
            yield from build.parity(base, cut, usage=False)
        yield build.single(base.body(prompt, limit=16, response_format=build.fixed_text(_LONG_TEXT)))


def _own_stops(session: Session) -> None:
    """A stop sequence out of the model's own answer: it is met, whatever the model says to any prompt."""
    base = session.base
    if not build.takes_stops(base):
        return
    body = base.body(build.COUNT)
    answer = session.send(build.post(body)).answer
    text = answer.choices[0].text if answer is not None and len(answer.choices) == 1 else ""
    middle = len(text) // 2
    stop = text[middle : middle + _STOP_LENGTH]
    if not middle or not stop.strip() or not stop.isprintable():
        return
    streams = base.effort >= Effort.STANDARD and "streaming" in base.capabilities
    for control in (body, build.streamed(body)) if streams else (body,):
        group = session.group("own-stop")
        for role, asked in (("control", control), ("variant", {**control, "stop": stop})):
            session.mark(session.send(build.post(asked)), Relation.CONTRAST, group, role, "/stop")


def _table(base: Base) -> Iterator[Group]:
    yield from _limits(base)
    yield from _stops(base)
    yield from _calls(base)
    yield from _json(base)


def _draws(base: Base) -> SearchStrategy[Group]:
    """Any small limit, with and without stop sequences out of the expected text."""
    stop = st.sampled_from(("1", "2", "3, ", ", 7", "8, 9", "zzz", " 10"))
    stops = st.lists(stop, min_size=1, max_size=int(base.dialect.limit("stop.max") or 1), unique=True)
    offered = build.takes_stops(base)

    @st.composite
    def group(draw: st.DrawFn) -> Group:
        body = base.body(build.COUNT, limit=draw(st.integers(1, 48)))
        if offered and draw(st.booleans()):
            body["stop"] = draw(stops)
        if draw(st.booleans()):
            return build.single(body)
        return next(build.parity(base, body, usage=draw(st.booleans())))

    return group()


register(
    Probe(
        "finish",
        "finish_reason",
        ("finish_reason", "usage", "requests", "stream"),
        table=_table,
        strategy=_draws,
        draws=(0, 6, 60),
        summary="Token limits, stop sequences and calls, in both modes.",
    )
)
register(
    Probe(
        "own_stops",
        "finish_reason",
        ("finish_reason", "requests"),
        scenario=_own_stops,
        upper=4,
        summary="A stop sequence taken from the model's own answer.",
    )
)
