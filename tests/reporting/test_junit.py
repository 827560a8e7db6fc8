from dataclasses import replace
from xml.etree import ElementTree as ET

from junitparser import Error, Failure, JUnitXml, Properties, Skipped

from conformance.reporting import junit
from tests.report_builders import report, row, violation


def cases(made=None):
    root = ET.fromstring(junit.render(made or report()))
    return {case.get("name"): case for case in root.iter("testcase")}, root


def test_one_case_per_requirement_with_its_properties():
    found, _root = cases()
    assert list(found) == [row.id for row in report().rows]
    properties = {item.get("name"): item.get("value") for item in found["stream.index"].iter("property")}
    assert properties["level"] == "MUST"
    assert properties["basis"] == "prose"
    assert found["stream.index"].get("classname") == "conformance.stream"


def test_verdicts_become_failures_errors_and_skips():
    found, root = cases()
    kinds = {name: [child.tag for child in case if child.tag not in ("properties",)] for name, case in found.items()}
    assert kinds["stream.index"] == ["failure"]
    assert kinds["errors.raised"] == ["error"]
    assert kinds["tool_calls.arguments"] == ["system-out"]
    assert kinds["stream.fine"] == []
    for name in ("unsupported", "blocked", "not_exercised", "not_observable", "out"):
        assert kinds[f"errors.{name}"] == ["skipped"]
    suite = root[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["11", "2", "1", "5"]


def test_a_failure_tells_all_its_places():
    found, _root = cases()
    text = found["stream.index"].find("failure").text
    assert "e42, chunk 3 /choices/0/delta" in text
    assert "e1, status" in text
    assert "2 of 3" in text
    assert "curl -sS" in text


def test_errors_of_the_suite_are_properties():
    made = report()
    broken = replace(made, run=replace(made.run, defects=("the probe streams raised KeyError",)))
    _found, root = cases(broken)
    told = [item.get("value") for item in root[0].find("properties") if item.get("name") == "defect_of_the_suite"]
    assert told == ["the probe streams raised KeyError"]


def test_no_character_breaks_the_xml():
    wild = violation(observed="\x00\x1b[31m\ud800\ufffe\uffff<&>]]>", expected="\u2028\u202e")
    found, _root = cases(report(row("stream.index", "fail", "MUST", "lenient", wild)))
    text = found["stream.index"].find("failure").text
    assert "\\x1b[31m\\ud800\\ufffe\\uffff<&>]]>" in text
    assert "\\u202e" in text


def test_a_consumer_reads_it_back(tmp_path):
    """junitparser is what CI tools read such files with."""
    path = tmp_path / "junit.xml"
    path.write_text(junit.render(report(row("stream.known", "waived", "MUST", "lenient", violation()), *report().rows)))
    suites = JUnitXml.fromfile(str(path))
    assert (suites.tests, suites.failures, suites.errors, suites.skipped) == (12, 2, 1, 6)
    results = {case.name: [type(result) for result in case.result] for suite in suites for case in suite}
    assert results["stream.index"] == [Failure]
    assert results["stream.known"] == [Skipped]
    assert results["errors.raised"] == [Error]
    assert results["stream.fine"] == []
    failed = next(case for suite in suites for case in suite if case.name == "stream.index")
    assert "curl" in failed.result[0].text
    told = {item.name: item.value for found in failed.iterchildren(Properties) for item in found}
    assert told["impact"] == "breaks clients"
