"""Log probabilities by near misses: what a model, a tokenizer or the document leaves open is never a finding."""

from __future__ import annotations

from itertools import product
from time import process_time
from typing import Any

import pytest

from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load as load_dialect
from conformance.rules import load
from conformance.rules.base import Reason, Rule, Terms
from conformance.rules.judge import Judgement, judge
from conformance.rules.logprobs_top import repeated
from conformance.rules.logprobs_view import Entry, every_entry
from conformance.wire.traces import Contrast, Parity, Single

Fields = dict[str, Any]


def entry(data: str | bytes, logprob: Any = -0.3, *top: tuple[str, float], **changes: Any) -> Fields:
    """An entry for a token; alternatives as (text, value)."""
    raw = data.encode() if isinstance(data, str) else data
    listed = [{"token": text, "logprob": value, "bytes": list(text.encode())} for text, value in top]
    made = {"token": raw.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(raw), "top_logprobs": listed}
    return {**made, **changes}


def given(*entries: Fields, **changes: Any) -> Fields:
    """A logprobs object."""
    return {"content": list(entries), "refusal": None, **changes}


def spec(content: Any, logprobs: Any, **request: Any) -> Fields:
    """An unstreamed answer to a request for log probabilities."""
    return {
        "request": {"logprobs": True, **request},
        "message": {"content": content},
        "choice": {"logprobs": logprobs},
        "top": {"usage": {"prompt_tokens": 9, "completion_tokens": 20, "total_tokens": 29}},
    }


def stream(*chunks: tuple[Fields, Any], finish: Any = None, **request: Any) -> Fields:
    """A streamed answer: (delta, logprobs) for each chunk, and `finish` as the logprobs of the last."""
    parts = [{"index": 0, "delta": delta, "logprobs": value, "finish_reason": None} for delta, value in chunks]
    parts.append({"index": 0, "delta": {}, "logprobs": finish, "finish_reason": "stop"})
    return {"request": {"logprobs": True, **request}, "chunks": [{"choices": [part]} for part in parts]}


def said(name: str, *specs: Fields, dialect: str = "openai", about: str = "") -> Judgement:
    """What a rule says of one exchange, of a contrast, or of three exchanges as a parity."""
    rule = load()[f"logprobs.{name}"]
    assert isinstance(rule, Rule)
    exchanges = tuple(exchange(item, number) for number, item in enumerate(specs, 1))
    trace = Single(exchanges) if len(specs) == 1 else Contrast(exchanges, about) if about else Parity(exchanges)
    return judge(rule, trace, Terms(load_dialect(dialect)))


def held(name: str, *specs: Fields, **more: Any) -> bool:
    return said(name, *specs, **more).held


def found(name: str, *specs: Fields, **more: Any) -> str:
    """The place and the observation of the first finding; empty where there is none."""
    judgement = said(name, *specs, **more)
    assert judgement.error is None
    return f"{judgement.findings[0].pointer} {judgement.findings[0].observed}" if judgement.findings else ""


def reason(name: str, *specs: Fields, **more: Any) -> Reason | None:
    vacuous = said(name, *specs, **more).vacuous
    return vacuous.reason if vacuous is not None else None


HI = entry("Hi")
TOP = entry("Hi", -0.3, ("Hi", -0.3), ("Hey", -1.9))


def test_a_finding_names_position_token_and_bytes() -> None:
    wrong = spec("Hi you", given(HI, entry(" you", 0.5)))
    assert found("value.is_not_positive", wrong) == (
        '/choices/0/logprobs/content/1/logprob 0.5 (token 1 " you" [32, 121, 111, 117])'
    )


def test_positions_count_over_the_chunks_of_a_stream() -> None:
    wrong = stream(({"role": "assistant", "content": "Hi"}, given(HI)), ({"content": "!"}, given(entry("!", 0.5))))
    judgement = said("value.is_not_positive", wrong)
    assert judgement.findings[0].chunk == 1
    assert "token 1 " in judgement.findings[0].observed


