"""Resolve a dialect: a built-in name or a user's YAML file, merged over what it extends."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from conformance.dialects.model import Dialect, ErrorForm, Row

_ROOT = files("conformance.dialects")


class _Loader(yaml.SafeLoader):
    """YAML whose only booleans are true and false, as in YAML 1.2: `off` is a key here."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_MERGED = ("limits", "vocabulary", "conventions", "errors", "rows")


class DialectError(ValueError):
    """A dialect that cannot be used; the message is one sentence for the user."""


def builtin_names() -> list[str]:
    """The dialects that are shipped."""
    return sorted(item.name[:-5] for item in _ROOT.iterdir() if item.name.endswith(".yaml"))


def schema() -> dict[str, Any]:
    """The JSON Schema of a dialect file."""
    found: dict[str, Any] = json.loads((_ROOT / "dialect.schema.json").read_text("utf-8"))
    return found


def _read(name: str) -> tuple[dict[str, Any], str]:
    if name in builtin_names():
        text, shown = (_ROOT / f"{name}.yaml").read_text("utf-8"), name
    else:
        path = Path(name)
        if path.suffix not in (".yaml", ".yml"):
            known = ", ".join(builtin_names())
            raise DialectError(f"no dialect is called {name!r}: choose one of {known}, or name a .yaml file")
        try:
            text, shown = path.read_text("utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise DialectError(f"cannot read the dialect file {path}: {error}") from error
    try:
        data = yaml.load(text, _Loader)  # a SafeLoader: plain values only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise DialectError(f"{shown}{where}: this is no readable YAML") from error
    try:
        problems = list(jsonschema_rs.validator_for(schema()).iter_errors(data))
    except ValueError as error:
        raise DialectError(f"{shown}: every key has to be text, in quotes if need be") from error
    for broken in problems:
        raise DialectError(f"{shown}: {'/'.join(map(str, broken.instance_path)) or 'top level'}: {broken.message}")
    return data, shown


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, **over}
    for key in _MERGED:
        if key in base or key in over:
            merged[key] = {**base.get(key, {}), **over.get(key, {})}
    merged["capabilities"] = over.get("capabilities", base.get("capabilities", []))
    return merged


def _error(kind: str, data: dict[str, Any]) -> ErrorForm:
    return ErrorForm(
        kind,
        tuple(data["status"]),
        tuple(data.get("type", ())),
        tuple(data.get("code", ())),
        data.get("param"),
        tuple(data.get("refuses", ())),
    )


def load(name: str) -> Dialect:
    """A dialect by name or by file. Raises DialectError with one sentence for the user."""
    lineage: list[str] = []
    chain: list[dict[str, Any]] = []
    current: str | None = name
    while current is not None:
        data, _ = _read(current)
        if data["name"] in lineage:
            raise DialectError(f"dialect {data['name']!r} extends itself")
        lineage.append(data["name"])
        chain.append(data)
        current = data.get("extends")
    merged: dict[str, Any] = {}
    for data in reversed(chain):
        merged = _merge(merged, data)
    digest = hashlib.sha256(json.dumps(merged, sort_keys=True).encode()).hexdigest()
    return Dialect(
        name=merged["name"],
        title=merged["title"],
        lineage=tuple(lineage),
        capabilities=frozenset(merged["capabilities"]),
        limits=merged.get("limits", {}),
        vocabulary={key: tuple(words) for key, words in merged.get("vocabulary", {}).items()},
        conventions=merged.get("conventions", {}),
        errors={kind: _error(kind, data) for kind, data in merged.get("errors", {}).items()},
        rows={key: Row(key, **data) for key, data in merged.get("rows", {}).items()},
        digest=digest,
    )
