"""The choices of a stream: index, delta, role and text of each, told apart by index."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from conformance.rules.base import NOT_APPLICABLE, Reason, Terms, Vacuous, Verdicts, at_chunk, rule
from conformance.rules.conditions import every, on
from conformance.rules.stream_view import (
    assembly_of,
    choices_in,
    chunks_of,
    ended_unsaid,
    has_chunks,
    indices_fit,
    intact,
    is_spoken,
    one_per_place,
    tells_choices_apart,
)
from conformance.rules.thoughts import opens_with_a_thought
from conformance.wire.deltas import Irregular, StreamedChoice
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import show
from conformance.wire.traces import Single

_BODY = {Facet.BODY}
_KEYS = {Facet.BODY, Facet.KEYS_COMPLETE}
_CUMULATIVE_PIECES, _CUMULATIVE_LENGTH = 5, 20


@rule("stream.choice.has_index", on=Single, reads=_KEYS, when=has_chunks)
def choice_has_index(trace: Single, terms: Terms) -> Verdicts:
    """Index is an integer from 0 in every choice of every chunk."""
    kinds = (Irregular.CHOICE_INDEX_MISSING, Irregular.CHOICE_INDEX_BAD)
    for found in assembly_of(trace.exchange).having(*kinds):
        observed = "absent" if found.what is Irregular.CHOICE_INDEX_MISSING else show(found.observed)
        yield at_chunk(trace.exchange, found.chunk, found.pointer, "an integer from 0", observed)
        return


@rule("stream.choice.has_delta", on=Single, reads=_KEYS, when=has_chunks)
def choice_has_delta(trace: Single, terms: Terms) -> Verdicts:
    """Delta is an object in every choice of every chunk."""
    for found in assembly_of(trace.exchange).having(Irregular.DELTA_MISSING, Irregular.DELTA_NOT_OBJECT):
        observed = "absent" if found.what is Irregular.DELTA_MISSING else show(found.observed)
        yield at_chunk(trace.exchange, found.chunk, found.pointer, "an object", observed)
        return


@rule(
    "stream.choice.has_finish_reason_key",
    on=Single,
    reads=_KEYS,
    when=every(has_chunks, on(lambda exchange: not is_spoken(exchange))),
)
def choice_has_finish_reason_key(trace: Single, terms: Terms) -> Verdicts:
    """finish_reason is a key of every choice of every chunk."""
    for chunk in chunks_of(trace.exchange, terms):
        for pointer, choice in choices_in(chunk):
            if "finish_reason" not in choice:
                where = f"{pointer}/finish_reason"
                yield at_chunk(trace.exchange, chunk.position, where, "the key finish_reason", "absent")
                return


@rule("stream.choice.has_no_message", on=Single, reads=_BODY, when=has_chunks)
def choice_has_no_message(trace: Single, terms: Terms) -> Verdicts:
    """No choice has a message beside its delta."""
    for chunk in chunks_of(trace.exchange, terms):
        for pointer, choice in choices_in(chunk):
            if isinstance(choice.get("delta"), dict) and choice.get("message"):
                observed = show(choice["message"])
                yield at_chunk(trace.exchange, chunk.position, f"{pointer}/message", "a delta alone", observed)
                return


def _choices(trace: Single) -> tuple[StreamedChoice, ...]:
    return assembly_of(trace.exchange).choices


@rule("stream.role.is_sent", on=Single, reads=_BODY, when=tells_choices_apart)
def role_is_sent(trace: Single, terms: Terms) -> Verdicts:
    """Each choice has a role in some delta; a choice that an error cut may have none."""
    if assembly_of(trace.exchange).errors or ended_unsaid(trace.exchange):
        yield NOT_APPLICABLE
        return
    for choice in _choices(trace):
        if choice.role is None:
            where = "/choices/0/delta/role"
            yield at_chunk(trace.exchange, choice.chunks[0], where, "a role", f"none for choice {choice.index}")
            return


@rule("stream.role.comes_first", on=Single, reads=_BODY, when=tells_choices_apart)
def role_comes_first(trace: Single, terms: Terms) -> Verdicts:
    """Where a choice says its role at all, its first delta says it."""
    late = {found.chunk: found for found in assembly_of(trace.exchange).having(Irregular.ROLE_MISSING)}
    for choice in _choices(trace):
        if choice.role is not None and choice.chunks[0] in late and not _says_role(trace, choice):
            found = late[choice.chunks[0]]
            yield at_chunk(trace.exchange, found.chunk, found.pointer, "the role in the first delta", "a later delta")
            return


def _says_role(trace: Single, choice: StreamedChoice) -> bool:
    """The choice's first chunk holds its role: two choices may share a chunk."""
    chunk = next(item for item in assembly_of(trace.exchange).chunks if item.position == choice.chunks[0])
    return any(
        item.get("index") == choice.index and isinstance(item.get("delta"), dict) and item["delta"].get("role")
        for _, item in choices_in(chunk)
    )


