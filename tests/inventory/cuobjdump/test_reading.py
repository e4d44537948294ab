"""Both backends see the same code in what nvcc makes; a failing cuobjdump is never silence."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.errors import DamagedInputError, ToolError
from smforge.inventory.cuobjdump import locate as locating
from smforge.inventory.cuobjdump.agreement import compare
from smforge.inventory.cuobjdump.locate import Cuobjdump, locate
from smforge.inventory.cuobjdump.readers import BothReaders, CuobjdumpReader
from smforge.inventory.cuobjdump.reading import read_file
from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.formats.elf import read_header, read_sections
from smforge.inventory.native import reader as native
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory, Inventory, Subject, SubjectKind
from smforge.inventory.sandbox import Bounds

SOURCE = r"""
template <class T> __global__ void add(T* a, T b) { a[threadIdx.x] += b; }
template __global__ void add<int>(int*, int);
template __global__ void add<float>(float*, float);
extern "C" __global__ void plain(int* a) { *a = 1; }
extern "C" __device__ int shared_helper(int x) { return x + 1; }
"""
Compile = Callable[..., Path]
OPTIONS = ReadOptions(workers=1)


def seen(path: Path, tool: Cuobjdump) -> tuple[FileInventory | None, FileInventory | None]:
    with FileBlob.from_path(path) as blob:
        first = native.read_file(path.name, blob, OPTIONS)
        second = read_file(tool, path.name, blob, OPTIONS, Bounds(seconds=120))
    return first, second


def differences(first: FileInventory | None, second: FileInventory | None) -> list[str]:
    subject = Subject(SubjectKind.FILE, "x", None)
    left = Inventory(subject, (first,) if first else (), 1)
    right = Inventory(subject, (second,) if second else (), 1)
    compared = compare(left, right)
    assert compared.unread == ()
    assert compared.objects > 0
    assert compared.kernels > 0
    return [str(one) for one in compared.differences]


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("output", "flags"),
    [
        (
            "fat.so",
            "-shared -Xcompiler -fPIC -gencode arch=compute_120f,code=sm_120f -gencode "
            "arch=compute_80,code=[sm_80,compute_80] -gencode arch=compute_110a,code=sm_110a",
        ),
        ("ptx.so", "-shared -Xcompiler -fPIC -gencode arch=compute_120f,code=compute_120f"),
        ("one.cubin", "-cubin -arch=sm_120f"),
        ("two.cubin", "-cubin -arch=sm_90a"),
        ("three.cubin", "-cubin -arch=sm_80"),
        ("loose.fatbin", "-fatbin -gencode arch=compute_103f,code=sm_103f"),
        ("rdc.o", "-dc -gencode arch=compute_90,code=lto_90 -gencode arch=compute_89,code=sm_89"),
    ],
)
def test_both_backends_agree(compile_with: Compile, output: str, flags: str) -> None:
    first, second = seen(compile_with(SOURCE, output, *flags.split()), locate())
    assert differences(first, second) == []


@pytest.mark.toolchain
def test_120f_is_120f_with_either_backend(compile_with: Compile) -> None:
    for output, flags in (
        ("a.so", "-shared -Xcompiler -fPIC -gencode arch=compute_120f,code=sm_120f"),
        ("a.cubin", "-cubin -arch=sm_120f"),
    ):
        for found in seen(compile_with(SOURCE, output, *flags.split()), locate()):
            assert found is not None
            targets = {str(code.target) for region in found.regions for code in region.objects}
            assert targets == {"12.0f"}


@pytest.mark.toolchain
@pytest.mark.parametrize(("target", "told"), [("sm_90", "9.0"), ("sm_120", "12.0?")])
def test_a_cubin_that_elf_refuses_is_read_by_the_other_modes(
    compile_with: Compile, target: str, told: str
) -> None:
    path = compile_with(SOURCE, "a.cubin", "-cubin", f"-arch={target}")
    data = bytearray(path.read_bytes())
    blob = BytesBlob(bytes(data))
    (compat,) = (s for s in read_sections(blob, read_header(blob)) if s.name == ".nv.compat")
    data[compat.offset : compat.end] = b"\xff" * compat.size
    found = read_file(locate(), "a.cubin", BytesBlob(bytes(data)), OPTIONS, Bounds(seconds=60))
    whole = read_file(locate(), "a.cubin", blob, OPTIONS, Bounds(seconds=60))
    assert found is not None
    assert whole is not None
    assert found.damage == ()
    (code,), (known,) = found.regions[0].objects, whole.regions[0].objects
    assert (str(code.target), code.kernels) == (told, known.kernels)
    assert str(known.target) == told.removesuffix("?")


@pytest.mark.toolchain
def test_a_file_in_memory_is_read_like_one_on_disk(compile_with: Compile) -> None:
    path = compile_with(SOURCE, "a.so", "-shared", "-Xcompiler", "-fPIC", "-arch=sm_80")
    _, on_disk = seen(path, locate())
    in_memory = read_file(
        locate(), path.name, BytesBlob(path.read_bytes()), OPTIONS, Bounds(seconds=120)
    )
    assert in_memory == on_disk


def test_a_file_without_gpu_code_is_none(tmp_path: Path) -> None:
    for content in (b"", b"text", b"\x7fELF" + bytes(100), Path("/bin/ls").read_bytes()):
        found = read_file(locate(), "x", BytesBlob(content), OPTIONS, Bounds(seconds=60))
        assert found is None or found.damage


def test_an_archive_without_members_has_no_gpu_code() -> None:
    empty = BytesBlob(b"!<arch>\n")
    assert read_file(locate(), "libdl.a", empty, OPTIONS, Bounds(seconds=60)) is None


@pytest.mark.toolchain
def test_partial_output_is_damage_not_a_listing(compile_with: Compile) -> None:
    path = compile_with(SOURCE, "a.so", "-shared", "-Xcompiler", "-fPIC", "-arch=sm_80")
    data = bytearray(path.read_bytes())
    magic = bytes.fromhex("50ed55ba")
    last = data.rfind(magic)
    assert data.find(magic) != last, "the file has two regions, the second of which is broken"
    data[last : last + 4] = b"junk"
    found = read_file(locate(), "a.so", BytesBlob(bytes(data)), OPTIONS, Bounds(seconds=60))
    assert found is not None
    assert found.regions == ()
    assert "exits with" in found.damage[0].message


@pytest.mark.toolchain
def test_no_device_code_is_not_believed_where_sections_are_lost(compile_with: Compile) -> None:
    path = compile_with(SOURCE, "a.so", "-shared", "-Xcompiler", "-fPIC", "-arch=sm_80")
    whole = path.read_bytes()
    without_headers = bytearray(whole)
    without_headers[0x28:0x30] = bytes(8)
    reader = CuobjdumpReader(locate())
    for data in (whole[:-30], whole[:200], whole[:60], bytes(without_headers)):
        with pytest.raises(DamagedInputError):
            reader("a.so", BytesBlob(data), OPTIONS)


def fake(folder: Path, script: str) -> Cuobjdump:
    """A cuobjdump that misbehaves: no real one can be made to do it at will."""
    path = folder / "cuobjdump"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Cuobjdump(path, "13.5", tells_families=True)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Fatbin elf code:'; echo 'arch = sm_80'; exit 1", "exits with 1"),
        ("echo 'error: no luck' >&2; exit 3", "exits with 3: error: no luck"),
        ("kill -SEGV $$", "SIGSEGV"),
        ("sleep 60", "did not finish in the time allowed"),
        ("echo 'Fatbin elf code:'", "without an architecture"),
    ],
)
def test_a_failing_tool_is_damage_in_its_own_words(tmp_path: Path, script: str, said: str) -> None:
    tool = fake(tmp_path, script)
    found = read_file(tool, "x.so", BytesBlob(b"bytes"), OPTIONS, Bounds(seconds=1))
    assert found is not None
    assert found.regions == ()
    assert said in found.damage[0].message


def test_what_cuobjdump_alone_sees_is_not_lost(tmp_path: Path) -> None:
    script = "echo 'Fatbin elf code:'; echo 'arch = sm_80'; echo symbols:; echo 'FUNC A ENTRY k'"
    readers = BothReaders(fake(tmp_path, script))
    found = readers("x.so", BytesBlob(b"no code here"), OPTIONS)
    assert found is not None
    inventory = Inventory(Subject(SubjectKind.FILE, "x.so", None), (found,), 1)
    compared = compare(inventory, readers.second_opinion(inventory))
    assert [(one.native, one.cuobjdump) for one in compared.differences] == [(0, 1)]


@pytest.mark.toolchain
def test_the_second_opinion_follows_a_file_to_its_path(compile_with: Compile) -> None:
    path = compile_with(SOURCE, "a.cubin", "-cubin", "-arch=sm_90a")
    readers = BothReaders(locate())
    with FileBlob.from_path(path) as blob:
        found = readers("layer/a.cubin", blob, OPTIONS)
        alone = CuobjdumpReader(locate())("layer/a.cubin", blob, OPTIONS)
    assert found is not None
    assert alone is not None
    assert alone.sha256 == found.sha256
    moved = found._replace(path="final/a.cubin")
    inventory = Inventory(Subject(SubjectKind.IMAGE, "i", None), (moved,), 1)
    second = readers.second_opinion(inventory)
    assert [file.path for file in second.files] == ["final/a.cubin"]
    assert compare(inventory, second).differences == ()


def test_the_packaged_cuobjdump_is_found() -> None:
    tool = locate()
    assert tool.path.is_file()
    assert tool.version.startswith("13.")
    assert tool.tells_families


def test_without_any_cuobjdump_the_remedy_names_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(locating, "_DISTRIBUTION", "no-such-distribution")
    monkeypatch.setenv("PATH", str(tmp_path))
    locate.cache_clear()
    try:
        with pytest.raises(ToolError) as caught:
            locate()
        assert "--backend native" in str(caught.value)
        (tmp_path / "cuobjdump").symlink_to("/bin/true")
        with pytest.raises(ToolError, match="does not tell its version"):
            locate()
    finally:
        locate.cache_clear()
