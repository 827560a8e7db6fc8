"""Request validation: what is valid is accepted, and what is certainly wrong is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Part,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_chunk,
    at_status,
    fold,
    rule,
)
from conformance.rules.blemishes import blemishes
from conformance.rules.checks import NOT_ABOUT_THE_BODY, lone, plainer, undoubtedly_valid
from conformance.rules.conditions import COMPLETION, ok
from conformance.rules.refusals import carries_error, error_object
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange, Facet, header_values
from conformance.wire.refusal import refusal_of, top_field
from conformance.wire.strict_json import show
from conformance.wire.traces import Single

_STATUS = (Facet.REQUEST, Facet.STATUS)
_BODY = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
_EXCUSED = ("context_length_exceeded", "max_input_tokens_exceeded", "content_filter", "content_policy_violation")
"""Codes of refusals that say something of the prompt, not of the request's form."""


_ABOUT_THE_MODEL_OR_PROMPT = re.compile(
    r"unsupported|not[ _](?:supported|support|available|allowed for this model)|(?:context|prompt) (?:length|window|size)|too long"
    r"|too many tokens|content[ _](?:policy|filter|management)|moderat|safety|api[ _-]key|credential|credit|billing|quota",
    re.I,
)
"""What a refusal says that has nothing to do with the form of the request."""


def _keyed_chat(exchange: Exchange) -> ChatRequest | None:
    """The request of an exchange that carried the run's key and no content type of its own."""
    request = exchange.request
    usual = request.auth == "key" and not header_values(request.headers, "content-type")
    return request.chat if usual and not request.document.problems else None


def _is_valid(trace: Single, terms: Terms) -> bool:
    chat = _keyed_chat(trace.exchange)
    return chat is not None and undoubtedly_valid(chat, terms)


def _taken(exchange: Exchange, terms: Terms, expected: str) -> Verdicts:
    """Judge the answer to a valid request: an honest refusal is no violation, and neither is what lies on the way."""
    status = exchange.status or 0
    error = error_object(exchange)
    if status >= 500 or status == 408:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif status in NOT_ABOUT_THE_BODY:
        yield Vacuous(Reason.REFUSED, f"status {status}")
    elif status >= 400:
        if _is_honest(exchange, terms):
            yield Vacuous(Reason.REFUSED, str(error.get("code") or error.get("message", ""))[:120])
        else:
            yield replace(at_status(exchange, expected), observed=f"status {status}: {show(error.get('message'), 120)}")


def _is_honest(exchange: Exchange, terms: Terms) -> bool:
    """The refusal names a feature, or says that the model does not support this, or that the prompt is the reason."""
    error, chat = error_object(exchange), exchange.request.chat
    param, said = error.get("param"), exchange.body[:4000].decode("utf-8", "replace")
    return (
        refusal_of(exchange, terms.dialect) is not None
        or error.get("code") in _EXCUSED
        or (isinstance(param, str) and top_field(param) == "model")
        or _ABOUT_THE_MODEL_OR_PROMPT.search(said) is not None
        or (chat is not None and isinstance(chat.model, str) and chat.model in said)
    )


@rule("requests.valid.is_accepted", on=Single, reads=_BODY, when=_is_valid)
def valid_is_accepted(trace: Single, terms: Terms) -> Verdicts:
    """A request of nothing but documented fields and values is not refused, but by naming the feature."""
    yield from _taken(trace.exchange, terms, "a valid request is accepted, or the refused feature is named")


@dataclass(frozen=True)
class _Health:
    """Valid requests of one origin: how often any was served, and those that met a server error after that."""

    served: int = 0
    failed: tuple[tuple[str, int, int], ...] = ()
    """(exchange, status, how many were served before it)."""


_Healths = dict[str, _Health]
_FAULTS = frozenset(range(500, 600)) - {502, 503, 504, 529}


