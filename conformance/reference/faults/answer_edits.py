"""Edits that faults of structured output share: another text for an answer, a value that breaks a schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jsonschema_rs

from conformance.reference import tokens
from conformance.reference.faults.call_edits import demanded, said
from conformance.reference.schemas import resolve
from conformance.reference.stages import Completion, Context
from conformance.wire import strict_json
from conformance.wire.strict_json import Json

_DEEPEST = 40
_SPOILED: tuple[Json, ...] = ({"wrong": 1}, "wrong", True, 12345.5)


@dataclass(frozen=True)
class Place:
    """A value inside an answer: the way to it, and the schema there, references resolved."""

    path: tuple[str | int, ...]
    schema: dict[str, Json]
    value: Json
    behind_reference: bool
    in_array: bool


def schema_of(context: Context, *, strict: bool | None = True) -> dict[str, Json] | None:
    """The schema of the format that the model sees; `strict` None takes any."""
    chat = demanded(context)
    declared = chat.body["response_format"].get("json_schema") if chat.format_type == "json_schema" else None
    if not isinstance(declared, dict) or not isinstance(declared.get("schema"), dict):
        return None
    found: dict[str, Json] = declared["schema"]
    return found if strict is None or (declared.get("strict") is True) is strict else None


def retold(completion: Completion, edit: Callable[[str], str | None]) -> Completion:
    """Every text that ended by itself as `edit` makes it; None leaves it."""
    choices = []
    for choice in completion.choices:
        whole = choice.finish_reason == "stop" and not choice.calls and bool(choice.content)
        text = edit(choice.content or "") if whole else None
        choices.append(choice if text is None else replace(choice, tokens=tokens.tokens_of(tokens.split(text))))
    return said(completion, *choices)


def dumped(value: Json) -> str:
    """A value as the model writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def places(root: Json, schema: Json, value: Json) -> Iterator[Place]:
    """Every value in an answer that properties, items, references and the one alternative that holds lead to."""
    yield from _places(root, schema, value, (), behind=False, within=False)


def _places(
    root: Json, schema: Json, value: Json, path: tuple[str | int, ...], *, behind: bool, within: bool
) -> Iterator[Place]:
    for _ in range(_DEEPEST):
        if not isinstance(schema, dict):
            return
        if isinstance(schema.get("$ref"), str):
            schema, behind = resolve(root, schema["$ref"]), True
        elif isinstance(schema.get("anyOf"), list):
            held = [item for item in schema["anyOf"] if _holds({**_definitions(root), **item}, value)]
            schema = held[0] if held else None
        else:
            break
    if not isinstance(schema, dict) or len(path) > _DEEPEST:
        return
    yield Place(path, schema, value, behind, within)
    if isinstance(value, dict) and isinstance(schema.get("properties"), dict):
        for name, inner in schema["properties"].items():
            if name in value:
                yield from _places(root, inner, value[name], (*path, name), behind=behind, within=within)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for position, item in enumerate(value):
            yield from _places(root, schema["items"], item, (*path, position), behind=behind, within=True)


def _definitions(root: Json) -> dict[str, Json]:
    return {"$defs": root["$defs"]} if isinstance(root, dict) and "$defs" in root else {}


@lru_cache(maxsize=512)
def _validator(text: str) -> Any:
    try:
        return jsonschema_rs.Draft202012Validator(json.loads(text), validate_formats=True)
    except (ValueError, jsonschema_rs.ValidationError):
        return None


def _holds(schema: Json, value: Json) -> bool:
    validator = _validator(json.dumps(schema))
    return validator is None or bool(validator.is_valid(value))


def put(value: Json, path: tuple[str | int, ...], new: Json) -> Json:
    """A copy with another value at a place."""
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = put(value[path[0]], path[1:], new)
    return copied


Turn = Callable[[Place], Iterator[Json]]


def misfit(place: Place) -> Iterator[Json]:
    """Values of other types."""
    yield from _SPOILED


def spoiled(schema: dict[str, Json], text: str, wanted: Callable[[Place], bool], turn: Turn = misfit) -> str | None:
    """The answer with the first value that can be turned into one that breaks the schema, of the places wanted."""
    document = strict_json.parse(text)
    if not document.ok:
        return None
    for place in places(schema, schema, document.value):
        if not place.path or not wanted(place):
            continue
        for new in turn(place):
            made = put(document.value, place.path, new)
            if not _holds(schema, made):
                return dumped(made)
    return None
