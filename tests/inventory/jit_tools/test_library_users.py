"""Which libraries of CUDA real ELF files need, and which stand in them as text."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.cuda_libraries import cuda_library_names
from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.jit_tools.library_users import read_user
from smforge.inventory.jit_tools.records import LibraryUser
from smforge.inventory.jit_tools.scanner import WatchedSubject
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.opening import open_subject
from smforge.inventory.survey import survey

SOURCE = """
const char *opened = "libcublas.so.12";
const char *again = "libcublas.so.12";
const char *others[] = {"libcudart.so.13", "libcudart.so", "libcufft.so.11.0.1", "libm.so.6"};
const char *part[] = {"see libnvrtc.so.13", "libnvrtc.so.12 is old", "liblibcublas.so.9"};
"""


def compile_c(made: Path, source: str, *more: str) -> Path:
    made.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-shared", "-fPIC", "-xc", "-", "-xnone", *more, "-Wl,--no-as-needed"]
    subprocess.run([*command, "-o", str(made)], input=source, text=True, check=True)
    return made


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library without GPU code that needs libcudart.so.13 and opens libcublas.so.12."""
    place = tmp_path_factory.mktemp("library")
    runtime = compile_c(place / "libcudart.so.13", "", "-Wl,-soname,libcudart.so.13")
    return compile_c(place / "_C.so", SOURCE, "-Wl,--no-as-needed", str(runtime))


def test_what_is_needed_and_what_is_named(library: Path) -> None:
    with FileBlob.from_path(library) as blob:
        found = read_user("x/_C.so", blob)
    assert found == LibraryUser(
        "x/_C.so", ("libcudart.so.13",), ("libcublas.so.12", "libcufft.so.11.0.1")
    )


def test_what_uses_nothing_of_cuda(tmp_path: Path) -> None:
    with FileBlob.from_path(compile_c(tmp_path / "a.so", "int a;")) as blob:
        assert read_user("a.so", blob) is None


@given(st.data())
def test_damaged_files_raise_no_error(library: Path, data: st.DataObject) -> None:
    content = bytearray(library.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, 1000) | st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    read_user("a.so", BytesBlob(bytes(content[:end])))


def test_a_name_across_two_pieces_is_found(tmp_path: Path) -> None:
    """Constants are searched a megabyte at a time."""
    for shift in range(0, 48, 5):
        filling = (1 << 20) - shift
        source = (
            f"const struct {{ char filling[{filling}]; char name[32]; char rest[99]; }} data"
            ' = {.name = "libcublas.so.12"};'
        )
        with FileBlob.from_path(compile_c(tmp_path / f"{shift}.so", source)) as blob:
            found = read_user("a.so", blob)
        assert found is not None, shift
        assert found.named == ("libcublas.so.12",)


def test_a_survey_notes_files_without_gpu_code(library: Path, tmp_path: Path) -> None:
    for name in ("lib/_C.so", "lib/libcudart.so.13", "bin/tool"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(library.read_bytes())
    options = ReadOptions()
    with WatchedSubject(open_subject(str(tmp_path), options)) as subject:
        inventory = survey(subject, options)
        found = subject.host_files()
    assert inventory.files == ()
    assert [one.path for one in found.users] == ["bin/tool", "lib/_C.so", "lib/libcudart.so.13"]
    assert found.libraries == ("lib/libcudart.so.13",)


def test_every_library_of_the_table_is_noted_as_brought(library: Path, tmp_path: Path) -> None:
    names = [f"{name}.so.{number}" for name in cuda_library_names() for number in ("13", "12.0.1")]
    for name in (*names, "libcudart.so", "libnuma.so.1", "libcudart-0a1b2c3d.so.12"):
        (tmp_path / name).write_bytes(library.read_bytes())
    assert set(brought(tmp_path)) == {*names, "libcudart.so"}


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\n", bytes(4096), b"\x7fELF"]
)
def test_what_is_no_library_is_not_brought(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "libcudart.so.13").write_bytes(content)
    assert brought(tmp_path) == ()


def brought(folder: Path) -> tuple[str, ...]:
    options = ReadOptions()
    with WatchedSubject(open_subject(str(folder), options)) as subject:
        survey(subject, options)
        return subject.host_files().libraries
