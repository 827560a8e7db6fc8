"""Edits that faults of log probabilities share: every entry, every object of them, or where in a stream they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from conformance.reference.payloads import Payloads, chunks_in
from conformance.reference.rewriting import choices, with_json
from conformance.reference.stages import Context, Reply, Stage, fault
from conformance.reference.tokens import weigh
from conformance.wire.strict_json import Json, is_integer

Fields = dict[str, Any]
EditEntry = Callable[[Fields, int], Fields | None]
"""An entry and its position in its choice, from 0, to another one; None leaves it out."""
EditObject = Callable[[Fields, Fields], Json]
"""The `logprobs` object and its choice to another value."""
When = Callable[[Context], bool]


def always(context: Context) -> bool:
    """No condition."""
    return True


def streamed(context: Context) -> bool:
    """A condition: the request asks for a stream."""
    return context.streamed


def unstreamed(context: Context) -> bool:
    """A condition: the request asks for no stream."""
    return not context.streamed


def top_of(context: Context) -> int:
    """How many alternatives the request asks for."""
    found = context.chat.body.get("top_logprobs")
    return found if is_integer(found) else 0


def _edited(reply: Reply, edit: EditObject) -> Reply:
    """The reply with every `logprobs` object through `edit`."""

    def change(document: Json) -> Json:
        for choice in choices(document):
            if isinstance(choice.get("logprobs"), dict):
                choice["logprobs"] = edit(choice["logprobs"], choice)
        return document

    return with_json(reply, change)


def _over_entries(edit: EditEntry, only_choice: int | None) -> Callable[[], EditObject]:
    """A maker of object edits that count positions over all chunks of one answer."""

    def make() -> EditObject:
        seen: dict[tuple[int, str], int] = {}

        def over(logprobs: Fields, choice: Fields) -> Json:
            made: Fields = {}
            for side, items in logprobs.items():
                if items is None or only_choice not in (None, choice["index"]):
                    made[side] = items
                    continue
                start = seen.get((choice["index"], side), 0)
                seen[choice["index"], side] = start + len(items)
                found = (edit(item, start + place) for place, item in enumerate(items))
                made[side] = [item for item in found if item is not None]
            return made

        return over

    return make


def _register(
    name: str,
    violates: str | list[str],
    says: str,
    make: Callable[[], EditObject],
    when: When,
    entails: Mapping[str, str] | None,
    dialects: tuple[str, ...],
    thread: str | None,
    condition: str | None,
) -> None:
    def hook(reply: Reply, context: Context) -> Reply:
        concerned = reply.status == 200 and context.chat.wants_logprobs and when(context)
        return _edited(reply, make()) if concerned else reply

    hook.__doc__ = says
    wrong = [violates] if isinstance(violates, str) else violates
    fault(
        name,
        at=Stage.REPLY,
        violates=wrong,
        entails=entails,
        dialects=dialects,
        thread=thread,
        condition=condition,
    )(hook)


def entry_fault(
    name: str,
    violates: str | list[str],
    says: str,
    edit: EditEntry,
    *,
    when: When = always,
    only_choice: int | None = None,
    entails: Mapping[str, str] | None = None,
    dialects: tuple[str, ...] = (),
    thread: str | None = None,
    condition: str | None = None,
) -> None:
    """Register a fault of single entries, in both modes unless `when` says otherwise; `says` is its summary."""
    _register(name, violates, says, _over_entries(edit, only_choice), when, entails, dialects, thread, condition)


def object_fault(
    name: str,
    violates: str | list[str],
    says: str,
    edit: EditObject,
    *,
    when: When = always,
    entails: Mapping[str, str] | None = None,
    dialects: tuple[str, ...] = (),
    thread: str | None = None,
    condition: str | None = None,
) -> None:
    """Register a fault of the whole object, in both modes unless `when` says otherwise; `says` is its summary."""
    _register(name, violates, says, lambda: edit, when, entails, dialects, thread, condition)


def answer_fault(
    name: str,
    violates: str | list[str],
    says: str,
    make: Callable[[], EditObject],
    *,
    when: When = always,
    entails: Mapping[str, str] | None = None,
    thread: str | None = None,
    condition: str | None = None,
) -> None:
    """Register a fault that remembers over the chunks of an answer: `make` gives the edit for one answer."""
    _register(name, violates, says, make, when, entails, (), thread, condition)


def set_to(**members: Any) -> EditEntry:
    """An edit that sets these members."""
    return lambda entry, position: {**entry, **members}


def without(key: str) -> EditEntry:
    """An edit that leaves a member out."""
    return lambda entry, position: {name: value for name, value in entry.items() if name != key}


def over_top(change: Callable[[list[Fields], Fields], Any]) -> EditEntry:
    """An edit of a list of alternatives that is not empty."""

    def edit(entry: Fields, position: int) -> Fields:
        top = entry["top_logprobs"]
        return {**entry, "top_logprobs": change(top, entry)} if top else entry

    return edit


def everywhere(change: Callable[[Fields], Fields]) -> EditEntry:
    """An edit of an entry and of each of its alternatives alike."""
    return lambda entry, position: {
        **change(entry),
        "top_logprobs": [change(alternative) for alternative in entry["top_logprobs"]],
    }


def is_own(alternative: Fields, entry: Fields) -> bool:
    """The alternative is the chosen token."""
    return bool(alternative["bytes"] == entry["bytes"])


def made_up(data: bytes) -> Fields:
    """An entry without alternatives for these bytes."""
    text = data.decode("utf-8", "backslashreplace")
    return {"token": text, "logprob": weigh(data).logprob, "bytes": list(data), "top_logprobs": []}


def is_partial(entry: Fields) -> bool:
    """The token is no whole number of characters."""
    try:
        bytes(entry["bytes"]).decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def spread(payloads: Payloads, place: Callable[[list[list[Fields]], list[bool]], list[list[Fields]]]) -> Payloads:
    """Lay each choice's entries out anew over its chunks.

    `place` gets the entries chunk by chunk, and which chunks have text; it returns the entries chunk by chunk.
    """
    by_choice: dict[int, list[Fields]] = {}
    for chunk in chunks_in(payloads):
        for choice in chunk["choices"]:
            by_choice.setdefault(choice["index"], []).append(choice)
    for parts in by_choice.values():
        lists = [list((part.get("logprobs") or {}).get("content") or []) for part in parts]
        if not any(lists):
            continue
        texts = [bool(part["delta"].get("content")) for part in parts]
        for part, entries in zip(parts, place(lists, texts), strict=True):
            part["logprobs"] = {"content": entries, "refusal": None} if entries else None
    return payloads
