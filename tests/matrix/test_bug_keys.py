"""Every defect of tools that real servers are known to have shipped is a fault here, or a legal variation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.reference import faults as fault_modules
from conformance.reference import variations as variation_modules

LIST = Path(__file__).parents[3] / "shared" / "bugs.md"
"""The list of public bug reports, where it lies beside the checkout."""
PREFIXES = ("tc", "par", "td", "ts", "mt", "sd", "fr")

_KEYS = """
tc-required-freerun tc-named-unknown-200 tc-named-unknown-500 tc-named-nameless-200 tc-none-still-calls
tc-undeclared-name tc-undeclared-name-500
par-false-ignored par-id-equals-completion-id par-id-equals-name
td-null-in-schema-200-error-text td-unknown-type-raw-exception td-strict-all-or-nothing td-strict-400-on-model-fault
td-name-rewritten td-missing-name-null-args
ts-empty-tool-calls-array ts-id-empty ts-id-constant
mt-content-null-rejected mt-content-absent-rejected mt-content-empty-rejected mt-parts-system-rejected
mt-parts-tool-rejected mt-developer-rejected mt-own-extension-rejected mt-vendor-field-required
mt-orphan-tool-foreign-envelope mt-empty-messages-accepted
sd-index-missing sd-id-changes-second sd-id-new-each-fragment sd-id-empty-continuation sd-id-missing-first
sd-name-repeated sd-name-empty-continuation sd-name-null-final sd-tool-calls-object sd-role-missing
sd-role-every-chunk sd-args-truncated sd-args-head-lost sd-args-empty-noarg sd-args-null sd-no-tool-deltas
fr-stop-with-tools fr-length-hidden-by-tools fr-length-hidden-by-stop fr-key-missing-response fr-then-null
"""
KEYS = _KEYS.split()

LEGAL = {
    "tc-none-without-tools-400": "none-without-tools-refused",
    "ts-index-in-message": "index-in-calls",
}
"""What was reported as a bug and is none by any document, with the variation that holds the rules to that."""


@pytest.mark.parametrize("key", KEYS)
def test_a_known_bug_is_a_fault(key: str) -> None:
    assert key in fault_modules.load()


def test_what_is_legal_is_a_variation() -> None:
    assert set(LEGAL.values()) <= variation_modules.load().keys()


def test_the_list_is_complete() -> None:
    if not LIST.exists():
        pytest.skip("the list of public bug reports is not beside the checkout")
    catalogue = LIST.read_text("utf-8").split("## Catalogue of distinct mutants", 1)[1]
    listed = {key for key in re.findall(r"^\| `([a-z0-9-]+)` \|", catalogue, re.M) if key.split("-")[0] in PREFIXES}
    assert listed == {*KEYS, *LEGAL}
