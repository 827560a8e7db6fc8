from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.wire import strict_json
from conformance.wire.strict_json import DEEPEST, dump, equal, kind, parse, show

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False).map(lambda number: number + 0.0) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)

UNREADABLE = [b"", b" ", b"{", b"{'a': 1}", b'{"a": 1,}', b"[1,]", b"01", b"+1", b".5", b"1.", b"0x1", b"True", b"nul"]
UNREADABLE += [b"\xff", b'"\n"', b'"\\x"', b'{"a" 1}', b"1 2", b'{"a": 1} x', b"// c\n1", b"\xfe\xff\x001", b'"\x00"']

PROBLEMS = [
    (b'{"a": 1, "b": 2, "a": 3}', 'duplicate key "a"'),
    (b'[{"": 1, "": 1}]', 'duplicate key ""'),
    (b"[NaN]", "NaN"),
    (b"[Infinity]", "Infinity"),
    (b"[-Infinity]", "-Infinity"),
    (b"\xef\xbb\xbf{}", "byte order mark"),
    (b'["\\ud800"]', "lone surrogate"),
    (b'{"\\udfff": 1}', "lone surrogate"),
    (b"1" * 5000, "huge integer"),
]


@pytest.mark.parametrize("data", UNREADABLE)
def test_what_the_grammar_does_not_allow_is_unreadable(data: bytes) -> None:
    document = parse(data)
    assert not document.ok
    assert document.error


@pytest.mark.parametrize(("data", "problem"), PROBLEMS)
def test_what_pythons_parser_forgives_is_recorded(data: bytes, problem: str) -> None:
    document = parse(data)
    assert document.ok
    assert document.problems == (problem,)


@pytest.mark.parametrize("data", [b"\t\r\n {} ", b'"\\u00e9"', b'"\\ud83d\\ude00"', b"-0", b"1E5", b"1e-5", b'"\x7f"'])
def test_near_misses_are_clean(data: bytes) -> None:
    assert parse(data).ok
    assert parse(data).problems == ()


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_bounded_and_never_raises(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    fits = parse(opening * DEEPEST + b"1" + closing * DEEPEST)
    assert fits.ok
    assert equal(fits.value, fits.value)
    for depth in (DEEPEST + 1, 900, 5_000, 200_000):
        assert parse(opening * depth + b"1" + closing * depth).error == "nested too deeply to read"
    wide = parse(b"[" + b"[]," * 1000 + b"[]]")
    assert wide.ok


@given(st.binary())
def test_any_bytes_give_a_document(data: bytes) -> None:
    document = parse(data)
    assert document.ok is (document.error is None)
    show(document.value)


@given(JSON)
def test_what_was_dumped_comes_back(value: Any) -> None:
    document = parse(dump(value))
    assert document.ok
    assert equal(document.value, value)


@given(JSON, JSON)
def test_equality_is_that_of_the_texts(left: Any, right: Any) -> None:
    assert equal(left, right) is (json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True))


@pytest.mark.parametrize(("left", "right"), [(1, True), (0, False), (1, 1.0), ("1", 1), (None, False), ([], {})])
def test_kinds_are_kept_apart(left: Any, right: Any) -> None:
    assert not equal(left, right)
    assert not equal({"a": [left]}, {"a": [right]})


def test_nan_equals_nothing() -> None:
    assert not equal(math.nan, math.nan)


@pytest.mark.parametrize(
    ("value", "name"),
    [(None, "null"), (True, "boolean"), (1, "integer"), (1.5, "number"), ("", "string"), ([], "array"), ({}, "object")],
)
def test_kinds_have_json_names(value: Any, name: str) -> None:
    assert kind(value) == name


@given(st.text(st.characters(), max_size=400))
def test_what_is_shown_is_short_and_can_be_written(text: str) -> None:
    shown = show([text])
    assert len(shown) <= 160
    shown.encode("utf-8")


def test_strings_are_found_without_recursion() -> None:
    assert sorted(strict_json.strings({"a": ["b", {"c": 1}], "d": "e"})) == ["a", "b", "c", "d", "e"]
