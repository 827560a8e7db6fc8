"""Everything that a chat request may be refused for, in the order in which it is looked at."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.reference import fields, formats, messages, tool_fields
from conformance.reference.model import prompt_tokens
from conformance.reference.models_list import MODELS, find, serving
from conformance.reference.stages import Context, Refusal
from conformance.wire.chat_request import Choosing


def reasons(context: Context) -> Iterator[Refusal]:
    """Every reason to refuse `context.body`; the first is the answer, the others count once it is passed over."""
    yield from fields.unknown(context)
    yield from _model(context)
    yield from messages.refuse(context)
    yield from fields.refuse(context)
    yield from tool_fields.refuse(context)
    yield from formats.refuse(context)
    yield from _capabilities(context)
    yield from _window(context)


def _model(context: Context) -> Iterator[Refusal]:
    body = context.body or {}
    name, longest = body.get("model"), context.dialect.limit("model.max_length")
    if "model" not in body:
        yield Refusal("missing_parameter", "model.missing", "The parameter 'model' is missing.", "model")
    elif not isinstance(name, str):
        yield Refusal("invalid_type", "model.type", "'model' has to be a string.", "model")
    elif not name:
        yield Refusal("string_too_short", "model.empty", "'model' is empty.", "model")
    elif longest is not None and len(name) > longest:
        yield Refusal("string_too_long", "model.length", f"'model' has more than {longest} characters.", "model")
    else:
        found = find(name)
        if found is None and context.dialect.convention("model.unknown") != "accepted":
            yield Refusal("unknown_model", "model.unknown", f"There is no model {name[:200]!r}.")
        elif found is not None and found.kind != MODELS[0].kind:
            yield Refusal("model_wrong_kind", "model.kind", f"{name!r} is no chat model.", "model")


def _capabilities(context: Context) -> Iterator[Refusal]:
    flag = context.dialect.convention("tool_choice.capability_flag")
    if flag and context.chat.choosing is Choosing.REQUIRED and flag not in serving(context.chat.model).flags:
        yield Refusal(
            "tool_choice_required_unsupported",
            "tool_choice.required_unsupported",
            f"This model lacks the capability {flag}.",
            "tool_choice",
        )


def _window(context: Context) -> Iterator[Refusal]:
    window = serving(context.chat.model).window
    if prompt_tokens(context.body or {}) > window:
        yield Refusal(
            "context_length",
            "context.length",
            f"The messages come to more than the {window} tokens of this model's context.",
            "messages",
        )
