"""Named legal variations, one module per area. None of them may make a rule fail."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from conformance.reference.stages import VARIATIONS, Change


def load() -> dict[str, Change]:
    """Every variation by name; imports all modules of this package."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(VARIATIONS.items()))
