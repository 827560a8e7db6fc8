"""The words of the error envelope: that codes, types and params say what they are documented to say."""

from __future__ import annotations

import re
from types import NoneType

from conformance.rules.base import NOT_APPLICABLE, Reason, Terms, Vacuous, Verdicts, at_body, at_status, rule
from conformance.rules.checks import NOT_ABOUT_THE_BODY, lone
from conformance.rules.conditions import is_error
from conformance.rules.refusals import error_object, not_offered
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.refusal import top_field
from conformance.wire.strict_json import Json, show
from conformance.wire.traces import Single

_BODY = (Facet.STATUS, Facet.BODY)


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and bool(value.strip())


@rule(
    "errors.code.is_no_status",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: isinstance(error_object(trace.exchange).get("code"), str) and is_error(trace.exchange),
)
def code_is_no_status(trace: Single, terms: Terms) -> Verdicts:
    """The code is no status spelled in digits."""
    code = error_object(trace.exchange)["code"]
    if re.fullmatch(r"[1-5][0-9]{2}", code):
        yield at_body(trace.exchange, "/error/code", "a word", show(code))


@rule(
    "errors.code.is_no_type",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: is_error(trace.exchange) and _is_text(error_object(trace.exchange).get("code")),
)
def code_is_no_type(trace: Single, terms: Terms) -> Verdicts:
    """The code is neither the error's own type again, nor the general type of bad requests."""
    error = error_object(trace.exchange)
    if _is_a_type(error["code"], error, terms):
        yield at_body(trace.exchange, "/error/code", "a code, or null", f"the type {show(error['code'])}")


def _is_a_type(code: Json, error: dict[str, Json], terms: Terms) -> bool:
    """A word for types that the dialect does not have for codes as well."""
    shared = {known for form in terms.dialect.errors.values() for known in form.codes}
    return code not in shared and code in (error.get("type"), *terms.dialect.error("invalid_request").types)


def _documented_statuses(exchange: Exchange, terms: Terms) -> frozenset[int]:
    """All statuses with which the dialect documents the answer's code."""
    code = error_object(exchange).get("code")
    if not isinstance(code, str):
        return frozenset()
    forms = [form for form in terms.dialect.errors.values() if code in form.codes]
    return frozenset(status for form in forms for status in form.statuses)


def _has_documented_code(trace: Single, terms: Terms) -> bool:
    return is_error(trace.exchange) and bool(_documented_statuses(trace.exchange, terms))


def _status_of_code(trace: Single, terms: Terms) -> Verdicts:
    exchange, statuses = trace.exchange, _documented_statuses(trace.exchange, terms)
    # A 422 for a bad request, and a 4xx/5xx for a fault of the request, are judged by rules of their own.
    if exchange.status not in statuses and not (exchange.status == 422 and 400 in statuses):
        known = " or ".join(map(str, sorted(statuses)))
        yield at_status(exchange, f"status {known} with the code {show(error_object(exchange).get('code'))}")


@rule("errors.code.fits_status", on=Single, reads=_BODY, when=_has_documented_code)
def code_fits_status(trace: Single, terms: Terms) -> Verdicts:
    """A documented code has its documented status."""
    yield from _status_of_code(trace, terms)


@rule("errors.code.keeps_its_status", on=Single, reads=_BODY, when=_has_documented_code)
def code_keeps_its_status(trace: Single, terms: Terms) -> Verdicts:
    """A code that clients switch on has its documented status."""
    yield from _status_of_code(trace, terms)


def _refused_for_one_fault(trace: Single, terms: Terms) -> bool:
    status = trace.exchange.status or 0
    return (
        400 <= status < 500
        and status not in NOT_ABOUT_THE_BODY
        and bool(error_object(trace.exchange))
        and lone(trace.exchange, terms) is not None
    )


_ALSO: dict[str, tuple[str, ...]] = {
    "decimal_above_max": ("integer_above_max",),
    "decimal_below_min": ("integer_below_min",),
    "invalid_type": ("missing_parameter",),
    "string_too_short": ("missing_parameter",),
    "array_too_short": ("missing_parameter",),
}
"""What one fault may as well be called: null and the empty value are missing, and a bias may be seen as an integer."""


