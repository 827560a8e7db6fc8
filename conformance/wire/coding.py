"""Undo content codings (RFC 9110, section 8.4) under a bound on what comes out: a small bomb stays small.

gzip and deflate by the standard library, zstd where the `zstandard` package is installed. Others are named as errors.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

_STEP = 1 << 16
_MOST_CODINGS = 4


class _Codec(Protocol):
    def feed(self, data: bytes, room: int) -> tuple[bytes, bytes]:
        """Decode at most `room` bytes; return them and the input that is left."""

    @property
    def finished(self) -> bool:
        """The coded data came to its end."""


class _Zlib:
    """gzip with all its members, or deflate in its zlib form, or raw as some servers send it."""

    def __init__(self, *, gzip: bool) -> None:
        self._bits = zlib.MAX_WBITS | 16 if gzip else zlib.MAX_WBITS
        self._gzip = gzip
        self._engine = zlib.decompressobj(self._bits)
        self._fresh = True

    def feed(self, data: bytes, room: int) -> tuple[bytes, bytes]:
        if self._engine.eof:
            if not self._gzip:
                return b"", b""
            self._engine, self._fresh = zlib.decompressobj(self._bits), True
        try:
            made = self._engine.decompress(data, room)
        except zlib.error:
            if self._gzip or not self._fresh:
                raise
            self._engine = zlib.decompressobj(-zlib.MAX_WBITS)
            made = self._engine.decompress(data, room)
        self._fresh = False
        return made, self._engine.unconsumed_tail or self._engine.unused_data

    @property
    def finished(self) -> bool:
        return self._engine.eof


class _Zstd:
    """zstd frames; the window is bounded so that a frame cannot demand arbitrary memory."""

    def __init__(self, library: Any) -> None:
        self._make: Callable[[], Any] = lambda: library.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        self._engine = self._make()
        self._held = bytearray()

    def feed(self, data: bytes, room: int) -> tuple[bytes, bytes]:
        # The engine has no bound on its output, so it is fed in small bites, and what is too much is held back.
        left = memoryview(data)
        while left and len(self._held) < room:
            if self._engine.eof:
                self._engine = self._make()
            bite, left = left[:256], left[256:]
            self._held += self._engine.decompress(bytes(bite))
            if self._engine.eof and self._engine.unused_data:
                left = memoryview(self._engine.unused_data + bytes(left))
        made = bytes(self._held[:room])
        del self._held[:room]
        return made, bytes(left)

    @property
    def finished(self) -> bool:
        return bool(self._engine.eof) and not self._held


@dataclass(frozen=True)
class Decoded:
    """What came out. `error` says why it is not all: `over limit`, `truncated`, a coding's name, or broken data."""

    data: bytes
    error: str | None = None


def _codec(name: str) -> _Codec | None:
    if name in ("gzip", "x-gzip"):
        return _Zlib(gzip=True)
    if name == "deflate":
        return _Zlib(gzip=False)
    if name == "zstd":
        try:
            return _Zstd(importlib.import_module("zstandard"))
        except ImportError:
            return None
    return None


def names(content_encoding: str | None) -> list[str]:
    """The codings of a Content-Encoding field, in the order in which they were applied; identity is left out."""
    found = [name.strip().lower() for name in (content_encoding or "").split(",")]
    return [name for name in found if name not in ("", "identity")]


def _undo_one(data: bytes, name: str, limit: int) -> Decoded:
    codec = _codec(name)
    if codec is None:
        return Decoded(data, f"no decoder for {name}")
    made = bytearray()
    left = data
    try:
        while left:
            before = len(left)
            piece, left = codec.feed(left, min(_STEP, limit + 1 - len(made)))
            made += piece
            if len(made) > limit:
                return Decoded(bytes(made[:limit]), "over limit")
            if not piece and len(left) == before:
                break
        while not codec.finished:
            piece, _ = codec.feed(b"", min(_STEP, limit + 1 - len(made)))
            made += piece
            if len(made) > limit:
                return Decoded(bytes(made[:limit]), "over limit")
            if not piece:
                return Decoded(bytes(made), "truncated" if data else None)
    except Exception as error:  # zlib.error and zstandard.ZstdError share no base class
        return Decoded(bytes(made), f"broken {name}: {error}")
    return Decoded(bytes(made))


def undo(data: bytes, content_encoding: str | None, limit: int) -> Decoded:
    """Undo all codings of a body; at most `limit` bytes come out of any of them. Never raises.

    Where a coding cannot be undone the data is what was there before it, with the reason.
    """
    codings = names(content_encoding)
    if len(codings) > _MOST_CODINGS:
        return Decoded(data, "too many content codings")
    for name in reversed(codings):
        step = _undo_one(data, name, limit)
        if step.error is not None:
            return step
        data = step.data
    return Decoded(data)
