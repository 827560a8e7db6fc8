"""Why a choice ended: the words, calls, stop sequences and token limits, in both modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_body,
    at_chunk,
    rule,
)
from conformance.rules.conditions import COMPLETION, UNSTREAMED
from conformance.wire import strict_json
from conformance.wire.answer import MISSING, Answer, Choice
from conformance.wire.chat_request import ChatRequest, Choosing
from conformance.wire.deltas import Irregular
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import is_integer, show
from conformance.wire.traces import Contrast, Parity, Single

_BODY = (Facet.REQUEST, Facet.STATUS, Facet.BODY)
_ENDS_EARLY = ("length", "content_filter")


def _at(exchange: Exchange, choice: Choice, expected: str, observed: str | None = None) -> Finding:
    """A finding at the finish_reason of a choice, in either mode."""
    shown = observed if observed is not None else show(choice.finish_reason, 60)
    if choice.chunk is not None:
        return at_chunk(exchange, choice.chunk, "/choices/0/finish_reason", expected, shown)
    return at_body(exchange, f"{choice.pointer}/finish_reason", expected, shown)


def _finished(answer: Answer | None) -> Iterator[Choice]:
    """The choices whose finish_reason is a word: a missing or empty one is judged by rules of its own."""
    for choice in answer.choices if answer is not None else ():
        if isinstance(choice.finish_reason, str) and choice.finish_reason:
            yield choice


@rule("finish_reason.value.is_known", on=Single, reads=_BODY, when=COMPLETION)
def value_is_known(trace: Single, terms: Terms) -> Verdicts:
    """Each finish_reason that is given is one of the dialect's words."""
    words = terms.dialect.words("finish_reason")
    answer = trace.exchange.answer
    choices = [choice for choice in answer.choices if choice.finish_reason] if answer is not None else []
    if not choices:
        yield NOT_APPLICABLE
    for choice in choices:
        if not isinstance(choice.finish_reason, str) or choice.finish_reason not in words:
            yield _at(trace.exchange, choice, f"one of {', '.join(words)}")


@rule("finish_reason.unstreamed.is_given", on=Single, reads=(*_BODY, Facet.KEYS_COMPLETE), when=UNSTREAMED)
def unstreamed_is_given(trace: Single, terms: Terms) -> Verdicts:
    """Each unstreamed choice says why it ended."""
    answer = trace.exchange.answer
    if answer is None:
        yield NOT_APPLICABLE
        return
    for choice in answer.choices:
        if isinstance(choice.raw, dict) and not choice.finish_reason:
            seen = "absent" if choice.finish_reason is MISSING else show(choice.finish_reason)
            yield _at(trace.exchange, choice, "a finish_reason", seen)


_SMALLEST_WINDOW = 512
"""Tokens. No model is served with a smaller context window, or may write less at once."""


def _tokens(answer: Answer | None) -> int | None:
    """The completion tokens that were counted, or None."""
    usage = answer.usage if answer is not None else None
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if is_integer(count) else None


def _spent(answer: Answer) -> int:
    """The tokens of prompt and completion together, as far as they were counted."""
    usage = answer.usage
    counts = [usage.get(key) for key in ("prompt_tokens", "completion_tokens")] if isinstance(usage, dict) else []
    return sum(count for count in counts if is_integer(count))


def _limit(exchange: Exchange) -> int | None:
    chat = exchange.request.chat
    return chat.token_limit if chat is not None else None


@rule("finish_reason.length.is_at_the_limit", on=Single, reads=_BODY, values=("usage",), when=COMPLETION)
def length_is_at_the_limit(trace: Single, terms: Terms) -> Verdicts:
    """A choice says length only where at least half of the allowed tokens were used."""
    exchange = trace.exchange
    answer, limit, used = exchange.answer, _limit(exchange), _tokens(exchange.answer)
    if answer is None or not any(choice.finish_reason == "length" for choice in answer.choices):
        yield NOT_APPLICABLE
    elif limit is None or not used or len(answer.choices) != 1:
        yield Vacuous(Reason.NO_CONTROL, "no limit, no usage or many choices")
    # Half: what is counted differs a little between servers.
    elif used * 2 < limit and _spent(answer) >= _SMALLEST_WINDOW:
        yield Vacuous(Reason.CUT_BY_LIMIT, "the model's own limit or its context window may have been reached")
    elif used * 2 < limit:
        yield _at(exchange, answer.choices[0], f"another reason, as {used} of {limit} tokens were used")