@pytest.mark.parametrize("value", [None, {"content": None, "refusal": None}, {"content": [], "refusal": None}])
def test_nothing_given_is_nothing_whatever_its_form(value: Any) -> None:
    silent = {"request": {"logprobs": None}, "choice": {"logprobs": value}}
    assert held("default.is_off", silent)


@pytest.mark.parametrize("value", [-0.04, given(HI), [HI]])
def test_something_given_unasked_is_found(value: Any) -> None:
    assert found("default.is_off", {"choice": {"logprobs": value}})


def test_what_is_not_asked_for_has_no_form() -> None:
    assert reason("object.has_the_form_of_chat", {"choice": {"logprobs": -0.04}}) is Reason.NOT_APPLICABLE


@pytest.mark.parametrize("status", [401, 404, 429])
def test_other_refusals_say_nothing_of_the_value(status: int) -> None:
    assert reason("top.out_of_range_is_refused", {**spec("", None, top_logprobs=21), "status": status}) is not None


@pytest.mark.parametrize(("value", "judged"), [(3.0, False), (None, False), ("3", True), (True, True), (1.5, True)])
def test_an_integer_may_be_written_with_a_fraction_of_zero(value: Any, judged: bool) -> None:
    assert bool(found("top.non_integer_is_refused", spec("Hi", given(HI), top_logprobs=value))) is judged


def test_a_range_is_judged_only_where_log_probabilities_are_given_at_all() -> None:
    refused = {**spec("", None, top_logprobs=20), "status": 400, "error": {"param": "logprobs"}}
    control = {**spec("", None), "status": 400, "error": {"param": "logprobs"}}
    name = "top.whole_range_is_accepted"
    assert reason(name, control, refused, about="/top_logprobs") is Reason.NO_CONTROL
    assert found(name, spec("Hi", given(HI)), refused, about="/top_logprobs")
    assert reason(name, spec("Hi", given(HI)), {**refused, "status": 503}, about="/top_logprobs") is Reason.TRANSPORT


def test_refusing_log_probabilities_is_no_violation() -> None:
    refused = {**spec("", None), "status": 400, "error": {"param": "logprobs"}}
    assert reason("choices.have_entries", refused) is Reason.REFUSED


@pytest.mark.parametrize("value", [None, {"content": None, "refusal": None}, {"content": [], "refusal": None}])
def test_an_empty_text_needs_no_entries(value: Any) -> None:
    assert reason("choices.have_entries", spec("", value)) is Reason.MODEL_FREE
    assert found("choices.have_entries", spec("Hi", value))


def test_the_second_choice_counts() -> None:
    choices = [
        {"message": {"content": "Hi"}, "logprobs": given(HI)},
        {"message": {"content": "Hi"}, "logprobs": None},
    ]
    both = {"request": {"logprobs": True, "n": 2}, "choices": choices}
    assert found("choices.have_entries", both).startswith("/choices/1/")


def test_a_server_error_is_held_against_what_few_servers_know_only() -> None:
    plain = {"request": {"response_format": {"type": "json_object"}}, "message": {"content": "{}"}}
    failed = {
        "request": {"response_format": {"type": "json_object"}, "logprobs": True},
        "status": 500,
        "error": {"type": "server_error"},
    }
    name = "value.causes_no_server_error"
    assert found(name, plain, failed, about="/logprobs")
    assert reason(name, {**plain, "status": 500}, failed, about="/logprobs") is Reason.NO_CONTROL
    assert reason(name, plain, {**failed, "status": 503}, about="/logprobs") is Reason.TRANSPORT
    simple = ({"message": {"content": "Hi"}}, {"request": {"logprobs": True}, "status": 500, "error": {}})
    assert reason(name, *simple, about="/logprobs") is Reason.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("token", "data", "wrong"),
    [
        ("\\xe2\\x98", [226, 152], False),
        ("\ufffd", [226, 152], False),
        ("bytes:\\xe2", [226], False),
        ("<0xE2>", [226], False),
        (" щ\ufffd", [32, 209, 137, 208], False),
        (" щ\\xd0", [32, 209, 137, 208], False),
        ("é", [195, 169], False),
        ("Ġhi", [32, 104, 105], True),
        ("▁hi", [32, 104, 105], True),
        ("âĺ", [226, 152], True),
        ("☕", [149], True),
        ("e\u0301", [101, 204, 129], False),
        ("\u00e9", [101, 204, 129], True),
        ("", [], False),
    ],
)
def test_how_part_of_a_character_is_written_is_free(token: str, data: list[int], wrong: bool) -> None:
    answer = spec("x", given(HI, entry("", token=token, bytes=data)))
    assert bool(found("bytes.spell_the_token", answer)) is wrong


