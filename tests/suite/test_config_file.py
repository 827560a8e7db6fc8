"""`conformance.yaml`: what it says, what goes before it, and one sentence with a line for each problem."""

import json

import jsonschema
import pytest

from conformance.suite import config_file, yaml_file
from conformance.suite.config_file import SHARED
from conformance.suite.options import OPTIONS, UsageProblem

SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "c.yaml").write_text(text, "utf-8")
        return {"config": "c.yaml"}

    return write


def options(given, selectors=(), target=None, **environ):
    config = config_file.configuration(given)
    chosen = config.chosen([target] if target else []) if config else [None]
    assert len(chosen) == 1
    return config_file.options(given, selectors, config, chosen[0], environ)


def test_the_schema_names_every_option_and_no_other():
    schema = yaml_file.schema("conformance")
    jsonschema.Draft202012Validator.check_schema(schema)
    names = {option.name.removeprefix("--") for option in OPTIONS} - {"config", "target"}
    shared = {name.replace("_", "-") for name in SHARED}
    assert set(schema["properties"]) == names | {"targets", "selectors"}
    assert set(schema["$defs"]["target"]["properties"]) == (names - shared) | {"name", "models", "selectors"}
    for option in OPTIONS:
        if option.name.removeprefix("--") in names:
            told = schema["$defs"][option.name.removeprefix("--")]
            assert told["description"] == option.help
            assert told.get("enum") == (list(option.choices) or None)
            assert (told.get("type") == "array") is option.many


def test_flags_go_before_environment_before_file_before_defaults(written):
    text = "base-url: http://file.test/v1\nmodel: in-file\neffort: quick\nseed: 4\nheader: ['X-A: 1']\n"
    given = written(text)
    found = options(given)
    assert (found.base_url, found.model, found.effort, found.seed) == ("http://file.test/v1", "in-file", "quick", 4)
    assert found.headers == (("X-A", "1"),)
    assert found.concurrency == 8
    env = {"OPENAI_BASE_URL": "http://env.test/v1", "OPENAI_MODEL": "in-env"}
    found = options(given, **env)
    assert (found.base_url, found.model) == ("http://env.test/v1", "in-env")
    found = options(given | {"base_url": "http://flag.test/v1", "effort": "thorough", "header": ("X-B: 2",)}, **env)
    assert (found.base_url, found.effort, found.headers) == ("http://flag.test/v1", "thorough", (("X-B", "2"),))


def test_every_kind_of_option_can_stand_in_a_file(written):
    text = (
        "selectors: [sse, 'stream.*']\nrate: 5\nrequire-all: true\nfail-on: should\ntotal-timeout: 1.5\n"
        "without: [storage]\nfault: [sd-index-missing]\nformat: json\nno-progress: true\n"
    )
    found = options(written(text))
    assert found.selectors == ("sse", "stream.*")
    assert (found.rate, found.require_all, found.fail_on, found.timeouts[3]) == (5.0, True, "should", 1.5)
    assert (found.without, found.faults, found.formats, found.progress) == (
        ("storage",),
        ("sd-index-missing",),
        ("json",),
        False,
    )
    assert options(written(text), ("response",)).selectors == ("response",)
    assert options(written("")).effort == "standard"


