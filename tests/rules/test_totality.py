"""No rule of any area raises, whatever an endpoint sends: answers, streams and errors with wrong types everywhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance import rules
from conformance.dialects.loader import builtin_names
from conformance.dialects.loader import load as load_dialect
from conformance.rules.base import FoldRule, Rule, Terms
from conformance.rules.judge import judge, judge_run
from conformance.wire import strict_json
from conformance.wire.exchange import Exchange, Request
from conformance.wire.facts import Facts, derive
from conformance.wire.traces import Contrast, Conversation, Ladder, Lifecycle, Parity, Repeat, Single, Trace

RULES = rules.load()
SINGLES = [rule for rule in RULES.values() if isinstance(rule, Rule)]
FOLDS = [rule for rule in RULES.values() if isinstance(rule, FoldRule)]
DIALECTS = [load_dialect(name) for name in builtin_names()]

WORDS = (
    *("stop", "length", "tool_calls", "assistant", "chat.completion", "chat.completion.chunk", "auto", "none"),
    *("required", "function", "json_object", "json_schema", "invalid_request_error", "", "\ufffd", "\ud800", "null"),
    *("http://x/y", "req_0", "200", '{"a": ', "{}", "NaN", "-9999.0", "get_weather"),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.sampled_from((10**400, -(10**400), 2**63, 1760000000, 1e308, -1e308, 0.0, 1.5))
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("id", "type", "index", "name", "content", "function", "x")), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def shaped(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with some of these members, each right in form or anything; now and then no object at all."""
    wrong = st.fixed_dictionaries({}, optional={name: value | JSON for name, value in fields.items()})
    return st.one_of(wrong, wrong, wrong, wrong, JSON)


def array(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=3)


NUMBER = st.integers(-1, 5)
FUNCTION = shaped(name=st.sampled_from(WORDS), arguments=st.sampled_from(('{"a": 1}', '{"a": ', "", "[]", "{}{}")))
CALL = shaped(index=NUMBER, id=st.sampled_from(("call_1", "call_2", "")), type=st.just("function"), function=FUNCTION)
ENTRY = shaped(token=st.text(max_size=3), logprob=st.floats(), bytes=array(st.integers(-1, 300)), top_logprobs=JSON)
LOGPROBS = shaped(content=array(ENTRY), refusal=array(ENTRY))
MESSAGE = shaped(
    role=st.sampled_from(("assistant", "user")),
    content=st.sampled_from(("Hello.", "a \ufffd", '{"a": ', "</s>", "1, 2, 3")),
    refusal=st.none(),
    tool_calls=array(CALL),
    function_call=FUNCTION,
    annotations=array(JSON),
)
REASON = st.sampled_from(("stop", "length", "tool_calls", "content_filter", "eos"))
CHOICE = shaped(index=NUMBER, message=MESSAGE, delta=MESSAGE, finish_reason=REASON, logprobs=LOGPROBS)
DETAILS = shaped(reasoning_tokens=NUMBER, cached_tokens=NUMBER)
USAGE = shaped(
    prompt_tokens=NUMBER,
    completion_tokens=NUMBER,
    total_tokens=NUMBER,
    completion_tokens_details=DETAILS,
    prompt_tokens_details=DETAILS,
    credits_charged=st.floats(),
    breakdown=shaped(input_credits=st.floats(), output_credits=NUMBER, model=st.just("m")),
)
ERROR = shaped(
    message=st.sampled_from(WORDS),
    type=st.sampled_from(WORDS),
    param=st.sampled_from(("model", "messages[0].role", "body.temperature", "")),
    code=st.sampled_from(("invalid_value", "model_not_found", "400")),
    doc_url=st.sampled_from(WORDS),
    request_id=st.sampled_from(WORDS),
    retry_after=NUMBER,
    retry_strategy=shaped(type=st.just("x"), jitter=st.booleans()),
)
STORED = shaped(
    object=st.sampled_from(("list", "chat.completion", "chat.completion.deleted", "model")),
    data=array(shaped(id=st.sampled_from(("a", "b")), object=st.just("model"), metadata=JSON, created=NUMBER)),
    first_id=st.just("a"),
    last_id=st.just("b"),
    has_more=st.booleans(),
    deleted=st.booleans(),
)
BODY = shaped(
    id=st.sampled_from(("chatcmpl-1", "cmp_0", "")),
    object=st.sampled_from(("chat.completion", "chat.completion.chunk")),
    created=st.just(1760000000),
    model=st.just("m"),
    choices=array(CHOICE),
    usage=USAGE,
    error=ERROR,
    status=st.just("completed"),
    service_tier=JSON,
    metadata=JSON,
)
ANSWERS = st.one_of(BODY, BODY, shaped(error=ERROR), STORED, JSON).map(strict_json.dump)
STREAMS = st.lists(
    st.one_of(BODY.map(strict_json.dump), st.sampled_from((b"[DONE]", b"{", b"", b"null", b"\xff", b"[1]"))), max_size=5
).map(lambda events: b"".join(b"data: " + event + b"\n\n" for event in events))
RAW = st.binary(max_size=40) | st.sampled_from((b"", b"<html>", b"[" * 3000, b"data: x", b": c\n\n", b"data\n\n"))

