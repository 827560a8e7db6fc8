"""What was counted: integers that add up, details within their totals, and counts that could be true."""

from __future__ import annotations

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
    fold,
    rule,
)
from conformance.rules.conditions import UNSTREAMED
from conformance.wire.chat_request import ChatRequest
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, is_integer, is_number, show
from conformance.wire.traces import Contrast, Single

_BODY = (Facet.STATUS, Facet.BODY)
_ASKED = (Facet.REQUEST, *_BODY)
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def _usage(exchange: Exchange) -> dict[str, Json]:
    """The usage object of a completion in either mode; empty where there is none."""
    found = exchange.answer.usage if exchange.answer is not None else None
    return found if isinstance(found, dict) else {}


def _count(exchange: Exchange, key: str) -> int | None:
    """A count where it is an integer from 0."""
    found = _usage(exchange).get(key)
    return found if is_integer(found) and found >= 0 else None


def _detail(exchange: Exchange, group: str, key: str) -> int | None:
    details = _usage(exchange).get(group)
    found = details.get(key) if isinstance(details, dict) else None
    return found if is_integer(found) else None


def _has_usage(trace: Single, terms: Terms) -> bool:
    answer = trace.exchange.answer
    return answer is not None and isinstance(answer.usage, dict)


def _at(exchange: Exchange, key: str, expected: str, observed: str) -> Finding:
    """A finding at a member of the usage object, in either mode."""
    if exchange.assembly is not None:
        last = exchange.assembly.usage_chunks[-1] if exchange.assembly.usage_chunks else None
        return at_chunk(exchange, last, f"/usage/{key}", expected, observed)
    return at_body(exchange, f"/usage/{key}", expected, observed)


@rule("usage.object.is_present", on=Single, reads=(*_ASKED, Facet.KEYS_COMPLETE), values=("usage",), when=UNSTREAMED)
def object_is_present(trace: Single, terms: Terms) -> Verdicts:
    """An unstreamed completion has a usage object."""
    answer = trace.exchange.answer
    if answer is None:
        yield NOT_APPLICABLE
    elif not isinstance(answer.usage, dict):
        yield at_body(trace.exchange, "/usage", "an object", show(answer.usage, 80) if answer.usage else "none")


@rule("usage.counts.are_integers", on=Single, reads=(*_BODY, Facet.KEYS_COMPLETE), values=("usage",), when=_has_usage)
def counts_are_integers(trace: Single, terms: Terms) -> Verdicts:
    """The three counts are integers from 0."""
    usage = _usage(trace.exchange)
    for key in _COUNTS:
        if not is_integer(usage.get(key)) or usage[key] < 0:
            yield _at(trace.exchange, key, "an integer from 0", show(usage[key]) if key in usage else "absent")


def _adds_up(exchange: Exchange, reasoning: int) -> Verdicts:
    prompt, completion, total = (_count(exchange, key) for key in _COUNTS)
    if prompt is None or completion is None or total is None:
        yield NOT_APPLICABLE
    elif total != prompt + completion + reasoning:
        parts = f"{prompt} + {completion}" + (f" + {reasoning}" if reasoning else "")
        yield _at(exchange, "total_tokens", f"{prompt + completion + reasoning} = {parts}", str(total))


@rule("usage.total.is_the_sum", on=Single, reads=_BODY, values=("usage",), when=_has_usage)
def total_is_the_sum(trace: Single, terms: Terms) -> Verdicts:
    """The total is the sum of prompt and completion."""
    yield from _adds_up(trace.exchange, 0)


@rule("usage.total.includes_reasoning", on=Single, reads=_BODY, values=("usage",), when=_has_usage)
def total_includes_reasoning(trace: Single, terms: Terms) -> Verdicts:
    """The total is the sum of prompt, completion and reasoning, which is counted apart."""
    yield from _adds_up(trace.exchange, _count(trace.exchange, "reasoning_tokens") or 0)


def _within(exchange: Exchange, group: str, key: str, whole: str) -> Verdicts:
    part, most = _detail(exchange, group, key), _count(exchange, whole)
    if part is None or most is None:
        yield NOT_APPLICABLE
    elif part > most:
        yield _at(exchange, f"{group}/{key}", f"at most the {most} {whole}", str(part))


@rule("usage.reasoning.is_within_completion", on=Single, reads=_BODY, values=("usage",), when=_has_usage)
def reasoning_is_within_completion(trace: Single, terms: Terms) -> Verdicts:
    """Reasoning tokens are no more than completion tokens."""
    yield from _within(trace.exchange, "completion_tokens_details", "reasoning_tokens", "completion_tokens")