@fold("requests.valid.gets_no_server_error", reads=_STATUS)
class ValidGetsNoServerError:
    """Valid requests get no server errors while others are served before and after."""

    def empty(self) -> _Healths:
        """Nothing seen."""
        return {}

    def step(self, state: _Healths, exchange: Exchange, terms: Terms) -> _Healths:
        """Count what is served, and note server errors."""
        chat = _keyed_chat(exchange)
        if chat is None:
            return state
        known = state.get(exchange.origin, _Health())
        if exchange.answer is not None:
            state[exchange.origin] = replace(known, served=known.served + 1)
        elif exchange.status in _FAULTS and undoubtedly_valid(chat, terms):
            entry = (exchange.id, exchange.status or 0, known.served)
            state[exchange.origin] = replace(known, failed=(*known.failed, entry))
        return state

    def merge(self, earlier: _Healths, later: _Healths) -> _Healths:
        """Both parts; the later one's counts go on from the earlier one's."""
        merged = dict(earlier)
        for origin, found in later.items():
            known = merged.get(origin, _Health())
            moved = tuple((name, status, at + known.served) for name, status, at in found.failed)
            merged[origin] = _Health(known.served + found.served, known.failed + moved)
        return merged

    def finish(self, state: _Healths, terms: Terms) -> Verdicts:
        """Server errors between served requests, where there were at least two."""
        if not any(found.served for found in state.values()):
            yield NOT_APPLICABLE
        for found in state.values():
            between = [item for item in found.failed if 0 < item[2] < found.served]
            if len(between) == 1:
                yield Vacuous(Reason.TRANSPORT, f"one status {between[0][1]}, which may be chance")
            elif between:
                for name, status, _ in between:
                    yield Finding(name, Part.STATUS, "a valid request is served, or refused by 4xx", f"status {status}")


def _accepts(requirement: str, uses: Callable[[ChatRequest], bool], title: str) -> None:
    """Register the rule that requests with a documented form, valid without it, are accepted."""

    def when(trace: Single, terms: Terms) -> bool:
        chat = _keyed_chat(trace.exchange)
        if chat is None or not uses(chat) or None in chat.body.values() or blemishes(chat.body, terms.dialect):
            return False
        return undoubtedly_valid(ChatRequest(plainer(chat.body)), terms)

    def check(trace: Single, terms: Terms) -> Verdicts:
        status = trace.exchange.status or 0
        if status in (400, 422) and _is_honest(trace.exchange, terms):
            yield Vacuous(Reason.REFUSED, f"status {status}")
        elif status in (400, 422):
            said = show(error_object(trace.exchange).get("message"), 120)
            yield replace(at_status(trace.exchange, title), observed=f"status {status}: {said}")
        elif not ok(trace.exchange):
            yield Vacuous(Reason.TRANSPORT, f"status {status}")

    check.__doc__ = title
    rule(requirement, on=Single, reads=_STATUS, when=when)(check)


def _some_message(chat: ChatRequest, key: str, value: object = ...) -> bool:
    return any(key in item and (value is ... or item[key] == value) for item in chat.messages)


_accepts(
    "requests.developer.is_accepted",
    lambda chat: _some_message(chat, "role", "developer"),
    "A developer message is accepted like a system message.",
)
_accepts(
    "requests.text_parts.are_accepted",
    lambda chat: any(isinstance(item.get("content"), list) for item in chat.messages),
    "Content as an array of text parts is accepted like a string.",
)
_accepts(
    "requests.name.is_accepted",
    lambda chat: any(isinstance(item.get("name"), str) for item in chat.messages),
    "A message may carry the name of its participant.",
)


def _refuses(requirement: str, title: str, *about: str) -> None:
    """Register the rule that a request with this fault gets no completion."""

    def when(trace: Single, terms: Terms) -> bool:
        chat = _keyed_chat(trace.exchange)
        return chat is not None and any(item.about in about for item in blemishes(chat.body, terms.dialect))

    def check(trace: Single, terms: Terms) -> Verdicts:
        exchange, chat = trace.exchange, trace.exchange.request.chat
        faults = [item for item in blemishes(chat.body if chat else {}, terms.dialect) if item.about in about]
        if ok(exchange) and not carries_error(exchange):
            for item in faults[:3]:
                yield at_status(exchange, f"400, as {item.path} is wrong: {item.kind.replace('_', ' ')}")
        elif (exchange.status or 0) >= 500:
            yield Vacuous(Reason.TRANSPORT, f"status {exchange.status}")
        elif exchange.status in NOT_ABOUT_THE_BODY or lone(exchange, terms) is None:
            yield Vacuous(Reason.NO_CONTROL, f"status {exchange.status}, which something else may have caused")

    check.__doc__ = title
    rule(requirement, on=Single, reads=_BODY, when=when)(check)


