"""The models list, single models, and models that do not exist or are of another kind."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from conformance.probes import build
from conformance.probes.base import Base, Effort, Group, Probe, register

_UNKNOWN = "zzz-no-such-model-4f1c"


def _table(base: Base) -> Iterator[Group]:
    yield build.alone(build.get("/models"), free=True)
    yield build.alone(build.get(f"/models/{quote(base.model, safe='')}"), free=True)
    yield build.alone(build.get(f"/models/{_UNKNOWN}"), free=True)
    yield build.set_at(build.plain(base), "model", _UNKNOWN, refused=True)
    if base.effort < Effort.STANDARD:
        return
    yield build.alone(build.get("/models/zzz%2Fno-such:model"), free=True)
    body = build.plain(base)
    yield build.set_at(body, "model", "m" * 129, refused=True)
    if "streaming" in base.capabilities:
        yield build.set_at(build.streamed(body), "model", _UNKNOWN, refused=True)
    others = [row["id"] for row in base.facts.models or () if isinstance(row.get("id"), str)]
    for model in [name for name in others if name != base.model][:4]:
        yield build.alone(build.get(f"/models/{quote(model, safe='')}"), free=True)
        if any(word in model.lower() for word in ("embed", "rerank", "whisper", "tts", "dall-e", "moderation")):
            yield build.set_at(body, "model", model, refused=True)


register(
    Probe(
        "models",
        "models",
        ("models", "errors"),
        table=_table,
        needs=frozenset({"models"}),
        summary="The models list, one model, and models that do not exist.",
    )
)
