"""YAML files that users write: every problem is one sentence with file, line and what may have been meant.

No value is ever repeated in a sentence: a file may hold a header's value, or a key that does not belong there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from conformance.verdict.selection import suggestion

MOST_BYTES = 1 << 20
_Path = tuple[str | int, ...]


class FileProblem(ValueError):
    """A file that cannot be used; the message is one sentence for the user."""


class _Loader(yaml.SafeLoader):
    """YAML whose days stay text and whose only booleans are true and false, as in YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in found
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge")
    ]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])

_KINDS = {
    "object": "keys with values",
    "array": "a list",
    "string": "text, in quotes if need be",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


@dataclass(frozen=True)
class Document:
    """What a file says. `lines` maps a path of keys and indices to the line where it begins, from 1."""

    name: str
    value: Any
    lines: dict[_Path, int]

    def problem(self, path: _Path, text: str) -> FileProblem:
        """A problem at a place of this file."""
        while path and path not in self.lines:
            path = path[:-1]
        return FileProblem(f"{self.name}, line {self.lines.get(path, 1)}: {text}")


def schema(name: str) -> dict[str, Any]:
    """A shipped JSON Schema, by its file's first name."""
    found: dict[str, Any] = json.loads((files("conformance.suite") / f"schemas/{name}.schema.json").read_text("utf-8"))
    return found


def _walk(node: yaml.Node, path: _Path, seen: set[int], name: str) -> Iterator[tuple[_Path, int]]:
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise FileProblem(f"{name}, line {line}: anchors and aliases are not understood here: write it out")
    seen.add(id(node))
    yield path, line
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _walk(item, (*path, number), seen, name)
    elif isinstance(node, yaml.MappingNode):
        known: set[str] = set()
        for key, value in node.value:
            at = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise FileProblem(f"{name}, line {at}: every key has to be text, in quotes if need be")
            if key.value in known:
                raise FileProblem(f"{name}, line {at}: {_key(key.value)} stands twice")
            known.add(key.value)
            for found, where in _walk(value, (*path, key.value), seen, name):
                yield found, at if found == (*path, key.value) else where


def parse(text: str, name: str) -> Document:
    """The document of a text. Raises FileProblem."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Document(name, None, {})
        lines = dict(_walk(node, (), set(), name))
        return Document(name, loader.construct_document(node), lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise FileProblem(f"{name}{where}: this is no readable YAML") from error
    except RecursionError as error:
        raise FileProblem(f"{name}: this is nested too deeply") from error
    except ValueError as error:
        if isinstance(error, FileProblem):
            raise
        raise FileProblem(f"{name}: a value of this file cannot be read") from error


def read(path: Path) -> Document:
    """The document of a file. Raises FileProblem."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise FileProblem(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileProblem(f"cannot read {path}: it is not UTF-8") from error
    if len(data) > MOST_BYTES:
        raise FileProblem(f"cannot read {path}: it is larger than {MOST_BYTES >> 20} MiB")
    return parse(text, str(path))


def _key(name: str) -> str:
    """A key as it is told: what is no plausible name may be a secret in the wrong place."""
    return repr(name) if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,30}", name) else "a key"


def _unknown(error: Any, path: _Path) -> tuple[_Path, str]:
    known = list(error.schema.get("properties", {}))
    name = next(key for key in error.instance if key not in known)
    return (*path, name), f"there is nothing called {_key(name)} here{suggestion(name.replace('_', '-'), known)}"


def _sentence(error: Any) -> tuple[_Path, str]:
    """Where a value breaks the schema, and how, without the value."""
    path: _Path = tuple(error.absolute_path)
    keyword, wanted = str(error.validator), error.validator_value
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "the file")
    hint = error.schema.get("description", "")
    if keyword == "additionalProperties":
        return _unknown(error, path)
    if keyword == "required":
        missing = next(key for key in wanted if key not in error.instance)
        return path, f"{missing} is missing"
    if keyword == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return path, f"{name} has to be {' or '.join(_KINDS[kind] for kind in kinds if kind in _KINDS)}"
    if keyword == "enum":
        given = error.instance if isinstance(error.instance, str) else ""
        return path, f"{name} has to be one of {', '.join(map(str, wanted))}{suggestion(given, wanted)}"
    if keyword in ("minLength", "minItems") or (keyword == "pattern" and not str(error.instance).strip()):
        return path, f"{name} is empty: fill it in" + (f" ({_lower(hint)})" if hint else "")
    return path, f"{name} does not fit" + (f": {_lower(hint)}" if hint else "")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def check(document: Document, against: dict[str, Any]) -> None:
    """Raise FileProblem for the first place that breaks a schema."""
    import jsonschema

    found = list(jsonschema.Draft202012Validator(against).iter_errors(document.value))
    if found:
        # A name that is misspelt explains the one that is missing.
        first = min(found, key=lambda error: (error.validator != "additionalProperties", error.validator == "required"))
        raise document.problem(*_sentence(first))
