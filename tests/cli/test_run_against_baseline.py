"""Every case of a baseline, through processes against the embedded endpoint."""

import json

import pytest

pytestmark = pytest.mark.sockets
QUICK = ("--effort", "quick", "--no-progress")
INDEX, ID, OBJECT = "stream_tools.index.is_an_integer", "response.id.is_text", "response.object.is_chat_completion"


def report_of(cli, name):
    return json.loads((cli.cwd / name / "report.json").read_text())


def run(cli, report, *faults, selected=("stream_tools", "response"), more=()):
    broken = [item for name in faults for item in ("--fault", name)]
    return cli("run", *selected, *QUICK, *broken, "--report", report, *more)


def edit(cli, name, change):
    path = cli.cwd / name / "report.json"
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))


def test_known_new_and_fixed(cli):
    assert run(cli, "old", "sd-index-missing", "ro-id-empty").returncode == 1

    same = run(cli, "same", "sd-index-missing", "ro-id-empty", more=("--baseline", "old/report.json"))
    assert same.returncode == 0, same.stdout + same.stderr
    assert "baseline: report.json of" in same.stdout
    assert "0 new, 2 known" in same.stdout
    told = report_of(cli, "same")["baseline"]
    assert set(told["known"]) == {INDEX, ID}
    assert (told["new"], told["fixed"], told["gone"], told["added"]) == ([], [], [], [])
    assert cli("verify", "same").returncode == 0

    other = run(cli, "other", "sd-index-missing", "ro-created-missing", more=("--baseline", "same"))
    assert other.returncode == 1
    told = report_of(cli, "other")["baseline"]
    assert {place["requirement"] for place in told["fixed"]} == {ID}
    assert {place["requirement"] for place in told["new"]} == {"response.created.is_in_seconds"}
    failed = [row["id"] for row in report_of(cli, "other")["requirements"] if row["verdict"] == "fail"]
    assert failed == ["response.created.is_in_seconds"]
    assert f"  fixed       {ID} at body:/id" in other.stdout
    assert cli("verify", "other").returncode == 0

    edit(
        cli, "other", lambda report: report["run"]["config"]["baseline"]["violated"].update({OBJECT: ["body:/object"]})
    )
    assert "excuses other violations" in cli("verify", "other").stdout


def test_another_catalogue_and_what_was_added_since_are_said(cli):
    assert run(cli, "old").returncode == 0

    def older(report):
        report["suite"]["catalogue_sha256"] = "0" * 64
        report["requirements"] = [row for row in report["requirements"] if row["id"] != ID]

    edit(cli, "old", older)
    done = run(cli, "new", "ro-id-empty", more=("--baseline", "old/report.json"))
    assert done.returncode == 1
    assert "it was made under another catalogue" in done.stdout
    assert "1 added since" in done.stdout
    assert report_of(cli, "new")["baseline"]["added"] == [ID]


def test_what_was_lacking_is_forgiven_and_what_is_gone_is_told(cli):
    refusing = ("--model-mind", "refusing")
    first = run(cli, "old", selected=("parallel",), more=refusing)
    assert first.returncode == 2, first.stdout
    again = run(cli, "same", selected=("parallel",), more=(*refusing, "--baseline", "old/report.json"))
    assert again.returncode == 0, again.stdout
    assert "2 requirements could not be judged, as is known" in again.stdout
    lacking = {name for gap in report_of(cli, "old")["gaps"] for name in gap["requirements"]}
    assert lacking == set(report_of(cli, "same")["baseline"]["lacking"])
    assert cli("verify", "same").returncode == 0

    assert run(cli, "whole", selected=("response",)).returncode == 0
    done = run(cli, "less", selected=("response",), more=("--baseline", "whole", "--without", ID))
    assert done.returncode == 0
    assert report_of(cli, "less")["baseline"]["gone"] == [ID]


def test_what_cannot_be_a_baseline_is_refused_in_one_sentence(cli):
    assert run(cli, "old", selected=("sse",)).returncode == 0
    other = run(cli, "new", selected=("sse",), more=("--baseline", "old", "--dialect", "xerotier"))
    assert other.returncode == 2
    assert "is a report on the dialect openai, and this run is on xerotier" in other.stderr

    edit(cli, "old", lambda report: report.update(outcome="interrupted"))
    partial = run(cli, "new", selected=("sse",), more=("--baseline", "old"))
    assert partial.returncode == 2
    assert "came to no verdict: take the report of a whole run" in partial.stderr

    (cli.cwd / "list.json").write_text("[]")
    for name, said in (
        ("nowhere.json", "cannot read nowhere.json"),
        ("list.json", "list.json is no report: top level"),
    ):
        done = run(cli, "new", selected=("sse",), more=("--baseline", name))
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (cli.cwd / "new").exists()
