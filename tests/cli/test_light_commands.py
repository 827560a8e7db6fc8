"""Commands without an engine: fast, and one sentence for each problem."""

import json
import subprocess
import sys

import pytest

from conformance.catalogue.loader import load
from conformance.cli import main
from tests.command_line import environment

HEAVY = ("pytest", "hypothesis", "schemathesis", "httpx", "httpcore", "uvicorn", "starlette")


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["explain", "{id}"], ["faults"], ["--help"]])
def test_light_commands_import_no_engine(cli, arguments):
    first = next(name for name, row in load().requirements.items() if row.example is not None)
    arguments = [text.format(id=first) for text in arguments]
    code = (
        "import sys\nfrom conformance.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cli.cwd, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_list_tells_every_requirement_of_an_area(cli):
    done = cli("list", "sse")
    ids = [row.id for row in load().requirements.values() if row.area == "sse"]
    assert [line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")] == ids
    assert done.returncode == 0


def test_list_as_json(cli):
    rows = json.loads(cli("list", "--json", "tool_choice.*").stdout)
    assert {row["area"] for row in rows} == {"tool_choice"}
    assert all(claim["source"] for row in rows for claim in row["dialects"].values())


def test_explain_shows_source_quote_and_both_examples(cli):
    row = next(row for row in load().requirements.values() if row.example and row.claims["openai"].quote)
    done = cli("explain", row.id)
    flat = " ".join(done.stdout.split())
    assert row.title in flat
    assert row.claims["openai"].quote in flat
    assert "Right (a near miss)" in done.stdout
    assert "Wrong" in done.stdout
    assert "  < status " in done.stdout


def test_every_row_can_be_explained(capsys):
    from click.testing import CliRunner

    from conformance.cli.explain import explain_command

    for name in load().requirements:
        result = CliRunner().invoke(explain_command, [name])
        assert result.exit_code == 0, (name, result.output)
        assert name in result.output


def test_faults_lists_what_serve_knows(cli):
    from conformance.reference import faults, variations

    rows = json.loads(cli("faults", "--json").stdout)
    assert {row["name"] for row in rows if row["kind"] == "fault"} == set(faults.load())
    assert {row["name"] for row in rows if row["kind"] == "variation"} == set(variations.load())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "stream_tolls"], "nothing is called 'stream_tolls': did you mean stream_tools"),
        (["explain", "sse.nothing"], "there is no requirement 'sse.nothing'"),
        (["run", "tool_chioce"], "did you mean tool_choice"),
        (["run", "--base-url", "api.example.test/v1"], "is no http or https URL"),
        (["run", "--base-url", "ftp://h/v1"], "is no http or https URL"),
        (["run", "--base-url", "http://u:p@127.0.0.1:1/v1"], "credentials do not belong into a URL"),
        (["run", "--base-url", "http://127.0.0.1:1/v1/chat/completions"], "leave /chat/completions out"),
        (["run", "--without", "tools"], "--without tools is ambiguous: say capability:tools"),
        (["run", "--without", "tolos"], "nothing is called 'tolos'"),
        (["run", "--without", "core"], "no endpoint to certify"),
        (["run", "--dialect", "nobody"], "no dialect is called 'nobody'"),
        (["run", "--dialect", "missing.yaml"], "cannot read the dialect file missing.yaml"),
        (["run", "--header", "Authorization: Bearer x"], "Authorization carries a credential"),
        (["run", "--header", "x-api-key: x"], "--api-key-env"),
        (["run", "--header", "no colon"], "write 'Name: value'"),
        (["run", "--header", "bad name: x"], "'bad name' is no header name"),
        (["run", "--header", "A: b\r\nC: d"], "characters that no header may hold"),
        (["run", "--header-env", "X-Tenant=NOT_SET"], "the variable NOT_SET is not set"),
        (["run", "--header-env", "Cookie=HOME"], "Cookie carries a credential"),
        (["run", "--base-url", "http://127.0.0.1:1/v1", "--api-key-env", "sk-abc"], "a key is never an argument"),
        (["run", "--base-url", "http://127.0.0.1:1/v1", "--api-key-env", "NOT_SET"], "NOT_SET is not set"),
        (["run", "--base-url", "http://127.0.0.1:1/v1", "--fault", "x"], "--fault is for the embedded endpoint"),
        (["run", "--effort", "huge"], "'huge' is not one of"),
        (["run", "--concurrency", "0"], "--concurrency: 0 is not above 0"),
        (["run", "--rate", "fast"], "--rate: 'fast' is no number of requests per second"),
        (["run", "--fixtures", "nowhere"], "there is no directory nowhere"),
        (["run", "--format", "pdf"], "there is no format 'pdf'"),
        (["run", "--baseline", "x.json"], "--baseline: cannot read x.json: No such file"),
        (["run", "--waivers", "nowhere.yaml"], "--waivers: cannot read nowhere.yaml: No such file"),
        (["waive", "nowhere"], "cannot read nowhere"),
        (["waive", "nowhere", "--expires", "soon"], "--expires: 'soon' is no day, such as 2030-12-31"),
        (["serve", "--fault", "no-such-fault"], "nothing is called 'no-such-fault'"),
        (["verify", "nowhere"], "cannot read nowhere"),
        (["replay", "nowhere", "sse.x"], "cannot read nowhere"),
        (["audit", "nowhere.jsonl"], "nowhere.jsonl"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_one_sentence_for_each_problem(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "NOT_SET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out, errors = capsys.readouterr()
    assert end.value.code == 2, out + errors
    assert said in errors
    assert len(errors.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "tool_chioce"], "did you mean tool_choice"),
        (["run", "--fault", "no-such-fault"], "--fault: nothing is called 'no-such-fault'"),
        (["run", "--probe", "no-such-probe"], "--probe: nothing is called 'no-such-probe'"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_a_problem_is_exit_code_2_of_the_process(cli, arguments, said):
    done = cli(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(cli.cwd.iterdir()) == []


def test_a_dialect_file_that_is_no_yaml_is_told_with_its_line(cli):
    (cli.cwd / "mine.yaml").write_text("name: mine\nextends: [openai\n")
    done = cli("run", "--dialect", "mine.yaml")
    assert done.returncode == 2
    assert "mine.yaml, line 3: this is no readable YAML" in done.stderr


def test_a_secret_in_a_header_is_not_told_when_the_name_is_refused(cli):
    done = cli("run", "--header", "Authorization: Bearer sk-secret-in-argument")
    assert "sk-secret" not in done.stdout + done.stderr
