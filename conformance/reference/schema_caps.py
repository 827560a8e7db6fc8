"""How deep and how large a schema in `response_format` may be: documented numbers, else this endpoint's own caps."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.reference import schemas
from conformance.reference.schemas import Caps
from conformance.reference.stages import Context, Refusal
from conformance.wire import strict_json
from conformance.wire.strict_json import Json

_PLACE = "response_format"


def refuse(context: Context, schema: dict[str, Json], caps: Caps) -> Iterator[Refusal]:
    """Every cap that the schema is over."""
    size = schemas.measure(schema)
    if context.dialect.limit("json_schema.max_depth") is None:
        yield from _over_caps(schema, size, caps)
    else:
        yield from _over_limits(context, size)


def _too_deep(text: str) -> Refusal:
    return Refusal("schema_too_deep", "json_schema.too_deep", text, _PLACE)


def _too_large(text: str) -> Refusal:
    return Refusal("schema_too_large", "json_schema.too_large", text, _PLACE)


def _over_caps(schema: dict[str, Json], size: schemas.Size, caps: Caps) -> Iterator[Refusal]:
    if size.containers > caps.depth:
        yield _too_deep("The schema nests too deeply for the parser.")
    if len(strict_json.dump(schema)) > caps.size:
        yield _too_large("The schema has too many bytes.")


def _over_limits(context: Context, size: schemas.Size) -> Iterator[Refusal]:
    limit = context.dialect.limit
    if size.levels > limit("json_schema.max_depth"):
        yield _too_deep(f"The schema nests over {limit('json_schema.max_depth')} levels of objects.")
    for name, count in (
        ("max_properties", size.properties),
        ("max_characters", size.characters),
        ("max_enum_values", size.enum_values),
    ):
        if (most := limit(f"json_schema.{name}")) is not None and count > most:
            yield _too_large(f"The schema is over the limit of {most} ({name.removeprefix('max_').replace('_', ' ')}).")
    most = limit("json_schema.large_enum_characters")
    if most is not None and size.largest_enum > limit("json_schema.large_enum") and size.largest_enum_characters > most:
        yield _too_large(f"An enum has over {most} characters.")
