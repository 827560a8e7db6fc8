"""JUnit XML: one testcase per requirement, violations as failures, our own and the network's trouble as errors."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from conformance.reporting.model import Report, Row
from conformance.reporting.text import printable
from conformance.verdict.fold import Verdict

_PASSED = frozenset({Verdict.PASS, Verdict.WARN, Verdict.INFO})


def _xml(text: str) -> str:
    """Only characters that XML 1.0 has (section 2.2): what `printable` leaves, but for two that are no characters."""
    return printable(text, None).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def _verdict(case: ET.Element, row: Row) -> None:
    text = _xml("\n\n".join(found.text for found in row.findings))
    if row.verdict is Verdict.FAIL:
        ET.SubElement(case, "failure", message=_xml(row.title), type=row.level.value).text = text
    elif row.verdict is Verdict.ERROR:
        ET.SubElement(case, "error", message=_xml(row.reason or "error"), type="error")
    elif row.verdict not in _PASSED:
        ET.SubElement(case, "skipped", message=_xml(f"{row.verdict.value}: {row.reason or ''}".rstrip(": ")))
    elif row.findings:
        ET.SubElement(case, "system-out").text = text


def render(report: Report) -> str:
    """The file's text. A violated SHOULD or MAY passes here and tells its finding in system-out."""
    verdicts = [row.verdict for row in report.rows]
    counts = {
        "tests": str(len(verdicts)),
        "failures": str(verdicts.count(Verdict.FAIL)),
        "errors": str(verdicts.count(Verdict.ERROR)),
        "skipped": str(sum(v not in _PASSED and v not in (Verdict.FAIL, Verdict.ERROR) for v in verdicts)),
    }
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": "conformance", "timestamp": report.run.started, **counts})
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("outcome", report.outcome.value),
        ("reason", report.reason),
        ("coverage", report.coverage.text),
        ("endpoint", report.endpoint.base_url),
        ("model", report.endpoint.model or ""),
        ("dialect", report.endpoint.dialect),
        ("suite_version", report.suite.version),
        *(("defect_of_the_suite", sentence) for sentence in report.run.defects),
    ):
        ET.SubElement(properties, "property", name=name, value=_xml(value))
    for row in report.rows:
        case = ET.SubElement(suite, "testcase", classname=f"conformance.{row.area}", name=row.id)
        told = ET.SubElement(case, "properties")
        for name, value in (
            ("level", row.level.value),
            ("basis", row.basis),
            ("impact", row.impact.value),
            ("verdict", row.verdict.value),
            ("title", row.title),
            ("source", row.source),
            ("exercised", str(row.exercised)),
            ("violated", str(row.violated)),
        ):
            ET.SubElement(told, "property", name=name, value=_xml(value))
        _verdict(case, row)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
