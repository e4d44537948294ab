"""Libraries that lost their GPU code on the way, or never got it linked: never clean or empty."""

from __future__ import annotations

import shutil
import subprocess
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
