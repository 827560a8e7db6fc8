"""How deep and how large a schema may be: that caps are caps, told apart, named rightly, and harmless to meet.

Ladders show where an answer flips along one axis. The rungs near the flip are judged by their codes; those far above
may be turned down by another part of the endpoint, which only has to stay alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.rules.base import (
    Finding,
    Part,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_sequence,
    at_status,
    rule,
)
from conformance.rules.refusals import error_object, must_refuse
from conformance.rules.schema_refusals import JUDGED, TOO_DEEP, TOO_LARGE, code_is, not_shown
from conformance.rules.schema_size import Measures, measures_of
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.rungs import DEPTH, PLAIN, SIZE, Outcome, cap_of, codes_of, outcome, rungs
from conformance.wire.strict_json import show
from conformance.wire.traces import Contrast, Ladder

_TIMED = (Facet.REQUEST, Facet.STATUS, Facet.WALL_CLOCK)
_NO_CAP = Vacuous(Reason.NO_CONTROL, "no cap within reach")
_NEAR = 2
"""Up to this many times what was taken, a refusal is about the cap."""


def _climbs(trace: Ladder, terms: Terms) -> bool:
    return trace.axis.startswith((DEPTH, SIZE))


def _named(axis: str, kind: str) -> Callable[[Ladder, Terms], bool]:
    """Ladders along such an axis, where the dialect documents a code."""
    return lambda trace, terms: trace.axis.startswith(axis) and bool(codes_of(terms.dialect, kind))


def _is_named(trace: Ladder, terms: Terms, kind: str, other: str) -> Verdicts:
    """Refusals near the flip have the code. Whether it is the other of the two, or none at all, is for other rules."""
    codes, others = codes_of(terms.dialect, kind), codes_of(terms.dialect, other)
    cap = cap_of(trace, terms.dialect)
    near = [
        exchange
        for value, exchange, what in rungs(trace, terms.dialect)
        if cap is not None and what is Outcome.REFUSED and cap.taken < value <= _NEAR * cap.taken + 1
    ]
    coded = [
        (exchange, code) for exchange in near if isinstance(code := error_object(exchange).get("code"), str) and code
    ]
    for exchange, code in coded:
        if code not in codes | others:
            yield at_body(exchange, "/error/code", " or ".join(sorted(codes)), show(code))
    if not coded:
        yield Vacuous(Reason.NO_CONTROL, "no refusal has a code") if near else _NO_CAP


@rule("structured_output.limits.too_deep_is_named", on=Ladder, reads=JUDGED, when=_named(DEPTH, TOO_DEEP))
def too_deep_is_named(trace: Ladder, terms: Terms) -> Verdicts:
    """A schema that nests over the cap is refused with the code for that."""
    yield from _is_named(trace, terms, TOO_DEEP, TOO_LARGE)


@rule("structured_output.limits.too_large_is_named", on=Ladder, reads=JUDGED, when=_named(SIZE, TOO_LARGE))
def too_large_is_named(trace: Ladder, terms: Terms) -> Verdicts:
    """A schema over the byte cap is refused with the code for that."""
    yield from _is_named(trace, terms, TOO_LARGE, TOO_DEEP)


@rule("structured_output.limits.are_monotonic", on=Ladder, reads=JUDGED, when=_climbs)
def are_monotonic(trace: Ladder, terms: Terms) -> Verdicts:
    """What is over a refused depth or size is not taken."""
    seen = [rung for rung in rungs(trace, terms.dialect) if rung[0] > PLAIN]
    taken = [value for value, _, what in seen if what is Outcome.TAKEN]
    refused = [(value, exchange) for value, exchange, what in seen if what is Outcome.REFUSED]
    for value, exchange in refused:
        over = [larger for larger in taken if larger > value]
        if over:
            observed = f"{value} is refused, and {min(over)} is taken"
            yield at_sequence(exchange, "", f"one cap along {trace.axis}", observed)
            return
    if not (refused and taken):
        yield _NO_CAP


def _above(trace: Ladder, terms: Terms, what: Outcome) -> Iterator[tuple[int, Exchange]]:
    """Rungs with this outcome above one that was taken: the schema's size or depth is what made the difference."""
    seen = list(rungs(trace, terms.dialect))
    taken = [value for value, _, found in seen if found is Outcome.TAKEN and value > PLAIN]
    for value, exchange, found in seen:
        if found is what and taken and value > min(taken):
            yield value, exchange


@rule("structured_output.limits.are_no_5xx", on=Ladder, reads=JUDGED, when=_climbs)
def are_no_5xx(trace: Ladder, terms: Terms) -> Verdicts:
    """A deep or large schema is not answered by 5xx."""
    for value, exchange in _above(trace, terms, Outcome.FAILED):
        yield at_status(exchange, f"a 4xx that refuses {value} along {trace.axis}, or a completion")
    known = (Outcome.TAKEN, Outcome.REFUSED)
    if not any(what in known and value > PLAIN for value, _, what in rungs(trace, terms.dialect)):
        yield _NO_CAP


def _moment(exchange: Exchange) -> float:
    return exchange.started or 0.0


