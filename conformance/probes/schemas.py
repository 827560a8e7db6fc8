"""Hypothesis strategies of JSON Schemas that strict tools and strict formats take: closed, every property required."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build

_WORDS = st.text(st.characters(categories=("Ll", "Lu", "Lo", "Nd", "So")), min_size=1, max_size=8)
_NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,9}\Z")


def _leaves() -> SearchStrategy[dict[str, Any]]:
    """Scalars and enumerations; enumerations of one value leave the model no freedom."""
    return st.one_of(
        st.sampled_from(({"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"})),
        st.lists(_WORDS, min_size=1, max_size=3, unique=True).map(lambda words: {"type": "string", "enum": words}),
        st.integers(-9, 9).map(lambda number: {"type": "integer", "enum": [number]}),
        st.sampled_from(("string", "integer", "boolean")).map(lambda kind: {"type": [kind, "null"]}),
    )


def _grown(inner: SearchStrategy[dict[str, Any]]) -> SearchStrategy[dict[str, Any]]:
    return st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        st.dictionaries(_NAMES, inner, max_size=3).map(build.record),
        st.lists(inner, min_size=2, max_size=2).map(lambda branches: {"anyOf": branches}),
    )


def closed_schemas() -> SearchStrategy[dict[str, Any]]:
    """An object schema of at most four properties, nested at most a few levels."""
    values = st.recursive(_leaves(), _grown, max_leaves=5)
    return st.dictionaries(_NAMES, values, max_size=4).map(build.record)
