"""Two schemas as one, and numbers within bounds."""

from __future__ import annotations

import math
from typing import Any

from conformance.wire.strict_json import Json, is_number


def merged(schema: dict[str, Json], other: Json) -> dict[str, Json]:
    """The schema that asks for what both ask for, where their keywords can be put together; else for the latter."""
    if not isinstance(other, dict):
        return schema
    made = dict(schema)
    for word, value in other.items():
        old = made.get(word)
        if word == "properties" and isinstance(old, dict) and isinstance(value, dict):
            made[word] = {
                **old,
                **{k: merged(old[k], v) if isinstance(old.get(k), dict) else v for k, v in value.items()},
            }
        elif word == "required" and isinstance(old, list) and isinstance(value, list):
            made[word] = [*old, *(name for name in value if name not in old)]
        elif word in ("minimum", "exclusiveMinimum", "minLength", "minItems") and is_number(old) and is_number(value):
            made[word] = max(old, value)
        elif word in ("maximum", "exclusiveMaximum", "maxLength", "maxItems") and is_number(old) and is_number(value):
            made[word] = min(old, value)
        elif word == "enum" and isinstance(old, list) and isinstance(value, list):
            made[word] = [item for item in old if item in value] or old
        elif word == "type" and old is not None:
            kinds = [kind for kind in types(old) if kind in types(value)]
            made[word] = kinds or old
        else:
            made[word] = value
    return made


def types(value: Json) -> list[str]:
    """The type names in a `type` keyword; a number may be an integer."""
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    kinds = [kind for kind in found if isinstance(kind, str)]
    return [*kinds, "integer"] if "number" in kinds and "integer" not in kinds else kinds


def number_within(schema: dict[str, Json], variant: int, *, whole: bool) -> Json:
    """A number within the bounds."""
    low, high = -math.inf, math.inf
    step = schema["multipleOf"] if is_number(schema.get("multipleOf")) and schema["multipleOf"] > 0 else None
    if is_number(schema.get("minimum")):
        low = schema["minimum"]
    if is_number(schema.get("maximum")):
        high = schema["maximum"]
    above: Json = schema.get("exclusiveMinimum")
    below: Json = schema.get("exclusiveMaximum")
    if whole or step is not None:
        grid: Any = step or 1
        if whole and isinstance(grid, float):
            grid = int(grid) if grid.is_integer() else grid
        if is_number(above):
            low = max(low, (math.floor(above / grid) + 1) * grid)
        if is_number(below):
            high = min(high, (math.ceil(below / grid) - 1) * grid)
        start = math.ceil(low / grid) if low > -math.inf else min(1, math.floor(high / grid)) if high < 1 else 1
        made = (start + variant) * grid
        return made if made <= high else start * grid
    if is_number(above):
        low = max(low, math.nextafter(above, math.inf))
    if is_number(below):
        high = min(high, math.nextafter(below, -math.inf))
    for candidate in (1.5 + variant, low + variant, low + 0.5, (low + high) / 2, low, high):
        if low <= candidate <= high and math.isfinite(candidate):
            return candidate
    return 0.5
