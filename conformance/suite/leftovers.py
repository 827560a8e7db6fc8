"""What a run stored and did not delete, by its own evidence: only ids that its own POSTs were answered with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.dialects.model import Dialect
from conformance.wire.exchange import Exchange, Request
from conformance.wire.ledger import created_id, is_planted, keeps
from conformance.wire.stored import Kind, call_of, path_of

_GONE = frozenset({404, 410})


def leftovers(exchanges: Iterable[Exchange], dialect: Dialect, *, planted: bool = False) -> tuple[str, ...]:
    """The ids in the order of creation. Empty where the dialect has no route to delete by.

    What was planted is left out, unless `planted` asks for it too.
    """
    if Kind.DELETE.value not in (dialect.convention("storage.routes") or ()):
        return ()
    always = dialect.convention("storage.stores") == "always"
    found: dict[str, None] = {}
    for exchange in exchanges:
        call, made = call_of(exchange.request), created_id(exchange)
        if made is not None and _asks(exchange, always) and (planted or not is_planted(exchange)):
            found[made] = None
        elif call is not None and call.kind is Kind.DELETE and (exchange.is_success or exchange.status in _GONE):
            found.pop(call.id, None)
    return tuple(found)


def _asks(exchange: Exchange, always: bool) -> bool:
    """It may have been stored: also where the endpoint took something else than true for it."""
    chat = exchange.request.chat
    return keeps(exchange, always) or (chat is not None and bool(chat.body.get("store")))


def deletions(ids: Sequence[str]) -> list[Request]:
    """A request for each id."""
    return [Request("DELETE", path_of(stored_id)) for stored_id in ids]
