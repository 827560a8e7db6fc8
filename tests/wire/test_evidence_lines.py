from __future__ import annotations

import hashlib
import json
import threading
from importlib.resources import files
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.reporting.evidence import EvidenceWriter
from conformance.sources import SourceError, read
from conformance.sources.evidence import read_evidence
from conformance.wire.evidence import EvidenceError, Footer, Header, decode, encode
from conformance.wire.exchange import LIVE_FACETS, End, Exchange, Facet, Request
from conformance.wire.redaction import Secrets
from conformance.wire.traces import Mark, Relation

BASE = "https://host.example/p/v1"
HEADER = Header(BASE, "openai", "2026-01-01T00:00:00Z", {"seed": 0}, {"suite": "1"}, "a" * 64, "b" * 64, "c" * 64)
KEY = "sk-a-made-up-key"

_LATIN = st.text(st.characters(max_codepoint=255), max_size=8)
_HEADERS = st.lists(st.tuples(_LATIN, _LATIN), max_size=3).map(tuple)
EXCHANGES = st.builds(
    Exchange,
    id=st.integers(1, 9999).map("e{}".format),
    request=st.builds(
        Request,
        st.sampled_from(["GET", "POST"]),
        st.text(max_size=9).map("/{}".format),
        _HEADERS,
        st.none() | st.binary(max_size=20) | st.text(max_size=9).map(lambda text: text.encode("utf-8", "replace")),
        st.sampled_from(["key", "x-api-key", "none", "as_given"]),
    ),
    status=st.none() | st.integers(100, 599),
    headers=_HEADERS,
    body=st.binary(max_size=30),
    pieces=st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 99)), max_size=3).map(tuple),
    end=st.sampled_from(End),
    started=st.none() | st.floats(0, 4e9),
    facets=st.just(LIVE_FACETS) | st.frozensets(st.sampled_from(Facet)),
    altered=st.frozensets(st.sampled_from(["id", "created"])),
    retry_of=st.none() | st.just("e1"),
    note=st.none() | st.text(max_size=5),
    coded_length=st.none() | st.integers(0, 99),
)
MARKS = st.builds(
    Mark, st.sampled_from(Relation), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text()
)
SCHEMA = jsonschema_rs.validator_for(
    json.loads((files("conformance.reporting") / "schemas" / "evidence.schema.json").read_text("utf-8"))
)


@given(EXCHANGES | MARKS | st.just(HEADER) | st.builds(Footer, st.integers(0), st.just("f" * 64)))
def test_what_was_written_comes_back_and_fits_the_schema(value: Exchange | Mark | Header | Footer) -> None:
    line = encode(value, BASE)
    assert line.endswith(b"\n")
    assert len(line.decode("ascii").splitlines()) == 1
    SCHEMA.validate(json.loads(line))
    back = decode(line, BASE)
    assert back == value
    if isinstance(value, Exchange) and isinstance(back, Exchange):
        assert back.note == value.note


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{",
        b'{"kind": "header"}',
        b'{"kind": "header", "format": "conformance-evidence/2"}',
        b'{"kind": "mark", "relation": "friend", "group": "", "role": "", "exchange": ""}',
        b'{"kind": "mark", "relation": "single"}',
        b'{"kind": "footer", "count": true, "sha256": ""}',
        b'{"kind": "exchange"}',
        b'{"kind": "exchange", "id": 1, "request": {"method": "GET", "url": "/"}}',
        b'{"kind": "exchange", "id": "e1", "request": {"method": "GET", "url": "/"}, "status": "200"}',
        b'{"kind": "exchange", "id": "e1", "request": {"method": "GET", "url": "/", "body": {"base64": "!"}}}',
        b'{"kind": "exchange", "id": "e1", "request": {"method": "GET", "url": "/"}, "end": "well"}',
        b'{"kind": "exchange", "id": "e1", "request": {"method": "GET", "url": "/"}, "pieces": [1]}',
    ],
)
def test_what_is_no_evidence_is_told_in_a_sentence(line: bytes) -> None:
    with pytest.raises(EvidenceError):
        decode(line)


def test_kinds_of_later_versions_are_passed_over() -> None:
    assert decode(b'{"kind": "weather"}') is None
    assert decode(b"{}") is None


