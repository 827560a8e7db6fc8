"""Parameters of tools: which schemas are refused, what strict mode asks of them, and what it promises in return."""

from __future__ import annotations

from collections.abc import Callable

from conformance.rules.base import NOT_APPLICABLE, Reason, Terms, Vacuous, Verdicts, rule
from conformance.rules.calls import at_call, called, chat_of, choices_of, takes_nothing, without_arguments
from conformance.rules.refusals import must_accept, must_refuse
from conformance.rules.schema_check import (
    complaint,
    contradicts_itself,
    keywords_among,
    open_objects,
    optional_properties,
    usable,
    valid,
)
from conformance.rules.tool_entries import Condition, functions, some_function, sound
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, show
from conformance.wire.traces import Single

_ASKED = (Facet.REQUEST, Facet.STATUS)
_JUDGED = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
_SCHEMA_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_HARD_WHEN_STRICT = frozenset(
    {"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"}
)
"""Keywords that an endpoint may refuse in strict schemas in one dialect or another: such schemas prove nothing here."""


@rule(
    "tools.parameters.are_optional",
    on=Single,
    reads=_JUDGED,
    when=lambda trace, terms: (
        sound(lambda function: "parameters" not in function)(trace, terms)
        and not any(function.get("strict") is True for function in functions(trace.exchange))
    ),
)
def parameters_are_optional(trace: Single, terms: Terms) -> Verdicts:
    """A function without parameters is taken."""
    yield from must_accept(trace.exchange, terms, ("parameters",), "2xx: the parameters are optional")


@rule(
    "tools.parameters.omitted_give_an_empty_object",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    when=lambda trace, terms: (
        called(trace.exchange)
        and trace.exchange.assembly is None
        and any(
            takes_nothing(chat_of(trace.exchange), call.name) for c in choices_of(trace.exchange) for call in c.calls
        )
    ),
)
def omitted_parameters_give_an_empty_object(trace: Single, terms: Terms) -> Verdicts:
    """A call of a function without parameters carries an empty object, not nothing."""
    exchange, chat = trace.exchange, chat_of(trace.exchange)
    for choice in choices_of(exchange):
        for call in choice.calls:
            if not takes_nothing(chat, call.name):
                continue
            if choice.cut:
                yield Vacuous(Reason.CUT_BY_LIMIT)
            elif without_arguments(call):
                yield at_call(exchange, call, 'arguments "{}"', show(call.arguments))


def _parameters(function: dict[str, Json]) -> Json:
    return function.get("parameters")


@rule(
    "tools.parameters.non_object_is_refused",
    on=Single,
    reads=_ASKED,
    when=some_function(
        lambda function: _parameters(function) is not None and not isinstance(_parameters(function), dict)
    ),
)
def non_object_parameters_are_refused(trace: Single, terms: Terms) -> Verdicts:
    """A function's parameters that are no object are refused."""
    yield from must_refuse(trace.exchange, "400: parameters is a JSON Schema object")


@rule(
    "tools.parameters.other_root_is_refused",
    on=Single,
    reads=_ASKED,
    when=some_function(
        lambda function: (
            isinstance(_parameters(function), dict)
            and isinstance(function["parameters"].get("type"), str)
            and function["parameters"]["type"] in _SCHEMA_TYPES - {"object"}
        )
    ),
)
def other_root_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """Parameters whose root describes something else than an object are refused."""
    yield from must_refuse(trace.exchange, '400: the parameters\' root has the type "object"')


def _is_no_schema(function: dict[str, Json]) -> bool:
    return isinstance(_parameters(function), dict) and usable(function["parameters"]) is False


@rule("tools.parameters.invalid_schema_is_refused", on=Single, reads=_ASKED, when=some_function(_is_no_schema))
def invalid_schema_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """Parameters that are no JSON Schema are refused."""
    yield from must_refuse(trace.exchange, "400: the parameters are no JSON Schema")


def _is_closed(function: dict[str, Json]) -> bool:
    """A schema of properties that are all required, in closed objects, with nothing that strict mode may not know."""
    schema = _parameters(function)
    return isinstance(schema, dict) and not (
        open_objects(schema) or optional_properties(schema) or keywords_among(schema, _HARD_WHEN_STRICT)
    )


