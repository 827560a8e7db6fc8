"""Errors that clients cannot read, or that tell them the wrong thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance.reference.stages import Context, ErrorReply, Reply, Stage, fault
from conformance.wire.strict_json import Json

Envelope = dict[str, Json]
_CODELESS = {"tool_choice.required.refusal_has_its_code": "no refusal has its code where it is looked for"}
_NAMELESS = {
    **_CODELESS,
    "tool_calls.results.missing_is_named": "what the error names is not where it is looked for",
    "tools.custom.is_accepted_or_refused": "what the error names is not where it is looked for",
}


def _about_the_body(context: Context) -> bool:
    """The refusal is about the body of a chat request."""
    refusal = context.refusal
    outside = ("auth.", "route.", "body.", "model.unknown")
    return refusal is not None and not refusal.check.startswith(outside) and context.route == "POST /chat/completions"


def _edited(error: ErrorReply, edit: Callable[[Envelope], Envelope]) -> ErrorReply:
    """The reply with another envelope."""
    return replace(error, body={**error.body, "error": edit(error.body["error"])})


def _without(error: ErrorReply, *keys: str) -> ErrorReply:
    return _edited(error, lambda inner: {key: value for key, value in inner.items() if key not in keys})


@fault(
    "er-unwrapped",
    at=Stage.ERROR,
    violates=["errors.envelope.has_an_error_object"],
    entails=_NAMELESS,
    thread="https://github.com/vllm-project/vllm/issues/9426",
)
def unwrapped(error: ErrorReply, context: Context) -> ErrorReply:
    """The members of the envelope stand at the top level."""
    return replace(error, body={"object": "error", **error.body["error"]})


@fault(
    "er-error-string",
    at=Stage.ERROR,
    violates=["errors.envelope.has_an_error_object"],
    entails=_NAMELESS,
    thread="https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/189",
)
def bare_string(error: ErrorReply, context: Context) -> ErrorReply:
    """The error is a string."""
    return replace(error, body={"error": error.body["error"]["message"]})


@fault(
    "er-detail-422",
    at=Stage.ERROR,
    violates=["errors.envelope.has_an_error_object", "errors.bad_request.is_not_422"],
    entails=_NAMELESS,
    thread="https://github.com/sgl-project/sglang/pull/7487",
)
def framework_default(error: ErrorReply, context: Context) -> ErrorReply:
    """Bad requests get the web framework's own 422 with a list of details."""
    if not _about_the_body(context):
        return error
    found = {"loc": ["body", context.refusal.param if context.refusal else None], "msg": error.body["error"]["message"]}
    return replace(error, status=422, body={"detail": [found]})


@fault("er-422", at=Stage.ERROR, violates=["errors.bad_request.is_not_422"])
def unprocessable(error: ErrorReply, context: Context) -> ErrorReply:
    """Bad values get 422 in a proper envelope."""
    return replace(error, status=422) if _about_the_body(context) and error.status == 400 else error


def _replied(reply: Reply, body: bytes, media_type: str) -> Reply:
    others = tuple((name, value) for name, value in reply.headers if name.lower() != "content-type")
    return replace(reply, headers=(("content-type", media_type), *others), pieces=((0.0, body),))


@fault(
    "er-empty-body",
    at=Stage.REPLY,
    violates=["errors.envelope.is_a_json_object"],
    thread="https://github.com/UOR-Foundation/uor-r4/pull/764",
    condition="only unknown routes",
)
def empty_body(reply: Reply, context: Context) -> Reply:
    """Unknown routes get 404 with an empty body."""
    unknown = context.refusal is not None and context.refusal.check == "route.unknown"
    return replace(reply, pieces=()) if unknown else reply


@fault(
    "er-html",
    at=Stage.REPLY,
    violates=["errors.envelope.is_a_json_object"],
    thread="https://github.com/digitalocean/gradient-python/issues/96",
    condition="only unknown routes",
)
def html_page(reply: Reply, context: Context) -> Reply:
    """Unknown routes get a web page."""
    unknown = context.refusal is not None and context.refusal.check == "route.unknown"
    return _replied(reply, b"<!doctype html><h1>Maintenance</h1>", "text/html") if unknown else reply


