"""`conformance.yaml`: the options of a run, and several targets. Flags go before environment, environment before it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.suite.options import OPTIONS, Options, UsageProblem
from conformance.suite.options import read as read_options
from conformance.suite.yaml_file import Document, FileProblem, check, schema
from conformance.suite.yaml_file import read as read_yaml
from conformance.verdict.selection import suggestion

SHARED = ("concurrency", "rate", "max_requests", "max_tokens_total", "report", "plan")
"""What all targets share: one budget, one directory."""
_ENVIRONMENT = {"base_url": "OPENAI_BASE_URL", "model": "OPENAI_MODEL"}
_FILES = ("waivers", "baseline", "fixtures", "report")
_KEYS = frozenset({"api-key", "api_key", "apikey", "key", "token", "secret", "password"})
_Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Target:
    """What a file says of one run. `name` is None where it has no targets.

    `values` are keyed as `Option.key`, `places` tell where in the file each was said.
    """

    name: str | None
    values: Mapping[str, Any]
    places: Mapping[str, _Path]
    selectors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """A file that was read and checked: one target at least, with or without a name."""

    path: Path
    document: Document
    targets: tuple[Target, ...]

    def chosen(self, names: Iterable[str]) -> tuple[Target, ...]:
        """The targets of these names, or all. Raises UsageProblem."""
        wanted = list(names)
        known = [target.name for target in self.targets if target.name is not None]
        for name in wanted:
            if name not in known:
                hint = suggestion(name, known) if known else f": {self.path} has no targets"
                raise UsageProblem(f"--target: there is no target {name!r}{hint}")
        return tuple(target for target in self.targets if not wanted or target.name in wanted)


def _no_keys(document: Document, value: object, path: _Path) -> None:
    if isinstance(value, dict):
        for name in value:
            if name.lower() in _KEYS:
                text = "a key does not belong into a file: put it into a variable and name that with api-key-env"
                raise document.problem((*path, name), text)


def _values(document: Document, data: Mapping[str, Any], path: _Path) -> tuple[dict[str, Any], dict[str, _Path]]:
    """Options by their key, paths to other files relative to this one."""
    known = {option.name.removeprefix("--"): option for option in OPTIONS}
    values: dict[str, Any] = {}
    places: dict[str, _Path] = {}
    for name, value in data.items():
        option = known.get(name)
        if option is None:
            continue
        values[option.key] = tuple(value) if option.many else value
        places[option.key] = (*path, name)
    here = Path(document.name).parent
    for key in _FILES:
        if key in values:
            values[key] = str(here / values[key])
    if str(values.get("dialect", "")).endswith((".yaml", ".yml")):
        values["dialect"] = str(here / values["dialect"])
    return values, places


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "target"


def _expanded(document: Document, common: Target, number: int, data: Mapping[str, Any]) -> Iterable[Target]:
    """A target, or one for each of its models."""
    path: _Path = ("targets", number)
    values, places = _values(document, data, path)
    host = urlsplit(str(values.get("base_url", ""))).netloc.rpartition("@")[2]
    name = data.get("name") or _slug(host or f"embedded-{number + 1}")
    models = data.get("models")
    if models is not None and "model" in values:
        raise document.problem((*path, "models"), "model and models exclude each other")
    selectors = tuple(data.get("selectors", common.selectors))
    merged = {**{key: value for key, value in common.values.items() if key not in SHARED}, **values}
    shared = {key: value for key, value in common.values.items() if key in SHARED}
    for model in models or (None,):
        whole = {**merged, **shared, **({"model": model} if model is not None else {})}
        told = {**common.places, **places, **({"model": (*path, "models")} if model is not None else {})}
        yield Target(name if model is None else f"{name}-{_slug(model)}", whole, told, selectors)


def load(path: Path) -> Config:
    """A configuration. Raises FileProblem with the line and what may have been meant."""
    document = read_yaml(path)
    data = document.value if document.value is not None else {}
    _no_keys(document, data, ())
    targets = data.get("targets") if isinstance(data, dict) else None
    for number, target in enumerate(targets if isinstance(targets, list) else ()):
        _no_keys(document, target, ("targets", number))
    check(Document(document.name, data, document.lines), schema("conformance"))
    values, places = _values(document, data, ())
    common = Target(None, values, places, tuple(data.get("selectors", ())))
    if targets is None:
        return Config(path, document, (common,))
    made: dict[str, Target] = {}
    for number, target in enumerate(targets):
        for found in _expanded(document, common, number, target):
            name = found.name or ""
            if name in made:
                raise document.problem(("targets", number), f"two targets are called {name!r}: give each a name")
            made[name] = found
    return Config(path, document, tuple(made.values()))


def _settled(target: Target | None, given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Every option's value: as given, else from the environment, else of the file, else the default."""
    values: dict[str, Any] = {option.key: () if option.many else option.default for option in OPTIONS}
    if target is not None:
        beaten = {key for key, name in _ENVIRONMENT.items() if target.name is None and environ.get(name)}
        values |= {key: value for key, value in target.values.items() if key not in beaten}
    return values | dict(given)


def _located(problem: UsageProblem, config: Config, target: Target, given: Mapping[str, Any]) -> UsageProblem:
    """The problem with its line, where the file is what said it."""
    found = re.match(r"--([a-z-]+):? ?(.*)", str(problem), re.DOTALL)
    key = found[1].replace("-", "_") if found else ""
    if found is None or key in given or key not in target.places:
        return problem
    return UsageProblem(str(config.document.problem(target.places[key], f"{found[1]}: {found[2]}")))


def options(
    given: Mapping[str, Any],
    selectors: tuple[str, ...] = (),
    config: Config | None = None,
    target: Target | None = None,
    environ: Mapping[str, str] | None = None,
) -> Options:
    """The options of one run. `given` are those that the user gave as flags. Raises UsageProblem."""
    env = dict(os.environ if environ is None else environ)
    if target is None or config is None:
        return read_options(_settled(None, given, env), selectors, env)
    if target.name is not None:
        for key, name in _ENVIRONMENT.items():
            if key in given:
                raise UsageProblem(f"--{key.replace('_', '-')}: {config.path} names targets: choose one with --target")
            env.pop(name, None)
    try:
        return read_options(_settled(target, given, env), selectors or target.selectors, env)
    except UsageProblem as problem:
        raise _located(problem, config, target, given) from problem


def configuration(given: Mapping[str, Any]) -> Config | None:
    """The configuration that `--config` names, if it does. Raises UsageProblem."""
    if not given.get("config"):
        if given.get("target"):
            raise UsageProblem("--target: it chooses from a configuration: name that with --config")
        return None
    try:
        return load(Path(given["config"]))
    except FileProblem as problem:
        raise UsageProblem(f"--config: {problem}") from problem


def only_run(given: Mapping[str, Any], selectors: tuple[str, ...] = ()) -> Options:
    """The options where only one run is possible. Raises UsageProblem, also where several targets are left."""
    config = configuration(given)
    if config is None:
        return options(given, selectors)
    targets = config.chosen(given.get("target", ()))
    if len(targets) > 1:
        raise UsageProblem(f"--config: {config.path} names {len(targets)} targets: choose one with --target")
    return options(given, selectors, config, targets[0])
