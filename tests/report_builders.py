"""A report with a bit of everything."""

from __future__ import annotations

from datetime import date

from conformance.catalogue.model import Impact, Level
from conformance.reporting.model import (
    AreaCost,
    Endpoint,
    Observation,
    Report,
    Row,
    RunInfo,
    Step,
    Suite,
    Violation,
    Where,
)
from conformance.verdict.baseline import Against
from conformance.verdict.fold import Verdict
from conformance.verdict.outcome import Coverage, Gap, Outcome
from conformance.verdict.waivers import State, Told, Waiver

LONG_CURL = 'curl -sS -i https://host.test/v1/chat/completions --data-raw \'{"messages":[' + "1," * 60 + "1]}'"


def violation(**changes):
    fields = {
        "where": Where("e42", "chunk", "/choices/0/delta", 3),
        "expected": "an integer index that is the same in every fragment of one call, from its first to its last",
        "observed": "absent",
        "count": 3,
        "minimal": True,
        "confirmed": (2, 3),
        "steps": (Step("POST", "/chat/completions", (("X-A", "b"),), {"stream": True}, None, "key", LONG_CURL),),
    }
    return Violation(**{**fields, **changes})


def row(name, verdict="pass", level="MUST", impact="breaks clients", *findings, **changes):
    verdict = Verdict(verdict)
    fields = {
        "id": name,
        "ref": "X-1",
        "area": name.split(".", 1)[0],
        "capability": "tools",
        "level": Level(level),
        "basis": "prose",
        "impact": Impact(impact),
        "title": f"The title of {name}, which goes on for a while so that it has to be wrapped somewhere sensible",
        "source": "https://example.test/docs",
        "quote": "it is so",
        "verdict": verdict,
        "exercised": 40 if verdict.exercised else 0,
        "violated": 3 if findings else 0,
        "reason": None if verdict.exercised else f"the reason for {verdict.value}",
        "findings": findings,
        "places": tuple(dict.fromkeys(f"{found.where.part}:{found.where.pointer}" for found in findings)),
    }
    return Row(**{**fields, **changes})


def report(*rows, **changes):
    rows = rows or (
        row("tool_choice.lenient", "fail", "MUST", "lenient", violation()),
        row("tool_calls.arguments", "warn", "SHOULD", "breaks clients", violation(confirmed=None, minimal=False)),
        row("stream.index", "fail", "MUST", "breaks clients", violation(), violation(where=Where("e1", "status"))),
        row("stream.note", "info", "MAY", "cosmetic", violation(steps=())),
        row("stream.fine"),
        *(row(f"errors.{name}", name) for name in ("unsupported", "blocked", "not_exercised", "not_observable")),
        row("errors.out", "excluded"),
        row("errors.raised", "error"),
    )
    waivers = [
        Waiver("stream.*", "the proxy eats it", "ana", date(2026, 3, 1), "openai", "body:/id", "https://host.test/1"),
        Waiver("errors.blocked", "later", "bob", date(2025, 3, 1)),
    ]
    fields = {
        "suite": Suite("0.1.0", "0" * 64, "3.11.7", "6.115.0"),
        "run": RunInfo(
            "2026-01-02T03:04:05.678Z",
            "2026-01-02T03:04:06.000Z",
            7,
            "standard",
            False,
            "1" * 64,
            412,
            380,
            12,
            3,
            1000,
            2000,
            {"stream": AreaCost(40, 2.1)},
            {"effort": "standard"},
        ),
        "endpoint": Endpoint("https://host.test/v1", "m-1", "openai", {"tools": "claimed", "storage": "excluded"}),
        "outcome": Outcome.NONCONFORMANT,
        "reason": "2 requirements are violated",
        "coverage": Coverage(5, 10, 3, 4),
        "gaps": (Gap(("errors.unsupported",), "the endpoint refuses it", "errors.unsupported"),),
        "rows": rows,
        "waivers": (
            Told(waivers[0], State.USED, ("stream.index",)),
            Told(waivers[1], State.EXPIRED, (), "since 2025-03-01 it excuses nothing"),
        ),
        "baseline": Against(
            "report.json of 2025", False, ("stream.index",), (), (("stream.index", "status:"),), (), ("errors.x",), ()
        ),
        "observations": (Observation("structured_output.depth_cap", 12, "levels", True, ("e7",)),),
    }
    return Report(**{**fields, **changes})