TOOL = shaped(
    type=st.just("function"),
    function=shaped(
        name=st.sampled_from(("get_weather", "f", "a b")),
        parameters=shaped(type=st.just("object"), properties=shaped(a=shaped(type=st.just("string")))),
        strict=st.booleans(),
    ),
)
SENT = shaped(
    role=st.sampled_from(("user", "assistant", "tool", "system", "developer", "robot")),
    content=st.sampled_from(("Hi", "")) | array(shaped(type=st.just("text"), text=st.just("Hi"))),
    tool_calls=array(CALL),
    tool_call_id=st.sampled_from(("call_1", "call_2")),
)
CHAT = shaped(
    model=st.just("m"),
    messages=array(SENT),
    stream=st.booleans(),
    stream_options=shaped(include_usage=st.booleans(), include_obfuscation=st.booleans()),
    n=NUMBER,
    max_tokens=NUMBER,
    stop=st.sampled_from(("5", "", "zzz")) | array(st.just("5")),
    temperature=st.floats(),
    tools=array(TOOL),
    tool_choice=st.sampled_from(("auto", "none", "required")) | TOOL,
    parallel_tool_calls=st.booleans(),
    response_format=shaped(type=st.just("json_schema"), json_schema=shaped(name=st.just("x"), schema=JSON)),
    logprobs=st.booleans(),
    top_logprobs=NUMBER,
    logit_bias=shaped(x=NUMBER),
    store=st.booleans(),
    metadata=shaped(id=st.just("v")),
).map(strict_json.dump)
PATHS = st.sampled_from(
    (
        *("/chat/completions",) * 6,
        *(
            "/models",
            "/models/m",
            "/chat/completions/x",
            "/chat/completions/x/messages",
            "/chat/completions?limit=1",
            "/z",
        ),
    )
)
NAMES = st.sampled_from(
    ("content-type", "x-request-id", "retry-after", "authorization", "aurous-request-id", "x-ratelimit-limit-requests")
)
HEADERS = st.lists(
    st.tuples(NAMES, st.sampled_from(("application/json", "text/event-stream", "1", "Bearer x", ""))), max_size=3
)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """One exchange: any request, any answer, and either content type."""
    method = draw(st.sampled_from(("POST", "POST", "POST", "GET", "DELETE", "PUT")))
    auth = draw(st.sampled_from(("key", "key", "key", "none", "as_given", "x-api-key")))
    sent = draw(CHAT | CHAT | CHAT | RAW | st.none())
    streamed = draw(st.booleans())
    body = draw(st.one_of(STREAMS, RAW) if streamed else st.one_of(ANSWERS, ANSWERS, RAW))
    kind = ("content-type", "text/event-stream" if streamed else "application/json")
    status = draw(st.sampled_from((200, 200, 200, 201, 204, 301, 400, 401, 404, 409, 422, 429, 500, 503)))
    return Exchange(
        id=f"e{draw(st.integers(1, 9))}",
        request=Request(method, draw(PATHS), tuple(draw(HEADERS)), sent, auth),
        status=status,
        headers=(kind, *draw(HEADERS)),
        body=body,
        pieces=tuple((float(draw(st.integers(0, 90_000))), size) for size in ([len(body)] if body else [])),
        started=draw(st.sampled_from((None, 1_760_000_000.0))),
    )


def traces(found: tuple[Exchange, ...], about: str) -> list[Trace]:
    """The exchanges in every relation that their number allows."""
    return [
        *(Single((item,)) for item in found),
        Conversation(found),
        Contrast(found[:2], about),
        Parity(found[:2]),
        Parity(found[:3]),
        Repeat(found),
        Ladder(found, about, tuple(range(len(found)))),
        Lifecycle(found, about),
    ]


ABOUT = st.sampled_from(
    *[("", "/n", "/stop", "/max_tokens", "/tool_choice", "/messages/0/content", "/stream", "x", "/tools/0", "depth")]
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.tuples(exchanges(), exchanges(), exchanges()), ABOUT, st.sampled_from(DIALECTS), st.booleans())
def test_no_rule_raises(found: tuple[Exchange, ...], about: str, dialect: Any, knows: bool) -> None:
    terms = Terms(dialect, derive(found) if knows else Facts())
    for trace in traces(found, about):
        for rule in SINGLES:
            if isinstance(trace, (rule.on, *rule.also)):
                judgement = judge(rule, trace, terms)
                assert judgement.error is None, judgement.error
    for judgement in judge_run(FOLDS, found, terms):
        assert judgement.error is None, judgement.error


@pytest.mark.parametrize("fold", FOLDS, ids=lambda rule: rule.id)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(exchanges(), min_size=2, max_size=4), st.sampled_from(DIALECTS))
def test_folds_merge_into_the_same_verdict(fold: FoldRule, found: list[Exchange], dialect: Any) -> None:
    """A run in two parts says what the run in one piece says."""
    terms = Terms(dialect, Facts())

    def folded(part: list[Exchange]) -> Any:
        state = fold.fold.empty()
        for item in part:
            state = fold.fold.step(state, item, terms)
        return state

    whole = list(fold.fold.finish(folded(found), terms))
    halves = fold.fold.merge(folded(found[:1]), folded(found[1:]))
    assert sorted(map(repr, fold.fold.finish(halves, terms))) == sorted(map(repr, whole))
