"""Dialects are data: the shipped ones agree with themselves, a user's extends them, mistakes take one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.dialects.loader import DialectError, builtin_names, load
from conformance.reference.headers import common
from conformance.reference.stages import Context
from conformance.wire.exchange import Request


@pytest.mark.parametrize("name", builtin_names())
def test_shipped_dialects_agree_with_themselves(name: str) -> None:
    dialect = load(name)
    assert dialect.lineage == (name,)
    assert len(dialect.digest) == 64
    types = set(dialect.words("error.type"))
    for form in dialect.errors.values():
        assert set(form.types) <= types, form.kind
        assert all(400 <= status <= 599 for status in form.statuses)
        if dialect.convention("error.code_nullable") is False:
            assert None not in form.codes, form.kind
    for key, value in dialect.limits.items():
        if (
            key.endswith(".min")
            and isinstance(value, int | float)
            and (high := dialect.limit(f"{key[:-4]}.max")) is not None
        ):
            assert value <= high, key
    assert set(dialect.convention("finish_reason.named")) <= set(dialect.words("finish_reason"))
    assert dialect.convention("usage.in_stream") in ("extra_chunk", "finish_chunk")
    assert "core" in dialect.capabilities
    sent = {header for header, _ in common(Context(Request(), dialect, "obedient", 0, 1_760_000_000))}
    assert dialect.convention("request_id.header") in sent


def test_the_shipped_dialects() -> None:
    assert builtin_names() == ["aurous", "openai", "xerotier"]
    assert load("openai").limit("tools.max") == 128
    assert load("aurous").error("missing_key").codes == ("missing_api_key",)
    assert load("xerotier").error("never heard of").codes == ("invalid_request",)


def test_a_users_dialect_extends_a_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: Mine\nextends: openai\nlimits: {tools.max: 16}\ncapabilities: [core, tools]\n"
        "errors:\n  invalid_key: {status: [403], type: [forbidden]}\n"
        "rows:\n  some.row: {off: we do not offer it}\n  other.row: {level: SHOULD, source: our manual}\n",
        "utf-8",
    )
    mine, base = load(str(path)), load("openai")
    assert mine.lineage == ("mine", "openai")
    assert (mine.limit("tools.max"), mine.limit("n.max")) == (16, 128)
    assert mine.capabilities == {"core", "tools"}
    assert mine.error("invalid_key").statuses == (403,)
    assert mine.error("missing_key") == base.error("missing_key")
    assert mine.rows["some.row"].off == "we do not offer it"
    assert mine.digest != base.digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [", "this is no readable YAML"),
        ("title: x", "name"),
        ("name: Mine!\ntitle: x", "name"),
        ("name: mine\ntitle: x\nlimit: {}", "limit"),
        ("name: mine\ntitle: x\nerrors: {a: {status: [200]}}", "errors/a/status/0"),
        ("name: mine\ntitle: x\nextends: nope", "no dialect is called 'nope'"),
        ("name: openai\ntitle: x\nextends: openai", "extends itself"),
        ("- a list", "top level"),
        ("name: mine\ntitle: x\nlimits: {1: 2}", "every key has to be text"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(DialectError, match=expected) as told:
        load(str(path))
    assert "\n" not in str(told.value)


def test_unknown_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(DialectError, match="choose one of aurous, openai, xerotier"):
        load("opneai")
    with pytest.raises(DialectError, match="cannot read the dialect file"):
        load(str(tmp_path / "absent.yaml"))
