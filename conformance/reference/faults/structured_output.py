"""Faults of response_format: formats that are ignored, refused without need, or taken though they are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from conformance.reference.arguments import instance
from conformance.reference.faults.answer_edits import dumped, retold, schema_of
from conformance.reference.faults.call_edits import after_result, demanded, said, saying, skipping, turning_down
from conformance.reference.stages import Completion, Context, ErrorReply, Refusal, Reply, Stage, fault
from conformance.wire.chat_request import Choosing
from conformance.wire.strict_json import Json

_STRICT_JSON = "structured_output.strict.answer_is_json"
_JSON_MODE = "structured_output.json_object.answer_is_json"
_LOOSE = "structured_output.loose.answer_satisfies_the_schema"


def _without_format(demand: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in demand.items() if key != "response_format"}


@fault(
    "rf-ignored",
    at=Stage.DEMAND,
    violates=[_STRICT_JSON, _JSON_MODE],
    entails={_LOOSE: "schemas without strict are ignored too"},
    thread="https://github.com/webai-at-home/webai-at-home/issues/191",
)
def ignored(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """A response_format is taken and never read."""
    return _without_format(demand)


@fault(
    "rf-schema-ignored",
    at=Stage.DEMAND,
    violates=[_STRICT_JSON],
    entails={_LOOSE: "schemas without strict are ignored too"},
    thread="https://github.com/ggml-org/llama.cpp/issues/24097",
    condition="only json_schema",
)
def schema_ignored(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """A json_schema is taken and never read."""
    return _without_format(demand) if context.chat.format_type == "json_schema" else demand


@fault(
    "rf-ignored-stream",
    at=Stage.DEMAND,
    violates=[_STRICT_JSON, _JSON_MODE],
    entails={"stream.parity.same_text": "unstreamed, the format is kept"},
    thread="https://github.com/mozilla-ai/any-llm/pull/1165",
    condition="only streamed",
)
def ignored_stream(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """A response_format is dropped in streams."""
    return _without_format(demand) if context.streamed else demand


@fault(
    "rf-ignored-without-required",
    at=Stage.DEMAND,
    violates=[_STRICT_JSON],
    entails={_LOOSE: "schemas without strict are ignored too"},
    thread="https://github.com/microsoft/foundry-local/issues/1042",
    condition="unless tool_choice is required",
)
def ignored_without_required(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """A json_schema is read only where a call is required."""
    forced = context.chat.choosing is Choosing.REQUIRED
    return demand if forced or context.chat.format_type != "json_schema" else _without_format(demand)


@fault(
    "rf-ignored-for-many",
    at=Stage.DEMAND,
    violates=[_STRICT_JSON, _JSON_MODE],
    dialects=("openai",),
    condition="only if n is 2 or more",
)
def ignored_for_many(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Where several choices are asked for, a response_format is dropped."""
    formed = context.chat.format_type in ("json_schema", "json_object") and (context.chat.n or 1) > 1
    return _without_format(demand) if formed else demand


