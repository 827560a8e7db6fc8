"""Calls in answers: where they stand, whether a demand to call was met, and what the request declared."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.rules.base import Finding, Reason, Terms, Vacuous, at_body, at_chunk
from conformance.rules.refusals import declined
from conformance.wire.answer import Call, Choice
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json, show

_ENOUGH_TOKENS = 128
"""A call to a small tool takes a few dozen tokens: an answer cut later than this was not about to make one."""


def chat_of(exchange: Exchange) -> ChatRequest:
    """The request; an empty one where it is none, so that every condition fails."""
    return exchange.request.chat or ChatRequest({})


def has_tools(chat: ChatRequest) -> bool:
    """The request declares tools, and all of them are well-formed functions."""
    tools = chat.body.get("tools")
    return isinstance(tools, list) and bool(tools) and len(chat.tools) == len(tools)


def at_choice(exchange: Exchange, choice: Choice, expected: str, observed: str) -> Finding:
    """A finding at a choice, in either mode."""
    if choice.chunk is not None:
        return at_chunk(exchange, choice.chunk, choice.pointer, expected, observed)
    return at_body(exchange, f"{choice.pointer}/message", expected, observed)


def at_call(exchange: Exchange, call: Call, expected: str, observed: str) -> Finding:
    """A finding at a call, in either mode; for a stream at its first delta."""
    if call.chunk is not None:
        return at_chunk(exchange, call.chunk, call.pointer, expected, observed)
    return at_body(exchange, call.pointer, expected, observed)


def choices_of(exchange: Exchange) -> tuple[Choice, ...]:
    """The choices of the answer, if there is one."""
    return exchange.answer.choices if exchange.answer is not None else ()


def called(exchange: Exchange) -> bool:
    """Some choice of the answer holds a call."""
    return any(choice.calls for choice in choices_of(exchange))


def _uncalled(exchange: Exchange, choice: Choice) -> Vacuous | None:
    """Why a choice without calls does not yet break a demand to call, or None where it does."""
    if not isinstance(choice.finish_reason, str):
        return Vacuous(Reason.TRANSPORT, "the answer broke off")
    if choice.finish_reason == "content_filter" or (isinstance(choice.refusal, str) and choice.refusal):
        return Vacuous(Reason.MODEL_FREE, "the model refused")
    limit = chat_of(exchange).token_limit
    if choice.cut and (not choice.text or (limit is not None and limit < _ENOUGH_TOKENS)):
        return Vacuous(Reason.CUT_BY_LIMIT)
    return None


def must_call(exchange: Exchange, terms: Terms, expected: str) -> Iterator[Finding | Vacuous]:
    """Judge an answer in which every choice has to call; `expected` is the sentence of the findings."""
    reason = declined(exchange, terms)
    if reason is not None:
        yield reason
        return
    for choice in choices_of(exchange):
        if not choice.calls:
            observed = f"no tool calls, finish_reason {show(choice.finish_reason)}, content {show(choice.content, 60)}"
            yield _uncalled(exchange, choice) or at_choice(exchange, choice, expected, observed)


def takes_nothing(chat: ChatRequest, name: Json) -> bool:
    """The tool of this name is declared without `parameters`, which means that it takes none."""
    tool = chat.tool(name)
    return tool is not None and "parameters" not in chat.body["tools"][tool.position]["function"]


def without_arguments(call: Call) -> bool:
    """The argument string holds no arguments at all: it is blank, or the JSON null."""
    return isinstance(call.arguments, str) and call.arguments.strip() in ("", "null")
