"""Routes of stored completions, and the ledger of what a store must hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.wire.exchange import Exchange, Request
from conformance.wire.ledger import Ledger
from conformance.wire.stored import Call, Kind, Query, call_of, list_path, nameable, path_of, query_of

TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/chat/completions", Call(Kind.CREATE)),
        ("GET", "/chat/completions?limit=2&after=a", Call(Kind.LIST, query=Query(limit="2", after="a"))),
        ("GET", "/chat/completions/a%2Fb", Call(Kind.RETRIEVE, "a/b")),
        ("POST", "/chat/completions/a", Call(Kind.UPDATE, "a")),
        ("DELETE", "/chat/completions/a", Call(Kind.DELETE, "a")),
        ("GET", "/chat/completions/a/messages?order=desc", Call(Kind.MESSAGES, "a", Query(order="desc"))),
        ("POST", "/chat/completions/a/cancel", Call(Kind.CANCEL, "a")),
        ("PUT", "/chat/completions/a", None),
        ("GET", "/chat/completions/a/other", None),
        ("GET", "/models", None),
    ],
)
def test_calls_are_read_from_requests(method: str, path: str, expected: Call | None) -> None:
    assert call_of(Request(method, path)) == expected


@given(st.lists(st.tuples(TEXT.filter(lambda key: "]" not in key or key.endswith("]")), TEXT), max_size=3), TEXT)
def test_paths_say_what_was_asked(pairs: list[tuple[str, str]], stored_id: str) -> None:
    made = list_path(metadata=tuple(pairs), limit=3)
    assert query_of(made.partition("?")[2]) == Query(limit="3", metadata=tuple(pairs))
    if nameable(stored_id):
        assert call_of(Request("GET", path_of(stored_id))) == Call(Kind.RETRIEVE, stored_id)


@pytest.mark.parametrize("stored_id", ["", ".", ".."])
def test_an_id_that_means_another_path_is_not_called(stored_id: str) -> None:
    assert not nameable(stored_id)


def create(number: int, *, store: bool = True, **metadata: str) -> Exchange:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "store": store, "metadata": metadata}
    answer = {"id": f"c{number}", "created": 1, "model": "m", "choices": []}
    return Exchange(
        f"e{number}",
        Request(body=json.dumps(body).encode()),
        200,
        (),
        json.dumps(answer).encode(),
        started=float(number),
    )


def call(
    method: str, stored_id: str, at: float, body: object = None, status: int = 200, lasts: float = 0.1
) -> Exchange:
    data = None if body is None else json.dumps(body).encode()
    return Exchange(
        f"e{at}", Request(method, path_of(stored_id), (), data), status, (), b"{}", ((lasts * 1000, 2),), started=at
    )


def ledger(*exchanges: Exchange) -> Ledger:
    made = Ledger()
    for exchange in exchanges:
        made = made.after(exchange)
    return made


def test_only_what_asked_for_it_is_in_the_ledger() -> None:
    assert list(ledger(create(1), create(2, store=False)).records) == ["c1"]


def test_an_update_replaces_or_adds() -> None:
    found = ledger(create(1, a="1"), call("POST", "c1", 2.0, {"metadata": {"b": "2"}}))
    assert list(found.records["c1"].metadata) == [{"b": "2"}, {"a": "1", "b": "2"}]
    assert found.matching(Query(metadata=(("b", "2"),))) == [found.records["c1"]]
    assert found.matching(Query(metadata=(("a", "1"),))) is None
    assert found.matching(Query(metadata=(("b", "1"),))) == []


def test_of_two_updates_side_by_side_either_may_win() -> None:
    one, two = ({"metadata": {"w": name}} for name in ("one", "two"))
    beside = ledger(create(1), call("POST", "c1", 2.0, one, lasts=3.0), call("POST", "c1", 2.1, two))
    assert {item["w"] for item in beside.records["c1"].metadata} == {"one", "two"}
    after = ledger(create(1), call("POST", "c1", 2.0, one), call("POST", "c1", 3.0, two))
    assert {item["w"] for item in after.records["c1"].metadata} == {"two"}


def test_what_is_refused_changes_nothing_and_what_broke_is_unsure() -> None:
    refused = ledger(create(1), call("DELETE", "c1", 2.0, status=404))
    assert refused.records["c1"].live
    assert ledger(create(1), call("DELETE", "c1", 2.0)).records["c1"].deleted
    assert ledger(create(1), call("DELETE", "c1", 2.0, status=500)).records["c1"].unsure
    assert ledger(create(1), create(1)).records["c1"].unsure