@pytest.mark.parametrize(
    ("value", "wrong"), [([], False), (None, False), ("YQ==", True), ([256], True), ([97.0], True)]
)
def test_bytes_are_judged_where_they_are_given(value: Any, wrong: bool) -> None:
    assert bool(found("bytes.are_bytes", spec("Hi", given(HI, entry("a", bytes=value))))) is wrong


@pytest.mark.parametrize(("token", "wrong"), [("a", True), ("\ufffd", False), ("", False)])
def test_bytes_may_be_null_where_there_are_none(token: str, wrong: bool) -> None:
    answer = spec("Hi", given(HI, entry("", token=token, bytes=None)))
    assert bool(found("bytes.are_given", answer)) is wrong


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (0, None),
        (-0.0, None),
        (5e-7, None),
        (-9999.0, None),
        (-9999, None),
        (-104.2, None),
        (2e-6, "is_not_positive"),
        (-10001.0, "is_above_the_floor"),
        (-3.4028234663852886e38, "is_above_the_floor"),
        (float("-inf"), "is_finite"),
        (float("nan"), "is_finite"),
        (float("inf"), "is_finite"),
        (-(10**400), "is_finite"),
    ],
)
def test_each_wrong_value_has_one_rule(value: Any, rule: str | None) -> None:
    answer = spec("Hi", given(entry("Hi", value)))
    names = ("is_not_positive", "is_above_the_floor", "is_finite")
    assert [name for name in names if found(f"value.{name}", answer)] == ([] if rule is None else [rule])


def test_alternatives_are_valued_too() -> None:
    answer = spec("Hi", given(entry("Hi", -0.3, ("Hi", -0.3), ("Hey", 0.4))), top_logprobs=2)
    assert "/top_logprobs/1/logprob" in found("value.is_not_positive", answer)


@pytest.mark.parametrize(
    ("text", "entries", "finish", "stop", "wrong"),
    [
        ("Hi", [HI], "stop", None, False),
        ("Hi", [HI, entry("!")], "stop", None, True),
        ("Hi", [HI, entry("!")], "stop", ["!"], False),
        ("Hi", [entry("Hi!")], "stop", ["!"], False),
        ("Hi", [HI, entry("!")], "length", ["!"], True),
        ("Hi", [entry(" Hi")], "stop", None, True),
        ("Hi", [entry("H"), entry("i", bytes=None)], "stop", None, False),
        ("Hi", [HI, entry("", token="", bytes=[])], "stop", None, False),
    ],
)
def test_what_joins_to_the_text(text: str, entries: list[Fields], finish: str, stop: Any, wrong: bool) -> None:
    answer = spec(text, given(*entries), **({"stop": stop} if stop else {}))
    answer["choice"]["finish_reason"] = finish
    assert bool(found("bytes.join_to_the_text", answer)) is wrong