def _single_texts(trace: Contrast) -> tuple[Choice, Choice] | None:
    """The only choices of control and variant, where both hold nothing but text."""
    found: list[Choice] = []
    for exchange in trace.exchanges:
        answer = exchange.answer
        if answer is None or not answer.complete or len(answer.choices) != 1 or answer.choices[0].calls:
            return None
        found.append(answer.choices[0])
    return found[0], found[1]


def _about(*fields: str) -> Callable[[Contrast, Terms], bool]:
    """Contrasts that differ in one of these fields alone."""

    def test(trace: Contrast, terms: Terms) -> bool:
        bodies = [exchange.request.chat.body for exchange in trace.exchanges if exchange.request.chat is not None]
        if len(bodies) != 2 or trace.control.is_event_stream != trace.variant.is_event_stream:
            return False
        keys = bodies[0].keys() | bodies[1].keys()
        differing = {key for key in keys if not strict_json.equal(bodies[0].get(key), bodies[1].get(key))}
        return bool(differing) and differing <= set(fields)

    return test


@rule("finish_reason.stop_sequence.is_stop", on=Contrast, reads=_BODY, when=_about("stop"))
def stop_sequence_is_stop(trace: Contrast, terms: Terms) -> Verdicts:
    """Text that ends just where the same answer goes on with a stop sequence was ended by it."""
    found = _single_texts(trace)
    chat = trace.variant.request.chat
    if found is None or chat is None or not chat.stops:
        yield Vacuous(Reason.NO_CONTROL)
        return
    control, variant = found
    rest = control.text.removeprefix(variant.text)
    limit, used = chat.token_limit, _tokens(trace.variant.answer)
    if rest == control.text or not any(rest.startswith(stop) for stop in chat.stops if stop):
        yield Vacuous(Reason.MODEL_FREE, "the answer did not reach a stop sequence")
    elif limit is not None and (used is None or used >= limit):
        yield Vacuous(Reason.CUT_BY_LIMIT)
    elif isinstance(variant.finish_reason, str) and variant.finish_reason != "stop":
        yield _at(trace.variant, variant, '"stop", as a stop sequence ended the text')


_TELLING_CHARACTERS = 20
"""A common beginning of this length is no chance."""


@rule(
    "finish_reason.cut_text.is_length",
    on=Contrast,
    reads=_BODY,
    when=_about("max_tokens", "max_completion_tokens"),
)
def cut_text_is_length(trace: Contrast, terms: Terms) -> Verdicts:
    """Of one answer under two token limits, the shorter says that the limit cut it."""
    found = _single_texts(trace)
    if found is None:
        yield Vacuous(Reason.NO_CONTROL)
        return
    place = 0 if len(found[0].text) < len(found[1].text) else 1
    shorter, longer, exchange = found[place], found[1 - place], trace.exchanges[place]
    limit, used, other = _limit(exchange), _tokens(exchange.answer), _limit(trace.exchanges[1 - place])
    if limit is None or (other is not None and other <= limit):
        yield Vacuous(Reason.NO_CONTROL, "the shorter answer had the larger limit")
    elif not shorter.text or not longer.text.startswith(shorter.text) or shorter.text == longer.text:
        yield Vacuous(Reason.MODEL_FREE, "the answers differ, or no limit was reached")
    elif used is not None and used < limit:
        yield Vacuous(Reason.MODEL_FREE, "the count stays below the limit")
    elif used is None and len(shorter.text) < _TELLING_CHARACTERS:
        yield Vacuous(Reason.NO_CONTROL, "no usage, and too short to tell")
    elif isinstance(shorter.finish_reason, str) and shorter.finish_reason not in _ENDS_EARLY:
        yield _at(exchange, shorter, f'"length", as the text goes on under a larger limit than {limit}')


