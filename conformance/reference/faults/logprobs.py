"""Faults of asking for log probabilities: values that are not checked, requests that fail, objects that lack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.reference.faults.call_edits import skipping, turning_down
from conformance.reference.faults.logprob_edits import Fields, object_fault, top_of
from conformance.reference.stages import Context, ErrorReply, Stage, fault
from conformance.wire.strict_json import Json

_DIALECTS = ("openai", "xerotier")
"""Those that document log probabilities."""
_HAVE = "logprobs.choices.have_entries"
_SERVED = "requests.valid.gets_no_server_error"


def _asks(context: Context) -> bool:
    return context.chat.wants_logprobs


def _skipped(name: str, violates: str, says: str, check: str, when: Any = None, **more: Any) -> None:
    hook = skipping(says, check) if when is None else skipping(says, check, when=when)
    fault(name, at=Stage.REFUSAL, violates=[violates], dialects=_DIALECTS, **more)(hook)


_skipped(
    "lp-word-accepted",
    "logprobs.value.non_boolean_is_refused",
    "Numbers and words are taken as logprobs.",
    "logprobs.type",
)
_skipped(
    "lp-integer-accepted",
    "logprobs.value.non_boolean_is_refused",
    "A number is taken as logprobs, as in legacy completions.",
    "logprobs.type",
    lambda context: isinstance(context.chat.body.get("logprobs"), int),
    condition="only for numbers",
)
_skipped(
    "lp-top-too-many-accepted",
    "logprobs.top.out_of_range_is_refused",
    "A top_logprobs above 20 is taken and cut down.",
    "top_logprobs.range",
    lambda context: top_of(context) > 20,
    thread="https://github.com/sgl-project/sglang/pull/28794",
    condition="only above the range",
)
_skipped(
    "lp-top-negative-accepted",
    "logprobs.top.out_of_range_is_refused",
    "A negative top_logprobs is taken as none.",
    "top_logprobs.range",
    lambda context: top_of(context) < 0,
    condition="only below the range",
)
_skipped(
    "lp-top-fraction-accepted",
    "logprobs.top.non_integer_is_refused",
    "A top_logprobs that is no integer is taken.",
    "top_logprobs.type",
)
_skipped(
    "lp-top-digits-accepted",
    "logprobs.top.non_integer_is_refused",
    "A top_logprobs in quotes is taken.",
    "top_logprobs.type",
    lambda context: isinstance(context.chat.body.get("top_logprobs"), str),
    condition="only for strings",
)
_skipped(
    "lp-top-alone-accepted",
    "logprobs.top.needs_logprobs",
    "A top_logprobs without logprobs is taken and ignored.",
    "top_logprobs.needs_logprobs",
)
_skipped(
    "lp-top-beside-false-accepted",
    "logprobs.top.needs_logprobs",
    "A top_logprobs beside a false or null logprobs is taken and ignored.",
    "top_logprobs.needs_logprobs",
    lambda context: "logprobs" in context.chat.body,
    condition="only beside logprobs that are false or null",
)


@fault(
    "lp-top-without-logprobs-envelope",
    at=Stage.ERROR,
    violates=["errors.envelope.has_an_error_object"],
    dialects=_DIALECTS,
    thread="https://github.com/deepseek-ai/DeepSeek-V2/issues/9",
    condition="only for top_logprobs without logprobs",
)
def top_without_logprobs_envelope(error: ErrorReply, context: Context) -> ErrorReply:
    """A top_logprobs without logprobs is refused in another form than all else."""
    if context.refusal is None or context.refusal.check != "top_logprobs.needs_logprobs":
        return error
    return replace(error, body={"detail": "Invalid top_logprobs and logprobs value"})


def _turned_down(name: str, violates: str, says: str, when: Callable[[Context], bool], kind: str, **more: Any) -> None:
    message, param = (
        ("list index out of range", None) if kind == "internal" else ("top_logprobs is off.", "top_logprobs")
    )
    hook = turning_down(says, when, kind, message, param)
    fault(name, at=Stage.REFUSAL, violates=[violates], dialects=_DIALECTS, **more)(hook)


_turned_down(
    "lp-top-capped-at-five",
    "logprobs.top.whole_range_is_accepted",
    "More than five alternatives are refused.",
    lambda context: _asks(context) and top_of(context) > 5,
    "integer_above_max",
    condition="only for top_logprobs above 5",
)
_turned_down(
    "lp-top-zero-refused",
    "logprobs.top.whole_range_is_accepted",
    "A top_logprobs of 0 is refused.",
    lambda context: _asks(context) and context.chat.body.get("top_logprobs") == 0,
    "integer_below_min",
    condition="only for top_logprobs 0",
)
_turned_down(
    "lp-no-top-500",
    _SERVED,
    "Log probabilities without alternatives are a server error.",
    lambda context: _asks(context) and "top_logprobs" not in context.chat.body,
    "internal",
    entails={"logprobs.value.causes_no_server_error": "it is one in JSON mode as well"},
    thread="https://github.com/vllm-project/vllm/issues/4795",
    condition="only without top_logprobs",
)
_turned_down(
    "lp-stream-500",
    _SERVED,
    "Log probabilities in a stream are a server error.",
    lambda context: _asks(context) and context.streamed,
    "internal",
    thread="https://github.com/sgl-project/sglang/pull/33042",
    condition="only streamed",
)
_turned_down(
    "lp-special-token-500",
    "logprobs.value.causes_no_server_error",
    "Log probabilities in JSON mode are a server error.",
    lambda context: _asks(context) and context.chat.format_type == "json_object",
    "internal",
    thread="https://github.com/vllm-project/vllm/pull/17637",
    condition="only in JSON mode",
)


def _ignoring(name: str, says: str, when: Callable[[Context], bool], **more: Any) -> None:
    """Register a fault by which the model never hears of log probabilities."""

    def hook(demand: dict[str, Json], context: Context) -> dict[str, Json]:
        if not when(context):
            return demand
        return {key: value for key, value in demand.items() if key not in ("logprobs", "top_logprobs")}

    hook.__doc__ = says
    fault(name, at=Stage.DEMAND, violates=[_HAVE], dialects=_DIALECTS, **more)(hook)


_ignoring("lp-ignored", "Log probabilities are never given.", _asks)
_ignoring(
    "lp-ignored-streamed",
    "Streams have no log probabilities.",
    lambda context: context.streamed,
    thread="https://github.com/abetlen/llama-cpp-python/issues/197",
    condition="only streamed",
)
_ignoring(
    "lp-stream-missing-with-stop",
    "Streams with stop sequences have no log probabilities.",
    lambda context: context.streamed and bool(context.chat.stops),
    thread="https://github.com/kekzl/imp/issues/1588",
    condition="only streamed with stop",
)
_ignoring(
    "lp-missing-with-tools",
    "Where tools are declared, there are no log probabilities.",
    lambda context: bool(context.chat.tools),
    condition="only with tools",
)
_ignoring(
    "lp-missing-without-top",
    "Where top_logprobs is omitted, there are no log probabilities.",
    lambda context: "top_logprobs" not in context.chat.body,
    condition="only when top_logprobs is omitted",
)
_ignoring(
    "lp-missing-with-a-schema",
    "Where a schema is given, there are no log probabilities.",
    lambda context: context.chat.format_type == "json_schema",
    condition="only with json_schema",
)
object_fault(
    "lp-second-choice-missing",
    _HAVE,
    "Only the first choice has log probabilities.",
    lambda logprobs, choice: logprobs if choice["index"] == 0 else None,
    condition="only from the second choice",
)


@fault("lp-always-on", at=Stage.DEMAND, violates=["logprobs.default.is_off"], dialects=_DIALECTS)
def always_on(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """Log probabilities are given whether they are asked for or not."""
    return {**demand, "logprobs": True}


@fault(
    "lp-false-ignored",
    at=Stage.DEMAND,
    violates=["logprobs.default.is_off"],
    dialects=_DIALECTS,
    condition="only for a false or null logprobs",
)
def false_ignored(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """That logprobs is there counts, not what it says."""
    return {**demand, "logprobs": True} if "logprobs" in demand else demand


def _legacy(logprobs: Fields, choice: Fields) -> Json:
    entries = logprobs["content"] or []
    starts = [sum(len(entry["token"]) for entry in entries[:place]) for place in range(len(entries))]
    return {
        "tokens": [entry["token"] for entry in entries],
        "token_logprobs": [entry["logprob"] for entry in entries],
        "top_logprobs": [{item["token"]: item["logprob"] for item in entry["top_logprobs"]} for entry in entries],
        "text_offset": starts,
    }


object_fault(
    "lp-legacy-shape",
    "logprobs.object.has_the_form_of_chat",
    "Log probabilities have the form of legacy completions.",
    _legacy,
    thread="https://github.com/vllm-project/vllm/issues/3179",
)
object_fault(
    "lp-list-for-object",
    "logprobs.object.has_the_form_of_chat",
    "The log probabilities of a choice are the list itself.",
    lambda logprobs, choice: logprobs["content"],
)
object_fault(
    "lp-refusal-key-missing",
    "logprobs.object.has_both_sides",
    "The object has no key for a refusal.",
    lambda logprobs, choice: {"content": logprobs["content"]},
    dialects=("openai",),
)


def _elsewhere(logprobs: Fields, choice: Fields) -> Json:
    entries = logprobs["content"] or []
    choice["completion_probabilities"] = [{"tok_str": entry["token"], "prob": 0.8} for entry in entries]


object_fault(
    "lp-completion-probabilities",
    _HAVE,
    "Probabilities stand under a name and in a form of the server's own.",
    _elsewhere,
    thread="https://github.com/ggml-org/llama.cpp/pull/10783",
)


def _refuses(body: Fields, context: Context, *, apart: bool) -> Fields:
    """Structured answers with log probabilities become refusals, whose entries stand under content or nowhere."""
    if not _asks(context) or context.chat.format_type != "json_schema":
        return body
    for choice in body["choices"]:
        choice["message"] |= {"content": None, "refusal": "I cannot help with that."}
        entries = [{"token": "I", "logprob": -0.1, "bytes": [73], "top_logprobs": []}]
        choice["logprobs"] = {"content": None if apart else entries, "refusal": None}
    return body


@fault(
    "lp-refusal-under-content",
    at=Stage.BODY,
    violates=["logprobs.refusal.has_entries_of_its_own"],
    dialects=("openai",),
    condition="only refusals, unstreamed",
)
def refusal_under_content(body: Fields, context: Context) -> Fields:
    """The tokens of a refusal are listed as content."""
    return _refuses(body, context, apart=False) if context.route == "POST /chat/completions" else body


@fault(
    "lp-refusal-without-entries",
    at=Stage.BODY,
    violates=["logprobs.refusal.has_entries_of_its_own"],
    dialects=("openai",),
    condition="only refusals, unstreamed",
)
def refusal_without_entries(body: Fields, context: Context) -> Fields:
    """The tokens of a refusal are listed nowhere."""
    return _refuses(body, context, apart=True) if context.route == "POST /chat/completions" else body
