"""Fixtures in YAML: documented examples and recorded exchanges, to be sent to endpoints and judged as they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from conformance.sources.files import SourceError
from conformance.wire import strict_json
from conformance.wire.exchange import End, Exchange, Facet, Request
from conformance.wire.strict_json import Json

PLACEHOLDER = "${model}"
"""Stands for the model's name in a request."""


@dataclass(frozen=True)
class Fixture:
    """One exchange of a file. `answer` is the response's part of the file, None where only the request is known.

    `expect` says by dialect whether the request is `accepted` or `refused`; `violates` are the ids of requirements
    that the recorded answer breaks; `needs` are capabilities; fixtures with one `conversation` follow each other.
    """

    name: str
    source: str
    place: str
    kind: str
    model: str
    method: str
    path: str
    body: Json
    answer: Mapping[str, Any] | None = None
    needs: frozenset[str] = frozenset()
    expect: Mapping[str, str] = field(default_factory=dict)
    violates: tuple[str, ...] = ()
    conversation: str | None = None

    def expectation(self, lineage: tuple[str, ...]) -> str | None:
        """`accepted` or `refused` in the nearest dialect of a lineage; None where the fixture does not say."""
        return next((self.expect[name] for name in lineage if name in self.expect), None)

    def request(self, model: str) -> Request:
        """The request for a model."""
        body = None if self.body is None else strict_json.dump(_filled(self.body, model))
        return Request(self.method, _filled(self.path, model), (), body)

    def exchange(self, number: int = 1) -> Exchange | None:
        """The whole exchange as the source shows it, with the facets that it tells; None without an answer."""
        answer = self.answer
        if answer is None:
            return None
        streamed = "stream" in answer
        body = answer["stream"].encode() if streamed else strict_json.dump(_filled(answer.get("body"), self.model))
        kind = "text/event-stream" if streamed else "application/json"
        return Exchange(
            id=f"f{number}",
            request=self.request(self.model),
            status=answer.get("status", 200),
            headers=tuple((answer.get("headers") or {"content-type": kind}).items()),
            body=body,
            end=End.COMPLETE,
            facets=frozenset(Facet(name) for name in answer["facets"]),
            altered=frozenset(answer.get("altered", ())),
        )


def _filled(value: Json, model: str) -> Json:
    """The value with the placeholder replaced in every string."""
    if isinstance(value, str):
        return value.replace(PLACEHOLDER, model)
    if isinstance(value, list):
        return [_filled(item, model) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, model) for key, item in value.items()}
    return value


def schema() -> dict[str, Any]:
    """The JSON Schema of a fixture file."""
    found: dict[str, Any] = json.loads((files("conformance.sources") / "fixtures.schema.json").read_text("utf-8"))
    return found


def builtin() -> Path:
    """The directory of the shipped fixtures: inside the package where it is installed, else beside it."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "fixtures"
    return installed if installed.is_dir() else package.parent / "fixtures"


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the fixtures {path}: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise SourceError(f"{path}{where}: this is no readable YAML") from error
    for broken in jsonschema_rs.validator_for(schema()).iter_errors(data):
        place = "/".join(map(str, broken.instance_path)) or "top level"
        raise SourceError(f"{path}: {place}: {broken.message}")
    checked: dict[str, Any] = data
    return checked


def read(path: Path) -> Iterator[Fixture]:
    """The fixtures of one file, in its order. Raises SourceError with one sentence for the user."""
    data = _read(path)
    for row in data["fixtures"]:
        answer = row.get("response")
        unknown = set(answer["facets"] if answer else ()) - {facet.value for facet in Facet}
        if unknown:
            raise SourceError(f"{path}: {row['name']}: no facet is called {min(unknown)!r}")
        request = row["request"]
        yield Fixture(
            row["name"],
            data["source"],
            row["place"],
            row["kind"],
            data.get("model", "example"),
            request.get("method", "POST"),
            request.get("path", "/chat/completions"),
            request.get("body"),
            answer,
            frozenset(row.get("needs", ())),
            row.get("expect", {}),
            tuple(row.get("violates", ())),
            row.get("conversation"),
        )


def read_all(directory: Path) -> list[Fixture]:
    """The fixtures of every YAML file below a directory, by path. Raises SourceError where there is no directory."""
    if not directory.is_dir():
        raise SourceError(f"there is no directory {directory} with fixtures")
    paths = sorted(path for path in directory.rglob("*") if path.suffix in (".yaml", ".yml") and path.is_file())
    return [fixture for path in paths for fixture in read(path)]
