"""A dialect: limits, vocabularies, error codes and conventions of one provider, as data with sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ErrorForm:
    """How a dialect answers one kind of error. Empty tuples mean: not documented, anything goes.

    The first status, type and code are those that the reference endpoint sends. A code may be None (null).
    """

    kind: str
    statuses: tuple[int, ...]
    types: tuple[str, ...] = ()
    codes: tuple[str | None, ...] = ()
    param: str | None = None
    features: tuple[str, ...] = ()
    """The capabilities that this error refuses, if it is an honest refusal."""


@dataclass(frozen=True)
class Row:
    """A user dialect's word on one catalogue row: dropped with a reason, or re-levelled with a source."""

    requirement: str
    off: str | None = None
    level: str | None = None
    basis: str | None = None
    source: str | None = None
    quote: str | None = None


@dataclass(frozen=True)
class Dialect:
    """A resolved dialect. `lineage` runs from itself to the built-in one that it extends, whose rows it inherits."""

    name: str
    title: str
    lineage: tuple[str, ...]
    capabilities: frozenset[str]
    limits: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conventions: Mapping[str, Any] = field(default_factory=dict)
    """Choices between legal forms, by name: `usage.in_stream: extra_chunk`, `tool_choice.capability_flag: …`."""
    errors: Mapping[str, ErrorForm] = field(default_factory=dict)
    rows: Mapping[str, Row] = field(default_factory=dict)
    digest: str = ""
    """SHA-256 over the resolved data, hexadecimal."""

    def limit(self, name: str) -> Any:
        """A documented number (or None): tools.max, tool_name.max_length, temperature.max …"""
        return self.limits.get(name)

    def words(self, name: str) -> tuple[str, ...]:
        """A closed vocabulary: finish_reason, error.type …; empty where the dialect has none."""
        return self.vocabulary.get(name, ())

    def convention(self, name: str) -> Any:
        """A convention's value, or None."""
        return self.conventions.get(name)

    def error(self, kind: str) -> ErrorForm:
        """The form of one kind of error; an undocumented kind falls back to `invalid_request`."""
        return self.errors.get(kind) or self.errors["invalid_request"]
