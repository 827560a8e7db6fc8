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
    at_sequence,
    at_status,
    fold,
    rule,
)
from conformance.rules.blemishes import blemishes
from conformance.rules.checks import NOT_ABOUT_THE_BODY, keyed_chat, plainer, undoubtedly_valid
from conformance.rules.conditions import COMPLETION, ok
from conformance.rules.refusals import broke_down, error_object
from conformance.rules.well_formed import well_formed
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.refusal import refusal_of, top_field
from conformance.wire.strict_json import Json, equal, is_integer, show
from conformance.wire.traces import Contrast, Single

_STATUS = (Facet.REQUEST, Facet.STATUS)
_BODY = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
_EXCUSED = ("context_length_exceeded", "max_input_tokens_exceeded", "content_filter", "content_policy_violation")
"""Codes of refusals that say something of the prompt, not of the request's form."""


_ABOUT_THE_MODEL_OR_PROMPT = re.compile(
    r"unsupported|not[ _](?:supported|support|available|allowed for this model)|too (?:long|many tokens)"
    r"|(?:context|prompt) (?:length|window|size)|content[ _](?:policy|filter|management)|moderat|safety"
    r"|api[ _-]key|credential|credit|billing|quota",
    re.I,
)
"""What a refusal says that has nothing to do with the form of the request."""


def _is_valid(trace: Single, terms: Terms) -> bool:
    chat = keyed_chat(trace.exchange)
    return chat is not None and undoubtedly_valid(chat, terms)


def _taken(exchange: Exchange, terms: Terms, expected: str) -> Verdicts:
    """Judge the answer to a valid request: an honest refusal is no violation, and neither is what lies on the way."""
    status = exchange.status or 0
    error = error_object(exchange)
    if broke_down(exchange, terms) or status == 408:
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
        chat = keyed_chat(exchange)
        if chat is None:
            return state
        known = state.get(exchange.origin, _Health())
        if exchange.answer is not None:
            state[exchange.origin] = replace(known, served=known.served + 1)
        elif exchange.status in _FAULTS and broke_down(exchange, terms) and well_formed(exchange, terms):
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


_FORMS: dict[str, tuple[Callable[[dict[str, Json]], bool], str]] = {
    "requests.developer.is_accepted": (
        lambda message: message.get("role") == "developer",
        "A developer message is accepted like a system message.",
    ),
    "requests.text_parts.are_accepted": (
        lambda message: isinstance(message.get("content"), list),
        "Content as an array of text parts is accepted like a string.",
    ),
    "requests.name.is_accepted": (
        lambda message: isinstance(message.get("name"), str),
        "A message may carry the name of its participant.",
    ),
}
"""Documented forms of messages, each with the test for it: a refused request is judged by the one form that it uses."""


def _accepts(requirement: str) -> None:
    """Register the rule that requests with a documented form, valid without it, are accepted."""
    expected = _FORMS[requirement][1]

    def when(trace: Single, terms: Terms) -> bool:
        chat = keyed_chat(trace.exchange)
        if chat is None or None in chat.body.values() or blemishes(chat.body, terms.dialect):
            return False
        used = [name for name, (test, _) in _FORMS.items() if any(map(test, chat.messages))]
        return used == [requirement] and undoubtedly_valid(ChatRequest(plainer(chat.body)), terms)

    def check(trace: Single, terms: Terms) -> Verdicts:
        status = trace.exchange.status or 0
        if status in (400, 422) and _is_honest(trace.exchange, terms):
            yield Vacuous(Reason.REFUSED, f"status {status}")
        elif status in (400, 422):
            said = show(error_object(trace.exchange).get("message"), 120)
            yield replace(at_status(trace.exchange, expected), observed=f"status {status}: {said}")
        elif not ok(trace.exchange):
            yield Vacuous(Reason.TRANSPORT, f"status {status}")

    check.__doc__ = expected
    rule(requirement, on=Single, reads=_STATUS, when=when)(check)


for _requirement in _FORMS:
    _accepts(_requirement)


_HUGE = 1_000_000
"""Tokens: more than any model generates."""


def _huge_limit(trace: Single, terms: Terms) -> bool:
    """A request that is valid but for a token limit over every cap, or over the cap that its model's row gives."""
    chat = keyed_chat(trace.exchange)
    fields = [
        key for key in ("max_tokens", "max_completion_tokens") if chat is not None and is_integer(chat.body.get(key))
    ]
    if chat is None or len(fields) != 1 or chat.body[fields[0]] <= _cap(chat, terms):
        return False
    return undoubtedly_valid(ChatRequest({**chat.body, fields[0]: 64}), terms)


