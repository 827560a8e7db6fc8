from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.wire.event_stream import Event, EventStream, Parser, parse

# What the standard's own examples dispatch, and the corners of its algorithm: section 9.2.6.
DISPATCHED = [
    pytest.param(b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"], id="several data lines are one event"),
    pytest.param(
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        ["first event", "second event", " third event"],
        id="comments, no space, and one space only is taken",
    ),
    pytest.param(b"data\n\ndata\ndata\n\ndata:", ["", "\n"], id="empty data, and a last event without its blank line"),
    pytest.param(b"data:test\n\ndata: test\n\n", ["test", "test"], id="the space is optional"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", ["a"], id="byte order mark at the start"),
    pytest.param(b"\n\xef\xbb\xbfdata: a\n\n", [], id="byte order mark later is part of the name"),
    pytest.param(b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", ["a", "b", "c"], id="all three line ends"),
    pytest.param(b"data: a\r\n\ndata: b\n\r\n", ["a", "b"], id="mixed line ends"),
    pytest.param(
        "data: a\u2028b\u2029c\x85d\x0be\x0cf\n\n".encode(), ["a\u2028b\u2029c\x85d\x0be\x0cf"], id="no other"
    ),
    pytest.param(b"data: a\n", [], id="one line end is no blank line"),
    pytest.param(b"data: a", [], id="an unfinished line"),
    pytest.param(b"Data: a\n\n", [], id="names are case-sensitive"),
    pytest.param(b" data: a\n\n", [], id="a space before the name is part of it"),
    pytest.param(b"data : a\n\n", [], id="a space after the name is part of it"),
    pytest.param(b"data: a: b\n\n", ["a: b"], id="only the first colon divides"),
    pytest.param(b"event: x\n\ndata: a\n\n", ["a"], id="a block without data dispatches nothing"),
    pytest.param(b"data: \xff\n\n", ["\ufffd"], id="what is no UTF-8 is replaced"),
    pytest.param(b"\n\n\r\n\r", [], id="blank lines alone"),
    pytest.param(b"", [], id="nothing"),
]


@pytest.mark.parametrize(("body", "data"), DISPATCHED)
def test_dispatches_what_the_standard_says(body: bytes, data: list[str]) -> None:
    assert [event.data for event in parse(body).events if event.data_lines] == data


def test_keeps_what_clients_pass_over() -> None:
    stream = parse(b"\xef\xbb\xbf: hello\nevent: x\nid: 7\nretry: 10\nfoo: bar\n\ndata:1\r\n\r\n[DONE]\ndata: \xff\nda")
    assert stream.has_bom
    assert stream.comments == (" hello",)
    assert [(stray.text, stray.line) for stray in stream.strays] == [("foo: bar", 5), ("[DONE]", 9), ("da", 11)]
    assert stream.events[0] == Event("", 0, "x", "7", "10", start=11, end=46, line=2)
    assert stream.events[1] == Event("1", 1, start=46, end=56, line=7)
    assert stream.unfinished is not None
    assert stream.unfinished.data == "\ufffd"
    assert stream.unfinished_bytes == len(b"[DONE]\ndata: \xff\nda")
    assert stream.bad_utf8 == (63,)
    assert stream.line_ends == {"LF", "CRLF"}
    assert stream.spaceless == 1


def test_places_are_offsets_into_the_body() -> None:
    body = b": c\ndata: one\n\ndata: two\r\n\r\n"
    first, second = parse(body).events
    assert body[first.start : first.end] == b"data: one\n\n"
    assert body[second.start : second.end] == b"data: two\r\n\r\n"
    assert (first.line, second.line) == (2, 4)


def test_the_sentinel_is_compared_exactly() -> None:
    stream = parse(b"data: [DONE]\n\ndata: [DONE] \n\ndata:[DONE]\n\ndata:  [DONE]\n\n")
    assert stream.done_positions == (0, 2)


_PIECE = st.sampled_from(
    [
        b"data:",
        b"data: ",
        b"event: e",
        b"id",
        b":c",
        b"x",
        b"\xc3\xa9",
        b"\xe2\x80\xa8",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b" ",
        b"{}",
        b"[DONE]",
        b"\xc3",
        b"\x00",
    ]
)
_BODIES = st.lists(_PIECE, max_size=30).map(b"".join)


def _fed(body: bytes, cuts: list[int]) -> tuple[EventStream, list[Event]]:
    parser = Parser()
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    given_back: list[Event] = []
    for start, stop in itertools.pairwise(places):
        given_back += parser.feed(body[start:stop])
    return parser.close(), given_back


@given(_BODIES, st.lists(st.integers(0, 500), max_size=12))
def test_it_does_not_matter_how_the_bytes_were_cut(body: bytes, cuts: list[int]) -> None:
    stream, given_back = _fed(body, cuts)
    assert stream == parse(body)
    # A carriage return at the end of all bytes completes its event only when nothing can follow.
    assert given_back == list(stream.events[: len(given_back)])


@given(_BODIES)
def test_one_byte_at_a_time_gives_the_same(body: bytes) -> None:
    assert _fed(body, list(range(len(body))))[0] == parse(body)


def _by_the_letter(body: bytes) -> list[str]:
    """The standard's algorithm, written down as it is told and nothing else: decode, split, dispatch."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    lines, line, i = [], "", 0
    while i < len(text):
        if text[i] in "\r\n":
            i += 2 if text[i : i + 2] == "\r\n" else 1
            lines.append(line)
            line = ""
        else:
            line += text[i]
            i += 1
    dispatched, buffer = [], ""
    for line in lines:
        if line == "":
            if buffer != "":
                dispatched.append(buffer.removesuffix("\n"))
            buffer = ""
        elif ":" not in line:
            buffer += "\n" if line == "data" else ""
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            buffer += value.removeprefix(" ") + "\n" if name == "data" else ""
    return dispatched


@given(_BODIES)
def test_dispatches_what_the_standard_dispatches(body: bytes) -> None:
    assert [event.data for event in parse(body).events if event.data_lines] == _by_the_letter(body)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=20), max_size=6))
def test_every_text_on_one_line_survives(texts: list[str]) -> None:
    body = b"".join(f"data: {text}\n\n".encode() for text in texts)
    assert [event.data for event in parse(body).events] == texts


def test_a_long_line_in_small_pieces_stays_linear() -> None:
    parser = Parser()
    parser.feed(b"data: ")
    for _ in range(20_000):
        parser.feed(b"x" * 10)
    parser.feed(b"\n\n")
    assert len(parser.close().events[0].data) == 200_000
