"""Legal forms of structured answers: what no document promises, and what JSON leaves open."""

from __future__ import annotations

import json

from conformance.reference import tokens
from conformance.reference.faults.answer_edits import dumped, retold, schema_of, spoiled
from conformance.reference.faults.call_edits import demanded
from conformance.reference.stages import Completion, Context, Stage, variation
from conformance.wire import strict_json
from conformance.wire.strict_json import is_integer

_BEST_EFFORT = "https://docs.aurous-labs.com/api-reference/chat/structured-output best-effort"


@variation("structured-json-spaced", at=Stage.COMPLETION, legal="RFC 8259, section 2: whitespace is allowed")
def json_spaced(completion: Completion, context: Context) -> Completion:
    """Structured answers are indented, and end with a line end, where the token limit leaves room for it."""
    chat = demanded(context)
    if chat.format_type not in ("json_object", "json_schema"):
        return completion

    def spaced(text: str) -> str | None:
        document = strict_json.parse(text)
        made = json.dumps(document.value, indent=2, ensure_ascii=False) + "\n" if document.ok else text
        return made if chat.token_limit is None or len(tokens.split(made)) <= chat.token_limit else None

    return retold(completion, spaced)


@variation("structured-json-escaped", at=Stage.COMPLETION, legal="RFC 8259, section 7: any character may be escaped")
def json_escaped(completion: Completion, context: Context) -> Completion:
    """Structured answers escape every character beyond ASCII."""
    if demanded(context).format_type not in ("json_object", "json_schema"):
        return completion

    def escaped(text: str) -> str | None:
        document = strict_json.parse(text)
        return json.dumps(document.value, separators=(",", ":")) if document.ok else None

    return retold(completion, escaped)


@variation(
    "loose-schema-best-effort",
    at=Stage.COMPLETION,
    legal=f"{_BEST_EFFORT}; ResponseFormatJsonSchema.strict defaults to false",
    dialects=("openai", "aurous"),
)
def loose_schema_best_effort(completion: Completion, context: Context) -> Completion:
    """Without strict an answer is JSON that leaves the schema."""
    schema = schema_of(context, strict=False)
    return completion if schema is None else retold(completion, lambda text: dumped({"answer": 4}))


@variation("patterns-and-bounds-best-effort", at=Stage.COMPLETION, legal=_BEST_EFFORT, dialects=("aurous",))
def patterns_and_bounds_best_effort(completion: Completion, context: Context) -> Completion:
    """Patterns, formats and bounds are not enforced, even in strict mode."""
    schema = schema_of(context)
    if schema is None:
        return completion
    edited = retold(
        completion,
        lambda text: spoiled(
            schema,
            text,
            lambda place: isinstance(place.value, str) and bool({"pattern", "format"} & place.schema.keys()),
            lambda place: iter(["anything"]),
        ),
    )
    return retold(
        edited,
        lambda text: spoiled(
            schema,
            text,
            lambda place: is_integer(place.value) and is_integer(place.schema.get("maximum")),
            lambda place: iter([place.schema["maximum"] + 1]),
        ),
    )


@variation(
    "answer-stands-twice",
    at=Stage.COMPLETION,
    legal="seen in recorded answers of the original API: the JSON again on a second line, beside tools",
    dialects=("openai",),
)
def answer_stands_twice(completion: Completion, context: Context) -> Completion:
    """Beside tools a structured answer stands there twice, one to a line."""
    chat = demanded(context)
    if chat.format_type != "json_schema" or not chat.tools:
        return completion
    return retold(completion, lambda text: f"{text}\n{text}")
