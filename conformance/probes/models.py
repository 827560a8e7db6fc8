"""The models list, single models, and models that do not exist or are of another kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register

_OTHER = re.compile("embed|rerank|whisper|tts|dall-e|moderation", re.IGNORECASE)
"""Names of models that answer no chat."""
_UNKNOWN = "zzz-no-such-model-4f1c"


def _table(base: Base) -> Iterator[Group]:
    yield build.alone(build.get("/models"), free=True)
    yield build.alone(build.get(f"/models/{quote(base.model, safe='')}"), free=True)
    yield build.alone(build.get(f"/models/{_UNKNOWN}"), free=True)
    yield build.set_at(build.bare(base), "model", _UNKNOWN, refused=True)
    if base.effort < Effort.STANDARD:
        return
    yield build.alone(build.get("/models/zzz%2Fno-such:model"), free=True)
    body = build.bare(base)
    yield build.set_at(body, "model", "m" * 129, refused=True)
    if "streaming" in base.capabilities:
        yield build.set_at(build.streamed(body), "model", _UNKNOWN, refused=True)
    others = [row for row in base.facts.models or () if isinstance(row.get("id"), str) and row["id"] != base.model]
    for row in others[:4]:
        yield build.alone(build.get(f"/models/{quote(row['id'], safe='')}"), free=True)
    for row in [row for row in others if build.kind_of(row) not in (None, "chat") or _OTHER.search(row["id"])][:2]:
        yield build.set_at(body, "model", row["id"], refused=True)


register(
    Probe(
        "models",
        "models",
        ("models", "requests", "errors"),
        table=_table,
        needs=frozenset({"models"}),
        summary="The models list, one model, and models that do not exist.",
    )
)
