"""The documented limits of schemas, judged only where all ways of counting agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from conformance.rules.base import Terms, Verdicts, at_status, rule
from conformance.rules.refusals import error_object, must_refuse
from conformance.rules.schema_refusals import JUDGED, not_shown
from conformance.rules.schema_size import Measures, declared, measures_of
from conformance.wire.rungs import Outcome, outcome
from conformance.wire.traces import Single

_ABOUT_SIZE = re.compile(r"nest|levels?\b|depth|deep|too (?:large|long|many|big)|at most|exceed|maximum|limit", re.I)


def _against_limits(measures: Measures, terms: Terms) -> Iterator[tuple[str, int, int, int]]:
    """Name, least, most and limit of each documented measure of a schema."""
    limit = terms.dialect.limit
    for name, found in (
        ("max_depth", measures.levels),
        ("max_characters", measures.characters),
        ("max_enum_values", measures.enum_values),
    ):
        if (most := limit(f"json_schema.{name}")) is not None:
            yield name, found.least, found.most, most
    if (most := limit("json_schema.max_properties")) is not None:
        yield "max_properties", measures.properties, measures.properties, most
    if (most := limit("json_schema.large_enum_characters")) is not None:
        for values, characters in measures.large_enums:
            if values > limit("json_schema.large_enum"):
                yield "large_enum_characters", characters.least, characters.most, most


def _strict_measures(trace: Single, terms: Terms) -> Measures | None:
    """The measures of a strict schema without references, where the dialect documents limits."""
    if terms.dialect.limit("json_schema.max_depth") is None:
        return None
    if (declared(trace.exchange) or {}).get("strict") is not True:
        return None
    found = measures_of(trace.exchange)
    return None if found is None or found.refers else found


def _within(trace: Single, terms: Terms) -> bool:
    """Within every limit by every way of counting, and in the last fifth of one."""
    found = _strict_measures(trace, terms)
    if found is None or not found.plain:
        return False
    every = list(_against_limits(found, terms))
    return all(most <= limit for _, _, most, limit in every) and any(5 * m >= 4 * limit for _, _, m, limit in every)


@rule("structured_output.limits.documented_sizes_are_taken", on=Single, reads=JUDGED, when=_within)
def documented_sizes_are_taken(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema within the documented limits is not refused for its size."""
    what = outcome(trace.exchange, terms.dialect)
    message = str(error_object(trace.exchange).get("message", ""))
    if what is Outcome.REFUSED and _ABOUT_SIZE.search(message):
        observed = f"status {trace.exchange.status}: {message[:120]}"
        yield replace(at_status(trace.exchange, "a completion: the schema is within each limit"), observed=observed)
    elif what is not Outcome.TAKEN:
        yield not_shown(what)


def _over(trace: Single, terms: Terms) -> bool:
    found = _strict_measures(trace, terms)
    return found is not None and any(least > limit for _, least, _, limit in _against_limits(found, terms))


@rule("structured_output.limits.documented_limits_are_enforced", on=Single, reads=JUDGED, when=_over)
def documented_limits_are_enforced(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema over a documented limit is refused."""
    found = _strict_measures(trace, terms)
    over = [name for name, least, _, limit in _against_limits(found, terms) if least > limit] if found else []
    if outcome(trace.exchange, terms.dialect) is Outcome.FAILED:
        yield not_shown(Outcome.FAILED)
        return
    words = ", ".join(name.replace("_", " ") for name in dict.fromkeys(over))
    yield from must_refuse(trace.exchange, f"400: the schema is over a documented limit ({words})")