@pytest.mark.parametrize(
    ("text", "entries", "finish", "wrong"),
    [
        ("☕", [entry(b"\xe2\x98"), entry(b"\x95")], "stop", False),
        ("a☕", [entry("a"), entry(b"\xe2\x98")], "stop", True),
        ("a", [entry("a"), entry(b"\xe2\x98")], "length", False),
        ("a\ufffd", [entry("a"), entry(b"\xe2\x98")], "length", False),
        ("\ufffd", [entry("\ufffd")], "stop", False),
        ("\ufffd\ufffd", [entry(b"\xff"), entry(b"\xfe")], "stop", False),
        ("e\u0301", [entry("\u00e9")], "stop", True),
        ("a\u0001\u0000", [entry("a"), entry("\u0001"), entry("\u0000")], "stop", False),
    ],
)
def test_what_joins_beyond_ascii(text: str, entries: list[Fields], finish: str, wrong: bool) -> None:
    answer = spec(text, given(*entries))
    answer["choice"]["finish_reason"] = finish
    name = "bytes.join_to_the_text" if text.isascii() else "bytes.join_beyond_ascii"
    assert bool(found(name, answer)) is wrong


def test_a_model_that_stays_in_ascii_exercises_nothing_beyond() -> None:
    assert reason("bytes.join_beyond_ascii", spec("Hi", given(HI))) is Reason.MODEL_FREE
    assert reason("bytes.join_to_the_text", spec("é", given(entry("é")))) is Reason.MODEL_FREE


def test_a_filtered_answer_is_not_put_together() -> None:
    answer = spec("Hi", given(HI, entry(" you")))
    answer["choice"]["finish_reason"] = "content_filter"
    assert reason("bytes.join_to_the_text", answer) is Reason.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("asked", "listed", "many", "few"), [(None, 1, True, False), (2, 3, True, False), (3, 2, False, True)]
)
def test_how_many_alternatives(asked: Any, listed: int, many: bool, few: bool) -> None:
    top = [("Hi", -0.3), ("Hey", -1.9), ("Yo", -2.9)][:listed]
    answer = spec("Hi", given(entry("Hi", -0.3, *top)), **({} if asked is None else {"top_logprobs": asked}))
    assert bool(found("top.at_most_as_asked", answer)) is many
    assert bool(found("top.as_many_as_asked", answer)) is few


@pytest.mark.parametrize(
    "request_",
    [{"response_format": {"type": "json_object"}}, {"tools": [{"type": "function"}]}, {"logit_bias": {"1": 5}}],
)
def test_fewer_alternatives_are_fine_where_the_request_narrows_them_down(request_: Fields) -> None:
    answer = spec("Hi", given(TOP), top_logprobs=5, **request_)
    assert reason("top.as_many_as_asked", answer) is Reason.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("top", "sorts", "distinct", "sums"),
    [
        ([("Hi", -0.7), ("Hey", -0.7)], True, True, True),
        ([("Hi", -0.7), ("Hey", -0.6999995)], True, True, True),
        ([("Hi", -0.7), ("Hey", -0.69)], False, True, True),
        ([("Hi", -0.8), ("Hi", -0.8)], True, False, True),
        ([("Hi", -0.1), ("Hey", -0.2)], True, True, False),
        ([("Hi", -0.0), ("Hey", -9999.0)], True, True, True),
    ],
)
def test_lists_of_alternatives(top: list[tuple[str, float]], sorts: bool, distinct: bool, sums: bool) -> None:
    answer = spec("Hi", given(entry("Hi", top[0][1], *top)), top_logprobs=2)
    names = ("are_sorted", "are_distinct", "sum_to_at_most_one")
    assert [held(f"top.{name}", answer) for name in names] == [sorts, distinct, sums]


