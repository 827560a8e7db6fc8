"""What the same request must give in both modes: choices, kinds of content, text, finish_reason, usage, model.

A model is free to answer twice in two ways. So the unstreamed answers are compared with each other first: only what
they agree on can be held against the streamed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.rules.base import (
    NOT_APPLICABLE,
    Finding,
    Reason,
    Terms,
    Vacuous,
    Verdicts,
    at_sequence,
    at_status,
    rule,
)
from conformance.rules.refusals import error_object, names
from conformance.rules.schema_check import pinned
from conformance.rules.stream_view import assembly_of, ended_unsaid, intact
from conformance.wire.answer import Answer, Call, Choice
from conformance.wire.chat_request import ChatRequest, Choosing
from conformance.wire.deltas import Irregular
from conformance.wire.exchange import Exchange, Facet
from conformance.wire.strict_json import Json, equal, is_integer, show
from conformance.wire.traces import Parity

_BODY = {Facet.BODY, Facet.REQUEST}
_ABOUT_SOMETHING_ELSE = frozenset({401, 402, 403, 407, 408, 409, 425, 429})
_FREE = Vacuous(Reason.MODEL_FREE, "the unstreamed answers differ")
_ONCE = Vacuous(Reason.NO_CONTROL, "only one unstreamed answer, and the model was free to answer otherwise")
_UNPINNED = Vacuous(Reason.MODEL_FREE, "without temperature 0 or a seed two equal answers may be chance")
_REPLACEMENT = "\ufffd"


def _answers(exchanges: tuple[Exchange, ...]) -> list[Answer]:
    """The unstreamed completions; empty where one of them is none."""
    found = [exchange.answer for exchange in exchanges]
    answers = [answer for answer in found if answer is not None and not answer.streamed and answer.choices]
    return answers if len(answers) == len(found) else []


def _indices(answer: Answer) -> list[int]:
    """The indices in rising order; empty where one is missing, malformed or repeated."""
    found = [choice.index for choice in answer.choices if is_integer(choice.index)]
    return sorted(found) if len(set(found)) == len(answer.choices) else []


def _succeeded(trace: Parity, terms: Terms) -> bool:
    return bool(_answers(trace.unstreamed))


def _comparable(trace: Parity, terms: Terms) -> bool:
    """All are completions, the streamed one came to its end, and nothing of it was lost in its framing."""
    streamed = trace.streamed
    answer = streamed.answer
    if answer is None or not answer.streamed or not _succeeded(trace, terms):
        return False
    if any(True for _ in assembly_of(streamed).having(Irregular.CONTENT_NOT_STRING, Irregular.REFUSAL_NOT_STRING)):
        return False
    return intact(streamed) and not assembly_of(streamed).errors and not ended_unsaid(streamed)


@dataclass(frozen=True)
class _Pair:
    """One choice in all answers: the unstreamed ones first."""

    plain: tuple[Choice, ...]
    streamed: Choice

    @property
    def text(self) -> str | None:
        """What all unstreamed choices say in content and refusal, or None where they differ."""
        texts = {_said(choice) for choice in self.plain}
        return texts.pop() if len(texts) == 1 else None

    @property
    def same_text(self) -> bool:
        """All say the same, in text and in the names of their calls."""
        return self.text == _said(self.streamed) and {_called(choice) for choice in self.plain} == {
            _called(self.streamed)
        }


def _is_pinned(trace: Parity) -> bool:
    """The request leaves the model as little freedom as it can: temperature 0, or a seed."""
    chat = trace.streamed.request.chat
    return chat is not None and (chat.body.get("temperature") == 0 or is_integer(chat.body.get("seed")))


def _said(choice: Choice) -> str:
    return choice.text + (choice.refusal if isinstance(choice.refusal, str) else "")


def _called(choice: Choice) -> tuple[tuple[str, str], ...]:
    return tuple((show(call.name), show(call.arguments, 10_000)) for call in choice.calls)


def _kinds(choice: Choice) -> frozenset[str]:
    kinds = {"text": choice.text, "refusal": choice.refusal, "tool calls": choice.calls}
    return frozenset(name for name, value in kinds.items() if value)


def _pairs(trace: Parity) -> Iterator[_Pair]:
    """The choices by index, where all answers have the same indices; else nothing."""
    answers, streamed = _answers(trace.unstreamed), trace.streamed.answer
    if streamed is None or not answers:
        return
    wanted = _indices(streamed)
    if not wanted or any(_indices(answer) != wanted for answer in answers):
        return
    for index in wanted:
        plain = [answer.choice(index) for answer in answers]
        other = streamed.choice(index)
        if other is not None:
            yield _Pair(tuple(choice for choice in plain if choice is not None), other)


def _at(trace: Parity, pair: _Pair, pointer: str, expected: str, observed: str) -> Finding:
    return at_sequence(trace.streamed, f"{pair.streamed.pointer}{pointer}", expected, observed)


@rule("stream.parity.is_accepted_like_unstreamed", on=Parity, reads={Facet.STATUS, Facet.BODY}, when=_succeeded)
def parity_is_accepted_like_unstreamed(trace: Parity, terms: Terms) -> Verdicts:
    """What was answered unstreamed is not refused streamed, unless as a feature that is not offered."""
    streamed = trace.streamed
    status = streamed.status or 0
    if status < 400:
        return
    if status in _ABOUT_SOMETHING_ELSE or status >= 500:
        yield Vacuous(Reason.TRANSPORT, f"status {status}")
    elif names(streamed, ("stream",)):
        yield Vacuous(Reason.REFUSED, show(error_object(streamed).get("message"), 100))
    else:
        yield at_status(streamed, "success, as unstreamed")


@rule("stream.parity.same_choices", on=Parity, reads=_BODY, when=_comparable)
def parity_same_choices(trace: Parity, terms: Terms) -> Verdicts:
    """The indices of the choices are the same in both modes."""
    found = {tuple(_indices(answer)) for answer in _answers(trace.unstreamed)}
    if len(found) != 1 or not min(found):
        yield NOT_APPLICABLE
        return
    wanted = list(found.pop())
    streamed = sorted(choice.index for choice in assembly_of(trace.streamed).choices)
    if streamed and streamed != wanted:
        yield at_sequence(trace.streamed, "/choices", f"the indices {wanted}", f"streamed: {show(streamed, 60)}")


@rule("stream.parity.same_kinds_of_content", on=Parity, reads=_BODY, when=_comparable)
def parity_same_kinds_of_content(trace: Parity, terms: Terms) -> Verdicts:
    """Text, refusal and tool calls are there or not there in both modes alike."""
    pairs = list(_pairs(trace))
    if not pairs:
        yield NOT_APPLICABLE
    for pair in pairs:
        kinds = {_kinds(choice) for choice in pair.plain}
        if kinds == {_kinds(pair.streamed)}:
            continue
        if any(choice.cut for choice in (*pair.plain, pair.streamed)):
            yield Vacuous(Reason.CUT_BY_LIMIT)
        elif len(kinds) > 1:
            yield _FREE
        elif len(pair.plain) < 2:
            yield _ONCE
        elif not _is_pinned(trace):
            yield _UNPINNED
        else:
            expected, observed = (
                " and ".join(sorted(found)) or "nothing" for found in (kinds.pop(), _kinds(pair.streamed))
            )
            yield _at(trace, pair, "/delta", f"{expected}, as unstreamed", f"{observed}, streamed")


def _is_mutilated(whole: str, found: str) -> bool:
    """One text is the other with some characters left out, but not most of them."""
    longer, shorter = (whole, found) if len(whole) > len(found) else (found, whole)
    if not shorter or len(longer) > 2 * len(shorter):
        return False
    rest = iter(longer)
    return all(character in rest for character in shorter)


def _completion_tokens(answer: Answer | None) -> int | None:
    usage = answer.usage if answer is not None else None
    found = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return found if is_integer(found) else None


@rule("stream.parity.loses_no_text", on=Parity, reads=_BODY, when=_comparable)
def parity_loses_no_text(trace: Parity, terms: Terms) -> Verdicts:
    """An answer of as many tokens as the unstreamed ones is not their text with something left out or added."""
    counts = {_completion_tokens(answer) for answer in (*_answers(trace.unstreamed), trace.streamed.answer)}
    pairs = list(_pairs(trace))
    if not pairs:
        yield NOT_APPLICABLE
    for pair in pairs:
        text, found = pair.text, _said(pair.streamed)
        if text is None:
            yield _FREE
        elif text == found:
            continue
        elif len(pair.plain) < 2 or len(counts) > 1 or None in counts:
            yield Vacuous(Reason.NO_CONTROL, "no token counts, or fewer than two unstreamed answers, to tell a loss by")
        elif _is_mutilated(text, found):
            yield _at(trace, pair, "/delta/content", _around(text, found), _around(found, text))


def _around(text: str, other: str) -> str:
    """The part of a text where it begins to differ from another."""
    start = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    return show(text[max(0, start - 20) : start + 40])


@rule("stream.parity.same_text", on=Parity, reads=_BODY, when=_comparable)
def parity_same_text(trace: Parity, terms: Terms) -> Verdicts:
    """Where the unstreamed answers say the same, so does the streamed one."""
    pairs = list(_pairs(trace))
    if not pairs:
        yield NOT_APPLICABLE
    for pair in pairs:
        text, found = pair.text, _said(pair.streamed)
        if text is None:
            yield _FREE
        elif text == found:
            continue
        elif len(pair.plain) < 2:
            yield _ONCE
        elif not _is_pinned(trace):
            yield _UNPINNED
        elif _kinds(pair.plain[0]) == _kinds(pair.streamed):
            yield _at(trace, pair, "/delta/content", _around(text, found), _around(found, text))


def _whole(choice: Choice) -> bool:
    """A choice whose calls, if any, have a name and an object as arguments, as no limit cut them."""
    return not choice.cut and all(
        isinstance(call.name, str) and call.parsed.ok and isinstance(call.parsed.value, dict) for call in choice.calls
    )


def _alike(left: Sequence[Call], right: Sequence[Call]) -> bool:
    """The same functions in the same order, with equal arguments."""
    return len(left) == len(right) and all(
        one.name == other.name and equal(one.parsed.value, other.parsed.value)
        for one, other in zip(left, right, strict=True)
    )


def _owned_elsewhere(calls: Sequence[Call], chat: ChatRequest) -> bool:
    """Calls that are wrong by themselves, whatever was answered unstreamed: too many, or of nothing declared."""
    return (chat.parallel is False and len(calls) > 1) or any(chat.tool(call.name) is None for call in calls)


def _open_arguments(calls: Sequence[Call], chat: ChatRequest) -> bool:
    """No schema fixes the arguments: of those that one fixes it is known without a comparison what they have to be."""
    tools = [chat.tool(call.name) for call in calls]
    return not any(tool is not None and tool.parameters is not None and pinned(tool.parameters) for tool in tools)


@rule("stream.parity.same_calls", on=Parity, reads=_BODY, when=_comparable)
def parity_same_calls(trace: Parity, terms: Terms) -> Verdicts:
    """Where the unstreamed answers make the same calls with the same arguments, so does the streamed one."""
    chat = trace.streamed.request.chat
    pairs = [pair for pair in _pairs(trace) if pair.streamed.calls and all(choice.calls for choice in pair.plain)]
    if not pairs or chat is None or chat.choosing is Choosing.NAMED:
        yield NOT_APPLICABLE
        return
    for pair in pairs:
        first, streamed = pair.plain[0].calls, pair.streamed.calls
        if not all(map(_whole, (*pair.plain, pair.streamed))) or _owned_elsewhere(streamed, chat):
            yield NOT_APPLICABLE
        elif not all(_alike(first, choice.calls) for choice in pair.plain):
            yield _FREE
        elif _alike(first, streamed):
            continue
        elif len(pair.plain) < 2:
            yield _ONCE
        elif not _is_pinned(trace):
            yield _UNPINNED
        elif len(first) != len(streamed) or _open_arguments(streamed, chat):
            expected, observed = (
                ", ".join(f"{name}({given})" for name, given in made) for made in map(_shown, (first, streamed))
            )
            yield _at(trace, pair, "/delta/tool_calls", expected, observed)


def _shown(calls: Sequence[Call]) -> list[tuple[Json, str]]:
    return [(call.name, show(call.parsed.value, 60)) for call in calls]


@rule("stream.parity.no_replacement_characters", on=Parity, reads=_BODY, when=_comparable)
def parity_no_replacement_characters(trace: Parity, terms: Terms) -> Verdicts:
    """The streamed text has no more U+FFFD than the unstreamed ones, which agree."""
    pairs = list(_pairs(trace))
    if not pairs:
        yield NOT_APPLICABLE
    for pair in pairs:
        text, found = pair.text, _said(pair.streamed)
        if text is None:
            yield _FREE
        elif text.isascii() and _REPLACEMENT not in found:
            yield Vacuous(Reason.MODEL_FREE, "ASCII alone cannot be cut")
        elif found.count(_REPLACEMENT) > text.count(_REPLACEMENT):
            if len(pair.plain) < 2:
                yield _ONCE
            else:
                yield _at(trace, pair, "/delta/content", _around(text, found), _around(found, text))


@rule("stream.parity.same_finish_reason", on=Parity, reads=_BODY, when=_comparable)
def parity_same_finish_reason(trace: Parity, terms: Terms) -> Verdicts:
    """Choices that say and call the same end for the same reason; the reason of a named call is another rule's."""
    chat = trace.streamed.request.chat
    pairs = list(_pairs(trace))
    if not pairs or (chat is not None and chat.choosing in (Choosing.NAMED, Choosing.CUSTOM)):
        yield NOT_APPLICABLE
        return
    for pair in pairs:
        reasons = {show(choice.finish_reason) for choice in pair.plain if isinstance(choice.finish_reason, str)}
        filtered = any(choice.finish_reason == "content_filter" for choice in (pair.streamed, *pair.plain))
        if filtered or not pair.same_text or len(reasons) != 1:
            yield _FREE
        elif isinstance(pair.streamed.finish_reason, str) and show(pair.streamed.finish_reason) not in reasons:
            observed = show(pair.streamed.finish_reason)
            yield _at(trace, pair, "/finish_reason", f"{reasons.pop()}, as unstreamed", observed)