_refuses("requests.model.is_checked", "A missing, mistyped or empty model is refused.", "model")
_refuses("requests.messages.are_checked", "Missing, mistyped or empty messages are refused.", "messages")
_refuses("requests.messages.are_bounded", "More messages than are allowed are refused.", "messages_count")
_refuses("requests.role.is_checked", "An unknown, mistyped or missing role is refused.", "role")
_refuses("requests.content.is_checked", "System and user messages need text or well-formed parts.", "content")
_refuses("requests.assistant_content.is_checked", "An assistant message needs content or calls.", "assistant_content")
_refuses("requests.tool_message.is_checked", "A tool message needs content and tool_call_id.", "tool_message")
_refuses("requests.name.is_checked", "A message's name that is no string is refused.", "name")
_refuses("requests.token_limit.is_checked", "A token limit that is no positive integer is refused.", "token_limit")
_refuses("requests.n.is_checked", "An n that is no integer in the documented range is refused.", "n")
_refuses("requests.stop.is_checked", "A stop that is no string and no short list of strings is refused.", "stop")
_refuses("requests.temperature.is_checked", "A temperature out of range or mistyped is refused.", "temperature")
_refuses("requests.top_p.is_checked", "A top_p out of range or mistyped is refused.", "top_p")
_refuses("requests.seed.is_checked", "A seed that is no integer is refused.", "seed")
_refuses("requests.user.is_checked", "A user that is no string is refused.", "user")
_refuses("requests.penalties.are_checked", "Penalties out of range or mistyped are refused.", "penalties")
_refuses("requests.logit_bias.is_checked", "A logit_bias that is no map of tokens to biases is refused.", "logit_bias")
_refuses("requests.stream.is_checked", "A stream that is no boolean is refused.", "stream")
_refuses("requests.stream_options.need_a_stream", "stream_options without a stream are refused.", "stream_options")
_refuses("requests.service_tier.is_checked", "An unknown service_tier is refused.", "service_tier")
_refuses("requests.reasoning_effort.is_checked", "An unknown reasoning_effort is refused.", "reasoning_effort")


def _asks_for_unknown_model(trace: Single, terms: Terms) -> bool:
    """The model is well-formed and not in the list of models, and the rest is valid."""
    chat = _keyed_chat(trace.exchange)
    if chat is None or not isinstance(chat.model, str) or not chat.model or terms.facts.models is None:
        return False
    listed = terms.facts.row(chat.model) is not None or chat.model == terms.facts.model
    known = {**chat.body, "model": terms.facts.model or "example"}
    return not listed and undoubtedly_valid(ChatRequest(known), terms)


@rule("requests.unknown_model.gets_404", on=Single, reads=_STATUS, when=_asks_for_unknown_model)
def unknown_model_gets_404(trace: Single, terms: Terms) -> Verdicts:
    """A model that is not there gets 404."""
    status = trace.exchange.status or 0
    if status in (401, 402, 403, 407, 408, 429, 502, 503, 504):
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    # Aliases and dated names may be served without being listed, so only a refusal is judged.
    elif ok(trace.exchange):
        yield Vacuous(Reason.MODEL_FREE, "the model is served, though it is not listed")
    elif status != 404:
        yield at_status(trace.exchange, "status 404 for a model that is not there")


@rule("requests.unknown_model.is_no_server_fault", on=Single, reads=_STATUS, when=_asks_for_unknown_model)
def unknown_model_is_no_server_fault(trace: Single, terms: Terms) -> Verdicts:
    """A model that is not there is no reason for a server error."""
    status = trace.exchange.status or 0
    if status in (502, 503, 504):
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif status >= 500:
        yield at_status(trace.exchange, "an answer, or a 4xx for a model that is not there")


@rule(
    "requests.stream.is_off_by_default",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: (
        ok(trace.exchange)
        and (chat := _keyed_chat(trace.exchange)) is not None
        and ("stream" not in chat.body or chat.body["stream"] is False)
    ),
)
def stream_is_off_by_default(trace: Single, terms: Terms) -> Verdicts:
    """A request that asks for no stream gets none."""
    exchange = trace.exchange
    if exchange.media_type == "text/event-stream" or exchange.body.lstrip().startswith(b"data:"):
        yield at_body(exchange, "", "a JSON object", "an event stream")


@rule(
    "requests.stop.is_not_in_the_text",
    on=Single,
    reads=_BODY,
    values=("content",),
    when=lambda trace, terms: (
        COMPLETION(trace, terms) and trace.exchange.request.chat is not None and any(trace.exchange.request.chat.stops)
    ),
)
def stop_is_not_in_the_text(trace: Single, terms: Terms) -> Verdicts:
    """No text holds one of the request's stop sequences."""
    exchange, answer, chat = trace.exchange, trace.exchange.answer, trace.exchange.request.chat
    if answer is None or chat is None or not any(choice.text for choice in answer.choices):
        yield Vacuous(Reason.MODEL_FREE, "no text")
        return
    for choice in answer.choices:
        stop = next((word for word in chat.stops if word and word in choice.text), None)
        if stop is not None:
            near = choice.text.index(stop)
            shown = show(choice.text[max(0, near - 20) : near + len(stop) + 10], 80)
            expected = f"no {show(stop, 40)} in the text"
            if choice.chunk is not None:
                yield at_chunk(exchange, choice.chunk, "/choices/0/delta/content", expected, shown)
            else:
                yield at_body(exchange, f"{choice.pointer}/message/content", expected, shown)
