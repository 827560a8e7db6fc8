"""Chunks, usage and parity: what real servers legally do holds, what only looks equal is found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.streams import END, ROLE, TEXT, choice, said

_USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
_PINNED = {"temperature": 0}


@pytest.mark.parametrize(
    ("requirement", "chunks", "verdict"),
    [
        ("stream.id.is_the_same_in_all_chunks", [{"id": "", "choices": []}, ROLE, TEXT, END], "held"),
        ("stream.id.is_a_name", [{"id": "", "choices": []}, ROLE, TEXT, END], "found"),
        ("stream.created.is_the_same_in_all_chunks", [{"created": 0, "choices": []}, ROLE, TEXT, END], "held"),
        ("stream.role.is_sent", [TEXT, END], "found"),
        ("stream.role.comes_first", [TEXT, END], "held"),
        ("stream.finish.is_null_until_the_end", [ROLE, choice({"content": "a"}, ""), END], "found"),
        ("stream.finish.comes_once", [ROLE, choice({"content": "a"}, ""), END], "not_applicable"),
        ("stream.finish.is_the_last_word", [ROLE, TEXT, END, {"usage": _USAGE}], "held"),
        ("stream.index.covers_the_choices", [ROLE, TEXT, choice({}, "stop", index=1)], "found"),
        ("stream.finish.comes_for_every_choice", [ROLE, TEXT, choice({}, "stop", index=1)], "not_applicable"),
        ("stream.usage.is_not_sent_unasked", [ROLE, TEXT, END, {"usage": None}], "held"),
    ],
)
def test_a_chunk_is_judged_by_the_rule_that_owns_the_defect(
    requirement: str, chunks: list[dict[str, Any]], verdict: str
) -> None:
    assert said(requirement, {"chunks": chunks}) == verdict


@pytest.mark.parametrize(
    ("first", "second", "streamed", "verdict"),
    [
        ("One two.", "One two.", "One two.", "held"),
        ("One two.", "Two one.", "Two one!", "model_free"),
        ("One two.", "One two.", "One  two.", "found"),
    ],
)
def test_text_is_compared_only_where_the_unstreamed_answers_agree(
    first: str, second: str, streamed: str, verdict: str
) -> None:
    plain = [{"request": _PINNED, "message": {"content": text}} for text in (first, second)]
    stream = {"request": _PINNED, "deltas": [{"role": "assistant", "content": streamed}]}
    assert said("stream.parity.same_text", [*plain, stream]) == verdict


def test_one_unstreamed_answer_is_no_control_for_text() -> None:
    pair = [{"request": _PINNED}, {"request": _PINNED, "deltas": [{"role": "assistant", "content": "Bye."}]}]
    assert said("stream.parity.same_text", pair) == "no_control"
