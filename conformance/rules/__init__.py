"""How requirements are judged: pure functions, no I/O, no clock, no randomness, no global state."""

from __future__ import annotations

import importlib
import pkgutil

from conformance.rules.base import RULES, FoldRule, Rule

_NOT_AREAS = frozenset(
    {
        "base",
        "blemishes",
        "judge",
        "logprobs_view",
        "conditions",
        "checks",
        "calls",
        "refusals",
        "schema_check",
        "schema_refusals",
        "schema_size",
        "structured_families",
        "structured_view",
        "tool_entries",
        "tool_history",
        "tool_markup",
    }
)


def load() -> dict[str, Rule | FoldRule]:
    """Import every area module and return all rules by requirement id."""
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _NOT_AREAS:
            importlib.import_module(f"{__name__}.{module.name}")
    return RULES