@rule("stream.role.is_assistant", on=Single, reads=_BODY, when=has_chunks)
def role_is_assistant(trace: Single, terms: Terms) -> Verdicts:
    """No delta has another role than assistant; null and absence say nothing."""
    for chunk in chunks_of(trace.exchange, terms):
        for pointer, choice in choices_in(chunk):
            delta = choice.get("delta")
            role = delta.get("role") if isinstance(delta, dict) else None
            if role is not None and role != "assistant":
                where = f"{pointer}/delta/role"
                yield at_chunk(trace.exchange, chunk.position, where, '"assistant"', show(role))
                return


@rule(
    "stream.role.is_not_repeated",
    on=Single,
    reads=_BODY,
    when=every(tells_choices_apart, on(lambda exchange: not is_spoken(exchange))),
)
def role_is_not_repeated(trace: Single, terms: Terms) -> Verdicts:
    """Each choice says its role in one delta."""
    repeated = list(assembly_of(trace.exchange).having(Irregular.ROLE_REPEATED))
    if repeated:
        first = repeated[0]
        observed = f"{show(first.observed)} again, in {len(repeated)} chunks"
        yield at_chunk(trace.exchange, first.chunk, first.pointer, "the role in one delta", observed)


@rule("stream.content.is_text", on=Single, reads=_BODY, when=has_chunks)
def content_is_text(trace: Single, terms: Terms) -> Verdicts:
    """Content and refusal are strings, null or absent in every delta."""
    kinds = (Irregular.CONTENT_NOT_STRING, Irregular.REFUSAL_NOT_STRING)
    yield from one_per_place(
        at_chunk(trace.exchange, found.chunk, found.pointer, "a string or null", show(found.observed))
        for found in assembly_of(trace.exchange).having(*kinds)
    )


def _texts(exchange: Exchange, terms: Terms) -> Iterator[tuple[int, str]]:
    """The non-empty content deltas of choice 0, with their chunk's position."""
    for chunk in chunks_of(exchange, terms):
        for _, choice in choices_in(chunk):
            delta = choice.get("delta")
            text = delta.get("content") if isinstance(delta, dict) and choice.get("index") == 0 else None
            if isinstance(text, str) and text:
                yield chunk.position, text


@rule("stream.content.is_not_repeated", on=Single, reads=_BODY, when=tells_choices_apart)
def content_is_not_repeated(trace: Single, terms: Terms) -> Verdicts:
    """Not every piece of text begins with the whole piece before it."""
    texts = list(_texts(trace.exchange, terms))
    if len(texts) < _CUMULATIVE_PIECES:
        yield Vacuous(Reason.MODEL_FREE, "too little text to tell")
    elif len(texts[-1][1]) >= _CUMULATIVE_LENGTH and all(
        later.startswith(earlier) for (_, earlier), (_, later) in pairwise(texts)
    ):
        position, text = texts[1]
        observed = f"{show(texts[0][1])}, then {show(text)}"
        yield at_chunk(trace.exchange, position, "/choices/0/delta/content", "new text only", observed)


@rule("stream.index.covers_the_choices", on=Single, reads={Facet.BODY, Facet.REQUEST}, when=has_chunks)
def index_covers_the_choices(trace: Single, terms: Terms) -> Verdicts:
    """The indices are 0 to n-1; absent and malformed ones are another rule's, streams that broke off nobody's."""
    exchange = trace.exchange
    assembly = assembly_of(exchange)
    chat = exchange.request.chat
    broken = assembly.having(Irregular.CHOICE_INDEX_MISSING, Irregular.CHOICE_INDEX_BAD)
    if not intact(exchange) or assembly.errors or ended_unsaid(exchange) or not assembly.choices or any(broken):
        yield NOT_APPLICABLE
    elif chat is None or chat.n is None:
        yield Vacuous(Reason.NO_CONTROL, "how many choices were asked for is not known")
    elif not indices_fit(exchange):
        choice = assembly.choices[-1]
        indices = [choice.index for choice in assembly.choices]
        observed = f"{len(indices)} indices: {show(indices, 60)}"
        yield at_chunk(exchange, choice.chunks[0], "/choices/0/index", f"the indices 0 to {chat.n - 1}", observed)


@rule("stream.index.begins_at_zero", on=Single, reads=_BODY, when=tells_choices_apart)
def index_begins_at_zero(trace: Single, terms: Terms) -> Verdicts:
    """Choices appear for the first time in the order of their indices."""
    choices = _choices(trace)
    if len(choices) < 2:
        yield NOT_APPLICABLE
        return
    for earlier, later in pairwise(choices):
        if later.chunks[0] < earlier.chunks[0]:
            observed = f"choice {later.index} before choice {earlier.index}"
            where = "/choices/0/index"
            yield at_chunk(trace.exchange, later.chunks[0], where, "choices in rising order", observed)
            return


@rule("stream.reasoning.is_not_in_the_content", on=Single, reads=_BODY, when=tells_choices_apart)
def reasoning_is_not_in_the_content(trace: Single, terms: Terms) -> Verdicts:
    """The text does not begin with a mark by which models open their reasoning, unless the request holds it too."""
    for choice in _choices(trace):
        text = choice.content or ""
        if opens_with_a_thought(trace.exchange, text):
            where = "/choices/0/delta/content"
            yield at_chunk(trace.exchange, choice.chunks[0], where, "the answer alone", show(text[:60]))
            return
