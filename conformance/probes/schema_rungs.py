"""Schemas that differ along one axis only, as JSON text: how deep they nest, or how many bytes they have.

Text, because what nests a thousand levels deep cannot be dumped. All keep to the strict subset of every dialect: closed
objects, every property required.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conformance.probes import build
from conformance.probes.base import Base
from conformance.wire import strict_json
from conformance.wire.exchange import Request
from conformance.wire.rungs import DEPTH, SIZE
from conformance.wire.strict_json import Json

_OPEN, _CLOSE = '{"type":"object","properties":{"a":', '},"required":["a"],"additionalProperties":false}'
_LIST, _END = '{"type":"array","items":', "}"
_EITHER, _NULL = '{"anyOf":[', ',{"type":"null"}]}'
_LEAF = '{"type":"string"}'
_HERE = "the schema goes here"
_ROOM = 16
"""Tokens of an answer: nobody reads it. Fewer make some models that think fail."""


def _wrapped(layers: list[tuple[str, str]]) -> str:
    return "".join(before for before, _ in layers) + _LEAF + "".join(after for _, after in reversed(layers))


def objects(levels: int, leaf: str = _LEAF) -> str:
    """So many objects, each the only property of the one around it; a string, or what is given, is innermost."""
    return _OPEN * levels + leaf + _CLOSE * levels


def arrays(levels: int) -> str:
    """An object, and in it arrays of arrays: so many in all."""
    return _wrapped([(_OPEN, _CLOSE), *[(_LIST, _END)] * (levels - 1)])


def alternating(levels: int) -> str:
    """Objects and arrays in turn, so many in all."""
    return _wrapped([((_OPEN, _CLOSE), (_LIST, _END))[level % 2] for level in range(levels)])


def nullable(levels: int) -> str:
    """So many objects, each but the first within an `anyOf` that also allows null."""
    return objects(1, (_EITHER + _OPEN) * (levels - 1) + _LEAF + (_CLOSE + _NULL) * (levels - 1))


def in_definitions(levels: int, piece: int) -> str:
    """The same as `objects(levels)`, cut into definitions of at most `piece` levels that refer to one another."""
    counts = [min(piece, levels - start) for start in range(0, levels, piece)]
    definitions = ",".join(
        f'"d{number}":{objects(count, _LEAF if number == len(counts) - 1 else _to(number + 1))}'
        for number, count in enumerate(counts)
    )
    root = objects(1, _to(0))
    return f'{root[:-1]},"$defs":{{{definitions}}}}}'


def _to(number: int) -> str:
    return f'{{"$ref":"#/$defs/d{number}"}}'


def in_one_definition(levels: int) -> str:
    """A shallow root that refers to one definition of so many levels."""
    return in_definitions(levels, levels)


def _filled(size: int, schema: dict[str, Json]) -> str:
    """The schema as text of exactly so many bytes: its description makes up what is missing."""
    bare = len(strict_json.dump({"description": "", **schema}))
    return strict_json.dump({"description": "x" * max(0, size - bare), **schema}).decode()


def described(size: int) -> str:
    """One property and a long description."""
    return _filled(size, build.record({"a": {"type": "string"}}))


def wide(size: int) -> str:
    """Many properties of a few characters each."""
    each = len('"p000000":{"type":"string"},"p000000",')
    names = [f"p{number:06}" for number in range(max(1, (size - 120) // each))]
    return _filled(size, build.record({name: {"type": "string"} for name in names}))


def enumerated(size: int) -> str:
    """One property with a long list of permitted words."""
    each = len('"w00000000000000",')
    words = [f"w{number:014}" for number in range(max(1, (size - 160) // each))]
    return _filled(size, build.record({"a": {"type": "string", "enum": words}}))


def named(size: int) -> str:
    """One property with a huge name, which stands in `required` as well."""
    return _filled(size, build.record({"n" * max(1, (size - 140) // 2): {"type": "string"}}))


@dataclass(frozen=True)
class Axis:
    """One way to grow: `text` makes the schema of a value, in levels or in bytes."""

    name: str
    text: Callable[[int], str]
    first: int
    least: int = 1
    """The smallest value that it can make."""
    overshoot: int = 0
    """A last rung far above any sensible cap."""

    @property
    def by_size(self) -> bool:
        """It grows in bytes, not in levels."""
        return self.name.startswith(SIZE)


OVERSHOOT = 1024
"""Levels by which servers without a cap are known to die (https://github.com/ggml-org/llama.cpp/issues/25283)."""
DEPTHS = (
    Axis(f"{DEPTH}objects", objects, 2),
    Axis(f"{DEPTH}both", alternating, 2),
    Axis(f"{DEPTH}any_of", nullable, 2),
    Axis(f"{DEPTH}arrays", arrays, 2, overshoot=OVERSHOOT),
)
SIZES = (
    Axis(f"{SIZE}descriptions", described, 4096, 512),
    Axis(f"{SIZE}properties", wide, 4096, 512),
    Axis(f"{SIZE}enums", enumerated, 4096, 512),
    Axis(f"{SIZE}name", named, 4096, 512),
)
"""The first axis of each kind is climbed from below; the others begin where it ended."""


def asking(base: Base, schema: str) -> Request:
    """The plain request with a strict schema, given as JSON text."""
    body = base.body(build.GREETING, limit=_ROOM, response_format=_format(_HERE))
    text = strict_json.dump(body).decode().replace(f'"{_HERE}"', schema)
    return Request("POST", "/chat/completions", (), text.encode())


def _format(schema: Json) -> dict[str, Json]:
    return {"type": "json_schema", "json_schema": {"name": "greeting", "strict": True, "schema": schema}}


def plain(base: Base) -> Request:
    """The same request without a schema."""
    return build.post(base.body(build.GREETING, limit=_ROOM))


def edges(base: Base, *, costly: bool) -> Iterator[tuple[str, bool]]:
    """Schemas as big as the documented limits allow by every way of counting, and bigger by every way.

    Yields the text and whether it is over. `costly` adds those of thousands of properties and a hundred thousand
    characters.
    """
    limit = base.dialect.limit
    if (deepest := limit("json_schema.max_depth")) is not None:
        yield objects(deepest - 1), False
        yield objects(deepest + 2), True
    if (most := limit("json_schema.max_enum_values")) is not None:
        yield _listed(most, 4), False
        yield _listed(most + 1, 4), True
    if (most := limit("json_schema.large_enum_characters")) is not None:
        values = limit("json_schema.large_enum") + 1
        yield _listed(values, most // values), False
        yield _listed(values, most // values + 1), True
    if not costly:
        return
    if (most := limit("json_schema.max_properties")) is not None:
        for count in (most, most + 1):
            record = build.record({f"p{number}": {"type": "null"} for number in range(count)})
            yield strict_json.dump(record).decode(), count > most
    if (most := limit("json_schema.max_characters")) is not None:
        for size in (most - 512, most + 64):  # the names count as well
            parts = {f"part_{number}": {"type": "string", "const": "c" * (size // 32)} for number in range(32)}
            yield strict_json.dump(build.record(parts)).decode(), size > most


def _listed(count: int, length: int) -> str:
    """One property with so many permitted words of so many characters each."""
    words = [f"{number:x}".rjust(length, "w") for number in range(count)]
    return strict_json.dump(build.record({"a": {"type": "string", "enum": words}})).decode()