def _usages(trace: Parity) -> tuple[list[dict[str, Json]], dict[str, Json]] | None:
    """Usage of the unstreamed answers and of the streamed one, or None where one lacks it."""
    found = [answer.usage for answer in _answers(trace.unstreamed)]
    streamed = trace.streamed.answer.usage if trace.streamed.answer is not None else None
    if not all(isinstance(usage, dict) for usage in found) or not isinstance(streamed, dict):
        return None
    return found, streamed


def _server_adds_to_the_prompt(trace: Parity) -> bool:
    """The request lets the server call tools of its own, whose results it reads to the model."""
    chat = trace.streamed.request.chat
    tools = chat.body.get("tools") if chat is not None else None
    kinds = {item.get("type") for item in tools if isinstance(item, dict)} if isinstance(tools, list) else set()
    asked = chat is not None and bool({"web_search_options", "plugins"} & chat.body.keys())
    return asked or not kinds <= {None, "function", "custom"}


@rule("stream.parity.same_prompt_tokens", on=Parity, reads=_BODY, values={"usage"}, when=_comparable)
def parity_same_prompt_tokens(trace: Parity, terms: Terms) -> Verdicts:
    """The prompt is as long in both modes; where two unstreamed answers count differently, nothing is known."""
    usages = _usages(trace)
    if usages is None:
        yield NOT_APPLICABLE
        return
    if _server_adds_to_the_prompt(trace):
        yield Vacuous(Reason.MODEL_FREE, "what the server's own tools find may count as prompt")
        return
    plain = {show(usage.get("prompt_tokens")) for usage in usages[0]}
    streamed = usages[1].get("prompt_tokens")
    if len(plain) > 1:
        yield _FREE
    elif is_integer(streamed) and show(streamed) not in plain:
        expected = f"{plain.pop()} prompt tokens, as unstreamed"
        yield at_sequence(trace.streamed, "/usage/prompt_tokens", expected, show(streamed))


