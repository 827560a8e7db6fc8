"""The options of a run: one table, from which the command line and the pytest plugin make theirs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from conformance.dialects.loader import load as load_dialect
from conformance.suite import baseline_file, waivers_file
from conformance.suite.yaml_file import FileProblem
from conformance.verdict.baseline import Baseline
from conformance.verdict.waivers import Waiver
from conformance.wire.exchange import Headers
from conformance.wire.redaction import CREDENTIAL_HEADERS


class UsageProblem(ValueError):
    """An option that cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Option:
    """One option. `pytest` is its name there where pytest has taken the plain one."""

    name: str
    help: str
    kind: Literal["text", "whole", "seconds", "choice", "flag"] = "text"
    metavar: str = "TEXT"
    default: Any = None
    choices: tuple[str, ...] = ()
    many: bool = False
    pytest: str = ""

    @property
    def key(self) -> str:
        """The attribute's name."""
        return self.name.lstrip("-").replace("-", "_")

    @property
    def pytest_name(self) -> str:
        """The option's name under pytest."""
        return self.pytest or self.name


OPTIONS = (
    Option(
        "--base-url",
        "Endpoint, path prefix included. Default $OPENAI_BASE_URL; with neither, the embedded endpoint.",
        metavar="URL",
    ),
    Option("--model", "Default $OPENAI_MODEL, else the first listed model that completes.", metavar="NAME"),
    Option("--api-key-env", "Name of the variable that holds the key.", metavar="VAR", default="OPENAI_API_KEY"),
    Option(
        "--second-api-key-env",
        "Name of the variable that holds the key of another project, which must see nothing stored.",
        metavar="VAR",
    ),
    Option("--header", "One more request header; its value is a secret in output.", metavar="'Name: value'", many=True),
    Option("--header-env", "The same, with the value from the environment.", metavar="'Name=VAR'", many=True),
    Option(
        "--dialect", "openai, xerotier, aurous, or a YAML file extending one.", metavar="NAME|FILE", default="openai"
    ),
    Option("--without", "Leave out a capability, an area or a requirement, by name.", metavar="NAME", many=True),
    Option("--probe", "Only this source of requests.", metavar="NAME", many=True),
    Option("--fixtures", "Also send the recorded requests of a directory.", metavar="DIR", pytest="--fixtures-dir"),
    Option("--canary-url", "Where the endpoint can reach this machine: listens at that port.", metavar="URL"),
    Option(
        "--effort",
        "At most 100, at most 550, or as many generating requests as help.",
        "choice",
        choices=("quick", "standard", "thorough"),
        default="standard",
    ),
    Option("--plan", "Print what would be sent, and send nothing.", "flag"),
    Option("--concurrency", "Requests in flight.", "whole", "N", 8),
    Option("--rate", "Requests per second, at most.", metavar="N/s"),
    Option("--max-requests", "Requests in all, at most.", "whole", "N"),
    Option("--max-tokens-total", "Tokens in all, at most.", "whole", "N"),
    Option("--connect-timeout", "Seconds until connected.", "seconds", "S", 10.0),
    Option("--first-byte-timeout", "Seconds until an answer begins.", "seconds", "S", 60.0),
    Option("--idle-timeout", "Seconds between two pieces of an answer.", "seconds", "S", 30.0),
    Option("--total-timeout", "Seconds for a whole answer.", "seconds", "S", 180.0),
    Option("--seed", "Of all draws; printed and reported.", "whole", "N", 0),
    Option("--fail-on", "What fails a run.", "choice", choices=("must", "should"), default="must"),
    Option("--plant", "Leave a tagged stored completion behind, for `conformance revisit`.", "flag"),
    Option("--require-all", "Every unexercised requirement makes the run incomplete.", "flag"),
    Option("--baseline", "An earlier report: only what is new fails the run.", metavar="REPORT.json"),
    Option("--waivers", "Known violations: requirement, reason, owner, last day.", metavar="FILE"),
    Option("--report", "Default reports/<host>-<model>-<UTC time>/.", metavar="DIR"),
    Option(
        "--format", "Of json, junit, markdown and github, by commas.", metavar="NAMES", default="json,junit,markdown"
    ),
    Option("--fault", "Break the embedded endpoint by name.", metavar="NAME", many=True),
    Option("--vary", "Vary the embedded endpoint legally, by name.", metavar="NAME", many=True),
    Option(
        "--model-mind",
        "How the embedded endpoint's model behaves.",
        "choice",
        choices=("obedient", "refusing", "random", "chatty"),
    ),
    Option(
        "--config",
        "A conformance.yaml: any of these, and several targets.",
        metavar="FILE",
        pytest="--conformance-config",
    ),
    Option("--target", "Only this target of the configuration.", metavar="NAME", many=True),
    Option("--no-progress", "Tell nothing while requests are under way.", "flag"),
)

FORMATS = ("json", "junit", "markdown", "github")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\x20-\x7e\t]*\Z")