def test_a_whole_vocabulary_of_alternatives_is_judged_in_linear_time() -> None:
    kinds: list[dict[str, Any]] = [{"token": "a"}, {"token": "b"}, {"bytes": [97]}, {"token": "a", "bytes": [97]}, {}]
    piece = next(every_entry(exchange(spec("Hi", given(entry("Hi", -0.7))), 1))).piece
    for raws in product(kinds, repeat=3):
        top = [Entry(piece, "", 0, raw) for raw in raws]
        expected = [other for at, other in enumerate(top) if any(other.is_the_token_of(item) for item in top[:at])]
        assert list(map(id, repeated(top))) == list(map(id, expected))
    many = [{"token": str(number), "logprob": -9.0, "bytes": list(str(number).encode())} for number in range(20_000)]
    started = process_time()
    assert held("top.are_distinct", spec("x", given(entry("x", -2.0, top_logprobs=many)), top_logprobs=2))
    assert process_time() - started < 10


def test_equal_texts_of_different_bytes_are_two_tokens() -> None:
    parts = [{"token": "\ufffd", "logprob": -1.0 - last, "bytes": [226, last]} for last in (152, 153)]
    assert held("top.are_distinct", spec("x", given(entry("x", -2.0, top_logprobs=parts)), top_logprobs=2))


@pytest.mark.parametrize(
    ("value", "agrees", "likeliest"), [(-0.3, True, True), (-0.9, False, True), (-9999.0, True, True)]
)
def test_the_chosen_among_its_alternatives(value: float, agrees: bool, likeliest: bool) -> None:
    answer = spec("Hi", given(entry("Hi", value, ("Hi", -0.3), ("Hey", -1.9))), top_logprobs=2)
    assert (not found("top.agree_on_the_chosen", answer)) is agrees
    assert (not found("top.are_the_likeliest", answer)) is likeliest


@pytest.mark.parametrize(("value", "wrong"), [(-2.5, False), (-9999.0, False), (-1.9, False), (-1.8, True)])
def test_a_chosen_token_outside_of_its_list(value: float, wrong: bool) -> None:
    answer = spec("Yo", given(entry("Yo", value, ("Hi", -0.3), ("Hey", -1.9))), top_logprobs=2)
    assert bool(found("top.are_the_likeliest", answer)) is wrong


def greedy(leading: int, others: int, **request: Any) -> Fields:
    """So many positions that lead with the chosen token, and so many that do not."""
    right = [entry(f" {n}", -0.3, (f" {n}", -0.3)) for n in range(leading)]
    wrong = [entry(f" {n}", -2.3, ("x", -0.3)) for n in range(others)]
    text = "".join(item["token"] for item in (*right, *wrong))
    return spec(text, given(*right, *wrong), top_logprobs=1, **{"temperature": 0, **request})


def test_the_greedy_choice_may_miss_some_positions() -> None:
    name = "top.lead_with_the_greedy_choice"
    assert held(name, greedy(2, 2))
    assert found(name, greedy(2, 3))
    assert reason(name, greedy(0, 2)) is Reason.CUT_BY_LIMIT
    assert reason(name, greedy(0, 5, temperature=0.1)) is Reason.NOT_APPLICABLE
    assert reason(name, greedy(0, 5, presence_penalty=1)) is Reason.NOT_APPLICABLE


def test_a_word_said_again_may_have_the_same_alternatives() -> None:
    ha = entry("ha", -0.3, ("ha", -0.3), ("ho", -1.9))
    assert reason("top.go_with_their_position", spec("hahaha", given(ha, ha, ha))) is Reason.CUT_BY_LIMIT
    same = [entry(text, -2.0, ("ha", -0.3), ("ho", -1.9)) for text in ("a", "b", "c")]
    assert found("top.go_with_their_position", spec("abc", given(*same)))
    assert held("top.go_with_their_position", spec("abc", given(*same[:2], entry("c", -2.0, ("ha", -0.31)))))


@pytest.mark.parametrize(("counted", "hidden", "wrong"), [(3, 0, False), (2, 0, False), (1, 0, True), (10, 9, True)])
def test_entries_are_counted_without_hidden_reasoning(counted: int, hidden: int, wrong: bool) -> None:
    answer = spec("Hi", given(entry("H"), entry("i")))
    details = {"completion_tokens_details": {"reasoning_tokens": hidden}}
    answer["top"]["usage"] |= {"completion_tokens": counted, **details}
    assert bool(found("entries.are_no_more_than_tokens", answer)) is wrong


