"""HTTP and JSON: content types, strict JSON, characters, and what becomes of bodies that are no requests."""

from __future__ import annotations

import re
from collections.abc import Iterator

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_chunk,
    at_header,
    at_sequence,
    at_status,
    rule,
)
from conformance.rules.checks import plainer, undoubtedly_valid
from conformance.rules.conditions import UNSTREAMED, is_chat, ok
from conformance.rules.refusals import carries_error, error_object
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange, Facet, header_values
from conformance.wire.strict_json import Document, equal, escape_pointer, is_integer, show, strings
from conformance.wire.traces import Contrast, Single

_STATUS = (Facet.REQUEST, Facet.STATUS)
_ELSEWHERE = frozenset({401, 402, 403, 407, 408, 413, 429})
"""Credentials, credit, sizes and rates: they say nothing of the form of a body."""
_ON_THE_WAY = frozenset({502, 503, 504})


def _is_json(media_type: str | None) -> bool:
    return media_type is not None and (media_type == "application/json" or media_type.endswith("+json"))


@rule("transport.unstreamed.content_type", on=Single, reads=(Facet.REQUEST, Facet.CONTENT_TYPE), when=UNSTREAMED)
def unstreamed_content_type(trace: Single, terms: Terms) -> Verdicts:
    """An unstreamed completion is declared as JSON."""
    if not _is_json(trace.exchange.media_type):
        yield at_header(trace.exchange, "content-type", "application/json")


@rule("transport.unstreamed.is_one_object", on=Single, reads=(Facet.REQUEST, Facet.BODY_BYTES), when=UNSTREAMED)
def unstreamed_is_one_object(trace: Single, terms: Terms) -> Verdicts:
    """The body of an unstreamed completion is one JSON object."""
    document = trace.exchange.document
    if not document.ok:
        yield at_body(trace.exchange, "", "one JSON object", str(document.error))
    elif not isinstance(document.value, dict):
        yield at_body(trace.exchange, "", "one JSON object", show(document.value, 80))


def _documents(exchange: Exchange) -> Iterator[tuple[int | None, Document]]:
    """Every JSON text of an answer: its body, or each event of its stream."""
    if exchange.events is None:
        if exchange.document.ok:
            yield None, exchange.document
        return
    for position, event in enumerate(exchange.events.events):
        if event.data_lines and not event.is_done and event.document.ok:
            yield position, event.document


def _at(exchange: Exchange, chunk: int | None, expected: str, observed: str) -> Finding:
    if chunk is None:
        return at_body(exchange, "", expected, observed)
    return at_chunk(exchange, chunk, "", expected, observed)


def _problems(exchange: Exchange, expected: str, *begin: str) -> Verdicts:
    """A finding for each JSON text with a problem of these kinds; not applicable where there is no JSON at all."""
    found = list(_documents(exchange))
    if not found:
        yield NOT_APPLICABLE
    for chunk, document in found:
        shown = [problem for problem in document.problems if problem.startswith(begin)]
        if shown:
            yield _at(exchange, chunk, expected, shown[0][:80])


def _answers(trace: Single, terms: Terms) -> bool:
    return trace.exchange.status is not None


@rule("transport.json.has_only_numbers_of_json", on=Single, reads=(Facet.BODY_BYTES,), when=_answers)
def json_has_only_numbers_of_json(trace: Single, terms: Terms) -> Verdicts:
    """No JSON text of an answer holds NaN or Infinity."""
    yield from _problems(trace.exchange, "numbers of JSON", "NaN", "Infinity", "-Infinity")


@rule("transport.json.names_are_unique", on=Single, reads=(Facet.BODY_BYTES,), when=_answers)
def json_names_are_unique(trace: Single, terms: Terms) -> Verdicts:
    """No object of an answer has a name twice."""
    yield from _problems(trace.exchange, "unique names", "duplicate key")


