"""The server process: how it starts, drops connections, and ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn

from conformance.reference.adapter import application, relative
from conformance.reference.endpoint import KEY
from conformance.reference.server import endpoint, start_process
from conformance.reference.stages import Change, Context, Reply, Stage
from tests.reference.asking import chat, make

HEADERS = {"authorization": f"Bearer {KEY}"}


def test_paths_below_the_base_are_relative() -> None:
    assert relative("/v1/models", "/v1") == "/models"
    assert relative("/v1", "/v1") == "/"
    assert relative("/v10/models", "/v1") == "/v10/models"
    assert relative("/models", "") == "/models"


def test_unknown_names_are_told_in_one_sentence() -> None:
    with pytest.raises(KeyError, match="no mind is called 'sleepy'"):
        endpoint(mind="sleepy")
    with pytest.raises(KeyError, match="no fault is called 'no-such'"):
        endpoint(fault_names=["no-such"])
    with pytest.raises(KeyError, match="no variation is called 'no-such'"):
        endpoint(variation_names=["no-such"])


@pytest.mark.sockets
def test_a_process_that_cannot_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="no mind is called"), start_process(mind="sleepy"):
        pass


@pytest.mark.sockets
def test_the_process_ends_with_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("name: mine\ntitle: Mine\nextends: openai\n", "utf-8")
    with start_process("mine.yaml", latency=0.3) as url:
        start = time.monotonic()
        assert httpx.get(f"{url}/models", headers=HEADERS).status_code == 200
        assert time.monotonic() - start >= 0.3
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/models")


@contextmanager
def running(*changes: Change) -> Iterator[str]:
    """The application in a thread of this process."""
    config = uvicorn.Config(
        application(make(faults=changes)), port=0, log_level="critical", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not (server.started and server.servers) and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()


def _breaks(keep: int) -> Change:
    def hook(reply: Reply, context: Context) -> Reply:
        return replace(reply, pieces=reply.pieces[:keep], broken=True)

    return Change("breaks", Stage.REPLY, hook, "breaks off")


@pytest.mark.sockets
@pytest.mark.parametrize("keep", [0, 1, 3])
@pytest.mark.parametrize("stream", [True, False])
def test_a_broken_reply_closes_the_connection_without_an_end(keep: int, stream: bool) -> None:
    with running(_breaks(keep)) as url, pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{url}/chat/completions", headers=HEADERS, content=chat("Hi", stream=stream).body or b"")
