"""Schemas in `response_format`: which are refused, which are taken, and what becomes of their references."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conformance.rules.base import (
    NOT_APPLICABLE,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_chunk,
    at_sequence,
    at_status,
    fold,
    rule,
)
from conformance.rules.calls import chat_of
from conformance.rules.refusals import broke_down, carries_error, must_accept, must_refuse
from conformance.rules.schema_check import (
    keywords_among,
    open_objects,
    optional_properties,
    resolved,
    subschemas,
    usable,
)
from conformance.rules.structured_view import (
    ASKED,
    JUDGED,
    Condition,
    declared,
    is_plain,
    is_sound,
    some_declared,
    strict_schema,
)
from conformance.wire.exchange import Exchange
from conformance.wire.rungs import CALLS
from conformance.wire.strict_json import Json
from conformance.wire.traces import Ladder, Single

_SCHEMA_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


@rule(
    "structured_output.schema.non_object_is_refused",
    on=Single,
    reads=ASKED,
    when=some_declared(lambda found: found.get("schema") is not None and not isinstance(found["schema"], dict)),
)
def non_object_schema_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A schema that is no object is refused."""
    yield from must_refuse(trace.exchange, "400: a schema is an object")


@rule(
    "structured_output.schema.invalid_is_refused",
    on=Single,
    reads=ASKED,
    when=some_declared(lambda found: isinstance(found.get("schema"), dict) and usable(found["schema"]) is False),
)
def invalid_schema_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A schema that is no JSON Schema is refused."""
    yield from must_refuse(trace.exchange, "400: the schema is no JSON Schema")


Objections = Callable[[dict[str, Json], Terms], list[str]]


def _objections(exchange: Exchange, terms: Terms, test: Objections) -> list[str]:
    """Places in a strict schema at which the test objects; a schema that is none is left out."""
    schema = strict_schema(exchange)
    return test(schema, terms) if schema is not None and usable(schema) is not False else []


def _must_object(test: Objections) -> Condition:
    return lambda trace, terms: bool(_objections(trace.exchange, terms, test))


def _open(schema: dict[str, Json], terms: Terms) -> list[str]:
    return open_objects(schema)


def _optional(schema: dict[str, Json], terms: Terms) -> list[str]:
    return optional_properties(schema)


def _unsupported(schema: dict[str, Json], terms: Terms) -> list[str]:
    return keywords_among(schema, frozenset(terms.dialect.words("strict.unsupported")))


@rule("structured_output.strict.open_object_is_refused", on=Single, reads=ASKED, when=_must_object(_open))
def open_object_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema with an object that lacks `additionalProperties: false` is refused."""
    place = _objections(trace.exchange, terms, _open)[0] or "the root"
    yield from must_refuse(trace.exchange, f"400: additionalProperties is false everywhere; not at {place}")


@rule("structured_output.strict.optional_property_is_refused", on=Single, reads=ASKED, when=_must_object(_optional))
def optional_property_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema with a property that is not required is refused."""
    place = _objections(trace.exchange, terms, _optional)[0]
    yield from must_refuse(trace.exchange, f"400: every property is required; not so {place}")


@rule(
    "structured_output.strict.unsupported_keyword_is_refused", on=Single, reads=ASKED, when=_must_object(_unsupported)
)
def unsupported_keyword_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema with a keyword that strict mode does not support is refused."""
    place = _objections(trace.exchange, terms, _unsupported)[0]
    yield from must_refuse(trace.exchange, f"400: {place} is not supported by strict mode")


def _other_root(trace: Single, terms: Terms) -> bool:
    schema = strict_schema(trace.exchange)
    if schema is None or usable(schema) is False:
        return False
    return "anyOf" in schema or schema.get("type") in _other_types(schema)


def _other_types(schema: dict[str, Json]) -> frozenset[str]:
    return _SCHEMA_TYPES - {"object"} if isinstance(schema.get("type"), str) else frozenset()


