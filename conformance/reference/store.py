"""Where a store of completions plugs into the endpoint."""

from __future__ import annotations

from typing import Protocol

from conformance.reference.stages import Context, Refusal
from conformance.wire.strict_json import Json


class Store(Protocol):
    """Serves routes of its own, and keeps completions. All in the caller's thread."""

    def serves(self, method: str, route: str) -> bool:
        """Whether this route is the store's."""

    def answer(self, context: Context) -> dict[str, Json] | Refusal:
        """The body of a successful answer, or why there is none."""

    def keep(self, context: Context, completion: dict[str, Json]) -> None:
        """Take note of a completion, in its unstreamed form; the store decides whether the request asks for it."""
