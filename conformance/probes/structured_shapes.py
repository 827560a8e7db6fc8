"""Schemas shaped like those of real applications, each with an answer that conforms and one that subtly does not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from conformance.wire.strict_json import Json


@dataclass(frozen=True)
class Shape:
    """One schema. `bad` breaks the requirement `breaks`, `why` says how; `prompt` asks for such a record."""

    name: str
    prompt: str
    schema: dict[str, Json]
    good: Json
    bad: Json
    breaks: str
    why: str


@cache
def shapes() -> tuple[Shape, ...]:
    """All of them, in the order of the file."""
    text = (files("conformance.probes") / "structured_shapes.yaml").read_text("utf-8")
    return tuple(Shape(**item) for item in yaml.safe_load(text))
