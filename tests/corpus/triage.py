"""Triage of what the audit finds in recorded traffic: `python -m tests.corpus.triage` lists what is not yet decided.

One YAML per provider in tests/triage: a row per distinct finding (requirement, normalised place, count), a decision
and one sentence. Decisions: `real` (the provider's defect), `ours` (a rule that should be better), `recorder` (the
recording tool did it), `open` (cannot be told from the recording).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from conformance.suite.audit import AuditResult, audit

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus" / "dev"
TRIAGE = ROOT / "tests" / "triage"
DECISIONS = ("real", "ours", "recorder", "open")
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Row:
    """One decided finding."""

    requirement: str
    place: str
    count: int
    decision: str
    why: str

    @property
    def key(self) -> Key:
        """What the audit must find again."""
        return (self.requirement, self.place, self.count)


def providers() -> list[str]:
    """The providers that traffic was recorded of."""
    return sorted(path.name.removesuffix(".jsonl.gz") for path in CORPUS.glob("*.jsonl.gz"))


def rows(provider: str) -> list[Row]:
    """The decided findings of a provider; none where it has no file."""
    path = TRIAGE / f"{provider}.yaml"
    if not path.exists():
        return []
    data = yaml.safe_load(path.read_text("utf-8")) or {}
    return [Row(**item) for item in data.get("findings", ())]


@cache
def audited(provider: str) -> AuditResult:
    """The audit of one provider's recordings as `openai`."""
    return audit([CORPUS / f"{provider}.jsonl.gz"], "openai")


def found(provider: str) -> dict[Key, str]:
    """What the audit finds: key to a line of explanation."""
    result = audited(provider)
    return {
        (cluster.requirement, cluster.place, cluster.count): (
            f"{result.level(cluster.requirement)} {cluster.examples[0].exchange}: "
            f"expected {cluster.examples[0].expected}, observed {cluster.examples[0].observed[:200]}"
        )
        for cluster in result.ordered()
    }


def main() -> int:
    """Print undecided findings as YAML rows to fill in, and stale rows."""
    left = 0
    for provider in providers():
        decided = {row.key for row in rows(provider)}
        seen = found(provider)
        for requirement, place, count in sorted(decided - seen.keys()):
            print(f"# {provider}: stale: {requirement} {place} {count}")  # noqa: T201
            left += 1
        undecided = [key for key in seen if key not in decided]
        if undecided:
            print(f"# {provider}")  # noqa: T201
        for key in undecided:
            requirement, place, count = key
            print(f"# {seen[key]}")  # noqa: T201
            print(f'  - {{requirement: {requirement}, place: "{place}", count: {count}, decision: , why: ""}}')  # noqa: T201
            left += 1
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