def _visible_tokens(usage: dict[str, Json]) -> Json:
    """Completion tokens without those of hidden reasoning, which is free to differ.

    More reasoning than completion shows a server that counts them apart, against its schema: another rule's.
    """
    count, details = usage.get("completion_tokens"), usage.get("completion_tokens_details")
    hidden = details.get("reasoning_tokens") if isinstance(details, dict) else None
    return count - hidden if is_integer(count) and is_integer(hidden) and hidden <= count else count


@rule("stream.parity.same_completion_tokens", on=Parity, reads=_BODY, values={"usage"}, when=_comparable)
def parity_same_completion_tokens(trace: Parity, terms: Terms) -> Verdicts:
    """Answers that say and call the same count the same, hidden reasoning apart."""
    usages, pairs = _usages(trace), list(_pairs(trace))
    if usages is None or not pairs:
        yield NOT_APPLICABLE
        return
    plain = {show(_visible_tokens(usage)) for usage in usages[0]}
    streamed = _visible_tokens(usages[1])
    if len(plain) > 1 or not all(pair.same_text for pair in pairs):
        yield _FREE
    elif is_integer(streamed) and show(streamed) not in plain:
        if len(usages[0]) < 2:
            yield _ONCE
        else:
            expected = f"{plain.pop()} completion tokens, as unstreamed"
            yield at_sequence(trace.streamed, "/usage/completion_tokens", expected, show(streamed))


