"""Our reassembly of recorded streams against the accumulator of the official client, which shares no code with it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from openai._models import construct_type
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from conformance.sources import read
from conformance.wire.deltas import Assembly, Irregular, StreamedChoice
from conformance.wire.exchange import Exchange

pytestmark = pytest.mark.corpus

EXPLAINS = {
    Irregular.CALL_ID_REPEATED: "the client joins ids",
    Irregular.CALL_ID_CHANGED: "the client joins ids",
    Irregular.CALL_NAME_REPEATED: "the client joins names",
    Irregular.CALL_NAME_CHANGED: "the client joins names",
    Irregular.CALL_INDEX_GAP: "the client inserts at the end",
    Irregular.CHOICES_MISSING: "the client reads chunks without choices as it can",
    Irregular.FINISH_REPEATED: "the client keeps the last reason",
    Irregular.AFTER_DONE: "the client stops at the sentinel",
}
"""Irregularities on which the client accepts the stream and makes something else of it."""


def accumulated(body: bytes) -> Any:
    """What the client makes of a stream. Raises whatever it raises."""
    state = ChatCompletionStreamState()
    for event in SSEDecoder().iter_bytes(iter([body])):
        if event.data.startswith("[DONE]"):
            break
        data = event.json()
        if isinstance(data, dict) and data.get("error"):
            raise RuntimeError("the client raises APIError")
        state.handle_chunk(construct_type(type_=ChatCompletionChunk, value=data))
    return state.current_completion_snapshot


def plain(value: Any) -> Any:
    """Without the keys that the client adds as defaults."""
    return json.loads(json.dumps(value.to_dict() if hasattr(value, "to_dict") else value))


def theirs(choice: Any) -> dict[str, Any]:
    message, logprobs = choice.message, choice.logprobs
    return {
        "index": choice.index,
        "content": message.content or None,
        "refusal": message.refusal or None,
        "calls": [
            (call.id or None, call.function.name or None, call.function.arguments or "")
            for call in message.tool_calls or []
        ],
        "finish_reason": choice.finish_reason or None,
        "logprobs": [plain(entry) for entry in (logprobs.content if logprobs else None) or []],
        "refusal_logprobs": [plain(entry) for entry in (logprobs.refusal if logprobs else None) or []],
    }


def ours(choice: StreamedChoice) -> dict[str, Any]:
    return {
        "index": choice.index,
        "content": choice.content or None,
        "refusal": choice.refusal or None,
        "calls": [(call.id, call.name, call.arguments) for call in choice.calls],
        "finish_reason": choice.finish_reason or None,
        "logprobs": list(choice.logprobs or []),
        "refusal_logprobs": list(choice.refusal_logprobs or []),
    }


def differences(assembly: Assembly, snapshot: Any) -> list[str]:
    found = []
    mine = {choice.index: ours(choice) for choice in assembly.choices}
    other = {choice.index: theirs(choice) for choice in snapshot.choices}
    if mine.keys() != other.keys():
        return [f"choices {sorted(mine)} and {sorted(other)}"]
    for index, choice in mine.items():
        found += [
            f"{key}: {choice[key]!r} and {other[index][key]!r}" for key in choice if choice[key] != other[index][key]
        ]
    # The client forgets the usage when a later chunk has none.
    if snapshot.usage is not None and plain(snapshot.usage) != assembly.usage:
        found.append(f"usage: {assembly.usage!r} and {plain(snapshot.usage)!r}")
    return found


def compare(exchange: Exchange) -> tuple[str, str]:
    """`unreadable`, `refused`, `compared` or `explained`, else `wrong`, with what to tell of it."""
    assembly = exchange.assembly
    if assembly is None or not assembly.chunks:
        return "unreadable", ""
    try:
        snapshot = accumulated(exchange.body)
    except Exception as error:
        flagged = assembly.irregularities or (exchange.events is not None and exchange.events.unfinished)
        return ("refused" if flagged else "wrong"), f"the client raises {error!r}, but nothing is flagged"
    found = differences(assembly, snapshot)
    if not found:
        return "compared", ""
    explained = any(True for _ in assembly.having(*EXPLAINS))
    return ("explained" if explained else "wrong"), "; ".join(found)


def test_streams_add_up_to_what_the_official_client_makes_of_them(
    corpus: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes: dict[str, Counter[str]] = {}
    wrong: list[str] = []
    for file in corpus:
        counts = outcomes.setdefault(file.name.split(".")[0], Counter())
        for exchange in read(file):
            if not exchange.is_event_stream or exchange.status != 200:
                continue
            outcome, why = compare(exchange)
            counts[outcome] += 1
            if outcome == "wrong":
                wrong.append(f"{exchange.id}: {why[:300]}")
    with capsys.disabled():
        total = sum(outcomes.values(), Counter())
        words = ("compared", "explained", "refused", "unreadable", "wrong")
        counted = ", ".join(f"{total[word]} {word}" for word in words)
        sys.stdout.write(f"\nstreams against the official client: {counted}\n")
    assert not wrong, "\n".join(wrong[:20])
    original = outcomes["openai"]
    assert original["compared"] >= 0.95 * sum(original.values()) > 0, dict(original)