def test_urls_elsewhere_are_kept_whole() -> None:
    line = encode(Exchange("e1", Request("GET", "/models")), "http://other")
    back = decode(line, BASE)
    assert isinstance(back, Exchange)
    assert back.request.path == "http://other/models"


def written(path: Path, count: int = 3) -> Path:
    with EvidenceWriter(path, HEADER, Secrets(frozenset({KEY}))) as writer:
        for number in range(1, count + 1):
            writer.exchange(Exchange(f"e{number}", Request(body=b"{}"), 200, body=f"got {KEY} {number}".encode()))
        writer.mark(Mark(Relation.CONTRAST, "g", "control", "e1", "/n"))
    return path


def test_a_finished_file_is_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "evidence.jsonl")
    evidence = read_evidence(path)
    assert evidence.header == HEADER
    assert [exchange.id for exchange in evidence.exchanges] == ["e1", "e2", "e3"]
    assert evidence.marks == (Mark(Relation.CONTRAST, "g", "control", "e1", "/n"),)
    assert evidence.footer is not None
    assert evidence.intact is True
    lines = path.read_bytes().splitlines(keepends=True)
    assert evidence.footer == Footer(3, hashlib.sha256(b"".join(lines[:-1])).hexdigest())
    assert KEY.encode() not in path.read_bytes()
    assert [exchange.id for exchange in read(path)] == ["e1", "e2", "e3"]


def test_a_changed_file_is_not_intact(tmp_path: Path) -> None:
    path = written(tmp_path / "evidence.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"status":200', b'"status":201', 1))
    assert read_evidence(path).intact is False


def test_every_prefix_of_whole_lines_is_valid_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    data = written(tmp_path / "whole.jsonl").read_bytes()
    ends = [at + 1 for at, byte in enumerate(data) if byte == 10]
    path = tmp_path / "cut.jsonl"
    for stop in [end + extra for end in ends[:-1] for extra in (0, 1, 30)]:
        path.write_bytes(data[:stop])
        evidence = read_evidence(path)
        assert evidence.footer is None
        assert evidence.intact is None
        assert len(evidence.exchanges) == min(3, sum(1 for end in ends if end <= stop) - 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "is empty"), (b"{}\n", "no header"), (b"nonsense\n", "line 1"), (b'{"kind": "mark"}\n', "line 1")],
)
def test_what_is_no_evidence_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=words):
        read_evidence(path)


def test_a_broken_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    for broken in (b"{\n", b"\xff\n"):
        path.write_bytes(b"".join([*lines[:2], broken, *lines[2:]]))
        with pytest.raises(SourceError, match="line 3"):
            read_evidence(path)


def test_exchanges_stand_in_the_order_of_sending(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    with EvidenceWriter(path, HEADER) as writer:
        for number in (10, 2, 1):
            writer.exchange(Exchange(f"e{number}", Request("GET", "/models")))
    assert [exchange.id for exchange in read_evidence(path).exchanges] == ["e1", "e2", "e10"]


def test_threads_do_not_tear_lines(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    with EvidenceWriter(path, HEADER) as writer:

        def write(first: int) -> None:
            for number in range(first, first + 50):
                writer.exchange(Exchange(f"e{number}", Request("GET", "/models"), 200, body=b"x" * 5000))

        threads = [threading.Thread(target=write, args=(100 * i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    evidence = read_evidence(path)
    assert len(evidence.exchanges) == 400
    assert evidence.intact is True


def test_evidence_is_never_overwritten_and_never_grows_after_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    writer = EvidenceWriter(path, HEADER)
    footer = writer.close()
    assert writer.close() == footer
    with pytest.raises(ValueError, match="closed"):
        writer.exchange(Exchange("e1", Request("GET", "/models")))
    with pytest.raises(FileExistsError):
        EvidenceWriter(path, HEADER)
    assert read_evidence(path).intact is True


def test_the_header_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    header = Header(f"https://h/{KEY}/v1", configuration={"headers": [f"X-A: {KEY}"]})
    with EvidenceWriter(path, header, Secrets(frozenset({KEY}))) as writer:
        writer.exchange(Exchange("e1", Request("GET", "/models")))
    assert KEY.encode() not in path.read_bytes()
    assert read_evidence(path).exchanges[0].request.path == "/models"
