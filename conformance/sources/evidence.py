"""Read our own evidence back: the whole of a finished run, or the valid prefix of one that was killed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conformance.sources.files import SourceError, lines, opened
from conformance.wire.evidence import EvidenceError, Footer, Header, Line, decode
from conformance.wire.exchange import Exchange
from conformance.wire.traces import Mark

_SERIAL = re.compile(r"\D*(\d{1,18})\D*", re.ASCII)


@dataclass(frozen=True)
class Evidence:
    """A file of evidence; exchanges in the order of sending. `footer` is None where the run was killed.

    `intact` says whether the footer's count and digest agree with what stands before it; None without a footer.
    """

    header: Header
    exchanges: tuple[Exchange, ...]
    marks: tuple[Mark, ...]
    footer: Footer | None
    intact: bool | None


def _serial(exchange: Exchange) -> int | None:
    found = _SERIAL.fullmatch(exchange.id)
    return int(found[1]) if found else None


def in_order(exchanges: list[Exchange]) -> list[Exchange]:
    """By the number in their ids, which is the order of sending; as they stand where an id has none."""
    keyed = [(_serial(exchange), exchange) for exchange in exchanges]
    if any(serial is None for serial, _ in keyed):
        return exchanges
    return [exchange for _, exchange in sorted(keyed, key=lambda pair: pair[0] or 0)]


def values(numbered: Iterable[tuple[int, bytes]], shown: str) -> Iterator[tuple[Line, bytes]]:
    """The values of all lines with their bytes. A cut last line is left out; any other broken line is an error."""
    base_url = ""
    broken: SourceError | None = None
    first = True
    for number, line in numbered:
        if broken is not None:
            raise broken
        try:
            value = decode(line, base_url)
        except EvidenceError as error:
            broken = SourceError(f"{shown}, line {number}: {error}")
            if first or line.endswith(b"\n"):
                raise broken from error
            continue
        if first and not isinstance(value, Header):
            raise SourceError(f"{shown}: no evidence, for its first line is no header")
        first = False
        if isinstance(value, Header):
            base_url = value.base_url
        if value is not None:
            yield value, line


def exchanges(numbered: Iterable[tuple[int, bytes]], shown: str) -> Iterator[Exchange]:
    """The exchanges alone, as they were written."""
    return (value for value, _ in values(numbered, shown) if isinstance(value, Exchange))


def read_evidence(path: str | Path) -> Evidence:
    """The whole file. Raises SourceError where it is no evidence or is broken before its last line."""
    header: Header | None = None
    footer: Footer | None = None
    found: list[Exchange] = []
    marks: list[Mark] = []
    digest = hashlib.sha256()
    intact: bool | None = None
    with opened(path) as stream:
        for value, line in values(lines(stream, str(path)), str(path)):
            if isinstance(value, Footer):
                footer = value
                intact = value.count == len(found) and value.sha256 == digest.hexdigest()
                continue
            digest.update(line)
            if isinstance(value, Header):
                header = header or value
            elif isinstance(value, Mark):
                marks.append(value)
            else:
                found.append(value)
    if header is None:
        raise SourceError(f"{path} is empty: no evidence was written")
    return Evidence(header, tuple(in_order(found)), tuple(marks), footer, intact)
