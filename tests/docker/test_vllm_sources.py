"""A few of vLLM's own kernels, compiled as preflight says its build compiles them, and audited.

The whole wheel takes torch (5.7 GB) and half an hour. Its CUDA sources only need torch's headers,
which are the same in every wheel of a release: the smallest, macOS's, has those of CUDA too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from smforge.matrix.load import load
from smforge.plan.bake import sdist_sha256
from smforge.preflight.cache import Cache
from smforge.preflight.records import Unit
from smforge.preflight.run import Question, preflight
from smforge.preflight.sources.fetch import fetch_sdist

ROOT = Path(__file__).parents[2]
TOOLCHAINS = ROOT / ".smforge" / "toolchains"
pytestmark = [pytest.mark.network, pytest.mark.toolchain, pytest.mark.slow]

# Ordinary code, and code that needs instructions which only Blackwell has.
CHOSEN = {
    "csrc/moe/fused_globalize_align_block_size.cu": "12.0",
    "csrc/quantization/fp4/activation_nvfp4_quant_fusion_kernels.cu": "12.0f",
}
FLAGS = ("-std=c++20", "-O3", "-DUSE_CUDA", "--expt-relaxed-constexpr", "-Xcompiler=-fPIC")
# vLLM's CMake: which version of torch's stable interface the extensions keep to.
STABLE = "-DTORCH_TARGET_VERSION=0x020B000000000000ULL"


@pytest.fixture(scope="module")
def torch_headers() -> Path:
    pins = json.loads((ROOT / "tests" / "toolchains" / "pins.json").read_text())
    pin = pins["torch_headers"]
    kept = TOOLCHAINS / f"torch-headers-{pin['sha256'][:12]}"
    if not kept.is_dir():
        TOOLCHAINS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLCHAINS) as scratch:
            requirements = Path(scratch) / "requirements.txt"
            requirements.write_text(f"{pin['requirement']} --hash=sha256:{pin['sha256']}\n")
            platform = [word for key, value in pin["platform"].items() for word in (key, value)]
            pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *platform)
            subprocess.run(
                [
                    *pip,
                    "--only-binary=:all:",
                    "--require-hashes",
                    "-d",
                    scratch,
                    "-r",
                    requirements,
                ],
                check=True,
            )
            (wheel,) = Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.startswith("torch/include/")]
                archive.extractall(Path(scratch) / "made", names)
            (Path(scratch) / "made").rename(kept)
    return kept / "torch" / "include"


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = load(ROOT / "versions.json").document.sources.vllm
    folder = tmp_path_factory.mktemp("sdist")
    return fetch_sdist("vllm", source.version, folder, sha256=sdist_sha256(source))


@pytest.fixture(scope="module")
def units(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Unit]:
    """What vLLM's CMake says of its sources for 12.1a and CUDA 13.0."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    result = preflight(Question(sdist, "13.0", "12.1a"), cache)
    return {unit.source: unit for unit in result.configuration.units}


@pytest.fixture(scope="module")
def library(
    sdist: Path,
    units: dict[str, Unit],
    torch_headers: Path,
    nvcc: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The chosen sources in one library; what torch defines stays undefined in it."""
    place = tmp_path_factory.mktemp("vllm")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    (tree,) = place.iterdir()
    # vLLM's torch_utils.h includes cuBLAS (0.5 GB of wheel) for the name of this one type.
    (place / "cublas_v2.h").write_text("typedef struct cublasContext* cublasHandle_t;\n")
    includes = [f"-I{path}" for path in (place, tree / "csrc", torch_headers)]
    objects = []
    for number, name in enumerate(CHOSEN):
        gencode = [f"-gencode={code}" for code in units[name].gencode]
        objects.append(place / f"{number}.o")
        flags = [*FLAGS, STABLE, *gencode, *includes]
        subprocess.run([nvcc, "-c", *flags, "-o", objects[-1], tree / name], check=True)
    # Not nvcc: it would add an empty device link for its default, sm_75.
    subprocess.run(["c++", "-shared", "-o", place / "_moe_C.so", *objects], check=True)
    return place / "_moe_C.so"


def test_preflight_foresees_the_family_in_place_of_12_1a(units: dict[str, Unit]) -> None:
    foreseen = {name: " ".join(map(str, units[name].targets)) for name in CHOSEN}
    assert foreseen == CHOSEN


def test_what_was_foreseen_is_what_is_embedded_and_it_runs_on_12_1(library: Path) -> None:
    command = (sys.executable, "-m", "smforge", "audit", "--require", "12.1", "-o", "json")
    done = subprocess.run((*command, library), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (file,) = report["files"]
    code = {one["target"]: one["kernels"] for one in file["objects"] if one["kind"] == "cubin"}
    assert set(code) == set(CHOSEN.values())
    assert all(kernels > 0 for kernels in code.values())
    assert report["devices"]["12.1"]["verdict"] == "native"


def test_the_suffix_that_the_sources_drop_is_not_there(library: Path) -> None:
    command = (sys.executable, "-m", "smforge", "audit", "--require", "12.1a", "-o", "json")
    done = subprocess.run((*command, library), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    rules = {finding["rule"] for finding in json.loads(done.stdout)["findings"]}
    assert "target-missing" in rules
