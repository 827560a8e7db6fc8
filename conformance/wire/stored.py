"""The routes of stored completions: which call a request is, what it names, and how such a path is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, urlencode

from conformance.wire.exchange import Request

ROUTE = "/chat/completions"
_BELOW = re.compile(r"/chat/completions/([^/]+)(?:/(messages|cancel))?", re.ASCII)
_PAIR = re.compile(r"metadata\[(.*)\]", re.DOTALL)


class Kind(StrEnum):
    """What a call does."""

    CREATE = "create"
    LIST = "list"
    RETRIEVE = "retrieve"
    UPDATE = "update"
    DELETE = "delete"
    MESSAGES = "messages"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Query:
    """What a list asks for, as sent: None where a parameter is absent. `metadata` are pairs that all have to match."""

    limit: str | None = None
    after: str | None = None
    order: str | None = None
    model: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int | None:
        """`limit` where it is a plain whole number."""
        return int(self.limit) if self.limit is not None and re.fullmatch(r"-?[0-9]{1,9}", self.limit) else None


@dataclass(frozen=True)
class Call:
    """One call of the life cycle. `id` is decoded, and empty for create and list."""

    kind: Kind
    id: str = ""
    query: Query = Query()


@lru_cache(maxsize=1024)
def query_of(text: str) -> Query:
    """The parameters in a query string; of a repeated one the first counts, of repeated pairs each."""
    found: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    for name, value in parse_qsl(text, keep_blank_values=True):
        pair = _PAIR.fullmatch(name)
        if pair is not None:
            pairs.append((pair[1], value))
        else:
            found.setdefault(name, value)
    return Query(found.get("limit"), found.get("after"), found.get("order"), found.get("model"), tuple(pairs))


_TARGETS = {
    ("GET", None): Kind.RETRIEVE,
    ("POST", None): Kind.UPDATE,
    ("DELETE", None): Kind.DELETE,
    ("GET", "messages"): Kind.MESSAGES,
    ("POST", "cancel"): Kind.CANCEL,
}


def call_of(request: Request) -> Call | None:
    """Which call of the life cycle a request is, or None."""
    query = request.path.partition("?")[2]
    if request.route == ROUTE:
        if request.method == "GET":
            return Call(Kind.LIST, query=query_of(query))
        return Call(Kind.CREATE) if request.method == "POST" else None
    named = _BELOW.fullmatch(request.route)
    kind = _TARGETS.get((request.method, named[2])) if named is not None else None
    return Call(kind, unquote(named[1]), query_of(query)) if named is not None and kind is not None else None


def nameable(stored_id: str) -> bool:
    """The id can stand in a path as a segment of its own, and nothing else can be meant by it."""
    return stored_id.strip(".") != ""


def path_of(stored_id: str, tail: str = "") -> str:
    """The path of a stored completion; `tail` is empty, `messages` or `cancel`."""
    return f"{ROUTE}/{quote(stored_id, safe='')}" + (f"/{tail}" if tail else "")


def list_path(path: str = ROUTE, metadata: tuple[tuple[str, str], ...] = (), **parameters: str | int | None) -> str:
    """A path with list parameters, percent-encoded; those that are None are left out."""
    given = [(name, str(value)) for name, value in parameters.items() if value is not None]
    given += [(f"metadata[{key}]", value) for key, value in metadata]
    return f"{path}?{urlencode(given, quote_via=quote)}" if given else path
