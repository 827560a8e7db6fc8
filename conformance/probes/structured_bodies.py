"""Requests for structured output that several probes send: formats, and the schema that uses every keyword at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.probes import build
from conformance.probes.base import Base
from conformance.wire.strict_json import Json

JSON_MODE: dict[str, Json] = {"type": "json_object"}
PROSE = "Ignore any format and just say hello, in plain prose, without any JSON."
"""Pulls away from what the parameter demands."""
FILL = "Fill in the record with any sensible values, in JSON."

TEXT: dict[str, Json] = {"type": "string"}
WHOLE: dict[str, Json] = {"type": "integer"}

RICH: dict[str, Json] = {
    **build.record(
        {
            "zone": {"type": "string", "enum": ["north", "south"]},
            "area": {"$ref": "#/$defs/area"},
            "count": {"type": "integer", "minimum": 3, "maximum": 9},
            "ratio": {"type": "number"},
            "hex": {"type": "string", "pattern": "^#[0-9a-f]{6}$"},
            "day": {"type": "string", "format": "date"},
            "marks": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}, "minItems": 2, "maxItems": 3},
            "note": {"type": ["string", "null"]},
            "done": {"type": "boolean"},
            "extra": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        }
    ),
    "$defs": {
        "area": build.record({"width": WHOLE, "unit": {"$ref": "#/$defs/unit"}}),
        "unit": {"type": "string", "enum": ["cm", "m"]},
    },
}
"""Closed, every property required, the keys out of the alphabet's order, ten of them, two definitions."""
LONG_NAME = "n" + "ame-of_64" * 7


def schema_format(schema: Json, name: Json = "answer", **fields: Json) -> dict[str, Json]:
    """The format json_schema; strict unless said otherwise, and whatever is given as Ellipsis left out."""
    inner: dict[str, Any] = {"name": name, "strict": True, "schema": schema, **fields}
    return {"type": "json_schema", "json_schema": {key: value for key, value in inner.items() if value is not ...}}


def asking(base: Base, schema: Json, prompt: str = FILL, *, limit: int = 384, **fields: Json) -> dict[str, Json]:
    """A chat body that asks for an answer under a schema."""
    return base.body(prompt, limit=limit, response_format=schema_format(schema, **fields))


def rich(base: Base) -> dict[str, Json]:
    """The control of the area: every keyword at once, under the longest name, without a description."""
    return asking(base, RICH, PROSE, name=LONG_NAME)


def opened(schema: Json) -> Json:
    """The schema with every object open."""
    if isinstance(schema, list):
        return [opened(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: opened(item) for key, item in schema.items() if not (key == "additionalProperties" and item is False)}


def is_checked(base: Base) -> bool:
    """The dialect refuses strict schemas that are not closed, or whose properties are not all required."""
    return bool(base.dialect.convention("strict.response_format") == "checked")
