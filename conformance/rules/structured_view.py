"""What a request asks of the form of its answer, and the answers that promise to have it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from conformance.rules.base import Reason, Terms, Vacuous
from conformance.rules.calls import chat_of, choices_of
from conformance.rules.refusals import declined
from conformance.rules.schema_check import keywords_among, open_objects, optional_properties, usable
from conformance.wire import strict_json
from conformance.wire.answer import Choice
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Document, Json
from conformance.wire.traces import Single

ASKED = (Facet.REQUEST, Facet.STATUS)
JUDGED = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
Condition = Callable[[Single, Terms], bool]
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""A name that no document objects to."""
_KEYS = frozenset({"name", "description", "schema", "strict"})
_NO_JSON = frozenset({"NaN", "Infinity", "-Infinity"})
_HARD_WHEN_STRICT = frozenset(
    {"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"}
    | {"contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "minProperties", "maxProperties"}
    | {"uniqueItems", "prefixItems", "minContains", "maxContains"}
)
"""Keywords that a strict mode or other may not know: such schemas prove nothing about the rest."""


def declared(exchange: Exchange) -> dict[str, Json] | None:
    """The `json_schema` object of a format of that type, or None."""
    chat = chat_of(exchange)
    found = chat.body["response_format"].get("json_schema") if chat.format_type == "json_schema" else None
    return found if isinstance(found, dict) else None


def some_declared(test: Callable[[dict[str, Json]], bool]) -> Condition:
    """Requests with a `json_schema` object that passes the test."""

    def when(trace: Single, terms: Terms) -> bool:
        found = declared(trace.exchange)
        return found is not None and test(found)

    return when


def is_sound(found: dict[str, Json]) -> bool:
    """Whatever stands around the schema is as documented: name, description, strict, and nothing else."""
    name, description, strict = found.get("name"), found.get("description"), found.get("strict")
    return (
        found.keys() <= _KEYS
        and isinstance(name, str)
        and NAME.fullmatch(name) is not None
        and (description is None or isinstance(description, str))
        and (strict is None or isinstance(strict, bool))
        and isinstance(found.get("schema"), dict)
    )


def strict_schema(exchange: Exchange) -> dict[str, Json] | None:
    """The schema that the answer is promised to satisfy: that of a format with `strict: true`; else None."""
    found = declared(exchange)
    if found is None or found.get("strict") is not True or not isinstance(found.get("schema"), dict):
        return None
    schema: dict[str, Json] = found["schema"]
    return schema


def loose_schema(exchange: Exchange) -> dict[str, Json] | None:
    """The schema of a format without `strict: true`; None where there is none."""
    found = declared(exchange)
    if found is None or found.get("strict") not in (None, False) or not isinstance(found.get("schema"), dict):
        return None
    schema: dict[str, Json] = found["schema"]
    return schema


def texts(exchange: Exchange, terms: Terms) -> Iterator[Choice | Vacuous]:
    """The choices that ended by themselves with text, without calls and without a refusal; why not, for the others."""
    reason = declined(exchange, terms)
    if reason is not None:
        yield reason
        return
    if exchange.answer is not None and exchange.answer.streamed and not exchange.answer.complete:
        yield Vacuous(Reason.TRANSPORT, "the stream broke off")
        return
    found, asked = list(choices_of(exchange)), chat_of(exchange).n or 1
    if exchange.answer is not None and exchange.answer.streamed and len(found) < asked:
        yield Vacuous(Reason.NO_CONTROL, "choices that cannot be told apart")
        return
    for choice in found:
        if choice.cut:
            yield Vacuous(Reason.CUT_BY_LIMIT)
        elif choice.calls or choice.refusal:
            yield Vacuous(Reason.MODEL_FREE, "the model called or refused")
        elif chat_of(exchange).body.get("tools") and _repeats_itself(choice.text):
            yield Vacuous(Reason.MODEL_FREE, "the answer stands there more than once")
        elif choice.finish_reason == "stop":
            yield choice
        else:
            yield Vacuous(Reason.TRANSPORT, f"finish_reason {choice.finish_reason!r}")


def _repeats_itself(text: str) -> bool:
    """Several JSON texts, one to a line: what the original's models answer now and then where tools are declared."""
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) > 1 and all(isinstance(strict_json.parse(line).value, dict) for line in lines)


def said(choice: Choice) -> Document | None:
    """The text of a choice read as JSON, NaN and Infinity being none; None where there is no text to read."""
    if not choice.text.strip():
        return None
    document = strict_json.parse(choice.text)
    wrong = sorted(_NO_JSON & set(document.problems))
    return Document(False, error=f"{wrong[0]} is no JSON") if wrong else document


def is_plain(schema: dict[str, Json]) -> bool:
    """A usable schema of closed objects with required properties only, and no keyword that strict modes differ on."""
    return (
        usable(schema) is True
        and schema.get("type") == "object"
        and "anyOf" not in schema
        and not keywords_among(schema, _HARD_WHEN_STRICT)
        and not open_objects(schema)
        and not optional_properties(schema)
    )
