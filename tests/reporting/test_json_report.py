import json
from dataclasses import replace

import jsonschema
import pytest

from conformance.reporting import json_report
from conformance.reporting.model import Step
from conformance.verdict.fold import Verdict
from tests.report_builders import report, row, violation


def data():
    return json.loads(json_report.render(report()))


def problems(value):
    return [error.message for error in jsonschema.Draft202012Validator(json_report.schema()).iter_errors(value)]


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(json_report.schema())


def test_a_report_fits_the_schema():
    assert problems(data()) == []


def undeclared(value, schema, root, place=""):
    """Keys that we write and the schema does not name."""
    schema = (
        root["$defs"][schema["$ref"].rsplit("/", 1)[1]] if isinstance(schema, dict) and "$ref" in schema else schema
    )
    if not isinstance(schema, dict):
        return
    if isinstance(value, dict) and "properties" in schema:
        for key, item in value.items():
            if key not in schema["properties"]:
                yield f"{place}/{key}"
            yield from undeclared(item, schema["properties"].get(key), root, f"{place}/{key}")
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            yield from undeclared(item, schema["items"], root, f"{place}/*")


def test_the_schema_names_every_key_that_is_written():
    assert list(undeclared(data(), json_report.schema(), json_report.schema())) == []


def test_what_was_written_comes_back():
    assert json_report.read(json_report.render(report())) == report()
    broken = replace(report(), run=replace(report().run, defects=("the probe streams raised KeyError",)))
    assert json_report.read(json_report.render(broken)) == broken


def test_keys_of_later_versions_are_no_trouble():
    later = data() | {"later": 1}
    later["run"]["later"] = {}
    assert json_report.read(json.dumps(later)) == report()


def test_every_verdict_is_counted():
    assert data()["counts"] == {
        "pass": 1,
        "fail": 2,
        "warn": 1,
        "info": 1,
        "unsupported": 1,
        "blocked": 1,
        "not_exercised": 1,
        "not_observable": 1,
        "excluded": 1,
        "waived": 0,
        "error": 1,
    }
    assert set(data()["counts"]) == {verdict.value for verdict in Verdict}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda d: d.update(outcome="fine"), "outcome"),
        (lambda d: d.update(format="conformance-report/2"), "format"),
        (lambda d: d["requirements"][0].update(findings=[]), "requirements/0/findings"),
        (lambda d: d["requirements"][4].update(violated=1), "requirements/4/violated"),
        (lambda d: d["requirements"][0]["findings"][0].update(count=0), "requirements/0/findings/0/count"),
        (lambda d: d.pop("endpoint"), "top level"),
    ],
)
def test_what_is_no_report_is_refused_with_its_place(change, where):
    broken = data()
    change(broken)
    with pytest.raises(json_report.ReportError, match=f"^{where}"):
        json_report.read(json.dumps(broken))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(json_report.ReportError):
        json_report.read(text)


def test_a_header_that_is_sent_twice_is_told_twice():
    step = Step("POST", "/x", (("A", "1"), ("a", "2")))
    made = report(row("stream.index", "fail", "MUST", "lenient", violation(steps=(step,))))
    written = json_report.to_json(made)
    assert written["requirements"][0]["findings"][0]["steps"][0]["headers"] == [["A", "1"], ["a", "2"]]
    assert problems(written) == []
    assert json_report.read(json_report.render(made)) == made


def test_a_report_from_before_there_were_waivers_can_be_read():
    old = data()
    for name in ("waivers", "baseline"):
        del old[name]
    for found in old["requirements"]:
        del found["places"], found["excused"]
    read = json_report.read(json.dumps(old))
    assert (read.waivers, read.baseline) == ((), None)
    assert next(found.places for found in read.rows if found.id == "tool_choice.lenient") == ("chunk:/choices/*/delta",)


def test_a_waiver_that_ends_on_no_day_is_refused():
    broken = data()
    broken["waivers"][0]["expires"] = "2026-02-31"
    with pytest.raises(json_report.ReportError, match="no day of the calendar"):
        json_report.read(json.dumps(broken))
