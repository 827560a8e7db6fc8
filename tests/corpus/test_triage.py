"""Every finding in recorded traffic has been read and decided; no MUST finding on OpenAI is the suite's own."""

from __future__ import annotations

import pytest

from conformance.catalogue.model import Level
from tests.corpus.triage import CORPUS, DECISIONS, TRIAGE, audited, found, providers, rows

pytestmark = pytest.mark.corpus
if not CORPUS.is_dir():
    pytest.skip("the recorded traffic is not beside this checkout", allow_module_level=True)


@pytest.mark.parametrize("provider", providers())
def test_every_finding_is_decided(provider: str) -> None:
    decided = {row.key for row in rows(provider)}
    seen = found(provider)
    assert audited(provider).raised == {}
    assert [f"{key}: {seen[key]}" for key in seen if key not in decided] == [], "untriaged"
    assert sorted(decided - seen.keys()) == [], "stale"


@pytest.mark.parametrize("provider", providers())
def test_decisions_are_whole(provider: str) -> None:
    for row in rows(provider):
        assert row.decision in DECISIONS, row
        assert len(row.why) > 15, row


def test_no_must_finding_on_openai_is_ours() -> None:
    result = audited("openai")
    decided = {row.key: row for row in rows("openai")}
    for key in found("openai"):
        if result.level(key[0]) is Level.MUST:
            assert decided[key].decision == "real", key


def test_triage_files_belong_to_providers() -> None:
    assert {path.stem for path in TRIAGE.glob("*.yaml")} <= set(providers())
