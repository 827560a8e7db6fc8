"""Named defects, one module per area. Each is caught by exactly the requirements that it names."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from conformance.reference.stages import FAULTS, Change


def load() -> dict[str, Change]:
    """Every fault by name; imports all modules of this package."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(FAULTS.items()))