@fault("er-text-plain", at=Stage.REPLY, violates=["errors.envelope.content_type"])
def declared_as_text(reply: Reply, context: Context) -> Reply:
    """Errors are declared as text/plain."""
    return _replied(reply, b"".join(data for _, data in reply.pieces), "text/plain") if reply.status >= 400 else reply


@fault(
    "er-keys-missing",
    at=Stage.ERROR,
    violates=["errors.type.is_text", "errors.param.is_present"],
    thread="https://github.com/OpenRouterTeam/ai-sdk-provider/pull/108",
)
def type_and_param_missing(error: ErrorReply, context: Context) -> ErrorReply:
    """The envelope has neither type nor param."""
    return _without(error, "type", "param") if not _about_the_body(context) else _without(error, "type")


@fault(
    "er-code-missing",
    at=Stage.ERROR,
    violates=["errors.code.is_present"],
    entails=_CODELESS,
    thread="https://github.com/i-am-bee/beeai-framework/issues/487",
)
def code_missing(error: ErrorReply, context: Context) -> ErrorReply:
    """Refusals of bad requests have no key code."""
    return _without(error, "code") if _about_the_body(context) and error.status == 400 else error


@fault("er-message-list", at=Stage.ERROR, violates=["errors.message.is_text"])
def message_is_a_list(error: ErrorReply, context: Context) -> ErrorReply:
    """The message of a malformed value is the validator's list of findings."""
    if context.refusal is None or context.refusal.kind != "invalid_type":
        return error
    return _edited(error, lambda inner: {**inner, "message": [{"msg": inner["message"]}]})


@fault(
    "er-message-empty",
    at=Stage.ERROR,
    violates=["errors.message.is_text"],
    entails={"tool_calls.results.missing_is_named": "an empty message names nothing"},
)
def message_is_empty(error: ErrorReply, context: Context) -> ErrorReply:
    """The message is an empty string."""
    return _edited(error, lambda inner: {**inner, "message": ""})


@fault(
    "er-code-integer",
    at=Stage.ERROR,
    violates=["errors.code.is_no_number"],
    thread="https://github.com/vllm-project/vllm/issues/9426",
)
def code_is_a_number(error: ErrorReply, context: Context) -> ErrorReply:
    """The code of a refused body is the status as a number."""
    changed = _edited(error, lambda inner: {**inner, "code": error.status})
    return changed if context.refusal is not None and context.refusal.kind == "json_parse" else error


@fault("er-code-status-text", at=Stage.ERROR, violates=["errors.code.is_no_status"])
def code_is_the_status(error: ErrorReply, context: Context) -> ErrorReply:
    """The code of a refused body is the status as a string."""
    changed = _edited(error, lambda inner: _coded(inner, str(error.status)))
    return changed if context.refusal is not None and context.refusal.kind == "json_parse" else error


def _coded(inner: Envelope, code: str | None) -> Envelope:
    """Another code, and the link that follows it."""
    made = {**inner, "code": code}
    if "doc_url" in inner:
        made["doc_url"] = f"{str(inner['doc_url']).split('#')[0]}#{code}"
    return made


@fault("er-code-null", at=Stage.ERROR, violates=["errors.code.is_not_null"], dialects=("xerotier", "aurous"))
def code_is_null(error: ErrorReply, context: Context) -> ErrorReply:
    """Refused bodies have no code."""
    broken = context.refusal is not None and context.refusal.kind == "json_parse"
    return _edited(error, lambda inner: _coded(inner, None)) if broken else error


@fault("er-code-of-another", at=Stage.ERROR, violates=["errors.code.fits_status", "errors.code.keeps_its_status"])
def code_of_another_status(error: ErrorReply, context: Context) -> ErrorReply:
    """Unknown routes get the code of a bad key."""
    if context.refusal is None or context.refusal.check != "route.unknown":
        return error
    code = context.dialect.error("invalid_key").codes[0]
    return _edited(error, lambda inner: _coded(inner, code))


@fault(
    "er-code-is-the-type",
    at=Stage.ERROR,
    violates=["errors.code.is_no_type"],
    dialects=("openai",),
    condition="only where the code is null",
)
def code_is_the_type(error: ErrorReply, context: Context) -> ErrorReply:
    """Errors without a code have their type as code."""
    return _edited(error, lambda inner: inner if inner.get("code") else {**inner, "code": inner["type"]})