def breaks_off(text: str) -> bool:
    """JSON that is right as far as it goes and ends too early: no text that is wrong in the middle. Total."""
    if not text.strip() or strict_json.parse(text).ok:
        return False
    stack: list[str] = []
    quoted = escaped = False
    for character in text:
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "{[":
            stack.append("}" if character == "{" else "]")
        elif character in "}]" and (not stack or stack.pop() != character):
            return False
    return bool(stack) and text.lstrip()[0] in "{["


def _reached(exchange: Exchange) -> bool:
    """The token limit may have been reached, by the count; unknown counts may have."""
    limit, used = _limit(exchange), _tokens(exchange.answer)
    return limit is not None and (used is None or used >= limit)


def _format(chat: ChatRequest | None) -> str | None:
    return chat.format_type if chat is not None else None


@rule(
    "finish_reason.cut_json.is_length",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: (
        COMPLETION(trace, terms) and _format(trace.exchange.request.chat) in ("json_object", "json_schema")
    ),
)
def cut_json_is_length(trace: Single, terms: Terms) -> Verdicts:
    """A JSON answer that breaks off at the token limit says so."""
    cut = [choice for choice in _finished(trace.exchange.answer) if not choice.calls and breaks_off(choice.text)]
    if not cut:
        yield Vacuous(Reason.MODEL_FREE, "no JSON breaks off")
    elif not _reached(trace.exchange):
        yield Vacuous(Reason.MODEL_FREE, "no token limit was reached")
    else:
        for choice in cut:
            if choice.finish_reason not in _ENDS_EARLY:
                yield _at(trace.exchange, choice, '"length", as the JSON breaks off at the token limit')


def _has_calls(*forms: Choosing) -> Callable[[Single, Terms], bool]:
    """Completions with calls, of requests with one of these forms of tool_choice."""

    def test(trace: Single, terms: Terms) -> bool:
        answer, chat = trace.exchange.answer, trace.exchange.request.chat
        return answer is not None and chat is not None and chat.choosing in forms and any(answer.calls)

    return test


@rule(
    "finish_reason.cut_arguments.are_length",
    on=Single,
    reads=_BODY,
    when=lambda trace, terms: trace.exchange.answer is not None and any(trace.exchange.answer.calls),
)
def cut_arguments_are_length(trace: Single, terms: Terms) -> Verdicts:
    """A choice whose last call breaks off at the token limit says so."""
    cut = [choice for choice in _finished(trace.exchange.answer) if _call_breaks_off(choice)]
    if not cut:
        yield Vacuous(Reason.MODEL_FREE, "no arguments break off")
    elif not _reached(trace.exchange):
        yield Vacuous(Reason.MODEL_FREE, "no token limit was reached")
    else:
        for choice in cut:
            if choice.finish_reason not in _ENDS_EARLY:
                yield _at(trace.exchange, choice, '"length", as the arguments break off at the token limit')


def _call_breaks_off(choice: Choice) -> bool:
    """The last call's arguments are the beginning of a JSON object."""
    arguments = choice.calls[-1].arguments if choice.calls else None
    return isinstance(arguments, str) and breaks_off(arguments)


def _calls_end_with(exchange: Exchange, *words: str) -> Verdicts:
    """Each choice with whole calls ends with one of the words, or was ended early."""
    for choice in _finished(exchange.answer):
        if not choice.calls or (_call_breaks_off(choice) and _reached(exchange)):
            continue
        if choice.finish_reason not in (*words, *_ENDS_EARLY):
            yield _at(exchange, choice, " or ".join(show(word) for word in words))


@rule(
    "finish_reason.free_call.is_tool_calls",
    on=Single,
    reads=_BODY,
    when=_has_calls(Choosing.AUTO, Choosing.OMITTED, Choosing.ALLOWED),
)
def free_call_is_tool_calls(trace: Single, terms: Terms) -> Verdicts:
    """A choice with calls under auto ends with tool_calls."""
    yield from _calls_end_with(trace.exchange, "tool_calls")


