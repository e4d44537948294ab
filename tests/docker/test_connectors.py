"""Which CUDA a connector belongs to, from real libraries, real metadata and real wheels."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smforge.arch.tables import table

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker" / "connectors"
SOURCES = json.loads((ROOT / "versions.json").read_text())["sources"]
# What docker/connectors/narrow_dispatcher.py reads in nixl 1.5.1.
NIXL = """Metadata-Version: 2.4
Name: nixl
Version: 1.5.1
Requires-Python: >=3.10
Requires-Dist: nixl-cu12==1.5.1
Requires-Dist: nixl-cu13==1.5.1
Provides-Extra: cu12
Requires-Dist: nixl-cu12==1.5.1; extra == "cu12"
Provides-Extra: cu13
Requires-Dist: nixl-cu13==1.5.1; extra == "cu13"
Dynamic: license-file

# nixl

Version: not this one
Requires-Dist: nixl-cu12
"""


@pytest.fixture(scope="module")
def majors(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("connectors/cuda_majors")


@pytest.fixture(scope="module")
def compiling(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("connectors/compile_wheel")


@pytest.fixture(scope="module")
def narrowing(majors: ModuleType, script: Callable[[str], ModuleType]) -> ModuleType:
    sys.modules["cuda_majors"] = majors  # beside it in the image
    try:
        return script("connectors/narrow_dispatcher")
    finally:
        del sys.modules["cuda_majors"]


@pytest.fixture(scope="module")
def needing(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``needing("libcudart.so.12")`` makes a wheel whose library needs that one."""

    def make(soname: str, *lines: str, name: str = "connector") -> Path:
        place = tmp_path_factory.mktemp("wheel")
        compile_c(place / "dependency.so", "int f(void) { return 1; }", f"-Wl,-soname,{soname}")
        library = place / "engine.so"
        compile_c(library, "int f(void); int g(void) { return f(); }", str(place / "dependency.so"))
        wheel = place / f"{name}-1.0-py3-none-any.whl"
        metadata = "\n".join((f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0", *lines, "", ""))
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.write(library, f"{name}/engine.so")
            archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        return wheel

    return make


@pytest.fixture(scope="module")
def for_cuda_12(needing: Callable[..., Path]) -> Path:
    """A whole wheel whose library needs libcudart.so.12."""
    return needing("libcudart.so.12")


@pytest.fixture(scope="module")
def library(for_cuda_12: Path) -> bytes:
    """That library."""
    with zipfile.ZipFile(for_cuda_12) as archive:
        return archive.read("connector/engine.so")


def compile_c(made: Path, source: str, *more: str) -> None:
    command = ("gcc", "-shared", "-fPIC", "-x", "c", "-", "-x", "none", *more, "-o", str(made))
    subprocess.run(command, input=source, text=True, check=True)


def test_the_sonames_are_those_that_the_audit_knows(majors: ModuleType) -> None:
    known = json.loads((FOLDER / "cuda.json").read_text())["sonames_numbered_by_cuda_major"]
    assert known == table("cuda_libraries")["numbered_by_cuda_major"]


@pytest.mark.parametrize(
    ("soname", "major"),
    [
        ("libcudart.so.12", "12"),
        ("libcudart-0a1b2c3d.so.13", "13"),
        ("libcudart.so.11.0", "11"),
        ("libcublasLt.so.13", "13"),
        ("libcufft.so.12", None),
        ("libcudart_static.a", None),
        ("libcuda.so.1", None),
    ],
)
def test_the_major_of_a_library(majors: ModuleType, soname: str, major: str | None) -> None:
    assert majors.major_of_library(soname) == major


@pytest.mark.parametrize(
    ("name", "version", "major"),
    [
        ("nixl_cu12", "1.5.1", "12"),
        ("nvidia-cublas-cu12", "12.9.1.4", "12"),
        ("cupy-cuda13x", "14.2.0", "13"),
        ("cuda-python", "12.9.4", "12"),
        ("nvidia-cuda-runtime", "13.0.96", "13"),
        ("nvidia-cufft", "12.0.0.61", None),
        ("torch", "2.14.0", None),
    ],
)
def test_the_major_of_a_pin(majors: ModuleType, name: str, version: str, major: str | None) -> None:
    assert majors.major_of_pin(name, version) == major


def test_a_library_of_the_other_major_is_named(majors: ModuleType, for_cuda_12: Path) -> None:
    assert list(majors.refusals_of_wheels("cu130", [for_cuda_12])) == [
        "connector 1.0 needs libcudart.so.12 (CUDA 12) in connector/engine.so; this variant is for "
        "CUDA 13 (cu130). Name its build for CUDA 13 in versions.json."
    ]
    assert not list(majors.refusals_of_wheels("cu129", [for_cuda_12]))


def test_a_requirement_of_the_other_major_is_named_unless_it_is_an_extra(
    majors: ModuleType, needing: Callable[..., Path]
) -> None:
    extra = 'Requires-Dist: nvidia-nccl-cu12; extra == "old"'
    elsewhere = 'Requires-Dist: nvidia-nccl-cu12; sys_platform == "win32"'
    assert not list(
        majors.refusals_of_wheels("cu130", [needing("libcudart.so.13", extra, elsewhere)])
    )
    (line,) = majors.refusals_of_wheels(
        "cu130", [needing("libm.so.6", extra, "Requires-Dist: nvidia-nccl-cu12>=2")]
    )
    assert line.startswith("connector 1.0 requires nvidia-nccl-cu12 (CUDA 12); this variant")


def test_a_distribution_named_for_the_other_major_is_refused(
    majors: ModuleType, needing: Callable[..., Path]
) -> None:
    (line,) = majors.refusals_of_wheels("cu130", [needing("libm.so.6", name="some_cu12")])
    assert line.startswith("some-cu12 1.0 is made for CUDA 12; this variant is for CUDA 13")


def test_what_the_connectors_resolve_to_is_looked_at_too(majors: ModuleType) -> None:
    lock = (
        "cuda-python==12.9.4 \\\n    --hash=sha256:00\n"
        "nixl-cu13==1.5.1 \\\n    --hash=sha256:00\n"
        "nvidia-nccl-cu12==2.30.7 ; platform_machine == 'x86_64' \\\n    --hash=sha256:00\n"
    )
    found = list(majors.refusals_of_lock("cu130", lock))
    assert [line.split(",")[0] for line in found] == [
        "The connectors resolve to cuda-python 12.9.4",
        "The connectors resolve to nvidia-nccl-cu12 2.30.7",
    ]


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x7fELF\x02\x01\x01" + bytes(57))
def test_what_is_no_library_needs_nothing_or_is_said_to_be_none(
    majors: ModuleType, content: bytes
) -> None:
    with said_to_be_no_library():
        assert not list(majors._from_library("x/engine.so", content))


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 255)), min_size=1, max_size=8))
@example([(39, 128)])  # program headers at an offset that no file has
def test_a_damaged_library_is_read_or_refused_in_a_sentence(
    majors: ModuleType, library: bytes, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(library)
    for place, value in changes:
        content[place % len(content)] = value
    with said_to_be_no_library():
        for major, words in majors._from_library("x/engine.so", bytes(content)):
            assert major.isdigit()
            assert words.endswith("in x/engine.so")


def test_a_library_without_section_headers_is_read_all_the_same(
    majors: ModuleType, library: bytes
) -> None:
    content = bytearray(library)
    content[0x28:0x30] = bytes(8)  # e_shoff
    content[0x3C:0x40] = bytes(4)  # e_shnum, e_shstrndx
    assert [major for major, _ in majors._from_library("x/engine.so", bytes(content))] == ["12"]


@given(st.data())
@settings(max_examples=50)
def test_a_damaged_wheel_is_never_taken_for_a_clean_one(
    majors: ModuleType, for_cuda_12: Path, data: st.DataObject
) -> None:
    content = for_cuda_12.read_bytes()
    damaged = for_cuda_12.with_name("damaged.whl")
    damaged.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(SystemExit, match=r"damaged\.whl cannot be read as a wheel"):
        list(majors.needs_of(damaged))


def test_an_archive_without_metadata_is_no_wheel(majors: ModuleType, tmp_path: Path) -> None:
    empty = tmp_path / "empty.whl"
    with zipfile.ZipFile(empty, "w"):
        pass
    with pytest.raises(SystemExit, match=r"empty\.whl cannot be read as a wheel"):
        list(majors.needs_of(empty))


def test_a_requirement_that_cannot_be_read_is_said(
    majors: ModuleType, needing: Callable[..., Path]
) -> None:
    wheel = needing("libm.so.6", "Requires-Dist: ???")
    with pytest.raises(SystemExit, match="cannot be read as a wheel"):
        list(majors.needs_of(wheel))


@contextmanager
def said_to_be_no_library() -> Iterator[None]:
    """Whatever ends the program does so with a sentence."""
    try:
        yield
    except SystemExit as refusal:
        if "x/engine.so cannot be read as an ELF library" not in str(refusal):
            raise


def test_a_dispatcher_keeps_the_requirements_of_one_cuda(narrowing: ModuleType) -> None:
    narrowed = narrowing.narrowed(NIXL, "cu130")
    assert narrowed == NIXL.replace(
        "Version: 1.5.1\nRequires-Python: >=3.10\nRequires-Dist: nixl-cu12==1.5.1\n",
        "Version: 1.5.1+cu130\nRequires-Python: >=3.10\n",
    ).replace('Provides-Extra: cu12\nRequires-Dist: nixl-cu12==1.5.1; extra == "cu12"\n', "")
    assert "nixl-cu13" not in narrowing.narrowed(NIXL, "cu129").partition("\n\n")[0]


def test_a_dispatcher_without_a_build_for_the_cuda_is_refused(narrowing: ModuleType) -> None:
    with pytest.raises(ValueError, match="requires no distribution for CUDA 14"):
        narrowing.narrowed(NIXL, "cu140")


@pytest.mark.parametrize(
    ("words", "known", "gencodes"),
    [
        (["9.0", "12.0+PTX"], "9.0 12.0+PTX", []),
        (["9.0", "12.0f"], "9.0", ["-gencode=arch=compute_120f,code=sm_120f"]),
        (["12.0f"], "12.0", ["-gencode=arch=compute_120f,code=sm_120f"]),
        (["12.1a"], "12.1a", []),
    ],
)
def test_family_targets_reach_nvcc_past_torch(
    compiling: ModuleType, words: list[str], known: str, gencodes: list[str]
) -> None:
    settings = compiling.arch_settings(words, "sccache nvcc")
    assert settings["TORCH_CUDA_ARCH_LIST"] == known
    assert settings["PYTORCH_NVCC"].split() == ["sccache", "nvcc", *gencodes]


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("component", ["nixl", "mooncake"])
def test_real_wheels_belong_to_the_cuda_they_stand_under(
    majors: ModuleType, published: Callable[[str, str], Path], component: str
) -> None:
    wheels = [published(component, major) for major in ("12", "13")]
    (line,) = majors.refusals_of_wheels("cu130", wheels)
    source = SOURCES[component]["12"]
    assert line.startswith(f"{source['distribution']} {source['version']} needs libcudart.so.12 ")
    assert "this variant is for CUDA 13 (cu130)" in line
    (line,) = majors.refusals_of_wheels("cu129", wheels)
    assert line.startswith(f"{SOURCES[component]['13']['distribution']} ")
