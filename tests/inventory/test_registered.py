"""What a host file registers: the regions that must be there, and kernels that nobody registers."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import seeds
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.native.reader import read_file
from smforge.inventory.native.registrations import registrations
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory

pytestmark = pytest.mark.toolchain

REGION = seeds.region(seeds.entry(1, seeds.PTX, flags=0x11))
PASSES = """
extern "C" __global__ void common(int* x) { *x = 1; }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
extern "C" __global__ void leftover(int* x) { *x = 2; }
#endif
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ != 900
extern "C" __global__ void launched(int* x) { *x = 3; }
#endif
extern "C" void run(int* x) {
  common<<<1, 1>>>(x);
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ != 900
  launched<<<1, 1>>>(x);
#endif
}
"""
BY_HAND = (
    PASSES
    + """
extern "C" const char* name_of(int part) { return part ? "left" "over" : "more"; }
"""
)
LAUNCHER = """
extern "C" __global__ void alone(int* x) { *x = 1; }
extern "C" void run_alone(int* x) { alone<<<1, 1>>>(x); }
"""
CODES = ("sm_75", "sm_90", "sm_120")


def read_bytes(data: bytes) -> FileInventory:
    found = read_file("lib.so", BytesBlob(data), ReadOptions())
    assert found is not None
    return found


def _no_limit() -> None:
    """Allow any time."""


def section_of(path: Path, name: str) -> elf.Section:
    with FileBlob.from_path(path) as blob:
        sections = elf.read_sections(blob, elf.read_header(blob))
    return next(section for section in sections if section.name == name)


def unregistered(found: FileInventory) -> set[str]:
    return {name for region in found.regions for name in region.unregistered}


@pytest.fixture
def build(samples) -> Callable[..., Path]:
    def compile_library(source: str, *flags: str) -> Path:
        shared = ("-shared", "-Xcompiler", "-fPIC", "-cudart", "none")
        return samples.compile("lib.so", *shared, *samples.gencode(*CODES), *flags, source=source)

    return compile_library


def test_what_a_pass_of_the_compiler_left_is_unregistered(build, read):
    found = read(build(PASSES))
    kernels = {name for region in found.regions for code in region.objects for name in code.kernels}
    assert kernels == {"common", "leftover", "launched"}
    assert unregistered(found) == {"leftover"}
    assert unregistered(read(build(PASSES), names=False)) == set()


def test_a_name_that_the_host_file_holds_is_left_alone(build, read):
    """Also as the end of a longer string, as linkers merge them."""
    assert unregistered(read(build(BY_HAND))) == set()
    merged = BY_HAND.replace('"left" "over"', '"the leftover"')
    assert unregistered(read(build(merged))) == set()
    inside = BY_HAND.replace('"left" "over"', '"leftover of a pass"')
    assert unregistered(read(build(inside))) == {"leftover"}


def test_where_registered_names_are_gone_too_a_missing_one_proves_nothing(build):
    """As in a host file that puts the names of its kernels together at run time."""
    path = build(PASSES)
    data = bytearray(path.read_bytes())
    code = section_of(path, ".nv_fatbin")
    position = data.find(b"common\0")
    assert position >= 0
    while position >= 0:
        if not code.offset <= position < code.end:
            data[position] = ord("X")
        position = data.find(b"common\0", position + 1)
    assert unregistered(read_bytes(bytes(data))) == set()


def test_a_region_that_nothing_registers_is_left_alone(build):
    path = build(PASSES)
    data = bytearray(path.read_bytes())
    with FileBlob.from_path(path) as blob:
        header = elf.read_header(blob)
        sections = elf.read_sections(blob, header)
        found = registrations(blob, header, sections, _no_limit)
    assert len(found) == len(read_bytes(bytes(data)).regions)
    for wrapper in found:
        data[wrapper : wrapper + 4] = b"none"
    assert unregistered(read_bytes(bytes(data))) == set()


@pytest.mark.parametrize("codes", [("sm_90",), ("sm_75", "compute_90")])
@pytest.mark.parametrize("flags", [("-c",), ("-dc",), ("-shared",), ("-shared", "-rdc=true")])
def test_every_region_of_nvcc_is_registered(samples, codes, flags):
    """In object files by relocations of the section, in linked ones by those of the loader."""
    more = ("-Xcompiler", "-fPIC", "-cudart", "none")
    path = samples.compile("out.o", *flags, *more, *samples.gencode(*codes), source=LAUNCHER)
    with FileBlob.from_path(path) as blob:
        header = elf.read_header(blob)
        found = registrations(blob, header, elf.read_sections(blob, header), _no_limit)
        inventory = read_file("out.o", blob, ReadOptions())
    assert inventory is not None
    assert inventory.damage == ()
    assert set(found.values()) == {region.offset for region in inventory.regions}


@pytest.mark.parametrize("strip", [False, True], ids=["with sections", "without"])
def test_a_registered_region_of_zeros_is_damage_however_small(samples, build, strip):
    """Regions under 4 kB count as padding by their size alone."""
    path = build(PASSES)
    other = samples.compile("k.o", "-c", "-Xcompiler", "-fPIC", *samples.gencode("sm_90"),
                            source=LAUNCHER)  # fmt: skip
    both = path.with_name("both.so")
    unit = samples.compile("p.o", "-c", "-Xcompiler", "-fPIC", *samples.gencode("sm_120"),
                           source=PASSES)  # fmt: skip
    subprocess.run(["gcc", "-shared", "-o", both, unit, other], check=True, capture_output=True)
    data = bytearray(both.read_bytes())
    if strip:
        data[40:48] = bytes(8)
        data[58:64] = bytes(6)
    assert read_bytes(bytes(data)).damage == ()

    region = read_bytes(bytes(data)).regions[-1]
    size = 16 + int.from_bytes(data[region.offset + 8 : region.offset + 16], "little")
    data[region.offset : region.offset + size] = bytes(size)
    assert size <= 4096
    (damage,) = read_bytes(bytes(data)).damage
    assert "registers GPU code" in damage.message


@pytest.mark.parametrize("address", [0, 1 << 63, (1 << 64) - 0x200, (1 << 64) - 8])
def test_addresses_beyond_all_memory_are_followed_to_nothing(address):
    """Found by fuzzing: no wrapper's place fits into a relocation then."""
    data = bytearray(seeds.registering_library(REGION))
    assert read_bytes(bytes(data)).damage == ()
    struct.pack_into("<Q", data, 64 + 16, address)
    found = read_bytes(bytes(data))
    assert found.regions[0].loaded_by_program is bool(address)
