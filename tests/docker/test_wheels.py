"""Provider and shim wheels made from a real library, installed with pip and found again."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

VERSION = "0.7.2+cu130"
ARCHS = ("11.0a", "12.0f")


@pytest.fixture(scope="module")
def wheels(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("flashinfer/wheels")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("source")
    (tree / "LICENSE").write_text("Apache License\n")
    return tree


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What compile_modules leaves, but for the architecture, with a library of one function."""
    out = tmp_path_factory.mktemp("compiled")
    library = out / "modules" / "page" / "page.so"
    library.parent.mkdir(parents=True)
    subprocess.run(
        ("gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)),
        input="#include <string.h>\nunsigned long page(char *s) { return strlen(s); }\n",
        text=True,
        check=True,
    )
    return out


@pytest.fixture
def make(
    wheels: ModuleType,
    compiled: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Path], None]:
    """Make the two providers and the shim, each in a directory of its own."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795219200")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")

    def into(out: Path) -> None:
        for arch in ARCHS:
            manifest = {"arch": arch, "selection": "core", "modules": ["page"]}
            (compiled / "manifest.json").write_text(json.dumps(manifest))
            wheels.provider(compiled, VERSION, source, out / arch)
        wheels.shim(list(ARCHS), VERSION, source, out / "shim")

    return into


def test_names_follow_the_convention(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path)
    names = sorted(wheel.name for wheel in tmp_path.rglob("*.whl"))
    shim = f"flashinfer_jit_cache-0.7.2+cu130-py3-none-manylinux_2_17_{platform.machine()}.whl"
    assert names[0] == shim
    for name, sm in zip(names[1:], ("sm110a", "sm120f"), strict=True):
        tags = rf"py3-none-manylinux\w*[.\w]*_{platform.machine()}\.whl"
        assert re.fullmatch(rf"flashinfer_jit_cache_{sm}-0\.7\.2\+cu130-{tags}", name)


def test_a_shim_made_for_another_cpu_says_so(
    wheels: ModuleType, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSS_CPU", "aarch64")
    wheels.shim(["12.1a"], VERSION, source, tmp_path)
    (shim,) = tmp_path.glob("*.whl")
    assert shim.name.endswith("-py3-none-manylinux_2_17_aarch64.whl")


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(make: Callable[[Path], None], tmp_path: Path) -> None:
    digests = []
    for run in ("first", "second"):
        make(tmp_path / run)
        found = sorted((tmp_path / run).rglob("*.whl"))
        digests.append([hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in found])
    assert len(digests[0]) == 3
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_the_shim_requires_exactly_its_providers(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path)
    (shim,) = (tmp_path / "shim").glob("*.whl")
    with zipfile.ZipFile(shim) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        lines = archive.read(name).decode().splitlines()
    required = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")]
    assert required == [f"flashinfer-jit-cache-{sm}=={VERSION}" for sm in ("sm110a", "sm120f")]


@pytest.mark.slow
def test_pip_installs_them_and_the_shim_finds_them(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "wheels")
    site = tmp_path / "site"
    links = [f"--find-links={folder}" for folder in (tmp_path / "wheels").iterdir()]
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-cache-dir")
    subprocess.run(
        (*pip, *links, f"--target={site}", f"flashinfer-jit-cache=={VERSION}"),
        check=True,
        capture_output=True,
    )
    question = (
        "import flashinfer_jit_cache as shim\n"
        "print(shim.__version__)\n"
        "for p in shim.get_jit_cache_providers():\n"
        "    library = p.jit_cache_dir / 'page' / 'page.so'\n"
        "    print(p.provider_id, p.distribution, p.version, *p.cuda_architectures, *p.modules,"
        " library.is_file())\n"
    )
    answer = subprocess.run(
        (sys.executable, "-c", question),
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.splitlines() == [
        VERSION,
        f"sm110a flashinfer-jit-cache-sm110a {VERSION} sm110a page True",
        f"sm120f flashinfer-jit-cache-sm120f {VERSION} sm120f page True",
    ]