def _plain(trace: Ladder, terms: Terms) -> list[tuple[Exchange, Outcome]]:
    """The plain requests in the order of sending."""
    found = [(exchange, what) for value, exchange, what in rungs(trace, terms.dialect) if value == PLAIN]
    return sorted(found, key=lambda item: _moment(item[0]))


def _between(exchange: Exchange, plain: list[tuple[Exchange, Outcome]]) -> bool:
    """A plain request succeeded before it and after it."""
    moments = [_moment(item) for item, what in plain if what is Outcome.TAKEN]
    return bool(moments) and min(moments) < _moment(exchange) < max(moments)


def _twice(exchange: Exchange, trace: Ladder, value: int) -> bool:
    """It is the second attempt, or another one at the same rung failed as well."""
    same = [item for rung, item in zip(trace.values, trace.exchanges, strict=True) if rung == value]
    return exchange.retry_of is not None or len(same) > 1


@rule("structured_output.limits.get_an_answer", on=Ladder, reads=_TIMED, when=_climbs, broken=True)
def get_an_answer(trace: Ladder, terms: Terms) -> Verdicts:
    """A deep or large schema gets an answer: no dropped connection, no silence."""
    plain = _plain(trace, terms)
    for value, exchange in _above(trace, terms, Outcome.SILENT):
        if _between(exchange, plain) and _twice(exchange, trace, value):
            observed = f"{exchange.end.value} at {value} along {trace.axis}, twice; plain requests succeed"
            yield Finding(exchange.id, Part.STATUS, "an answer: a refusal or a completion", observed)
            return
        yield Vacuous(Reason.TRANSPORT, "an answer did not come through")
    known = (Outcome.TAKEN, Outcome.REFUSED, Outcome.FAILED)
    if not any(what in known and value > PLAIN for value, _, what in rungs(trace, terms.dialect)):
        yield _NO_CAP


@rule("structured_output.limits.next_request_works", on=Ladder, reads=_TIMED, when=_climbs, broken=True)
def next_request_works(trace: Ladder, terms: Terms) -> Verdicts:
    """After a deep or large schema the next plain request works as before."""
    plain = _plain(trace, terms)
    schemas = [_moment(item) for value, item in zip(trace.values, trace.exchanges, strict=True) if value > PLAIN]
    after = [item for item in plain if any(moment < _moment(item[0]) for moment in schemas)]
    for exchange, what in after:
        if what is Outcome.FAILED and _between(exchange, plain):
            yield at_status(exchange, "a completion, as before and later: the request is plain")
        elif what is Outcome.SILENT and exchange.retry_of is not None and _between(exchange, plain):
            expected = "an answer, as before and later: the request is plain"
            yield Finding(exchange.id, Part.STATUS, expected, f"{exchange.end.value}, twice")
        elif what is not Outcome.TAKEN:
            yield Vacuous(Reason.TRANSPORT, f"a plain request: {what.value}")
    if not after or plain[0][1] is not Outcome.TAKEN:
        yield Vacuous(Reason.NO_CONTROL, "no plain request before and after")


def _pair(trace: Contrast) -> tuple[Measures, Measures] | None:
    control, variant = measures_of(trace.control), measures_of(trace.variant)
    if control is None or variant is None or control.refers or not variant.refers:
        return None
    return control, variant


def _resets(trace: Contrast, terms: Terms) -> tuple[Measures, Measures] | None:
    """Measures of a schema and of one with references, where the dialect counts anew at each."""
    return _pair(trace) if terms.dialect.convention("schema.depth_resets_at_ref") else None


def _shallower(trace: Contrast, terms: Terms) -> bool:
    found = _resets(trace, terms)
    return found is not None and found[1].levels.most <= found[0].levels.least


@rule("structured_output.limits.ref_resets_depth", on=Contrast, reads=JUDGED, when=_shallower)
def ref_resets_depth(trace: Contrast, terms: Terms) -> Verdicts:
    """A schema whose definitions each nest less than one that was taken is not too deep."""
    if outcome(trace.control, terms.dialect) is not Outcome.TAKEN:
        yield Vacuous(Reason.NO_CONTROL, "the schema without references was not taken")
        return
    what = outcome(trace.variant, terms.dialect)
    if what is Outcome.REFUSED and code_is(trace.variant, terms, TOO_DEEP):
        code = show(error_object(trace.variant).get("code"))
        yield at_body(trace.variant, "/error/code", "a completion: each $ref counts anew", code)
    elif what is not Outcome.TAKEN:
        yield not_shown(what)


def _as_deep(trace: Contrast, terms: Terms) -> bool:
    found = _resets(trace, terms)
    return (
        found is not None
        and found[1].levels.least >= found[0].levels.least
        and found[1].levels.most >= found[0].levels.most
    )


@rule("structured_output.limits.definitions_are_capped", on=Contrast, reads=JUDGED, when=_as_deep)
def definitions_are_capped(trace: Contrast, terms: Terms) -> Verdicts:
    """A definition that nests as deep as a schema that was too deep is refused."""
    if outcome(trace.control, terms.dialect) is not Outcome.REFUSED or not code_is(trace.control, terms, TOO_DEEP):
        yield Vacuous(Reason.NO_CONTROL, "the schema without references was not too deep")
        return
    yield from must_refuse(trace.variant, "400: one of its definitions is as deep as a schema that was too deep")
