"""How the choices of a stream end: with one finish_reason each, and nothing after it."""

from __future__ import annotations

from conformance.rules.base import NOT_APPLICABLE, Terms, Verdicts, at_chunk, rule
from conformance.rules.stream_view import (
    assembly_of,
    choices_in,
    chunks_of,
    ended_unsaid,
    has_chunks,
    is_spoken,
    tells_choices_apart,
)
from conformance.wire.deltas import Irregular
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import show
from conformance.wire.traces import Single

_BODY = {Facet.BODY}


def _is_clean(exchange: Exchange) -> bool:
    """No finish_reason is empty or of another type: such a value is one rule's, and confuses the others."""
    return not any(True for _ in assembly_of(exchange).having(Irregular.FINISH_BAD))


def _can_be_judged(trace: Single, terms: Terms) -> bool:
    return tells_choices_apart(trace, terms) and _is_clean(trace.exchange) and not is_spoken(trace.exchange)


@rule("stream.finish.comes_for_every_choice", on=Single, reads=_BODY, when=_can_be_judged)
def finish_comes_for_every_choice(trace: Single, terms: Terms) -> Verdicts:
    """Each choice has a finish_reason; a stream that an error or a silent end cut is another rule's."""
    exchange = trace.exchange
    if assembly_of(exchange).errors or ended_unsaid(exchange):
        yield NOT_APPLICABLE
        return
    for found in assembly_of(exchange).having(Irregular.FINISH_MISSING):
        where = "/choices/0/finish_reason"
        yield at_chunk(exchange, found.chunk, where, "a finish_reason", f"none for choice {show(found.observed)}")
        return


@rule("stream.finish.comes_once", on=Single, reads=_BODY, when=_can_be_judged)
def finish_comes_once(trace: Single, terms: Terms) -> Verdicts:
    """No choice has two chunks with a finish_reason."""
    for found in assembly_of(trace.exchange).having(Irregular.FINISH_REPEATED):
        if found.observed:
            observed = f"{show(found.observed)} after a finish_reason"
            yield at_chunk(trace.exchange, found.chunk, found.pointer, "one finish_reason a choice", observed)
            return


@rule("stream.finish.is_null_until_the_end", on=Single, reads=_BODY, when=has_chunks)
def finish_is_null_until_the_end(trace: Single, terms: Terms) -> Verdicts:
    """finish_reason is null, absent or a non-empty string in every chunk."""
    for chunk in chunks_of(trace.exchange, terms):
        for pointer, choice in choices_in(chunk):
            value = choice.get("finish_reason")
            if value is not None and not (isinstance(value, str) and value):
                where = f"{pointer}/finish_reason"
                yield at_chunk(trace.exchange, chunk.position, where, "null or a reason", show(value))
                return


@rule("stream.finish.nothing_is_said_after", on=Single, reads=_BODY, when=_can_be_judged)
def finish_nothing_is_said_after(trace: Single, terms: Terms) -> Verdicts:
    """After its finish_reason a choice has no text, refusal or tool call."""
    for found in assembly_of(trace.exchange).having(Irregular.AFTER_FINISH):
        yield at_chunk(trace.exchange, found.chunk, found.pointer, "nothing after finish_reason", show(found.observed))
        return


@rule("stream.finish.is_the_last_word", on=Single, reads=_BODY, when=_can_be_judged)
def finish_is_the_last_word(trace: Single, terms: Terms) -> Verdicts:
    """After its finish_reason a choice is in no further chunk; text and another reason there are other rules'."""
    assembly = assembly_of(trace.exchange)
    judged = {found.chunk for found in assembly.having(Irregular.AFTER_FINISH, Irregular.FINISH_REPEATED)}
    for choice in assembly.choices:
        if choice.finish_chunk is None or choice.chunks[-1] == choice.finish_chunk:
            continue
        later = [chunk for chunk in choice.chunks if chunk > choice.finish_chunk and chunk not in judged]
        if later:
            observed = f"finish_reason null for choice {choice.index} after {show(choice.finish_reason)}"
            yield at_chunk(trace.exchange, later[0], "/choices/0", "no choice after its finish", observed)
            return
