"""Every state of a waiver and every exit code, through processes against the embedded endpoint."""

import json

import pytest

from tests.command_line import Toy, served_toy

pytestmark = pytest.mark.sockets
QUICK = ("--effort", "quick", "--no-progress")
INDEX, ID = "stream_tools.index.is_an_integer", "response.id.is_text"
FAULTS = {INDEX: "sd-index-missing", ID: "ro-id-empty"}
AREAS = ("stream_tools", "response")


def report_of(cli, name):
    return json.loads((cli.cwd / name / "report.json").read_text())


def entry(requirement, **changes):
    return {"requirement": requirement, "reason": "known", "owner": "ana", "expires": "2999-12-31", **changes}


def run(cli, report, waivers=(), faults=(INDEX, ID), selected=AREAS, more=()):
    (cli.cwd / "w.json.yaml").write_text(json.dumps({"waivers": list(waivers)}))
    broken = [item for name in faults for item in ("--fault", FAULTS[name])]
    given = ("--waivers", "w.json.yaml") if waivers else ()
    return cli("run", *selected, *QUICK, *broken, *given, "--report", report, *more)


def states(cli, name):
    return {told["requirement"]: told["state"] for told in report_of(cli, name)["waivers"]}


def test_every_state(cli):
    given = [
        entry(INDEX),
        entry("response.object.*"),
        entry("sse.*"),
        entry(ID, expires="2020-01-01"),
    ]
    done = run(cli, "a", given)
    assert done.returncode == 1, done.stdout + done.stderr
    assert states(cli, "a") == {INDEX: "used", "response.object.*": "stale", "sse.*": "unobserved", ID: "expired"}
    for state in ("stale", "unobserved", "expired"):
        assert f"  {state}" in done.stdout
    assert "waivers: 1 used, 1 stale, 1 unobserved, 1 expired" in done.stdout
    assert cli("verify", "a").returncode == 0

    unmatched = run(cli, "b", [entry("response.id.is_texd")])
    assert unmatched.returncode == 2
    assert (
        "line 1: no requirement is called 'response.id.is_texd': did you mean response.id.is_text" in unmatched.stderr
    )
    assert not (cli.cwd / "b").exists()


def test_what_is_waived_conforms_and_is_verified_as_such(cli):
    done = run(cli, "a", [entry(INDEX), entry(ID, place="body:/id", dialect="openai")])
    assert done.returncode == 0, done.stdout
    assert "nothing is violated beyond what is known of 2 requirements" in done.stdout
    report = report_of(cli, "a")
    assert (report["outcome"], report["counts"]["waived"], report["counts"]["fail"]) == ("conformant", 2, 0)
    row = next(row for row in report["requirements"] if row["id"] == ID)
    assert row["findings"]
    assert row["places"] == ["body:/id"]
    assert "known (ana)" in row["reason"]
    assert "waived" in (cli.cwd / "a" / "junit.xml").read_text()
    assert cli("verify", "a").returncode == 0

    path = cli.cwd / "a" / "report.json"
    report["run"]["config"]["waivers"].append(entry("stream.*"))
    path.write_text(json.dumps(report))
    forged = cli("verify", "a")
    assert forged.returncode == 1
    assert "excuses other violations than the run was told to" in forged.stdout


def test_a_waiver_for_one_place_or_another_dialect_excuses_no_other(cli):
    assert run(cli, "a", [entry(ID, place="body:/elsewhere")], faults=[ID]).returncode == 1
    assert run(cli, "b", [entry(ID, dialect="aurous")], faults=[ID]).returncode == 1
    assert states(cli, "a") == {ID: "stale"}
    assert states(cli, "b") == {ID: "unobserved"}


def test_neither_a_failed_preflight_nor_what_is_missing_is_excused(cli):
    with served_toy(Toy({}, instead=(401, "application/json", b'{"error":{"message":"no"}}'))) as toy:
        done = run(cli, "a", [entry("*")], faults=(), more=("--base-url", toy.url))
    assert done.returncode == 2
    assert report_of(cli, "a")["outcome"] == "no_verdict"
    assert states(cli, "a") == {"*": "unobserved"}


def test_a_first_file_is_refused_until_its_reasons_are_filled_in(cli):
    assert run(cli, "a").returncode == 1
    first = cli("waive", "a", "--owner", "ana", "--expires", "2999-12-31")
    assert first.returncode == 0
    assert "2 violated requirements, 0 that could not be judged: fill in the reasons" in first.stderr
    file = cli.cwd / "waivers.yaml"
    file.write_text(first.stdout)
    arguments = ("run", *AREAS, *QUICK, "--fault", FAULTS[ID], "--fault", FAULTS[INDEX], "--waivers", "waivers.yaml")
    refused = cli(*arguments, "--report", "b")
    assert refused.returncode == 2
    assert "reason is empty: fill it in" in refused.stderr
    assert not (cli.cwd / "b").exists()
    file.write_text(first.stdout.replace('reason: ""', 'reason: "known"'))
    assert cli(*arguments, "--report", "b").returncode == 0
    again = cli("waive", "b")
    assert "nothing new to waive" in again.stderr
    assert again.stdout.count('reason: "known"') == 2
