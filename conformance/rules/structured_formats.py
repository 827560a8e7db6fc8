"""Modes of `response_format`: which forms are refused, and what text and JSON mode promise."""

from __future__ import annotations

import re
from functools import lru_cache

from conformance.rules.base import NOT_APPLICABLE, Reason, Terms, Vacuous, Verdicts, at_body, rule
from conformance.rules.blemishes import blemishes
from conformance.rules.calls import at_choice, chat_of, choices_of
from conformance.rules.checks import keyed_chat, undoubtedly_valid
from conformance.rules.refusals import error_object, must_accept, must_refuse
from conformance.rules.schema_check import usable
from conformance.rules.structured_view import (
    ASKED,
    JUDGED,
    declared,
    is_plain,
    is_sound,
    said,
    some_declared,
    texts,
)
from conformance.wire import strict_json
from conformance.wire.answer import MISSING, Choice
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.refusal import top_field
from conformance.wire.strict_json import Json, is_integer, show
from conformance.wire.traces import Contrast, Single

_TEXT = {"type": "text"}
_BODY = (Facet.REQUEST, Facet.BODY)


@rule(
    "structured_output.text.is_accepted",
    on=Single,
    reads=JUDGED,
    when=lambda trace, terms: chat_of(trace.exchange).body.get("response_format") == _TEXT,
)
def text_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """The default format, said aloud, is taken."""
    yield from must_accept(trace.exchange, terms, ("response_format", "text"), "2xx: text is the default format")


def _speaks_of_json(exchange: Exchange) -> bool:
    """The word, or a brace: the prompt itself may have asked for JSON."""
    text = strict_json.dump(chat_of(exchange).body.get("messages")).decode("utf-8", "replace").lower()
    return "json" in text or text.count("{") > len(chat_of(exchange).messages)


def _text_against_nothing(trace: Contrast, terms: Terms) -> bool:
    control, variant = chat_of(trace.control).body, chat_of(trace.variant).body
    return variant.get("response_format") == _TEXT and control.get("response_format") is None


def _json_objects(exchange: Exchange) -> list[Choice]:
    return [choice for choice in choices_of(exchange) if isinstance(strict_json.parse(choice.text).value, dict)]


@rule("structured_output.text.is_no_json_mode", on=Contrast, reads=_BODY, when=_text_against_nothing)
def text_is_no_json_mode(trace: Contrast, terms: Terms) -> Verdicts:
    """The format `text` does not turn prose into a JSON object."""
    if trace.control.answer is None or trace.variant.answer is None:
        yield Vacuous(Reason.NO_CONTROL)
    elif _json_objects(trace.control) or _speaks_of_json(trace.control):
        yield Vacuous(Reason.MODEL_FREE, "without the format the answer is JSON too")
    else:
        for choice in _json_objects(trace.variant):
            yield at_choice(trace.variant, choice, "text, as without response_format", show(choice.text, 80))


def _malformed(exchange: Exchange, terms: Terms) -> bool:
    chat = keyed_chat(exchange)
    return chat is not None and any(item.about == "response_format" for item in blemishes(chat.body, terms.dialect))


@rule(
    "structured_output.type.is_checked",
    on=Single,
    reads=ASKED,
    when=lambda trace, terms: _malformed(trace.exchange, terms),
)
def type_is_checked(trace: Single, terms: Terms) -> Verdicts:
    """A response_format that is no object, or has a missing or unknown type, is refused."""
    found = show(chat_of(trace.exchange).body["response_format"], 60)
    yield from must_refuse(trace.exchange, f"400: response_format has a known type; {found} has not")


def _in_json_mode(trace: Single, terms: Terms) -> bool:
    return chat_of(trace.exchange).format_type == "json_object"


@rule("structured_output.json_object.answer_is_json", on=Single, reads=_BODY, when=_in_json_mode)
def json_object_answer_is_json(trace: Single, terms: Terms) -> Verdicts:
    """A complete answer in JSON mode is JSON, with nothing around it."""
    for choice in texts(trace.exchange, terms):
        document = said(choice) if isinstance(choice, Choice) else None
        if not isinstance(choice, Choice):
            yield choice
        elif document is None:
            yield Vacuous(Reason.MODEL_FREE, "there is no text")
        elif not document.ok:
            yield at_choice(trace.exchange, choice, "JSON alone", f"{show(choice.text, 80)}: {document.error}")


