"""Roles and contents of messages: every documented form, and every missing or mistyped part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json

_BARE: dict[str, Any] = {"limit": 32, **build.BARE}
"""As the control has it."""
_PARTS: Json = [{"type": "text", "text": build.GREETING}]


def _good(base: Base) -> Iterator[Group]:
    plain = build.bare(base)
    yield build.contrast(plain, base.body(build.user(_PARTS), **_BARE), "/messages/0/content")
    yield build.contrast(plain, base.body({**build.user(build.GREETING), "name": "alice"}, **_BARE), "/messages/0/name")
    brief: Json = {"role": "system", "content": "Be brief."}
    developer = "developer" in base.dialect.words("role")
    if developer:
        yield build.single(base.body({**brief, "role": "developer"}, build.GREETING, **_BARE))
    if base.effort < Effort.STANDARD:
        return
    for role in ("system", "developer") if developer else ("system",):
        message = {"role": role, "content": [{"type": "text", "text": "Be brief."}]}
        yield build.single(base.body(message, build.GREETING, **_BARE))
    answer: Json = {"role": "assistant", "content": "Hello."}
    yield build.single(base.body(brief, build.GREETING, answer, "Say it again.", **_BARE))
    parts = {**answer, "content": [{"type": "text", "text": "Hello."}]}
    yield build.single(base.body(build.GREETING, parts, "Say it again.", **_BARE))
    split = [{"type": "text", "text": "Repeat exactly: "}, {"type": "text", "text": build.UNICODE}]
    yield build.single(base.body(build.user(split)))


def _bad(base: Base) -> Iterator[tuple[Json, str]]:
    """(first message, the place that is wrong)."""
    hello = build.user(build.GREETING)
    yield {**hello, "role": "robot"}, "/messages/0/role"
    yield {"role": "user"}, "/messages/0/content"
    yield {**hello, "content": None}, "/messages/0/content"
    yield {"content": build.GREETING}, "/messages/0/role"
    yield {**hello, "role": 1}, "/messages/0/role"
    yield {**hello, "content": 5}, "/messages/0/content"
    yield {**hello, "content": []}, "/messages/0/content"
    yield {**hello, "content": [{"type": "bogus"}]}, "/messages/0/content"
    yield {**hello, "content": [{"type": "text"}]}, "/messages/0/content"
    yield {**hello, "content": {"text": "hi"}}, "/messages/0/content"
    yield {**hello, "name": 5}, "/messages/0/name"
    yield {**hello, "content": [{"type": "image_url", "image_url": {"url": "not a url"}}]}, "/messages/0/content"
    yield "hello", "/messages/0"
    yield None, "/messages/0"
    yield {}, "/messages/0"


def _table(base: Base) -> Iterator[Group]:
    yield from _good(base)
    plain = build.bare(base)
    for message, about in _bad(base):
        yield build.contrast(plain, {**plain, "messages": [message]}, about, refused=True)
    turns = base.body(build.GREETING, {"role": "assistant", "content": "Hello."}, "Say it again.", **_BARE)
    silent = base.body(build.GREETING, {"role": "assistant", "content": None}, "Say it again.", **_BARE)
    absent = base.body(build.GREETING, {"role": "assistant"}, "Say it again.", **_BARE)
    if base.effort < Effort.STANDARD:
        yield build.single(silent, free=True)
    else:
        yield build.contrast(turns, silent, "/messages/1/content", refused=True)
        yield build.contrast(turns, absent, "/messages/1/content", refused=True)
    most = base.dialect.limit("messages.max")
    if isinstance(most, int):
        full: list[Json] = ["Hi."] * most
        over = base.body(*full, "Hi.", **_BARE)
        if base.effort < Effort.STANDARD:
            yield build.single(over, free=True)
        else:
            yield build.contrast(base.body(*full, **_BARE), over, "/messages", refused=True)


register(
    Probe(
        "messages",
        "requests",
        ("requests", "errors"),
        table=_table,
        summary="Roles and contents of messages, right and wrong.",
    )
)