@rule("usage.cached.is_within_prompt", on=Single, reads=_BODY, values=("usage",), when=_has_usage)
def cached_is_within_prompt(trace: Single, terms: Terms) -> Verdicts:
    """Cached tokens are no more than prompt tokens."""
    yield from _within(trace.exchange, "prompt_tokens_details", "cached_tokens", "prompt_tokens")


@rule("usage.credits.are_a_number", on=Single, reads=_BODY, values=("usage",), when=_has_usage)
def credits_are_a_number(trace: Single, terms: Terms) -> Verdicts:
    """The credits charged are a number from 0."""
    usage = _usage(trace.exchange)
    found = usage.get("credits_charged")
    if not is_number(found) or found < 0:
        yield _at(trace.exchange, "credits_charged", "a number from 0", show(found) if found is not None else "none")


_DRIFT = 1e-6
"""What the sum of the lines may be off by, in credits."""
_LARGEST = 1e15


@rule("usage.credits.are_the_sum_of_the_lines", on=Single, reads=_BODY, values=("usage",), when=_has_usage)
def credits_are_the_sum_of_the_lines(trace: Single, terms: Terms) -> Verdicts:
    """The credits charged are the sum of the breakdown's lines."""
    usage = _usage(trace.exchange)
    charged, breakdown = usage.get("credits_charged"), usage.get("breakdown")
    lines = breakdown if isinstance(breakdown, dict) else {}
    credits = [value for key, value in lines.items() if key.endswith("_credits") and value is not None]
    if not credits or not is_number(charged) or not all(map(is_number, credits)):
        yield NOT_APPLICABLE
    elif any(abs(value) > _LARGEST for value in (*credits, charged)):
        yield _at(trace.exchange, "credits_charged", "credits of a credible size", show(charged, 40))
    # Written as a negation, so that a sum that is no number does not pass.
    elif not abs(sum(credits) - charged) <= _DRIFT:
        yield _at(trace.exchange, "credits_charged", f"{sum(credits):.6f}, the sum of the lines", show(charged))


@rule("usage.breakdown.names_model_and_pricing", on=Single, reads=_BODY, values=("usage",), when=_has_usage)
def breakdown_names_model_and_pricing(trace: Single, terms: Terms) -> Verdicts:
    """The breakdown has a model and a pricing_version."""
    breakdown = _usage(trace.exchange).get("breakdown")
    if not isinstance(breakdown, dict):
        yield _at(trace.exchange, "breakdown", "an object", show(breakdown, 60) if breakdown is not None else "none")
        return
    for key in ("model", "pricing_version"):
        if breakdown.get(key) in (None, ""):
            yield _at(trace.exchange, f"breakdown/{key}", f"a {key}", "none")


@rule("usage.completion_tokens.count_text", on=Single, reads=_BODY, values=("usage",), when=_has_usage)
def completion_tokens_count_text(trace: Single, terms: Terms) -> Verdicts:
    """There is a token for each choice that says something."""
    answer, count = trace.exchange.answer, _count(trace.exchange, "completion_tokens")
    spoken = [choice for choice in answer.choices if choice.text or choice.calls] if answer is not None else []
    if count is None or not spoken:
        yield NOT_APPLICABLE
    elif count < len(spoken):
        expected = f"at least {len(spoken)}, as {len(spoken)} choices say something"
        yield _at(trace.exchange, "completion_tokens", expected, str(count))


def _letters(chat: ChatRequest | None) -> int | None:
    """Characters of the messages of a plain text request; None where anything else is in the prompt."""
    if chat is None or any(chat.body.get(key) for key in ("tools", "functions", "response_format")):
        return None
    found = chat.body.get("messages")
    letters = 0
    for item in found if isinstance(found, list) else ():
        text = item.get("content") if isinstance(item, dict) else None
        if not isinstance(text, str):
            return None
        letters += len(text)
    return letters