@pytest.mark.parametrize("usage", ["<absent>", None, {"completion_tokens": 0}, {"completion_tokens": 1.5}])
def test_entries_are_compared_with_nothing_where_no_count_is_told(usage: Any) -> None:
    answer = spec("Hi", given(entry("H"), entry("i")), max_tokens=1)
    answer["top"] = {"usage": usage}
    assert reason("entries.are_no_more_than_tokens", answer) is Reason.NOT_APPLICABLE


def test_several_choices_may_be_counted_as_one() -> None:
    """llama.cpp counts the tokens of the first choice alone: no fault of its entries."""
    choice = {"message": {"content": "Hi"}, "logprobs": given(entry("H"), entry("i"))}
    answer = {"request": {"logprobs": True, "n": 2}, "choices": [choice, choice]}
    for counted, wrong in ((2, False), (1, True)):
        answer["top"] = {"usage": {"prompt_tokens": 9, "completion_tokens": counted, "total_tokens": 9 + counted}}
        assert bool(found("entries.are_no_more_than_tokens", answer)) is wrong


def test_control_tokens_that_spell_nothing_are_not_compared() -> None:
    nothing = {"token": "", "bytes": []}
    top = [{**nothing, "logprob": -0.1}, {**nothing, "logprob": -3.0}, *entry("x", 0, ("Hi", -4.0))["top_logprobs"]]
    answer = spec("Hi", given(HI, entry("", -0.1, top_logprobs=top)), top_logprobs=3)
    for name in ("are_distinct", "agree_on_the_chosen", "are_the_likeliest"):
        assert not found(f"top.{name}", answer)
    answer = spec("Hi", given(entry("Hi", -0.2, top_logprobs=[*top, *top[2:]])), top_logprobs=4)
    assert found("top.are_distinct", answer)


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_text_beside_calls_has_entries() -> None:
    answer = spec("Hi", given(HI))
    answer["message"]["tool_calls"] = [CALL]
    assert reason("content.leaves_calls_out", answer) is Reason.NOT_APPLICABLE
    assert held("bytes.join_to_the_text", answer)


def test_a_refusal_may_stand_beside_nothing_only() -> None:
    name = "refusal.has_entries_of_its_own"
    answer = spec(None, given(content=None, refusal=[entry("No")]))
    answer["message"]["refusal"] = "No"
    assert held(name, answer)
    assert found(name, {**answer, "choice": {"logprobs": None}})
    assert found(name, {**answer, "choice": {"logprobs": given(content=None, refusal=[entry("Yes")])}})


ROLE: Fields = {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("chunks", "finish", "rules"),
    [
        ([(ROLE, None), ({"content": "H"}, given(entry("H"))), ({"content": "i"}, given(entry("i")))], None, []),
        ([(ROLE, given()), ({"content": "Hi"}, given(entry("H"), entry("i")))], given(), []),
        ([(ROLE, given(entry(b"\xe2\x98"))), ({"content": "☕"}, given(entry(b"\x95")))], None, []),
        ([({"content": ""}, given(entry(b" \xe2\x98"))), ({"content": " ☕"}, given(entry(b"\x95")))], None, []),
        ([({"content": "H"}, None), ({"content": "i"}, given(entry("H"), entry("i")))], None, ["each", "of_chunk"]),
        ([({"content": "H"}, given(entry("H"))), ({"content": "i"}, None)], given(entry("i")), ["each", "beside"]),
        ([({"content": "H"}, given(entry("H"))), ({"content": "i"}, given(entry("i")))], given(entry("i")), ["beside"]),
        (
            [({"content": "H"}, given(entry("H"), entry("i"))), ({"content": "ii"}, given(entry("i")))],
            None,
            ["of_chunk"],
        ),
        ([({"content": "H"}, None), ({"content": "i"}, None)], None, []),
    ],
)
def test_where_a_stream_s_entries_stand(chunks: list[tuple[Fields, Any]], finish: Any, rules: list[str]) -> None:
    names = {"each": "each_text_has_entries", "of_chunk": "entries_are_of_their_chunk", "beside": "none_beside_text"}
    answer = stream(*chunks, finish=finish)
    assert [short for short, name in names.items() if found(f"stream.{name}", answer)] == rules