def test_paths_are_relative_to_the_file(written, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.yaml").write_text("waivers: []\n")
    (tmp_path / "sub" / "c.yaml").write_text("waivers: w.yaml\nreport: out\n")
    found = options({"config": "sub/c.yaml"})
    assert found.report is not None
    assert found.report.as_posix() == "sub/out"


TARGETS = """\
effort: quick
concurrency: 4
targets:
  - name: staging
    base-url: http://staging.test/v1
    models: [a/b, c]
    api-key-env: STAGING
  - base-url: http://prod.test/v1
    effort: thorough
  - selectors: [sse]
"""


def test_targets_are_endpoints_by_models(written):
    config = config_file.configuration(written(TARGETS))
    assert [target.name for target in config.targets] == ["staging-a-b", "staging-c", "prod.test", "embedded-3"]
    env = {"STAGING": SECRET, "OPENAI_BASE_URL": "http://env.test/v1", "OPENAI_MODEL": "in-env"}
    found = options(written(TARGETS), target="staging-a-b", **env)
    assert (found.base_url, found.model, found.key, found.effort) == ("http://staging.test/v1", "a/b", SECRET, "quick")
    prod = options(written(TARGETS), target="prod.test", **env)
    assert (prod.base_url, prod.model, prod.effort, prod.concurrency) == ("http://prod.test/v1", None, "thorough", 4)
    embedded = options(written(TARGETS), target="embedded-3", **env)
    assert embedded.embedded
    assert embedded.selectors == ("sse",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("efort: quick\n", "line 1: there is nothing called 'efort' here: did you mean effort"),
        ("base_url: http://h/v1\n", "line 1: there is nothing called 'base_url' here: did you mean base-url"),
        ("effort: quik\n", "line 1: effort has to be one of quick, standard, thorough: did you mean quick"),
        ("seed: 1\nconcurrency: many\n", "line 2: concurrency has to be a whole number"),
        ("concurrency: 0\n", "line 1: concurrency does not fit: requests in flight"),
        ("without: storage\n", "line 1: without has to be a list"),
        ("plan: yes\n", "line 1: plan has to be true or false"),
        (f"api-key: {SECRET}\n", "line 1: a key does not belong into a file"),
        (f"targets:\n  - token: {SECRET}\n", "line 2: a key does not belong into a file"),
        (f"base-url: http://h/v1\napi-key-env: {SECRET}\n", "line 2: api-key-env: takes the name of a variable"),
        ("seed: 1\nbase-url: ftp://h\n", "line 2: base-url: 'ftp://h' is no http or https URL"),
        (f"header:\n  - 'Authorization: {SECRET}'\n", "line 1: header: Authorization carries a credential"),
        (f"header: 'X-A: {SECRET}'\n", "line 1: header has to be a list"),
        ("waivers: nowhere.yaml\n", "line 1: waivers: cannot read nowhere.yaml"),
        ("targets: []\n", "line 1: targets is empty: fill it in"),
        ("targets:\n  - concurrency: 2\n", "line 2: there is nothing called 'concurrency' here"),
        ("targets:\n  - name: a b\n", "line 2: name does not fit: by it the target is chosen"),
        ("targets:\n  - name: a\n  - name: a\n", "line 3: two targets are called 'a': give each a name"),
        ("targets:\n  - model: a\n    models: [b]\n", "line 3: model and models exclude each other"),
        ("- a\n", "line 1: the file has to be keys with values"),
        ("config: c.yaml\n", "line 1: there is nothing called 'config' here"),
    ],
)
def test_one_sentence_with_the_line_for_each_problem(written, text, said):
    with pytest.raises(UsageProblem) as problem:
        options(written(text))
    assert f"c.yaml, {said}" in str(problem.value)
    assert SECRET not in str(problem.value)
    assert "\n" not in str(problem.value)


def test_what_a_flag_said_is_not_blamed_on_the_file(written):
    with pytest.raises(UsageProblem) as problem:
        options(written("base-url: http://h.test/v1\n") | {"base_url": "ftp://h"})
    assert str(problem.value).startswith("--base-url: 'ftp://h'")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"target": ("a",)}, "--target: it chooses from a configuration"),
        ({"config": "nowhere.yaml"}, "--config: cannot read nowhere.yaml"),
        ({"config": "c.yaml", "target": ("stagging-c",)}, "did you mean staging-c"),
        ({"config": "c.yaml"}, "names 4 targets: choose one with --target"),
        ({"config": "c.yaml", "target": ("prod.test",), "base_url": "http://x.test"}, "names targets: choose one"),
    ],
)
def test_a_single_run_needs_a_single_target(written, given, said):
    written(TARGETS)
    with pytest.raises(UsageProblem, match=said.replace("?", r"\?")):
        config_file.only_run(given)


def test_what_the_file_says_is_not_lost_on_the_way(written):
    """Each option of the table arrives, whatever its kind."""
    values = {"text": "x", "whole": 3, "seconds": 1.5, "flag": True}
    for option in OPTIONS:
        if option.key in ("config", "target"):
            continue
        value = option.choices[0] if option.choices else ["x"] if option.many else values[option.kind]
        config = config_file.configuration(written(json.dumps({option.name.removeprefix("--"): value})))
        assert config.targets[0].values == {option.key: tuple(value) if option.many else value}
