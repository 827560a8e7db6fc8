"""What can be said of a JSON Schema without an instance: is it one, does it keep to the strict subset, how big is it.

Iterative throughout: a schema nested a thousand levels deep is measured, not stumbled over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.wire.strict_json import Json, escape_pointer, is_number

NESTING = 64
"""The cap on levels of JSON in the parameters of a tool, counted anew from each definition."""
TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_ONES = (
    "items",
    "additionalProperties",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "additionalItems",
)
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
)


@dataclass(frozen=True)
class Caps:
    """The caps where a dialect has them and documents no number.

    `depth` counts objects and arrays around one another, anew from each definition; `size` the bytes of the schema.
    """

    depth: int = 32
    size: int = 16_384


CAPS = Caps()
"""What the endpoint goes by unless it is told otherwise."""


@dataclass(frozen=True)
class Node:
    """One subschema, its JSON pointer, and how deep it stands."""

    pointer: str
    schema: Json
    levels: int
    """Object schemas around and including this one, where it is one."""
    containers: int
    """The same of object and array schemas."""
    nesting: int
    """Levels of JSON around it, counted from the root, or from the entry in `$defs` that holds it."""


def walk(root: Json) -> Iterator[Node]:
    """Every subschema, the root first."""
    stack = [("", root, 0, 0, 1)]
    while stack:
        pointer, schema, levels, containers, nesting = stack.pop()
        if isinstance(schema, dict):
            is_object = schema.get("type") == "object" or "properties" in schema
            levels += is_object
            containers += is_object or schema.get("type") == "array" or "items" in schema
        yield Node(pointer, schema, levels, containers, nesting)
        if not isinstance(schema, dict):
            continue
        children: list[tuple[str, Json, int, int, int]] = []
        for word, value in schema.items():
            if word in _MAPS and isinstance(value, dict):
                fresh = word in ("$defs", "definitions")
                children += [
                    (
                        f"{pointer}/{word}/{escape_pointer(name)}",
                        inner,
                        0 if fresh else levels,
                        0 if fresh else containers,
                        1 if fresh else nesting + 2,
                    )
                    for name, inner in value.items()
                ]
            elif word in _LISTS and isinstance(value, list):
                children += [
                    (f"{pointer}/{word}/{i}", inner, levels, containers, nesting + 2) for i, inner in enumerate(value)
                ]
            elif word in _ONES:
                children.append((f"{pointer}/{word}", value, levels, containers, nesting + 1))
        stack.extend(reversed(children))


def resolve(root: Json, reference: str) -> Json:
    """What a local reference (`#`, `#/$defs/x`) points to, or None where it points nowhere."""
    if not reference.startswith("#"):
        return None
    found = root
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def invalid(root: Json, deepest: int = NESTING) -> str | None:
    """Why this is no usable JSON Schema, as one short clause, or None where it is one."""
    for node in walk(root):
        wrong = "it nests too deeply" if node.nesting > deepest else _wrong(node.schema, root)
        if wrong:
            return f"{wrong} at {node.pointer or 'the root'}"
    return None


def _wrong(schema: Json, root: Json) -> str | None:
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, dict):
        return "a schema is no object"
    for word, value in schema.items():
        wrong = _wrong_keyword(word, value, root)
        if wrong:
            return wrong
    return None


def _wrong_keyword(word: str, value: Json, root: Json) -> str | None:
    if word == "type":
        kinds = [value] if isinstance(value, str) else value
        if not isinstance(kinds, list) or not kinds or not all(isinstance(k, str) and k in TYPES for k in kinds):
            return "'type' names no JSON type"
    elif word in _MAPS:
        return None if isinstance(value, dict) else f"'{word}' is no object"
    elif word in _LISTS:
        return None if isinstance(value, list) and value else f"'{word}' is no non-empty array"
    elif word == "required":
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            return "'required' is no array of strings"
    elif word == "enum":
        if not isinstance(value, list) or not value or not _finite(value):
            return "'enum' is no non-empty array"
    elif word == "const":
        return None if _finite(value) else "'const' is no JSON value"
    elif word in _NUMBERS:
        if not _is_finite(value) or (word == "multipleOf" and value <= 0):
            return f"'{word}' is no number"
    elif word in _COUNTS:
        if not _is_finite(value) or value < 0 or value != int(value):
            return f"'{word}' is no count"
    elif word == "pattern":
        return None if isinstance(value, str) and _compiles(value) else "'pattern' is no regular expression"
    elif word == "$ref":
        if not isinstance(value, str):
            return "'$ref' is no string"
        wrong = astray(root, value)
        return wrong[1] if wrong else None
    return None


def astray(root: Json, reference: str) -> tuple[str, str] | None:
    """How a reference goes astray: `remote`, `dangling` or `cycle`, and a short clause; None where it does not.

    A cycle is a chain of references that comes back without passing a property or an item.
    """
    seen: set[str] = set()
    while True:
        if not reference.startswith("#"):
            return "remote", "'$ref' leads out of the schema"
        if reference in seen:
            return "cycle", "'$ref' leads in a circle"
        seen.add(reference)
        target = resolve(root, reference)
        if target is None:
            return "dangling", "'$ref' leads nowhere"
        if not isinstance(target, dict) or not isinstance(target.get("$ref"), str):
            return None
        reference = target["$ref"]


def strays(root: Json) -> Iterator[tuple[str, str]]:
    """Every reference that goes astray: the kind, and a clause with the place."""
    for node in walk(root):
        reference = node.schema.get("$ref") if isinstance(node.schema, dict) else None
        wrong = astray(root, reference) if isinstance(reference, str) else None
        if wrong:
            yield wrong[0], f"{wrong[1]} at {node.pointer or 'the root'}"


def _is_finite(value: Json) -> bool:
    """A number that JSON can hold: an integer of any size, or a finite float."""
    return is_number(value) and (isinstance(value, int) or math.isfinite(value))


def _finite(value: Json) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return False
        stack.extend(item if isinstance(item, list) else item.values() if isinstance(item, dict) else ())
    return True


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


@dataclass(frozen=True)
class Laxity:
    """Where a schema leaves the strict subset: `rule` is `additional_properties`, `required` or `keyword`."""

    rule: str
    pointer: str
    detail: str


def laxities(root: Json, unsupported: tuple[str, ...]) -> Iterator[Laxity]:
    """Every place where a schema breaks the rules of strict mode."""
    for node in walk(root):
        schema = node.schema
        if not isinstance(schema, dict):
            continue
        for word in unsupported:
            if word in schema:
                yield Laxity("keyword", node.pointer, f"'{word}' is not permitted")
        kinds = schema.get("type")
        is_object = kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in schema
        if not is_object:
            continue
        if schema.get("additionalProperties") is not False:
            yield Laxity("additional_properties", node.pointer, "'additionalProperties' is required to be false")
        required, properties = schema.get("required", []), schema.get("properties", {})
        names = properties if isinstance(properties, dict) else ()
        missing = [name for name in names if not isinstance(required, list) or name not in required]
        if missing:
            yield Laxity("required", node.pointer, f"'required' has to name {missing[0]!r} as well")


@dataclass(frozen=True)
class Size:
    """A schema's measures. `characters` counts the names and the enum and const texts."""

    levels: int
    containers: int
    properties: int
    characters: int
    enum_values: int
    largest_enum: int
    largest_enum_characters: int


def measure(root: Json) -> Size:
    """How big a schema is."""
    levels = containers = properties = characters = values = largest = largest_characters = 0
    for node in walk(root):
        levels, containers = max(levels, node.levels), max(containers, node.containers)
        if not isinstance(node.schema, dict):
            continue
        for word in ("properties", "$defs", "definitions"):
            names = node.schema.get(word)
            if isinstance(names, dict):
                characters += sum(map(len, names))
                properties += len(names) if word == "properties" else 0
        options = node.schema.get("enum")
        texts = [item for item in options if isinstance(item, str)] if isinstance(options, list) else []
        text_size = sum(map(len, texts))
        characters += text_size + (len(node.schema["const"]) if isinstance(node.schema.get("const"), str) else 0)
        if isinstance(options, list):
            values += len(options)
            if len(options) > largest:
                largest, largest_characters = len(options), text_size
    return Size(levels, containers, properties, characters, values, largest, largest_characters)
