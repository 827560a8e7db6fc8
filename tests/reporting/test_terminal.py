import io
from dataclasses import replace

import pytest
from rich.console import Console

from conformance.reporting import terminal
from conformance.reporting.model import Observation
from conformance.reporting.progress import RunProgress
from conformance.verdict.outcome import Outcome
from tests.report_builders import LONG_CURL, report, row, violation


def shown(made=None, verbosity=0, width=80):
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False, emoji=False)
    terminal.show(console, made or report(), verbosity=verbosity)
    return stream.getvalue()


def test_violations_come_worst_first():
    text = shown()
    places = [text.index(name) for name in ("stream.index", "tool_calls.arguments", "tool_choice.lenient")]
    assert places == sorted(places)
    assert text.index("area ") > places[-1]


def test_eighty_columns_are_enough_and_commands_are_whole():
    lines = shown().splitlines()
    assert any(line.strip() == LONG_CURL for line in lines)
    wide = [line for line in lines if len(line) > 80 and "curl" not in line and "NONCONFORMANT" not in line]
    assert wide == []
    assert [line for line in lines if line != line.rstrip() and "·" not in line and "area" not in line] == []


def test_errors_of_the_suite_are_told_as_such_however_quiet():
    sentence = "the probe streams raised KeyError: a defect of this suite"
    made = report()
    broken = replace(made, run=replace(made.run, defects=(sentence,)))
    for verbosity in (-1, 0, 1):
        lines = shown(broken, verbosity=verbosity).splitlines()
        place = lines.index("an error of this suite, not of the endpoint:")
        assert lines[place + 1].strip() == sentence
        assert "an error of this suite" not in shown(made, verbosity=verbosity)


def test_a_violation_tells_where_expected_observed_and_how_often():
    text = shown()
    assert "FAIL MUST stream.index  [breaks clients]" in text
    assert "where     e42, chunk 3 /choices/0/delta" in text
    assert "observed  absent" in text
    assert "in 3 of 40 traces; sent again: 2 of 3" in text
    assert "smallest" in text
    assert "and at 1 more place (-v shows them)" in text


def test_the_last_line_is_the_outcome_with_its_coverage():
    assert shown().splitlines()[-1] == (
        "NONCONFORMANT: 2 requirements are violated; 5 of 10 requirements exercised (50 %), MUST 3 of 4"
    )


def test_what_could_be_left_out_honestly_is_named():
    assert "if that is meant, say so: --without errors.unsupported" in shown()


@pytest.mark.parametrize(("verbosity", "there"), [(0, False), (1, True)])
def test_remarks_and_reasons_are_for_verbose(verbosity, there):
    text = shown(verbosity=verbosity)
    assert ("INFO MAY stream.note" in text) is there
    assert ("blocked: the reason for blocked" in text) is there
    assert ("1 remark of level MAY" in text) is not there


def test_quiet_is_the_outcome_alone():
    text = shown(report(gaps=()), verbosity=-1)
    assert text.count("\n") == 1


def test_no_answer_steers_the_terminal():
    wild = violation(observed="\x1b]0;title\x07[bold]not markup[/bold]", expected="\u202edrowkcab")
    text = shown(report(row("stream.index", "fail", "MUST", "lenient", wild)))
    assert "\x1b" not in text
    assert "\\x1b]0;title\\x07[bold]not markup[/bold]" in text
    assert "\\u202e" in text


def test_sending_that_ended_early_is_told():
    made = report()
    stopped = replace(made, run=replace(made.run, config={"stopped": "20 requests were sent, as many as allowed"}))
    assert "sending ended early: 20 requests were sent" in shown(stopped)
    assert "ended early" not in shown()


def test_a_report_without_rows_still_has_an_outcome():
    made = report(row("stream.index"), outcome=Outcome.NO_VERDICT, reason="the key was refused", gaps=())
    assert "NO VERDICT: the key was refused" in shown(made)


def progress(quiet=False):
    stream, now = io.StringIO(), [0.0]
    console = Console(file=stream, width=80, force_terminal=False)
    return RunProgress(console, quiet=quiet, clock=lambda: now[0]), stream, now


def test_progress_in_plain_lines_is_told_now_and_then():
    told, stream, now = progress()
    with told:
        told.found(2)
        for done in range(1, 10):
            now[0] += 1
            told.step(done, 10, "tools")
        told.step(10, 10, "stream")
    assert stream.getvalue().splitlines() == [
        "5 of 10 done, now tools, 2 violations so far",
        "10 of 10 done, now stream, 2 violations so far",
    ]


def test_quiet_progress_says_nothing():
    told, stream, _now = progress(quiet=True)
    with told:
        told.say("judging")
        told.step(10, 10, "stream")
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar():
    stream = io.StringIO()
    with RunProgress(Console(file=stream, width=80, force_terminal=True)) as told:
        told.found(1)
        told.step(3, 10, "tool_choice")
        told.say("judging")
    assert "3/10" in stream.getvalue()
    assert "judging" in stream.getvalue()


def test_waivers_are_told_by_state():
    text = shown()
    assert "waivers: 1 used, 1 expired" in text
    assert "  expired     errors.blocked: since 2025-03-01 it excuses nothing (bob)" in text
    assert "  used " not in text
    assert "  used        stream.* at body:/id: stream.index (ana)" in shown(verbosity=1)
    assert "waivers" not in shown(report(waivers=()))


def test_what_is_known_has_its_column_and_its_reason():
    made = report(row("stream.index", "waived", "MUST", "lenient", violation(), reason="until then: so (ana)"))
    assert shown(made).index("left out") < shown(made).index("known")
    assert "known" not in shown(report(row("stream.fine"), waivers=(), baseline=None))
    assert "waived: until then: so (ana)\n    stream.index" in shown(made, verbosity=1)


def test_places_that_are_known_beside_others_are_counted():
    assert "and at 2 places that are known" in shown(
        report(row("stream.a", "fail", "MUST", "lenient", violation(), excused=2))
    )


def test_a_baseline_is_told_with_what_is_new():
    text = shown()
    assert "baseline: report.json of 2025: 1 new, 1 known, 0 fixed, 1 no longer" in text
    assert "another catalogue" in text
    assert "  new         stream.index at status:" in text
    assert "  gone        errors.x" in text
    assert "baseline" not in shown(report(baseline=None))


def test_what_was_measured_is_told_in_a_line_for_equal_numbers():
    assert "measured  structured_output.depth_cap 12 levels" in shown()
    seen = [
        Observation("structured_output.depth_cap.objects", 32, "levels", True, ()),
        Observation("structured_output.depth_cap.both", 32, "levels", True, ()),
        Observation("structured_output.depth_cap.arrays", 128, "levels", False, ()),
    ]
    lines = [line.strip() for line in shown(report(observations=tuple(seen))).splitlines() if "depth_cap" in line]
    assert lines == [
        "measured  structured_output.depth_cap 32 levels (objects, both)",
        "measured  structured_output.depth_cap at least 128 levels (arrays)",
    ]
    assert "measured" not in shown(report(observations=()))
