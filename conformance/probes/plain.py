"""Plain text completions: short, long, in many scripts, in both modes."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json

_ECHOES = (
    build.SEPARATORS,
    "e\u0301 \u1112\u1161\u11ab \U0001f469\u200d\U0001f469\u200d\U0001f467 \u202ertl\u202c",
    'quotes " and \\ and / and tab\there',
    "data: [DONE]",
    "<tool_call>no</tool_call> &amp; {curly}",
)
"""Texts that careless code cuts, escapes or takes for something else."""


def _table(base: Base) -> Iterator[Group]:
    greeting = build.plain(base)
    yield from build.parity(base, greeting, twice=True)
    yield from build.parity(base, base.body(f"Repeat exactly: {build.UNICODE}"), usage=True)
    longer = " ".join([build.GREETING, *["It should be friendly and polite."] * 8])
    yield build.contrast(greeting, base.body(longer, limit=32), "/messages/0/content")
    if base.effort < Effort.STANDARD:
        return
    for text in _ECHOES[: 2 if base.effort < Effort.THOROUGH else len(_ECHOES)]:
        yield from build.parity(base, base.body(f"Repeat exactly: {text}"), usage=False)
    system: Json = {"role": "system", "content": "Answer in one short sentence."}
    yield from build.parity(
        base,
        base.body(system, "Name a colour.", {"role": "assistant", "content": "Blue."}, "Name another one."),
        usage=False,
    )
    yield from build.parity(base, base.body("Answer with one word: what is the capital of France?"), usage=True)
    yield from build.parity(base, base.body(build.COUNT), usage=True)


def echo_texts() -> SearchStrategy[str]:
    """Texts that a model can repeat: any script, no control characters, no blank ends."""
    letters = st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"))
    return st.text(letters, min_size=1, max_size=40).map(str.strip).filter(bool)


def _draws(base: Base) -> SearchStrategy[Group]:
    def group(text: str, limit: int, streams: bool) -> Group:
        body = base.body(f"Repeat exactly: {text}", limit=limit)
        if streams and "streaming" in base.capabilities:
            return next(build.parity(base, body, usage=True))
        return build.single(body)

    return st.builds(group, echo_texts(), st.sampled_from((16, 64, 128)), st.booleans())


register(
    Probe(
        "plain",
        "response",
        ("response", "usage", "finish_reason", "stream", "sse"),
        table=_table,
        strategy=_draws,
        draws=(0, 8, 60),
        summary="Short text answers in many scripts, unstreamed twice and streamed.",
    )
)
