"""Answers under a JSON Schema: what a strict format guarantees, keyword family by keyword family."""

from __future__ import annotations

from collections.abc import Callable

from conformance.rules import structured_families as families
from conformance.rules.base import NOT_APPLICABLE, Reason, Terms, Vacuous, Verdicts, at_body, at_chunk, rule
from conformance.rules.calls import at_choice, choices_of
from conformance.rules.schema_check import complaint, resolved, valid
from conformance.rules.structured_families import BOUNDS, FORMATS, PATTERNS, Verdict
from conformance.rules.structured_view import Condition, loose_schema, said, strict_schema, texts
from conformance.wire.answer import Choice
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, show
from conformance.wire.traces import Single

_BODY = (Facet.REQUEST, Facet.BODY)


def _is_strict(trace: Single, terms: Terms) -> bool:
    return strict_schema(trace.exchange) is not None


@rule("structured_output.strict.answer_is_json", on=Single, reads=_BODY, when=_is_strict)
def strict_answer_is_json(trace: Single, terms: Terms) -> Verdicts:
    """A complete strict answer is JSON, with nothing around it."""
    for choice in texts(trace.exchange, terms):
        document = said(choice) if isinstance(choice, Choice) else None
        if not isinstance(choice, Choice):
            yield choice
        elif document is None:
            yield Vacuous(Reason.MODEL_FREE, "there is no text")
        elif not document.ok:
            yield at_choice(trace.exchange, choice, "JSON alone", f"{show(choice.text, 80)}: {document.error}")


def _judge(
    exchange: Exchange, terms: Terms, schema: Json, expected: str, keeps: Callable[[Json, Json], Verdict]
) -> Verdicts:
    """Judge every complete answer that is JSON by one family of keywords; silent where none can be judged."""
    if families.contradicts_itself(schema):
        yield Vacuous(Reason.MODEL_FREE, "no value satisfies the schema")
        return
    judged = False
    for choice in texts(exchange, terms):
        if not isinstance(choice, Choice):
            yield choice
            continue
        document = said(choice)
        if document is None or not document.ok:
            continue
        fits, why = keeps(schema, document.value)
        judged = judged or fits is not None
        if fits is False:
            yield at_choice(exchange, choice, expected, f"{why}, in {show(choice.text, 120)}")
    if not judged:
        yield NOT_APPLICABLE


def _uses(words: frozenset[str]) -> Condition:
    return lambda trace, terms: (schema := strict_schema(trace.exchange)) is not None and families.uses(schema, words)


@rule("structured_output.strict.answer_satisfies_the_schema", on=Single, reads=_BODY, when=_is_strict)
def strict_answer_satisfies_the_schema(trace: Single, terms: Terms) -> Verdicts:
    """A complete strict answer has the schema's types, properties, enums, alternatives and definitions."""
    expected = "an answer that satisfies the strict schema"
    yield from _judge(trace.exchange, terms, strict_schema(trace.exchange), expected, families.structure)


@rule("structured_output.strict.patterns_are_kept", on=Single, reads=_BODY, when=_uses(PATTERNS))
def patterns_are_kept(trace: Single, terms: Terms) -> Verdicts:
    """Strings in a complete strict answer match the schema's patterns."""

    def keeps(schema: Json, value: Json) -> Verdict:
        return families.family(schema, value, PATTERNS)

    yield from _judge(trace.exchange, terms, strict_schema(trace.exchange), "strings that match their pattern", keeps)


@rule("structured_output.strict.formats_are_kept", on=Single, reads=_BODY, when=_uses(FORMATS))
def formats_are_kept(trace: Single, terms: Terms) -> Verdicts:
    """Strings in a complete strict answer have the schema's formats."""
    yield from _judge(trace.exchange, terms, strict_schema(trace.exchange), "strings of their format", families.formats)


