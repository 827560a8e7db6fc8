"""Endpoints that let the wrong callers in, keep the right ones out, or answer bad keys badly."""

from __future__ import annotations

from dataclasses import replace

from conformance.reference.stages import Context, ErrorReply, Refusal, Reply, Stage, fault
from conformance.wire.exchange import header_values

_KEYS = ("auth.missing_key", "auth.malformed", "auth.invalid_key")


def _check(refusal: Refusal | None) -> str:
    return refusal.check if refusal is not None else ""


@fault(
    "au-open",
    at=Stage.REFUSAL,
    violates=["auth.missing_key.is_not_served"],
    thread="https://github.com/router-for-me/CLIProxyAPI/issues/3628",
)
def nobody_is_asked(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Requests are served with any key and with none."""
    return None if _check(refusal) in _KEYS else refusal


@fault(
    "au-scheme-only",
    at=Stage.REFUSAL,
    violates=["auth.unknown_key.is_refused"],
    thread="https://github.com/maximhq/bifrost/issues/2904",
)
def any_bearer_is_let_in(refusal: Refusal | None, context: Context) -> Refusal | None:
    """A bearer token has to be there, but any will do."""
    return None if _check(refusal) == "auth.invalid_key" else refusal


@fault(
    "au-malformed-let-in",
    at=Stage.REFUSAL,
    violates=["auth.malformed_header.is_refused"],
    thread="https://github.com/maximhq/bifrost/issues/2904",
)
def malformed_is_let_in(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Another scheme than Bearer is let through without a look at the key."""
    return None if _check(refusal) == "auth.malformed" else refusal


@fault(
    "au-models-open",
    at=Stage.REFUSAL,
    violates=["auth.models.ask_for_the_key_too"],
    thread="https://github.com/diegosouzapw/OmniRoute/issues/2257",
)
def models_are_open(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The list of models is given to everybody."""
    return None if _check(refusal) in _KEYS and context.route == "GET /models" else refusal


@fault(
    "au-streams-open",
    at=Stage.REFUSAL,
    violates=["auth.unknown_key.is_refused"],
    entails={"auth.malformed_header.is_refused": "a stream is served whatever the header says"},
    condition="only streams",
)
def streams_are_open(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Requests for a stream go past the check of the key."""
    asked = context.request.chat
    return None if _check(refusal) in _KEYS and asked is not None and asked.stream is True else refusal


@fault("au-models-shut", at=Stage.REFUSAL, violates=["auth.bearer_key.is_accepted"])
def models_refuse_the_key(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The list of models refuses the key that completions accept."""
    if refusal is None and context.route == "GET /models":
        return Refusal("invalid_key", "auth.models", "This key may not list models.")
    return refusal


@fault(
    "au-missing-403",
    at=Stage.ERROR,
    violates=["auth.missing_key.gets_401", "auth.missing_key.comes_before_validation"],
    entails={
        "errors.code.fits_status": "the code of a 401 stays on the 403",
        "errors.code.keeps_its_status": "the code of a 401 stays on the 403",
    },
)
def missing_gets_403(error: ErrorReply, context: Context) -> ErrorReply:
    """A request without a key gets 403."""
    return replace(error, status=403) if _check(context.refusal) == "auth.missing_key" else error


@fault(
    "au-validates-first",
    at=Stage.REFUSAL,
    violates=["auth.missing_key.comes_before_validation"],
)
def validation_goes_first(refusal: Refusal | None, context: Context) -> Refusal | None:
    """Without a key, an empty request is told what it lacks before it is asked for the key."""
    if _check(refusal) == "auth.missing_key" and (context.request.body or b"").strip() == b"{}":
        return Refusal("missing_parameter", "model.missing", "The parameter 'model' is missing.", "model")
    return refusal


@fault(
    "au-unknown-404",
    at=Stage.ERROR,
    violates=["auth.unknown_key.gets_401"],
    entails={
        "errors.code.fits_status": "the code of a 401 stays on the 404",
        "errors.code.keeps_its_status": "the code of a 401 stays on the 404",
        "errors.type.fits_status": "the type of a 401 stays on the 404",
    },
)
def unknown_gets_404(error: ErrorReply, context: Context) -> ErrorReply:
    """An unknown key gets 404, as if the account were looked for."""
    return replace(error, status=404) if _check(context.refusal) == "auth.invalid_key" else error


@fault(
    "au-malformed-500",
    at=Stage.ERROR,
    violates=["auth.malformed_header.is_refused"],
    entails={
        "errors.type.fits_status": "the type of a 401 stays on the 500",
        "errors.code.fits_status": "the code of a 401 stays on the 500",
        "errors.code.keeps_its_status": "the code of a 401 stays on the 500",
    },
)
def malformed_gets_500(error: ErrorReply, context: Context) -> ErrorReply:
    """The header parser fails on what is no bearer token."""
    return replace(error, status=500) if _check(context.refusal) == "auth.malformed" else error


def _with_code(error: ErrorReply, code: str) -> ErrorReply:
    inner = {**error.body["error"], "code": code}
    if "doc_url" in inner:
        inner["doc_url"] = f"{str(inner['doc_url']).split('#')[0]}#{code}"
    return replace(error, body={**error.body, "error": inner})


@fault("au-missing-code", at=Stage.ERROR, violates=["auth.missing_key.code", "auth.refusal.code"])
def missing_code(error: ErrorReply, context: Context) -> ErrorReply:
    """The refusal of a request without a key has a code of its own making."""
    return _with_code(error, "unauthorized") if _check(context.refusal) == "auth.missing_key" else error


@fault("au-unknown-code", at=Stage.ERROR, violates=["auth.unknown_key.code", "auth.refusal.code"])
def unknown_code(error: ErrorReply, context: Context) -> ErrorReply:
    """The refusal of an unknown key has a code of its own making."""
    return _with_code(error, "unauthorized") if _check(context.refusal) == "auth.invalid_key" else error


@fault("au-x-api-key-ignored", at=Stage.REFUSAL, violates=["auth.x_api_key.is_accepted"], dialects=("aurous",))
def x_api_key_is_ignored(refusal: Refusal | None, context: Context) -> Refusal | None:
    """The key is looked for in the Authorization header alone."""
    headers = context.request.headers
    if refusal is None and not header_values(headers, "authorization") and header_values(headers, "x-api-key"):
        return Refusal("missing_key", "auth.x_api_key", "Send Authorization: Bearer <key>.")
    return refusal


def _presented(context: Context) -> str:
    return " ".join(header_values(context.request.headers, "authorization")).rpartition(" ")[2]


@fault(
    "au-leak",
    at=Stage.ERROR,
    violates=["auth.key.is_not_echoed"],
    thread="https://github.com/BerriAI/litellm/pull/39787",
)
def key_is_echoed(error: ErrorReply, context: Context) -> ErrorReply:
    """The message of the refusal repeats the whole key."""
    if _check(context.refusal) != "auth.invalid_key":
        return error
    inner = {**error.body["error"], "message": f"The API key {_presented(context)} is not known here."}
    return replace(error, body={**error.body, "error": inner})


@fault("au-leak-header", at=Stage.REPLY, violates=["auth.key.is_not_echoed"], condition="only in a header")
def key_is_echoed_in_a_header(reply: Reply, context: Context) -> Reply:
    """A header of the refusal repeats the whole key."""
    if reply.status != 401 or _check(context.refusal) != "auth.invalid_key":
        return reply
    return replace(reply, headers=(*reply.headers, ("x-presented-key", _presented(context))))
