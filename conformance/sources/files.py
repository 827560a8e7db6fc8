"""Open recorded traffic: plain, .gz or .zst, told by its first bytes, and bounded however it was packed."""

from __future__ import annotations

import gzip
import importlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

LONGEST_LINE = 64 << 20
"""Bytes of one line of JSONL."""
LARGEST_DOCUMENT = 256 << 20
"""Bytes of a file that has to be read whole (HAR, YAML)."""


class SourceError(ValueError):
    """Recorded traffic that cannot be read; the message is one sentence for the user."""


class _Zstd(io.RawIOBase):
    """The unpacked bytes of a zstd file; broken ones are an OSError, as with gzip."""

    def __init__(self, library: Any, raw: BinaryIO) -> None:
        self._error: type[Exception] = library.ZstdError
        engine = library.ZstdDecompressor(max_window_size=1 << 27)
        self._reader = engine.stream_reader(raw, read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            data: bytes = self._reader.read(len(target))
        except self._error as error:
            raise OSError(str(error)) from error
        target[: len(data)] = data
        return len(data)


def _unpack(raw: BinaryIO, shown: str) -> BinaryIO:
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
    magic = buffered.peek(4)[:4]
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
    if magic == b"\x28\xb5\x2f\xfd":
        try:
            zstandard = importlib.import_module("zstandard")
        except ImportError as error:
            raise SourceError(f"{shown} is packed with zstd: install the extra 'zstd' to read it") from error
        return cast(BinaryIO, io.BufferedReader(_Zstd(zstandard, buffered)))
    return cast(BinaryIO, buffered)


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file, or of standard input for `-`. Raises SourceError where it cannot be read."""
    shown = str(path)
    try:
        if shown == "-":
            yield _unpack(sys.stdin.buffer, "standard input")
            return
        with open(path, "rb") as raw:
            yield _unpack(raw, shown)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceError(f"cannot read {shown}: {reason}") from error


def lines(stream: BinaryIO, shown: str) -> Iterator[tuple[int, bytes]]:
    """The non-blank lines with their numbers from 1, split at LF only and without it."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise SourceError(f"{shown}, line {number}: longer than {LONGEST_LINE >> 20} MiB")
        if line.strip():
            yield number, line


def whole(stream: BinaryIO, shown: str) -> bytes:
    """All bytes of a document that cannot be read in parts."""
    data = stream.read(LARGEST_DOCUMENT + 1)
    if len(data) > LARGEST_DOCUMENT:
        raise SourceError(f"{shown} is larger than {LARGEST_DOCUMENT >> 20} MiB: split it")
    return data