@rule("transport.text.has_no_lone_surrogates", on=Single, reads=(Facet.BODY_BYTES,), when=_answers)
def text_has_no_lone_surrogates(trace: Single, terms: Terms) -> Verdicts:
    """No text of an answer holds half of a surrogate pair that the request did not hold."""
    if "lone surrogate" in trace.exchange.request.document.problems:
        yield NOT_APPLICABLE
    else:
        yield from _problems(trace.exchange, "whole characters", "lone surrogate")


_REPLACEMENT = "\ufffd"


@rule(
    "transport.text.has_no_replacement_characters",
    on=Single,
    reads=(Facet.REQUEST, Facet.BODY),
    values=("content",),
    when=UNSTREAMED,
)
def text_has_no_replacement_characters(trace: Single, terms: Terms) -> Verdicts:
    """The text of an unstreamed answer holds no U+FFFD of its own, unless the token limit cut it."""
    answer = trace.exchange.answer
    if answer is None:
        yield NOT_APPLICABLE
        return
    if any(_REPLACEMENT in text for text in strings(trace.exchange.request.document.value)):
        yield NOT_APPLICABLE
        return
    if all(choice.text.isascii() for choice in answer.choices):
        yield Vacuous(Reason.MODEL_FREE, "the text is plain ASCII")
    for choice in answer.choices:
        if _REPLACEMENT in choice.text.rstrip(_REPLACEMENT if choice.cut else ""):
            near = choice.text.index(_REPLACEMENT)
            shown = choice.text[max(0, near - 10) : near + 10]
            yield at_body(trace.exchange, f"{choice.pointer}/message/content", "whole characters", show(shown))


@rule(
    "transport.escapes.equal_raw_text",
    on=Contrast,
    reads=(Facet.REQUEST, Facet.STATUS, Facet.BODY),
    when=lambda trace, terms: (
        trace.control.request.body != trace.variant.request.body
        and trace.control.request.chat is not None
        and trace.variant.request.chat is not None
        and equal(trace.control.request.document.value, trace.variant.request.document.value)
        and trace.control.request.headers == trace.variant.request.headers
    ),
)
def escapes_equal_raw_text(trace: Contrast, terms: Terms) -> Verdicts:
    """Two spellings of one JSON value get the same status and the same count of prompt tokens."""
    taken = [exchange for exchange in trace.exchanges if ok(exchange)]
    others = [exchange for exchange in trace.exchanges if not ok(exchange)]
    if not taken or any(exchange.status in _ELSEWHERE | _ON_THE_WAY for exchange in others):
        yield Vacuous(Reason.NO_CONTROL)
    elif others:
        yield at_status(others[0], f"status {taken[0].status}, as for another spelling of the same JSON")
    else:
        counts = [_prompt_tokens(exchange) for exchange in trace.exchanges]
        if None in counts:
            yield Vacuous(Reason.NO_CONTROL, "no usage")
        elif counts[0] != counts[1]:
            expected = f"{counts[0]} prompt tokens, as for another spelling of the same JSON"
            yield at_sequence(trace.variant, "/usage/prompt_tokens", expected, str(counts[1]))


def _prompt_tokens(exchange: Exchange) -> int | None:
    usage = exchange.answer.usage if exchange.answer is not None else None
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return count if is_integer(count) else None


@rule(
    "transport.lone_surrogate.is_no_server_fault",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: is_chat(trace.exchange) and "lone surrogate" in trace.exchange.request.document.problems,
)
def lone_surrogate_is_no_server_fault(trace: Single, terms: Terms) -> Verdicts:
    """Half of a surrogate pair in a request is no reason for a server error."""
    yield from _no_server_fault(trace.exchange, "an answer or a 4xx")


def _no_server_fault(exchange: Exchange, expected: str) -> Verdicts:
    if exchange.status in _ON_THE_WAY:
        yield Vacuous(Reason.TRANSPORT)
    elif (exchange.status or 0) >= 500:
        yield at_status(exchange, expected)


_NOT_READ = "nested too deeply to read"


