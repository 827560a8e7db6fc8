"""Log probabilities: asked for and not, with every other feature, and of texts whose characters take several tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.probes.plain import echo_texts
from conformance.wire.strict_json import Json

_ECHOES = (
    "e\u0301 \u1112\u1161\u11ab \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1ea\U0001f1fa",
    "是的，今天天气很好。東京は晴れです。",
    "a\u0001b \ufffd \u00a0\u200b|\u0300",
    "Здравствуйте, щука! नमस्ते ใช่ 👋🏽",
)
"""Combining marks and joined emoji; Chinese and Japanese; control, replacement and blank characters; other scripts."""
_JSON = "Answer in JSON: is coffee hot?"
_WORDS = build.record({"answer": {"type": "string", "enum": ["caffè ☕ yes"]}})
_SCHEMA: Json = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _WORDS, "strict": True}}


def _asking(base: Base, prompt: str, top: int | None = None, limit: int = 96, **fields: Json) -> dict[str, Json]:
    made = base.body(prompt, limit=limit, logprobs=True, **fields)
    return made if top is None else {**made, "top_logprobs": top}


def _echo(base: Base, text: str, top: int | None, **fields: Json) -> dict[str, Json]:
    return _asking(base, f"Repeat exactly: {text}", top, **fields)


def _refused(base: Base) -> Iterator[Group]:
    """Values that no document allows, and alternatives without log probabilities."""
    count, plain = _asking(base, build.COUNT), build.bare(base)
    yield build.set_at(count, "top_logprobs", 21, refused=True)
    yield build.set_at(count, "top_logprobs", 1.5, refused=True)
    yield build.set_at(plain, "top_logprobs", 3, refused=True)
    yield build.set_at(plain, "logprobs", 5, refused=True)
    if base.effort < Effort.STANDARD:
        return
    tops: tuple[Json, ...] = (-1, 100_000, "3", True, [3])
    flags: tuple[Json, ...] = ("true", 1, [], {})
    yield from (build.set_at(count, "top_logprobs", value, refused=True) for value in tops)
    yield from (build.set_at(plain, "logprobs", value, refused=True) for value in flags)
    both: dict[str, Json] = {**plain, "top_logprobs": 3, "logprobs": True}
    yield from (build.set_at(both, "logprobs", value, refused=True) for value in (False, None))
    yield build.set_at(plain, "top_logprobs", 0, refused=True)
    if "streaming" in base.capabilities:
        yield build.set_at(build.streamed(count), "top_logprobs", 21, refused=True)
        yield build.set_at(build.streamed(plain), "top_logprobs", 3, refused=True)


def _values(base: Base) -> Iterator[Group]:
    """Off in each way, and every bound of the range."""
    plain, count = build.bare(base), _asking(base, build.COUNT)
    for top in (0, 1, 5):
        yield build.set_at(count, "top_logprobs", top)
    yield from build.parity(base, count, usage=False, twice=True)
    if "streaming" in base.capabilities:
        # The longest chunks that there are: what cuts them at a fixed length shows nowhere else.
        yield build.single(build.streamed({**count, "top_logprobs": 20}))
    yield build.set_at(plain, "logprobs", False)
    yield build.set_at(plain, "logprobs", None)
    yield build.set_at(plain, "top_logprobs", None)


def _paired(base: Base, body: Mapping[str, Json], *, twice: bool = False) -> Iterator[Group]:
    return build.parity(base, body, usage=True, twice=twice)


def _together(base: Base) -> Iterator[Group]:
    """With each other feature that changes what is generated, or how it is put together."""
    if build.takes_many(base):
        yield from _paired(base, _echo(base, build.UNICODE, 2, n=2), twice=True)
        yield from _paired(base, _asking(base, build.COUNT, n=3))
    if "tools" in base.capabilities:
        tools: Json = [build.WEATHER_TOOL]
        yield from _paired(base, _asking(base, build.WEATHER, 2, tools=tools, tool_choice="required"))
        yield from _paired(base, _echo(base, build.UNICODE, 2, tools=tools, tool_choice="none"))
    if "structured_output" in base.capabilities:
        formats: tuple[Json, ...] = (_SCHEMA, {"type": "json_object"})
        for wanted in formats:
            yield from _paired(base, _asking(base, _JSON, 2, response_format=wanted))
            yield build.set_at(base.body(_JSON, limit=96, response_format=wanted), "logprobs", True)
    if build.takes_stops(base):
        yield from _paired(base, _asking(base, build.COUNT, 2, stop=["zzz"]))
        yield from _paired(base, _asking(base, build.COUNT, 2, stop=["5"]))
    yield from _paired(base, _asking(base, build.COUNT, 2, limit=1))
    yield from _paired(base, _echo(base, "", 2))
    yield build.single(_asking(base, build.COUNT, 3, top_p=0.5))
    if base.facts.accepts_temperature:
        yield build.single(_asking(base, build.COUNT, 3, temperature=1))
    if base.dialect.words("reasoning_effort"):
        yield build.single(_asking(base, build.COUNT, 1, reasoning_effort="low"))


def _table(base: Base) -> Iterator[Group]:
    yield from build.parity(base, _echo(base, build.UNICODE, 3), usage=True, twice=True)
    yield build.set_at(_asking(base, build.COUNT), "top_logprobs", 20)
    if "tools" in base.capabilities:
        tools: Json = [build.WEATHER_TOOL]
        yield build.single(_asking(base, build.WEATHER, 2, tools=tools, tool_choice="required"))
    if "structured_output" in base.capabilities:
        yield build.set_at(base.body(_JSON, limit=96, response_format={"type": "json_object"}), "logprobs", True)
    yield from _refused(base)
    if base.effort < Effort.STANDARD:
        return
    yield from _values(base)
    yield from _paired(base, _asking(base, build.LONG, 1, limit=160), twice=True)
    for text in _ECHOES:
        yield from _paired(base, _echo(base, text, 1))
    yield from _together(base)


def _draws(base: Base) -> SearchStrategy[Group]:
    """Texts of any script, with and without alternatives, in either mode."""
    tops = st.none() | st.integers(0, 20)

    def group(text: str, top: int | None, limit: int, streams: bool) -> Group:
        body = _echo(base, text, top, limit=limit)
        return build.single(build.streamed(body) if streams and "streaming" in base.capabilities else body)

    return st.builds(group, echo_texts(), tops, st.sampled_from((1, 5, 96)), st.booleans())


register(
    Probe(
        "logprobs",
        "logprobs",
        ("logprobs", "requests", "errors.envelope"),
        table=_table,
        strategy=_draws,
        draws=(0, 6, 60),
        needs=frozenset({"logprobs"}),
        summary="Log probabilities with every other feature, of texts that are hard to put together, in both modes.",
    )
)
