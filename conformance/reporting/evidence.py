"""Write evidence as it happens: whatever ends the run, what was written before is a valid prefix."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from conformance.wire.evidence import Footer, Header, encode
from conformance.wire.exchange import Exchange
from conformance.wire.redaction import Secrets
from conformance.wire.traces import Mark


class EvidenceWriter:
    """Appends to one new file, from any thread. Every line is one unbuffered write; secrets never reach the disk.

    Opening writes the header, closing the footer; both happen in `with`. Exchanges may arrive in any order: their
    ids give the order of sending. Raises FileExistsError rather than overwrite evidence.
    """

    def __init__(self, path: Path, header: Header, secrets: Secrets | None = None) -> None:
        """Create the file and write its header."""
        self._secrets = secrets or Secrets()
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._count = 0
        self._footer: Footer | None = None
        self._base_url = self._secrets.text(header.base_url)
        self._file = path.open("xb", buffering=0)
        clean = self._secrets.json
        self._append(
            encode(
                replace(
                    header,
                    base_url=self._base_url,
                    configuration=clean(dict(header.configuration)),
                    versions=clean(dict(header.versions)),
                )
            )
        )

    def _append(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            # A raw file may take less than it was given; the digest counts what it took.
            taken = self._file.write(view) or 0
            self._digest.update(view[:taken])
            view = view[taken:]

    def exchange(self, exchange: Exchange) -> None:
        """Append one exchange, redacted. After closing it is an error (ValueError)."""
        line = encode(self._secrets.exchange(exchange), self._base_url)
        with self._lock:
            self._append(line)
            self._count += 1

    def mark(self, mark: Mark) -> None:
        """Append one mark."""
        with self._lock:
            self._append(encode(mark))

    def close(self) -> Footer:
        """Write the footer and close the file; closing again changes nothing."""
        with self._lock:
            if self._footer is None:
                self._footer = Footer(self._count, self._digest.hexdigest())
                self._append(encode(self._footer))
                self._file.close()
            return self._footer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
