"""Wrong credentials, few and last: some providers lock out who tries too often. And the other header for the key."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.probes import build
from conformance.probes.base import Base, Group, Probe, register
from conformance.wire import strict_json
from conformance.wire.exchange import Headers, Request

UNKNOWN_KEY = "sk-Zq7Xw2Lk9Rv4Tn6Yb1Mc8Hd3Jf5Gs0Pa2Ue4W"
"""Of the right shape, 40 characters, and nobody's."""


def _post(base: Base, credentials: Headers, *, stream: bool = False) -> Request:
    body = build.bare(base)
    body = build.streamed(body) if stream else body
    return Request("POST", "/chat/completions", credentials, strict_json.dump(body), "as_given")


def _wrong(base: Base) -> Iterator[Group]:
    """Five, the unknown key with a stream; preflight has sent a valid unstreamed request without credentials."""
    streams = "streaming" in base.capabilities
    yield build.alone(_post(base, (("authorization", f"Bearer {UNKNOWN_KEY}"),), stream=streams), free=True)
    yield build.alone(Request("POST", "/chat/completions", (), b"{}", "none"), free=True)
    yield build.alone(_post(base, (("authorization", "Basic eDp5"),), stream=streams), free=True)
    yield build.alone(build.get("/models", auth="none"), free=True)
    yield build.alone(_post(base, (("authorization", "Bearer"),)), free=True)


def _aliases(base: Base) -> Iterator[Group]:
    """The run's own key in every header that the dialect documents for it."""
    if "x-api-key" in (base.dialect.convention("auth.headers") or ()):
        body = build.bare(base)
        yield build.contrasted(build.post(body), build.post(body, auth="x-api-key"), "x-api-key")


register(
    Probe(
        "auth",
        "auth",
        ("auth", "errors", "stream_errors"),
        table=_wrong,
        last=True,
        summary="An unknown key, malformed credentials and none: five requests.",
    )
)
register(
    Probe(
        "auth_headers",
        "auth",
        ("auth",),
        table=_aliases,
        summary="The key in the other headers that the dialect documents.",
    )
)
