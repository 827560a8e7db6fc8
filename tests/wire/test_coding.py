from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from conformance.wire.coding import undo

LIMIT = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


CODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
}


@pytest.mark.parametrize("coder", list(CODERS))
@given(data=st.binary(max_size=2000))
def test_codings_are_undone(coder: str, data: bytes) -> None:
    name, encode = CODERS[coder]
    decoded = undo(encode(data), name, LIMIT)
    assert (decoded.data, decoded.error) == (data, None)


@pytest.mark.parametrize("coder", list(CODERS))
def test_a_bomb_stays_small(coder: str) -> None:
    name, encode = CODERS[coder]
    bomb = encode(bytes(100 << 20))
    start = time.perf_counter()
    decoded = undo(bomb, name, LIMIT)
    assert decoded.error == "over limit"
    assert len(decoded.data) == LIMIT
    assert time.perf_counter() - start < 5


def test_a_bomb_in_a_bomb_stays_small() -> None:
    bomb = gzip.compress(gzip.compress(bytes(100 << 20)))
    assert undo(bomb, "gzip, gzip", LIMIT).error == "over limit"


@pytest.mark.parametrize("coder", list(CODERS))
def test_exactly_the_limit_fits(coder: str) -> None:
    name, encode = CODERS[coder]
    assert undo(encode(b"x" * 1000), name, 1000).error is None
    assert undo(encode(b"x" * 1001), name, 1000).error == "over limit"


@pytest.mark.parametrize("coder", list(CODERS))
def test_what_was_cut_gives_what_came_and_says_so(coder: str) -> None:
    name, encode = CODERS[coder]
    data = bytes(range(256)) * 40
    decoded = undo(encode(data)[:-3], name, LIMIT)
    assert decoded.error == "truncated"
    assert data.startswith(decoded.data)


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_what_was_not_coded_is_named_broken(name: str) -> None:
    assert (undo(b'{"a": 1}', name, LIMIT).error or "").startswith(f"broken {name}")


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "zstd", "br", "gzip, zstd", "identity", ""]))
def test_no_bytes_raise(data: bytes, name: str) -> None:
    assert len(undo(data, name, 4096).data) <= 4096


def test_codings_are_undone_in_reverse_order() -> None:
    data = zlib.compress(gzip.compress(b"hello"))
    assert undo(data, "gzip, identity, deflate", LIMIT).data == b"hello"


def test_members_of_one_gzip_body_are_joined() -> None:
    assert undo(gzip.compress(b"a") + gzip.compress(b"b"), "gzip", LIMIT).data == b"ab"


def test_unknown_codings_are_named() -> None:
    assert undo(b"x", "br", LIMIT).error == "no decoder for br"
    assert undo(b"x", ", ".join(["gzip"] * 9), LIMIT).error == "too many content codings"
    assert undo(b"x", None, LIMIT).data == b"x"
