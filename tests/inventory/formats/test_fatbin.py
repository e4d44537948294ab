"""The fatbin container, by properties: what is written is read, and what is broken is said."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.formats.fatbin import KINDS, REGION_MAGIC, read_entries, region_end
from smforge.inventory.formats.limits import Limits
from smforge.inventory.formats.payload import open_payload, stream_payload
from smforge.inventory.native.damage_log import DamageLog
from smforge.inventory.native.magic_scan import find_code
from smforge.inventory.native.region_finder import raw_spans
from smforge.inventory.records import Compression, Kind, Origin

PACKERS = {
    Compression.NONE: (0, lambda data: data),
    Compression.ZLIB: (0x1000, isal_zlib.compress),
    Compression.LZ4: (0x2000, lambda data: lz4.block.compress(data, store_size=False)),
    Compression.ZSTD: (0x8000, zstandard.compress),
}
SUFFIX_FLAGS = {
    Suffix.PLAIN: 0,
    Suffix.ARCH_SPECIFIC: 0x100000,
    Suffix.FAMILY_SPECIFIC: 0x200000,
}
CODES = {kind: code for code, kind in KINDS.items()}


@dataclass(frozen=True)
class Written:
    """One entry as a test wants it."""

    kind: Kind
    target: Target
    version: tuple[int, int]
    payload: bytes
    compression: Compression
    header_size: int

    def encode(self) -> bytes:
        flag, pack = PACKERS[self.compression]
        stored = pack(self.payload)
        padded = stored + bytes(-len(stored) % 8)
        header = struct.pack(
            "<HHIQIIHHIIIQQQ",
            CODES[self.kind],
            0x101,
            self.header_size,
            len(padded),
            len(stored) if flag else 0,
            0,
            self.version[1],
            self.version[0],
            self.target.capability.number,
            0,
            0,
            0x11 | flag | SUFFIX_FLAGS[self.target.suffix],
            0,
            len(self.payload) if flag else 0,
        )
        return header + bytes(self.header_size - len(header)) + padded


def region(*entries: Written) -> bytes:
    body = b"".join(entry.encode() for entry in entries)
    return REGION_MAGIC + struct.pack("<Q", len(body)) + body


written = st.builds(
    Written,
    kind=st.sampled_from(list(CODES)),
    target=st.builds(
        Target,
        st.builds(ComputeCapability, st.integers(1, 99), st.integers(0, 9)),
        st.sampled_from(list(SUFFIX_FLAGS)),
    ),
    version=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    # Payloads of any length are padded; without packing the padding belongs to them.
    payload=st.binary(max_size=40).map(lambda data: (data + bytes(-len(data) % 8)) * 3),
    compression=st.sampled_from(list(PACKERS)),
    header_size=st.integers(8, 18).map(lambda words: words * 8),
)


def never() -> None:
    """Time that never runs out."""


SAMPLE = Written(
    Kind.PTX, Target.parse("12.0f"), (9, 0), b"some text" * 8, Compression.ZSTD, 64
)  # fmt: skip


@given(st.lists(written, max_size=6))
def test_entries_are_read_as_they_were_written(entries):
    data = region(*entries)
    blob = BytesBlob(data)
    assert region_end(blob, 0, len(data)) == len(data)

    found = list(read_entries(blob, 0, len(data)))
    assert [(e.kind, e.target, e.version, e.compression) for e in found] == [
        (w.kind, w.target, w.version, w.compression) for w in entries
    ]
    for entry, expected in zip(found, entries, strict=True):
        whole = open_payload(blob, entry, Limits())
        assert whole.read_at(0, whole.size) == expected.payload
        assert b"".join(stream_payload(blob, entry, Limits(), 7)) == expected.payload


@given(st.lists(st.tuples(st.lists(written, max_size=3), st.integers(0, 5)), max_size=5))
def test_regions_with_gaps_are_all_found(parts):
    data = b"".join(region(*entries) + bytes(8 * gap) for entries, gap in parts)
    log = DamageLog("x", Limits())

    spans = list(raw_spans(BytesBlob(data), log))
    assert log.damage == ()
    assert [data[span.offset : span.end] for span in spans] == [region(*e) for e, _ in parts]
    assert {span.origin for span in spans} <= {Origin.RAW}


@given(st.binary(min_size=1, max_size=30), st.lists(written, min_size=1, max_size=3))
def test_junk_between_regions_is_damage_and_costs_only_itself(junk, entries):
    junk = b"\x01" + junk + bytes(-(len(junk) + 1) % 8)
    first, second = region(SAMPLE), region(*entries)
    log = DamageLog("x", Limits())

    spans = list(raw_spans(BytesBlob(first + junk + second), log))
    assert len(log.damage) == 1
    assert log.damage[0].offset == len(first)
    assert [span.offset for span in spans] == [0, len(first + junk)]


@given(st.lists(written, min_size=1, max_size=3), st.binary(max_size=64), st.binary(max_size=64))
def test_a_fatbin_is_found_among_other_bytes(entries, before, after):
    data = before + region(*entries) + after

    found = list(find_code(BytesBlob(data), 0, len(data), never))
    assert (Origin.EMBEDDED, len(before), len(before) + len(region(*entries))) in found


@pytest.mark.parametrize(
    "data",
    [
        REGION_MAGIC + bytes(8),
        REGION_MAGIC + struct.pack("<Q", 1 << 60),
        REGION_MAGIC + struct.pack("<Q", 8) + b"\x01" * 8,
        REGION_MAGIC,
        region(SAMPLE).replace(b"\x01\x00\x01\x01", b"\xff\x0f\x01\x01"),
    ],
    ids=["empty", "too large", "no entries", "cut off", "unknown kind"],
)
def test_the_magic_alone_is_no_fatbin(data):
    assert list(find_code(BytesBlob(data), 0, len(data), never)) == []


@pytest.mark.parametrize("header_size", [0, 56, 5000])
def test_an_entry_with_an_impossible_header_ends_the_region(header_size):
    data = bytearray(region(SAMPLE, SAMPLE))
    struct.pack_into("<I", data, 16 + len(SAMPLE.encode()) + 4, header_size)

    entries = read_entries(BytesBlob(bytes(data)), 0, len(data))
    assert next(entries).kind is Kind.PTX
    with pytest.raises(DamagedInputError, match="does not fit its region"):
        next(entries)


@pytest.mark.parametrize("compression", [c for c in PACKERS if c is not Compression.NONE])
@pytest.mark.parametrize("size", [0, 71, 73, 1 << 40])
def test_a_payload_that_is_not_as_long_as_stated_is_damage(compression, size):
    entry = Written(Kind.CUBIN, Target.parse("9.0"), (1, 8), b"123456789" * 8, compression, 64)
    data = bytearray(region(entry))
    struct.pack_into("<Q", data, 16 + 56, size)
    blob = BytesBlob(bytes(data))
    (found,) = read_entries(blob, 0, len(data))

    with pytest.raises(DamagedInputError):
        open_payload(blob, found, Limits())
    if size not in {0, 71}:
        with pytest.raises(DamagedInputError):
            list(stream_payload(blob, found, Limits()))


@pytest.mark.parametrize("compression", [c for c in PACKERS if c is not Compression.NONE])
def test_a_payload_beyond_the_limit_is_refused_before_it_is_unpacked(compression):
    entry = Written(Kind.PTX, Target.parse("9.0"), (9, 0), bytes(1 << 16), compression, 64)
    data = region(entry)
    (found,) = read_entries(BytesBlob(data), 0, len(data))

    for unpack in (open_payload, lambda *args: list(stream_payload(*args))):
        with pytest.raises(LimitExceededError):
            unpack(
                BytesBlob(data), found, Limits(payload_bytes=1 << 15, whole_payload_bytes=1 << 15)
            )


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_make_the_container_readers_raise_anything_else(noise, position):
    data = bytearray(region(SAMPLE, SAMPLE))
    position = min(position, len(data))
    data[position : position + len(noise)] = noise
    blob = BytesBlob(bytes(data))

    for span in raw_spans(blob, DamageLog("x", Limits())):
        try:
            for entry in read_entries(blob, span.offset, span.end):
                open_payload(
                    blob, entry, Limits(payload_bytes=1 << 20, whole_payload_bytes=1 << 20)
                )
        except DamagedInputError:
            continue
