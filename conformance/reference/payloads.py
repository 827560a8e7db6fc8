"""Change the payloads of a stream: its chunks by place, their choices and deltas by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from conformance.wire.event_stream import DONE

Payload = dict[str, Any] | str
Payloads = list[Payload]
Choice = dict[str, Any]


def is_chunk(payload: Payload) -> bool:
    """A chunk, and neither the sentinel nor a warning."""
    return isinstance(payload, dict) and "choices" in payload


def chunks_in(payloads: Payloads) -> Iterator[dict[str, Any]]:
    """The chunks, in order."""
    return (payload for payload in payloads if isinstance(payload, dict) and "choices" in payload)


def each_chunk(payloads: Payloads, change: Callable[[dict[str, Any], int], Payload | None]) -> Payloads:
    """Every chunk through `change`, which gets its place among the chunks; None leaves the chunk out."""
    made: Payloads = []
    place = 0
    for payload in payloads:
        if isinstance(payload, dict) and "choices" in payload:
            changed = change(payload, place)
            place += 1
            if changed is not None:
                made.append(changed)
        else:
            made.append(payload)
    return made


def each_choice(payloads: Payloads, change: Callable[[Choice], Choice | None]) -> Payloads:
    """Every choice of every chunk through `change`; a chunk whose choices are all left out goes with them."""

    def chunk(payload: dict[str, Any], place: int) -> Payload | None:
        changed = [made for made in map(change, payload["choices"]) if made is not None]
        return {**payload, "choices": changed} if changed or not payload["choices"] else None

    return each_chunk(payloads, chunk)


def text_of(choice: Choice) -> str:
    """The content of the choice's delta, or the empty string."""
    content = choice["delta"].get("content")
    return content if isinstance(content, str) else ""


def with_text(choice: Choice, text: str) -> Choice:
    """The choice with another content in its delta."""
    return {**choice, "delta": {**choice["delta"], "content": text}}


def last_chunk(payloads: Payloads) -> int:
    """The place of the last chunk among all payloads, or -1."""
    return max((place for place, payload in enumerate(payloads) if is_chunk(payload)), default=-1)


def before_done(payloads: Payloads, *extra: Payload) -> Payloads:
    """More payloads before the sentinel."""
    place = payloads.index(DONE) if DONE in payloads else len(payloads)
    return [*payloads[:place], *extra, *payloads[place:]]


def whole_text(payloads: Payloads) -> str:
    """All content of all choices, joined."""
    return "".join(text_of(choice) for chunk in chunks_in(payloads) for choice in chunk["choices"])


def finishes(payloads: Payloads) -> set[str]:
    """The finish reasons in the stream."""
    return {
        choice["finish_reason"]
        for chunk in chunks_in(payloads)
        for choice in chunk["choices"]
        if choice["finish_reason"]
    }
