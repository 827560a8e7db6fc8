"""Caps on schemas that are counted wrongly, named wrongly, told apart wrongly, or that harm who meets them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.reference import schemas
from conformance.reference.faults.call_edits import skipping, turning_down
from conformance.reference.stages import Context, ErrorReply, Refusal, Reply, Stage, fault
from conformance.wire.strict_json import Json

_CRASH = "https://github.com/ggml-org/llama.cpp/issues/25283"
_DEEP, _LARGE = "json_schema.too_deep", "json_schema.too_large"
_FIVE = 5
_FEW_VALUES = 500
_OVERFLOW = 3
"""So many times the cap, the counter is full."""
_THOUSAND = 1000
_POISONED = "schema_limits.poisoned"


def _schema(context: Context) -> dict[str, Json]:
    """The schema of a request, or an empty one."""
    form = (context.body or {}).get("response_format")
    declared = form.get("json_schema") if isinstance(form, dict) else None
    found = declared.get("schema") if isinstance(declared, dict) else None
    return found if isinstance(found, dict) else {}


def _expanded(root: Json, schema: Json, seen: frozenset[str] = frozenset()) -> int:
    """Objects and arrays around one another with each reference followed, once on a path."""
    if not isinstance(schema, dict):
        return 0
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return 0 if reference in seen else _expanded(root, schemas.resolve(root, reference), seen | {reference})
    properties = schema.get("properties")
    inner: list[Json] = list(properties.values()) if isinstance(properties, dict) else []
    inner += [schema["items"]] if "items" in schema else []
    inner += schema["anyOf"] if isinstance(schema.get("anyOf"), list) else []
    own = schema.get("type") in ("object", "array")
    return own + max((_expanded(root, item, seen) for item in inner), default=0)


def _too_deep_with_references(context: Context) -> bool:
    schema = _schema(context)
    return "$defs" in schema and _expanded(schema, schema) > context.caps.depth


fault(
    "rf-depth-counts-refs",
    at=Stage.REFUSAL,
    violates=["structured_output.limits.ref_resets_depth"],
    dialects=("aurous",),
)(
    turning_down(
        "Depth is counted after references are expanded.",
        _too_deep_with_references,
        "schema_too_deep",
        "The schema nests too deeply for the parser.",
        "response_format",
    )
)
fault(
    "rf-definitions-uncapped",
    at=Stage.REFUSAL,
    violates=["structured_output.limits.definitions_are_capped"],
    dialects=("aurous",),
    condition="the schema has definitions",
)(skipping("Depth is not counted in definitions.", _DEEP, when=lambda context: "$defs" in _schema(context)))


def _renamed(name: str, check: str, kind: str, violates: str, says: str) -> None:
    """Register a fault that reports one cap as another kind of error."""

    def hook(refusal: Refusal | None, context: Context) -> Refusal | None:
        return replace(refusal, kind=kind) if refusal is not None and refusal.check == check else refusal

    hook.__doc__ = says
    fault(name, at=Stage.REFUSAL, violates=[f"structured_output.limits.{violates}"], dialects=("aurous",))(hook)


_APART = "depth_and_size_are_told_apart"
_renamed("rf-size-reported-as-depth", _LARGE, "schema_too_deep", _APART, "A schema over the byte cap is too deep.")
_renamed("rf-depth-reported-as-size", _DEEP, "schema_too_large", _APART, "A schema that nests too deeply is too large.")
_renamed("rf-depth-unnamed", _DEEP, "invalid_schema", "too_deep_is_named", "Too deep is invalid_format like the rest.")
_renamed(
    "rf-size-unnamed", _LARGE, "invalid_schema", "too_large_is_named", "Too large is invalid_format like the rest."
)


def _answers_500(name: str, check: str, says: str, condition: str | None = None, word: str = "") -> None:
    """Register a fault that meets a cap by an internal error; `word` has to stand in the request."""

    def hook(error: ErrorReply, context: Context) -> ErrorReply:
        refusal = context.refusal
        if refusal is None or refusal.check != check or word.encode() not in (context.request.body or b""):
            return error
        message = {"message": "Internal error", "type": context.dialect.error("internal").types[0]}
        envelope: dict[str, Any] = {**error.body["error"], **message}
        if isinstance(envelope["code"], str):
            envelope["code"] = (context.dialect.error("internal").codes or ("internal_error",))[0]
        if "doc_url" in envelope:
            envelope["doc_url"] = f"{context.dialect.convention('error.doc_url')}{envelope['code']}"
        return replace(error, status=500, body={"error": envelope})

    hook.__doc__ = says
    fault(name, at=Stage.ERROR, violates=["structured_output.limits.are_no_5xx"], thread=_CRASH, condition=condition)(
        hook
    )


_answers_500("rf-depth-cap-500", _DEEP, "The parser's recursion limit is an internal error.")
_answers_500(
    "rf-arrays-cap-500", _DEEP, "Arrays of arrays overrun the parser.", "only through arrays", '"items":{"type":"array"'
)


@fault(
    "rf-depth-overflows",
    at=Stage.REFUSAL,
    violates=["structured_output.limits.are_monotonic"],
    dialects=("xerotier", "aurous"),
    condition="only far over the cap",
)
def depth_overflows(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The counter of levels overflows: what is far over the cap is taken."""
    if refusal is None or refusal.check != _DEEP or context.body is None:
        return refusal
    return None if schemas.measure(_schema(context)).containers > _OVERFLOW * context.caps.depth else refusal


