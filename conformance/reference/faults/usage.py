"""Counts that are missing, mistyped, do not add up, or cannot be true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance.reference.rewriting import with_json
from conformance.reference.stages import Completion, Context, Reply, Stage, fault
from conformance.wire.strict_json import Json

Usage = dict[str, Json]


def _always(context: Context) -> bool:
    return True


def _usage_fault(
    name: str,
    violates: str,
    change: Callable[[Usage], Json],
    says: str,
    *,
    when: Callable[[Context], bool] = _always,
    entails: dict[str, str] | None = None,
    dialects: tuple[str, ...] = (),
    thread: str | None = None,
    condition: str | None = None,
) -> None:
    """Register a fault of the usage object, in whichever mode it comes; `says` is its summary."""

    def over(document: Json) -> Json:
        if isinstance(document, dict) and isinstance(document.get("usage"), dict):
            return {**document, "usage": change(document["usage"])}
        return document

    def hook(reply: Reply, context: Context) -> Reply:
        chat = context.route == "POST /chat/completions" and reply.status == 200
        return with_json(reply, over) if chat and when(context) else reply

    hook.__doc__ = says
    fault(
        name,
        at=Stage.REPLY,
        violates=[violates],
        entails=entails,
        dialects=dialects,
        thread=thread,
        condition=condition,
    )(hook)


def _unstreamed(context: Context) -> bool:
    return not context.streamed


def _many(context: Context) -> bool:
    return (context.chat.n or 1) > 1


_usage_fault(
    "us-null",
    "usage.object.is_present",
    lambda usage: None,
    "The usage of an unstreamed completion is null.",
    when=_unstreamed,
    thread="https://github.com/ai-dynamo/dynamo/issues/3960",
)
_usage_fault(
    "us-floats",
    "usage.counts.are_integers",
    lambda usage: {**usage, "total_tokens": float(usage["total_tokens"])},
    "The total is a number with a decimal point.",
)
_usage_fault(
    "us-strings-for-many",
    "usage.counts.are_integers",
    lambda usage: {**usage, "total_tokens": str(usage["total_tokens"])},
    "With many choices the total is a string.",
    when=_many,
    dialects=("openai",),
    condition="only if n is more than 1",
)
_usage_fault(
    "us-total-wrong",
    "usage.total.is_the_sum",
    lambda usage: {**usage, "total_tokens": 0},
    "The total is 0.",
    dialects=("openai", "xerotier"),
    thread="https://github.com/ai-dynamo/dynamo/issues/1054",
)
_usage_fault(
    "us-total-without-reasoning",
    "usage.total.includes_reasoning",
    lambda usage: {**usage, "reasoning_tokens": 7},
    "Tokens of reasoning are not in the total.",
    dialects=("aurous",),
)
_usage_fault(
    "us-cached-exceeds",
    "usage.cached.is_within_prompt",
    lambda usage: {**usage, "prompt_tokens_details": {"cached_tokens": 5000}},
    "More tokens were cached than the prompt has.",
    dialects=("openai", "xerotier"),
    thread="https://github.com/Portkey-AI/gateway/pull/1754",
)
_usage_fault(
    "us-reasoning-exceeds",
    "usage.reasoning.is_within_completion",
    lambda usage: {
        **usage,
        "completion_tokens_details": {"reasoning_tokens": usage["completion_tokens"] + 50},
    },
    "More tokens were reasoned than generated.",
    dialects=("openai",),
)
_usage_fault(
    "us-credits-text",
    "usage.credits.are_a_number",
    lambda usage: {**usage, "credits_charged": f"{usage['credits_charged']:.6f}"},
    "The credits are a string.",
    dialects=("aurous",),
)
_usage_fault(
    "us-credits-rounded",
    "usage.credits.are_the_sum_of_the_lines",
    lambda usage: {**usage, "credits_charged": round(usage["credits_charged"] + 0.005, 2)},
    "The credits are rounded up to hundredths.",
    dialects=("aurous",),
)
_usage_fault(
    "us-breakdown-nameless",
    "usage.breakdown.names_model_and_pricing",
    lambda usage: {**usage, "breakdown": {**usage["breakdown"], "pricing_version": None}},
    "The breakdown does not say which prices it applies.",
    dialects=("aurous",),
)


def _miscounting(
    name: str, violates: str, change: Callable[[Completion, Context], Completion], says: str, **more: Json
) -> None:
    """Register a fault of what is counted; `says` is its summary."""

    def hook(completion: Completion, context: Context) -> Completion:
        return change(completion, context)

    hook.__doc__ = says
    fault(name, at=Stage.COMPLETION, violates=[violates], **more)(hook)


_miscounting(
    "us-completion-zero",
    "usage.completion_tokens.count_text",
    lambda completion, context: replace(completion, completion_tokens=0, reasoning_tokens=0),
    "Generated tokens are never counted.",
)
_miscounting(
    "us-completion-of-first-choice",
    "usage.completion_tokens.count_text",
    lambda completion, context: replace(completion, completion_tokens=1) if _many(context) else completion,
    "With many choices one token is counted.",
    entails={"logprobs.entries.are_no_more_than_tokens": "there are more entries than tokens counted"},
    dialects=("openai",),
    condition="only if n is more than 1",
)
_miscounting(
    "us-prompt-zero",
    "usage.prompt_tokens.count_the_prompt",
    lambda completion, context: replace(completion, prompt_tokens=0),
    "The prompt is never counted.",
    entails={"usage.prompt_tokens.grow_with_the_prompt": "0 does not grow"},
)
_miscounting(
    "us-prompt-constant",
    "usage.prompt_tokens.grow_with_the_prompt",
    lambda completion, context: replace(completion, prompt_tokens=11),
    "Every prompt counts 11 tokens.",
)
_miscounting(
    "us-prompt-per-choice",
    "usage.prompt_tokens.are_counted_once",
    lambda completion, context: replace(
        completion, prompt_tokens=completion.prompt_tokens * max(1, context.chat.n or 1)
    ),
    "The prompt is counted once for each choice.",
    dialects=("openai",),
    condition="only if n is more than 1",
)


@fault(
    "va-max-completion-ignored",
    at=Stage.DEMAND,
    violates=["usage.completion_tokens.are_within_the_limit"],
    thread="https://github.com/abetlen/llama-cpp-python/issues/1907",
    condition="only by the newer name",
)
def newer_limit_is_ignored(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """`max_completion_tokens` is ignored."""
    return {key: value for key, value in demand.items() if key != "max_completion_tokens"}


@fault("va-max-tokens-ignored", at=Stage.DEMAND, violates=["usage.completion_tokens.are_within_the_limit"])
def limits_are_ignored(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Token limits are ignored altogether."""
    return {key: value for key, value in demand.items() if not key.startswith("max_")}


@fault(
    "va-max-tokens-off-by-one",
    at=Stage.DEMAND,
    violates=["usage.completion_tokens.are_within_the_limit"],
    condition="only where a limit cuts",
)
def limit_is_off_by_one(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """One token more than the limit is generated."""
    fields = ("max_tokens", "max_completion_tokens")
    return {key: value + 1 if key in fields and isinstance(value, int) else value for key, value in demand.items()}
