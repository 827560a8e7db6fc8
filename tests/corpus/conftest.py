from __future__ import annotations

from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "dev"


@pytest.fixture(scope="session")
def corpus() -> list[Path]:
    files = sorted(CORPUS.glob("*.jsonl.gz"))
    if not files:
        pytest.skip("the recorded traffic is not here: ../shared/corpus/dev")
    return files