@fault(
    "rf-ignored-after-result",
    at=Stage.DEMAND,
    violates=[_STRICT_JSON],
    dialects=("openai",),
    condition="only after a tool result",
)
def ignored_after_result(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Once a tool has answered, a json_schema is dropped."""
    return _without_format(demand) if after_result(context) and context.chat.format_type == "json_schema" else demand


@fault("rf-json-object-fenced", at=Stage.COMPLETION, violates=[_JSON_MODE])
def json_object_fenced(completion: Completion, context: Context) -> Completion:
    """JSON mode wraps its JSON in a code block."""
    if demanded(context).format_type != "json_object":
        return completion
    return retold(completion, lambda text: f"```json\n{text}\n```")


@fault("rf-json-object-array", at=Stage.COMPLETION, violates=["structured_output.json_object.answer_is_an_object"])
def json_object_array(completion: Completion, context: Context) -> Completion:
    """JSON mode answers by an array."""
    return (
        retold(completion, lambda text: f"[{text}]") if demanded(context).format_type == "json_object" else completion
    )


@fault("rf-text-as-json", at=Stage.COMPLETION, violates=["structured_output.text.is_no_json_mode"])
def text_as_json(completion: Completion, context: Context) -> Completion:
    """The format text is treated as JSON mode."""
    if demanded(context).format_type != "text":
        return completion
    return retold(completion, lambda text: dumped({"answer": "Hi"}))


fault(
    "rf-text-400",
    at=Stage.REFUSAL,
    violates=["structured_output.text.is_accepted"],
    thread="https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/307",
)(
    turning_down(
        "The default format is refused.",
        lambda context: context.chat.format_type == "text",
        "invalid_value",
        "'response_format.type' must be 'json_schema'.",
        "response_format",
    )
)
fault("rf-json-word-200", at=Stage.REFUSAL, violates=["structured_output.json_object.needs_the_word"])(
    skipping("JSON mode is taken without the word JSON.", "response_format.json_word")
)
fault(
    "rf-type-unknown-200",
    at=Stage.REFUSAL,
    violates=["structured_output.type.is_checked"],
)(
    skipping(
        "A response_format of any type is taken.",
        "response_format.type",
        "response_format.kind",
        "response_format.kind.missing",
    )
)


@fault(
    "rf-empty-content",
    at=Stage.COMPLETION,
    violates=["structured_output.content.is_not_empty"],
    thread="https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1684",
)
def empty_content(completion: Completion, context: Context) -> Completion:
    """Answers under a schema are empty."""
    if schema_of(context, strict=None) is None:
        return completion
    made = [
        choice if choice.calls or choice.finish_reason != "stop" else replace(choice, tokens=())
        for choice in completion.choices
    ]
    return said(completion, *made)


def _lenient(name: str, violates: str, says: str, *checks: str, entails: dict[str, str] | None = None) -> None:
    """A fault that overlooks these checks."""
    fault(name, at=Stage.REFUSAL, violates=[f"structured_output.{violates}"], entails=entails)(skipping(says, *checks))


_lenient(
    "rf-json-schema-missing-200",
    "json_schema.needs_its_object",
    "The format json_schema is taken without its object.",
    "json_schema.shape",
)
_lenient(
    "rf-name-too-long-200", "name.too_long_is_refused", "Names of any length are taken.", "json_schema.name.length"
)
_lenient("rf-strict-word-200", "strict.non_boolean_is_refused", "Words are taken as strict.", "json_schema.strict.type")
_lenient(
    "rf-description-number-200",
    "description.non_string_is_refused",
    "Numbers are taken as descriptions.",
    "json_schema.description.type",
)
_lenient(
    "rf-schema-array-200", "schema.non_object_is_refused", "Arrays are taken as schemas.", "json_schema.schema.type"
)
_lenient(
    "rf-invalid-schema-200",
    "schema.invalid_is_refused",
    "Schemas that are none are taken.",
    "json_schema.schema.invalid",
)
_lenient(
    "rf-open-object-200",
    "strict.open_object_is_refused",
    "Strict schemas may have open objects.",
    "json_schema.strict.additional_properties",
)
_lenient(
    "rf-optional-property-200",
    "strict.optional_property_is_refused",
    "Strict schemas may have optional properties.",
    "json_schema.strict.required",
)
_lenient(
    "rf-root-array-200", "strict.other_root_is_refused", "Strict roots may be anything.", "json_schema.strict.root"
)
_lenient(
    "rf-keyword-200",
    "strict.unsupported_keyword_is_refused",
    "Strict schemas may have any keyword.",
    "json_schema.strict.keyword",
)
_lenient(
    "rf-dangling-reference-200",
    "reference.dangling_is_refused",
    "References may lead nowhere.",
    "json_schema.reference.dangling",
)
_lenient(
    "rf-remote-reference-200",
    "reference.remote_is_refused",
    "References may lead out of the schema.",
    "json_schema.reference.remote",
)


@fault("rf-nameless-200", at=Stage.REFUSAL, violates=["structured_output.name.is_required"])
def nameless_200(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Formats without a name are taken."""
    if refusal is None:
        return None
    empty = refusal.check == "json_schema.name.pattern" and refusal.kind == "string_too_short"
    return None if empty or refusal.check in ("json_schema.name.missing", "json_schema.name.type") else refusal


@fault("rf-name-pattern-200", at=Stage.REFUSAL, violates=["structured_output.name.pattern_is_enforced"])
def name_pattern_200(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Names with any characters are taken."""
    odd = refusal is not None and refusal.check == "json_schema.name.pattern" and refusal.kind != "string_too_short"
    return None if odd else refusal


@fault("rf-circle-500", at=Stage.REFUSAL, violates=["structured_output.reference.circle_is_refused"])
def circle_500(refusal: Refusal | None, context: Context) -> Refusal | None:
    """References that lead in a circle are followed until the stack is full."""
    if refusal is not None and refusal.check == "json_schema.reference.cycle":
        return Refusal("internal", "fault", "maximum recursion depth exceeded")
    return refusal


def _declared(context: Context) -> dict[str, Json]:
    body = context.body or {}
    found = body["response_format"].get("json_schema") if context.chat.format_type == "json_schema" else None
    return found if isinstance(found, dict) else {}


fault("rf-longest-name-400", at=Stage.REFUSAL, violates=["structured_output.name.longest_is_accepted"])(
    turning_down(
        "Names of 64 characters are refused.",
        lambda context: len(_declared(context).get("name", "")) == 64,
        "string_too_long",
        "'response_format.json_schema.name' is too long.",
        "response_format.json_schema.name",
    )
)
fault("rf-strict-unknown-400", at=Stage.REFUSAL, violates=["structured_output.strict.booleans_are_accepted"])(
    turning_down(
        "The field strict is not known.",
        lambda context: "strict" in _declared(context),
        "invalid_value",
        "'response_format.json_schema.strict' is not known.",
        "response_format.json_schema.strict",
    )
)
fault("rf-description-required", at=Stage.REFUSAL, violates=["structured_output.description.is_optional"])(
    turning_down(
        "Formats without a description are refused.",
        lambda context: bool(_declared(context)) and "description" not in _declared(context),
        "missing_parameter",
        "'response_format.json_schema.description' is missing.",
        "response_format.json_schema.description",
    )
)
fault(
    "rf-always-error",
    at=Stage.REFUSAL,
    violates=["structured_output.json_schema.is_in_no_conflict"],
    thread="https://github.com/ggml-org/llama.cpp/issues/11847",
)(
    turning_down(
        "Every json_schema is refused for a conflict with a grammar that nobody sent.",
        lambda context: bool(_declared(context)),
        "invalid_value",
        'Either "json_schema" or "grammar" can be specified, but not both',
    )
)


def _holds(value: Json, word: str) -> bool:
    """The word is a key somewhere in a JSON value."""
    if isinstance(value, dict):
        return word in value or any(_holds(item, word) for item in value.values())
    return isinstance(value, list) and any(_holds(item, word) for item in value)


fault(
    "rf-ref-unsupported",
    at=Stage.REFUSAL,
    violates=["structured_output.reference.local_is_accepted"],
    thread="https://github.com/abetlen/llama-cpp-python/issues/1048",
)(
    turning_down(
        "References are not supported.",
        lambda context: _holds(_declared(context).get("schema"), "$ref"),
        "invalid_schema",
        "$ref is not supported",
        "response_format",
    )
)
fault(
    "rf-open-object-400",
    at=Stage.REFUSAL,
    violates=["structured_output.strict.open_object_is_accepted"],
    dialects=("xerotier", "aurous"),
)(
    turning_down(
        "Strict schemas have to be closed, though no document says so.",
        lambda context: schema_of_request(context) is not None and not _is_closed(schema_of_request(context)),
        "invalid_schema",
        "'additionalProperties' is required to be supplied and to be false.",
        "response_format",
    )
)


def schema_of_request(context: Context) -> dict[str, Json] | None:
    """The schema of a strict format as sent."""
    declared = _declared(context)
    schema = declared.get("schema")
    return schema if declared.get("strict") is True and isinstance(schema, dict) else None


def _is_closed(schema: Json) -> bool:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            return False
        return all(map(_is_closed, schema.values()))
    return all(map(_is_closed, schema)) if isinstance(schema, list) else True


def _recurs(context: Context) -> bool:
    schema = _declared(context).get("schema")
    texts = dumped(schema) if isinstance(schema, dict) else ""
    return '"$ref":"#"' in texts or '"$ref":"#/$defs/node"' in texts


@fault(
    "rf-recursive-aborts",
    at=Stage.REFUSAL,
    violates=["structured_output.reference.recursion_is_survived"],
    thread="https://github.com/vllm-project/vllm/issues/57725",
)
def recursive_aborts(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A recursive schema passes validation, and then kills the request."""
    if refusal is None and context.route == "POST /chat/completions" and _recurs(context):
        return Refusal("internal", "fault", "EngineCore encountered an issue")
    return refusal


@fault(
    "rf-recursive-aborts-streamed",
    at=Stage.CHUNKS,
    violates=["structured_output.reference.recursion_is_survived"],
    thread="https://github.com/vllm-project/vllm/issues/57725",
    condition="only streamed, in the middle of the answer",
)
def recursive_aborts_streamed(chunks: list[dict[str, Json] | str], context: Context) -> list[dict[str, Json] | str]:
    """A stream under a recursive schema breaks off with an error."""
    if not _recurs(context):
        return chunks
    error: dict[str, Json] = {
        "error": {"message": "EngineCore encountered an issue", "type": "server_error", "code": "internal_error"}
    }
    return [*chunks[:2], error]


@fault(
    "rf-suppresses-tools",
    at=Stage.COMPLETION,
    violates=["tool_choice.required.calls_a_tool", "tool_choice.named.calls_the_function"],
    thread="https://github.com/vllm-project/vllm/issues/39929",
    condition="only with a schema beside the tools",
    dialects=("openai", "aurous"),
)
def suppresses_tools(completion: Completion, context: Context) -> Completion:
    """A schema beside tools keeps every call from being made."""
    schema = schema_of(context, strict=None)
    if schema is None or not any(choice.calls for choice in completion.choices):
        return completion
    text = dumped(instance(schema))
    return said(completion, *(saying(choice, text) for choice in completion.choices))


@fault(
    "rf-refusal-beside-content",
    at=Stage.COMPLETION,
    violates=["structured_output.refusal.has_no_content"],
    dialects=("openai", "xerotier"),
)
def refusal_beside_content(completion: Completion, context: Context) -> Completion:
    """A refusal stands in content too."""
    if schema_of(context) is None or demanded(context).wants_logprobs:
        return completion
    text = "I cannot help with that."
    made = [
        choice if choice.calls or choice.finish_reason != "stop" else replace(saying(choice, text), refusal=text)
        for choice in completion.choices
    ]
    return said(completion, *made)


@fault("rf-param-elsewhere", at=Stage.ERROR, violates=["structured_output.refusal.names_the_format"])
def param_elsewhere(reply: ErrorReply, context: Context) -> ErrorReply:
    """The refusal of a schema's form names the model."""
    if context.refusal is None or not context.refusal.check.startswith("json_schema."):
        return reply
    return replace(reply, body={**reply.body, "error": {**reply.body["error"], "param": "model"}})


def _urls(value: Json) -> Iterator[str]:
    """The URLs of references in a JSON value."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(("http://", "https://")):
            yield reference
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _urls(item)


@fault("rf-remote-reference-fetched", at=Stage.REPLY, violates=["structured_output.reference.remote_is_not_called"])
def remote_reference_fetched(reply: Reply, context: Context) -> Reply:
    """References to URLs are followed, and the request is refused all the same."""
    return replace(reply, fetches=tuple(_urls(schema_of_request(context))))
