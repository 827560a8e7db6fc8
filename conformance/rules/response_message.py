"""The messages of an unstreamed completion: who speaks, what is said, and what stands beside it."""

from __future__ import annotations

from conformance.rules.base import Reason, Terms, Vacuous, Verdicts, at_body, at_chunk, rule
from conformance.rules.conditions import COMPLETION, UNSTREAMED
from conformance.rules.response import BODY, KEYS, choices_in, holds_choices, messages_in, shown
from conformance.rules.thoughts import opens_with_a_thought
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import kind, show, strings
from conformance.wire.traces import Single


@rule("response.message.is_an_object", on=Single, reads=KEYS, when=holds_choices)
def message_is_an_object(trace: Single, terms: Terms) -> Verdicts:
    """Each choice has a message, an object."""
    for pointer, choice in choices_in(trace.exchange):
        if not isinstance(choice.get("message"), dict):
            yield at_body(trace.exchange, f"{pointer}/message", "an object", shown(choice, "message"))


def _has_message(trace: Single, terms: Terms) -> bool:
    return holds_choices(trace, terms) and any(True for _ in messages_in(trace.exchange))


@rule("response.role.is_assistant", on=Single, reads=KEYS, when=_has_message)
def role_is_assistant(trace: Single, terms: Terms) -> Verdicts:
    """Each message is the assistant's."""
    for pointer, message in messages_in(trace.exchange):
        if message.get("role") != "assistant":
            yield at_body(trace.exchange, f"{pointer}/role", '"assistant"', shown(message, "role"))


def _key(exchange: Exchange, key: str) -> Verdicts:
    for pointer, message in messages_in(exchange):
        if key not in message:
            yield at_body(exchange, f"{pointer}/{key}", f"the key {key}", "absent")


def _typed(exchange: Exchange, keys: dict[str, type], expected: dict[type, str]) -> Verdicts:
    """Members of messages that are there and not null have their type."""
    for pointer, message in messages_in(exchange):
        for key, wanted in keys.items():
            value = message.get(key)
            if value is not None and not isinstance(value, wanted):
                yield at_body(exchange, f"{pointer}/{key}", expected[wanted], kind(value))


_NAMES: dict[type, str] = {str: "a string or null", list: "an array", dict: "an object or null"}


@rule("response.content.key_is_present", on=Single, reads=KEYS, when=_has_message)
def content_key_is_present(trace: Single, terms: Terms) -> Verdicts:
    """Each message has the key content."""
    yield from _key(trace.exchange, "content")


@rule("response.content.is_text_or_null", on=Single, reads=BODY, when=_has_message)
def content_is_text_or_null(trace: Single, terms: Terms) -> Verdicts:
    """Each content is a string or null."""
    yield from _typed(trace.exchange, {"content": str}, _NAMES)


@rule("response.content.is_not_null_alone", on=Single, reads=KEYS, when=_has_message)
def content_is_not_null_alone(trace: Single, terms: Terms) -> Verdicts:
    """A message that says nothing else has a text."""
    for pointer, choice in choices_in(trace.exchange):
        message = choice.get("message")
        if not isinstance(message, dict) or choice.get("finish_reason") in ("content_filter", "length"):
            continue
        speaks = any(message.get(key) for key in ("tool_calls", "function_call", "refusal", "audio"))
        if not speaks and "content" in message and message["content"] is None:
            yield at_body(trace.exchange, f"{pointer}/message/content", "a string", "null")


_MARKERS = ("</s>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<end_of_turn>", "<|end|>", "<|eom_id|>")


