"""Hypothesis strategies of strict schemas, small to large: every keyword that a strict mode promises to enforce."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.probes import build

Schema = dict[str, Any]
_WORDS = st.text(st.characters(categories=("Ll", "Lu", "Lo", "Nd", "So")), min_size=1, max_size=8)
_PATTERNS = ("^[A-Z]{3}$", r"^\d{4}-\d{2}$", "^(red|green|blue)$", "^#[0-9a-f]{6}$", "^[a-z]+(-[a-z]+)*$")
_FORMATS = ("date", "email", "ipv4", "ipv6", "uuid", "date-time")
_ODD_NAMES = ("größe", "two words", 'with "quotes"', "a/b", "m~n", "日本", "😀", "$ref", "type", "a.b", "UPPER", "_")
_NAMES = st.one_of(st.from_regex(r"\A[a-z][a-z0-9_]{0,9}\Z"), st.sampled_from(_ODD_NAMES))


def _numbers() -> SearchStrategy[Schema]:
    def bounded(kind: str, low: int, width: int) -> Schema:
        return {"type": kind, "minimum": low, "maximum": low + width}

    return st.builds(bounded, st.sampled_from(("integer", "number")), st.integers(-50, 50), st.integers(0, 20))


def _leaves() -> SearchStrategy[Schema]:
    return st.one_of(
        st.sampled_from([{"type": kind} for kind in ("string", "integer", "number", "boolean", "null")]),
        st.lists(_WORDS, min_size=1, max_size=3, unique=True).map(lambda words: {"type": "string", "enum": words}),
        st.lists(st.integers(-9, 9), min_size=1, max_size=3, unique=True).map(
            lambda found: {"type": "integer", "enum": found}
        ),
        _WORDS.map(lambda word: {"type": "string", "const": word}),
        st.sampled_from(("string", "integer", "boolean")).map(lambda kind: {"type": [kind, "null"]}),
        st.sampled_from(_PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
        st.sampled_from(_FORMATS).map(lambda form: {"type": "string", "format": form}),
        _numbers(),
    )


def _grown(inner: SearchStrategy[Schema]) -> SearchStrategy[Schema]:
    def many(items: Schema, low: int, more: int) -> Schema:
        return {"type": "array", "items": items, "minItems": low, "maxItems": low + more}

    return st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        st.builds(many, inner, st.integers(0, 3), st.integers(0, 2)),
        st.dictionaries(_NAMES, inner, max_size=4).map(build.record),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: {"anyOf": branches}),
    )


def strict_schemas() -> SearchStrategy[Schema]:
    """A closed object of up to twelve properties; now and then some stand in definitions, or refer to the root."""
    values = st.recursive(_leaves(), _grown, max_leaves=6)

    @st.composite
    def schema(draw: st.DrawFn) -> Schema:
        properties = draw(st.dictionaries(_NAMES, values, min_size=1, max_size=draw(st.sampled_from((2, 4, 12)))))
        definitions: Schema = {}
        for name in list(properties)[:2] if draw(st.booleans()) else ():
            place = f"part_{len(definitions)}"
            definitions[place] = properties[name]
            properties[name] = {"$ref": f"#/$defs/{place}"}
        if draw(st.sampled_from((False, False, True))):
            properties["again"] = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
        made = build.record(properties)
        return {**made, "$defs": definitions} if definitions else made

    return schema()
