"""Read the catalogue from its YAML files, checked against the shipped JSON Schema."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs
import yaml

from conformance.catalogue.model import Area, Basis, Catalogue, Claim, Impact, Level, Requirement

_ROOT = files("conformance.catalogue")


def _read(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def schema() -> dict[str, Any]:
    """The JSON Schema of one requirements file."""
    found: dict[str, Any] = json.loads((_ROOT / "requirements.schema.json").read_text("utf-8"))
    return found


def _requirement(area: Area, row: dict[str, Any]) -> Requirement:
    return Requirement(
        id=row["id"],
        ref=row["ref"],
        area=area.name,
        capability=row.get("capability", area.capability),
        title=row["title"],
        impact=Impact(row.get("impact", "cosmetic")),
        exercise=row.get("exercise", "always"),
        claims={
            name: Claim(Level(claim["level"]), Basis(claim["basis"]), claim["source"], claim.get("quote", ""))
            for name, claim in row["dialects"].items()
        },
        requires=tuple(row.get("requires", ())),
        example=row.get("example"),
        excluded=row.get("excluded"),
        probed_by=row.get("probed_by", ""),
    )


def _files(areas: Mapping[str, Area]) -> list[tuple[str, str]]:
    """Names and texts of the requirement files in catalogue order: `<area>.yaml`, then any `<area>.<part>.yaml`."""
    places = {area: place for place, area in enumerate(areas)}
    found: list[tuple[int, str, str]] = []
    for file in (_ROOT / "requirements").iterdir():
        area = file.name.split(".", 1)[0]
        if file.name.endswith(".yaml"):
            if area not in places:
                raise ValueError(f"{file.name}: there is no area {area}")
            found.append((places[area], file.name.removesuffix(".yaml"), file.name))
    return [(name, (_ROOT / "requirements" / name).read_text("utf-8")) for _, _, name in sorted(found)]


@cache
def load() -> Catalogue:
    """The whole catalogue. Raises ValueError, naming the file and the place, where a file breaks the schema."""
    digest = hashlib.sha256()
    text = (_ROOT / "areas.yaml").read_text("utf-8")
    digest.update(text.encode())
    areas = {item["name"]: Area(**item) for item in _read(text)}
    validator = jsonschema_rs.validator_for(schema())
    requirements: dict[str, Requirement] = {}
    for name, text in _files(areas):
        area = areas[name.split(".", 1)[0]]
        digest.update(text.encode())
        data = _read(text)
        for error in validator.iter_errors(data):
            place = "/".join(map(str, error.instance_path))
            raise ValueError(f"{name}: {place}: {error.message}")
        for row in data["rows"]:
            made = _requirement(area, row)
            if made.id in requirements:
                raise ValueError(f"{name}: {made.id} stands twice")
            if made.id.split(".", 1)[0] != area.name:
                raise ValueError(f"{name}: {made.id} belongs to another area")
            requirements[made.id] = made
    unknown = {name for row in requirements.values() for name in row.requires if name not in requirements}
    if unknown:
        raise ValueError(f"requires names unknown rows: {', '.join(sorted(unknown))}")
    return Catalogue(areas, requirements, digest.hexdigest())
