"""Streams: decompressed whatever their framing, verified, and read ahead without loose ends."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.archives.compression import inflated
from smforge.inventory.archives.part_reader import ByteReader
from smforge.inventory.formats.limits import Limits
from smforge.inventory.images.streams import read_ahead
from smforge.oci.parts import PART_BYTES, verified

DATA = os.urandom(70_000) * 40
_SKIPPABLE = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"


def parts(data: bytes, size: int = 10_000) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def unpacked(data: bytes, size: int = 10_000) -> bytes:
    return b"".join(inflated(parts(data, size), Limits(), "x"))


@pytest.mark.parametrize(
    "packed",
    [
        DATA,
        gzip.compress(DATA),
        gzip.compress(DATA[:500]) + gzip.compress(DATA[500:]),
        gzip.compress(DATA[:500]) + gzip.compress(b"") + gzip.compress(DATA[500:]) + bytes(999),
        zstandard.compress(DATA),
        zstandard.compress(DATA[:500]) + _SKIPPABLE + zstandard.compress(DATA[500:]),
        _SKIPPABLE + zstandard.compress(DATA),
    ],
    ids=["plain", "gzip", "members", "padded", "zstd", "frames", "skippable"],
)
@pytest.mark.parametrize("size", [700, 10_000_000])
def test_every_framing_gives_the_content(packed: bytes, size: int) -> None:
    assert unpacked(packed, size) == DATA


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_short_streams_come_through_whole(data: bytes, size: int) -> None:
    for packed in (gzip.compress(data), zstandard.compress(data)):
        assert unpacked(packed, size) == data


@pytest.mark.parametrize("cut", [5, 1000, -1])
def test_a_cut_gzip_stream_is_damaged(cut: int) -> None:
    with pytest.raises(DamagedInputError, match="x is cut off"):
        unpacked(gzip.compress(DATA)[:cut])


def test_rubbish_after_a_stream_is_damaged() -> None:
    for packed in (gzip.compress(DATA), zstandard.compress(DATA)):
        with pytest.raises(DamagedInputError, match="x is damaged"):
            unpacked(packed + b"rubbish, and more of it than any header has")


def test_a_wrong_checksum_is_damaged() -> None:
    packed = bytearray(gzip.compress(DATA))
    packed[-8] ^= 1
    with pytest.raises(DamagedInputError, match="damaged gzip"):
        unpacked(bytes(packed))


def test_bombs_are_stopped_part_by_part() -> None:
    limits = Limits(ratio=200, ratio_floor=1 << 22)
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    for bomb in (packed, zstandard.compress(bytes(1 << 26))):
        seen = 0
        with pytest.raises(LimitExceededError, match="x unpacks"):  # noqa: PT012
            for part in inflated(parts(bomb), limits, "x"):
                assert len(part) <= PART_BYTES
                seen += len(part)
        assert seen <= 1 << 23


def test_a_window_that_is_a_bomb_itself_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(DamagedInputError, match="damaged zstd"):
        unpacked(packer.compress(DATA) + packer.flush())


def test_digests_and_sizes_are_checked() -> None:
    for algorithm in ("sha256", "sha512"):
        digest = f"{algorithm}:{hashlib.new(algorithm, DATA).hexdigest()}"
        assert b"".join(verified(parts(DATA), digest, len(DATA), "x")) == DATA
        for data, size, message in (
            (DATA[1:], None, "does not have the digest"),
            (DATA[:-1], len(DATA), "ends after"),
            (DATA + b"x", len(DATA), "longer than"),
        ):
            with pytest.raises(DamagedInputError, match=message):
                list(verified(parts(data), digest, size, "x"))


def test_reading_ahead_keeps_order_and_errors() -> None:
    def failing() -> Iterator[bytes]:
        yield from parts(DATA)
        raise DamagedInputError("here")

    seen: list[bytes] = []
    with read_ahead(failing()) as ahead, pytest.raises(DamagedInputError, match="here"):
        seen.extend(ahead)
    assert b"".join(seen) == DATA


def test_reading_ahead_ends_with_its_reader() -> None:
    before = threading.active_count()
    with read_ahead(parts(DATA)) as ahead:
        next(ahead)
    assert threading.active_count() == before


@given(st.lists(st.binary(max_size=20), max_size=20), st.lists(st.integers(0, 30), max_size=20))
def test_a_reader_takes_and_skips_as_a_file_does(pieces: list[bytes], counts: list[int]) -> None:
    whole = b"".join(pieces)
    reader = ByteReader(pieces, "x")
    at = 0
    for number, count in enumerate(counts):
        if at + count > len(whole):
            with pytest.raises(DamagedInputError, match="x ends at byte"):
                reader.skip(count) if number % 2 else reader.take(count)
            return
        if number % 2:
            reader.skip(count)
        else:
            assert reader.take(count) == whole[at : at + count]
        at += count
        assert reader.position == at
    assert reader.at_end() == (at == len(whole))
