import base64

from conformance.reporting import build
from conformance.reporting.text import LONGEST, printable
from conformance.rules.base import Finding, Part
from conformance.rules.judge import Judgement
from conformance.verdict.fold import fold, tally
from conformance.verdict.smallest import Smallest
from conformance.wire.exchange import Request
from conformance.wire.redaction import Secrets
from conformance.wire.traces import Contrast, Single
from tests.verdict_builders import broken, exchange, held, requirement, scope

SECRETS = Secrets(frozenset({"sk-very-secret-key"}))


def told(judgements, smallest=()):
    results = fold(tally(judgements), scope(requirement("tools.a")))
    by_place = {(found.requirement, found.place): found for found in smallest}
    return build.row(results[0], by_place, SECRETS, lambda request: f"curl {request.path}")


def test_without_shrinking_the_first_trace_is_shown():
    row = told([broken("tools.a"), held("tools.a")])
    found = row.findings[0]
    assert (row.exercised, row.violated, found.count) == (2, 1, 1)
    assert found.steps[0].body == {"model": "m", "messages": []}
    assert found.steps[0].curl == "curl /chat/completions"
    assert found.minimal is False
    assert found.confirmed is None


def test_the_smallest_steps_are_shown_at_their_place():
    small = Smallest("tools.a", "body:/choices/*/index", (exchange(9), exchange(10)), True, (3, 3))
    row = told([broken("tools.a"), broken("tools.a", "/id", 2)], [small])
    by_pointer = {found.where.pointer: found for found in row.findings}
    assert len(by_pointer["/choices/0/index"].steps) == 2
    assert by_pointer["/choices/0/index"].confirmed == (3, 3)
    assert len(by_pointer["/id"].steps) == 1


def test_the_relation_is_told_for_replay():
    finding = Finding("e1", Part.SEQUENCE, "a", "b", "")
    trace = Contrast((exchange(1), exchange(2)), "/tool_choice")
    found = told([Judgement("tools.a", trace, (finding,))]).findings[0]
    assert (found.relation, found.about) == ("contrast", "/tool_choice")


def test_no_secret_is_told():
    finding = Finding("e1", Part.BODY, "no key", "you sent sk-very-secret-key", "/error/message")
    made = told([Judgement("tools.a", Single((exchange(),)), (finding,))])
    assert "sk-very-secret-key" not in repr(made)
    assert made.findings[0].observed == "you sent " + "*" * 18


def step(body):
    return build.step(Request(body=body), lambda request: "")


def test_plain_json_is_told_as_json():
    assert (step(b'{"a":1}').body, step(b'{"a":1}').body_base64) == ({"a": 1}, None)


def test_what_json_cannot_say_exactly_is_told_as_bytes():
    for body in (b"{", b'{"a": 1}', b'{"a":NaN}', b'{"a":1e999}', b'{"a":1,"a":2}', b"\xff", b"[" * 200 + b"]" * 200):
        found = step(body)
        assert found.body_base64 is not None, body
        assert base64.b64decode(found.body_base64) == body
    assert step(b'{"a": 1}').body == {"a": 1}
    assert step(b'{"a":1e999}').body is None


def test_text_from_outside_is_bounded():
    assert len(printable("x" * 10_000)) < LONGEST + 60
    assert printable("x" * 10_000, None) == "x" * 10_000
    assert printable("caffè ☕\n") == "caffè ☕\n"
    assert printable("\x1b[0m\ud800\U000e0001") == "\\x1b[0m\\ud800\\U000e0001"
