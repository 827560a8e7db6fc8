from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from conformance.dialects import loader as dialects
from conformance.probes.base import Effort
from conformance.probes.preflight import REQUESTS, NoVerdict, Ready, chat_models, preflight
from conformance.transport.courier import Courier
from conformance.transport.memory import MemoryTransport
from conformance.wire.exchange import End, Exchange, Request
from conformance.wire.facts import Facts
from tests.fake_endpoint import Endpoint, Reply, completion, error

OPENAI = dialects.load("openai")


def listing(*names: Any) -> Reply:
    return Reply(200, {"object": "list", "data": [{"id": name} if isinstance(name, str) else name for name in names]})


def looked_at(
    chat: Callable[[dict[str, Any], Request], Reply], models: Reply | None = None, **options: Any
) -> tuple[Ready, Endpoint]:
    """Preflight against an endpoint whose chat route is the given function of body and request."""

    def answer(request: Request, number: int) -> Reply:
        if request.method == "GET":
            return listing("m1") if models is None else models
        return chat(json.loads(request.body or b""), request)

    endpoint = Endpoint(answer)
    return preflight(Courier(endpoint.transport()).send, OPENAI, **options), endpoint


def keyed(body: dict[str, Any], request: Request) -> Reply:
    return completion() if request.auth == "key" else error(401)


def test_an_obliging_endpoint_takes_four_requests() -> None:
    ready, endpoint = looked_at(keyed)
    assert len(endpoint.requests) == len(ready.opening) == 4
    facts = ready.base.facts
    assert (ready.base.model, facts.token_limit_field) == ("m1", "max_completion_tokens")
    assert (facts.accepts_temperature, facts.accepts_seed, facts.deterministic) == (True, True, True)
    assert facts.key_required is True
    assert [ask.request.auth for ask in ready.opening] == ["key", "key", "key", "none"]
    assert [ask.ordinal for ask in ready.opening] == [0, 0, 1, 0]
    assert ready.base.capabilities == OPENAI.capabilities


def refusing(*fields: str) -> Callable[[dict[str, Any], Request], Reply]:
    def chat(body: dict[str, Any], request: Request) -> Reply:
        for field in fields:
            if field in body:
                return error(400, f"Unsupported parameter: '{field}'", field)
        return keyed(body, request)

    return chat


@pytest.mark.parametrize(
    ("refused", "limit", "temperature", "seed"),
    [
        ((), "max_completion_tokens", True, True),
        (("max_completion_tokens",), "max_tokens", True, True),
        (("temperature",), "max_completion_tokens", None, True),
        (("max_completion_tokens", "seed"), "max_tokens", True, None),
        (("max_completion_tokens", "max_tokens"), None, True, True),
        (("max_completion_tokens", "temperature", "seed"), "max_tokens", None, None),
    ],
)
def test_refused_fields_are_left_out_of_every_later_request(
    refused: tuple[str, ...], limit: str | None, temperature: bool | None, seed: bool | None
) -> None:
    ready, endpoint = looked_at(refusing(*refused))
    facts = ready.base.facts
    assert (facts.token_limit_field, facts.accepts_temperature, facts.accepts_seed) == (limit, temperature, seed)
    assert not set(refused) & set(ready.base.body("Hi"))
    assert len(endpoint.requests) <= REQUESTS


def test_a_refusal_that_names_nothing_leads_to_the_bare_request() -> None:
    def chat(body: dict[str, Any], request: Request) -> Reply:
        return error(422, "nope") if set(body) - {"model", "messages"} else keyed(body, request)

    ready, _ = looked_at(chat)
    assert ready.base.body("Hi").keys() == {"model", "messages"}


def test_models_that_do_other_things_are_passed_over_and_three_are_tried() -> None:
    def chat(body: dict[str, Any], request: Request) -> Reply:
        return keyed(body, request) if body["model"] == "c" else error(404, "no such model")

    names = ("text-embedding-3", "a", "b", "whisper-1", "c", "d")
    ready, endpoint = looked_at(chat, listing(*names))
    assert ready.base.model == "c"
    assert len(endpoint.requests) <= REQUESTS
    with pytest.raises(NoVerdict, match=r"no plain completion came from a .*b .*x .*--model"):
        looked_at(chat, listing("a", "b", "x", "c"))


def test_the_list_of_models_may_hold_anything() -> None:
    rows: Any = [
        {"id": "m"},
        {"id": 7},
        {},
        {"id": ""},
        {"id": "x", "type": "embedding"},
        {"id": "y", "type": ["chat"]},
    ]
    assert chat_models(Facts(models=tuple(rows))) == ["m", "y"]
    assert chat_models(Facts()) == []


