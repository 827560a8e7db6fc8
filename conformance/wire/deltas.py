"""Reassembly of streamed chunks by choice and tool-call index, recording every irregularity instead of hiding it.

Total: any event stream gives an Assembly. What a client library would trip over is listed in `irregularities`, with
the chunk and the pointer where it happened; rules judge those, and the raw chunks, before they trust the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from conformance.wire.event_stream import Event, EventStream
from conformance.wire.strict_json import Json, is_integer, kind


class Irregular(StrEnum):
    """What reassembly had to put up with."""

    PAYLOAD_UNREADABLE = "payload is not JSON"
    PAYLOAD_NOT_OBJECT = "payload is not an object"
    AFTER_DONE = "event after [DONE]"
    ERROR_PAYLOAD = "payload carries an error"
    CHOICES_MISSING = "choices missing"
    CHOICES_NOT_ARRAY = "choices is not an array"
    CHOICE_NOT_OBJECT = "choice is not an object"
    CHOICE_INDEX_MISSING = "choice index missing"
    CHOICE_INDEX_BAD = "choice index is not a non-negative integer"
    DELTA_MISSING = "delta missing"
    DELTA_NOT_OBJECT = "delta is not an object"
    ROLE_MISSING = "first delta has no role"
    ROLE_REPEATED = "role repeated"
    ROLE_CHANGED = "role changed"
    CONTENT_NOT_STRING = "content is not a string"
    REFUSAL_NOT_STRING = "refusal is not a string"
    LOGPROBS_BAD = "logprobs is not an object of arrays"
    TOOL_CALLS_NOT_ARRAY = "tool_calls is not an array"
    CALL_NOT_OBJECT = "tool call is not an object"
    CALL_INDEX_MISSING = "tool-call index missing"
    CALL_INDEX_BAD = "tool-call index is not a non-negative integer"
    CALL_INDEX_GAP = "tool-call index out of order"
    CALL_INTERLEAVED = "tool-call index resumed after a later one began"
    CALL_ID_MISSING = "first tool-call delta has no id"
    CALL_ID_BAD = "tool-call id is not a string"
    CALL_ID_EMPTY = "later tool-call delta has an empty id"
    CALL_ID_REPEATED = "tool-call id repeated"
    CALL_ID_CHANGED = "tool-call id changed"
    CALL_TYPE_MISSING = "first tool-call delta has no type"
    CALL_TYPE_BAD = "later tool-call delta has a type that is not a string"
    CALL_TYPE_CHANGED = "tool-call type changed"
    CALL_NAME_MISSING = "first tool-call delta has no name"
    CALL_NAME_BAD = "tool-call name is not a string"
    CALL_NAME_EMPTY = "later tool-call delta has an empty name"
    CALL_NAME_REPEATED = "tool-call name repeated"
    CALL_NAME_CHANGED = "tool-call name changed"
    CALL_FUNCTION_BAD = "tool-call function is not an object"
    ARGUMENTS_NOT_STRING = "arguments fragment is not a string"
    FINISH_BAD = "finish_reason is not a non-empty string"
    FINISH_REPEATED = "finish_reason repeated"
    FINISH_MISSING = "choice has no finish_reason"
    AFTER_FINISH = "delta after finish_reason"


@dataclass(frozen=True)
class Irregularity:
    """One irregularity at an event (counted from 0) and a JSON pointer inside its payload."""

    what: Irregular
    chunk: int
    pointer: str = ""
    observed: Json = None


@dataclass(frozen=True)
class Chunk:
    """One event whose payload is a JSON object; `position` counts all events of the stream from 0."""

    position: int
    event: Event
    value: dict[str, Json]

    @property
    def choices(self) -> list[dict[str, Json]]:
        """The choices that are objects."""
        found = self.value.get("choices")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


@dataclass(frozen=True)
class StreamedCall:
    """A tool call put together from its fragments. `chunks` are the positions that contributed."""

    index: int
    id: str | None
    type: str | None
    name: str | None
    arguments: str
    fragments: tuple[str, ...]
    chunks: tuple[int, ...]
    pointer: str
    """Where its first delta stands inside the payload of `chunks[0]`."""


@dataclass(frozen=True)
class StreamedChoice:
    """A choice put together. `content` is None where no delta carried a string."""

    index: int
    role: str | None
    content: str | None
    refusal: str | None
    calls: tuple[StreamedCall, ...]
    finish_reason: str | None
    logprobs: tuple[Json, ...] | None
    refusal_logprobs: tuple[Json, ...] | None
    chunks: tuple[int, ...]
    finish_chunk: int | None


@dataclass(frozen=True)
class Assembly:
    """All chunks of a stream and what they add up to."""

    chunks: tuple[Chunk, ...] = ()
    choices: tuple[StreamedChoice, ...] = ()
    usage: Json = None
    """The last non-null usage."""
    usage_chunks: tuple[int, ...] = ()
    """Positions of chunks with a non-null usage."""
    errors: tuple[Chunk, ...] = ()
    """Payloads with a truthy `error`, and no other use."""
    irregularities: tuple[Irregularity, ...] = ()
    done: bool = False

    def having(self, *what: Irregular) -> Iterator[Irregularity]:
        """The irregularities of the given kinds."""
        return (item for item in self.irregularities if item.what in what)


@dataclass
class _Call:
    index: int
    pointer: str
    id: str | None = None
    type: str | None = None
    name: str | None = None
    fragments: list[str] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)


@dataclass
class _Choice:
    index: int
    role: str | None = None
    content: list[str] | None = None
    refusal: list[str] | None = None
    calls: dict[int, _Call] = field(default_factory=dict)
    by_id: dict[str, int] = field(default_factory=dict)
    free: int = 0
    """No index from the number of calls up to here is free: it only grows, so that the search stays linear."""
    last_call: int = -1
    finish: str | None = None
    finish_chunk: int | None = None
    logprobs: list[Json] | None = None
    refusal_logprobs: list[Json] | None = None
    chunks: list[int] = field(default_factory=list)


class _Assembler:
    """The state while chunks are read in order."""

    def __init__(self) -> None:
        self.choices: dict[int, _Choice] = {}
        self.found: list[Irregularity] = []
        self.position = 0

    def note(self, what: Irregular, pointer: str = "", observed: Json = None) -> None:
        self.found.append(Irregularity(what, self.position, pointer, observed))

    def chunk(self, value: dict[str, Json]) -> None:
        if "choices" not in value:
            self.note(Irregular.CHOICES_MISSING, "/choices")
            return
        choices = value["choices"]
        if not isinstance(choices, list):
            self.note(Irregular.CHOICES_NOT_ARRAY, "/choices", kind(choices))
            return
        for place, item in enumerate(choices):
            pointer = f"/choices/{place}"
            if not isinstance(item, dict):
                self.note(Irregular.CHOICE_NOT_OBJECT, pointer, kind(item))
                continue
            self.choice(item, pointer, place)

    def choice(self, item: dict[str, Json], pointer: str, place: int) -> None:
        index = item.get("index")
        if "index" not in item:
            self.note(Irregular.CHOICE_INDEX_MISSING, f"{pointer}/index")
            index = place
        elif not is_integer(index) or index < 0:
            self.note(Irregular.CHOICE_INDEX_BAD, f"{pointer}/index", index)
            index = place
        first = index not in self.choices
        choice = self.choices.setdefault(index, _Choice(index))
        choice.chunks.append(self.position)
        delta = item.get("delta")
        if "delta" not in item:
            self.note(Irregular.DELTA_MISSING, f"{pointer}/delta")
            delta = {}
        elif not isinstance(delta, dict):
            self.note(Irregular.DELTA_NOT_OBJECT, f"{pointer}/delta", kind(delta))
            delta = {}
        if choice.finish is not None and any(
            delta.get(key) for key in ("content", "refusal", "tool_calls", "function_call")
        ):
            self.note(Irregular.AFTER_FINISH, f"{pointer}/delta", delta)
        self.delta(choice, delta, f"{pointer}/delta", first=first)
        self.logprobs(choice, item.get("logprobs"), f"{pointer}/logprobs")
        self.finish(choice, item.get("finish_reason"), f"{pointer}/finish_reason")

    def delta(self, choice: _Choice, delta: dict[str, Json], pointer: str, *, first: bool) -> None:
        role = delta.get("role")
        if first and not isinstance(role, str):
            self.note(Irregular.ROLE_MISSING, f"{pointer}/role", role)
        if role is not None:
            if choice.role is None and isinstance(role, str):
                choice.role = role
            elif role == choice.role:
                self.note(Irregular.ROLE_REPEATED, f"{pointer}/role", role)
            else:
                self.note(Irregular.ROLE_CHANGED, f"{pointer}/role", role)
        content = delta.get("content")
        if isinstance(content, str):
            choice.content = choice.content if choice.content is not None else []
            choice.content.append(content)
        elif content is not None:
            self.note(Irregular.CONTENT_NOT_STRING, f"{pointer}/content", kind(content))
        refusal = delta.get("refusal")
        if isinstance(refusal, str):
            choice.refusal = choice.refusal if choice.refusal is not None else []
            choice.refusal.append(refusal)
        elif refusal is not None:
            self.note(Irregular.REFUSAL_NOT_STRING, f"{pointer}/refusal", kind(refusal))
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for place, call in enumerate(calls):
                self.call(choice, call, f"{pointer}/tool_calls/{place}", place)
        elif calls is not None:
            self.note(Irregular.TOOL_CALLS_NOT_ARRAY, f"{pointer}/tool_calls", kind(calls))

    def call(self, choice: _Choice, item: Json, pointer: str, place: int) -> None:
        if not isinstance(item, dict):
            self.note(Irregular.CALL_NOT_OBJECT, pointer, kind(item))
            return
        index = self.call_index(choice, item, pointer, place)
        first = index not in choice.calls
        if first and index != len(choice.calls):
            self.note(Irregular.CALL_INDEX_GAP, f"{pointer}/index", index)
        if not first and index < choice.last_call:
            self.note(Irregular.CALL_INTERLEAVED, f"{pointer}/index", index)
        choice.last_call = index
        call = choice.calls.setdefault(index, _Call(index, pointer))
        call.chunks.append(self.position)
        self.call_id(call, item, pointer, first=first)
        if call.id is not None:
            choice.by_id.setdefault(call.id, call.index)
        self.call_type(call, item, pointer, first=first)
        function = item.get("function")
        if function is not None and not isinstance(function, dict):
            self.note(Irregular.CALL_FUNCTION_BAD, f"{pointer}/function", kind(function))
            function = None
        self.call_function(call, function or {}, f"{pointer}/function", first=first)

    def call_index(self, choice: _Choice, item: dict[str, Json], pointer: str, place: int) -> int:
        index = item.get("index")
        if is_integer(index) and index >= 0:
            return index
        if "index" in item:
            self.note(Irregular.CALL_INDEX_BAD, f"{pointer}/index", index)
        else:
            self.note(Irregular.CALL_INDEX_MISSING, f"{pointer}/index")
        identifier = item.get("id")
        if isinstance(identifier, str) and identifier:
            known = choice.by_id.get(identifier)
            return self.next_index(choice) if known is None else known
        return max(choice.last_call, 0) if choice.calls else place

    @staticmethod
    def next_index(choice: _Choice) -> int:
        """A place for a call of its own, where the stream gave none."""
        choice.free = max(choice.free, len(choice.calls))
        while choice.free in choice.calls:
            choice.free += 1
        return choice.free

    def call_id(self, call: _Call, item: dict[str, Json], pointer: str, *, first: bool) -> None:
        identifier = item.get("id")
        if identifier is None or (identifier == "" and first):
            if first:
                self.note(Irregular.CALL_ID_MISSING, f"{pointer}/id", identifier)
        elif not isinstance(identifier, str):
            self.note(Irregular.CALL_ID_BAD, f"{pointer}/id", identifier)
        elif identifier == "":
            self.note(Irregular.CALL_ID_EMPTY, f"{pointer}/id", identifier)
        elif call.id is None:
            call.id = identifier
        elif call.id == identifier:
            self.note(Irregular.CALL_ID_REPEATED, f"{pointer}/id", identifier)
        else:
            self.note(Irregular.CALL_ID_CHANGED, f"{pointer}/id", identifier)

    def call_type(self, call: _Call, item: dict[str, Json], pointer: str, *, first: bool) -> None:
        found = item.get("type")
        if first and not isinstance(found, str):
            self.note(Irregular.CALL_TYPE_MISSING, f"{pointer}/type", found)
        elif not isinstance(found, str):
            # Absent is what the original sends; the official client takes a null for the call's new type, and raises.
            if "type" in item:
                self.note(Irregular.CALL_TYPE_BAD, f"{pointer}/type", found)
        elif call.type is not None and call.type != found:
            self.note(Irregular.CALL_TYPE_CHANGED, f"{pointer}/type", found)
        if isinstance(found, str):
            call.type = call.type or found

    def call_function(self, call: _Call, function: dict[str, Json], pointer: str, *, first: bool) -> None:
        name = function.get("name")
        if name is None or (name == "" and first):
            if first:
                self.note(Irregular.CALL_NAME_MISSING, f"{pointer}/name", name)
        elif not isinstance(name, str):
            self.note(Irregular.CALL_NAME_BAD, f"{pointer}/name", name)
        elif name == "":
            self.note(Irregular.CALL_NAME_EMPTY, f"{pointer}/name", name)
        elif call.name is None:
            call.name = name
        elif call.name == name:
            self.note(Irregular.CALL_NAME_REPEATED, f"{pointer}/name", name)
        else:
            self.note(Irregular.CALL_NAME_CHANGED, f"{pointer}/name", name)
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            call.fragments.append(arguments)
        elif "arguments" in function:
            self.note(Irregular.ARGUMENTS_NOT_STRING, f"{pointer}/arguments", kind(arguments))

    def logprobs(self, choice: _Choice, logprobs: Json, pointer: str) -> None:
        if logprobs is None:
            return
        if not isinstance(logprobs, dict):
            self.note(Irregular.LOGPROBS_BAD, pointer, kind(logprobs))
            return
        for key, attribute in (("content", "logprobs"), ("refusal", "refusal_logprobs")):
            entries = logprobs.get(key)
            if isinstance(entries, list):
                if getattr(choice, attribute) is None:
                    setattr(choice, attribute, [])
                getattr(choice, attribute).extend(entries)
            elif entries is not None:
                self.note(Irregular.LOGPROBS_BAD, f"{pointer}/{key}", kind(entries))

    def finish(self, choice: _Choice, reason: Json, pointer: str) -> None:
        if reason is None:
            return
        if not isinstance(reason, str) or not reason:
            self.note(Irregular.FINISH_BAD, pointer, reason)
        elif choice.finish is None:
            choice.finish, choice.finish_chunk = reason, self.position
        else:
            self.note(Irregular.FINISH_REPEATED, pointer, reason)


def _joined(parts: list[str] | None) -> str | None:
    return None if parts is None else "".join(parts)


def _freeze_call(call: _Call) -> StreamedCall:
    return StreamedCall(
        call.index,
        call.id,
        call.type,
        call.name,
        "".join(call.fragments),
        tuple(call.fragments),
        tuple(call.chunks),
        call.pointer,
    )


def _freeze(choice: _Choice) -> StreamedChoice:
    return StreamedChoice(
        choice.index,
        choice.role,
        _joined(choice.content),
        _joined(choice.refusal),
        tuple(_freeze_call(choice.calls[index]) for index in sorted(choice.calls)),
        choice.finish,
        None if choice.logprobs is None else tuple(choice.logprobs),
        None if choice.refusal_logprobs is None else tuple(choice.refusal_logprobs),
        tuple(choice.chunks),
        choice.finish_chunk,
    )


def assemble_chunks(stream: EventStream) -> Assembly:
    """Put a stream's chunks together. Events without data are skipped: conforming clients never see them."""
    state = _Assembler()
    chunks: list[Chunk] = []
    errors: list[Chunk] = []
    usage_chunks: list[int] = []
    usage: Json = None
    done = False
    for position, event in enumerate(stream.events):
        state.position = position
        if event.data_lines == 0:
            continue
        if done:
            state.note(Irregular.AFTER_DONE)
        if event.is_done:
            done = True
            continue
        document = event.document
        if not document.ok:
            state.note(Irregular.PAYLOAD_UNREADABLE, "", event.data[:80])
            continue
        if not isinstance(document.value, dict):
            state.note(Irregular.PAYLOAD_NOT_OBJECT, "", kind(document.value))
            continue
        chunk = Chunk(position, event, document.value)
        if document.value.get("error"):
            state.note(Irregular.ERROR_PAYLOAD, "/error")
            errors.append(chunk)
            if "choices" not in document.value:
                continue
        chunks.append(chunk)
        state.chunk(document.value)
        if document.value.get("usage") is not None:
            usage = document.value["usage"]
            usage_chunks.append(position)
    for choice in state.choices.values():
        if choice.finish is None:
            state.position = choice.chunks[-1]
            state.note(Irregular.FINISH_MISSING, "", choice.index)
    return Assembly(
        tuple(chunks),
        tuple(_freeze(state.choices[index]) for index in sorted(state.choices)),
        usage,
        tuple(usage_chunks),
        tuple(errors),
        tuple(state.found),
        done,
    )
