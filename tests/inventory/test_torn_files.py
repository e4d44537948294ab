"""Libraries that lost their GPU code on the way, or never got it linked: never clean or empty."""

from __future__ import annotations

import shutil
import struct
import subprocess
from functools import partial
from pathlib import Path

import pytest

from smforge.inventory.cuobjdump.locate import locate
from smforge.inventory.cuobjdump.readers import CuobjdumpReader
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory

pytestmark = pytest.mark.toolchain


@pytest.fixture
def library(samples) -> Path:
    return samples.library("sm_90", "sm_120f")


def fatbins_of(path: Path) -> elf.Section:
    with FileBlob.from_path(path) as blob:
        sections = elf.read_sections(blob, elf.read_header(blob))
    return next(section for section in sections if section.name == ".nv_fatbin")


def read_bytes(data: bytes) -> FileInventory:
    found = read_file("lib.so", BytesBlob(data), ReadOptions())
    assert found is not None
    return found


def test_a_section_of_zeros_is_damage(library):
    place = fatbins_of(library)
    data = bytearray(library.read_bytes())
    data[place.offset : place.end] = bytes(place.size)

    for reader in (read_file, CuobjdumpReader(locate())):
        found = reader("lib.so", BytesBlob(bytes(data)), ReadOptions())
        assert found is not None
        assert found.regions == ()
        assert [damage.offset for damage in found.damage] == [place.offset]
        assert "zeros" in found.damage[0].message


def test_a_page_of_zeros_between_regions_is_damage(library, tmp_path):
    """As a torn copy leaves it: the first and the last region are whole, one between is gone."""
    place = fatbins_of(library)
    region = library.read_bytes()[place.offset : place.end]
    (tmp_path / "torn").write_bytes(region + bytes(len(region) + 8192) + region)
    (tmp_path / "padded").write_bytes(region + bytes(248) + region)
    for name, damages in (("torn", 1), ("padded", 0)):
        replaced = tmp_path / f"{name}.so"
        objcopy("--update-section", f".nv_fatbin={tmp_path / name}", library, replaced)
        assert len(read_bytes(replaced.read_bytes()).damage) == damages, name


def test_code_that_was_taken_out_is_missed(library, tmp_path):
    stripped = tmp_path / "stripped.so"
    objcopy("--remove-section", ".nv_fatbin", library, stripped)

    found = read_bytes(stripped.read_bytes())
    assert found.regions == ()
    assert ["registers" in damage.message for damage in found.damage] == [True]


def test_code_that_was_kept_for_a_debugger_is_not_missed(library, tmp_path):
    """The companion file that `objcopy` makes has the sections' names, and nothing in them."""
    objcopy("--only-keep-debug", library, tmp_path / "lib.debug")

    content = (tmp_path / "lib.debug").read_bytes()
    assert read_file("lib.debug", BytesBlob(content), ReadOptions()) is None


def test_relocatable_code_that_no_device_linker_saw(samples, read, tmp_path):
    """The host's linker is content; loading the library is what fails."""
    folder = samples.linked()
    unlinked = tmp_path / "unlinked.so"
    samples.run(
        shutil.which("g++") or "g++",
        *("-shared", "-o", str(unlinked), "second.o", "third.o"),
        folder=folder,
    )

    assert read(unlinked).unlinked == ("second.cu", "third.cu")
    with FileBlob.from_path(unlinked) as blob:
        second = CuobjdumpReader(locate())(unlinked.name, blob, ReadOptions())
    assert second is not None
    assert second.regions
    assert second.unlinked == ("second.cu", "third.cu")
    assert read(folder / "libunits.so").unlinked == ()
    assert read(folder / "second.o").unlinked == ()