def _gets_400(exchange: Exchange, what: str) -> Verdicts:
    """400 for a body that is no request; 422 is judged where all refusals are."""
    if exchange.status in _ELSEWHERE | {415}:
        yield Vacuous(Reason.NO_CONTROL, f"status {exchange.status}")
    elif exchange.status in _ON_THE_WAY:
        yield Vacuous(Reason.TRANSPORT)
    elif exchange.status not in (400, 422) and not (ok(exchange) and carries_error(exchange)):
        yield at_status(exchange, f"status 400 for {what}")


@rule(
    "transport.invalid_json.gets_400",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: (
        is_chat(trace.exchange)
        and trace.exchange.request.auth == "key"
        and not trace.exchange.request.document.ok
        and trace.exchange.request.document.error != _NOT_READ
    ),
)
def invalid_json_gets_400(trace: Single, terms: Terms) -> Verdicts:
    """A body that is no JSON gets 400."""
    yield from _gets_400(trace.exchange, "a body that is no JSON")


@rule(
    "transport.not_an_object.gets_400",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: (
        is_chat(trace.exchange)
        and trace.exchange.request.auth == "key"
        and trace.exchange.request.document.ok
        and not isinstance(trace.exchange.request.document.value, dict)
    ),
)
def not_an_object_gets_400(trace: Single, terms: Terms) -> Verdicts:
    """A JSON body that is no object gets 400."""
    yield from _gets_400(trace.exchange, "a JSON body that is no object")


def _declared(exchange: Exchange) -> str | None:
    """The request's own content type, in lower case without spaces; None where the transport sets the usual one."""
    found = header_values(exchange.request.headers, "content-type")
    return "".join(found[0].lower().split()) if found else None


def _valid(exchange: Exchange, terms: Terms) -> bool:
    return exchange.request.chat is not None and undoubtedly_valid(exchange.request.chat, terms)


@rule(
    "transport.charset_parameter.is_accepted",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: (
        (_declared(trace.exchange) or "").replace('"', "") == "application/json;charset=utf-8"
        and trace.exchange.request.auth == "key"
        and _valid(trace.exchange, terms)
    ),
)
def charset_parameter_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """A valid request that names its charset is accepted."""
    if trace.exchange.status in (400, 404, 405, 406, 415, 422):
        yield at_status(trace.exchange, "a valid request is accepted with a charset parameter")
    elif not ok(trace.exchange):
        yield Vacuous(Reason.TRANSPORT, f"status {trace.exchange.status}")


@rule(
    "transport.other_content_type.is_no_server_fault",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: (
        is_chat(trace.exchange)
        and (declared := _declared(trace.exchange)) is not None
        and not _is_json(declared.split(";", 1)[0])
    ),
)
def other_content_type_is_no_server_fault(trace: Single, terms: Terms) -> Verdicts:
    """A body declared as something else than JSON is no reason for a server error."""
    yield from _no_server_fault(trace.exchange, "an answer or a 4xx")


NULLABLE = frozenset(
    {"temperature", "top_p", "n", "stop", "seed", "logit_bias", "stream", "stream_options", "max_tokens"}
    | {"max_completion_tokens", "presence_penalty", "frequency_penalty", "top_logprobs", "logprobs"}
)
"""Fields with `nullable: true` or `anyOf … null` in CreateChatCompletionRequest of the OpenAPI document."""


def _nulls(exchange: Exchange) -> list[str]:
    chat = exchange.request.chat
    return [key for key, value in chat.body.items() if value is None] if chat is not None else []


def _blames_another(exchange: Exchange, nulls: list[str]) -> bool:
    """The error's param is a field that was sent with a value, as where a model takes one temperature only."""
    chat, param = exchange.request.chat, error_object(exchange).get("param")
    if chat is None or not isinstance(param, str):
        return False
    field = re.split(r"[.\[/]", param, maxsplit=1)[0]
    return field in chat.body and field not in nulls


