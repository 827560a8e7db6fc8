"""Where in a stream usage stands: in a chunk of its own on request, or on the finish chunk, as the dialect says."""

from __future__ import annotations

from conformance.rules.base import NOT_APPLICABLE, Terms, Verdicts, at_chunk, rule
from conformance.rules.conditions import every, on
from conformance.rules.stream_view import (
    assembly_of,
    choices_in,
    chunks_of,
    ended_unsaid,
    has_chunks,
    intact,
    is_spoken,
    parts_of,
)
from conformance.wire.deltas import Chunk
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import show
from conformance.wire.traces import Single

_BODY = {Facet.BODY}
_ASKING = {Facet.BODY, Facet.REQUEST}


def _asks(exchange: Exchange) -> bool:
    chat = exchange.request.chat
    return chat is not None and chat.include_usage


def _is_whole(exchange: Exchange) -> bool:
    """The stream came to its end: one that broke off may lack its usage."""
    return intact(exchange) and not assembly_of(exchange).errors and not ended_unsaid(exchange)


_ASKED = every(has_chunks, on(_asks), on(_is_whole))
_WHOLE = every(has_chunks, on(_is_whole))


def _with_usage(exchange: Exchange, terms: Terms) -> list[Chunk]:
    return [chunk for chunk in chunks_of(exchange, terms) if chunk.value.get("usage") is not None]


@rule("stream.usage.is_sent_when_asked_for", on=Single, reads=_ASKING, when=_ASKED)
def usage_is_sent_when_asked_for(trace: Single, terms: Terms) -> Verdicts:
    """Some chunk has usage that is not null."""
    if not _with_usage(trace.exchange, terms):
        yield at_chunk(trace.exchange, None, "/usage", "usage in a chunk", "none in the stream")


@rule("stream.usage.has_a_chunk_of_its_own", on=Single, reads=_ASKING, when=_ASKED)
def usage_has_a_chunk_of_its_own(trace: Single, terms: Terms) -> Verdicts:
    """The last usage comes beside empty choices; absent and malformed choices are another rule's."""
    carriers = _with_usage(trace.exchange, terms)
    if not carriers or not isinstance(carriers[-1].value.get("choices"), list):
        yield NOT_APPLICABLE
    elif carriers[-1].value["choices"]:
        observed = show(carriers[-1].value["choices"])
        yield at_chunk(trace.exchange, carriers[-1].position, "/choices", "empty choices beside usage", observed)


@rule("stream.usage.is_null_in_other_chunks", on=Single, reads=_ASKING, when=_ASKED)
def usage_is_null_in_other_chunks(trace: Single, terms: Terms) -> Verdicts:
    """Only one chunk has usage that is not null."""
    carriers = _with_usage(trace.exchange, terms)
    if not carriers:
        yield NOT_APPLICABLE
    elif len(carriers) > 1:
        observed = f"{show(carriers[0].value['usage'])}, in {len(carriers)} chunks"
        yield at_chunk(trace.exchange, carriers[0].position, "/usage", "null before the last chunk", observed)


@rule("stream.usage.key_is_in_every_chunk", on=Single, reads={*_ASKING, Facet.KEYS_COMPLETE}, when=_ASKED)
def usage_key_is_in_every_chunk(trace: Single, terms: Terms) -> Verdicts:
    """Every part of the completion has the key usage, where usage is sent at all."""
    if not _with_usage(trace.exchange, terms):
        yield NOT_APPLICABLE
        return
    for chunk in parts_of(trace.exchange, terms):
        if "usage" not in chunk.value:
            yield at_chunk(trace.exchange, chunk.position, "/usage", "the key usage, null", "absent")
            return


@rule(
    "stream.usage.is_not_sent_unasked",
    on=Single,
    reads=_ASKING,
    when=every(has_chunks, on(lambda exchange: exchange.request.chat is not None and not _asks(exchange))),
)
def usage_is_not_sent_unasked(trace: Single, terms: Terms) -> Verdicts:
    """No chunk has usage that is not null."""
    for chunk in _with_usage(trace.exchange, terms)[:1]:
        yield at_chunk(
            trace.exchange, chunk.position, "/usage", "no usage unless asked for", show(chunk.value["usage"])
        )


@rule("stream.usage.is_on_the_finish_chunk", on=Single, reads=_BODY, when=_WHOLE)
def usage_is_on_the_finish_chunk(trace: Single, terms: Terms) -> Verdicts:
    """The last chunk that finishes a choice has usage with credits_charged."""
    finishing = [
        chunk
        for chunk in chunks_of(trace.exchange, terms)
        if any(choice.get("finish_reason") for _, choice in choices_in(chunk))
    ]
    if not finishing:
        yield NOT_APPLICABLE
        return
    usage = finishing[-1].value.get("usage")
    if not isinstance(usage, dict) or "credits_charged" not in usage:
        where = "/usage" if not isinstance(usage, dict) else "/usage/credits_charged"
        yield at_chunk(trace.exchange, finishing[-1].position, where, "usage with credits_charged", show(usage))


@rule("stream.usage.has_no_chunk_of_its_own", on=Single, reads=_BODY, when=_WHOLE)
def usage_has_no_chunk_of_its_own(trace: Single, terms: Terms) -> Verdicts:
    """No chunk has usage beside empty choices."""
    for chunk in _with_usage(trace.exchange, terms):
        if chunk.value.get("choices") == []:
            yield at_chunk(trace.exchange, chunk.position, "/choices", "usage on the finish chunk", "an extra chunk")
            return


@rule(
    "stream.usage.is_on_the_last_chunk",
    on=Single,
    reads=_BODY,
    when=every(_WHOLE, on(lambda exchange: not is_spoken(exchange))),
)
def usage_is_on_the_last_chunk(trace: Single, terms: Terms) -> Verdicts:
    """No chunk follows the last one with usage, but for the moderation that was asked for."""
    carriers = _with_usage(trace.exchange, terms)
    if not carriers:
        yield NOT_APPLICABLE
        return
    last = carriers[-1].position
    later = [
        chunk
        for chunk in chunks_of(trace.exchange, terms)
        if chunk.position > last and not chunk.value.get("moderation")
    ]
    if later:
        observed = f"{len(later)} chunks after it"
        yield at_chunk(trace.exchange, later[0].position, "/usage", "usage on the last chunk", observed)