@rule("structured_output.strict.other_root_is_refused", on=Single, reads=ASKED, when=_other_root)
def other_root_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema whose root is no object, or is an anyOf, is refused."""
    yield from must_refuse(trace.exchange, '400: the root has the type "object", and no anyOf')


def _is_loosely_closed(found: dict[str, Json]) -> bool:
    """Strict and sound, an object at the root, no hard keyword or reference; and an object in it is open."""
    if not is_sound(found) or found.get("strict") is not True:
        return False
    schema = found["schema"]
    lax = open_objects(schema) or optional_properties(schema)
    return bool(lax) and is_plain(_closed(schema)) and not keywords_among(schema, frozenset({"$ref"}))


def _closed(schema: Json) -> Json:
    """The schema with every object closed and every property required: what is left to object to is something else."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(item) for key, item in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type", "object") == "object":
        made = {**made, "required": list(schema["properties"]), "additionalProperties": False}
    elif schema.get("type") == "object":
        made = {**made, "additionalProperties": False}
    return made


@rule(
    "structured_output.strict.open_object_is_accepted",
    on=Single,
    reads=JUDGED,
    when=some_declared(lambda found: usable(found.get("schema")) is True and _is_loosely_closed(found)),
)
def open_object_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """A strict schema may have open objects and optional properties."""
    words = ("additionalproperties", "required", "additional properties")
    yield from must_accept(trace.exchange, terms, words, "2xx: open objects and optional properties are allowed")


def _references(schema: Json) -> list[str]:
    return [part["$ref"] for _, part in subschemas(schema) if isinstance(part.get("$ref"), str)]


def _schema_of(exchange: Exchange) -> dict[str, Json]:
    found = declared(exchange)
    schema = found.get("schema") if found is not None else None
    return schema if isinstance(schema, dict) else {}


def _is_circle(schema: dict[str, Json], reference: str) -> bool:
    """The chain of references comes back without passing a property or an item."""
    seen: set[str] = set()
    current: Json = {"$ref": reference}
    while isinstance(current, dict) and isinstance(current.get("$ref"), str):
        if current["$ref"] in seen:
            return True
        seen.add(current["$ref"])
        current = resolved(schema, current["$ref"])
    return False


def _is_local(reference: str) -> bool:
    """A JSON pointer inside the schema; names of anchors and percent-encoded pointers are left out."""
    return reference == "#" or (reference.startswith("#/") and "%" not in reference)


def _goes_well(schema: dict[str, Json]) -> bool:
    """Every reference is a pointer that leads somewhere and to an end."""
    return all(
        _is_local(item) and isinstance(resolved(schema, item), dict) and not _is_circle(schema, item)
        for item in _references(schema)
    )


def _is_recursive(schema: dict[str, Json]) -> bool:
    """Some definition, or the root, refers to itself through a property or an item."""
    inner = {item: set(_references(resolved(schema, item))) for item in set(_references(schema))}
    for start in inner:
        seen: set[str] = set()
        stack = list(inner[start])
        while stack:
            item = stack.pop()
            if item == start:
                return True
            if item not in seen:
                seen.add(item)
                stack.extend(inner.get(item, ()))
    return False


@rule(
    "structured_output.reference.local_is_accepted",
    on=Single,
    reads=JUDGED,
    when=some_declared(
        lambda found: (
            is_sound(found)
            and is_plain(found["schema"])
            and bool(_references(found["schema"]))
            and _goes_well(found["schema"])
        )
    ),
)
def local_reference_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """References to definitions in the same schema are taken, recursive ones too."""
    words = ("$ref", "$defs", "definition", "recursi", "reference", "circular", "cycl")
    yield from must_accept(trace.exchange, terms, words, "2xx: local references are supported")


def _is_unfinished(exchange: Exchange) -> bool:
    return exchange.answer is not None and not exchange.answer.complete


def _ends_badly(exchange: Exchange) -> Iterator[str]:
    """How an accepted request came to no good end, in words."""
    if carries_error(exchange) or (exchange.assembly is not None and exchange.assembly.errors):
        yield "an error in the middle of the answer"
    elif exchange.assembly is not None and not exchange.assembly.done and _is_unfinished(exchange):
        # Where `[DONE]` stands the answer was not given up: what its chunks lack is the business of other rules.
        yield "a stream without an end"


