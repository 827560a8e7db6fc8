"""Words that rules about the size of schemas share: which of the two caps a refusal names, and what says nothing."""

from __future__ import annotations

from conformance.rules.base import Reason, Terms, Vacuous
from conformance.rules.refusals import error_object
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.rungs import Outcome, has_code

JUDGED = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
TOO_DEEP, TOO_LARGE = "schema_too_deep", "schema_too_large"
"""The kinds of error in a dialect."""


def not_shown(what: Outcome) -> Vacuous:
    """Why something that was not taken says nothing of its size."""
    reasons = {Outcome.REFUSED: Reason.REFUSED, Outcome.FAILED: Reason.TRANSPORT, Outcome.SILENT: Reason.TRANSPORT}
    return Vacuous(reasons.get(what, Reason.NO_CONTROL), what.value)


def code_is(exchange: Exchange, terms: Terms, kind: str) -> bool:
    """The error has a code that the dialect documents for this kind alone."""
    return has_code(error_object(exchange), terms.dialect, kind)
