"""Wrong credentials, few and last: some providers lock out who tries too often."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register
from conformance.wire import strict_json
from conformance.wire.exchange import Headers, Request

UNKNOWN_KEY = "sk-Zq7Xw2Lk9Rv4Tn6Yb1Mc8Hd3Jf5Gs0Pa2Ue4W"
"""Of the right shape, 40 characters, and nobody's."""


def _post(base: Base, credentials: Headers, *, stream: bool = False) -> Request:
    body = base.body(build.GREETING, limit=16)
    body = build.streamed(body) if stream else body
    return Request("POST", "/chat/completions", build.JSON_TYPE + credentials, strict_json.dump(body), "as_given")


def _table(base: Base) -> Iterator[Group]:
    """At most five; preflight has sent one without credentials."""
    unknown = (("authorization", f"Bearer {UNKNOWN_KEY}"),)
    yield build.alone(_post(base, unknown), free=True)
    if base.effort < Effort.STANDARD:
        return
    yield build.alone(_post(base, (("authorization", "Basic eDp5"),)), free=True)
    yield build.alone(_post(base, (("authorization", "Bearer "),)), free=True)
    if "streaming" in base.capabilities:
        yield build.alone(_post(base, unknown, stream=True), free=True)
    yield build.alone(Request("GET", "/models", unknown, None, "as_given"), free=True)


register(
    Probe(
        "auth",
        "auth",
        ("auth", "errors", "stream_errors"),
        table=_table,
        last=True,
        summary="An unknown key and malformed credentials, at most five requests.",
    )
)
