"""Real assemblers are run through the choice that a Triton makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from smforge.inventory.probing.records import Assembly, Probed

COMPILER = """
    import os
    from types import SimpleNamespace
    def get_ptxas(arch):
        path = os.environ.get("TRITON_PTXAS_PATH", {own!r})
        release = "13.0" if path != {own!r} else "12.8"
        return SimpleNamespace(path=path, version=release)
    def ptx_get_version(release):
        return {{"12.8": 87, "13.0": 90}}[release]
    def sm_arch_from_capability(capability):
        return f"sm_{{capability}}{{'a' if capability >= 90 else ''}}"
"""


@pytest.fixture
def triton(
    site: Path,
    write: Callable[[Path, Mapping[str, str]], Path],
    compiler_folder: Callable[[str], Path],
) -> Path:
    """A Triton whose own assembler is that of CUDA 12.8, as Triton 3.5.0's is."""
    own = str(compiler_folder("12.8") / "bin/ptxas")
    packages = ("triton", "triton/backends", "triton/backends/nvidia")
    files = dict.fromkeys((f"{name}/__init__.py" for name in packages), "")
    return write(site, {**files, "triton/backends/nvidia/compiler.py": COMPILER.format(own=own)})


@pytest.fixture
def examine(probe: Callable[..., Probed]) -> Callable[..., Assembly]:
    def run(devices: str, **variables: str) -> Assembly:
        document = probe("ptxas", "--devices", devices, **variables).ptxas
        assert document is not None
        return document

    return run


@pytest.mark.toolchain
def test_an_old_assembler_is_found_out_by_running_it(
    triton: Path, examine: Callable[..., Assembly]
) -> None:
    items = {one.item: one for one in examine("12.1 12.0 8.9").items}
    assert items["triton 12.0"].notes.status == 0
    assert items["triton 8.9"].notes.target == "sm_89"
    assert items["triton 12.0"].notes.cubin_bytes > 0
    old = items["triton 12.1"].notes
    assert (old.target, old.isa, old.release) == ("sm_121a", "8.7", "12.8")
    assert old.status != 0
    assert old.cubin_bytes == 0
    assert "sm_121a" in old.said


@pytest.mark.toolchain
def test_the_variable_that_names_a_newer_one_is_followed(
    triton: Path, ptxas: Path, examine: Callable[..., Assembly]
) -> None:
    document = examine("12.1 11.0", TRITON_PTXAS_PATH=str(ptxas))
    assert [one.notes.status for one in document.items] == [0, 0]
    assert {one.notes.path for one in document.items} == {str(ptxas)}
    assert document.settings.variables == {"TRITON_PTXAS_PATH": str(ptxas)}


@pytest.mark.toolchain
def test_an_assembler_that_is_not_there_is_a_failure(
    triton: Path, examine: Callable[..., Assembly]
) -> None:
    (item,) = examine("12.1", TRITON_PTXAS_PATH="/nowhere/ptxas").items
    assert item.failure is not None
    assert item.failure[0].type == "FileNotFoundError"
    assert item.notes.path == "/nowhere/ptxas"
    assert item.notes.status is None


def test_without_a_triton_there_is_nothing(examine: Callable[..., Assembly]) -> None:
    assert examine("12.1").there is False
