"""`compare` through the command line: exit codes, and its three forms."""

import json

import pytest
from click.testing import CliRunner

from conformance.cli.compare import compare_command
from conformance.reporting import json_report
from tests.report_builders import report, row, violation


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fine, broken = row("stream.a"), row("stream.a", "fail", "MUST", "lenient", violation())
    for name, found in (("a", fine), ("b", broken), ("c", fine)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json_report.render(report(found, row("stream.b"))))
    return tmp_path


def compared(*arguments):
    return CliRunner().invoke(compare_command, list(arguments), standalone_mode=False)


def test_two_reports(reports):
    differing, same = compared("a", "b/report.json"), compared("a", "c")
    assert differing.return_value == 1
    assert "stream.a: MUST, lenient, at chunk:/choices/0/delta" in differing.output
    assert same.return_value == 0
    assert "nothing differs" in same.output


def test_several_reports(reports):
    found = compared("a", "b", "c")
    assert found.return_value == 1
    assert "pass      FAIL      pass      MUST    stream.a" in found.output
    assert compared("a", "c", "a").return_value == 0
    assert "stream.b" in compared("a", "b", "c", "-v").output


def test_as_json_and_as_markdown(reports):
    assert json.loads(compared("a", "b", "--json").output)["format"] == "conformance-comparison/1"
    assert json.loads(compared("a", "b", "c", "--json").output)["format"] == "conformance-table/1"
    assert "### Broken" in compared("a", "b", "--markdown").output
    assert "| `stream.a` | MUST | pass | **FAIL** | pass |" in compared("a", "b", "c", "--markdown").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a"], "name two reports at least"),
        (["a", "b", "--json", "--markdown"], "exclude each other"),
        (["a", "nowhere"], "cannot read nowhere"),
        (["a", "other.json"], "other.json is no report: this is no JSON"),
    ],
)
def test_problems_are_one_sentence(reports, arguments, said):
    (reports / "other.json").write_text("{")
    found = compared(*arguments)
    assert said in str(found.exception)
