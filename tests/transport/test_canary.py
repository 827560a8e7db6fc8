"""The listener that tells whether an endpoint calls a URL out of a request, and the probe that sends such URLs."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest

from conformance.dialects import loader as dialects
from conformance.probes import load
from conformance.reference import faults
from conformance.reference.endpoint import Endpoint
from conformance.reference.server import start_process
from conformance.rules import load as load_rules
from conformance.rules.base import Terms
from conformance.rules.judge import judge_all
from conformance.suite.replay import prepare, replay
from conformance.transport.base import Access
from conformance.transport.canary import Canary, StillCanary
from conformance.transport.http import HttpTransport
from conformance.transport.memory import MemoryTransport
from conformance.wire.assemble import assemble

REQUIREMENT = "structured_output.reference.remote_is_not_called"
FAULT = "rf-remote-reference-fetched"


def test_each_call_is_counted_by_its_name() -> None:
    canary = Canary()
    try:
        assert canary.address("a").startswith("http://127.0.0.1:")
        assert canary.calls("a", 0.1) == 0
        for _ in range(2):
            with urlopen(canary.address("a"), timeout=5) as answer:
                assert answer.status == 200
        assert canary.calls("a", 5) == 2
        assert canary.calls("b") == 0
    finally:
        canary.close()
    with pytest.raises(OSError, match="refused"):
        urlopen(canary.address("a"), timeout=5)


def test_the_users_address_names_the_port_and_the_prefix() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    canary = Canary(f"http://127.0.0.1:{port}/here/")
    try:
        assert canary.address("a") == f"http://127.0.0.1:{port}/here/a"
        with urlopen(canary.address("a"), timeout=5):
            assert canary.calls("a", 5) == 1
        with pytest.raises(ValueError, match="cannot listen at port"):
            Canary(f"http://127.0.0.1:{port}")
    finally:
        canary.close()


@pytest.mark.parametrize("address", ["x", "https://host:8099", "http://", "http://host:eighty"])
def test_what_is_no_address_of_a_listener_is_said_in_one_sentence(address: str) -> None:
    with pytest.raises(ValueError, match="no address of a listener: give one like"):
        Canary(address)


def test_only_loopback_gets_a_listener_unasked() -> None:
    away = HttpTransport(Access("http://endpoint.invalid/v1"))
    assert away.canary is None
    away.close()
    near = HttpTransport(Access("http://127.0.0.1:9/v1"))
    assert near.canary is near.canary is not None
    near.close()


def test_a_still_canary_hears_what_it_is_told() -> None:
    canary = StillCanary()
    canary.note(canary.address("a"))
    assert (canary.calls("a"), canary.calls("b")) == (1, 0)
    canary.close()


def seen(transport: MemoryTransport | HttpTransport, name: str) -> tuple[int, int]:
    """(findings, judgements that held) of the one requirement, after the probe alone."""
    dialect, probe = dialects.load(name), load()["structured_canary"]
    plan = prepare(transport, dialect, probes=[probe])
    exchanges, marks = replay(plan, transport)
    judged = [*judge_all([load_rules()[REQUIREMENT]], exchanges, assemble(exchanges, marks), Terms(dialect))]
    return sum(len(item.findings) for item in judged), sum(item.held for item in judged)


@pytest.mark.parametrize("name", ["openai", "xerotier", "aurous"])
def test_a_call_is_seen_in_memory(name: str) -> None:
    dialect = dialects.load(name)
    assert seen(MemoryTransport(Endpoint(dialect).respond), name) == (0, 2)
    broken = Endpoint(dialect, faults=[faults.load()[FAULT]])
    assert seen(MemoryTransport(broken.respond), name) == (2, 0)


def test_a_call_is_seen_through_sockets() -> None:
    with start_process(faults=[FAULT]) as url:
        transport = HttpTransport(Access(url, "sk-reference-made-up-key"))
        assert seen(transport, "openai") == (2, 0)
        transport.close()
