"""The official client's calls for stored completions against the endpoint over a socket, and a store that survives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from conformance.reference.endpoint import KEY, SECOND_KEY
from conformance.reference.server import start_process

pytestmark = pytest.mark.sockets

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Repeat exactly: 日本 😀 done"}]


@pytest.fixture(scope="module", params=["openai", "xerotier"])
def endpoint_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with start_process(request.param) as url:
        yield url


@pytest.fixture
def client(endpoint_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=endpoint_url, api_key=KEY, max_retries=0) as made:
        yield made


def create(client: openai.OpenAI, **fields: object) -> str:
    return client.chat.completions.create(model="reference-1", messages=HELLO, store=True, **fields).id  # type: ignore[call-overload, no-any-return]


def test_the_life_of_a_stored_completion(client: openai.OpenAI) -> None:
    calls = client.chat.completions
    made = calls.create(model="reference-1", messages=HELLO, store=True, metadata={"life": "first"})  # type: ignore[arg-type]
    kept = calls.retrieve(made.id)
    assert (kept.id, kept.created, kept.model) == (made.id, made.created, made.model)
    assert kept.choices == made.choices
    assert kept.usage == made.usage
    assert calls.update(made.id, metadata={"life": "second"}).metadata == {"life": "second"}  # type: ignore[attr-defined]
    assert [item.id for item in calls.list(metadata={"life": "second"})] == [made.id]
    assert [item.id for item in calls.list(metadata={"life": "first"})] == []
    messages = list(calls.messages.list(made.id))
    assert [(item.role, item.content) for item in messages] == [(item["role"], item["content"]) for item in HELLO]
    assert [item.content for item in calls.messages.list(made.id, limit=1)] == [item["content"] for item in HELLO]
    assert calls.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        calls.retrieve(made.id)


def test_a_streamed_completion_is_stored(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="reference-1", messages=HELLO, store=True, stream=True))  # type: ignore[call-overload]
    assert client.chat.completions.retrieve(chunks[0].id).choices[0].message.content == "日本 😀 done"


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_are_walked(client: openai.OpenAI, order: str) -> None:
    tag = {"walk[]&%= é": order}
    made = [create(client, metadata=tag) for _ in range(5)]
    walked = [item.id for item in client.chat.completions.list(limit=2, order=order, metadata=tag)]  # type: ignore[arg-type]
    assert walked == (made if order == "asc" else made[::-1])


def test_another_project_sees_nothing(client: openai.OpenAI, endpoint_url: str) -> None:
    made = create(client)
    with openai.OpenAI(base_url=endpoint_url, api_key=SECOND_KEY, max_retries=0) as other:
        for call in (other.chat.completions.retrieve, other.chat.completions.delete):
            with pytest.raises(openai.NotFoundError):
                call(made)
        assert list(other.chat.completions.list()) == []
    assert client.chat.completions.retrieve(made).id == made


def retrieve_for_a_while(client: openai.OpenAI, stored_id: str) -> None:
    """Ask again and again for four seconds: times of creation are in whole seconds."""
    for _ in range(40):
        client.chat.completions.retrieve(stored_id)
        time.sleep(0.1)


def test_a_file_survives_a_restart_and_retention_ends(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    with start_process("openai", store=file) as url, openai.OpenAI(base_url=url, api_key=KEY) as first:
        made = create(first)
    with start_process("openai", store=file) as url, openai.OpenAI(base_url=url, api_key=KEY) as second:
        assert second.chat.completions.retrieve(made).id == made
    with (
        start_process("openai", store=file, retention=0.01) as url,
        openai.OpenAI(base_url=url, api_key=KEY) as third,
        pytest.raises(openai.NotFoundError),
    ):
        retrieve_for_a_while(third, made)


def test_a_file_that_is_no_store_is_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a store, but long enough to look like something else entirely" * 20)
    with (
        pytest.raises(RuntimeError, match=r"--store: .*cannot be used as a store"),
        start_process("openai", store=file),
    ):
        pass
