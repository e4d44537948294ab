"""Fatbin entries whose header says one thing and whose payload says another."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.formats.fatbin import REGION_MAGIC
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import CodeObject, FileInventory, Kind

pytestmark = pytest.mark.toolchain

MINOR_AT, ARCH_AT, FLAGS_AT = 24, 28, 40
"""Where the fields stand in an entry's header (docs/format.md)."""
SPECIFIC, FAMILY = 0x100000, 0x200000


def read(data: bytes, *, names: bool) -> FileInventory:
    found = read_file("kernels.o", BytesBlob(data), ReadOptions(names=names))
    assert found is not None
    return found


def object_for(found: FileInventory, kind: Kind, target: str) -> CodeObject:
    (code,) = (
        code
        for region in found.regions
        for code in region.objects
        if (code.kind, str(code.target)) == (kind, target)
    )
    return code


def entry_at(data: bytes, kind: int, arch: int) -> int:
    """Where the header of the entry for `arch` begins in the only region of a file."""
    region = data.find(REGION_MAGIC)
    position = region + 16
    end = position + struct.unpack_from("<Q", data, region + 8)[0]
    while position < end:
        found, _, header, size = struct.unpack_from("<HHIQ", data, position)
        if (found, struct.unpack_from("<I", data, position + ARCH_AT)[0]) == (kind, arch):
            return position
        position += header + size
    raise AssertionError(arch)


@pytest.fixture(params=["none", "speed", "size"])
def packed(samples, request) -> bytes:
    path: Path = samples.packed(request.param)
    return path.read_bytes()


@pytest.mark.parametrize("names", [True, False])
def test_what_nvcc_writes_does_not_contradict_itself(packed, names):
    found = read(packed, names=names)
    assert found.damage == ()
    assert [c.contradicted for region in found.regions for c in region.objects] == [None] * 5


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize(("kind", "arch", "target"), [(2, 75, "7.5"), (1, 90, "9.0")])
def test_the_payload_decides_for_which_architecture_it_is(packed, names, kind, arch, target):
    data = bytearray(packed)
    struct.pack_into("<I", data, entry_at(packed, kind, arch) + ARCH_AT, 121)
    found = read(bytes(data), names=names)
    assert found.damage == ()
    code = object_for(found, Kind.CUBIN if kind == 2 else Kind.PTX, target)
    assert code.contradicted == ("sm_121" if kind == 2 else "compute_121")


@pytest.mark.parametrize("names", [True, False])
def test_a_cubin_that_calls_itself_an_old_one(packed, names):
    """The driver would load it, so its header is not believed either."""
    old = 4
    data = bytearray(packed)
    at = entry_at(packed, 2, 75)
    struct.pack_into("<H", data, at, old)
    struct.pack_into("<I", data, at + ARCH_AT, 121)
    found = read(bytes(data), names=names)
    assert found.damage == ()
    code = object_for(found, Kind.OLD_CUBIN, "7.5")
    assert code.contradicted == "sm_121"
    assert bool(code.kernels) == names


def test_an_old_cubin_that_is_none_is_damage(packed):
    data = bytearray(packed)
    struct.pack_into("<H", data, entry_at(packed, 1, 90), 4)
    (damage,) = read(bytes(data), names=True).damage
    assert "ELF" in damage.message


def test_a_family_specific_cubin_that_calls_itself_plain(packed):
    at = entry_at(packed, 2, 120) + FLAGS_AT
    data = bytearray(packed)
    (flags,) = struct.unpack_from("<Q", data, at)
    assert flags & FAMILY
    struct.pack_into("<Q", data, at, flags & ~FAMILY)
    assert object_for(read(bytes(data), names=True), Kind.CUBIN, "12.0f").contradicted == "sm_120"


def test_a_plain_cubin_that_calls_itself_specific(packed):
    at = entry_at(packed, 2, 75) + FLAGS_AT
    data = bytearray(packed)
    struct.pack_into("<Q", data, at, struct.unpack_from("<Q", data, at)[0] | SPECIFIC)
    assert object_for(read(bytes(data), names=True), Kind.CUBIN, "7.5").contradicted == "sm_75a"


@pytest.mark.parametrize("names", [True, False])
def test_the_text_decides_the_version_of_ptx(packed, names):
    data = bytearray(packed)
    struct.pack_into("<HH", data, entry_at(packed, 1, 90) + MINOR_AT, 4, 7)
    code = object_for(read(bytes(data), names=names), Kind.PTX, "9.0")
    assert (code.ptx_isa, code.contradicted) == ("9.0", "PTX 7.4")


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize(("kind", "other"), [(1, 2), (2, 1)])
def test_another_kind_of_payload_is_damage(packed, names, kind, other):
    data = bytearray(packed)
    struct.pack_into("<H", data, entry_at(packed, kind, 90), other)
    assert len(read(bytes(data), names=names).damage) == 1