def _has_text(chat: ChatRequest | None) -> bool:
    """Some message says something, in a string or in a part, whatever else the prompt holds."""
    for item in chat.messages if chat is not None else ():
        content = item.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        if any(isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"].strip() for part in parts):
            return True
    return False


@rule("usage.prompt_tokens.count_the_prompt", on=Single, reads=_ASKED, values=("usage",), when=_has_usage)
def prompt_tokens_count_the_prompt(trace: Single, terms: Terms) -> Verdicts:
    """A prompt with text counts at least one token."""
    count = _count(trace.exchange, "prompt_tokens")
    if count is None or not _has_text(trace.exchange.request.chat):
        yield NOT_APPLICABLE
    elif count < 1:
        yield _at(trace.exchange, "prompt_tokens", "at least 1", str(count))


@dataclass(frozen=True)
class _Prompt:
    exchange: str
    letters: int
    tokens: int


@dataclass(frozen=True)
class _Range:
    """The shortest and the longest plain prompt of one model."""

    shortest: _Prompt
    longest: _Prompt


_Ranges = dict[tuple[str, str], _Range]
_LONGER_BY, _TIMES = 200, 3
"""How much longer a prompt has to be, in characters and as a factor, before it must count more tokens."""


@fold("usage.prompt_tokens.grow_with_the_prompt", reads=_ASKED, values=("usage",))
class PromptTokensGrowWithThePrompt:
    """The longest plain prompt counts more tokens than the shortest, if it is much longer."""

    def empty(self) -> _Ranges:
        """Nothing seen."""
        return {}

    def step(self, state: _Ranges, exchange: Exchange, terms: Terms) -> _Ranges:
        """Widen the range of the request's model."""
        letters, tokens = _letters(exchange.request.chat), _count(exchange, "prompt_tokens")
        chat = exchange.request.chat
        if not letters or tokens is None or chat is None or not isinstance(chat.model, str):
            return state
        prompt = _Prompt(exchange.id, letters, tokens)
        return self.merge(state, {(exchange.origin, chat.model): _Range(prompt, prompt)})

    def merge(self, earlier: _Ranges, later: _Ranges) -> _Ranges:
        """The wider of both ranges for each model."""
        for key, found in later.items():
            known = earlier.get(key, found)
            if found.shortest.letters < known.shortest.letters:
                known = replace(known, shortest=found.shortest)
            if found.longest.letters > known.longest.letters:
                known = replace(known, longest=found.longest)
            earlier[key] = known
        return earlier

    def finish(self, state: _Ranges, terms: Terms) -> Verdicts:
        """Models whose count did not grow."""
        wide = [item for item in state.values() if _is_wide(item)]
        if not wide:
            yield NOT_APPLICABLE
        for item in wide:
            if item.longest.tokens <= item.shortest.tokens:
                expected = (
                    f"more than the {item.shortest.tokens} tokens of a prompt of {item.shortest.letters} characters"
                )
                observed = f"{item.longest.tokens} tokens for {item.longest.letters} characters"
                yield Finding(item.longest.exchange, Part.SEQUENCE, expected, observed, "/usage/prompt_tokens")


def _is_wide(item: _Range) -> bool:
    low, high = item.shortest.letters, item.longest.letters
    return high >= low + _LONGER_BY and high >= low * _TIMES


def _is_about_n(trace: Contrast, terms: Terms) -> bool:
    chats = [exchange.request.chat for exchange in trace.exchanges]
    return trace.about == "/n" and all(chat is not None and (chat.n or 0) >= 1 for chat in chats)


@rule("usage.prompt_tokens.are_counted_once", on=Contrast, reads=_ASKED, values=("usage",), when=_is_about_n)
def prompt_tokens_are_counted_once(trace: Contrast, terms: Terms) -> Verdicts:
    """The same prompt counts the same, for one choice and for many."""
    counts = [_count(exchange, "prompt_tokens") for exchange in trace.exchanges]
    if None in counts:
        yield Vacuous(Reason.NO_CONTROL, "no usage")
    elif counts[0] != counts[1]:
        yield at_sequence(trace.variant, "/usage/prompt_tokens", f"{counts[0]}, as for the other n", str(counts[1]))


@rule(
    "usage.completion_tokens.are_within_the_limit",
    on=Single,
    reads=_ASKED,
    values=("usage",),
    when=lambda trace, terms: (
        _has_usage(trace, terms)
        and trace.exchange.request.chat is not None
        and (trace.exchange.request.chat.token_limit or 0) >= 1
    ),
)
def completion_tokens_are_within_the_limit(trace: Single, terms: Terms) -> Verdicts:
    """No more tokens are counted than the limit allows each choice.

    Only `max_completion_tokens` is documented to bound hidden reasoning, too: it does not count against `max_tokens`.
    """
    chat, answer = trace.exchange.request.chat, trace.exchange.answer
    count = _count(trace.exchange, "completion_tokens")
    if chat is None or answer is None or count is None or chat.token_limit is None:
        yield NOT_APPLICABLE
        return
    if not is_integer(chat.body.get("max_completion_tokens")):
        count -= _detail(trace.exchange, "completion_tokens_details", "reasoning_tokens") or 0
    most = chat.token_limit * max(1, len(answer.choices), chat.n or 1)
    if count > most:
        yield _at(trace.exchange, "completion_tokens", f"at most {most}", str(count))
