"""Conversations with tools: the model's own message is echoed verbatim and every call gets its result."""

from __future__ import annotations

from conformance.probes import build
from conformance.probes.base import Effort, Probe, Session, register
from conformance.wire.exchange import Exchange
from conformance.wire.strict_json import Json
from conformance.wire.traces import Relation

_TOOLS: Json = [build.WEATHER_TOOL, build.TIME_TOOL]
_SECRET = "73914"
"""A number that only the tool result holds."""
_QUESTIONS = ("And what is the weather in Tokyo and in Rome?", "And what is it in Lima and in Oslo?")


def said(exchange: Exchange) -> dict[str, Json] | None:
    """The assistant message of an answer as a client echoes it: verbatim, or as the deltas join. None without calls."""
    answer = exchange.answer
    if answer is None or not answer.complete or not answer.choices:
        return None
    choice = answer.choices[0]
    if not choice.calls:
        return None
    if isinstance(choice.raw, dict):
        message = choice.raw.get("message")
        return message if isinstance(message, dict) else None
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in choice.calls
    ]
    if not all(isinstance(part, str) for call in choice.calls for part in (call.id, call.name, call.arguments)):
        return None
    return {"role": "assistant", "content": choice.text or None, "tool_calls": calls}


def results(message: dict[str, Json], content: str) -> list[dict[str, Json]]:
    """One tool message for each call that has an id; each tells its call's number, so that results differ."""
    calls = message.get("tool_calls")
    ids = [item.get("id") for item in calls if isinstance(item, dict)] if isinstance(calls, list) else []
    return [build.result(found, f"{content}{number}") for number, found in enumerate(ids) if isinstance(found, str)]


def _flow(
    session: Session, prompt: str, choice: Json, *, rounds: int = 2, reverse: bool = False, streams: bool = False
) -> None:
    """Question, calls, results, answer; then further questions, whose calls need fresh ids: `rounds` in all.

    `reverse` sends the results in reversed order. The last request leaves `tools` out; it is also marked as a
    conversation of its own with the one before, so that both ways to go on are seen.
    """
    base = session.base
    group = session.group("weather")
    messages: list[Json] = [build.user(prompt)]

    def turn(tools: bool, tool_choice: Json = ...) -> Exchange:
        body = base.body(*messages, **({"tools": _TOOLS, "tool_choice": tool_choice} if tools else {}))
        exchange = session.send(build.post(build.streamed(body) if streams else body))
        session.mark(exchange, Relation.CONVERSATION, group, "turn")
        return exchange

    called = turn(True, choice)
    report = f"Weather report {_SECRET}: mild, station "
    for question in _QUESTIONS[: rounds - 1]:
        message = said(called)
        if message is None:
            return
        answers = results(message, report)
        messages += [message, *(reversed(answers) if reverse else answers)]
        answer = turn(True).answer
        if answer is None or not answer.choices or answer.choices[0].calls or not answer.choices[0].text:
            return
        messages += [{"role": "assistant", "content": answer.choices[0].text}, build.user(question)]
        called, report = turn(True, "required"), "Weather report: cold, station "
    message = said(called)
    if message is None:
        return
    messages += [message, *results(message, report)]
    bare = session.group("weather-without-tools")
    for exchange in (called, turn(False)):
        session.mark(exchange, Relation.CONVERSATION, bare, "turn")


def _conversations(session: Session) -> None:
    _flow(session, build.CITIES, "required")
    if session.base.effort < Effort.STANDARD:
        return
    _flow(session, build.CITIES, "auto", rounds=3, reverse=True)
    if "streaming" in session.base.capabilities:
        _flow(session, build.CITIES, "auto", reverse=True, streams=True)
        _flow(session, build.WEATHER, build.named("get_weather"), rounds=3, streams=True)


register(
    Probe(
        "conversations",
        "tool_calls",
        ("tool_calls", "tool_choice"),
        scenario=_conversations,
        upper=20,
        needs=frozenset({"tools"}),
        summary="Whole tool conversations with the model's own calls, also streamed and in reversed order.",
    )
)
