"""GPU code in places that no section announces: C arrays, strings, files for Windows."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from smforge.inventory.cuobjdump.agreement import compare
from smforge.inventory.cuobjdump.locate import locate
from smforge.inventory.cuobjdump.readers import BothReaders, CuobjdumpReader
from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.formats.fatbin import REGION_MAGIC
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory, Kind, Origin, Region
from smforge.inventory.subjects.opening import open_subject
from smforge.inventory.survey import survey

pytestmark = pytest.mark.toolchain

HOST = 'extern "C" __global__ void registered(int* x) { *x = 1; }'
LOADED = 'extern "C" __global__ void loaded(int* x) { *x = 2; }'


def found_in(data: bytes, **options: bool) -> FileInventory:
    found = read_file("lib.so", BytesBlob(data), ReadOptions(**options))  # type: ignore[arg-type]
    assert found is not None
    return found


def data_of(found: FileInventory) -> list[Region]:
    return [region for region in found.regions if region.origin is Origin.DATA]


def c_array(content: bytes) -> str:
    return f"const unsigned char code[] = {{{','.join(map(str, content))}}};"


def c_string(content: bytes) -> str:
    escaped = content.decode().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    escaped = escaped.replace("\r", "\\r")
    return f'const char* const code = "{escaped}";'


@pytest.fixture
def library(samples, tmp_path):
    """Links C code, whatever it holds, with a unit of nvcc for sm_120f into a library."""

    def link(source: str, *flags: str) -> Path:
        unit = samples.compile("unit.o", "-c", "-Xcompiler", "-fPIC", *samples.gencode("sm_120f"),
                               source=HOST)  # fmt: skip
        (tmp_path / "data.c").write_text(source)
        output = tmp_path / "lib.so"
        command = ["gcc", "-shared", "-fPIC", *flags, "-o", output, "data.c", unit]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return output

    return link


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("target", ["sm_75", "sm_90a", "sm_120f"])
def test_a_cubin_as_an_array(samples, library, target, names):
    cubin = samples.compile("k.cubin", "-cubin", f"-arch={target}", source=LOADED)
    content = cubin.read_bytes()
    found = found_in(library(c_array(content)).read_bytes(), names=names)
    (region,) = data_of(found)
    (code,) = region.objects
    assert (code.kind, code.target.sm) == (Kind.CUBIN, target)
    assert code.kernels == (("loaded",) if names else None)
    assert code.stored_bytes == len(content)
    assert region.section == ".rodata"
    assert found.damage == ()
    # It is no code that the runtime loads, and cuobjdump does not list it.
    assert region not in found.counted_regions
    assert [one.kernels for r in found.counted_regions for one in r.objects] == [
        ("registered",) if names else None
    ]


@pytest.mark.parametrize("names", [True, False])
def test_ptx_as_a_string(samples, library, names):
    text = samples.compile("k.ptx", "-ptx", "-arch=sm_90a", source=LOADED).read_bytes()
    (region,) = data_of(found_in(library(c_string(text)).read_bytes(), names=names))
    (code,) = region.objects
    assert (code.kind, code.target.compute, code.ptx_isa) == (Kind.PTX, "compute_90a", "9.0")
    assert code.kernels == (("loaded",) if names else None)


@pytest.mark.parametrize(
    "text",
    [
        ".version 8.0\n.target\tsm_90\n.visible .entry loaded() { ret; }\n",
        "// by hand\n.version 8.0 // of 2022\n/* or\nlater */ .target  sm_90\n.entry loaded(){}",
        ".version 8.0\r\n.target sm_90\r\n.entry loaded() { ret; }",
    ],
)
def test_ptx_that_somebody_wrote(library, text):
    (region,) = data_of(found_in(library(c_string(text.encode())).read_bytes()))
    (code,) = region.objects
    assert (code.target.compute, code.kernels) == ("compute_90", ("loaded",))


def test_ptx_that_ends_with_its_section(samples, library, tmp_path):
    text = samples.compile("k.ptx", "-ptx", "-arch=sm_75", source=LOADED).read_bytes()
    (tmp_path / "text.ptx").write_bytes(text)
    source = '__asm__(".section .texts,\\"a\\"\\n.incbin \\"text.ptx\\"\\n.previous");'
    (region,) = data_of(found_in(library(source).read_bytes()))
    assert region.section == ".texts"
    assert region.objects[0].stored_bytes == len(text) - text.index(b".version")


@pytest.mark.parametrize(
    "text",
    [
        '".version %d.%d\\n.target sm_%d\\n.entry k() {}"',
        '".version 9.0\\n.target sm_90\\n.address_size 64\\n"',
        '"a line of .target sm_90 in some message, and .entry after it"',
        '"\\x7f" "ELF\\x02\\x01\\x01 begins every such file, as this tool knows"',
    ],
)
def test_what_reads_or_writes_gpu_code_holds_none(library, text):
    assert data_of(found_in(library(f"const char* const text = {text};").read_bytes())) == []


def test_without_section_headers(samples, library):
    cubin = samples.compile("k.cubin", "-cubin", "-arch=sm_90", source=LOADED).read_bytes()
    data = bytearray(library(c_array(cubin)).read_bytes())
    data[40:48] = bytes(8)
    data[58:64] = bytes(6)
    found = found_in(bytes(data))
    assert found.damage == ()
    origins = [region.origin for region in found.regions]
    assert origins == [Origin.EMBEDDED, Origin.DATA]


def test_the_second_opinion_does_not_miss_it(samples, library):
    cubin = samples.compile("k.cubin", "-cubin", "-arch=sm_90", source=LOADED).read_bytes()
    path = library(c_array(cubin))
    readers = BothReaders(locate())
    with open_subject(str(path), ReadOptions()) as subject:
        inventory = survey(subject, ReadOptions(), readers)
    assert compare(inventory, readers.second_opinion(inventory)).differences == ()


def test_cuobjdump_alone_does_not_hide_it(samples, library):
    cubin = samples.compile("k.cubin", "-cubin", "-arch=sm_90", source=LOADED).read_bytes()
    path = library(c_array(cubin))
    with FileBlob.from_path(path) as blob:
        found = CuobjdumpReader(locate())(path.name, blob, ReadOptions())
    assert found is not None
    assert [str(region.objects[0].target) for region in data_of(found)] == ["9.0"]
    assert [code.kernels for r in found.counted_regions for code in r.objects] == [("registered",)]


def windows_library(sections: list[tuple[bytes, bytes]]) -> bytes:
    """A 64-bit library with these sections, loaded at 0x180000000 as linkers have it."""
    optional = struct.pack("<H22xQ", 0x20B, 0x180000000).ljust(240, b"\0")
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<HH12xHH", 0x8664, len(sections), len(optional), 0x2022) + optional
    offset = 0x1000
    rows, body = b"", b""
    for name, content in sections:
        padded = content + bytes(-len(content) % 512)
        rows += struct.pack("<8s4I12xI", name, len(content), offset, len(padded), offset, 0x40)
        body += padded
        offset += len(padded)
    return (head + rows).ljust(0x1000, b"\0") + body


def wrapper(address: int) -> bytes:
    return struct.pack("<IIQQ", 0x466243B1, 1, 0x180000000 + address, 0)


@pytest.fixture
def region(samples) -> bytes:
    with FileBlob.from_path(samples.packed("size")) as blob:
        data = blob.read_at(0, blob.size)
    start = data.find(REGION_MAGIC)
    return data[start : start + 16 + struct.unpack_from("<Q", data, start + 8)[0]]


def test_a_library_for_windows(samples, region):
    data = windows_library([(b".nv_fatb", region), (b".nvFatBi", wrapper(0x1000))])
    found = read_file("x.dll", BytesBlob(data), ReadOptions())
    assert found is not None
    assert found.damage == ()
    assert found.machine == "x86_64"
    (one,) = found.regions
    assert one.origin is Origin.FATBIN
    assert [code.kernels for code in one.objects] == [samples.NAMES] * 5


@pytest.mark.parametrize("lost", ["zeros", "elsewhere", "cut"])
def test_a_library_for_windows_that_lost_its_code(region, lost):
    at = 0x1008 if lost == "elsewhere" else 0x1000
    content = bytes(len(region)) if lost == "zeros" else region
    data = windows_library([(b".nv_fatb", content), (b".nvFatBi", wrapper(at))])
    if lost == "cut":
        data = data[: 0x1000 + len(region) // 2]
    found = read_file("x.dll", BytesBlob(data), ReadOptions())
    assert found is not None
    assert found.damage


SECTIONS_AT, SECTION_COUNT_AT = 0x28, 0x3C
"""Where an ELF header tells about the section table, and its number of rows and their names."""


def test_code_that_is_appended_to_a_library(samples, library):
    fatbin = samples.compile("k.fatbin", "-fatbin", *samples.gencode("sm_75"), source=LOADED)
    found = found_in(library("int x;").read_bytes() + fatbin.read_bytes())
    assert found.damage == ()
    (appended,) = (one for one in found.regions if one.origin is Origin.EMBEDDED)
    assert [code.kernels for code in appended.objects] == [("loaded",)]
    assert appended.loaded_by_program


def test_code_that_no_section_covers(library):
    """The loader reads segments, so a library works whose section table holds nothing of it."""
    data = bytearray(library("int x;").read_bytes())
    names = b"\0.shstrtab\0"
    row = struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, len(data), len(names), 0, 0, 1, 0)
    struct.pack_into("<Q", data, SECTIONS_AT, len(data) + len(names))
    struct.pack_into("<HH", data, SECTION_COUNT_AT, 2, 1)
    data += names + bytes(len(row)) + row
    found = found_in(bytes(data))
    assert found.damage == ()
    assert [code.kernels for region in found.regions for code in region.objects] == [
        ("registered",)
    ]
