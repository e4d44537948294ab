"""FlashInfer is started for each device, offline, and asked for what its providers name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from builder.inventory.probing.records import Item, KernelNotes, Probed

CORE = """
    import os
    from . import env
    from types import SimpleNamespace
    class MissingJITCacheError(RuntimeError): pass
    assert os.environ["FLASHINFER_DISABLE_JIT"] == "1"
    assert "127.0.0.1" in os.environ["FLASHINFER_CUBINS_REPOSITORY"]
    class Spec:
        def __init__(self, name): self.name, self.aot_artifacts = name, []
        def build_and_load(self):
            for one in env.FLASHINFER_AOT_PROVIDERS:
                if self.name in one.modules and env.TARGET in one.cuda_architectures:
                    if self.name == "damaged": raise OSError("undefined symbol: x")
                    self.aot_artifacts = [one]
                    return
            raise MissingJITCacheError(self.name)
    class Registry:
        def get_all_specs(self): return {name: Spec(name) for name in ("page", "rope", "damaged")}
    jit_spec_registry = Registry()
"""
ENV = """
    import os
    from types import SimpleNamespace
    TARGET = os.environ["FLASHINFER_CUDA_ARCH_LIST"]
    if TARGET == "9.9": raise RuntimeError("no such device")
    FLASHINFER_AOT_PROVIDERS = [
        SimpleNamespace(provider_id="sm" + arch, cuda_architectures=[arch], modules=modules)
        for arch, modules in {providers!r}
    ]
"""


@pytest.fixture
def examine(
    site: Path,
    write: Callable[[Path, Mapping[str, str]], Path],
    probe: Callable[..., Probed],
) -> Callable[..., dict[str, Item[KernelNotes]]]:
    def run(devices: str, *providers: tuple[str, list[str]]) -> dict[str, Item[KernelNotes]]:
        files = dict.fromkeys(("flashinfer/__init__.py", "flashinfer/jit/__init__.py"), "")
        files["flashinfer/aot.py"] = "def register_default_modules(): pass"
        files["flashinfer/jit/core.py"] = CORE
        files["flashinfer/jit/env.py"] = ENV.format(providers=list(providers))
        write(site, files)
        document = probe("flashinfer", "--devices", devices).flashinfer
        assert document is not None
        return {one.item: one for one in document.items}

    return run


def test_what_each_device_finds(examine: Callable[..., dict[str, Item[KernelNotes]]]) -> None:
    modules = ["page", "rope", "damaged", "unknown"]
    found = examine("12.1 12.0 9.9", ("12.1", modules), ("9.0", ["page"]))
    here = found["12.1"].notes
    assert here.loaded == {"page": "sm12.1", "rope": "sm12.1"}
    assert here.failed.keys() == {"damaged", "unknown"}
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
