from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.catalogue.model import Level
from conformance.dialects.loader import DialectError
from conformance.sources import SourceError
from conformance.suite.audit import MOST_CLUSTERS, AuditResult, Cluster, audit, main

KNOWN = {
    "finish_reason.unstreamed.is_given": "a preview model of 2023 had `finish_details` instead",
}
"""MUST rows that a recording of the original breaks, with what is known of it. Anything else is unfair, or new."""


@pytest.mark.corpus
@pytest.mark.slow
def test_the_original_breaks_nothing_that_is_demanded_of_it(corpus: list[Path]) -> None:
    result = audit([path for path in corpus if path.name == "openai.jsonl.gz"], "openai")
    assert result.raised == {}
    assert result.exchanges > 5000
    broken = {
        cluster.requirement: cluster.examples[0]
        for cluster in result.clusters.values()
        if result.level(cluster.requirement) is Level.MUST and cluster.requirement not in KNOWN
    }
    assert broken == {}
    assert all(sum(cluster.files.values()) <= 1 for name, cluster in by_requirement(result).items() if name in KNOWN)


def by_requirement(result: AuditResult) -> dict[str, Cluster]:
    return {cluster.requirement: cluster for cluster in result.clusters.values()}


@pytest.mark.corpus
@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["openai", "xerotier", "aurous"])
def test_no_recording_makes_a_rule_raise(corpus: list[Path], dialect: str) -> None:
    others = [path for path in corpus if path.name != "openai.jsonl.gz"]
    result = audit(others, dialect)
    assert result.raised == {}
    assert len(result.tallies) > 50
    assert result.files == [path.name for path in others]


def record(number: int, **changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello.", "refusal": None}
    body = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
        **changes,
    }
    return {
        "source": f"made/up:path#{number}",
        "provider": "made up",
        "repo": "made/up",
        "method": "POST",
        "url_path": "/v1/chat/completions",
        "request": {"model": "m", "messages": [{"role": "user", "content": f"Hi {number}"}]},
        "status": 200,
        "response_headers": {"content-type": "application/json"},
        "headers_seen": 9,
        "body": json.dumps(body),
        "fidelity": "wire",
        "altered": [],
        "suspect": [],
    }


def written(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in records), encoding="utf-8")
    return path


def test_clean_traffic_has_no_findings(tmp_path: Path) -> None:
    result = audit([written(tmp_path / "a.jsonl", record(1), record(2))])
    assert result.exchanges == 2
    assert list(result.clusters.values()) == []
    assert sum(tally.held for tally in result.tallies.values()) > 20


def test_like_findings_fall_together_with_counts_by_file(tmp_path: Path) -> None:
    one = written(tmp_path / "one.jsonl", *(record(n, object="text_completion") for n in range(3)))
    two = written(tmp_path / "two.jsonl", record(9), record(10, object=None))
    result = audit([one, two])
    (cluster,) = [cluster for cluster in result.ordered() if cluster.place == "body:/object"]
    assert cluster.count == 4
    assert cluster.files == {"one.jsonl": 3, "two.jsonl": 1}
    assert [finding.exchange for finding in cluster.examples] == ["made/up:path#0", "made/up:path#10"]
    assert result.tallies[cluster.requirement].violated == 4
    assert result.tallies[cluster.requirement].held == 1


def test_what_was_altered_is_not_judged(tmp_path: Path) -> None:
    wrong = record(1, id="")
    judged = audit([written(tmp_path / "a.jsonl", wrong)])
    spared = audit([written(tmp_path / "b.jsonl", {**wrong, "altered": ["id"]})])
    found = [{c.requirement for c in result.clusters.values() if c.place == "body:/id"} for result in (judged, spared)]
    assert found[0]
    assert found[1] == set()


def test_a_recording_that_is_kept_twice_counts_once(tmp_path: Path) -> None:
    twice = [record(1), {**record(1), "source": "made/up:copy#1"}]
    result = audit([written(tmp_path / "a.jsonl", *twice)])
    assert (result.exchanges, result.duplicates) == (2, 1)
    assert result.clusters == {}


def test_equal_ids_are_found_across_a_file_but_not_across_origins(tmp_path: Path) -> None:
    twins = [record(1, id="chatcmpl-x"), record(2, id="chatcmpl-x")]
    assert audit([written(tmp_path / "a.jsonl", *twins)]).clusters
    strangers = [twins[0], {**twins[1], "provider": "somebody else"}]
    assert audit([written(tmp_path / "b.jsonl", *strangers)]).clusters == {}


def test_clusters_are_bounded(tmp_path: Path) -> None:
    result = audit([written(tmp_path / "a.jsonl", *(record(n, choices=[{f"k{n}": 1}] * 2) for n in range(300)))])
    counts: dict[str, int] = {}
    for name, _ in result.clusters:
        counts[name] = counts.get(name, 0) + 1
    assert max(counts.values()) <= MOST_CLUSTERS + 1


def test_exit_codes_and_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = written(tmp_path / "clean.jsonl", record(1))
    assert main([str(clean)]) == 0
    assert "1 exchanges (0 copies left out) of 1 files judged as openai" in capsys.readouterr().out
    wrong = written(tmp_path / "wrong.jsonl", record(1, object="text_completion"))
    assert main([str(wrong), "-v"]) == 1
    told = capsys.readouterr().out
    assert "MUST response.object" in told
    assert "made/up:path#1" in told
    assert "held" in told
    assert main([str(tmp_path / "nowhere.jsonl")]) == 2
    assert main([str(clean), "--dialect", "nobody's"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 2


def test_patterns_that_the_shell_left_alone_are_resolved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "a.jsonl", record(1))
    written(tmp_path / "b.jsonl", record(2))
    written(tmp_path / "odd[1].jsonl", record(3))
    assert main([str(tmp_path / "?.jsonl"), str(tmp_path / "odd[1].jsonl")]) == 0
    assert "3 exchanges" in capsys.readouterr().out
    assert main([str(tmp_path / "*.har")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_errors_of_the_user_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        audit([tmp_path / "nowhere"])
    with pytest.raises(DialectError):
        audit([], "nobody's")
