"""The transport's own: unreadable bodies, content types, escapes, nulls, unknown fields and routes."""

from __future__ import annotations

import json
from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire import strict_json
from conformance.wire.exchange import Request
from conformance.wire.strict_json import Json

_NO_OBJECTS: tuple[bytes, ...] = (b"[]", b"null", b'"x"', b"1", b"true")


def _unreadable(good: bytes) -> Iterator[bytes]:
    """Bodies that are no JSON, the most usual mistakes first."""
    yield b'{"model":'
    yield b""
    yield good[:-1] + b",}"
    yield good.replace(b'"', b"'")
    yield b"hello"
    yield good[:-1] + b',"top_p":NaN}'
    yield good + good
    yield good.replace(b"hello", b"h\xffllo")
    yield b"[" * 3000


def _refused(base: Base) -> Iterator[Group]:
    control = build.post(build.bare(base))
    good = control.body or b""
    few = base.effort < Effort.STANDARD
    broken = list(_unreadable(good))
    for body in [*broken[: 3 if few else len(broken)], *_NO_OBJECTS[: 2 if few else len(_NO_OBJECTS)]]:
        yield build.contrasted(control, build.raw(body), "", refused=True)


def _content_types(base: Base) -> Iterator[Group]:
    """Declared with a parameter, as something else, and (an empty value) not at all."""
    control = build.post(build.bare(base))
    yield build.contrasted(
        control, build.raw(control.body or b"", (("content-type", "application/json; charset=utf-8"),)), "content-type"
    )
    for value in ("text/plain", "multipart/form-data", "")[: 1 if base.effort < Effort.STANDARD else 3]:
        headers = (("content-type", value),)
        yield build.contrasted(control, build.raw(control.body or b"", headers), "content-type", refused=True)


def _escapes(base: Base) -> Iterator[Group]:
    """The same text raw and as escapes, surrogate pairs included; and half a pair."""
    body = base.body(f"Repeat exactly: {build.UNICODE}")
    escaped = json.dumps(body, separators=(",", ":")).encode("ascii")
    yield build.contrasted(build.post(body), build.raw(escaped), "")
    lone = base.body("Repeat exactly: a \ud83d b", limit=32)
    yield build.single(lone)
    if base.effort < Effort.STANDARD:
        return
    pretty = json.dumps(body, indent=2, ensure_ascii=False).encode()
    yield build.contrasted(build.post(body), build.raw(b" \r\n\t" + pretty + b"\n"), "")
    yield build.contrasted(build.post(body), build.raw(strict_json.dump(dict(reversed(body.items())))), "")
    yield build.single(base.body("Repeat exactly: a \u0000 b", limit=32))
    if "streaming" in base.capabilities:
        yield build.single(build.streamed(lone))


def _nulls(base: Base) -> Iterator[Group]:
    """Null for a nullable field equals leaving it out: one by one, and all at once."""
    body = build.bare(base)
    fields = ["stream", "stop", "n", "temperature", "top_p", "seed", "logit_bias", "presence_penalty"]
    fields += ["frequency_penalty", "stream_options"]
    yield build.contrast(body, {**body, **dict.fromkeys(fields)}, "")
    for field in fields[: {Effort.QUICK: 0, Effort.STANDARD: 4}.get(base.effort, len(fields))]:
        yield build.set_at(body, field, None)


def _unknown(base: Base) -> Iterator[Group]:
    """A field that no document knows."""
    body = build.bare(base)
    yield build.set_at(body, "zzz_unknown", 1)
    if base.effort < Effort.STANDARD:
        return
    message: dict[str, Json] = {**build.user(build.GREETING), "zzz_unknown": 1}
    yield build.contrast(body, {**body, "messages": [message]}, "/messages/0/zzz_unknown")


def _routes(base: Base) -> Iterator[Group]:
    """Routes and methods that do not exist."""
    body = strict_json.dump(build.bare(base))
    routes = (
        Request("GET", "/zzz-no-such-route"),
        Request("PUT", "/chat/completions", (), body),
        Request("POST", "/chat/zzz-no-such-route", (), body),
        Request("PATCH", "/chat/completions", (), body),
        Request("DELETE", "/models"),
        Request("POST", "/models", (), b"{}"),
    )
    for request in routes[: 2 if base.effort < Effort.STANDARD else len(routes)]:
        yield build.alone(request, free=True)


def _table(base: Base) -> Iterator[Group]:
    yield from _refused(base)
    yield from _content_types(base)
    yield from _escapes(base)
    yield from _nulls(base)
    yield from _unknown(base)
    yield from _routes(base)


register(
    Probe(
        "bodies",
        "transport",
        ("transport", "errors"),
        table=_table,
        summary="Unreadable bodies, content types, escapes, nulls, unknown fields, unknown routes.",
    )
)
