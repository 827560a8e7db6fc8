"""Legal forms of an error answer."""

from __future__ import annotations

import re
from dataclasses import replace

from conformance.reference.rewriting import joined, with_body
from conformance.reference.stages import Context, ErrorReply, Reply, Stage, variation

_INDEX = re.compile(r"\.?\[(\d+)\]")


@variation("param-index-spelling", at=Stage.ERROR, legal="both messages[3] and messages.[3] occur on the original API")
def param_index_spelling(reply: ErrorReply, context: Context) -> ErrorReply:
    """Positions in `param` are spelled the other way: `messages.[3]` for `messages[3]`."""
    error = reply.body["error"] if isinstance(reply.body, dict) else {}
    if not isinstance(error.get("param"), str):
        return reply
    return replace(reply, body={"error": {**error, "param": _INDEX.sub(r".[\1]", error["param"])}})


@variation("error-other-forms", at=Stage.ERROR, legal="the dialect's documents allow several statuses, types or codes")
def error_other_forms(reply: ErrorReply, context: Context) -> ErrorReply:
    """The last of the documented statuses, types and codes instead of the first."""
    error = reply.body["error"] if isinstance(reply.body, dict) else {}
    if context.refusal is None or not error:
        return reply
    form = context.dialect.error(context.refusal.kind)
    changed = dict(error)
    if form.types:
        changed["type"] = form.types[-1]
    if form.codes and error.get("code") == form.codes[0]:
        changed["code"] = form.codes[-1]
        if isinstance(changed.get("doc_url"), str) and isinstance(error["code"], str):
            changed["doc_url"] = changed["doc_url"].removesuffix(error["code"]) + str(changed["code"])
    return replace(reply, status=form.statuses[-1], body={"error": changed})


@variation(
    "doc-url-page",
    at=Stage.ERROR,
    dialects=("aurous",),
    legal="https://docs.aurous-labs.com/api-reference/errors: the pages stand under another path",
)
def doc_url_page(reply: ErrorReply, context: Context) -> ErrorReply:
    """`doc_url` is the address of the code's own page."""
    error = reply.body["error"] if isinstance(reply.body, dict) else {}
    if not isinstance(error.get("doc_url"), str):
        return reply
    page = error["doc_url"].replace("/errors#", "/api-reference/errors/")
    return replace(reply, body={"error": {**error, "doc_url": page}})


@variation(
    "param-absent",
    at=Stage.ERROR,
    dialects=("aurous",),
    legal="https://docs.aurous-labs.com/guides/error-handling: param (optional)",
)
def param_absent(reply: ErrorReply, context: Context) -> ErrorReply:
    """An error that is about no parameter has no `param` key."""
    error = reply.body["error"] if isinstance(reply.body, dict) else {}
    if not error or error.get("param") is not None:
        return reply
    return replace(reply, body={"error": {key: value for key, value in error.items() if key != "param"}})


@variation(
    "short-ulids",
    at=Stage.REPLY,
    dialects=("aurous",),
    legal="https://docs.aurous-labs.com/guides/error-handling: its example has 24 characters",
)
def short_ulids(reply: Reply, context: Context) -> Reply:
    """Request ids have 24 characters after the prefix, in the header and in the body."""
    full = next(
        (value for name, value in reply.headers if name.lower() == context.dialect.convention("request_id.header")),
        None,
    )
    if full is None or len(full) != 30:
        return reply
    headers = tuple((name, full[:-2] if value == full else value) for name, value in reply.headers)
    return with_body(replace(reply, headers=headers), joined(reply).replace(full.encode(), full[:-2].encode()))
