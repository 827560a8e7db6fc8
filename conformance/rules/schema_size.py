"""How deep and how large a schema is, by every way of counting that a reader of the documents could mean.

Whether arrays count as levels, whether the root is level 0 or 1, whether alternatives count, what a character is: no
document says. So each measure is a range, and only where both its ends lie on one side of a limit can anything be said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from functools import lru_cache

from conformance.wire import strict_json
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json

_STRICT = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "description"}
)
"""Keywords that nobody who documents strict schemas leaves out."""
_MAPS = ("properties", "$defs", "definitions")
_ONES = ("items", "additionalProperties", "not", "contains")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


@dataclass(frozen=True)
class Range:
    """The least and the most that a measure comes to."""

    least: int
    most: int


@dataclass(frozen=True)
class Path:
    """What nests on a path from the root: objects, arrays, and schemas of other kinds."""

    objects: int = 0
    arrays: int = 0
    others: int = 0

    @property
    def schemas(self) -> int:
        """All of them."""
        return self.objects + self.arrays + self.others

    def covers(self, other: Path) -> bool:
        """As deep as the other, however much each kind counts."""
        return self.objects >= other.objects and self.arrays >= other.arrays and self.others >= other.others


@dataclass(frozen=True)
class Measures:
    """A schema's measures. `levels`: from objects alone, the root not counted, to schemas of any kind within others.

    Levels are counted anew in each definition. `bytes` are those of its compact JSON, without and with escapes.
    `plain`: it refers to nothing, and it is a closed object of strict keywords throughout.
    """

    bytes: Range
    levels: Range
    deepest: Path
    """The path with the most schemas."""
    reach: Path
    """Of each kind the most that any path has."""
    properties: int
    characters: Range
    enum_values: Range
    large_enums: tuple[tuple[int, Range], ...]
    """Of each enum of strings: how many values, and their characters."""
    refers: bool
    plain: bool


def declared(exchange: Exchange) -> dict[str, Json] | None:
    """`response_format.json_schema` of a request for that mode, or None."""
    chat = exchange.request.chat
    form = chat.body.get("response_format") if chat is not None else None
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        return None
    found = form.get("json_schema")
    return found if isinstance(found, dict) else None


def schema_of(exchange: Exchange) -> dict[str, Json] | None:
    """The schema of a request, or None."""
    found = (declared(exchange) or {}).get("schema")
    return found if isinstance(found, dict) else None


def measures_of(exchange: Exchange) -> Measures | None:
    """The measures of a request's schema, or None where it has none."""
    schema = schema_of(exchange)
    return None if schema is None else _measured(strict_json.dump(schema))


@lru_cache(maxsize=256)
def _measured(text: bytes) -> Measures:
    return measure(strict_json.parse(text).value)


def _walk(root: Json) -> Iterator[tuple[Json, Path]]:
    """Every subschema, and what is around and including it."""
    waiting = [(root, Path())]
    while waiting:
        schema, around = waiting.pop()
        path = _with(around, schema)
        yield schema, path
        if isinstance(schema, dict):
            waiting += [(inner, path) for inner in _inner(schema)]
            # The schema that holds a definition may count as a level around it.
            waiting += [(inner, Path(others=1)) for inner in _definitions(schema)]


def _with(around: Path, schema: Json) -> Path:
    if isinstance(schema, dict) and (_is_type(schema, "object") or "properties" in schema):
        return replace(around, objects=around.objects + 1)
    if isinstance(schema, dict) and (_is_type(schema, "array") or "items" in schema):
        return replace(around, arrays=around.arrays + 1)
    return replace(around, others=around.others + 1)


def _definitions(schema: dict[str, Json]) -> Iterator[Json]:
    for word in ("$defs", "definitions"):
        if isinstance(schema.get(word), dict):
            yield from schema[word].values()


def _inner(schema: dict[str, Json]) -> Iterator[Json]:
    if isinstance(schema.get("properties"), dict):
        yield from schema["properties"].values()
    for word in _ONES:
        if isinstance(schema.get(word), dict):
            yield schema[word]
    for word in _LISTS:
        if isinstance(schema.get(word), list):
            yield from schema[word]


def _is_type(schema: dict[str, Json], name: str) -> bool:
    found = schema.get("type")
    return found == name or (isinstance(found, list) and name in found)


def _lengths(texts: list[str]) -> Range:
    """Characters as code points at least, as bytes of UTF-8 at most."""
    return Range(sum(map(len, texts)), sum(len(text.encode("utf-8", "surrogatepass")) for text in texts))


def measure(root: Json) -> Measures:
    """All measures of a schema. Total and iterative."""
    deepest = reach = Path()
    properties = constants = options = 0
    names: list[str] = []
    values: list[Json] = []
    large: list[tuple[int, Range]] = []
    refers, plain = False, isinstance(root, dict) and _is_type(root, "object")
    for schema, path in _walk(root):
        deepest = path if path.schemas > deepest.schemas else deepest
        reach = Path(*map(max, astuple(reach), astuple(path)))
        if not isinstance(schema, dict):
            plain = False
            continue
        refers = refers or "$ref" in schema or "$dynamicRef" in schema
        plain = plain and _is_plain(schema)
        for word in _MAPS:
            names += schema[word] if isinstance(schema.get(word), dict) else ()
        properties += len(schema["properties"]) if isinstance(schema.get("properties"), dict) else 0
        if "const" in schema:
            constants += 1
            values.append(schema["const"])
        if isinstance(schema.get("enum"), list):
            options += len(schema["enum"])
            values += schema["enum"]
            if all(isinstance(item, str) for item in schema["enum"]):
                large.append((len(schema["enum"]), _lengths(schema["enum"])))
    texts = _lengths([*names, *(item for item in values if isinstance(item, str))])
    others = sum(len(strict_json.dump(item)) for item in values if not isinstance(item, str))
    text = strict_json.dump(root).decode()
    return Measures(
        Range(len(text), len(json.dumps(root))),
        Range(max(0, reach.objects - 1), deepest.schemas),
        deepest,
        reach,
        properties,
        Range(texts.least, texts.most + others),
        Range(options, options + constants),
        tuple(large),
        refers,
        plain,
    )


def _is_plain(schema: dict[str, Json]) -> bool:
    """Strict keywords only; an object is closed and requires each of its properties."""
    if not schema.keys() <= _STRICT:
        return False
    if not (_is_type(schema, "object") or "properties" in schema):
        return True
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    return schema.get("additionalProperties") is False and all(name in required for name in properties)
