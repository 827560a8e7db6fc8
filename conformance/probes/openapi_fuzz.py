"""Bodies that schemathesis makes of the protocol's OpenAPI document: valid ones, and ones that break one thing.

Importing schemathesis costs over a second, so that it happens only when the strategy is built.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build
from conformance.probes.base import Base, Group, Probe, register
from conformance.wire.strict_json import Json

_FEW = 16
"""Token limit of generated requests."""


def document() -> dict[str, Any]:
    """The protocol's OpenAPI document."""
    text = (files("conformance.wire") / "openapi.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@cache
def _bodies(valid: bool) -> SearchStrategy[Json]:
    """Request bodies of the chat-completions operation, from schemathesis' public API."""
    import schemathesis

    mode = schemathesis.GenerationMode.POSITIVE if valid else schemathesis.GenerationMode.NEGATIVE
    operation = schemathesis.openapi.from_dict(document())["/chat/completions"]["POST"]
    made: SearchStrategy[Json] = operation.as_strategy(generation_mode=mode).map(lambda case: case.body)
    return made


def _undocumented(base: Base) -> frozenset[str]:
    """Fields that the dialect's documents do not show."""
    fields: set[str] = set()
    if not build.takes_many(base):
        fields.add("n")
    if not build.takes_stops(base):
        fields.add("stop")
    if base.dialect.limit("penalty.max") is None:
        fields |= {"presence_penalty", "frequency_penalty"}
    if "tools" not in base.capabilities:
        fields |= {"tools", "tool_choice", "parallel_tool_calls"}
    if "streaming" not in base.capabilities:
        fields.add("stream")
    if "structured_output" not in base.capabilities:
        fields.add("response_format")
    return frozenset(fields)


def _fitted(base: Base, body: Json) -> Json:
    """The body for the model under test, with few tokens, and choices of tools only where there are tools."""
    if not isinstance(body, dict):
        return body
    hidden = _undocumented(base)
    kept = {key: value for key, value in body.items() if key not in hidden}
    if isinstance(kept.get("model"), str):
        kept["model"] = base.model
    if "tools" not in kept:
        kept = {key: value for key, value in kept.items() if key not in ("tool_choice", "parallel_tool_calls")}
    if base.facts.token_limit_field:
        kept[base.facts.token_limit_field] = _FEW + 2 * base.facts.reasoning_tokens
    return kept


def _draws(base: Base) -> SearchStrategy[Group]:
    def group(body: Json, valid: bool) -> Group:
        if isinstance(body, bytes):
            return build.alone(build.raw(body), free=True)
        return build.single(_fitted(base, body), free=not valid)

    valid = st.builds(group, _bodies(True), st.just(True))
    invalid = st.builds(group, _bodies(False), st.just(False))
    return st.one_of(valid, invalid)


register(
    Probe(
        "openapi_fuzz",
        "requests",
        ("errors", "transport", "requests", "response"),
        strategy=_draws,
        draws=(0, 16, 200),
        summary="Bodies generated from the protocol's OpenAPI document, valid and invalid.",
    )
)
