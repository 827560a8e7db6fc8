"""Roles and contents of messages: every documented form, and every missing or mistyped part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire.strict_json import Json

_BARE: dict[str, Any] = {"limit": 32, "temperature": ..., "seed": ...}
"""As the control has it."""
_PARTS: Json = [{"type": "text", "text": build.GREETING}]


def _good(base: Base) -> Iterator[Group]:
    plain = build.bare(base)
    yield build.contrast(plain, base.body(build.user(_PARTS), **_BARE), "/messages/0/content")
    if base.effort < Effort.STANDARD:
        return
    brief: Json = {"role": "system", "content": "Be brief."}
    roles = [brief, {**brief, "role": "developer"}] if "developer" in base.dialect.words("role") else [brief]
    for message in roles:
        yield build.single(base.body(message, build.GREETING, **_BARE))
        yield build.single(
            base.body({**message, "content": [{"type": "text", "text": "Be brief."}]}, build.GREETING, **_BARE)
        )
    answer: Json = {"role": "assistant", "content": "Hello."}
    yield build.single(base.body(build.GREETING, answer, "Say it again."))
    yield build.single(
        base.body(build.GREETING, {**answer, "content": [{"type": "text", "text": "Hello."}]}, "Say it again.")
    )
    yield build.contrast(plain, base.body({**build.user(build.GREETING), "name": "alice"}, **_BARE), "/messages/0/name")
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
    bad = list(_bad(base))
    for message, about in bad[: 3 if base.effort < Effort.STANDARD else len(bad)]:
        yield build.contrast(plain, {**plain, "messages": [message]}, about, refused=True)
    if base.effort < Effort.STANDARD:
        return
    turns = base.body(build.GREETING, {"role": "assistant", "content": "Hello."}, "Say it again.")
    silent = base.body(build.GREETING, {"role": "assistant", "content": None}, "Say it again.")
    yield build.contrast(turns, silent, "/messages/1/content", refused=True)
    absent = base.body(build.GREETING, {"role": "assistant"}, "Say it again.")
    yield build.contrast(turns, absent, "/messages/1/content", refused=True)
    most = base.dialect.limit("messages.max")
    if isinstance(most, int):
        full: list[Json] = ["Hi."] * most
        yield build.single(base.body(*full, limit=16))
        yield build.contrast(base.body(*full, limit=16), base.body(*full, "Hi.", limit=16), "/messages", refused=True)


register(
    Probe(
        "messages",
        "requests",
        ("requests", "errors"),
        table=_table,
        summary="Roles and contents of messages, right and wrong.",
    )
)