def _nests_a_thousand_levels(context: Context) -> bool:
    return context.body is None and (context.request.body or b"").count(b'"items":') > _THOUSAND


@fault("rf-deep-schema-crash", at=Stage.REPLY, violates=["structured_output.limits.get_an_answer"], thread=_CRASH)
def deep_schema_crash(reply: Reply, context: Context) -> Reply:
    """A schema nested a thousand levels deep overflows the stack: the connection drops."""
    return replace(reply, pieces=(), broken=True) if _nests_a_thousand_levels(context) else reply


@fault(
    "rf-deep-schema-poisons",
    at=Stage.REFUSAL,
    violates=["structured_output.limits.next_request_works"],
    entails={"requests.valid.gets_no_server_error": "the requests that fail are plain and valid"},
    thread=_CRASH,
)
def deep_schema_poisons(refusal: Refusal | None, context: Context) -> Refusal | None:
    """After a schema nested a thousand levels deep the worker restarts: requests fail meanwhile."""
    left = context.state.get(_POISONED, 0)
    if _nests_a_thousand_levels(context):
        context.state[_POISONED] = 2
    elif refusal is None and left > 0:
        context.state[_POISONED] = left - 1
        return Refusal("internal", "fault", "The worker is restarting.")
    return refusal


fault(
    "rf-five-levels",
    at=Stage.REFUSAL,
    violates=["structured_output.limits.documented_sizes_are_taken"],
    dialects=("openai",),
    thread="https://github.com/tidyverse/ellmer/issues/671",
)(
    turning_down(
        "Five levels of nesting are the most, as once.",
        lambda context: schemas.measure(_schema(context)).levels > _FIVE,
        "schema_too_deep",
        f"Invalid schema: it has more than {_FIVE} levels of nesting.",
        "response_format",
    )
)
fault(
    "rf-five-hundred-values",
    at=Stage.REFUSAL,
    violates=["structured_output.limits.documented_sizes_are_taken"],
    dialects=("openai",),
    thread="https://community.openai.com/t/500-enums-limitation-in-structured-output/974416",
)(
    turning_down(
        "Five hundred enum values are the most, as once.",
        lambda context: schemas.measure(_schema(context)).enum_values > _FEW_VALUES,
        "schema_too_large",
        f"Invalid schema: expected at most {_FEW_VALUES} enum values in total.",
        "response_format",
    )
)
fault(
    "rf-limits-unenforced",
    at=Stage.REFUSAL,
    violates=["structured_output.limits.documented_limits_are_enforced"],
    dialects=("openai",),
)(skipping("Schemas of any size are taken.", _DEEP, _LARGE))
