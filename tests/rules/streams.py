"""Streams for the tables of near misses: built in the catalogue's shorthand, judged by one rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conformance import rules
from conformance.catalogue.examples import exchange
from conformance.dialects.loader import load as load_dialect
from conformance.rules.base import Rule, Terms
from conformance.rules.judge import judge
from conformance.wire.traces import Parity, Single

RULES = rules.load()

ENVELOPE = '"id":"c","object":"chat.completion.chunk","created":1760000000,"model":"example"'
CHUNK = f'{{{ENVELOPE},"choices":[{{"index":0,"delta":{{"role":"assistant","content":"Hi"}},"finish_reason":"stop"}}]}}'
"""A whole answer in one chunk, as JSON text."""


def choice(delta: Mapping[str, Any] | None = None, finish: Any = None, index: Any = 0, **top: Any) -> dict[str, Any]:
    """A chunk with one choice, in the shorthand."""
    return {"choices": [{"index": index, "delta": dict(delta or {}), "finish_reason": finish}], **top}


ROLE = choice({"role": "assistant", "content": ""})
TEXT = choice({"content": "Hello."})
END = choice({}, "stop")


def said(requirement: str, spec: Mapping[str, Any] | Sequence[Mapping[str, Any]], dialect: str = "openai") -> str:
    """`held`, `found`, or why the trace shows nothing; several exchanges are a parity, the streamed one last."""
    rule = RULES[requirement]
    assert isinstance(rule, Rule)
    many = [spec] if isinstance(spec, Mapping) else list(spec)
    made = tuple(exchange(item, number) for number, item in enumerate(many, 1))
    judgement = judge(rule, Parity(made) if len(made) > 1 else Single(made), Terms(load_dialect(dialect)))
    if judgement.findings:
        return "found"
    return "held" if judgement.vacuous is None else judgement.vacuous.reason.value