@rule("structured_output.strict.bounds_are_kept", on=Single, reads=_BODY, when=_uses(BOUNDS))
def bounds_are_kept(trace: Single, terms: Terms) -> Verdicts:
    """Numbers and array lengths in a complete strict answer are within the schema's bounds."""

    def keeps(schema: Json, value: Json) -> Verdict:
        return families.family(schema, value, BOUNDS)

    yield from _judge(trace.exchange, terms, strict_schema(trace.exchange), "numbers and lengths within bounds", keeps)


@rule(
    "structured_output.strict.every_keyword_is_kept",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: (schema := strict_schema(trace.exchange)) is not None and families.has_rest(schema),
)
def every_keyword_is_kept(trace: Single, terms: Terms) -> Verdicts:
    """A complete strict answer satisfies the other keywords of the schema too."""
    yield from _judge(trace.exchange, terms, strict_schema(trace.exchange), "the whole schema satisfied", families.rest)


@rule("structured_output.strict.integers_are_whole", on=Single, reads=_BODY, when=_is_strict)
def integers_are_whole(trace: Single, terms: Terms) -> Verdicts:
    """An integer is written as one: 1, not 1.0, which typed clients do not read."""

    def keeps(schema: Json, value: Json) -> Verdict:
        places = families.fractions_for_integers(schema, value)
        return not places, f"a fraction at {places[0]}" if places else ""

    yield from _judge(trace.exchange, terms, strict_schema(trace.exchange), "integers without a fraction", keeps)


@rule("structured_output.strict.keys_keep_their_order", on=Single, reads=_BODY, when=_is_strict)
def keys_keep_their_order(trace: Single, terms: Terms) -> Verdicts:
    """Keys come in the order in which the schema lists them."""

    def keeps(schema: Json, value: Json) -> Verdict:
        if families.structure(schema, value)[0] is not True:
            return None, ""
        bad = families.out_of_order(schema, schema, value, resolved)
        return bad is None, f"{show(bad[0], 60)} for {show(bad[1], 60)}" if bad else ""

    yield from _judge(trace.exchange, terms, strict_schema(trace.exchange), "keys in the schema's order", keeps)


@rule(
    "structured_output.loose.answer_satisfies_the_schema",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: loose_schema(trace.exchange) is not None,
)
def loose_answer_satisfies_the_schema(trace: Single, terms: Terms) -> Verdicts:
    """A complete answer under a schema without strict is JSON that satisfies it."""
    exchange, schema, judged = trace.exchange, loose_schema(trace.exchange), False
    for choice in texts(exchange, terms):
        document = said(choice) if isinstance(choice, Choice) else None
        if not isinstance(choice, Choice):
            yield choice
        elif document is not None and not document.ok:
            yield at_choice(exchange, choice, "JSON alone", f"{show(choice.text, 80)}: {document.error}")
        elif document is not None:
            fits = None if families.contradicts_itself(schema) else valid(schema, document.value)
            judged = judged or fits is not None
            if fits is False:
                why = f"{complaint(schema, document.value)}, in {show(choice.text, 120)}"
                yield at_choice(exchange, choice, "an answer that satisfies the schema", why)
    if not judged:
        yield NOT_APPLICABLE


@rule(
    "structured_output.refusal.has_no_content",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: (
        strict_schema(trace.exchange) is not None and any(choice.refusal for choice in choices_of(trace.exchange))
    ),
)
def refusal_has_no_content(trace: Single, terms: Terms) -> Verdicts:
    """A refusal under a schema stands in `refusal` alone: content is null."""
    exchange = trace.exchange
    for choice in choices_of(exchange):
        if choice.refusal and choice.text:
            if choice.chunk is not None:
                yield at_chunk(exchange, choice.chunk, choice.pointer, "no content beside a refusal", show(choice.text))
            else:
                place = f"{choice.pointer}/message/content"
                yield at_body(exchange, place, "null beside a refusal", show(choice.text, 80))