@rule("structured_output.json_object.answer_is_an_object", on=Single, reads=_BODY, when=_in_json_mode)
def json_object_answer_is_an_object(trace: Single, terms: Terms) -> Verdicts:
    """JSON in JSON mode is an object."""
    for choice in texts(trace.exchange, terms):
        document = said(choice) if isinstance(choice, Choice) else None
        if not isinstance(choice, Choice):
            yield choice
        elif document is None or not document.ok:
            yield NOT_APPLICABLE
        elif not isinstance(document.value, dict):
            yield at_choice(trace.exchange, choice, "a JSON object", show(choice.text, 80))


def _lacks_the_word(trace: Single, terms: Terms) -> bool:
    if not _in_json_mode(trace, terms) or terms.dialect.convention("json_object.needs_the_word") is not True:
        return False
    messages = chat_of(trace.exchange).body.get("messages")
    return isinstance(messages, list) and bool(messages) and "json" not in _all_text(messages)


def _all_text(messages: list[Json]) -> str:
    return " ".join(strict_json.strings(messages)).lower()


@rule("structured_output.json_object.needs_the_word", on=Single, reads=ASKED, when=_lacks_the_word)
def json_object_needs_the_word(trace: Single, terms: Terms) -> Verdicts:
    """JSON mode without the word JSON in the messages is refused."""
    yield from must_refuse(trace.exchange, '400: JSON mode needs the word "json" in the messages')


@rule(
    "structured_output.content.is_not_empty",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: chat_of(trace.exchange).format_type in ("json_object", "json_schema"),
)
def content_is_not_empty(trace: Single, terms: Terms) -> Verdicts:
    """A structured answer that ended by itself is not empty."""
    for choice in texts(trace.exchange, terms):
        if not isinstance(choice, Choice):
            yield choice
        elif choice.raw is not None and not isinstance(choice.raw.get("message"), dict):
            yield Vacuous(Reason.NO_CONTROL, "a choice without a message")
        elif not choice.text.strip():
            held = "no content" if choice.content is MISSING else f"content {show(choice.content, 40)}"
            yield at_choice(trace.exchange, choice, "JSON", held)


@rule(
    "structured_output.json_schema.needs_its_object",
    on=Single,
    reads=ASKED,
    when=lambda trace, terms: chat_of(trace.exchange).format_type == "json_schema" and declared(trace.exchange) is None,
)
def json_schema_needs_its_object(trace: Single, terms: Terms) -> Verdicts:
    """The format json_schema without an object of that name is refused."""
    yield from must_refuse(trace.exchange, "400: response_format has an object json_schema")


@rule(
    "structured_output.name.is_required",
    on=Single,
    reads=ASKED,
    when=some_declared(lambda found: not isinstance(found.get("name"), str) or not found["name"]),
)
def name_is_required(trace: Single, terms: Terms) -> Verdicts:
    """A json_schema without a non-empty string as name is refused."""
    yield from must_refuse(trace.exchange, "400: json_schema has a name")


@lru_cache(maxsize=16)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _breaks_pattern(exchange: Exchange, terms: Terms) -> bool:
    found, pattern = declared(exchange), terms.dialect.limit("json_schema_name.pattern")
    name = found.get("name") if found is not None else None
    if not isinstance(name, str) or not name or not isinstance(pattern, str):
        return False
    return _pattern(pattern).search(name) is None or name.endswith("\n")


def _length(exchange: Exchange, terms: Terms) -> int | None:
    """How much longer a well-formed name is than the limit; None where there is no such name, or no limit."""
    found, limit = declared(exchange), terms.dialect.limit("json_schema_name.max_length")
    name = found.get("name") if found is not None else None
    if not isinstance(name, str) or not name or not is_integer(limit) or _breaks_pattern(exchange, terms):
        return None
    return len(name) - limit


@rule(
    "structured_output.name.pattern_is_enforced",
    on=Single,
    reads=ASKED,
    when=lambda trace, terms: _breaks_pattern(trace.exchange, terms),
)
def name_pattern_is_enforced(trace: Single, terms: Terms) -> Verdicts:
    """A name with other characters than letters, digits, underscores and dashes is refused."""
    name = show((declared(trace.exchange) or {}).get("name"), 40)
    yield from must_refuse(trace.exchange, f"400: {name} does not match the pattern of names")


