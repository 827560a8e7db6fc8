"""Legal differences in how deep and how large a schema may be, where no document gives a number."""

from __future__ import annotations

from conformance.reference import schemas
from conformance.reference.stages import Context, Refusal, Stage, variation
from conformance.wire import strict_json
from conformance.wire.strict_json import Json

_OPEN = "the documents name the caps and give no number"
_UNNUMBERED = ("xerotier", "aurous")
_LEVELS = 12
_BYTES = 5_000
_BODY = 9_000
_NESTING = 40


def _schema(context: Context) -> dict[str, Json] | None:
    form = (context.body or {}).get("response_format")
    declared = form.get("json_schema") if isinstance(form, dict) else None
    found = declared.get("schema") if isinstance(declared, dict) else None
    return found if isinstance(found, dict) else None


def _refused(kind: str) -> Refusal:
    return Refusal(f"schema_{kind}", f"json_schema.{kind}", "The schema is over a cap.", "response_format")


@variation("schema-caps-lower", at=Stage.REFUSAL, legal=_OPEN, dialects=_UNNUMBERED)
def caps_lower(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The caps are lower; what is over both is too large."""
    schema = _schema(context)
    if schema is None or refusal is not None:
        return refusal
    if len(strict_json.dump(schema)) > _BYTES:
        return _refused("too_large")
    return _refused("too_deep") if schemas.measure(schema).containers > _LEVELS else None


@variation("schema-caps-none", at=Stage.REFUSAL, legal=_OPEN, dialects=_UNNUMBERED)
def caps_none(refusal: Refusal | None, context: Context) -> Refusal | None:
    """There are no caps but that of the JSON parser."""
    capped = refusal is not None and refusal.check in ("json_schema.too_deep", "json_schema.too_large")
    return None if capped and context.body is not None else refusal


@variation("schema-depth-as-json", at=Stage.REFUSAL, legal=_OPEN, dialects=_UNNUMBERED)
def depth_as_json(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Depth is counted in levels of JSON, anew from each definition."""
    schema = _schema(context)
    if schema is None or refusal is not None:
        return refusal
    return _refused("too_deep") if max(node.nesting for node in schemas.walk(schema)) > _NESTING else None


@variation(
    "proxy-413",
    at=Stage.REFUSAL,
    legal="RFC 9110, section 15.5.14: a server in front may refuse long bodies",
    dialects=("openai", "xerotier"),
)
def proxy_413(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Requests with a schema and a long body are refused by their length."""
    if _schema(context) is None or len(context.request.body or b"") <= _BODY:
        return refusal
    return Refusal("body_too_large", "body.too_large", f"The body has more than {_BODY} bytes.")
