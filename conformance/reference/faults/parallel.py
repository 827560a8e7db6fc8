"""Faults of parallel tool calls."""

from __future__ import annotations

from dataclasses import replace

from conformance.reference.faults.call_edits import skipping, with_calls
from conformance.reference.stages import Completion, Context, Stage, fault
from conformance.wire.strict_json import Json


@fault(
    "par-false-ignored",
    at=Stage.DEMAND,
    violates=["parallel.false.makes_one_call"],
    thread="https://github.com/sgl-project/sglang/issues/9696",
)
def false_ignored(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """A false parallel_tool_calls is ignored."""
    return {key: value for key, value in demand.items() if key != "parallel_tool_calls"}


@fault(
    "par-false-ignored-streamed",
    at=Stage.DEMAND,
    violates=["parallel.false.makes_one_call"],
    thread="https://github.com/vllm-project/vllm/issues/9451",
    condition="only streamed",
)
def false_ignored_streamed(demand: dict[str, Json], context: Context) -> dict[str, Json]:
    """A false parallel_tool_calls is ignored in streams."""
    return false_ignored(demand, context) if context.streamed else demand


@fault(
    "par-id-equals-completion-id",
    at=Stage.COMPLETION,
    violates=["parallel.ids.are_distinct"],
    thread="https://github.com/sigoden/aichat/issues/580",
)
def id_equals_completion_id(completion: Completion, context: Context) -> Completion:
    """The id of a call is that of the completion."""
    return with_calls(completion, lambda position, call: replace(call, id=completion.id))


@fault(
    "par-id-equals-name",
    at=Stage.COMPLETION,
    violates=["parallel.ids.are_distinct"],
    entails={"tool_calls.id.is_fresh": "a second round calls the same function"},
    thread="https://github.com/brainlid/langchain/pull/619",
)
def id_equals_name(completion: Completion, context: Context) -> Completion:
    """The id of a call is the name of its function."""
    return with_calls(completion, lambda position, call: replace(call, id=call.name))


fault("par-word-200", at=Stage.REFUSAL, violates=["parallel.value.non_boolean_is_refused"])(
    skipping("Words and numbers are taken as parallel_tool_calls.", "parallel_tool_calls.type")
)
fault("par-without-tools-200", at=Stage.REFUSAL, violates=["parallel.value.needs_tools"])(
    skipping("A parallel_tool_calls without tools is taken.", "parallel_tool_calls.needs_tools")
)