def test_a_named_model_needs_no_list() -> None:
    ready, _ = looked_at(keyed, error(404), model="mine")
    assert ready.base.model == "mine"


def test_a_model_that_thinks_first_gets_room() -> None:
    def chat(body: dict[str, Any], request: Request) -> Reply:
        if body["max_completion_tokens"] < 400:
            usage = {"completion_tokens": body["max_completion_tokens"]}
            return completion("", usage=usage)
        return completion(usage={"completion_tokens": 320, "completion_tokens_details": {"reasoning_tokens": 300}})

    ready, endpoint = looked_at(chat)
    assert ready.base.facts.reasoning_tokens == 300
    assert ready.base.body("Hi", limit=10)["max_completion_tokens"] == 610
    assert len(endpoint.requests) <= REQUESTS


def test_different_answers_to_equal_requests_are_noticed() -> None:
    texts = iter("abcdef")
    ready, _ = looked_at(lambda body, request: completion(next(texts)))
    assert ready.base.facts.deterministic is False
    assert ready.base.facts.key_required is False


@pytest.mark.parametrize("options", [{"has_key": False}, {"bad_keys": False}])
def test_no_request_goes_without_a_key_where_that_says_nothing(options: dict[str, bool]) -> None:
    ready, endpoint = looked_at(lambda body, request: completion(), **options)
    assert {request.auth for request in endpoint.requests} == {"key"}
    assert ready.base.facts.key_required is None


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "File Not Found",
            "neither /models nor /chat/completions is there (status 404: File Not Found): check the path",
        ),
        ("The model m1 does not exist", "name a model that answers chat with --model"),
    ],
)
def test_a_wrong_path_is_told_from_a_wrong_model(message: str, said: str) -> None:
    with pytest.raises(NoVerdict, match=re.escape(said)):
        looked_at(lambda body, request: error(404, message), error(404), model="m1")
    with pytest.raises(NoVerdict, match="name a model that answers chat"):
        looked_at(lambda body, request: error(404, message), listing("m1"), model="m1")


PAGE = Reply(200, b"<!DOCTYPE html><html></html>", (("content-type", "text/html; charset=utf-8"),))


@pytest.mark.parametrize(
    ("models", "options", "said"),
    [
        (error(401, "bad key"), {}, "the key was refused with status 401: bad key"),
        (error(401), {"has_key": False}, "wants a key"),
        (PAGE, {}, "web page"),
        (Reply(404, b"<html>"), {}, "web page"),
        (Reply(301, b"", (("location", "https://h/v1/"),)), {}, "redirects to https://h/v1/"),
        (listing(), {}, "name one with --model"),
        (error(404), {}, "check the path of --base-url; if it is right, name a model"),
        (listing("text-embedding-3"), {}, "name one with --model"),
        (Reply(200, b"\xff[]"), {}, "name one with --model"),
        (Reply(200, {"data": {"a": 1}}), {}, "name one with --model"),
    ],
)
def test_what_makes_a_run_pointless_is_said_in_one_sentence(models: Reply, options: dict[str, Any], said: str) -> None:
    with pytest.raises(NoVerdict) as caught:
        looked_at(keyed, models, **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        (error(401, "revoked"), "the key was refused"),
        (PAGE, "web page"),
        (error(500, "boom"), "no plain completion came from m1 (status 500: boom)"),
        (error(400, "always"), "no plain completion came from m1 (status 400: always)"),
        (Reply(200, b"[]"), "no plain completion came from m1 (status 200 without a completion)"),
        (Reply(200, b"", ()), "no plain completion came from m1"),
    ],
)
def test_a_chat_route_that_never_completes_is_said(chat: Reply, said: str) -> None:
    with pytest.raises(NoVerdict) as caught:
        looked_at(lambda body, request: chat)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("end", "said"),
    [(End.NOT_SENT, "cannot be reached"), (End.TIMEOUT, "does not answer"), (End.RESET, "does not answer")],
)
def test_an_endpoint_that_is_not_there_is_said(end: End, said: str) -> None:
    class Dead(MemoryTransport):
        def send(self, request: Request) -> Exchange:
            return Exchange("", request, end=end, note="some reason")

    with pytest.raises(NoVerdict, match=f"{said}.*some reason"):
        preflight(Courier(Dead(lambda request, now: completion())).send, OPENAI)


def test_a_spent_budget_is_said() -> None:
    with pytest.raises(NoVerdict, match="budget"):
        preflight(lambda request, ordinal: None, OPENAI, effort=Effort.QUICK)
