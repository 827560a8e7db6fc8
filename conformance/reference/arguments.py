"""An instance of a JSON Schema, as a constrained decoder would make it: deterministic, short, and valid.

Constructive: each keyword narrows what is made. Where keywords interact (not, if, oneOf, contains …) candidates are
tried and checked by a validator. Values come in schema order, as structured outputs promise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema_rs

from conformance.reference import patterns
from conformance.reference.narrowing import merged, number_within, types
from conformance.reference.schemas import resolve
from conformance.wire.strict_json import Json, is_integer, is_number

_BUDGET = 20_000
"""Subschemas that one attempt looks at: a schema of references may describe a value without end."""
_MOST_ITEMS = 5000
_DEEPEST = 80
_DEEP = 4
"""From this depth on only what must be there is made."""
_TRIES = 24
_HARD = (
    "allOf",
    "not",
    "oneOf",
    "if",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "propertyNames",
    "pattern",
    "patternProperties",
    "uniqueItems",
    "unevaluatedProperties",
    "minProperties",
    "multipleOf",
    "format",
)
_FORMATS = {
    "date-time": "2025-06-0{}T12:00:00Z",
    "date": "2025-06-0{}",
    "time": "12:00:0{}Z",
    "duration": "P{}D",
    "email": "someone{}@example.org",
    "idn-email": "someone{}@example.org",
    "hostname": "host{}.example.org",
    "idn-hostname": "host{}.example.org",
    "ipv4": "192.0.2.{}",
    "ipv6": "2001:db8::{}",
    "uuid": "7d444840-9dc0-41d1-b245-5ffdce74fad{}",
    "uri": "https://example.org/{}",
    "iri": "https://example.org/{}",
    "uri-reference": "/{}",
    "iri-reference": "/{}",
    "json-pointer": "/{}",
    "relative-json-pointer": "{}",
    "regex": "a{}",
}
_FREE_TEXT = 'an "example" value\n'
"""Holds characters that JSON escapes, so that argument fragments are cut inside escapes."""


def instance(schema: Json, hint: str | None = None) -> Json:
    """A value that satisfies the schema, as far as one is found; `hint` goes into the first free text in it."""
    maker = _Maker(schema, hint)
    first = maker.make(schema, 0, 0)
    validator = _validator(_key(schema)) if _is_hard(_key(schema)) else None
    if validator is None or validator.is_valid(first):
        return first
    for attempt in range(1, _TRIES):
        candidate = _Maker(schema, hint, attempt).make(schema, 0, attempt // 3)
        if validator.is_valid(candidate):
            return candidate
    return first


def _key(schema: Json) -> str:
    try:
        return json.dumps(schema)
    except (RecursionError, ValueError):
        return "true"


@lru_cache(maxsize=512)
def _is_hard(key: str) -> bool:
    return any(f'"{word}"' in key for word in _HARD)


@lru_cache(maxsize=512)
def _validator(key: str) -> Any:
    try:
        return jsonschema_rs.validator_for(json.loads(key), validate_formats=True)
    except (ValueError, jsonschema_rs.ValidationError, RecursionError):
        return None


class _Maker:
    """One attempt: `salt` shifts every choice among alternatives."""

    def __init__(self, root: Json, hint: str | None, salt: int = 0) -> None:
        self.root, self.hint, self.salt = root, hint, salt
        self.left = _BUDGET

    def make(self, schema: Json, depth: int, variant: int) -> Json:
        """A value for a subschema; another `variant` gives another value where there is one."""
        self.left -= 1
        if not isinstance(schema, dict) or self.left < 0 or depth > _DEEPEST:
            return self.text({}, variant)
        schema = self.flat(schema, depth, variant)
        if "const" in schema:
            return schema["const"]
        options = schema.get("enum")
        if isinstance(options, list) and options:
            if self.hint in options:
                return self.hint
            return options[variant % len(options)]
        match self.kind(schema, depth, variant):
            case "object":
                return self.object(schema, depth, variant)
            case "array":
                return self.array(schema, depth, variant)
            case "integer":
                return self.number(schema, variant, whole=True)
            case "number":
                return self.number(schema, variant, whole=False)
            case "boolean":
                return variant % 2 == 0
            case "null":
                return None
            case _:
                return self.text(schema, variant)

    def flat(self, schema: dict[str, Json], depth: int, variant: int) -> dict[str, Json]:
        """The schema with references resolved and one alternative chosen."""
        for _ in range(64):
            if isinstance(schema.get("$ref"), str):
                target = resolve(self.root, schema["$ref"])
                rest = {word: value for word, value in schema.items() if word != "$ref"}
                schema = merged(rest, target)
                continue
            alternatives = schema.get("anyOf") or schema.get("oneOf")
            if isinstance(alternatives, list) and alternatives:
                rest = {word: value for word, value in schema.items() if word not in ("anyOf", "oneOf")}
                schema = merged(rest, self.alternative(alternatives, depth, variant))
                continue
            if isinstance(schema.get("allOf"), list):
                parts = schema["allOf"]
                schema = {word: value for word, value in schema.items() if word != "allOf"}
                for part in parts:
                    schema = merged(schema, part)
                continue
            condition = schema.get("if")
            if isinstance(condition, dict):
                rest = {word: value for word, value in schema.items() if word not in ("if", "then", "else")}
                taken = (self.salt + variant) % 2 == 0
                schema = (
                    merged(merged(rest, condition), schema.get("then")) if taken else merged(rest, schema.get("else"))
                )
                continue
            break
        return schema

    def alternative(self, alternatives: list[Json], depth: int, variant: int) -> Json:
        """The one to take: any while shallow, the one that ends soonest when deep."""
        if depth >= _DEEP:
            return min(alternatives, key=lambda item: self.height(item, frozenset()))
        return alternatives[(self.salt + variant) % len(alternatives)]

    def height(self, schema: Json, seen: frozenset[str]) -> float:
        """How deep the smallest instance nests; infinite where it never ends."""
        self.left -= 1
        if not isinstance(schema, dict) or "const" in schema or "enum" in schema or self.left < 0:
            return 0
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return math.inf if reference in seen else self.height(resolve(self.root, reference), seen | {reference})
        deepest: float = 0
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and schema[word]:
                deepest = max(deepest, min(self.height(item, seen) for item in schema[word]))
        for item in schema["allOf"] if isinstance(schema.get("allOf"), list) else ():
            deepest = max(deepest, self.height(item, seen))
        kinds = types(schema.get("type"))
        if kinds and not {"object", "array"} & set(kinds):
            return deepest
        if any(kind not in ("object", "array") for kind in kinds):
            return deepest
        properties = schema.get("properties")
        required = schema.get("required")
        for name in required if isinstance(required, list) else ():
            if isinstance(properties, dict) and isinstance(name, str) and name in properties:
                deepest = max(deepest, 1 + self.height(properties[name], seen))
        if is_number(schema.get("minItems")) and schema["minItems"] > 0:
            deepest = max(deepest, 1 + self.height(schema.get("items"), seen))
        return deepest

    def kind(self, schema: dict[str, Json], depth: int, variant: int) -> str:
        """The type to make."""
        declared = schema.get("type")
        if isinstance(declared, str):
            return declared
        if isinstance(declared, list) and declared:
            kinds = [kind for kind in declared if isinstance(kind, str)]
            if depth >= _DEEP:
                kinds.sort(key=lambda kind: kind in ("object", "array"))
            return kinds[(self.salt + variant) % len(kinds)] if kinds else "string"
        for word, kind in (
            ("properties", "object"),
            ("required", "object"),
            ("additionalProperties", "object"),
            ("minProperties", "object"),
            ("items", "array"),
            ("prefixItems", "array"),
            ("minItems", "array"),
            ("contains", "array"),
            ("minimum", "number"),
            ("maximum", "number"),
            ("multipleOf", "number"),
            ("exclusiveMinimum", "number"),
        ):
            if word in schema:
                return kind
        return "string"

    def object(self, schema: dict[str, Json], depth: int, variant: int) -> dict[str, Json]:
        """An object with every required property, and the optional ones while shallow."""
        found = schema.get("properties")
        properties: dict[str, Json] = found if isinstance(found, dict) else {}
        names = schema.get("required")
        required = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        made: dict[str, Json] = {}
        for name, inner in properties.items():
            optional = name not in required
            if inner is False or (optional and (depth >= _DEEP - 1 or self.height(inner, frozenset()) == math.inf)):
                continue
            if optional and self.salt > 2 and (self.salt + len(made)) % 2:
                continue
            made[name] = self.make(inner, depth + 1, variant)
        additional = schema.get("additionalProperties", True)
        for name in required:
            if name not in made:
                made[name] = self.make(additional, depth + 1, variant)
        least = schema.get("minProperties")
        for position in range(min(least, 64) if is_integer(least) else 0):
            if len(made) >= (least if is_integer(least) else 0):
                break
            name, inner = self.spare(schema, position)
            made[name] = self.make(additional if inner is None else inner, depth + 1, position)
        return made

    def spare(self, schema: dict[str, Json], position: int) -> tuple[str, Json]:
        """A name for a further property, and the schema that goes with names of its pattern, if any."""
        rule, by_pattern = schema.get("propertyNames"), schema.get("patternProperties")
        source: Json = rule.get("pattern") if isinstance(rule, dict) else None
        inner: Json = None
        if source is None and isinstance(by_pattern, dict) and by_pattern:
            source, inner = next(iter(by_pattern.items()))
        made = patterns.sample(source, position) if isinstance(source, str) else None
        return (f"extra_{position}", None) if made is None else (made, inner)

    def array(self, schema: dict[str, Json], depth: int, variant: int) -> list[Json]:
        """An array: one item while shallow, else as few as are allowed."""
        low = schema["minItems"] if is_integer(schema.get("minItems")) else 0
        high = schema["maxItems"] if is_integer(schema.get("maxItems")) else max(low, 1)
        prefix = schema["prefixItems"] if isinstance(schema.get("prefixItems"), list) else []
        items = schema.get("items", True)
        length = (
            low
            if depth >= _DEEP or (items is not False and self.height(items, frozenset()) == math.inf)
            else max(low, min(high, max(1, len(prefix))))
        )
        if items is False:
            length = min(length, len(prefix))
        made = [self.make(inner, depth + 1, variant) for inner in prefix[:length]]
        contains = schema.get("contains")
        if isinstance(contains, dict) and len(made) < max(high, 1):
            least = schema.get("minContains")
            made += [
                self.make(contains, depth + 1, variant + turn)
                for turn in range(min(least, _MOST_ITEMS) if is_integer(least) else 1)
            ]
        unique = schema.get("uniqueItems") is True
        for position in range(len(made), min(length, _MOST_ITEMS)):
            made.append(
                self.fresh(items, depth, variant + position, made) if unique else self.make(items, depth + 1, variant)
            )
        return made

    def fresh(self, items: Json, depth: int, variant: int, made: list[Json]) -> Json:
        """An item that is not among those made."""
        candidate = None
        for shift in range(_TRIES):
            candidate = self.make(items, depth + 1, variant + shift)
            if not any(candidate == item for item in made):
                break
        return candidate

    def number(self, schema: dict[str, Json], variant: int, *, whole: bool) -> Json:
        """A number within the bounds; 0 where they are beyond arithmetic."""
        try:
            return number_within(schema, variant, whole=whole)
        except (OverflowError, ValueError, ZeroDivisionError):
            return 0

    def text(self, schema: dict[str, Json], variant: int) -> str:
        """A string within its length, pattern and format."""
        low = schema["minLength"] if is_integer(schema.get("minLength")) else 0
        high = schema["maxLength"] if is_integer(schema.get("maxLength")) else 1 << 20
        if isinstance(schema.get("pattern"), str):
            return self.matching(schema["pattern"], low, high, variant)
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form].format(1 + variant % 9)
        if self.hint is not None and low <= len(self.hint) <= high:
            hint, self.hint = self.hint, None
            return hint
        made = _FREE_TEXT.strip() if variant == 0 else f"{_FREE_TEXT.strip()} {variant}"
        return (made + "x" * (min(low, 1 << 20) - len(made)))[-high:] if high else ""

    def matching(self, pattern: str, low: int, high: int, variant: int) -> str:
        """A string that the pattern finds something in."""
        for candidate in self.samples(pattern, variant, low):
            if low <= len(candidate) <= high:
                return candidate
        return patterns.sample(pattern) or ""

    def samples(self, pattern: str, variant: int, low: int) -> Iterator[str]:
        """Texts for the pattern, longer and longer; padded where it is open at the end."""
        test = patterns.compiled(pattern)
        for extra in (variant, *range(_TRIES), 32, 64, 128, 256, low):
            made = patterns.sample(pattern, extra)
            if made is None or test is None or not test.search(made):
                continue
            yield made
            for filler in ("x", "0"):
                padded = made + filler * (low - len(made))
                if len(padded) > len(made) and test.search(padded):
                    yield padded
