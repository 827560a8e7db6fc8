"""What is said: sources of requests. A probe asserts nothing about the answers."""

from __future__ import annotations

import importlib
import pkgutil

from conformance.probes.base import PROBES, Probe

_NOT_PROBES = frozenset(
    {"base", "plan", "gather", "reduce", "shrink", "confirm", "build", "preflight", "schemas", "schema_rungs", "story"}
)


def load() -> dict[str, Probe]:
    """Import every probe module and return all probes by name. Modules in `_NOT_PROBES` are the engine's own."""
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _NOT_PROBES:
            importlib.import_module(f"{__name__}.{module.name}")
    return PROBES
