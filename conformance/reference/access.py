"""Who asks, for what, and in what wrapping: authentication, routes, and the body up to its being a JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from conformance.dialects.model import Dialect
from conformance.reference.models_list import find
from conformance.reference.stages import Context, Refusal
from conformance.wire import strict_json
from conformance.wire.exchange import Request, header_values
from conformance.wire.stored import call_of

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a request body that are read."""
_TOO_DEEP = strict_json.parse("[" * 100_000).error
"""What the JSON parser says of a body that nests deeper than it can read."""


_METHODS = ("GET", "POST", "DELETE")


def methods(route: str, dialect: Dialect) -> tuple[str, ...]:
    """The methods that a route knows in a dialect; empty for an unknown route."""
    kept = dialect.convention("storage.routes") or ()
    calls = {method: call_of(Request(method, route)) for method in _METHODS}
    stored = tuple(method for method, call in calls.items() if call is not None and call.kind.value in kept)
    if route == "/chat/completions":
        return (*stored, "POST")
    if stored:
        return stored
    if route == "/models" or model_id(route) is not None:
        return ("GET",)
    return ()


def model_id(route: str) -> str | None:
    """The decoded id in `/models/{id}`, or None for another route."""
    return unquote(route[8:]) if route.startswith("/models/") and len(route) > 8 else None


def masked(key: str) -> str:
    """A key as a message may show it: a few characters at both ends, and none of a short one."""
    return f"{key[:3]}{'*' * 8}{key[-4:]}" if len(key) >= 16 else "*" * 8


def refuse_credentials(context: Context, owners: Mapping[str, str]) -> Iterator[Refusal]:
    """Missing, malformed and wrong keys; `owners` has the known ones, and `context.owner` is set to whose it is.

    The Authorization header goes before any other that the dialect knows.
    """
    headers = context.request.headers
    given = header_values(headers, "authorization")
    if given:
        scheme, _, credentials = given[0].partition(" ")
        credentials = credentials.strip(" ")
        if len(given) > 1 or scheme.lower() != "bearer" or not credentials or " " in credentials:
            yield Refusal("malformed_key", "auth.malformed", "The Authorization header has to read: Bearer <key>.")
            return
        presented = credentials
    else:
        names = [name for name in context.dialect.convention("auth.headers") or () if name != "authorization"]
        other = next((values[0] for name in names if (values := header_values(headers, name))), None)
        if other is None:
            yield Refusal(
                "missing_key", "auth.missing_key", "This request carries no API key: send Authorization: Bearer <key>."
            )
            return
        presented = other
    context.owner = owners.get(presented, "")
    if presented not in owners:
        yield Refusal("invalid_key", "auth.invalid_key", f"The API key {masked(presented)} is not known here.")


def refuse_route(context: Context) -> Iterator[Refusal]:
    """Unknown paths, unsupported methods, unknown models."""
    request = context.request
    known = methods(request.route, context.dialect)
    if not known:
        yield _unknown_route(context)
    elif request.method not in known:
        yield Refusal("wrong_method", "route.method", f"{request.method} is not allowed on {request.route[:200]}.")
    else:
        wanted = model_id(request.route)
        if wanted is not None and find(wanted) is None:
            yield Refusal("model_not_listed", "route.model", f"There is no model {wanted[:200]!r}.", "model")


def _unknown_route(context: Context) -> Refusal:
    route, base = context.request.route, str(context.dialect.convention("base.path")).split("/")
    parts = route.split("/")
    if len(base) == 4 and len(parts) > 4 and parts[3] == base[3]:
        if parts[1] != base[1]:
            return Refusal("project_not_found", "route.project", f"There is no project {parts[1][:200]!r}.")
        return Refusal("endpoint_not_found", "route.endpoint", f"There is no endpoint {parts[2][:200]!r}.")
    return Refusal("unknown_route", "route.unknown", f"There is nothing at {context.request.method} {route[:200]}.")


def refuse_body(context: Context) -> Iterator[Refusal]:
    """Bodies that are too long, declared as something else, or no JSON object."""
    request = context.request
    if len(request.body or b"") > BODY_LIMIT:
        yield Refusal("body_too_large", "body.too_large", f"The body has more than {BODY_LIMIT} bytes.")
    declared = header_values(request.headers, "content-type")
    media_type = declared[0].split(";", 1)[0].strip().lower() if declared else "application/json"
    if media_type != "application/json" and not media_type.endswith("+json"):
        yield Refusal("media_type", "body.media_type", "The body has to be sent as application/json.")
    document = request.document
    if not document.ok and document.error == _TOO_DEEP and b'"json_schema"' in (request.body or b""):
        text = "The schema nests too deeply for the parser."
        yield Refusal("schema_too_deep", "json_schema.too_deep", text, "response_format")
    elif not document.ok:
        yield Refusal("json_parse", "body.json", f"The body is not valid JSON: {document.error}.")
    elif any(problem in ("NaN", "Infinity", "-Infinity") for problem in document.problems):
        yield Refusal(
            "json_parse", "body.json", "The body is not valid JSON: it holds a number that JSON does not know."
        )
    elif not isinstance(document.value, dict):
        yield Refusal("invalid_type", "body.object", "The body has to be a JSON object.")
