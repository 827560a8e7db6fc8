"""Errors of streams: who is to blame decides whether an error inside a 2xx stream is held against it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.streams import END, ROLE, TEXT, choice, said

_STATUS = "stream_errors.refusal.has_an_error_status"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ({"message": "no", "type": "invalid_request_error"}, "found"),
        ({"message": "no", "code": 400}, "found"),
        ({"message": "no", "type": "server_error"}, "no_control"),
        ({"message": "no", "code": 429}, "no_control"),
        ({"message": "no", "code": 503}, "no_control"),
        ("no", "no_control"),
    ],
)
def test_only_an_error_that_blames_the_request_needs_a_status(error: Any, verdict: str) -> None:
    assert said(_STATUS, {"events": [{"error": error}, "[DONE]"]}) == verdict


@pytest.mark.parametrize(
    ("chunks", "done", "verdict"),
    [
        ([ROLE, TEXT], False, "found"),
        ([ROLE, TEXT], True, "held"),
        ([ROLE, TEXT, END], False, "held"),
        ([ROLE, TEXT, choice({}, "length")], False, "held"),
    ],
)
def test_a_silent_end_lacks_both_finish_and_sentinel(chunks: list[dict[str, Any]], done: bool, verdict: str) -> None:
    assert said("stream_errors.end.is_not_silent", {"chunks": chunks, "done": done}) == verdict