@rule("stream.parity.same_usage_keys", on=Parity, reads={*_BODY, Facet.KEYS_COMPLETE}, when=_comparable)
def parity_same_usage_keys(trace: Parity, terms: Terms) -> Verdicts:
    """usage, and the objects in it, have the same documented keys in both modes; what is added is free to differ."""
    usages, documented = _usages(trace), terms.dialect.words("usage")
    if usages is None:
        yield NOT_APPLICABLE
        return
    plain, streamed = {_keys(usage, documented) for usage in usages[0]}, _keys(usages[1], documented)
    if len(plain) > 1:
        yield _FREE
    elif streamed not in plain:
        different = sorted(plain.pop() ^ streamed)
        yield at_sequence(
            trace.streamed, "/usage", "the keys of the unstreamed usage", f"different: {', '.join(different)}"
        )


def _keys(usage: dict[str, Json], documented: tuple[str, ...]) -> frozenset[str]:
    """The names of usage and of the objects in it; of those that the dialect lists, where it lists any."""
    known = [key for key in usage if not documented or key in documented]
    inner = ((key, value) for key in known if isinstance(value := usage[key], dict))
    names = (f"{key}/{name}" for key, value in inner for name in value if not documented or name in documented)
    return frozenset((*known, *names))


@rule("stream.parity.same_model", on=Parity, reads=_BODY, values={"model"}, when=_comparable)
def parity_same_model(trace: Parity, terms: Terms) -> Verdicts:
    """The answers name one model; where two unstreamed ones name two, nothing is known."""
    streamed = trace.streamed.answer.model if trace.streamed.answer is not None else None
    plain = {show(answer.model) for answer in _answers(trace.unstreamed) if isinstance(answer.model, str)}
    if not isinstance(streamed, str) or not streamed or not plain:
        yield NOT_APPLICABLE
    elif len(plain) > 1:
        yield _FREE
    elif show(streamed) not in plain:
        yield at_sequence(trace.streamed, "/model", f"{plain.pop()}, as unstreamed", show(streamed))