@rule("response.content.has_no_end_marker", on=Single, reads=BODY, values=("content",), when=COMPLETION)
def content_has_no_end_marker(trace: Single, terms: Terms) -> Verdicts:
    """No text ends in an end-of-turn marker that the request did not hold."""
    exchange = trace.exchange
    choices = exchange.answer.choices if exchange.answer is not None else ()
    if not any(choice.text for choice in choices):
        yield Vacuous(Reason.MODEL_FREE, "no text")
    for choice in choices:
        marker = next((word for word in _MARKERS if choice.text.rstrip().endswith(word)), None)
        if marker is not None and not any(marker in text for text in strings(exchange.request.document.value)):
            shown = show(choice.text[-30:])
            if choice.chunk is not None:
                yield at_chunk(exchange, choice.chunk, "/choices/0/delta/content", "no marker", shown)
            else:
                yield at_body(exchange, f"{choice.pointer}/message/content", "no marker", shown)


@rule("response.reasoning.is_not_in_the_content", on=Single, reads=BODY, values=("content",), when=_has_message)
def reasoning_is_not_in_the_content(trace: Single, terms: Terms) -> Verdicts:
    """No text begins with a mark by which models open their reasoning, unless the request holds it too."""
    found = [(pointer, message.get("content")) for pointer, message in messages_in(trace.exchange)]
    texts = [(pointer, text) for pointer, text in found if isinstance(text, str) and text]
    if not texts:
        yield Vacuous(Reason.MODEL_FREE, "no text")
    for pointer, text in texts:
        if opens_with_a_thought(trace.exchange, text):
            yield at_body(trace.exchange, f"{pointer}/content", "the answer alone", show(text[:60]))


@rule("response.refusal.key_is_present", on=Single, reads=KEYS, when=_has_message)
def refusal_key_is_present(trace: Single, terms: Terms) -> Verdicts:
    """Each message has the key refusal."""
    yield from _key(trace.exchange, "refusal")


@rule("response.refusal.is_text_or_null", on=Single, reads=BODY, when=_has_message)
def refusal_is_text_or_null(trace: Single, terms: Terms) -> Verdicts:
    """Each refusal is a string or null."""
    yield from _typed(trace.exchange, {"refusal": str}, _NAMES)


@rule("response.tool_calls.is_an_array", on=Single, reads=BODY, when=_has_message)
def tool_calls_is_an_array(trace: Single, terms: Terms) -> Verdicts:
    """Where tool_calls is there, it is an array or null."""
    yield from _typed(trace.exchange, {"tool_calls": list}, _NAMES)


@rule("response.tool_calls.is_not_empty", on=Single, reads=KEYS, when=_has_message)
def tool_calls_is_not_empty(trace: Single, terms: Terms) -> Verdicts:
    """Where tool_calls is an array, it has calls."""
    for pointer, message in messages_in(trace.exchange):
        if message.get("tool_calls") == []:
            yield at_body(trace.exchange, f"{pointer}/tool_calls", "absent where there are no calls", "[]")


_TELLING: dict[str, tuple[str, ...]] = {"audio": ("id", "data", "transcript"), "function_call": ("name", "arguments")}
"""Members of which at least one says something, wherever their object is there for a reason."""


@rule("response.members.are_no_empty_shells", on=Single, reads=KEYS, when=_has_message)
def members_are_no_empty_shells(trace: Single, terms: Terms) -> Verdicts:
    """No audio and no function_call is an object with nothing in it, which clients take for one."""
    for pointer, message in messages_in(trace.exchange):
        for key, names in _TELLING.items():
            found = message.get(key)
            if isinstance(found, dict) and not any(found.get(name) for name in names):
                yield at_body(trace.exchange, f"{pointer}/{key}", "null, or absent", show(found, 80))


_OPTIONAL: dict[str, type] = {"annotations": list, "audio": dict, "function_call": dict}


@rule(
    "response.members.keep_their_types",
    on=Single,
    reads=BODY,
    when=lambda trace, terms: (
        UNSTREAMED(trace, terms)
        and any(key in message for _, message in messages_in(trace.exchange) for key in _OPTIONAL)
    ),
)
def members_keep_their_types(trace: Single, terms: Terms) -> Verdicts:
    """Optional members of messages have their documented types."""
    yield from _typed(trace.exchange, _OPTIONAL, _NAMES)
