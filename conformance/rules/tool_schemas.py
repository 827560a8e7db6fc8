"""Which schemas of parameters have to be taken: plain JSON Schema, written with the words that everybody uses."""

from __future__ import annotations

import re

from conformance.rules.base import Terms, Verdicts, rule
from conformance.rules.calls import chat_of, has_tools
from conformance.rules.refusals import must_accept
from conformance.rules.schema_check import subschemas, usable
from conformance.rules.tool_entries import functions
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json
from conformance.wire.traces import Single

_TYPES = frozenset({"string", "number", "integer", "boolean", "null", "object", "array"})
_PLAIN = frozenset({"type", "properties", "required", "additionalProperties", "items", "enum", "description", "title"})
_RICH = frozenset(
    {"anyOf", "const", "$defs", "$ref", "format", "pattern", "minimum", "maximum", "minItems", "maxItems"}
    | {"minLength", "maxLength", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
"""What goes beyond the plainest schemas, and is in the JSON Schema of every tool that a library generates."""
_FORMATS = frozenset({"date", "date-time", "time", "email", "uuid", "ipv4", "ipv6", "hostname"})
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_DEEPEST = 5
"""Objects and arrays inside each other."""
_WORDS = ("parameters", "schema", "anyof", "$ref", "$defs", "pattern", "nullable")
"""What a refusal of a schema says."""


def _is_usual(schema: Json) -> bool:
    """An object schema of known words only, none of them at a place or in a form that servers disagree on."""
    if not isinstance(schema, dict) or schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        return False
    if {"anyOf", "$ref", "enum", "const"} & schema.keys() or usable(schema) is not True:
        return False
    return all(pointer.count("/") <= 2 * _DEEPEST and _is_usual_part(part) for pointer, part in subschemas(schema))


def _is_usual_part(part: dict[str, Json]) -> bool:
    kind, pattern = part.get("type"), part.get("pattern", "")
    return (
        part.keys() <= _PLAIN | _RICH
        and (isinstance(kind, str) or {"anyOf", "$ref", "enum", "const"} & part.keys() != set())
        and (kind is None or kind in _TYPES)
        and (kind != "array" or isinstance(part.get("items"), dict))
        and part.get("format", "date") in _FORMATS
        and isinstance(pattern, str)
        and not any(mark in pattern for mark in ("(?", "\\p", "\\b", "\\1"))
        and isinstance(part.get("$ref", "#/$defs/"), str)
        and part.get("$ref", "#/$defs/").startswith("#/$defs/")
        and all(_NAME.fullmatch(name) for name in part.get("properties", {}))
    )


def _is_rich(schema: Json) -> bool:
    return any(_RICH & part.keys() for _, part in subschemas(schema))


def declares_usual_schemas(exchange: Exchange) -> bool:
    """All tools are well formed and not strict, their schemas are usual ones, and one goes beyond the plainest."""
    found = list(functions(exchange))
    schemas = [function["parameters"] for function in found if "parameters" in function]
    return (
        has_tools(chat_of(exchange))
        and not any(function.get("strict") for function in found)
        and all(map(_is_usual, schemas))
        and any(map(_is_rich, schemas))
    )


@rule(
    "tools.parameters.json_schema_is_accepted",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS, Facet.BODY),
    when=lambda trace, terms: declares_usual_schemas(trace.exchange),
)
def json_schema_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """A function's parameters may be any JSON Schema of an object that is written with the usual keywords."""
    yield from must_accept(trace.exchange, terms, _WORDS, "2xx: the parameters are a JSON Schema of an object")