def objcopy(*arguments: str | Path) -> None:
    subprocess.run(["objcopy", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def archive(samples, tmp_path) -> Path:
    """A static archive of two object files, and one in a folder that holds that as a member."""
    for name, code in (("first", "sm_120f"), ("second", "sm_90")):
        built = samples.compile("k.o", "-c", *samples.gencode(code))
        shutil.copy(built, tmp_path / f"{name}.o")
    run = partial(samples.run, shutil.which("ar") or "ar", folder=tmp_path)
    run("rc", "libboth.a", "first.o", "second.o")
    run("rc", "inner.a", "second.o")
    run("rc", "libouter.a", "first.o", "inner.a")
    return tmp_path / "libboth.a"


def read_archive(data: bytes) -> FileInventory:
    found = read_file("libx.a", BytesBlob(data), ReadOptions())
    assert found is not None
    return found


def member_of(data: bytes | bytearray, name: bytes) -> slice:
    header = data.find(name)
    return slice(header + 60, header + 60 + int(data[header + 48 : header + 58]))


@pytest.mark.parametrize("lost", ["all", "its header", "its end", "its sections' table"])
def test_a_member_of_a_static_archive_that_was_torn(archive, lost):
    data = bytearray(archive.read_bytes())
    place = member_of(data, b"second.o/")
    assert read_archive(bytes(data)).damage == ()
    match lost:
        case "all":
            data[place] = bytes(place.stop - place.start)
        case "its header":
            data[place.start : place.start + 32] = bytes(32)
        case "its end":
            middle = (place.start + place.stop) // 2
            data[middle : place.stop] = bytes(place.stop - middle)
        case _:
            data[place.start + 40 : place.start + 48] = bytes(8)

    found = read_archive(bytes(data))
    assert len(found.damage) == 1
    assert [region.member for region in found.regions] == ["first.o"]


def test_an_empty_member_of_a_static_archive(archive, samples):
    (archive.parent / "none.o").touch()
    samples.run("ar", "rc", "libboth.a", "none.o", folder=archive.parent)
    (damage,) = read_archive(archive.read_bytes()).damage
    assert "'none.o'" in damage.message


def test_other_members_of_a_static_archive_are_meant(archive, samples):
    (archive.parent / "notes.txt").write_text("made by hand")
    (archive.parent / "bitcode.o").write_bytes(b"BC\xc0\xde and so on")
    samples.run("ar", "rc", "libboth.a", "notes.txt", "bitcode.o", folder=archive.parent)
    found = read_archive(archive.read_bytes())
    assert found.damage == ()
    assert len(found.regions) == 2


def test_an_archive_within_an_archive_is_read(archive):
    found = read_archive(archive.with_name("libouter.a").read_bytes())
    assert found.damage == ()
    assert [region.member for region in found.regions] == ["first.o", "inner.a/second.o"]
    assert [str(region.objects[0].target) for region in found.regions] == ["12.0f", "9.0"]


def test_archives_that_lie_too_deep_are_damage(archive):
    data = archive.read_bytes()
    for _ in range(4):
        header = b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (b"in.a/", 0, 0, 0, 0o644, len(data))
        data = b"!<arch>\n" + header + data + b"\n" * (len(data) & 1)
    (damage,) = read_archive(data).damage
    assert "deep" in damage.message


SECTIONS_AT, SECTION_COUNT_AT = 0x28, 0x3C
"""Where an ELF header tells about the section table."""


@pytest.mark.parametrize("torn", ["no table", "no symbols"])
def test_a_cubin_whose_kernels_nothing_names_is_damage(samples, torn):
    """It would have no kernel, so that nothing of it would be judged."""
    cubin = samples.compile("k.cubin", "-cubin", "-arch=sm_90").read_bytes()
    library = samples.library("sm_90").read_bytes()
    for whole, start in ((cubin, 0), (library, library.index(cubin[:64]))):
        data = bytearray(whole)
        (table,) = struct.unpack_from("<Q", data, start + SECTIONS_AT)
        (count,) = struct.unpack_from("<H", data, start + SECTION_COUNT_AT)
        if torn == "no table":
            struct.pack_into("<Q", data, start + SECTIONS_AT, 0)
            struct.pack_into("<H", data, start + SECTION_COUNT_AT, 0)
        for row in range(start + table, start + table + 64 * count, 64):
            if struct.unpack_from("<I", data, row + 4) == (elf.SHT_SYMTAB,):
                struct.pack_into("<I", data, row + 4, 0)
        (damage,) = read_bytes(bytes(data)).damage
        assert damage.message == "A cubin has no symbol table."
