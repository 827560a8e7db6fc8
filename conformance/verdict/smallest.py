"""The smallest steps that show a violation, as shrinking and confirming left them."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.wire.exchange import Exchange


@dataclass(frozen=True)
class Smallest:
    """`exchanges` show the violation of `requirement` at `place`. `minimal` only if verified 1-minimal.

    `confirmed` is (k, n): violated k of n times when sent again; None where nothing was sent again.
    """

    requirement: str
    place: str
    exchanges: tuple[Exchange, ...]
    minimal: bool = False
    confirmed: tuple[int, int] | None = None
