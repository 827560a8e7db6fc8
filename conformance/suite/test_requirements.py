"""The items of a run: each tells the verdict of one requirement, which the campaign has come to before."""

from __future__ import annotations

import warnings

import pytest

from conformance.plugin import RequirementWarning
from conformance.suite.certify import Certification
from conformance.verdict.fold import Verdict


def test_requirement(judged: str, certification: Certification) -> None:
    """Passed, warned, failed, known (xfail) or skipped with the reason; violations are shrunk and confirmed first."""
    row = certification.row(judged)
    text = "\n\n".join([row.title, *(found.text for found in row.findings)])
    if row.verdict is Verdict.FAIL:
        pytest.fail(f"{row.level.value} {text}", pytrace=False)
    if row.verdict is Verdict.WARN:
        warnings.warn(RequirementWarning(f"{row.id}: {text}"), stacklevel=1)
    elif row.verdict is Verdict.WAIVED:
        pytest.xfail(row.reason or text)
    elif row.verdict is not Verdict.PASS:
        pytest.skip(f"{row.verdict.value}: {row.reason or text}")
