"""Recorded traffic in: each reader yields exchanges with their facets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.sources import corpus, evidence, har, vcr
from conformance.sources.files import SourceError, lines, opened, whole
from conformance.wire.exchange import Exchange

__all__ = ["SourceError", "read"]


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _document(value: Any, shown: str) -> Iterator[Exchange]:
    if isinstance(value, dict) and "log" in value:
        return har.exchanges(value, shown)
    if vcr.is_cassette(value):
        return vcr.exchanges(value, shown)
    raise SourceError(f"{shown} is neither evidence nor recorded JSONL, HAR or a VCR cassette")


def read(path: str | Path) -> Iterator[Exchange]:
    """The exchanges of one file (`-` is standard input), one at a time, whatever of the known formats it is in.

    Our evidence, recorded-traffic JSONL, HAR, and VCR cassettes in YAML or JSON; plain, .gz or .zst; told by content.
    Lines are read one by one; HAR and cassettes whole. Raises SourceError, one sentence, at what cannot be read.
    """
    shown = "standard input" if str(path) == "-" else str(path)
    with opened(path) as stream:
        numbered = lines(stream, shown)
        first = next(numbered, None)
        if first is None:
            raise SourceError(f"{shown} is empty")
        text = first[1].removeprefix(b"\xef\xbb\xbf")
        value = _parsed(text)
        every = itertools.chain([(first[0], text)], numbered)
        if isinstance(value, dict) and "kind" in value:
            yield from evidence.exchanges(every, shown)
        elif corpus.is_record(value):
            yield from corpus.exchanges(every, shown)
        elif isinstance(value, dict):
            yield from _document(value, shown)
        else:
            rest = text + whole(stream, shown)
            yield from _document(_parsed(rest) if text.lstrip().startswith(b"{") else vcr.load(rest, shown), shown)