def _cap(chat: ChatRequest, terms: Terms) -> int:
    row = terms.facts.row(chat.model) or {}
    metadata = row.get(str(terms.dialect.convention("model.metadata")))
    for key in terms.dialect.convention("model.cap_keys") or ():
        if isinstance(metadata, dict) and is_integer(metadata.get(key)):
            return min(_HUGE, int(metadata[key]))
    return _HUGE


@rule("requests.huge_token_limit.is_refused", on=Single, reads=_BODY, when=_huge_limit)
def huge_token_limit_is_refused(trace: Single, terms: Terms) -> Verdicts:
    """A token limit over the model's cap is refused, not lowered without a word."""
    status = trace.exchange.status or 0
    if trace.exchange.answer is not None:
        yield at_status(trace.exchange, "400 for a token limit over the model's cap")
    elif status >= 500 or status in NOT_ABOUT_THE_BODY:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")


@rule("requests.huge_token_limit.is_clamped", on=Single, reads=_BODY, when=_huge_limit)
def huge_token_limit_is_clamped(trace: Single, terms: Terms) -> Verdicts:
    """A token limit over the model's cap is lowered to it."""
    yield from _not_refused(trace.exchange, "a token limit over the model's cap is lowered to it")


def _not_refused(exchange: Exchange, expected: str) -> Verdicts:
    if exchange.status in (400, 422):
        yield at_status(exchange, expected)
    elif not ok(exchange):
        yield Vacuous(Reason.TRANSPORT, f"status {exchange.status}")


def _both_limits(trace: Single, terms: Terms) -> bool:
    """A request that is valid with either of its two token limits."""
    chat = keyed_chat(trace.exchange)
    if chat is None or not all(is_integer(chat.body.get(key)) for key in ("max_tokens", "max_completion_tokens")):
        return False
    kept = {key: value for key, value in chat.body.items() if key != "max_completion_tokens"}
    return undoubtedly_valid(ChatRequest(kept), terms)


@rule("requests.both_token_limits.are_accepted", on=Single, reads=_STATUS, when=_both_limits)
def both_token_limits_are_accepted(trace: Single, terms: Terms) -> Verdicts:
    """Both token limits may be given; the newer one goes first."""
    yield from _not_refused(trace.exchange, "both token limits may be given")


_PART_TOKENS = 8
"""What a part may count more than a string, in tokens."""


def _is_spelled_in_parts(trace: Contrast, terms: Terms) -> bool:
    """Two requests that are one and the same once text parts are strings."""
    chats = [exchange.request.chat for exchange in trace.exchanges]
    bodies = [chat.body for chat in chats if chat is not None]
    return (
        len(bodies) == 2
        and not equal(bodies[0], bodies[1])
        and equal(plainer(bodies[0]), plainer(bodies[1]))
        and (trace.about.endswith("/content"))
    )


@rule("requests.text_parts.equal_a_string", on=Contrast, reads=_BODY, values=("usage",), when=_is_spelled_in_parts)
def text_parts_equal_a_string(trace: Contrast, terms: Terms) -> Verdicts:
    """A text counts about the same as a string and as a part."""
    counts: list[int] = []
    for exchange in trace.exchanges:
        usage = exchange.answer.usage if exchange.answer is not None else None
        count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        if is_integer(count):
            counts.append(count)
    if len(counts) != 2:
        yield Vacuous(Reason.NO_CONTROL, "not both were answered and counted")
    elif abs(counts[0] - counts[1]) > _PART_TOKENS:
        yield at_sequence(trace.variant, "/usage/prompt_tokens", f"about {counts[0]}", str(counts[1]))


def _asks_for_unknown_model(trace: Single, terms: Terms) -> bool:
    """The model is well-formed and not in the list of models, and the rest is valid."""
    chat = keyed_chat(trace.exchange)
    if chat is None or not isinstance(chat.model, str) or not chat.model or terms.facts.models is None:
        return False
    listed = terms.facts.row(chat.model) is not None or chat.model == terms.facts.model
    known = {**chat.body, "model": terms.facts.model or "example"}
    return not listed and undoubtedly_valid(ChatRequest(known), terms)


_NO_MODEL = re.compile(
    r"not a valid model|(?:does not|doesn't) exist|not found|no such model|unknown model|invalid model", re.I
)


def _is_told_of_no_model(exchange: Exchange) -> bool:
    """The refusal quotes the model that was asked for, and says that there is none of this name."""
    chat, said = keyed_chat(exchange), error_object(exchange).get("message")
    model = chat.model if chat is not None else None
    quoted = isinstance(model, str) and bool(model) and isinstance(said, str) and model in said
    return quoted and _NO_MODEL.search(str(said)) is not None


@rule(
    "requests.unknown_model.gets_404",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: _asks_for_unknown_model(trace, terms) or _is_told_of_no_model(trace.exchange),
)
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
        and (chat := keyed_chat(trace.exchange)) is not None
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
