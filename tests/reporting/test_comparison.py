"""Two reports and several: what is told of each kind of change."""

import io
import json

import pytest
from rich.console import Console

from conformance.reporting import comparison, comparison_text
from conformance.reporting.comparison import Named
from conformance.reporting.model import Endpoint, Observation, Suite
from tests.report_builders import report, row, violation

BODY = ("body:/choices/*/index",)


def bad(name, verdict="fail", level="MUST", impact="breaks clients", places=BODY):
    return row(name, verdict, level, impact, violation(), places=places)


def named(name, *rows, **changes):
    return Named(name, report(*rows, **changes))


BEFORE = named(
    "before",
    bad("stream.kept"),
    bad("stream.fixed", impact="cosmetic"),
    row("stream.broken"),
    row("stream.newly", "not_exercised"),
    row("stream.gone"),
    bad("stream.rejudged"),
    row("stream.removed"),
)
NOW = named(
    "now",
    bad("stream.kept"),
    row("stream.fixed"),
    bad("stream.broken", impact="lenient"),
    row("stream.newly"),
    row("stream.gone", "unsupported"),
    bad("stream.rejudged", "waived"),
    bad("stream.added"),
    observations=(Observation("structured_output.depth_cap", 5, "levels", False, ()),),
)


def shown(function, found, **more):
    stream = io.StringIO()
    console = Console(file=stream, width=80, color_system=None, highlight=False, emoji=False)
    function(console, found, **more)
    return stream.getvalue()


def test_every_kind_of_change_is_told_apart():
    data = comparison.comparison_json(comparison.compare(BEFORE, NOW))
    assert {(place["requirement"], place["place"]) for place in data["broken"]} == {
        ("stream.broken", BODY[0]),
        ("stream.added", BODY[0]),
    }
    assert [place["requirement"] for place in data["fixed"]] == ["stream.fixed"]
    assert data["newly_exercised"] == ["stream.newly"]
    assert data["no_longer_exercised"] == ["stream.gone"]
    assert data["added"] == ["stream.added"]
    assert data["removed"] == ["stream.removed"]
    assert data["rejudged"] == [{"id": "stream.rejudged", "before": "MUST fail", "now": "MUST waived"}]
    assert data["observations"] == [
        {"id": "structured_output.depth_cap", "before": "12 levels", "now": "at least 5 levels"}
    ]
    assert data["differs"] is True
    assert json.loads(json.dumps(data)) == data


def test_on_a_terminal_the_worst_comes_first():
    text = shown(comparison_text.show_comparison, comparison.compare(BEFORE, NOW))
    assert text.index("stream.added: MUST, breaks clients") < text.index("stream.broken: MUST, lenient")
    for title in ("broken", "fixed", "rejudged", "newly exercised", "no longer exercised", "added", "removed"):
        assert f"\n{title}\n" in text
    assert text.splitlines()[-1].startswith("2 broken, 1 fixed, 1 rejudged")
    assert [line for line in text.splitlines()[:-1] if len(line) > 80] == []


def test_equal_reports_do_not_differ():
    same = comparison.compare(BEFORE, named("copy", *BEFORE.report.rows))
    assert not same.differs
    assert shown(comparison_text.show_comparison, same).splitlines()[-1] == "nothing differs"
    assert not comparison.table([BEFORE, BEFORE, BEFORE]).differs


def test_what_makes_reports_less_comparable_is_said():
    other = named(
        "other", *BEFORE.report.rows, suite=Suite("2", "f" * 64, "", ""), endpoint=Endpoint("u", "m", "aurous")
    )
    notes = comparison.compare(BEFORE, other).notes
    assert [note.split(" differ")[0] for note in notes] == ["the catalogues", "the dialects"]
    assert comparison.compare(BEFORE, NOW).notes == ()


def test_a_table_tells_what_is_violated_or_differs():
    found = comparison.table([BEFORE, NOW, BEFORE])
    text = shown(comparison_text.show_table, found)
    assert "[1]       [2]       [3]       level   requirement" in text
    assert "pass      FAIL      pass      MUST    stream.broken" in text
    assert "–         FAIL      –         MUST    stream.added" in text
    assert "stream.removed" not in text
    assert "stream.removed" in shown(comparison_text.show_table, found, verbose=True)
    assert text.splitlines()[-1].startswith("7 of 8 requirements differ")
    data = comparison.table_json(found)
    assert [line["verdicts"] for line in data["requirements"] if line["id"] == "stream.added"] == [[None, "fail", None]]
    assert data["observations"][0]["values"] == ["12 levels", "at least 5 levels", "12 levels"]


@pytest.mark.parametrize("several", [False, True])
def test_markdown_keeps_what_comes_from_outside_as_text(several):
    wild = "m`|<b>@everyone [x](y)\n# head"
    other = named("a|b", *NOW.report.rows, endpoint=Endpoint("https://h.test/v1", wild, "openai"))
    text = (
        comparison_text.table_markdown(comparison.table([BEFORE, other, NOW]))
        if several
        else comparison_text.comparison_markdown(comparison.compare(BEFORE, other))
    )
    assert "`` m`" in text or "``" in text
    assert "\n# head" not in text
    assert "stream.broken" in text
    cells = [line for line in text.splitlines() if line.startswith("| [2]")]
    assert all("a\\|b" in line for line in cells)