def test_a_stream_that_broke_off_is_not_judged() -> None:
    answer = {**stream(({"content": "Hi"}, given(entry("x")))), "end": "reset"}
    assert reason("bytes.join_to_the_text", answer) is Reason.TRANSPORT


PLAIN = spec("Hi", given(entry("H", -0.2), entry("i", -0.1)), temperature=0)


def streamed(*values: float) -> Fields:
    entries = [entry(text, value) for text, value in zip("Hi", values, strict=True)]
    return stream(({"role": "assistant", "content": "Hi"}, given(*entries)), temperature=0)


def test_values_may_drift_between_answers() -> None:
    assert held("parity.same_values", PLAIN, PLAIN, streamed(-0.24, -0.1))
    assert found("parity.same_values", PLAIN, PLAIN, streamed(-0.26, -0.1))
    other = spec("Hi", given(entry("H", -0.3), entry("i", -0.1)), temperature=0)
    assert reason("parity.same_values", PLAIN, other, streamed(-0.9, -0.1)) is Reason.MODEL_FREE


def test_tokens_are_compared_where_the_unstreamed_answers_agree() -> None:
    whole = stream(({"role": "assistant", "content": "Hi"}, given(HI)), temperature=0)
    assert found("parity.same_tokens", PLAIN, PLAIN, whole)
    assert reason("parity.same_tokens", PLAIN, whole) is Reason.NO_CONTROL
    assert reason("parity.same_tokens", PLAIN, spec("Hi", given(HI), temperature=0), whole) is Reason.MODEL_FREE
    free = stream(({"role": "assistant", "content": "Hi"}, given(HI)))
    assert reason("parity.same_tokens", PLAIN, PLAIN, free) is Reason.NOT_APPLICABLE


def test_an_entry_of_nothing_is_one_rule_s() -> None:
    nothing = entry("", -0.1, ("", -28.0), token="", bytes=[])
    plain = spec("Hi", given(entry("H", -0.2), entry("i", -0.1), nothing), temperature=0, top_logprobs=1)
    plain["top"]["usage"]["completion_tokens"] = 2
    assert found("entry.is_of_the_text", plain)
    assert held("entries.are_no_more_than_tokens", plain)
    assert held("parity.same_tokens", plain, plain, streamed(-0.2, -0.1))


@pytest.mark.parametrize("top", [-1, 1.5, "3", 100_000])
def test_what_comes_of_a_request_that_ought_to_be_refused_is_not_judged(top: Any) -> None:
    answer = spec("Hi", given(entry("Hi", 0.5, ("Hi", -0.1), ("Hi", -0.1))), top_logprobs=top)
    names = ("value.is_not_positive", "top.are_distinct", "top.at_most_as_asked", "choices.have_entries")
    assert [name for name in names if reason(name, answer) is not Reason.NOT_APPLICABLE] == []
    name = "top.out_of_range_is_refused" if isinstance(top, int) else "top.non_integer_is_refused"
    assert found(name, answer)


def test_longer_and_shorter_lists_are_told_apart() -> None:
    longer = stream(({"role": "assistant", "content": "Hi"}, given(entry("H"), entry("i"), entry("!"))), temperature=0)
    assert "3 tokens instead of 2" in found("parity.same_tokens", PLAIN, PLAIN, longer)
    shorter = stream(({"role": "assistant", "content": "Hi"}, given(entry("H"))), temperature=0)
    assert "1 tokens instead of 2" in found("parity.same_tokens", PLAIN, PLAIN, shorter)
