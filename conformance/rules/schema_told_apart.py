"""Too deep is not too large: a refusal that names one cap is contradicted by a schema that was taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from conformance.rules.base import NOT_APPLICABLE, Finding, Part, Terms, Verdicts, fold
from conformance.rules.schema_refusals import JUDGED, TOO_DEEP, TOO_LARGE, code_is
from conformance.rules.schema_size import Measures, measures_of
from conformance.wire.exchange import Exchange
from conformance.wire.rungs import Outcome, codes_of, outcome


@dataclass(frozen=True)
class _Seen:
    """A schema that was taken, or refused as too deep or too large. `body` is the length of the whole request."""

    exchange: str
    measures: Measures
    body: int
    kind: str = ""

    def as_large_as(self, other: _Seen) -> bool:
        """By every way of counting."""
        return self.measures.bytes.least >= other.measures.bytes.most and self.body >= other.body

    def as_deep_as(self, other: _Seen) -> bool:
        """By every way of counting."""
        return self.measures.deepest.covers(other.measures.reach)

    def contradicts(self, refused: _Seen) -> bool:
        """Taken although it has as much of what the other was refused for; and the other has more of the rest.

        What has more of both is a flaw of the cap itself, which ladders show.
        """
        if refused.kind == TOO_DEEP:
            return self.as_deep_as(refused) and self.measures.bytes.most < refused.measures.bytes.least
        return self.as_large_as(refused) and not self.as_deep_as(refused)

    def speaks_for(self, other: _Seen, kind: str) -> bool:
        """Whatever the other contradicts among refusals of a kind, this one contradicts."""
        if kind == TOO_DEEP:
            return (
                self.measures.deepest.covers(other.measures.deepest)
                and self.measures.bytes.most <= other.measures.bytes.most
            )
        larger = self.measures.bytes.least >= other.measures.bytes.least and self.body >= other.body
        return larger and other.measures.deepest.covers(self.measures.deepest)


def _kept(seen: Iterable[_Seen], kind: str) -> tuple[_Seen, ...]:
    """Those that no other one speaks for."""
    kept: tuple[_Seen, ...] = ()
    for new in seen:
        if not any(old.speaks_for(new, kind) for old in kept):
            kept = (*(old for old in kept if not new.speaks_for(old, kind)), new)
    return kept


@dataclass(frozen=True)
class _Schemas:
    """What was taken, as far as it can contradict a refusal as too deep or as too large; and what was refused so."""

    deep: tuple[_Seen, ...] = ()
    large: tuple[_Seen, ...] = ()
    refused: tuple[_Seen, ...] = ()

    def joined(self, other: _Schemas) -> _Schemas:
        """Both."""
        known = {(seen.kind, seen.measures) for seen in self.refused}
        new = tuple(seen for seen in other.refused if (seen.kind, seen.measures) not in known)
        return _Schemas(
            _kept((*self.deep, *other.deep), TOO_DEEP),
            _kept((*self.large, *other.large), TOO_LARGE),
            (*self.refused, *new),
        )


@fold("structured_output.limits.depth_and_size_are_told_apart", reads=JUDGED)
class DepthAndSizeAreToldApart:
    """A schema is not too deep where a smaller one as deep was taken, nor too large where a flatter was."""

    def empty(self) -> _Schemas:
        """Nothing seen."""
        return _Schemas()

    def step(self, state: _Schemas, exchange: Exchange, terms: Terms) -> _Schemas:
        """Keep what has a schema without references, and was taken or refused by one of the two codes."""
        if exchange.request.chat is None or not all(codes_of(terms.dialect, kind) for kind in (TOO_DEEP, TOO_LARGE)):
            return state
        measures = measures_of(exchange)
        if measures is None or measures.refers:
            return state
        seen = _Seen(exchange.id, measures, len(exchange.request.body or b""))
        what = outcome(exchange, terms.dialect)
        if what is Outcome.TAKEN:
            return state.joined(_Schemas((seen,), (seen,)))
        kind = next((kind for kind in (TOO_DEEP, TOO_LARGE) if code_is(exchange, terms, kind)), None)
        if what is not Outcome.REFUSED or kind is None:
            return state
        return state.joined(_Schemas(refused=(replace(seen, kind=kind),)))

    def merge(self, earlier: _Schemas, later: _Schemas) -> _Schemas:
        """Both."""
        return earlier.joined(later)

    def finish(self, state: _Schemas, terms: Terms) -> Verdicts:
        """Refusals that something taken contradicts."""
        if not state.refused or not state.deep:
            yield NOT_APPLICABLE
        for seen in state.refused:
            deep = seen.kind == TOO_DEEP
            if not any(other.contradicts(seen) for other in (state.deep if deep else state.large)):
                continue
            text = (
                f"too deep, with {seen.measures.levels.most} levels at most; a smaller schema as deep was taken"
                if deep
                else f"too large, with {seen.measures.bytes.least} bytes; a flatter schema as large was taken"
            )
            yield Finding(seen.exchange, Part.BODY, "the code for what is over its cap", text, "/error/code")
