"""FlashInfer is started for each device, offline, and asked for what its providers name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from smforge.inventory.probing.records import Item, KernelNotes, Probed

START = """
    import os
    assert os.environ["FLASHINFER_DISABLE_JIT"] == "1"
    assert "127.0.0.1" in os.environ["FLASHINFER_CUBINS_REPOSITORY"]
    if os.environ["FLASHINFER_CUDA_ARCH_LIST"] == "9.9": raise RuntimeError("no such device")
"""
ENV = """
    import os
    from types import SimpleNamespace
    TARGET = os.environ["FLASHINFER_CUDA_ARCH_LIST"]
    FLASHINFER_AOT_PROVIDERS = [
        SimpleNamespace(provider_id="sm" + arch, cuda_architectures=[arch], modules=modules)
        for arch, modules in {providers!r}
    ]
    def get_aot_artifacts(name):
        return tuple(
            SimpleNamespace(provider_id=one.provider_id, path=f"/kernels/{{name}}.so")
            for one in FLASHINFER_AOT_PROVIDERS
            if name in one.modules and TARGET in one.cuda_architectures
        )
"""
LOADER = """
    def load_module(path):
        if "damaged" in path: raise OSError("undefined symbol: x")
"""


@pytest.fixture
def examine(
    site: Path,
    write: Callable[[Path, Mapping[str, str]], Path],
    probe: Callable[..., Probed],
) -> Callable[..., dict[str, Item[KernelNotes]]]:
    def run(devices: str, *providers: tuple[str, list[str]]) -> dict[str, Item[KernelNotes]]:
        files = {"flashinfer/__init__.py": START, "flashinfer/jit/__init__.py": ""}
        files["tvm_ffi.py"] = LOADER
        files["flashinfer/jit/env.py"] = ENV.format(providers=list(providers))
        write(site, files)
        document = probe("flashinfer", "--devices", devices).flashinfer
        assert document is not None
        return {one.item: one for one in document.items}

    return run


def test_what_each_device_finds(examine: Callable[..., dict[str, Item[KernelNotes]]]) -> None:
    modules = ["page", "rope", "damaged"]
    found = examine("12.1 12.0 9.9", ("12.1", modules), ("9.0", ["page"]))
    here = found["12.1"].notes
    assert here.loaded == {"page": "sm12.1", "rope": "sm12.1"}
    assert here.failed == {"damaged": "OSError: undefined symbol: x"}
    assert [one.id for one in here.providers] == ["sm12.1", "sm9.0"]
    assert found["12.0"].notes.refused == ("damaged", "page", "rope")
    assert (found["9.9"].failure or ())[0].message == "no such device"


def test_no_provider_is_told(examine: Callable[..., dict[str, Item[KernelNotes]]]) -> None:
    item = examine("12.1")["12.1"]
    assert item.is_well
    assert item.notes.providers == ()


def test_without_flashinfer_there_is_nothing(probe: Callable[..., Probed]) -> None:
    document = probe("flashinfer", "--devices", "12.1").flashinfer
    assert document is not None
    assert document.there is False