@rule(
    "structured_output.name.too_long_is_refused",
    on=Single,
    reads=ASKED,
    when=lambda trace, terms: (_length(trace.exchange, terms) or 0) > 0,
)
def too_long_name_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A name beyond the documented length is refused."""
    limit = terms.dialect.limit("json_schema_name.max_length")
    yield from must_refuse(trace.exchange, f"400: a name has at most {limit} characters")


@rule(
    "structured_output.name.longest_is_accepted",
    on=Single,
    reads=JUDGED,
    when=lambda trace, terms: (
        some_declared(lambda found: is_sound(found) and is_plain(found["schema"]))(trace, terms)
        and _length(trace.exchange, terms) == 0
    ),
)
def longest_name_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """A name of exactly the documented length is taken."""
    yield from must_accept(trace.exchange, terms, ("name",), "2xx: the name is as long as the limit allows")


@rule(
    "structured_output.strict.non_boolean_is_refused",
    on=Single,
    reads=ASKED,
    when=some_declared(lambda found: found.get("strict") is not None and not isinstance(found["strict"], bool)),
)
def strict_non_boolean_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A strict that is no boolean is refused."""
    yield from must_refuse(trace.exchange, "400: strict is a boolean")


@rule(
    "structured_output.strict.booleans_are_accepted",
    on=Single,
    reads=JUDGED,
    when=some_declared(lambda found: is_sound(found) and "strict" in found and is_plain(found["schema"])),
)
def strict_booleans_are_accepted(trace: Single, terms: Terms) -> Verdicts:
    """Strict may be true, false or null."""
    yield from must_accept(trace.exchange, terms, ("strict",), "2xx: strict is true, false or null")


@rule(
    "structured_output.description.non_string_is_refused",
    on=Single,
    reads=ASKED,
    when=some_declared(
        lambda found: found.get("description") is not None and not isinstance(found["description"], str)
    ),
)
def non_string_description_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A description that is no string is refused."""
    yield from must_refuse(trace.exchange, "400: a description is a string")


@rule(
    "structured_output.description.is_optional",
    on=Single,
    reads=JUDGED,
    when=some_declared(lambda found: is_sound(found) and "description" not in found and is_plain(found["schema"])),
)
def description_is_optional(trace: Single, terms: Terms) -> Verdicts:
    """A json_schema without a description is taken."""
    yield from must_accept(trace.exchange, terms, ("description",), "2xx: the description is optional")


_CONFLICT = re.compile(r"\b(?:not both|mutually exclusive|either .{1,60} or .{1,60} can|conflicts? with)\b", re.I)


def _combines_nothing(exchange: Exchange) -> bool:
    """The schema's format stands alone: no tools, and no other field that could bear on the answer's form."""
    odd = {"tools", "functions", "tool_choice", "function_call", "grammar", "json_schema", "guided_json", "logprobs"}
    return not odd & chat_of(exchange).body.keys()


@rule(
    "structured_output.json_schema.is_in_no_conflict",
    on=Single,
    reads=JUDGED,
    when=lambda trace, terms: (
        some_declared(lambda found: is_sound(found) and is_plain(found["schema"]))(trace, terms)
        and _combines_nothing(trace.exchange)
    ),
)
def json_schema_is_in_no_conflict(trace: Single, terms: Terms) -> Verdicts:
    """A plain json_schema is not refused for a conflict with something that the request does not hold."""
    status = trace.exchange.status or 0
    message = str(error_object(trace.exchange).get("message") or "")
    if status in (400, 422, 500) and _CONFLICT.search(message):
        yield at_body(trace.exchange, "/error/message", "no conflict: the format stands alone", show(message, 120))
    elif status >= 400:
        yield Vacuous(Reason.REFUSED, f"status {status}")


def _faulty_format(exchange: Exchange, terms: Terms) -> str | None:
    """The field that an error about this request's format may name, or None where that is not its one fault."""
    chat = chat_of(exchange)
    others = {key: value for key, value in chat.body.items() if key != "response_format"}
    if not undoubtedly_valid(ChatRequest(others), terms):
        return None
    if _lacks_the_word(Single((exchange,)), terms):
        return "messages"
    if chat.format_type != "json_schema":
        return None
    found = declared(exchange)
    schema = found.get("schema") if found is not None else None
    broken = found is None or not isinstance(found.get("name"), str) or not found["name"]
    return "response_format" if broken or (isinstance(schema, dict) and usable(schema) is False) else None


@rule(
    "structured_output.refusal.names_the_format",
    on=Single,
    reads=JUDGED,
    when=lambda trace, terms: _faulty_format(trace.exchange, terms) is not None and trace.exchange.status in (400, 422),
)
def refusal_names_the_format(trace: Single, terms: Terms) -> Verdicts:
    """The param of a refused format names that field; for a missing word, the messages."""
    exchange, wanted = trace.exchange, _faulty_format(trace.exchange, terms)
    param = error_object(exchange).get("param")
    if not isinstance(param, str) or not param:
        yield Vacuous(Reason.MODEL_FREE, "the error names no param")
    elif top_field(param) not in (wanted, "response_format"):
        yield at_body(exchange, "/error/param", str(wanted), show(param, 60))
