from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conformance.sources import SourceError, har, read, vcr
from conformance.sources.routes import relative_path
from conformance.wire.exchange import Exchange, Facet

ASKED = '{"model": "m", "messages": [], "stream": true}'
TOLD = 'data: {"choices": []}\n\ndata: [DONE]\n\n'


def entry(**response: Any) -> dict[str, Any]:
    return {
        "startedDateTime": "2026-01-02T03:04:05.500+00:00",
        "request": {
            "method": "POST",
            "url": "https://host.example/p/v1/chat/completions?x=1",
            "headers": [{"name": ":authority", "value": "host"}, {"name": "Content-Type", "value": "application/json"}],
            "postData": {"text": ASKED},
        },
        "response": {
            "status": 200,
            "headers": [{"name": "Content-Type", "value": "text/event-stream"}],
            "content": {"text": TOLD},
            **response,
        },
    }


def one(document: dict[str, Any], tmp_path: Path, indent: int | None) -> Exchange:
    path = tmp_path / "x.har"
    path.write_text(json.dumps(document, indent=indent), encoding="utf-8")
    (exchange,) = read(path)
    return exchange


@pytest.mark.parametrize("indent", [None, 2])
def test_har(tmp_path: Path, indent: int | None) -> None:
    exchange = one({"log": {"entries": [entry()]}}, tmp_path, indent)
    assert exchange.request.path == "/chat/completions?x=1"
    assert exchange.request.headers == (("Content-Type", "application/json"),)
    assert exchange.body == TOLD.encode()
    assert exchange.assembly is not None
    assert exchange.started == 1767323045.5
    assert exchange.origin == "https://host.example"
    assert {Facet.REQUEST, Facet.HEADERS, Facet.BODY_BYTES, Facet.WALL_CLOCK} <= exchange.facets
    assert not {Facet.TIMES, Facet.PIECES} & exchange.facets


@pytest.mark.parametrize(
    ("content", "body", "lost"),
    [
        ({"text": base64.b64encode(b"\xff{}").decode(), "encoding": "base64"}, b"\xff{}", set()),
        ({"text": "a\ufffdb"}, "a\ufffdb".encode(), {Facet.BODY_BYTES, Facet.FRAMING}),
        ({"size": 10}, b"", {Facet.BODY, Facet.BODY_BYTES, Facet.FRAMING, Facet.KEYS_COMPLETE}),
    ],
)
def test_har_bodies(tmp_path: Path, content: dict[str, Any], body: bytes, lost: set[Facet]) -> None:
    whole = one({"log": {"entries": [entry()]}}, tmp_path, None)
    exchange = one({"log": {"entries": [entry(content=content)]}}, tmp_path, None)
    assert exchange.body == body
    assert whole.facets - exchange.facets == lost


VCRPY = {
    "interactions": [
        {
            "request": {
                "body": ASKED,
                "headers": {"accept": ["a", "b"]},
                "method": "POST",
                "uri": "http://h/chat/completions",
            },
            "response": {
                "body": {"string": gzip.compress(TOLD.encode())},
                "headers": {"content-type": ["text/event-stream"], "content-encoding": ["gzip"]},
                "status": {"code": 200, "message": "OK"},
            },
        }
    ],
    "version": 1,
}
RUBY = {
    "http_interactions": [
        {
            "request": {
                "method": "post",
                "uri": "http://h/v1/chat/completions",
                "body": {"string": ASKED},
                "headers": {},
            },
            "response": {
                "status": {"code": 200},
                "headers": {"Content-Type": ["text/event-stream"], "Content-Encoding": ["gzip"]},
                "body": {"base64_string": base64.b64encode(TOLD.encode()).decode()},
            },
        }
    ]
}
GO = {
    "version": 2,
    "interactions": [
        {
            "id": 0,
            "request": {"body": ASKED, "url": "http://h/chat/completions", "method": "POST", "headers": {"A": ["b"]}},
            "response": {
                "body": TOLD,
                "headers": {"Content-Type": ["text/event-stream"]},
                "status": "200 OK",
                "code": 200,
            },
        }
    ],
}
PARSED = {
    "interactions": [
        {
            "request": {"parsed_body": json.loads(ASKED), "method": "POST", "uri": "http://h/chat/completions"},
            "response": {"parsed_body": {"choices": []}, "headers": {}, "status": {"code": 200}},
        }
    ]
}


@pytest.mark.parametrize("cassette", [VCRPY, RUBY, GO], ids=["vcrpy", "ruby", "go"])
def test_cassettes(tmp_path: Path, cassette: dict[str, Any]) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(cassette), encoding="utf-8")
    (exchange,) = read(path)
    assert exchange.request.method == "POST"
    assert exchange.request.chat is not None
    assert exchange.request.chat.stream is True
    assert exchange.status == 200
    assert exchange.body == TOLD.encode()
    assert exchange.assembly is not None
    assert {Facet.REQUEST, Facet.BODY_BYTES, Facet.FRAMING, Facet.CONTENT_TYPE} <= exchange.facets
    assert Facet.HEADERS not in exchange.facets


def test_cassettes_in_json(tmp_path: Path) -> None:
    for indent in (None, 1):
        path = tmp_path / "x.json"
        path.write_text(json.dumps(GO, indent=indent), encoding="utf-8")
        assert [exchange.body for exchange in read(path)] == ([TOLD.encode()])


def test_parsed_bodies_are_no_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.yml.gz"
    path.write_bytes(gzip.compress(yaml.safe_dump(PARSED).encode()))
    (exchange,) = read(path)
    assert exchange.document.value == {"choices": []}
    assert exchange.request.document.value == json.loads(ASKED)
    assert not {Facet.BODY_BYTES, Facet.FRAMING, Facet.CONTENT_TYPE} & exchange.facets


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("interactions:\n- a: [\n", encoding="utf-8")
    with pytest.raises(SourceError, match="line 3"):
        list(read(path))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://h/v1/chat/completions", "/chat/completions"),
        ("https://h/proj/endpoint/v1/chat/completions/abc/messages?limit=2", "/chat/completions/abc/messages?limit=2"),
        ("https://h/models/org/m/v1/chat/completions", "/chat/completions"),
        ("https://h/openai/deployments/m/chat/completions?v=1", "/deployments/m/chat/completions?v=1"),
        ("https://h/v1/models", "/models"),
        ("https://h/v1/models/a/b", "/models/a/b"),
        ("https://h/v1/chat/completionsX", "/v1/chat/completionsX"),
        ("https://h", "/"),
        ("/chat/completions", "/chat/completions"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_paths_are_relative_to_the_route(url: str, path: str) -> None:
    assert relative_path(url) == path


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "request",
                    "response",
                    "body",
                    "headers",
                    "status",
                    "method",
                    "uri",
                    "url",
                    "string",
                    "text",
                    "content",
                    "base64_string",
                    "parsed_body",
                    "postData",
                    "code",
                    "startedDateTime",
                    "encoding",
                    "name",
                    "value",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.lists(_ANY, max_size=3))
def test_anything_in_the_place_of_an_entry_is_read_or_passed_over(items: list[Any]) -> None:
    found = [*har.exchanges({"log": {"entries": items}}, "x"), *vcr.exchanges({"interactions": items}, "x")]
    assert len(found) == 2 * sum(isinstance(item, dict) for item in items)
    for exchange in found:
        assert isinstance(exchange.body, bytes)
        assert exchange.answer is None or exchange.status is not None
