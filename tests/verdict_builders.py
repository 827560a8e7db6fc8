"""Small catalogues and judgements from a line each."""

from __future__ import annotations

from conformance.catalogue.model import Area, Basis, Catalogue, Claim, Impact, Level, Requirement
from conformance.dialects.model import Dialect, Row
from conformance.rules.base import Finding, Part, Reason, Vacuous
from conformance.rules.judge import Judgement
from conformance.verdict.selection import Scope, Standing
from conformance.wire.exchange import Exchange, Request
from conformance.wire.traces import Single

AREAS = {
    "auth": Area("auth", "Authentication", "1", "core"),
    "tools": Area("tools", "Tools", "8", "tools"),
    "tool_choice": Area("tool_choice", "Tool choice", "9", "tools"),
    "logprobs": Area("logprobs", "Log probabilities", "17", "logprobs"),
    "sse": Area("sse", "Framing", "12", "streaming", entry="sse.entry"),
}


def requirement(name, level="MUST", *, exercise="always", requires=(), dialects=("openai",), **changes):
    area = name.split(".", 1)[0]
    fields = {
        "id": name,
        "ref": "X-1",
        "area": area,
        "capability": AREAS[area].capability,
        "title": f"The title of {name}",
        "impact": Impact.BREAKS_CLIENTS,
        "exercise": exercise,
        "claims": {d: Claim(Level(level), Basis.PROSE, f"https://example.test/{d}", "words") for d in dialects},
        "requires": tuple(requires),
    }
    return Requirement(**{**fields, **changes})


def catalogue(*rows):
    return Catalogue(AREAS, {row.id: row for row in rows}, "0" * 64)


def dialect(**rows):
    """Keyword names with `__` for the dots of an id."""
    made = {name.replace("__", "."): Row(name.replace("__", "."), **word) for name, word in rows.items()}
    return Dialect("mine", "Mine", ("mine", "openai"), frozenset({"core", "tools"}), rows=made)


def scope(*rows):
    return Scope({row.id: Standing(row, row.claims["openai"]) for row in rows})


def exchange(number=1):
    return Exchange(f"e{number}", Request(body=b'{"model":"m","messages":[]}'), 200, body=b"{}")


def held(name, number=1):
    return Judgement(name, Single((exchange(number),)))


def broken(name, pointer="/choices/0/index", number=1, *more):
    findings = tuple(Finding(f"e{number}", Part.BODY, "an integer", "a string", place) for place in (pointer, *more))
    return Judgement(name, Single((exchange(number),)), findings)


def vacuous(name, reason, detail=""):
    return Judgement(name, Single((exchange(),)), vacuous=Vacuous(Reason(reason), detail))


def raised(name):
    return Judgement(name, Single((exchange(),)), error=f"the rule {name} raised KeyError")
