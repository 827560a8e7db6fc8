"""The official client against the endpoint over a real socket: nothing that it does with correct answers may fail."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import openai
import pytest

from conformance.reference.endpoint import KEY
from conformance.reference.server import start_process
from tests.reference.asking import PARAMETERS, tool

pytestmark = pytest.mark.sockets

TOOLS = [tool()]
CITIES = [{"role": "user", "content": "What is the weather in Paris and London?"}]
HELLO = [{"role": "user", "content": "Repeat exactly: 日本 😀 done"}]


@pytest.fixture(scope="module", params=["openai", "xerotier", "aurous"])
def endpoint_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with start_process(request.param) as url:
        yield url


@pytest.fixture
def client(endpoint_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=endpoint_url, api_key=KEY, max_retries=0) as made:
        yield made


def test_models(client: openai.OpenAI) -> None:
    assert next(model.id for model in client.models.list()) == "reference-1"
    assert client.models.retrieve("reference-mini").object == "model"


def test_plain_completion(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="reference-1", messages=HELLO)  # type: ignore[arg-type]
    assert answer.choices[0].message.content == "日本 😀 done"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_streamed_completion(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="reference-1", messages=HELLO, stream=True))  # type: ignore[arg-type]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "日本 😀 done"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_accumulated_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="reference-1", messages=HELLO) as stream:  # type: ignore[arg-type]
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "日本 😀 done"


def test_accumulated_tool_calls(client: openai.OpenAI) -> None:
    strict = [tool(strict=True)]
    with client.chat.completions.stream(
        model="reference-1",
        messages=CITIES,
        tools=strict,
        stream_options={"include_usage": True},  # type: ignore[arg-type]
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "London"]
    assert [event.index for event in done] == [0, 1]
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.usage is not None


def test_tool_round_trip(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="reference-1", messages=CITIES, tools=TOOLS)  # type: ignore[call-overload]
    message = first.choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "9 degrees"} for call in message.tool_calls]
    second = client.chat.completions.create(model="reference-1", messages=[*CITIES, message, *results], tools=TOOLS)  # type: ignore[call-overload]
    assert "9 degrees" in second.choices[0].message.content


def test_several_choices(client: openai.OpenAI, endpoint_url: str) -> None:
    asked = {"model": "reference-1", "messages": HELLO, "n": 2, "logprobs": True, "top_logprobs": 2}
    models = client.models.list().model_dump()["data"]
    if "aurous_metadata" in models[0]:
        with pytest.raises(openai.BadRequestError, match="'n'"), client.chat.completions.stream(**asked):  # type: ignore[arg-type]
            pass
        return
    with client.chat.completions.stream(**asked) as stream:  # type: ignore[arg-type]
        final = stream.get_final_completion()
    assert [choice.index for choice in final.choices] == [0, 1]
    assert final.choices[1].logprobs is not None
    assert final.choices[1].logprobs.content


def test_length_is_raised_by_the_helper(client: openai.OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": PARAMETERS, "strict": True}}
    with (
        pytest.raises(openai.LengthFinishReasonError),
        client.chat.completions.stream(
            model="reference-1",
            messages=HELLO,
            max_tokens=2,
            response_format=form,  # type: ignore[arg-type]
        ) as stream,
    ):
        stream.get_final_completion()


def test_errors_raise_their_classes(client: openai.OpenAI, endpoint_url: str) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="reference-1", messages=[])
    assert bad.value.param == "messages"
    assert bad.value.body is not None
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="reference-1", messages=[], stream=True)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")
    with (
        pytest.raises(openai.AuthenticationError),
        openai.OpenAI(base_url=endpoint_url, api_key="sk-wrong", max_retries=0) as other,
    ):
        other.models.list()


def test_retries_after_a_rate_limit_succeed() -> None:
    with (
        start_process("openai", variations=["rate-limited-now-and-then"]) as url,
        openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as plain,
    ):
        for _ in range(25):
            plain.models.list()
        with pytest.raises(openai.RateLimitError):
            plain.chat.completions.create(model="reference-1", messages=HELLO)  # type: ignore[arg-type]
        assert plain.chat.completions.create(model="reference-1", messages=HELLO).choices  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "varied", ["sse-crlf", "sse-cr", "sse-comments", "sse-one-byte-writes", "json-escaped", "call-in-one-delta"]
)
def test_varied_streams_are_understood(varied: str) -> None:
    with start_process("openai", variations=[varied]) as url, openai.OpenAI(base_url=url, api_key=KEY) as client:
        with client.chat.completions.stream(model="reference-1", messages=HELLO) as stream:  # type: ignore[arg-type]
            assert stream.get_final_completion().choices[0].message.content == "日本 😀 done"
        with client.chat.completions.stream(model="reference-1", messages=CITIES, tools=[tool(strict=True)]) as stream:  # type: ignore[arg-type, list-item]
            assert len(stream.get_final_completion().choices[0].message.tool_calls or []) == 2


def test_an_error_in_the_stream_is_raised() -> None:
    said: list[str] = []
    with (
        start_process("openai", variations=["error-in-stream"]) as url,
        openai.OpenAI(base_url=url, api_key=KEY) as client,
    ):
        for number in range(40):
            asked = [{"role": "user", "content": f"Hi {number}"}]
            try:
                list(client.chat.completions.create(model="reference-1", messages=asked, stream=True))  # type: ignore[arg-type]
            except openai.APIError as error:
                said.append(str(error))
    assert 0 < len(said) < 40
    assert set(said) == {"The model stopped working."}


def test_raw_http(endpoint_url: str) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    body = {"model": "reference-1", "messages": HELLO}
    with httpx.Client(base_url=endpoint_url, headers=headers) as http:
        plain = http.post("/chat/completions", json=body)
        assert plain.headers["content-length"] == str(len(plain.content))
        streamed = http.post("/chat/completions", json={**body, "stream": True})
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert streamed.content.endswith(b"data: [DONE]\n\n")
        for method, path in (
            ("GET", "/nope"),
            ("PUT", "/chat/completions"),
            ("DELETE", "/models"),
            ("GET", "/models/a%2Fb"),
        ):
            answer = http.request(method, path)
            assert answer.status_code in (404, 405)
            assert answer.json()["error"]["message"]
        assert http.get("/models?x=1").status_code == 200
        assert http.get(f"{endpoint_url.rsplit('/v1', 1)[0]}/elsewhere").status_code == 404
