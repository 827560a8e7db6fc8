from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from conformance.sources import SourceError, read
from conformance.sources.corpus import ALTERED, FIDELITY, exchange_of, trust
from conformance.wire.exchange import Exchange, Facet

RECORD: dict[str, Any] = {
    "source": "owner/repo:path#0",
    "provider": "somebody",
    "repo": "owner/repo",
    "method": "POST",
    "url_path": "/openai/v1/chat/completions",
    "query": None,
    "request": {"model": "m", "messages": []},
    "status": 200,
    "response_headers": {"content-type": "application/json"},
    "headers_seen": 12,
    "body": '{"choices": []}',
    "fidelity": "wire",
    "altered": [],
    "suspect": [],
}


def facets(**changes: Any) -> frozenset[Facet]:
    return trust({**RECORD, **changes})[0]


def test_a_faithful_record_keeps_all_but_headers_and_times() -> None:
    assert facets() == {
        Facet.REQUEST,
        Facet.STATUS,
        Facet.CONTENT_TYPE,
        Facet.BODY,
        Facet.BODY_BYTES,
        Facet.FRAMING,
        Facet.KEYS_COMPLETE,
    }


@pytest.mark.parametrize("fidelity", [*FIDELITY, "unheard of"])
def test_no_recording_here_can_show_that_a_header_was_absent(fidelity: str) -> None:
    assert not facets(fidelity=fidelity) & {Facet.HEADERS, Facet.TIMES, Facet.PIECES, Facet.WALL_CLOCK}
    assert Facet.BODY in facets(fidelity=fidelity)


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"altered": ["reserialised"]}, {Facet.BODY_BYTES}),
        ({"altered": ["whitespace"]}, {Facet.BODY_BYTES}),
        ({"altered": ["edge-whitespace"]}, {Facet.BODY_BYTES, Facet.FRAMING}),
        ({"altered": ["sse-framing"]}, {Facet.BODY_BYTES, Facet.FRAMING}),
        ({"altered": ["done-sentinel"]}, {Facet.BODY_BYTES, Facet.FRAMING}),
        ({"altered": ["null-filled"]}, {Facet.BODY_BYTES, Facet.KEYS_COMPLETE}),
        ({"altered": ["status"]}, {Facet.STATUS}),
        ({"altered": ["request.stream_options"]}, {Facet.REQUEST}),
        ({"altered": ["created", "id", "url"]}, set()),
        ({"altered": ["never heard of"]}, {Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE}),
        ({"request": None}, {Facet.REQUEST}),
        ({"request": None, "method": "GET"}, set()),
        ({"status": None}, {Facet.STATUS}),
        ({"headers_seen": 0}, {Facet.CONTENT_TYPE}),
        ({"response_headers": {"x-request-id": "r"}}, {Facet.CONTENT_TYPE}),
        ({"fidelity": "rewritten"}, {Facet.BODY_BYTES}),
        ({"fidelity": "sdk-level"}, {Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE}),
        ({"fidelity": "body-only"}, {Facet.BODY_BYTES, Facet.REQUEST, Facet.STATUS, Facet.CONTENT_TYPE}),
        ({"suspect": ["made by hand"]}, facets()),
    ],
    ids=str,
)
def test_what_was_altered_takes_its_facets_away(changes: dict[str, Any], lost: set[Facet]) -> None:
    assert facets() - facets(**changes) == lost


def test_altered_values_are_named() -> None:
    assert trust({**RECORD, "altered": ["id", "created", "reserialised", "new"]})[1] == {"id", "created", "new"}


def test_a_record_becomes_an_exchange() -> None:
    exchange = exchange_of({**RECORD, "query": "api-version=1"})
    assert exchange.id == "owner/repo:path#0"
    assert exchange.request.path == "/chat/completions?api-version=1"
    assert exchange.request.chat is not None
    assert exchange.request.chat.model == "m"
    assert exchange.answer is not None
    assert exchange.origin == "somebody in owner/repo"


@pytest.mark.corpus
def test_the_table_knows_every_word_of_the_corpus() -> None:
    files = sorted((Path(__file__).parents[3] / "shared" / "corpus" / "dev").glob("*.jsonl.gz"))
    if not files:
        pytest.skip("the recorded traffic is not here: ../shared/corpus/dev")
    altered: set[str] = set()
    fidelities: set[str] = set()
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                altered |= set(record["altered"])
                fidelities.add(record["fidelity"])
    assert altered == set(ALTERED)
    assert fidelities == set(FIDELITY)


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.jsonl", bytes),
        ("a.jsonl.gz", gzip.compress),
        ("a.jsonl.zst", zstandard.ZstdCompressor().compress),
        ("named otherwise", gzip.compress),
    ],
)
def test_files_are_unpacked_whatever_their_name(tmp_path: Path, name: str, pack: Any) -> None:
    path = tmp_path / name
    path.write_bytes(pack(lines(RECORD, {**RECORD, "source": "b"})))
    assert [exchange.id for exchange in read(path)] == ["owner/repo:path#0", "b"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"hello\n", "neither"),
        (b"[1]\n", "neither"),
        (b'{"a": 1}\n', "neither"),
        (b'{"broken\n', "neither"),
        (b"\x00\x01\x02", "no readable YAML"),
        (b"\x1f\x8b\x08\x00broken", "cannot read"),
        (gzip.compress(lines(RECORD))[:-9], "cannot read"),
        (b"\x28\xb5\x2f\xfdbroken", "cannot read"),
        (lines(RECORD) + b"{\n", "line 2"),
        (lines(RECORD, {"a": 1}), "line 2"),
        (lines(RECORD, [1]), "line 2"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=words) as caught:
        list(read(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        list(read(tmp_path / "nowhere.jsonl"))
    with pytest.raises(SourceError, match="cannot read"):
        list(read(tmp_path))


def test_lines_are_read_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(RECORD) + b"{\n")
    exchanges = read(path)
    assert isinstance(next(exchanges), Exchange)
    with pytest.raises(SourceError):
        next(exchanges)
