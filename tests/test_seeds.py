"""The mapping from the first two documents' sentences to catalogue rows is whole, and its page is current."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from conformance.catalogue import loader

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ROOT.parent / "shared" / "seeds"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("seeds_script", ROOT / "docs" / "seeds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


seeds = _script()
CATALOGUE = loader.load()
ENTRIES = [(seed, entry) for seed in seeds.seeds() for entry in seed.entries]


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the two documents are not beside the repository")
@pytest.mark.parametrize("seed", seeds.seeds(), ids=lambda seed: seed.dialect)
def test_every_sentence_is_mapped_in_order(seed) -> None:
    found = list(seeds.sentences((DOCUMENTS / seed.file).read_text("utf-8")))
    mapped = [entry.quote for entry in seed.entries]
    unmapped = [(said, quote) for said, quote in zip(found, mapped, strict=False) if not said.startswith(quote)]
    assert unmapped == []
    assert len(found) == len(mapped)


@pytest.mark.parametrize(("seed", "entry"), ENTRIES, ids=lambda value: getattr(value, "quote", "")[:30])
def test_every_sentence_says_what_came_of_it(seed, entry) -> None:
    assert (entry.reason is None) == bool(entry.refs), "either rows or a reason"
    assert entry.planned is None or entry.planned in CATALOGUE.areas
    assert len(entry.quote.split()) <= 20
    rows = {CATALOGUE.requirements[name].ref for name in seeds.rows_of(entry, seed, CATALOGUE)}
    missing = set(entry.refs) - rows
    if entry.planned is None:
        assert not missing, "these refs have no row in this dialect"
    else:
        assert missing or not entry.refs, "all rows stand: it is planned no longer"


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "seeds.md").read_text("utf-8") == seeds.render(CATALOGUE), "run python docs/seeds.py"


def test_words_that_the_text_ran_together_are_parted() -> None:
    text = "1. First. Second one!\n{ a: b. C }\nbefore setting this.response_format_too_large(400) is it. Trim."
    assert list(seeds.sentences(text)) == [
        "First.",
        "Second one!",
        "{ a: b. C }",
        "before setting this.",
        "response_format_too_large(400) is it.",
        "Trim.",
    ]
