"""Faults of structured answers: schemas that are taken and not, or not everywhere, enforced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from conformance.reference.faults.answer_edits import (
    Place,
    Turn,
    dumped,
    misfit,
    places,
    put,
    retold,
    schema_of,
    spoiled,
)
from conformance.reference.stages import Completion, Context, Hook, Stage, fault
from conformance.wire import strict_json
from conformance.wire.strict_json import Json, is_integer, is_number

_SATISFIES = "structured_output.strict.answer_satisfies_the_schema"
_PATTERNS = "structured_output.strict.patterns_are_kept"
_PLAIN = re.compile("[A-Za-z0-9_-]+")
_BOUNDS = "structured_output.strict.bounds_are_kept"


def _unenforced(
    says: str,
    wanted: Callable[[Place], bool] = lambda place: True,
    turn: Turn = misfit,
    *,
    when: Callable[[Context], bool] = lambda context: True,
) -> Hook:
    """A COMPLETION hook: in strict answers the first of the wanted places holds what its schema forbids."""

    def hook(completion: Completion, context: Context) -> Completion:
        schema = schema_of(context)
        if schema is None or not when(context):
            return completion
        return retold(completion, lambda text: spoiled(schema, text, wanted, turn))

    hook.__doc__ = says
    return hook


def _properties(context: Context) -> int:
    return len((schema_of(context) or {}).get("properties") or ())


fault(
    "rf-violates-schema",
    at=Stage.COMPLETION,
    violates=[_SATISFIES],
    thread="https://github.com/ollama/ollama/issues/8063",
)(_unenforced("Strict answers hold a value of another type."))
fault(
    "rf-violates-enum-behind-ref",
    at=Stage.COMPLETION,
    violates=[_SATISFIES],
    thread="https://github.com/ggml-org/llama.cpp/issues/8073",
    condition="only enums behind $ref",
)(
    _unenforced(
        "An enum behind a reference is answered by an object.",
        lambda place: place.behind_reference and "enum" in place.schema,
        lambda place: iter([{}]),
    )
)
fault("rf-unenforced-behind-ref", at=Stage.COMPLETION, violates=[_SATISFIES], condition="only behind $ref")(
    _unenforced("What stands behind a reference is not enforced.", lambda place: place.behind_reference)
)
fault("rf-unenforced-in-arrays", at=Stage.COMPLETION, violates=[_SATISFIES], condition="only inside arrays")(
    _unenforced("What stands in arrays is not enforced.", lambda place: place.in_array)
)
fault("rf-unenforced-when-wide", at=Stage.COMPLETION, violates=[_SATISFIES], condition="only above eight properties")(
    _unenforced(
        "Schemas of more than eight properties are not enforced.", when=lambda context: _properties(context) > 8
    )
)
fault(
    "rf-unenforced-odd-names",
    at=Stage.COMPLETION,
    violates=[_SATISFIES],
    condition="only properties whose names are not plain words",
)(
    _unenforced(
        "Properties with unusual names are not enforced.",
        lambda place: isinstance(place.path[-1], str) and _PLAIN.fullmatch(place.path[-1]) is None,
    )
)
fault(
    "rf-unenforced-streamed",
    at=Stage.COMPLETION,
    violates=[_SATISFIES],
    entails={"stream.parity.same_text": "unstreamed, the schema is kept"},
    condition="only streamed",
)(_unenforced("Schemas are not enforced in streams.", when=lambda context: context.streamed))


@fault("rf-extra-key", at=Stage.COMPLETION, violates=[_SATISFIES], condition="only nested objects")
def extra_key(completion: Completion, context: Context) -> Completion:
    """Nested closed objects have a member too many."""

    def turn(place: Place) -> Iterator[Json]:
        yield {**place.value, "surplus": 1}

    return _edited(completion, context, lambda place: isinstance(place.value, dict), turn)


def _edited(completion: Completion, context: Context, wanted: Callable[[Place], bool], turn: Turn) -> Completion:
    schema = schema_of(context)
    return completion if schema is None else retold(completion, lambda text: spoiled(schema, text, wanted, turn))


fault("rf-unenforced-pattern", at=Stage.COMPLETION, violates=[_PATTERNS], condition="only pattern")(
    _unenforced(
        "Patterns are not enforced.",
        lambda place: isinstance(place.value, str) and "pattern" in place.schema,
        lambda place: iter(["~ no match ~", f"{place.value}~", f"~{place.value}"]),
    )
)
fault("rf-unenforced-format", at=Stage.COMPLETION, violates=["structured_output.strict.formats_are_kept"])(
    _unenforced(
        "Formats are not enforced.",
        lambda place: place.schema.get("format") in ("date", "email", "ipv4", "ipv6", "uuid"),
        lambda place: iter(["no such thing"]),
    )
)


def _beyond(place: Place) -> Iterator[Json]:
    """Numbers just out of bounds, and arrays of too many or too few items."""
    schema, value = place.schema, place.value
    if isinstance(value, list):
        if is_integer(schema.get("minItems")) and schema["minItems"] > 0:
            yield value[: schema["minItems"] - 1]
        if is_integer(schema.get("maxItems")) and value:
            yield [value[0]] * (schema["maxItems"] + 1)
    elif is_number(value):
        for word, step in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0), ("exclusiveMaximum", 0)):
            if is_number(schema.get(word)):
                yield schema[word] + step
        if is_number(schema.get("multipleOf")):
            yield value + 1


fault("rf-unenforced-bounds", at=Stage.COMPLETION, violates=[_BOUNDS])(
    _unenforced("Bounds of numbers and arrays are not enforced.", turn=_beyond)
)
fault("rf-unenforced-items-count", at=Stage.COMPLETION, violates=[_BOUNDS], condition="only minItems and maxItems")(
    _unenforced("The number of items is not enforced.", lambda place: isinstance(place.value, list), _beyond)
)
fault(
    "rf-unenforced-length",
    at=Stage.COMPLETION,
    violates=["structured_output.strict.every_keyword_is_kept"],
    condition="only maxLength",
)(
    _unenforced(
        "The length of strings is not enforced.",
        lambda place: is_integer(place.schema.get("maxLength")),
        lambda place: iter(["x" * (place.schema["maxLength"] + 1)]),
    )
)


@fault(
    "rf-integer-as-float",
    at=Stage.COMPLETION,
    violates=["structured_output.strict.integers_are_whole"],
    condition="only integers, 1.0 for 1",
)
def integer_as_float(completion: Completion, context: Context) -> Completion:
    """Integers are written with a fraction."""
    schema = schema_of(context)

    def edit(text: str) -> str | None:
        made = strict_json.parse(text).value
        for place in places(schema, schema, made):
            if place.schema.get("type") == "integer" and place.path:
                made = put(made, place.path, float(place.value))
        return dumped(made)

    return completion if schema is None else retold(completion, edit)


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@fault("rf-keys-sorted", at=Stage.COMPLETION, violates=["structured_output.strict.keys_keep_their_order"])
def keys_sorted(completion: Completion, context: Context) -> Completion:
    """Keys come in alphabetical order."""
    if schema_of(context) is None:
        return completion
    return retold(completion, lambda text: dumped(_sorted(strict_json.parse(text).value)))


@fault(
    "rf-loose-unenforced",
    at=Stage.COMPLETION,
    violates=["structured_output.loose.answer_satisfies_the_schema"],
    condition="only without strict",
)
def loose_unenforced(completion: Completion, context: Context) -> Completion:
    """Without strict the schema is ignored, and the answer is some JSON."""
    if schema_of(context, strict=False) is None:
        return completion
    return retold(completion, lambda text: dumped({"answer": "Hello!"}))
