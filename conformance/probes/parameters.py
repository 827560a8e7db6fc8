"""Standard parameters at and beyond their bounds, and of wrong types: each bad value beside the same without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json


def _beyond(base: Base, field: str, limit: str) -> Iterator[Json]:
    """Just outside a documented range."""
    lowest, highest = base.dialect.limit(f"{limit}.min"), base.dialect.limit(f"{limit}.max")
    if isinstance(highest, (int, float)):
        yield highest + 1 if field in ("n", "top_logprobs") else round(highest + 0.1, 3)
    if isinstance(lowest, (int, float)):
        yield round(lowest - 0.1, 3)


def _bad(base: Base) -> Iterator[tuple[str, Json]]:
    """(field, value): what no document allows, the most telling first."""
    limit = base.facts.token_limit_field or "max_tokens"
    yield from (("model", ...), ("messages", ...), ("messages", []), ("model", 5), ("messages", "hi"))
    yield from (("temperature", value) for value in _beyond(base, "temperature", "temperature"))
    yield from (("temperature", "1"), ("stream", "true"), (limit, 0), (limit, -1), ("tools", "x"))
    yield from (("model", ""), ("messages", {}), ("messages", None), ("model", None))
    yield from (("top_p", value) for value in _beyond(base, "top_p", "top_p"))
    yield from ((limit, 1.5), (limit, "a"), ("stream", 1), ("temperature", True), ("temperature", []))
    if build.takes_many(base):
        yield from (("n", 0), *(("n", value) for value in _beyond(base, "n", "n")), ("n", "2"), ("n", 1.5), ("n", -1))
    most = base.dialect.limit("stop.max")
    if isinstance(most, int):
        yield from (("stop", [f"zzz{number}" for number in range(most + 1)]), ("stop", []), ("stop", [1]), ("stop", 5))
    for field in ("presence_penalty", "frequency_penalty"):
        yield from ((field, value) for value in _beyond(base, field, "penalty"))
        if base.dialect.limit("penalty.max") is not None:
            yield field, "0"
    yield from (("seed", "42"), ("seed", 1.5), ("user", 5), ("user", {}), ("top_p", "1"))
    if base.dialect.limit("logit_bias.max") is not None:
        yield from (("logit_bias", {"50256": 101}), ("logit_bias", {"abc": 1}), ("logit_bias", []))
    yield from (("service_tier", "gold"), ("reasoning_effort", "ultra"), ("response_format", {"type": "xml"}))
    yield from (("response_format", "json_object"), ("response_format", {}), ("response_format", []))


def _good(base: Base) -> Iterator[tuple[str, Json]]:
    """(field, value): the bounds themselves, and each documented form."""
    for field in ("temperature", "top_p"):
        for end in ("max", "min"):
            bound = base.dialect.limit(f"{field}.{end}")
            if bound is not None:
                yield field, bound
    most = base.dialect.limit("stop.max")
    if isinstance(most, int):
        yield from (("stop", "zzz"), ("stop", [f"zzz{number}" for number in range(most)]))
    if build.takes_many(base):
        yield from (("n", 1), ("n", 2))
    yield from (("seed", 0), ("seed", -1), ("seed", 2**62), ("user", "u-1"), ("response_format", {"type": "text"}))
    for field in ("presence_penalty", "frequency_penalty"):
        for end in ("max", "min"):
            bound = base.dialect.limit(f"penalty.{end}")
            if bound is not None:
                yield field, bound
    if base.dialect.limit("logit_bias.max") is not None:
        yield from (("logit_bias", {}), ("logit_bias", {"50256": -100}))
    yield from (("service_tier", "auto"), ("reasoning_effort", "low"))


def _table(base: Base) -> Iterator[Group]:
    plain = build.bare(base)
    tried: set[str] = set()
    for field, value in _bad(base):
        if base.effort >= Effort.STANDARD or field not in tried:
            yield build.set_at(plain, field, value, refused=True)
        tried.add(field)
    refused = base.dialect.convention("max_tokens.above_cap") == "refused"
    yield build.set_at(plain, base.facts.token_limit_field or "max_tokens", 10**9, refused=refused)
    if base.effort >= Effort.STANDARD or base.dialect.convention("max_tokens.both") not in (None, "refused"):
        yield from _both_limits(base)
    if base.effort < Effort.STANDARD:
        return
    for field, value in _good(base):
        if plain.get(field, ...) != value:
            yield build.set_at(plain, field, value)


def _both_limits(base: Base) -> Iterator[Group]:
    """Both token limits at once; the tighter one under the newer name."""
    body = base.body(build.LONG, max_tokens=50, max_completion_tokens=...)
    yield build.set_at(body, "max_completion_tokens", 3 + 2 * base.facts.reasoning_tokens)


_WRONG: dict[str, tuple[Any, ...]] = {
    "temperature": ("warm", [1], {"value": 1}, False),
    "top_p": ("all", [0.5], {}),
    "stream": ("false", 0, [], {}),
    "messages": (1, "text", {}, [[]], ["hi"], [1], [None], True),
    "model": (1, [], {}, True, ["m"]),
    "tools": (1, "t", {}, [1], ["t"], [None], [[]]),
    "stop": (1, {}, [[]], True),
    "seed": ("1", [], 0.5),
}


def _draws(base: Base) -> SearchStrategy[Group]:
    """Wrong types and far values, one field at a time."""
    stream = build.bare(base)
    controls = [stream, build.streamed(stream)] if "streaming" in base.capabilities else [stream]
    fields = [name for name in _WRONG if name != "tools" or "tools" in base.capabilities]
    far = st.sampled_from((-(10**9), 10**9, -1e300, 1e300)) | st.floats(3, 1e6)

    @st.composite
    def group(draw: st.DrawFn) -> Group:
        control = draw(st.sampled_from(controls))
        field = draw(st.sampled_from(fields))
        ranged = field in ("temperature", "top_p") and base.dialect.limit(f"{field}.max") is not None
        value = draw(far) if ranged and draw(st.booleans()) else draw(st.sampled_from(_WRONG[field]))
        return build.set_at(control, field, value, refused=True)

    return group()


register(
    Probe(
        "parameters",
        "requests",
        ("requests", "errors"),
        table=_table,
        strategy=_draws,
        draws=(0, 12, 80),
        summary="Parameters at their bounds, beyond them and of wrong types.",
    )
)
