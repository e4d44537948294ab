"""The native reader on what nvcc really writes, against the flags it was given and cuobjdump."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from smforge.inventory.cuobjdump.agreement import compare
from smforge.inventory.cuobjdump.locate import locate
from smforge.inventory.cuobjdump.readers import BothReaders
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.formats.fatbin import read_entries
from smforge.inventory.formats.limits import Limits
from smforge.inventory.native.damage_log import DamageLog
from smforge.inventory.native.reader import read_file
from smforge.inventory.native.region_finder import elf_spans
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Compression, Kind, Origin
from smforge.inventory.subjects.opening import open_subject
from smforge.inventory.survey import survey

pytestmark = pytest.mark.toolchain

MODES = {"none": Compression.NONE, "speed": Compression.LZ4, "size": Compression.ZSTD}


def strip_section_headers(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<3H", data, 58, 0, 0, 0)
    return bytes(data)


def assert_agreement(path: Path) -> int:
    """Compare the native reader with cuobjdump; return how many objects were compared."""
    options = ReadOptions()
    readers = BothReaders(locate())
    with open_subject(str(path), options) as subject:
        native = survey(subject, options, readers)
    result = compare(native, readers.second_opinion(native))
    assert result.unread == ()
    assert result.differences == ()
    return result.objects


@pytest.mark.parametrize("mode", MODES)
def test_every_packing_gives_targets_and_names(samples, read, targets, mode):
    file = read(samples.packed(mode))

    assert targets(file) == list(samples.PACKED_TARGETS)
    (region,) = file.regions
    assert region.origin is Origin.FATBIN
    assert region.source == "kernels.cu"
    for code in region.objects:
        assert code.kernels == samples.NAMES
        assert code.compression is MODES[mode]
    (ptx,) = (code for code in region.objects if code.kind is Kind.PTX)
    assert ptx.ptx_isa == "9.0"
    assert file.machine == "x86_64"
    assert file.damage == ()


@pytest.mark.parametrize("mode", MODES)
def test_agrees_with_cuobjdump_in_every_packing(samples, mode):
    assert assert_agreement(samples.packed(mode)) == len(samples.PACKED_TARGETS)


def test_a_family_target_never_loses_its_suffix(samples, read, targets):
    library = samples.library("sm_120f")

    assert targets(read(library)) == [("cubin", "12.0f")]
    assert targets(read(samples.cubin("sm_120f"))) == [("cubin", "12.0f")]
    assert assert_agreement(library) == 1


def test_without_names_nothing_is_unpacked(samples, read, targets):
    file = read(samples.packed("size"), names=False)

    assert targets(file) == list(samples.PACKED_TARGETS)
    assert all(code.kernels is None for code in file.regions[0].objects)


def test_a_library_names_what_it_needs_and_its_hash(samples, read):
    path = samples.library("sm_80", "sm_121a", "compute_80")
    file = read(path)

    expected = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    assert file.sha256 == expected.stdout.split()[0]
    assert "libc.so.6" in file.needed
    assert read(path, digests=False).sha256 is None


def test_ptx_alone(samples, read, targets):
    library = samples.library("compute_80")
    file = read(library)

    assert targets(file) == [("ptx", "8.0")]
    assert file.regions[0].objects[0].kernels == samples.NAMES
    assert_agreement(library)


@pytest.mark.parametrize("flags", [(), ("-rdc=true",)])
def test_ptx_in_a_fatbin_that_is_a_file_is_compared(samples, flags):
    """Without kernels too, as the functions that cuDF links on the device."""
    source = 'extern "C" __device__ int shim(int x) { return x * 3; }\n'
    for kernels in ("", 'extern "C" __global__ void k(int* x) { *x = 1; }'):
        path = samples.compile(
            "k.fatbin", "-fatbin", *flags, *samples.gencode("compute_75", "lto_90", "compute_90a"),
            source=source + kernels,
        )  # fmt: skip
        assert assert_agreement(path) == 3


def test_lto_ir_has_a_target_but_no_names(samples, read):
    path = samples.compile("kernels.o", "-dc", *samples.gencode("lto_90"))
    (region,) = read(path).regions

    assert [(code.kind, str(code.target)) for code in region.objects] == [(Kind.LTO_IR, "9.0")]
    assert region.objects[0].kernels is None


def test_relocatable_code_counts_where_nothing_is_linked(samples, read, targets):
    file = read(samples.linked() / "second.o")

    assert {region.origin for region in file.regions} == {Origin.RELOCATABLE}
    assert targets(file) == [("cubin", "12.0a"), ("cubin", "9.0")]
    assert [code.kernels for code in file.regions[0].objects] == [("remote",)] * 2
    assert len(file.counted_regions) == 1
    assert_agreement(samples.linked() / "second.o")


def test_linked_code_hides_what_it_was_linked_from(samples, read):
    library = samples.linked() / "libunits.so"
    file = read(library)
    counted = file.counted_regions

    assert {region.origin for region in counted} == {Origin.FATBIN}
    assert {region.origin for region in file.regions} == {Origin.FATBIN, Origin.RELOCATABLE}
    for target in ("9.0", "12.0a"):
        names = {
            name
            for region in counted
            for code in region.objects
            if str(code.target) == target
            for name in code.kernels or ()
        }
        assert names == {"nearby", "remote"}
    assert_agreement(library)


def test_a_static_archive_is_read_member_by_member(samples, read):
    archive = samples.linked() / "libunits.a"
    file = read(archive)

    found = {region.member: region.objects[0].kernels for region in file.regions}
    assert found == {"second.o": ("remote",), "third.o": ("nearby",)}
    for region in file.regions:
        with FileBlob.from_path(archive) as blob:
            assert blob.read_at(region.offset, 4) == b"\x50\xed\x55\xba"
    assert_agreement(archive)


def test_stripped_section_headers_hide_nothing(samples, read, targets, tmp_path):
    stripped = tmp_path / "libstripped.so"
    stripped.write_bytes(strip_section_headers(samples.library("sm_80", "sm_121a", "compute_80")))
    file = read(stripped)

    assert targets(file) == [("cubin", "12.1a"), ("cubin", "8.0"), ("ptx", "8.0")]
    assert {region.origin for region in file.regions} == {Origin.EMBEDDED}


def test_a_fatbin_in_read_only_data_is_found(samples, read, targets, tmp_path):
    fatbin = samples.compile("kernels.fatbin", "-fatbin", *samples.gencode("sm_90", "sm_100f"))
    values = ",".join(map(str, fatbin.read_bytes()))
    source = tmp_path / "data.c"
    # The bare magic, as a program that reads fatbins holds it, is not code.
    source.write_text(
        "const unsigned char magic[16] = {0x50,0xed,0x55,0xba,1,0,16,0};\n"
        f"const unsigned char code[] __attribute__((aligned(8))) = {{{values}}};\n"
    )
    samples.run("gcc", "-shared", "-fPIC", "-o", "libdata.so", "data.c", folder=tmp_path)
    file = read(tmp_path / "libdata.so")

    (region,) = file.regions
    assert (region.origin, region.section) == (Origin.EMBEDDED, ".rodata")
    assert targets(file) == [("cubin", "10.0f"), ("cubin", "9.0")]
    assert all(code.kernels == samples.NAMES for code in region.objects)


def test_a_fatbin_file(samples, read, targets):
    path = samples.compile("kernels.fatbin", "-fatbin", *samples.gencode("sm_90", "compute_90"))

    file = read(path)
    assert targets(file) == [("cubin", "9.0"), ("ptx", "9.0")]
    assert file.regions[0].origin is Origin.RAW


def test_a_ptx_file(samples, read, targets):
    path = samples.compile("kernels.ptx", "-ptx", "-arch=compute_103a")

    file = read(path)
    assert targets(file) == [("ptx", "10.3a")]
    (code,) = file.regions[0].objects
    assert (code.ptx_isa, code.kernels) == ("9.0", samples.NAMES)


@pytest.mark.parametrize(
    "target", ["sm_75", "sm_90", "sm_90a", "sm_100f", "sm_103a", "sm_110f", "sm_120", "sm_121a"]
)
def test_raw_cubins_say_their_target(samples, read, target):
    file = read(samples.cubin(target))

    (code,) = file.regions[0].objects
    assert code.target.sm == target
    assert code.kernels == samples.NAMES
    assert code.toolkit == "13.0"
    assert assert_agreement(samples.cubin(target)) == 1


@pytest.mark.parametrize(
    ("target", "without_note"),
    [("sm_120f", "12.0?"), ("sm_120", "12.0?"), ("sm_120a", "12.0a"), ("sm_90", "9.0")],
)
def test_a_cubin_that_does_not_tell_its_suffix_is_not_guessed(samples, target, without_note):
    data = samples.cubin(target).read_bytes().replace(b"-arch sm_", b"-hide it_")

    file = read_file("x.cubin", BytesBlob(data), ReadOptions())
    assert file is not None
    assert str(file.regions[0].objects[0].target) == without_note


@pytest.mark.parametrize("target", ["sm_90a", "sm_80"])
def test_cubins_of_the_older_abi(samples, compiler_folder, read, tmp_path, target):
    number = target.partition("_")[2]
    text = samples.compile("kernels.ptx", "-ptx", f"-arch=compute_{number}")
    older = tmp_path / "older.ptx"
    older.write_text(text.read_text().replace(".version 9.0", ".version 8.5"))
    ptxas = compiler_folder("12.9") / "bin" / "ptxas"
    samples.run(ptxas, f"-arch={target}", "-o", "older.cubin", "older.ptx", folder=tmp_path)
    assert (tmp_path / "older.cubin").read_bytes()[7] == 0x33

    (code,) = read(tmp_path / "older.cubin").regions[0].objects
    assert code.target.sm == target
    assert code.toolkit == "12.9"
    assert code.kernels == samples.NAMES
    assert_agreement(tmp_path / "older.cubin")


def test_the_same_kernels_in_two_regions_stay_apart(samples, read, tmp_path):
    for name in ("first", "other"):
        shutil.copy(samples.packed("size"), tmp_path / f"{name}.o")
    samples.run("ld", "-r", "-z", "muldefs", "-o", "both.o", "first.o", "other.o", folder=tmp_path)
    file = read(tmp_path / "both.o")

    assert [len(region.objects) for region in file.regions] == [5, 5]
    assert file.regions[0].objects == file.regions[1].objects
    assert assert_agreement(tmp_path / "both.o") == 10


def test_a_damaged_payload_is_recorded_and_the_rest_is_read(samples):
    data = bytearray(samples.packed("size").read_bytes())
    blob = BytesBlob(bytes(data))
    sections = elf.read_sections(blob, elf.read_header(blob))
    (span,) = elf_spans(blob, sections, DamageLog("kernels.o", ReadOptions().limits))
    first = next(read_entries(blob, span.offset, span.end))
    data[first.offset : first.offset + 16] = b"\xff" * 16

    file = read_file("kernels.o", BytesBlob(bytes(data)), ReadOptions())
    assert file is not None
    assert [damage.offset for damage in file.damage] == [first.offset]
    kernels = [code.kernels for code in file.regions[0].objects]
    assert kernels == [None, *[samples.NAMES] * 4]


def test_a_damaged_region_is_recorded_and_the_next_one_is_read(samples, tmp_path):
    for name in ("first", "other"):
        shutil.copy(samples.packed("size"), tmp_path / f"{name}.o")
    samples.run("ld", "-r", "-z", "muldefs", "-o", "both.o", "first.o", "other.o", folder=tmp_path)
    data = bytearray((tmp_path / "both.o").read_bytes())
    data[data.index(b"\x50\xed\x55\xba")] = 0

    file = read_file("both.o", BytesBlob(bytes(data)), ReadOptions())
    assert file is not None
    assert len(file.damage) == 1
    assert [len(region.objects) for region in file.regions] == [5]


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_a_truncated_library_is_damage(samples, kept):
    data = samples.library("sm_80", "sm_121a", "compute_80").read_bytes()

    file = read_file("lib.so", BytesBlob(data[: int(len(data) * kept)]), ReadOptions())
    assert file is not None
    assert file.damage
    assert "ends" in file.damage[0].message


def test_a_section_beyond_the_end_is_damage_and_the_others_are_read(samples, targets):
    data = bytearray(samples.packed("size").read_bytes())
    table, count = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, table + 64 * i) for i in range(count)]
    # The comment section: data that nobody needs.
    row = next(i for i, fields in enumerate(rows) if fields[1] == 1 and fields[2] == 0x30)
    struct.pack_into("<Q", data, table + 64 * row + 32, 1 << 40)

    file = read_file("kernels.o", BytesBlob(bytes(data)), ReadOptions())
    assert file is not None
    assert "before its section '.comment'" in file.damage[0].message
    assert targets(file) == list(samples.PACKED_TARGETS)


def test_a_file_that_takes_too_long_is_given_up(samples):
    data = samples.packed("size").read_bytes()

    file = read_file("kernels.o", BytesBlob(data), ReadOptions(limits=Limits(seconds=-1)))
    assert file is not None
    assert "takes more than" in file.damage[0].message