def _is_acceptable(function: dict[str, Json]) -> bool:
    """Strict is absent, null or false, or it is true and the schema is one that strict mode takes anywhere."""
    strict = function.get("strict")
    return strict is None or strict is False or (strict is True and _is_closed(function))


@rule(
    "tools.strict.booleans_are_accepted",
    on=Single,
    reads=_JUDGED,
    when=lambda trace, terms: (
        sound(lambda function: "strict" in function)(trace, terms)
        and all(map(_is_acceptable, functions(trace.exchange)))
    ),
)
def strict_booleans_are_accepted(trace: Single, terms: Terms) -> Verdicts:
    """A function's strict may be true, false or null."""
    yield from must_accept(trace.exchange, terms, ("strict",), "2xx: strict is true, false or null")


@rule(
    "tools.strict.non_boolean_is_refused",
    on=Single,
    reads=_ASKED,
    when=some_function(
        lambda function: function.get("strict") is not None and not isinstance(function["strict"], bool)
    ),
)
def strict_non_boolean_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A function's strict that is no boolean is refused."""
    yield from must_refuse(trace.exchange, "400: strict is a boolean")


Objections = Callable[[Json, Terms], list[str]]


def _objections(exchange: Exchange, terms: Terms, test: Objections) -> list[str]:
    """Places in schemas of strict functions at which the test objects; schemas that are none are left out."""
    return [
        place
        for function in functions(exchange)
        if function.get("strict") is True and isinstance(_parameters(function), dict)
        if usable(function["parameters"]) is not False
        for place in test(function["parameters"], terms)
    ]


def _must_object(test: Objections) -> Condition:
    return lambda trace, terms: bool(_objections(trace.exchange, terms, test))


def _open(schema: Json, terms: Terms) -> list[str]:
    return open_objects(schema)


def _optional(schema: Json, terms: Terms) -> list[str]:
    return optional_properties(schema)


def _unsupported(schema: Json, terms: Terms) -> list[str]:
    return keywords_among(schema, frozenset(terms.dialect.words("strict.unsupported")))


@rule("tools.strict.open_object_is_refused", on=Single, reads=_ASKED, when=_must_object(_open))
def open_object_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema with an object that lacks `additionalProperties: false` is refused."""
    place = _objections(trace.exchange, terms, _open)[0] or "the root"
    yield from must_refuse(trace.exchange, f"400: additionalProperties is false everywhere; not at {place}")


@rule("tools.strict.optional_property_is_refused", on=Single, reads=_ASKED, when=_must_object(_optional))
def optional_property_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema with a property that is not required is refused."""
    place = _objections(trace.exchange, terms, _optional)[0]
    yield from must_refuse(trace.exchange, f"400: every property is required; not so {place}")


@rule("tools.strict.unsupported_keyword_is_refused", on=Single, reads=_ASKED, when=_must_object(_unsupported))
def unsupported_keyword_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema with a keyword that strict mode does not support is refused."""
    place = _objections(trace.exchange, terms, _unsupported)[0]
    yield from must_refuse(trace.exchange, f"400: {place} is not supported by strict mode")


@rule(
    "tools.strict.arguments_satisfy_the_schema",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    when=lambda trace, terms: (
        called(trace.exchange)
        and any(tool.strict and tool.parameters is not None for tool in chat_of(trace.exchange).tools)
    ),
)
def strict_arguments_satisfy_the_schema(trace: Single, terms: Terms) -> Verdicts:
    """The arguments of a strict function satisfy its schema."""
    exchange, chat, judged = trace.exchange, chat_of(trace.exchange), False
    for choice in choices_of(exchange):
        if choice.cut or not isinstance(choice.finish_reason, str):
            if choice.calls:
                yield Vacuous(Reason.CUT_BY_LIMIT)
            continue
        for call in choice.calls:
            tool, document = chat.tool(call.name), call.parsed
            if tool is None or not tool.strict or tool.parameters is None or not isinstance(document.value, dict):
                continue
            if contradicts_itself(tool.parameters):
                continue
            fits = valid(tool.parameters, document.value)
            judged = judged or fits is not None
            if fits is False:
                why = complaint(tool.parameters, document.value)
                yield at_call(exchange, call, "arguments that satisfy the strict schema", why)
    if not judged:
        yield NOT_APPLICABLE
