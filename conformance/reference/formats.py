"""`response_format`: its shape, and the JSON Schema in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from conformance.reference import schema_caps, schemas
from conformance.reference.fields import wrong_type
from conformance.reference.model import message_text
from conformance.reference.stages import Context, Refusal
from conformance.wire import strict_json
from conformance.wire.strict_json import Json, show

_PLACE = "response_format"


def refuse(context: Context) -> Iterator[Refusal]:
    """Every reason that lies in `response_format`."""
    value = (context.body or {}).get(_PLACE)
    if value is None:
        return
    if not isinstance(value, dict):
        yield wrong_type(_PLACE, value, "an object", "response_format.type")
        return
    form, known = value.get("type"), context.dialect.words(_PLACE)
    if form is None:
        place = f"{_PLACE}.type"
        yield Refusal("missing_parameter", "response_format.kind.missing", f"'{place}' is missing.", place)
    elif not isinstance(form, str) or form not in known:
        text = f"'{_PLACE}.type' has to be one of {', '.join(known)}, not {show(form, 40)}."
        yield Refusal("invalid_value", "response_format.kind", text, f"{_PLACE}.type")
    elif form == "json_object":
        said = " ".join(message_text(message) for message in context.chat.messages).lower()
        if context.dialect.convention("json_object.needs_the_word") and "json" not in said:
            text = "With a 'json_object' format the messages have to mention the word 'json'."
            yield Refusal("json_word", "response_format.json_word", text, "messages")
    elif form == "json_schema":
        if (context.body or {}).get("tools") and context.dialect.convention("response_format.with_tools") == "refused":
            text = "'tools' and a 'json_schema' format exclude each other."
            yield Refusal("invalid_combination", "response_format.with_tools", text, _PLACE)
        yield from _declared(context, value.get("json_schema"))


def _declared(context: Context, declared: Json) -> Iterator[Refusal]:
    place = f"{_PLACE}.json_schema"
    if not isinstance(declared, dict):
        missing = "missing_parameter" if declared is None else "invalid_type"
        yield Refusal(missing, "json_schema.shape", f"'{place}' has to be an object.", place)
        return
    yield from _name(context, declared, f"{place}.name")
    for key, kind, words in (("description", str, "a string"), ("strict", bool, "a boolean")):
        if declared.get(key) is not None and not isinstance(declared[key], kind):
            yield wrong_type(f"{place}.{key}", declared[key], words, f"json_schema.{key}.type")
    schema = declared.get("schema")
    if schema is None:
        if declared.get("strict") is True or "schema" in declared:
            missing = f"'{place}.schema' is missing."
            yield Refusal("missing_parameter", "json_schema.schema.missing", missing, f"{place}.schema")
    elif not isinstance(schema, dict):
        yield Refusal(
            "invalid_schema", "json_schema.schema.type", f"'{place}.schema' has to be a schema object.", _PLACE
        )
    else:
        yield from _schema(context, schema, strict=declared.get("strict") is True)


def _name(context: Context, declared: dict[str, Json], place: str) -> Iterator[Refusal]:
    name = declared.get("name")
    pattern = context.dialect.limit("json_schema_name.pattern")
    longest = context.dialect.limit("json_schema_name.max_length")
    if name is None:
        yield Refusal("missing_parameter", "json_schema.name.missing", f"'{place}' is missing.", place)
    elif not isinstance(name, str):
        yield wrong_type(place, name, "a string", "json_schema.name.type")
    elif not name:
        yield Refusal("string_too_short", "json_schema.name.pattern", f"'{place}' is empty.", place)
    elif pattern is not None and not re.fullmatch(pattern.strip("^$"), name):
        yield Refusal("invalid_value", "json_schema.name.pattern", f"'{place}' does not match {pattern}.", place)
    elif longest is not None and len(name) > longest:
        yield Refusal(
            "string_too_long", "json_schema.name.length", f"'{place}' has more than {longest} characters.", place
        )


def _schema(context: Context, schema: dict[str, Json], *, strict: bool) -> Iterator[Refusal]:
    yield from schema_caps.refuse(context, schema, context.caps)
    stray = next(schemas.strays(schema), None)
    if stray:
        text = f"The schema is no JSON Schema: {stray[1]}."
        yield Refusal("invalid_schema", f"json_schema.reference.{stray[0]}", text, _PLACE)
    wrong = None if stray else schemas.invalid(schema, strict_json.DEEPEST)
    if wrong:
        yield Refusal("invalid_schema", "json_schema.schema.invalid", f"The schema is no JSON Schema: {wrong}.", _PLACE)
    if not strict or context.dialect.convention("strict.response_format") != "checked":
        return
    if schema.get("type") != "object" or "anyOf" in schema:
        yield Refusal("invalid_schema", "json_schema.strict.root", "The schema's root has to be an object.", _PLACE)
    for lax in schemas.laxities(schema, context.dialect.words("strict.unsupported")):
        text = f"The schema is not strict at {lax.pointer or 'the root'}: {lax.detail}."
        yield Refusal("invalid_schema", f"json_schema.strict.{lax.rule}", text, _PLACE)