@dataclass(frozen=True)
class Options:
    """A run's options, read and checked. `headers` are the user's own with their values: secret."""

    selectors: tuple[str, ...] = ()
    base_url: str | None = None
    model: str | None = None
    key: str | None = field(default=None, repr=False)
    key_variable: str = "OPENAI_API_KEY"
    second_key: str | None = field(default=None, repr=False)
    plant: bool = False
    headers: Headers = field(default=(), repr=False)
    header_variables: Mapping[str, str] = field(default_factory=dict)
    """Header name to the variable that a shown command reads its value from."""
    dialect: str = "openai"
    without: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    fixtures: Path | None = None
    canary_url: str | None = None
    effort: str = "standard"
    plan: bool = False
    concurrency: int = 8
    rate: float | None = None
    max_requests: int | None = None
    max_tokens_total: int | None = None
    timeouts: tuple[float, float, float, float] = (10.0, 60.0, 30.0, 180.0)
    seed: int = 0
    fail_on: str = "must"
    require_all: bool = False
    waivers: tuple[Waiver, ...] = ()
    baseline: Baseline | None = None
    report: Path | None = None
    formats: tuple[str, ...] = ("json", "junit", "markdown")
    faults: tuple[str, ...] = ()
    variations: tuple[str, ...] = ()
    mind: str | None = None
    progress: bool = True

    @property
    def embedded(self) -> bool:
        """No endpoint was named: the embedded one is certified."""
        return self.base_url is None

    def configuration(self) -> dict[str, Any]:
        """What the report and the evidence say of the options: no key, and of headers only the names."""
        return {
            "selectors": list(self.selectors),
            "dialect": self.dialect,
            "without": list(self.without),
            "probes": list(self.probes),
            "fixtures": self.fixtures.name if self.fixtures is not None else None,
            "canary": self.canary_url is not None,
            "effort": self.effort,
            "concurrency": self.concurrency,
            "rate": self.rate,
            "max_requests": self.max_requests,
            "max_tokens_total": self.max_tokens_total,
            "timeouts": dict(zip(("connect", "first_byte", "idle", "total"), self.timeouts, strict=True)),
            "seed": self.seed,
            "fail_on": self.fail_on,
            "require_all": self.require_all,
            "waivers": [waivers_file.as_values(waiver) for waiver in self.waivers],
            "baseline": baseline_file.as_values(self.baseline) if self.baseline is not None else None,
            "headers": [name for name, _ in self.headers],
            "key": self.key is not None,
            "embedded": self.embedded,
            "second_key": self.second_key is not None,
            "plant": self.plant,
            "faults": list(self.faults),
            "variations": list(self.variations),
            "mind": self.mind,
        }


def _checked(name: str, value: str, option: str) -> tuple[str, str]:
    if not _TOKEN.match(name):
        raise UsageProblem(f"{option}: {name!r} is no header name")
    if name.lower() in CREDENTIAL_HEADERS:
        raise UsageProblem(
            f"{option}: {name} carries a credential: put the key into a variable and name it with --api-key-env"
        )
    if not _VALUE.match(value):
        raise UsageProblem(f"{option}: the value of {name} holds characters that no header may hold")
    return name, value


def headers(given: tuple[str, ...], from_env: tuple[str, ...], environ: Mapping[str, str]) -> Headers:
    """The user's own headers, with values. Raises UsageProblem."""
    made = []
    for text in given:
        name, colon, value = text.partition(":")
        if not colon:
            raise UsageProblem("--header: write 'Name: value'")
        made.append(_checked(name.strip(), value.strip(), "--header"))
    for text in from_env:
        name, equals, variable = text.partition("=")
        if not equals:
            raise UsageProblem("--header-env: write 'Name=VAR'")
        if variable not in environ:
            raise UsageProblem(f"--header-env: the variable {variable} is not set")
        made.append(_checked(name.strip(), environ[variable].strip(), "--header-env"))
    return tuple(made)


def _variables(given: tuple[str, ...], from_env: tuple[str, ...]) -> dict[str, str]:
    """A variable for each header of the user's own, so that commands can be shown without values."""
    names = [text.partition(":")[0].strip() for text in given]
    made = {name: re.sub(r"\W", "_", name.upper()) for name in names}
    return made | {text.partition("=")[0].strip(): text.partition("=")[2] for text in from_env}


