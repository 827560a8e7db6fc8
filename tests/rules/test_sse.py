"""Framing: what is legal though unusual holds, and what clients lose is found, each by the one rule that owns it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from conformance.catalogue.examples import exchange
from conformance.catalogue.loader import load as load_catalogue
from conformance.dialects.loader import load as load_dialect
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import judge
from conformance.wire.traces import Single
from tests.rules.streams import CHUNK, ENVELOPE, ROLE, RULES, TEXT, said

MINE = [
    rule
    for rule in RULES.values()
    if isinstance(rule, Rule) and rule.on is Single and rule.id.split(".")[0] in ("sse", "stream", "stream_errors")
]
OPENAI = Terms(load_dialect("openai"))
ROWS = load_catalogue().requirements


def findings(spec: dict[str, Any]) -> set[str]:
    """Every rule of the stream areas that finds something in one exchange, in the openai dialect."""
    trace = Single((exchange(spec),))
    return {
        rule.id for rule in MINE if ROWS[rule.id].claim(("openai",)) is not None and judge(rule, trace, OPENAI).findings
    }


@pytest.mark.parametrize(
    "sse",
    [
        f"data: {CHUNK}\n\ndata: [DONE]\n\n",
        f"data:{CHUNK}\n\ndata:[DONE]\n\n",
        f"data: {CHUNK}\r\n\r\ndata: [DONE]\r\n\r\n",
        f"data: {CHUNK}\r\rdata: [DONE]\r\r",
        f": hello\n\n\n\ndata: {CHUNK}\n\n: ping\n\ndata: [DONE]\n\n: bye\n\n",
        f":{{}} not json\ndata: {CHUNK}\n:\n\ndata: [DONE]\n\n",
        f"retry: 3000\ndata: {CHUNK}\n\ndata: [DONE]\n\n",
        f"id: 7\ndata: {CHUNK}\n\nid: 8\ndata: [DONE]\n\n",
        f"x-later-standard: yes\ndata: {CHUNK}\n\ndata: [DONE]\n\n",
        f"data: {CHUNK}\n\ndata: [DONE]\n\n: no blank line after this comment",
        f'data: {{{ENVELOPE},\ndata: "choices":[{{"index":0,"delta":{{"role":"assistant","content":"Hi"}},'
        f'"finish_reason":"stop"}}]}}\n\ndata: [DONE]\n\n',
        f"data: {CHUNK.replace('Hi', 'line separator   next line  ')}\n\ndata: [DONE]\n\n",
        f"data: {CHUNK.replace('Hi', 'data: [DONE]')}\n\ndata: [DONE]\n\n",
    ],
    ids=lambda text: text[:18].encode("unicode_escape").decode(),
)
def test_legal_framing_is_not_held_against_a_stream(sse: str) -> None:
    assert findings({"sse": sse}) == set()


@pytest.mark.parametrize(
    ("sse", "owner"),
    [
        (f"{CHUNK}\n[DONE]\n", "sse.lines.carry_no_payload_outside_fields"),
        (f"{CHUNK}\n\ndata: [DONE]\n\n", "sse.lines.carry_no_payload_outside_fields"),
        (f" data: {CHUNK}\n\ndata: [DONE]\n\n", "sse.lines.carry_no_payload_outside_fields"),
        (f"DATA: {CHUNK}\n\ndata: [DONE]\n\n", "sse.lines.carry_no_payload_outside_fields"),
        (f"data: {CHUNK}\n\nerror: gone\n\ndata: [DONE]\n\n", "sse.lines.carry_no_payload_outside_fields"),
        (f"data: {CHUNK}\n\nInternal Server Error\n\n", "sse.lines.carry_no_payload_outside_fields"),
        (f"data: {CHUNK}\ndata: [DONE]\n\n", "sse.events.end_with_blank_line"),
        (f"data: {CHUNK}\n\ndata: [DONE]", "sse.events.end_with_blank_line"),
        (f"data: {CHUNK}\n\ndata: [DONE]\n", "sse.events.end_with_blank_line"),
        (f"data: {CHUNK}\ndata: [DONE]\n", "sse.events.end_with_blank_line"),
        (f"data: {CHUNK}\n\n: data: {CHUNK}\n\ndata: [DONE]\n\n", "sse.comments.carry_no_payload"),
        (f"data: {CHUNK}\n\n:[DONE]\n\ndata: [DONE]\n\n", "sse.comments.carry_no_payload"),
        (f"event: chunk\ndata: {CHUNK}\n\ndata: [DONE]\n\n", "sse.events.are_unnamed"),
        (f"data:\n\ndata: {CHUNK}\n\ndata: [DONE]\n\n", "sse.events.have_data"),
        (f"data: {CHUNK}\n\nevent: end\n\ndata: [DONE]\n\n", "sse.events.have_data"),
        (f"id: 7\ndata: {CHUNK}\n\n:\n\ndata: [DONE]\n\n", "sse.events.no_id_beside_comments"),
        (f"data: {CHUNK}\n\ndata: null\n\ndata: [DONE]\n\n", "sse.payload.is_a_json_object"),
        (f"data: {CHUNK}\n\ndata: [{CHUNK}]\n\ndata: [DONE]\n\n", "sse.payload.is_a_json_object"),
        (f"data: {CHUNK}\n\n", "sse.done.is_sent"),
        (f"data: {CHUNK}\n\ndata: [DONE] \n\n", "sse.done.is_exact"),
        (f'data: {CHUNK}\n\ndata: "[DONE]"\n\n', "sse.done.is_exact"),
        (f"data: {CHUNK}\n\ndata: [DONE]\n\ndata: [DONE]\n\n", "sse.done.is_sent_once"),
        (f"data: {CHUNK}\n\ndata: [DONE]\n\ndata: {{}}\n\n", "sse.done.is_last"),
        ("data: [DONE]\n\n", "stream.chunks.are_sent"),
        (": only a comment\n\n", "stream_errors.end.is_not_silent"),
        ("", "stream_errors.end.is_not_silent"),
        (f"data: {CHUNK[:-20]}", "stream_errors.end.is_not_silent"),
    ],
    ids=lambda text: text[-30:].encode("unicode_escape").decode(),
)
def test_one_defect_of_framing_is_found_by_one_rule(sse: str, owner: str) -> None:
    assert findings({"sse": sse}) - {"stream.chunk.has_required_keys", "stream.chunk.has_choices"} == {owner}


def test_bytes_that_do_not_decode_are_one_finding() -> None:
    data = f"data: {CHUNK}\n\ndata: [DONE]\n\n".replace("Hi", "caf\u00e9").encode("latin-1")
    assert findings({"sse_base64": base64.b64encode(data).decode()}) == {"sse.encoding.is_utf8"}


def test_a_byte_order_mark_is_only_looked_for_at_the_start() -> None:
    start = {"sse": f"\ufeffdata: {CHUNK}\n\ndata: [DONE]\n\n"}
    inside = {"sse": f"data: {CHUNK}\n\ndata: [DONE]\n\n".replace("Hi", "\ufeff")}
    assert findings(start) == {"sse.encoding.no_byte_order_mark"}
    assert findings(inside) == set()


@pytest.mark.parametrize("end", ["reset", "timeout", "over_limit"])
def test_a_stream_that_did_not_come_through_is_not_judged(end: str) -> None:
    spec = {"sse": f"data: {CHUNK[:-30]}", "end": end}
    assert findings(spec) == set()
    assert said("stream_errors.end.is_not_silent", spec) == "transport"


@pytest.mark.parametrize(
    ("spec", "verdict"),
    [
        (
            {"request": {"stream": True}, "text": f"{CHUNK}\n", "headers": {"content-type": "application/x-ndjson"}},
            "found",
        ),
        ({"request": {"stream": True}, "text": "", "headers": {"content-type": "<absent>"}}, "found"),
        ({"request": {"stream": True}, "json": {"error": {"message": "no"}}}, "not_applicable"),
        ({"request": {"stream": True}, "status": 400, "error": {}}, "not_applicable"),
        ({"request": {"stream": False}, "message": {}}, "not_applicable"),
        ({"request": {"stream": "true"}, "message": {}}, "not_applicable"),
    ],
)
def test_only_a_request_for_a_stream_has_to_get_one(spec: dict[str, Any], verdict: str) -> None:
    assert said("sse.request.gets_a_stream", spec) == verdict


@pytest.mark.parametrize(
    ("count", "times", "verdict"),
    [
        (63, [3000.0, 3000.1], "model_free"),
        (80, [1500.0, 1500.1], "model_free"),
        (80, [3000.0], "found"),
        (80, [10.0, 3000.0], "held"),
        (80, [2900.0, 2950.0, 3000.0], "held"),
    ],
)
def test_only_an_impossible_burst_counts_as_held_back(count: int, times: list[float], verdict: str) -> None:
    spec = {"chunks": [ROLE, *[TEXT] * (count - 2)], "times": times}
    assert said("sse.arrival.is_incremental", {**spec, "chunks": [*spec["chunks"], TEXT]}) == verdict