_WORDS = ["errors.code.names_the_fault", "errors.code.names_the_field_fault", "errors.code.is_invalid_request"]


@fault("er-code-mixed-up", at=Stage.ERROR, violates=_WORDS)
def code_mixed_up(error: ErrorReply, context: Context) -> ErrorReply:
    """A missing model is refused with the code for something else."""
    if context.refusal is None or context.refusal.check != "model.missing":
        return error
    return _edited(error, lambda inner: _coded(inner, "malformed_document"))


@fault(
    "er-param-missing",
    at=Stage.ERROR,
    violates=["errors.param.is_present"],
    dialects=("openai", "xerotier"),
    condition="only unreadable bodies",
)
def param_missing(error: ErrorReply, context: Context) -> ErrorReply:
    """Refusals of unreadable bodies have no key param."""
    return _without(error, "param") if context.refusal is not None and context.refusal.kind == "json_parse" else error


@fault("er-param-list", at=Stage.ERROR, violates=["errors.param.is_text_or_null"])
def param_is_a_list(error: ErrorReply, context: Context) -> ErrorReply:
    """The param is the path as a list."""
    return _edited(error, lambda inner: {**inner, "param": [inner["param"]]} if inner.get("param") else inner)


@fault(
    "er-param-null",
    at=Stage.ERROR,
    violates=["errors.param.names_the_parameter"],
    thread="https://github.com/vllm-project/vllm/pull/31870",
)
def param_is_null(error: ErrorReply, context: Context) -> ErrorReply:
    """The param is null for fields that stand at the top level."""
    top = context.refusal is not None and context.refusal.param in ("model", "messages", "temperature", "stream")
    return _edited(error, lambda inner: {**inner, "param": None}) if top else error


@fault("er-param-prefixed", at=Stage.ERROR, violates=["errors.param.names_the_parameter"])
def param_is_prefixed(error: ErrorReply, context: Context) -> ErrorReply:
    """The param begins with the place of the body, as the web framework sees it."""
    top = context.refusal is not None and context.refusal.param in ("model", "messages", "temperature", "stream")
    return _edited(error, lambda inner: {**inner, "param": f"body.{inner['param']}"}) if top else error


@fault("er-type-class-name", at=Stage.ERROR, violates=["errors.type.is_known"])
def type_is_a_class(error: ErrorReply, context: Context) -> ErrorReply:
    """The type is the name of an exception's class."""
    return _edited(error, lambda inner: {**inner, "type": "BadRequestError"})


@fault("er-type-of-another", at=Stage.ERROR, violates=["errors.type.fits_status"], dialects=("aurous",))
def type_of_another_status(error: ErrorReply, context: Context) -> ErrorReply:
    """Unknown routes get the type of a bad request."""
    unknown = context.refusal is not None and context.refusal.check == "route.unknown"
    return _edited(error, lambda inner: {**inner, "type": "invalid_request"}) if unknown else error


@fault("er-doc-url-bare", at=Stage.ERROR, violates=["errors.doc_url.ends_in_the_code"], dialects=("aurous",))
def doc_url_is_bare(error: ErrorReply, context: Context) -> ErrorReply:
    """The link leads to the list of all errors."""
    return _edited(error, lambda inner: {**inner, "doc_url": "https://docs.aurous-labs.com/errors"})


@fault(
    "er-request-id-uuid",
    at=Stage.ERROR,
    violates=["errors.request_id.is_well_formed"],
    entails={"errors.request_id.equals_the_header": "the header keeps the other form"},
    dialects=("aurous",),
)
def request_id_is_a_uuid(error: ErrorReply, context: Context) -> ErrorReply:
    """The request id of the body is a UUID."""
    return _edited(error, lambda inner: {**inner, "request_id": "5b1e2c1a-7c5e-4a3c-9d55-0d4c8f1a2b3c"})


@fault("er-request-id-differs", at=Stage.ERROR, violates=["errors.request_id.equals_the_header"], dialects=("aurous",))
def request_id_differs(error: ErrorReply, context: Context) -> ErrorReply:
    """Header and body have two request ids."""
    return _edited(error, lambda inner: {**inner, "request_id": "req_01HXMQ7Z3K8Y2ABCDEFGHJKM"})