@rule(
    "transport.null.equals_omission",
    on=Single,
    reads=(Facet.REQUEST, Facet.STATUS, Facet.BODY),
    when=lambda trace, terms: (
        bool(nulls := _nulls(trace.exchange))
        and set(nulls) <= NULLABLE
        and (chat := trace.exchange.request.chat) is not None
        and undoubtedly_valid(ChatRequest(plainer(chat.body)), terms)
    ),
)
def null_equals_omission(trace: Single, terms: Terms) -> Verdicts:
    """A valid request is accepted with nulls for nullable fields, and a null stream streams nothing."""
    exchange, nulls = trace.exchange, _nulls(trace.exchange)
    if exchange.status in (400, 422) and _blames_another(exchange, nulls):
        yield Vacuous(Reason.REFUSED, "the error names another field")
    elif exchange.status in (400, 422):
        place = f"/{escape_pointer(nulls[0])}"
        yield at_body(exchange, place, f"null is accepted for {', '.join(nulls)}", f"status {exchange.status}")
    elif not ok(exchange):
        yield Vacuous(Reason.TRANSPORT, f"status {exchange.status}")
    elif "stream" in nulls and exchange.is_event_stream:
        yield at_body(exchange, "/stream", "no stream, as stream is null", "an event stream")


@rule(
    "transport.unknown_field.is_no_server_fault",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: (
        (chat := trace.exchange.request.chat) is not None
        and any(key.startswith(("zzz", "x_")) for key in chat.body)
        and undoubtedly_valid(
            ChatRequest({key: value for key, value in chat.body.items() if not key.startswith(("zzz", "x_"))}), terms
        )
    ),
)
def unknown_field_is_no_server_fault(trace: Single, terms: Terms) -> Verdicts:
    """A field of a made-up name is no reason for a server error."""
    yield from _no_server_fault(trace.exchange, "an answer or a 4xx")


_TOP_SEGMENTS = frozenset(
    {"assistants", "audio", "batches", "certificates", "chat", "chatkit", "completions", "containers", "conversations"}
    | {"edits", "embeddings", "engines", "evals", "files", "fine-tunes", "fine_tuning", "images", "models"}
    | {"moderations", "organization", "projects", "realtime", "responses", "rerank", "skills", "threads", "uploads"}
    | {"usage", "vector_stores", "videos", "health", "v1", "api", ""}
)
"""First segments of all paths of the OpenAPI document, and a few that servers are known to add."""


def _is_unknown(exchange: Exchange) -> bool:
    segments = exchange.request.route.split("/")[1:]
    if segments[0] == "chat":
        return len(segments) > 1 and segments[1] != "completions"
    return segments[0] not in _TOP_SEGMENTS


def _not_there(exchange: Exchange, expected: str) -> Verdicts:
    if exchange.status in _ELSEWHERE:
        yield Vacuous(Reason.NO_CONTROL, f"status {exchange.status}")
    elif exchange.status in _ON_THE_WAY:
        yield Vacuous(Reason.TRANSPORT)
    elif exchange.status not in (404, 405, 501):
        yield at_status(exchange, expected)


@rule(
    "transport.unknown_path.gets_404", on=Single, reads=_STATUS, when=lambda trace, terms: _is_unknown(trace.exchange)
)
def unknown_path_gets_404(trace: Single, terms: Terms) -> Verdicts:
    """A path that nobody documents is not found."""
    yield from _not_there(trace.exchange, "status 404 for a path that is not there")


@rule(
    "transport.wrong_method.gets_405",
    on=Single,
    reads=_STATUS,
    when=lambda trace, terms: (
        trace.exchange.request.route == "/chat/completions" and trace.exchange.request.method in ("PUT", "PATCH")
    ),
)
def wrong_method_gets_405(trace: Single, terms: Terms) -> Verdicts:
    """PUT and PATCH of the chat route are refused as methods."""
    yield from _not_there(trace.exchange, "status 405 or 404 for a method that the route does not have")
