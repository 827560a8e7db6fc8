"""The waivers file and YAML files in general: one sentence with the line for each problem, and no value told."""

from datetime import date

import jsonschema
import pytest
import yaml

from conformance.suite import waivers_file, yaml_file
from conformance.suite.yaml_file import FileProblem
from conformance.verdict.outcome import Gap
from conformance.verdict.waivers import State, Told, Waiver
from tests.report_builders import report, row, violation

ENTRY = """\
waivers:
  - requirement: sse.*
    reason: the proxy
    owner: ana
    expires: 2030-12-31
"""


def load(tmp_path, text):
    path = tmp_path / "w.yaml"
    path.write_text(text, "utf-8")
    return waivers_file.load(path)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(yaml_file.schema("waivers"))


def test_a_waiver_is_read_with_what_it_leaves_out(tmp_path):
    assert load(tmp_path, ENTRY) == (Waiver("sse.*", "the proxy", "ana", date(2030, 12, 31)),)
    more = ENTRY + '    dialect: aurous\n    place: "body:/id"\n    link: https://host.test/1\n'
    found = load(tmp_path, more)[0]
    assert (found.dialect, found.place, found.link) == ("aurous", "body:/id", "https://host.test/1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY.replace("sse.*", "sse.*x"), "line 2: no requirement is called 'sse.*x'"),
        (
            ENTRY.replace("sse.*", "sse.encoding.is_utf9"),
            "line 2: no requirement is called 'sse.encoding.is_utf9': did you mean sse.encoding.is_utf8",
        ),
        (ENTRY.replace("the proxy", '""'), "line 3: reason is empty: fill it in"),
        (ENTRY.replace("the proxy", '"  "'), "line 3: reason is empty: fill it in"),
        (ENTRY.replace("ana", "''"), "line 4: owner is empty: fill it in"),
        (ENTRY.replace("2030-12-31", "2030-02-31"), "line 5: expires is no day of the calendar"),
        (ENTRY.replace("2030-12-31", "soon"), "line 5: expires does not fit: the last day on which it excuses"),
        (ENTRY.replace("    owner: ana\n", ""), "line 2: owner is missing"),
        (ENTRY.replace("owner", "onwer"), "line 4: there is nothing called 'onwer' here: did you mean owner"),
        (ENTRY.replace("the proxy", "[a, b]"), "line 3: reason has to be text"),
        (ENTRY.replace("the proxy", "true"), "line 3: reason has to be text"),
        (ENTRY + "    owner: bob\n", "line 6: 'owner' stands twice"),
        (ENTRY + "more: 1\n", "line 6: there is nothing called 'more' here"),
        ("waivers: 1\n", "line 1: waivers has to be a list"),
        ("- a\n", "line 1: the file has to be keys with values"),
        ("", "line 1: the file has to be keys with values"),
        ("waivers: [\n", "line 2: this is no readable YAML"),
        ("waivers: !!python/object:os.system []\n", "this is no readable YAML"),
        ("1: 2\n", "line 1: every key has to be text"),
        ("a: &x [1]\nb: *x\n", "line 1: anchors and aliases are not understood here"),
        ("[" * 5000, "nested too deeply"),
        ("a: \x00\n", "no readable YAML"),
    ],
)
def test_one_sentence_for_each_problem(tmp_path, text, said):
    with pytest.raises(FileProblem) as problem:
        load(tmp_path, text)
    assert said in str(problem.value)
    assert str(problem.value).startswith(str(tmp_path))
    assert "\n" not in str(problem.value)


def test_a_secret_in_the_wrong_place_is_not_told(tmp_path):
    secret = "sk-very-secret-0123456789abcdefghijklmnopqrstuv"
    for text in (
        ENTRY.replace("the proxy", f"[{secret}]"),
        ENTRY.replace("2030-12-31", secret),
        ENTRY + f"    {secret}: 1\n",
    ):
        with pytest.raises(FileProblem) as problem:
            load(tmp_path, text)
        assert secret not in str(problem.value)


def test_a_file_is_read_to_a_bound(tmp_path):
    with pytest.raises(FileProblem, match="larger than 1 MiB"):
        load(tmp_path, "#" * (1 << 20) + "\n" + ENTRY)
    (tmp_path / "w.yaml").write_bytes(b"\xff")
    with pytest.raises(FileProblem, match="not UTF-8"):
        waivers_file.load(tmp_path / "w.yaml")


def rendered(*rows, **changes):
    return waivers_file.render(report(*rows, **{"waivers": (), "gaps": (), **changes}), "ana", date(2030, 1, 2))


def test_a_first_file_holds_each_place_with_an_empty_reason():
    two = row("stream.index", "fail", "MUST", "lenient", violation(), places=("chunk:/a", "body:/b"))
    entries = yaml.safe_load(rendered(two, row("stream.fine")))["waivers"]
    assert [entry["place"] for entry in entries] == ["chunk:/a", "body:/b"]
    assert {(entry["reason"], entry["owner"], entry["expires"]) for entry in entries} == {("", "ana", "2030-01-02")}


def test_many_places_are_one_waiver_for_the_requirement():
    many = row("stream.index", "fail", "MUST", "lenient", violation(), places=tuple(f"body:/{n}" for n in range(9)))
    entries = yaml.safe_load(rendered(many))["waivers"]
    assert [(entry["requirement"], entry.get("place")) for entry in entries] == [("stream.index", None)]


def test_what_is_excused_is_kept_as_it_was_and_not_waived_again():
    known = Waiver("stream.*", 'he said: "no"\n# and', "bob", date(2029, 1, 1), place="body:/known")
    partly = row("stream.index", "fail", "MUST", "lenient", violation(), places=("body:/new", "body:/known"), excused=1)
    text = rendered(partly, waivers=(Told(known, State.USED, ("stream.index",)),))
    entries = yaml.safe_load(text)["waivers"]
    assert [(entry["place"], entry["reason"]) for entry in entries] == [
        ("body:/known", known.reason),
        ("body:/new", ""),
    ]


def test_nothing_violated_is_an_empty_file(tmp_path):
    assert load(tmp_path, rendered(row("stream.fine"))) == ()


def test_names_from_outside_stay_in_their_comment(tmp_path):
    wild = report(row("stream.fine"), waivers=())
    endpoint = type(wild.endpoint)("https://h.test/v1", "m\nwaivers: 1\n\x85x", "openai")
    text = rendered(row("stream.fine"), endpoint=endpoint)
    assert yaml.safe_load(text) == {"waivers": []}


@pytest.mark.parametrize("values", [[{"requirement": "x"}], [1], [{"expires": 1}], [{"expires": "never"}]])
def test_a_configuration_that_was_changed_by_hand_is_told(values):
    with pytest.raises(FileProblem, match="cannot be read"):
        waivers_file.from_values(values)


def test_values_come_back():
    given = (Waiver("a.*", "r", "o", date(2030, 1, 1), "openai", "body:/", "l"), Waiver("b", "r", "o", date.today()))
    assert waivers_file.from_values([waivers_file.as_values(waiver) for waiver in given]) == given
    assert waivers_file.from_values(None) == ()


def test_what_could_not_be_judged_is_waived_too_but_no_error():
    rows = row("stream.fine"), row("stream.quiet", "not_exercised"), row("stream.ours", "error")
    gaps = (Gap(("stream.quiet",), "not exercised: so it is"), Gap(("stream.ours",), "error: KeyError"))
    text = rendered(*rows, gaps=gaps)
    assert [entry["requirement"] for entry in yaml.safe_load(text)["waivers"]] == ["stream.quiet"]
    assert "(not exercised: so it is)" in text