@fault(
    "er-200-with-error",
    at=Stage.REPLY,
    violates=["errors.success_status.carries_no_error"],
    condition="only bad values in the body, unstreamed",
)
def error_with_200(reply: Reply, context: Context) -> Reply:
    """Errors of the model's side are wrapped in a 200."""
    unstreamed = reply.status == 400 and _about_the_body(context) and not context.streamed
    return replace(reply, status=200) if unstreamed else reply


@fault(
    "er-500-for-type",
    at=Stage.ERROR,
    violates=["errors.client_fault.is_4xx"],
    entails={
        "errors.code.fits_status": "the code of a 400 stays on the 500",
        "errors.code.keeps_its_status": "the code of a 400 stays on the 500",
        "errors.type.fits_status": "the type of a 400 stays on the 500",
    },
    thread="https://github.com/Azure/azure-sdk-for-python/issues/40812",
)
def mistyped_is_500(error: ErrorReply, context: Context) -> ErrorReply:
    """Messages and models of the wrong type are answered by 500."""
    mistyped = context.refusal is not None and context.refusal.check in ("model.type", "messages.type")
    return replace(error, status=500) if mistyped else error


@fault(
    "er-409-for-range",
    at=Stage.ERROR,
    violates=["errors.client_fault.is_4xx"],
    entails={
        "errors.code.fits_status": "the code of a 400 stays on the 409",
        "errors.code.keeps_its_status": "the code of a 400 stays on the 409",
    },
)
def missing_is_409(error: ErrorReply, context: Context) -> ErrorReply:
    """A missing model is answered by 409, which clients send again."""
    missing = context.refusal is not None and context.refusal.check == "model.missing"
    return replace(error, status=409) if missing else error


@fault(
    "er-traceback",
    at=Stage.ERROR,
    violates=["errors.message.leaks_no_traceback"],
    thread="https://github.com/BerriAI/litellm/issues/2487",
)
def traceback_in_message(error: ErrorReply, context: Context) -> ErrorReply:
    """The message of a refused body is a traceback."""
    if context.refusal is None or context.refusal.kind != "json_parse":
        return error
    text = 'Traceback (most recent call last):\n  File "/srv/app/main.py", line 12, in parse\nValueError'
    return _edited(error, lambda inner: {**inner, "message": text})


@fault(
    "er-literal-none",
    at=Stage.ERROR,
    violates=["errors.members.are_not_the_word_none"],
    thread="https://github.com/BerriAI/liteLLM-proxy/issues/10",
)
def literal_none(error: ErrorReply, context: Context) -> ErrorReply:
    """A param of null is spelled None."""
    return _edited(error, lambda inner: {**inner, "param": "None"} if inner.get("param") is None else inner)


def _limited(name: str, violates: str, edit: Callable[[Envelope], Envelope], says: str) -> None:
    """Register a fault of the 429 that deletions of nothing meet: a route that no other fault needs."""

    def hook(reply: ErrorReply, context: Context) -> ErrorReply:
        if context.refusal is None or context.refusal.check != "route.method":
            return reply
        strategy = {"type": "exponential", "initial_delay_ms": 1, "max_delay_ms": 2, "multiplier": 2, "jitter": True}
        inner = {**reply.body["error"], "code": "capacity_exceeded", "type": "rate_limit_error", "retry_after": 1}
        body = {"error": edit({**inner, "retry_strategy": strategy})}
        return ErrorReply(429, body, (("retry-after", "1"),))

    hook.__doc__ = says
    fault(name, at=Stage.ERROR, violates=[violates], dialects=("xerotier",), condition="only with status 429")(hook)


_limited(
    "er-retry-after-text",
    "errors.rate_limit.says_when_to_retry",
    lambda inner: {**inner, "retry_after": "1"},
    "The retry_after of a 429 is a string.",
)
_limited(
    "er-retry-strategy-word",
    "errors.rate_limit.has_a_strategy",
    lambda inner: {**inner, "retry_strategy": "exponential"},
    "The retry_strategy of a 429 is a word.",
)
_limited(
    "er-retry-after-differs",
    "errors.rate_limit.mirrors_the_header",
    lambda inner: {**inner, "retry_after": 20},
    "The retry_after of a 429 is another than its header's.",
)
