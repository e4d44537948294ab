"""Libraries are loaded for real, and the loader's reasons told apart, the driver's set aside."""

from __future__ import annotations

import ctypes
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.inventory.probing.programs import driver
from smforge.inventory.probing.programs.elf import Linking, linking
from smforge.inventory.probing.records import Probed

pytestmark = pytest.mark.toolchain

NAMES = st.lists(
    st.from_regex(r"cu[A-Z][A-Za-z0-9_]{0,40}", fullmatch=True), unique=True, max_size=60
)


@pytest.fixture
def library(site: Path, tmp_path: Path) -> Callable[..., Path]:
    """``library(name, source, needs)`` compiles one that is linked with others, made up here."""

    def build(name: str, source: str, needs: Mapping[str, str]) -> Path:
        made = tmp_path / "elsewhere"
        made.mkdir(exist_ok=True)
        for needed, content in needs.items():
            compile_library(made / needed, content)
        path = site / "package" / name
        path.parent.mkdir(exist_ok=True)
        compile_library(path, source, *(str(made / needed) for needed in needs))
        return path

    return build


def compile_library(path: Path, source: str, *more: str) -> None:
    command = [
        "cc",
        "-shared",
        "-fPIC",
        "-x",
        "c",
        "-",
        "-o",
        str(path),
        f"-Wl,-soname={path.name}",
    ]
    command += ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", "-x", "none", *more]
    subprocess.run(command, input=source, text=True, check=True)


@pytest.fixture
def examine(probe: Callable[..., Probed], site: Path) -> Callable[[], dict[str, str | None]]:
    """The loader's message for each library, None where it loads."""

    def run() -> dict[str, str | None]:
        document = probe("extensions").extensions
        assert document is not None
        assert document.ended is None
        return {
            Path(one.item).name: one.ended or (one.failure[0].message if one.failure else None)
            for one in document.items
            if one.item.startswith(str(site))
        }

    return run


def test_the_reasons_are_told_apart(
    library: Callable[..., Path], examine: Callable[..., dict[str, str | None]]
) -> None:
    driver_alone = {"libcuda.so.1": "int cuInit(int x) { return 0; }"}
    library("well.so", "int f(void) { return 1; }", {})
    library("driver.so", "int cuInit(int); int f(void) { return cuInit(0); }", driver_alone)
    library(
        "symbol.so",
        "int cuInit(int); int absent(void); int f(void) { return cuInit(0) + absent(); }",
        driver_alone,
    )
    library("missing.so", "int f(void) { return 1; }", {"libcudart.so.99": "int g;"})
    library(
        "crash.so",
        "void abort(void); __attribute__((constructor)) void f(void) { abort(); }",
        driver_alone,
    )
    found = examine()
    assert found.keys() == {"driver.so", "symbol.so", "missing.so", "crash.so"}
    assert found["driver.so"] is None
    assert "undefined symbol: absent" in (found["symbol.so"] or "")
    assert "libcudart.so.99: cannot open shared object file" in (found["missing.so"] or "")
    assert found["crash.so"] == "SIGABRT"


def test_the_stand_in_answers_as_a_driver_without_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "libcuda.so.1"
    path.write_bytes(driver.library(["cuInit", "cuDeviceGet"], platform.machine()))
    program = (
        "import ctypes, sys; library = ctypes.CDLL(sys.argv[1]); "
        "print([library.cuInit(0), library.cuDeviceGet(None, 0), hasattr(library, 'cuNone')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.lower()) == [driver.NO_DEVICE, driver.NO_DEVICE, False]


@given(NAMES)
def test_a_stand_in_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    path.write_bytes(driver.library(names, platform.machine()))
    assert driver.functions(linking(str(path))) == {
        name for name in names if not name.startswith("cuFile")
    }


def test_another_cpu_has_no_stand_in() -> None:
    with pytest.raises(KeyError):
        driver.library(["cuInit"], "riscv64")


@given(data=st.binary(max_size=400), keep=st.integers(0, 4096))
def test_no_bytes_make_the_reader_fail(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, keep: int
) -> None:
    path = tmp_path_factory.mktemp("elf") / "damaged.so"
    whole = driver.library(["cuInit"], "x86_64")
    path.write_bytes(whole[:keep] + data + whole[keep + len(data) :])
    assert isinstance(linking(str(path)), Linking)


def test_real_libraries_need_what_the_loader_says() -> None:
    path = next(
        line.split()[-1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "/libc.so.6" in line
    )
    assert [name.partition(".")[0] for name in linking(path).needed] == ["ld-linux-x86-64"] or (
        platform.machine() != "x86_64"
    )
    assert ctypes.CDLL(path)


def test_nothing_linked_with_cuda_is_nothing(probe: Callable[..., Probed], site: Path) -> None:
    document = probe("extensions").extensions
    assert document is not None
    assert not [one for one in document.items if one.item.startswith(str(site))]
    assert document.there