def address(text: str) -> str:
    """A base URL without its last slash. Raises UsageProblem where it is none."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise UsageProblem(f"--base-url: {text!r} is no http or https URL")
    if parts.username or parts.password:
        raise UsageProblem("--base-url: credentials do not belong into a URL: name a variable with --api-key-env")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise UsageProblem("--base-url: leave /chat/completions out: it is added to the base URL")
    return text.rstrip("/")


def rate(text: str | None) -> float | None:
    """`5`, `5/s` or `0.5/s` as a number per second. Raises UsageProblem."""
    if text is None:
        return None
    try:
        found = float(str(text).removesuffix("/s"))
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise UsageProblem(f"--rate: {text!r} is no number of requests per second, such as 5/s")
    return found


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in FORMATS:
            raise UsageProblem(f"--format: there is no format {name!r}: choose of {', '.join(FORMATS)}")
    return names


def _positive(values: Mapping[str, Any]) -> None:
    for option in OPTIONS:
        value = values[option.key]
        if option.kind in ("whole", "seconds") and option.key != "seed" and value is not None and not value > 0:
            raise UsageProblem(f"{option.name}: {value} is not above 0")


def _key(name: str, environ: Mapping[str, str], option: str = "--api-key-env") -> str | None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageProblem(f"{option} takes the name of a variable, and this is none: a key is never an argument")
    value = environ.get(name, "").strip()
    if not value and name != "OPENAI_API_KEY":
        raise UsageProblem(f"{option}: the variable {name} is not set")
    if value and not (value.isascii() and value.isprintable() and " " not in value):
        raise UsageProblem(f"the key in {name} holds characters that no header may hold")
    return value or None


def _second_key(name: str | None, first: str | None, environ: Mapping[str, str]) -> str | None:
    option = "--second-api-key-env"
    found = _key(name, environ, option) if name else None
    if found is not None and found == first:
        raise UsageProblem(f"{option}: this is the first key again: name one of another project")
    return found


def _waivers(name: str | None) -> tuple[Waiver, ...]:
    try:
        return waivers_file.load(Path(name)) if name else ()
    except FileProblem as problem:
        raise UsageProblem(f"--waivers: {problem}") from problem


def _baseline(name: str | None, dialect: str) -> Baseline | None:
    try:
        return baseline_file.load(Path(name), load_dialect(dialect).name) if name else None
    except ValueError as problem:
        raise UsageProblem(f"--baseline: {problem}") from problem


def read(
    values: Mapping[str, Any], selectors: tuple[str, ...] = (), environ: Mapping[str, str] | None = None
) -> Options:
    """Check raw values, keyed as `Option.key`. Raises UsageProblem with one sentence.

    Without an endpoint the key of the environment is not looked at: the embedded endpoint has a made-up one.
    """
    env = os.environ if environ is None else environ
    _positive(values)
    base_url = values["base_url"] or env.get("OPENAI_BASE_URL") or None
    if base_url is not None:
        base_url = address(base_url)
        for name in ("fault", "vary", "model_mind"):
            if values[name]:
                raise UsageProblem(f"--{name.replace('_', '-')} is for the embedded endpoint: leave --base-url out")
    fixtures = Path(values["fixtures"]) if values["fixtures"] else None
    if fixtures is not None and not fixtures.is_dir():
        raise UsageProblem(f"--fixtures: there is no directory {fixtures}")
    report = Path(values["report"]) if values["report"] else None
    if report is not None and report.exists() and (not report.is_dir() or any(report.iterdir())):
        raise UsageProblem(f"--report: {report} is there already and not empty")
    key = _key(values["api_key_env"], env) if base_url is not None else None
    return Options(
        selectors=selectors,
        base_url=base_url,
        model=values["model"] or (env.get("OPENAI_MODEL") if base_url is not None else None) or None,
        key_variable=values["api_key_env"],
        key=key,
        second_key=_second_key(values.get("second_api_key_env"), key, env) if base_url is not None else None,
        plant=bool(values.get("plant")),
        headers=headers(tuple(values["header"]), tuple(values["header_env"]), env),
        header_variables=_variables(tuple(values["header"]), tuple(values["header_env"])),
        dialect=values["dialect"],
        without=tuple(values["without"]),
        probes=tuple(values["probe"]),
        fixtures=fixtures,
        canary_url=values["canary_url"],
        effort=values["effort"],
        plan=bool(values["plan"]),
        concurrency=values["concurrency"],
        rate=rate(values["rate"]),
        max_requests=values["max_requests"],
        max_tokens_total=values["max_tokens_total"],
        timeouts=(
            values["connect_timeout"],
            values["first_byte_timeout"],
            values["idle_timeout"],
            values["total_timeout"],
        ),
        seed=values["seed"],
        fail_on=values["fail_on"],
        require_all=bool(values["require_all"]),
        waivers=_waivers(values["waivers"]),
        baseline=_baseline(values["baseline"], values["dialect"]),
        report=report,
        formats=_formats(values["format"]),
        faults=tuple(values["fault"]),
        variations=tuple(values["vary"]),
        mind=values["model_mind"],
        progress=not values["no_progress"],
    )


def report_directory(options: Options, base_url: str, model: str | None, now: float) -> Path:
    """Where the report goes: as named, or `reports/<host>-<model>-<UTC time>`; `now` is Unix time."""
    if options.report is not None:
        return options.report
    host = "embedded" if options.embedded else urlsplit(base_url).netloc.rpartition("@")[2]
    name = f"{host}-{model or 'no-model'}-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    path = Path("reports") / re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    number = 2
    while path.exists():
        path = path.with_name(f"{re.sub(r'_[0-9]+$', '', path.name)}_{number}")
        number += 1
    return path