@rule("finish_reason.required_call.is_tool_calls", on=Single, reads=_BODY, when=_has_calls(Choosing.REQUIRED))
def required_call_is_tool_calls(trace: Single, terms: Terms) -> Verdicts:
    """A choice with calls under required ends with tool_calls."""
    yield from _calls_end_with(trace.exchange, "tool_calls")


@rule(
    "finish_reason.named_call.is_stop_or_tool_calls",
    on=Single,
    reads=_BODY,
    when=_has_calls(Choosing.NAMED, Choosing.CUSTOM),
)
def named_call_is_stop_or_tool_calls(trace: Single, terms: Terms) -> Verdicts:
    """A choice with a call that was named ends with stop or tool_calls."""
    yield from _calls_end_with(trace.exchange, "stop", "tool_calls")


@rule("finish_reason.calls.go_with_a_call_reason", on=Single, reads=(Facet.STATUS, Facet.BODY), when=COMPLETION)
def calls_go_with_a_call_reason(trace: Single, terms: Terms) -> Verdicts:
    """Where nothing is known to allow calls, those that came still end with a reason for calls."""
    answer, chat = trace.exchange.answer, trace.exchange.request.chat
    judged = chat is not None and chat.choosing not in (Choosing.NONE, Choosing.MALFORMED)
    if judged or answer is None or not any(answer.calls):
        yield NOT_APPLICABLE
    else:
        yield from _calls_end_with(trace.exchange, "tool_calls", "stop")


@rule(
    "finish_reason.named_call.is_the_same_in_both_modes",
    on=Parity,
    reads=_BODY,
    when=lambda trace, terms: (
        trace.streamed.request.chat is not None and trace.streamed.request.chat.choosing is Choosing.NAMED
    ),
)
def named_call_is_the_same_in_both_modes(trace: Parity, terms: Terms) -> Verdicts:
    """A named call ends alike, streamed and not."""
    reasons: list[set[str]] = []
    for exchange in (*trace.unstreamed, trace.streamed):
        choices = list(_finished(exchange.answer))
        if not choices or any(choice.cut or not choice.calls for choice in choices):
            yield Vacuous(Reason.NO_CONTROL, "no whole call in one of the modes")
            return
        reasons.append({str(choice.finish_reason) for choice in choices})
    if any(found != reasons[0] for found in reasons[1:-1]):
        yield Vacuous(Reason.NO_CONTROL, "the unstreamed answers differ")
    elif reasons[-1] != reasons[0]:
        choice = next(_finished(trace.streamed.answer))
        yield _at(trace.streamed, choice, f"{' or '.join(sorted(reasons[0]))}, as in the unstreamed answer")


def _malformed_calls(exchange: Exchange) -> bool:
    """Something that is no array stands under tool_calls: its own rules judge that."""
    if exchange.assembly is not None:
        return any(exchange.assembly.having(Irregular.TOOL_CALLS_NOT_ARRAY))
    raws = [choice.raw for choice in exchange.answer.choices] if exchange.answer is not None else []
    messages = [raw.get("message") for raw in raws if isinstance(raw, dict)]
    calls = [message.get("tool_calls") for message in messages if isinstance(message, dict)]
    return any(found is not None and not isinstance(found, list) for found in calls)


@rule("finish_reason.tool_calls.has_calls", on=Single, reads=(*_BODY, Facet.KEYS_COMPLETE), when=COMPLETION)
def tool_calls_has_calls(trace: Single, terms: Terms) -> Verdicts:
    """A choice that says tool_calls has calls."""
    said = [choice for choice in _finished(trace.exchange.answer) if choice.finish_reason == "tool_calls"]
    if not said or _malformed_calls(trace.exchange):
        yield NOT_APPLICABLE
        return
    for choice in said:
        if not choice.calls:
            yield _at(trace.exchange, choice, "another reason, as there are no tool calls")
