"""Read the catalogue from its YAML files, checked against the shipped JSON Schema."""

from __future__ import annotations

import hashlib
import json
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


@cache
def load() -> Catalogue:
    """The whole catalogue. Raises ValueError, naming the file and the place, where a file breaks the schema."""
    digest = hashlib.sha256()
    text = (_ROOT / "areas.yaml").read_text("utf-8")
    digest.update(text.encode())
    areas = {item["name"]: Area(**item) for item in _read(text)}
    validator = jsonschema_rs.validator_for(schema())
    requirements: dict[str, Requirement] = {}
    for area in areas.values():
        file = _ROOT / "requirements" / f"{area.name}.yaml"
        if not file.is_file():
            continue
        text = file.read_text("utf-8")
        digest.update(text.encode())
        data = _read(text)
        for error in validator.iter_errors(data):
            place = "/".join(map(str, error.instance_path))
            raise ValueError(f"{area.name}.yaml: {place}: {error.message}")
        for row in data["rows"]:
            made = _requirement(area, row)
            if made.id in requirements:
                raise ValueError(f"{area.name}.yaml: {made.id} stands twice")
            if made.id.split(".", 1)[0] != area.name:
                raise ValueError(f"{area.name}.yaml: {made.id} belongs to another area")
            requirements[made.id] = made
    unknown = {name for row in requirements.values() for name in row.requires if name not in requirements}
    if unknown:
        raise ValueError(f"requires names unknown rows: {', '.join(sorted(unknown))}")
    return Catalogue(areas, requirements, digest.hexdigest())
