"""Formats and schemas that ought to be turned down: shapes, names, invalid schemas, strictness, references."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.probes.structured_bodies import JSON_MODE, LONG_NAME, RICH, TEXT, is_checked, rich, schema_format
from conformance.wire.strict_json import Json

_CITY = build.record({"city": TEXT})
_INNER = "/response_format/json_schema"


def _form(schema: Json = RICH, name: Json = LONG_NAME, **fields: Json) -> dict[str, Json]:
    """The control's format with something changed."""
    return schema_format(schema, name, **fields)


def _formats() -> Iterator[Json]:
    """Values of response_format that are no format, the most usual mistakes first."""
    yield {"type": "xml"}
    yield {}
    yield "json_object"
    yield []
    yield {"type": 5}
    yield {"type": None}
    yield 1


def _shapes(base: Base) -> Iterator[tuple[Json, str]]:
    """(format, the place that is wrong): one of each kind first."""
    yield {"type": "json_schema"}, _INNER
    yield _form(name=...), f"{_INNER}/name"
    yield _form([]), f"{_INNER}/schema"
    pattern, longest = (base.dialect.limit(f"json_schema_name.{key}") for key in ("pattern", "max_length"))
    if pattern is not None:
        yield _form(name="my schema"), f"{_INNER}/name"
    if isinstance(longest, int):
        yield _form(name="n" * (longest + 1)), f"{_INNER}/name"
    if is_checked(base):
        yield _form(strict="true"), f"{_INNER}/strict"
        yield _form(description=5), f"{_INNER}/description"
    if base.effort < Effort.STANDARD:
        return
    if pattern is not None:
        yield from ((_form(name=name), f"{_INNER}/name") for name in ("a.b", "größe", "a\n"))
    if is_checked(base):
        yield _form(strict=1), f"{_INNER}/strict"
    yield _form(name=""), f"{_INNER}/name"
    yield _form(name=5), f"{_INNER}/name"
    yield {"type": "json_schema", "json_schema": "city"}, _INNER
    yield {"type": "json_schema", "json_schema": []}, _INNER
    yield _form("city"), f"{_INNER}/schema"


def _invalid() -> Iterator[Json]:
    """Schemas that are none."""
    yield {"type": "foo"}
    yield {"type": "object", "properties": ["city"]}
    yield build.record({"city": {"type": "strnig"}})
    yield build.record({"city": {"type": "string", "minLength": -1}})
    yield build.record({"city": {"enum": "Paris"}})
    yield build.record({"city": 5})
    yield {**_CITY, "required": "city"}


def _strays() -> Iterator[Json]:
    """References that lead nowhere, round in a circle, and out."""
    yield {**build.record({"x": {"$ref": "#/$defs/y"}}), "$defs": {"x": TEXT}}
    yield {
        **build.record({"x": {"$ref": "#/$defs/y"}}),
        "$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"$ref": "#/$defs/x"}},
    }
    yield build.record({"x": {"$ref": "https://schemas.example.invalid/x.json"}})
    yield build.record({"x": {"$ref": "#/properties/z"}})
    yield build.record({"list": {"type": "array", "items": {"$ref": "http://schemas.example.invalid/x.json#/$defs/x"}}})


def _lax() -> Iterator[Json]:
    """Schemas that strict mode does not allow where it checks them."""
    open_city = {key: item for key, item in _CITY.items() if key != "additionalProperties"}
    yield open_city
    yield build.record({"x": TEXT, "y": TEXT}, ["x"])
    yield {"type": "array", "items": TEXT}
    yield build.record({"x": {"not": TEXT}})
    yield build.record({"at": open_city})
    yield build.record({"list": {"type": "array", "items": open_city}})
    yield {**build.record({"at": {"$ref": "#/$defs/at"}}), "$defs": {"at": open_city}}
    yield {**_CITY, "additionalProperties": True}
    yield build.record({"at": build.record({"x": TEXT, "y": TEXT}, ["x"])})
    yield {"type": "string"}
    yield {**_CITY, "anyOf": [{"required": ["city"]}]}
    keywords: dict[str, Json] = {
        "allOf": [{"type": "object"}],
        "if": {"required": ["city"]},
        "dependentRequired": {"city": ["city"]},
        "dependentSchemas": {"city": {"type": "object"}},
    }
    for keyword, value in keywords.items():
        extra = {"then": {"required": ["city"]}} if keyword == "if" else {}
        yield {**_CITY, keyword: value, **extra}


def _table(base: Base) -> Iterator[Group]:
    few = base.effort < Effort.STANDARD
    bare, control = build.bare(base), rich(base)
    for value in [*_formats()][: 1 if few else None]:
        yield build.set_at(bare, "response_format", value, refused=True)
    if base.dialect.convention("json_object.needs_the_word"):
        yield build.set_at(bare, "response_format", JSON_MODE, refused=True)
        if not few and "streaming" in base.capabilities:
            yield build.refused_pair({**bare, "response_format": JSON_MODE})
    for form, about in _shapes(base):
        yield build.contrast(control, {**control, "response_format": form}, about, refused=True)
    schemas = [*_invalid()][: 1 if few else None] + [*_strays()][: 3 if few else None]
    if is_checked(base):
        schemas += [*_lax()][: 4 if few else None]
    for schema in schemas:
        variant = {**control, "response_format": _form(schema)}
        yield build.contrast(control, variant, f"{_INNER}/schema", refused=True)
    if not few:
        for schema in ({"type": "foo"}, {**RICH, "type": "strnig"}):
            variant = {**control, "response_format": _form(schema, strict=...)}
            yield build.contrast(control, variant, _INNER, refused=True)


register(
    Probe(
        "structured_refusals",
        "structured_output",
        ("structured_output", "errors"),
        table=_table,
        needs=frozenset({"structured_output"}),
        summary="Formats, names and schemas that ought to be turned down.",
    )
)
