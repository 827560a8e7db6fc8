"""Numbers that a run measured are told with the exchanges that show them."""

from __future__ import annotations

from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load
from conformance.reporting.model import Observation
from conformance.suite.observations import observe
from conformance.wire.traces import Mark, Relation

AUROUS = load("aurous")
REFUSED = {"status": 400, "error": {"code": "response_format_too_large"}}
EXCHANGES = [exchange({}, 1), exchange({}, 2), exchange(REFUSED, 3), exchange({"status": 413, "text": ""}, 4)]


def mark(number: int, value: int, axis: str) -> Mark:
    return Mark(Relation.LADDER, axis, f"rung:{value}", f"e{number}", axis)


def test_caps_are_told_by_axis() -> None:
    size = [mark(1, 0, "size.names"), mark(2, 1000, "size.names"), mark(3, 1001, "size.names")]
    depth = [mark(2, 7, "depth.objects"), mark(4, 9, "depth.objects")]
    assert observe(EXCHANGES, [*size, *depth], AUROUS) == (
        Observation("structured_output.size_cap.names", 1000, "bytes", True, ("e2", "e3")),
        Observation("structured_output.depth_cap.objects", 7, "levels", False, ("e2",)),
        Observation("structured_output.proxy_cap.objects", 7, "levels", False, ("e2", "e4")),
    )


def test_what_was_sent_to_show_a_violation_better_is_left_out() -> None:
    said = [mark(2, 7, "depth.objects"), Mark(Relation.SINGLE, "x", "shrink", "e2")]
    assert observe(EXCHANGES, said, AUROUS) == ()


def test_other_relations_and_axes_measure_nothing() -> None:
    assert observe(EXCHANGES, [Mark(Relation.REPEAT, "x", "again", "e1")], AUROUS) == ()
    assert observe(EXCHANGES, [mark(1, 5, "width.any")], AUROUS) == ()


def test_the_time_until_a_stored_completion_is_found_is_told() -> None:
    stored = exchange({"request": {"store": True}}, 1)
    look = {"method": "GET", "path": "/chat/completions/chatcmpl-example1"}
    early = exchange({**look, "status": 404, "error": {}, "started": 1_760_000_001}, 2)
    late = exchange({**look, "started": 1_760_000_003}, 3)
    openai = load("openai")
    assert observe([stored, early, late], [], openai) == (
        Observation("storage.visible_after", 2.995, "seconds", True, ("e1", "e3")),
    )
    assert [found.value for found in observe([stored, late], [], openai)] == [0.0]
    assert observe([exchange({}, 1), late], [], openai) == ()