def _code_of_fault(trace: Single, terms: Terms) -> Verdicts:
    blemish = lone(trace.exchange, terms)
    error = error_object(trace.exchange)
    kinds = (blemish.kind, *_ALSO.get(blemish.kind, ())) if blemish is not None else ()
    codes = tuple(dict.fromkeys(code for name in kinds for code in terms.dialect.error(name).codes))
    # An absent code, and one that is no string, are findings of other rules.
    if blemish is None or not codes or not isinstance(error.get("code", 0), (str, NoneType)):
        yield NOT_APPLICABLE
    elif error["code"] is not None and error["code"] not in codes:
        expected = f"the code for {blemish.kind.replace('_', ' ')}: {' or '.join(show(code) for code in codes)}"
        yield at_body(trace.exchange, "/error/code", expected, show(error["code"], 80))


_FAULT = (Facet.REQUEST, Facet.STATUS, Facet.BODY)


@rule("errors.code.names_the_fault", on=Single, reads=_FAULT, when=_refused_for_one_fault)
def code_names_the_fault(trace: Single, terms: Terms) -> Verdicts:
    """The code is one of those that are known for the request's one fault, or null."""
    blemish, error = lone(trace.exchange, terms), error_object(trace.exchange)
    code = error.get("code")
    # Which of the general codes is used for what was never documented; a code that is no text, or a type, is another's.
    general = ("invalid_value", "invalid_type", "unsupported_value", "unsupported_parameter")
    if code is not None and (not isinstance(code, str) or _is_a_type(code, error, terms)):
        yield NOT_APPLICABLE
    elif blemish is not None and code not in general:
        yield from _code_of_fault(trace, terms)


@rule("errors.code.names_the_field_fault", on=Single, reads=_FAULT, when=_refused_for_one_fault)
def code_names_the_field_fault(trace: Single, terms: Terms) -> Verdicts:
    """The code tells a missing, a malformed and an out-of-range field apart."""
    yield from _code_of_fault(trace, terms)


@rule("errors.code.is_invalid_request", on=Single, reads=_FAULT, when=_refused_for_one_fault)
def code_is_invalid_request(trace: Single, terms: Terms) -> Verdicts:
    """The code for any bad parameter is the one for bad requests."""
    yield from _code_of_fault(trace, terms)


def _is_of_another(param: str, field: str) -> bool:
    return not param.startswith("body") and top_field(param) != field


@rule("errors.param.names_the_parameter", on=Single, reads=_FAULT, when=_refused_for_one_fault)
def param_names_the_parameter(trace: Single, terms: Terms) -> Verdicts:
    """The param of a refusal names the one field that is wrong, or a place in it; a missing key is another rule's.

    What blames a model that the request names as it should is about what this model offers, not about the fault, and
    so is the refusal of another field as such.
    """
    blemish = lone(trace.exchange, terms)
    error = error_object(trace.exchange)
    param = error.get("param")
    if blemish is None or "param" not in error or (param is not None and not isinstance(param, str)):
        yield NOT_APPLICABLE
    elif param == "model" != blemish.field:
        yield Vacuous(Reason.NO_CONTROL, "the model may not offer what else is asked for")
    elif isinstance(param, str) and _is_of_another(param, blemish.field) and not_offered(trace.exchange, terms):
        yield Vacuous(Reason.REFUSED, f"{param} is not offered")
    elif param is None or param.startswith("body") or top_field(param) != blemish.field:
        yield at_body(trace.exchange, "/error/param", f"{blemish.field}, or a place in it", show(param, 80))


@rule(
    "errors.type.is_known",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: is_error(trace.exchange) and _is_text(error_object(trace.exchange).get("type")),
)
def type_is_known(trace: Single, terms: Terms) -> Verdicts:
    """The type is one of the dialect's words."""
    found, words = error_object(trace.exchange)["type"], terms.dialect.words("error.type")
    if not words or found in ("None", "null"):
        yield NOT_APPLICABLE
    elif found not in words:
        yield at_body(trace.exchange, "/error/type", f"one of {', '.join(words)}", show(found, 80))


@rule(
    "errors.type.fits_status",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: (
        is_error(trace.exchange) and error_object(trace.exchange).get("type") in terms.dialect.words("error.type")
    ),
)
def type_fits_status(trace: Single, terms: Terms) -> Verdicts:
    """The type is the one of the status's class."""
    status = trace.exchange.status or 0
    known = terms.dialect.convention("error.type_of_status")
    expected = known.get(str(status)) if isinstance(known, dict) else None
    if expected is None:
        yield NOT_APPLICABLE
    elif error_object(trace.exchange)["type"] != expected:
        found = show(error_object(trace.exchange)["type"])
        yield at_body(trace.exchange, "/error/type", f"{expected}, as the status is {status}", found)
