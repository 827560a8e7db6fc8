import pytest

from conformance.catalogue.model import Area, Level
from conformance.verdict.selection import SelectionError, exclude, scope, select, standings
from tests.verdict_builders import AREAS, catalogue, dialect, requirement

ROWS = catalogue(
    requirement("tools.a"),
    requirement("tools.b"),
    requirement("tool_choice.none.makes_no_call"),
    requirement("tool_choice.none.is_accepted"),
    requirement("logprobs.top", "SHOULD"),
    requirement("sse.other", dialects=("xerotier",)),
    requirement("sse.untestable", excluded="only the server sees it"),
)
PLAIN = dialect()


def known():
    return standings(ROWS, PLAIN)


def test_rows_of_other_dialects_are_not_there():
    assert "sse.other" not in known()


def test_untestable_rows_are_there_with_their_reason():
    assert known()["sse.untestable"].excluded == "only the server sees it"


@pytest.mark.parametrize(
    ("selector", "count"),
    [("tools", 2), ("tools.a", 1), ("tool_choice.*", 2), ("*", 6), ("tool_choice.none.makes_no_call", 1)],
)
def test_areas_ids_and_globs(selector, count):
    assert len(select(known(), [selector], ROWS)) == count


def test_no_selector_is_everything():
    assert len(select(known(), [], ROWS)) == 6


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ("tool_chioce", "did you mean tool_choice"),
        ("tool_choice.none", "did you mean tool_choice.none.*?"),
        ("sse.other", "it stands in xerotier"),
        ("nothing-like-it", "nothing is called 'nothing-like-it'"),
    ],
)
def test_a_selector_that_names_nothing(selector, said):
    with pytest.raises(SelectionError, match=said.replace("*", r"\*").replace("?", r"\?")):
        select(known(), [selector], ROWS)


def test_a_name_of_both_an_area_and_a_capability_is_ambiguous():
    with pytest.raises(SelectionError, match="ambiguous: say capability:tools"):
        exclude(known(), ["tools"], AREAS)


@pytest.mark.parametrize(
    ("name", "ids", "capabilities"),
    [
        ("area:tools", {"tools.a", "tools.b"}, set()),
        (
            "capability:tools",
            {"tools.a", "tools.b", "tool_choice.none.makes_no_call", "tool_choice.none.is_accepted"},
            {"tools"},
        ),
        ("logprobs", {"logprobs.top"}, {"logprobs"}),
        ("tool_choice", {"tool_choice.none.makes_no_call", "tool_choice.none.is_accepted"}, set()),
        ("tools.a", {"tools.a"}, set()),
    ],
)
def test_without(name, ids, capabilities):
    found = exclude(known(), [name], AREAS)
    assert {item.id for item in found.standings.values() if item.excluded == f"--without {name}"} == ids
    assert found.excluded_capabilities == capabilities
    assert not ids & set(found.judged)


@pytest.mark.parametrize(
    ("name", "capabilities"),
    [
        ("storage", {"storage"}),
        ("capability:storage", {"storage"}),
        ("area:storage", set()),
        ("streaming", {"streaming"}),
        ("usage", set()),
    ],
)
def test_without_a_chapter_that_has_no_rows_here(name, capabilities):
    chapters = {"storage": Area("storage", "Storage", "18", "storage"), "usage": Area("usage", "Usage", "7", "core")}
    found = exclude(known(), [name], AREAS | chapters)
    assert found.excluded_capabilities == capabilities
    assert found.judged == tuple(name for name, item in known().items() if item.excluded is None)


@pytest.mark.parametrize(
    ("name", "said"),
    [("logprob", "did you mean logprobs"), ("level:must", "only capability: and area:"), ("tools.z", "nothing is")],
)
def test_without_a_name_that_is_none(name, said):
    with pytest.raises(SelectionError, match=said):
        exclude(known(), [name], AREAS)


def test_a_user_dialect_switches_off_and_re_levels():
    mine = dialect(
        tools__a={"off": "our gateway has no tools"},
        logprobs__top={"level": "MUST", "basis": "prose", "source": "https://example.test/contract"},
    )
    found = standings(ROWS, mine)
    assert found["tools.a"].excluded == "the dialect mine says: our gateway has no tools"
    assert found["logprobs.top"].claim.level is Level.MUST
    assert found["logprobs.top"].claim.source == "https://example.test/contract"


def test_a_user_dialect_adds_a_row_of_another_dialect():
    words = {"level": "SHOULD", "basis": "prose", "source": "https://example.test/contract"}
    assert standings(ROWS, dialect(sse__other=words))["sse.other"].claim.level is Level.SHOULD
    with pytest.raises(SelectionError, match="needs level, basis and source"):
        standings(ROWS, dialect(sse__other={"level": "SHOULD"}))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"tools__aa": {"off": "no"}}, "there is no requirement tools.aa: did you mean tools.a"),
        ({"tools__a": {"level": "MUST", "basis": "memory"}}, "SHOULD at most"),
    ],
)
def test_a_user_dialect_that_cannot_be(rows, said):
    with pytest.raises(SelectionError, match=said):
        standings(ROWS, dialect(**rows))


def test_scope_narrows_and_excludes():
    found = scope(ROWS, PLAIN, ["tools", "logprobs"], ["logprobs"])
    assert list(found.standings) == ["tools.a", "tools.b", "logprobs.top"]
    assert found.judged == ("tools.a", "tools.b")
    assert found.narrowed(["tools.b"]).judged == ("tools.b",)