@dataclass(frozen=True)
class _Recursions:
    """What became of requests with recursive schemas."""

    failed: tuple[Exchange, ...] = ()
    """Answers of a server error."""
    ended: int = 0
    """Streams that came to an end."""
    broken: tuple[tuple[Exchange, str], ...] = ()
    """Streams that did not, and what happened."""
    passed: int = 0

    def joined(self, later: _Recursions) -> _Recursions:
        return _Recursions(
            (*self.failed, *later.failed),
            self.ended + later.ended,
            (*self.broken, *later.broken),
            self.passed + later.passed,
        )


@fold("structured_output.reference.recursion_is_survived", reads=JUDGED)
class RecursionIsSurvived:
    """Recursive schemas are answered or refused in time: no server error, no answers that break off.

    One stream that breaks off is an accident; where none of several comes to its end it is the schema.
    """

    def empty(self) -> _Recursions:
        """Nothing seen."""
        return _Recursions()

    def step(self, state: _Recursions, exchange: Exchange, terms: Terms) -> _Recursions:
        """Note how an answer under a recursive schema ends."""
        if exchange.request.chat is None or (exchange.status or 0) in (429, 502, 503, 504):
            return state
        schema = _schema_of(exchange)
        if not _goes_well(schema) or not _is_recursive(schema):
            return state
        if broke_down(exchange, terms):
            return state.joined(_Recursions((exchange,)))
        how = next(_ends_badly(exchange), None)
        if how is not None:
            return state.joined(_Recursions(broken=((exchange, how),)))
        streamed = exchange.answer is not None and exchange.answer.streamed
        return state.joined(_Recursions(ended=int(streamed), passed=1))

    def merge(self, earlier: _Recursions, later: _Recursions) -> _Recursions:
        """Both."""
        return earlier.joined(later)

    def finish(self, state: _Recursions, terms: Terms) -> Verdicts:
        """The server errors, and the streams that break off where none comes to its end."""
        if not (state.failed or state.broken or state.passed):
            yield NOT_APPLICABLE
        for exchange in state.failed:
            yield at_status(exchange, "2xx with an answer, or 400")
        if state.broken and (state.ended or len(state.broken) == 1):
            yield Vacuous(Reason.NO_CONTROL, "a stream that broke off, which may have been an accident")
            return
        for exchange, how in state.broken:
            yield at_chunk(exchange, None, "", "an answer that comes to its end, or a refusal before it begins", how)


def _some_reference(test: Callable[[dict[str, Json], str], bool]) -> Condition:
    """Requests whose format's schema holds a reference that passes the test."""

    def when(trace: Single, terms: Terms) -> bool:
        schema = _schema_of(trace.exchange)
        return chat_of(trace.exchange).format_type == "json_schema" and any(
            test(schema, item) for item in _references(schema)
        )

    return when


@rule(
    "structured_output.reference.dangling_is_refused",
    on=Single,
    reads=ASKED,
    when=_some_reference(lambda schema, item: _is_local(item) and resolved(schema, item) is None),
)
def dangling_reference_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A reference that leads nowhere is refused."""
    yield from must_refuse(trace.exchange, "400: the reference leads nowhere")


@rule(
    "structured_output.reference.circle_is_refused",
    on=Single,
    reads=ASKED,
    when=_some_reference(_is_circle),
)
def circular_reference_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A chain of references that leads back to itself without any progress is refused."""
    yield from must_refuse(trace.exchange, "400: the references lead in a circle, so no value is described")


@rule(
    "structured_output.reference.remote_is_refused",
    on=Single,
    reads=ASKED,
    when=_some_reference(lambda schema, item: item.startswith(("http://", "https://"))),
)
def remote_reference_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A reference to a URL is refused."""
    yield from must_refuse(trace.exchange, "400: references lead to definitions of the same schema only")


@rule(
    "structured_output.reference.remote_is_not_called",
    on=Ladder,
    reads=ASKED,
    when=lambda trace, terms: trace.axis == CALLS,
)
def remote_reference_is_not_called(trace: Ladder, terms: Terms) -> Verdicts:
    """The URL of a reference is not called, whatever becomes of the request."""
    for calls, exchange in zip(trace.values, trace.exchanges, strict=True):
        if calls > 0:
            yield at_sequence(
                exchange, "/response_format/json_schema/schema", "no call of the URL in the schema", f"calls: {calls}"
            )
