"""JSON Schemas of tools and formats: does a value satisfy one, is one usable, and what strict mode asks of it.

Two libraries judge a violation, and where they disagree, or cannot read the schema, nothing is said: an endpoint is
never blamed for a validator's reading. Schemas come from requests; only values come from endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import jsonschema
import jsonschema_rs

from conformance.wire import strict_json
from conformance.wire.strict_json import Json

_DEEPEST = 60
_MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONES = ("items", "not", "if", "then", "else", "additionalProperties", "contains", "propertyNames")


def subschemas(schema: Json, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Json]]]:
    """Every object schema inside a schema with its pointer, itself first; what is deeper than 60 levels is left out."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return
    yield pointer, schema
    for key in _MAPS:
        inner = schema.get(key)
        for name, item in inner.items() if isinstance(inner, dict) else ():
            yield from subschemas(item, f"{pointer}/{key}/{strict_json.escape_pointer(name)}", depth + 1)
    for key in _LISTS:
        found = schema.get(key)
        for place, item in enumerate(found if isinstance(found, list) else ()):
            yield from subschemas(item, f"{pointer}/{key}/{place}", depth + 1)
    for key in _ONES:
        yield from subschemas(schema.get(key), f"{pointer}/{key}", depth + 1)


def _depth(value: Json) -> int:
    deepest, stack = 0, [(value, 1)]
    while stack:
        item, level = stack.pop()
        deepest = max(deepest, level)
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        stack.extend((part, level + 1) for part in inner)
    return deepest


def _loops(schema: Mapping[str, Json]) -> bool:
    """A reference leads to itself without passing a property or an item: no validator can finish."""
    seen: set[str] = set()
    current: Json = schema
    while isinstance(current, dict) and isinstance(current.get("$ref"), str):
        reference = current["$ref"]
        if reference in seen:
            return True
        seen.add(reference)
        current = resolved(schema, reference)
    return False


def resolved(schema: Json, reference: str) -> Json:
    """What a reference by JSON pointer leads to, or None where it leads nowhere."""
    found = schema
    for token in reference.lstrip("#").split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(key)] if key.isdecimal() and int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found


def _readable(schema: Json) -> bool:
    """Shallow enough, and every reference stays inside the document and comes to an end."""
    if not isinstance(schema, dict) or _depth(schema) > _DEEPEST:
        return False
    for _, part in subschemas(schema):
        reference = part.get("$ref")
        if reference is None:
            continue
        if not isinstance(reference, str) or not reference.startswith("#"):
            return False
        if _loops({**schema, "$ref": reference}):
            return False
    return True


@lru_cache(maxsize=512)
def _validators(text: str) -> tuple[jsonschema_rs.Draft202012Validator, jsonschema.Draft202012Validator] | None:
    schema = strict_json.parse(text).value
    if not _readable(schema):
        return None
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        return (
            jsonschema_rs.Draft202012Validator(schema, validate_formats=False),
            jsonschema.Draft202012Validator(schema),
        )
    except Exception:  # each library has its own errors for schemas that it cannot read
        return None


def valid(schema: Json, value: Json) -> bool | None:
    """Whether the value satisfies the schema (2020-12, formats not asserted); None where that is uncertain."""
    if max(_depth(schema), _depth(value)) > _DEEPEST:
        return None
    validators = _validators(strict_json.dump(schema).decode())
    if validators is None:
        return None
    quick, slow = validators
    try:
        if quick.is_valid(value):
            return True
        return None if slow.is_valid(value) else False
    except Exception:  # a pattern or number that one library cannot handle
        return None


def well_formed(schema: Json, value: Json) -> bool | None:
    """Whether the strings in the value have the formats that the schema asserts; None where that is uncertain.

    Only formats that both libraries check count against a value.
    """
    if max(_depth(schema), _depth(value)) > _DEEPEST or not _readable(schema):
        return None
    try:
        if jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(value):
            return True
        checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
        return None if jsonschema.Draft202012Validator(schema, format_checker=checker).is_valid(value) else False
    except Exception:  # as above: each library has its own errors
        return None


def complaint(schema: Json, value: Json) -> str:
    """Why the value does not satisfy the schema, in one line."""
    validators = _validators(strict_json.dump(schema).decode())
    if validators is None:
        return "not valid"
    try:
        error = next(iter(validators[0].iter_errors(value)), None)
    except UnicodeEncodeError:  # the library keeps the value in its errors, and takes no lone surrogates
        return "not valid"
    place = "".join(f"/{part}" for part in error.instance_path) if error is not None else ""
    return f"{place or 'the whole'}: {error.message[:160]}" if error is not None else "not valid"


def usable(schema: Json) -> bool | None:
    """Whether this is a JSON Schema at all by the 2020-12 meta-schema; None where that is uncertain."""
    return None if _depth(schema) > _DEEPEST else _usable(strict_json.dump(schema).decode())


@lru_cache(maxsize=1024)
def _usable(text: str) -> bool | None:
    schema = strict_json.parse(text).value
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        try:
            return None if jsonschema_rs.meta.is_valid(schema) else False
        except Exception:  # the second opinion is missing
            return None
    except Exception:  # nested or odd beyond what the library reads
        return None
    return True


def pinned(schema: Json, depth: int = 0) -> bool:
    """The schema allows exactly one value: constants, enums of one, and closed objects of such."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return False
    if "const" in schema or (isinstance(schema.get("enum"), list) and len(schema["enum"]) == 1):
        return True
    if schema.get("type") == "null":
        return True
    properties = schema.get("properties", {})
    return (
        schema.get("type") == "object"
        and isinstance(properties, dict)
        and schema.get("additionalProperties") is False
        and isinstance(schema.get("required", []), list)
        and all(name in schema.get("required", []) for name in properties)
        and all(pinned(item, depth + 1) for item in properties.values())
    )


def _is_object_schema(schema: Mapping[str, Json]) -> bool:
    kinds = schema.get("type")
    return kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in schema


def open_objects(schema: Json) -> list[str]:
    """Pointers of object schemas without `additionalProperties: false`, which strict mode refuses."""
    return [
        pointer
        for pointer, part in subschemas(schema)
        if _is_object_schema(part) and part.get("additionalProperties") is not False
    ]


def optional_properties(schema: Json) -> list[str]:
    """Pointers of properties that are not listed as required, which strict mode refuses."""
    missing: list[str] = []
    for pointer, part in subschemas(schema):
        properties, required = part.get("properties"), part.get("required", [])
        if isinstance(properties, dict) and isinstance(required, list):
            missing += [f"{pointer}/properties/{name}" for name in properties if name not in required]
    return missing


def contradicts_itself(schema: Json) -> bool:
    """A closed object somewhere requires what it does not declare: nothing satisfies it."""
    return any(
        part.get("additionalProperties") is False
        and "patternProperties" not in part
        and any(name not in _declared(part) for name in _required(part))
        for _, part in subschemas(schema)
    )


def _declared(part: Mapping[str, Json]) -> Mapping[str, Json]:
    found = part.get("properties")
    return found if isinstance(found, dict) else {}


def _required(part: Mapping[str, Json]) -> list[str]:
    found = part.get("required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def keywords_among(schema: Json, words: frozenset[str]) -> list[str]:
    """Pointers of the given keywords wherever they stand in a schema."""
    return [f"{pointer}/{key}" for pointer, part in subschemas(schema) for key in sorted(words & part.keys())]
