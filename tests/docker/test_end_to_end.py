"""From versions.json to wheels that FlashInfer loads, on a real engine.

The first build takes minutes; later ones come from the engine's cache, and an unchanged tree is
found up to date.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from smforge.bake.host import own_engine

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
OUT = ROOT / ".smforge" / "end-to-end"
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CORE = {"cascade", "gelu_and_mul", "gelu_tanh_and_mul", "page", "quantization", "silu_and_mul"}


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, **own_engine.settings(os.environ), **variables}


def smforge(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "smforge", *arguments),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def bake(call: dict[str, Any], *arguments: str, **variables: str) -> str:
    """Run bake in the situation of an earlier call of `smforge build --print`."""
    allow = ("--allow=network.host", f"--allow=fs={OUT}", "--allow=fs.read=/")
    files = ("-f", "docker-bake.hcl", "-f", "versions.json")
    done = subprocess.run(
        ("docker", "buildx", "bake", *files, *allow, "--progress=plain", *arguments),
        cwd=ROOT,
        env=environment(**{**call["variables"], **variables}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def demo() -> Path:
    """The artefacts of the variant ``demo``."""
    done = smforge("build", "demo", "--out", str(OUT))
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return OUT / "demo" / "linux-amd64"


@pytest.fixture(scope="module")
def call(demo: Path) -> dict[str, Any]:
    """How ``demo`` is built: its variables above all."""
    done = smforge("build", "demo", "--out", str(OUT), "--print")
    assert done.returncode == 0, done.stderr
    described: dict[str, Any] = json.loads(done.stdout)["builds"][0]
    return described


def loaded(call: dict[str, Any], wheels: Path, devices: str) -> dict[str, dict[str, str | None]]:
    """What FlashInfer loads for these devices from the wheels below a directory."""
    report = OUT / "loaded"
    bake(
        call,
        "flashinfer-test",
        f"--set=flashinfer-test.contexts.wheels={wheels}",
        f"--set=flashinfer-test.output=type=local,dest={report}",
        DEVICES=devices,
    )
    answers: dict[str, dict[str, str | None]] = json.loads((report / "loaded.json").read_text())
    return answers


def test_there_is_a_wheel_per_architecture_and_the_shim(demo: Path) -> None:
    names = sorted(wheel.name for wheel in demo.rglob("*.whl"))
    platform = "py3-none-manylinux_2_39_x86_64"
    assert names == [
        "flashinfer_jit_cache-0.7.2.post1+cu130-py3-none-manylinux_2_17_x86_64.whl",
        *(
            f"flashinfer_jit_cache_{sm}-0.7.2.post1+cu130-{platform}.whl"
            for sm in ("sm110a", "sm120f", "sm121a")
        ),
    ]


def test_what_was_built_passes_as_a_folder(demo: Path) -> None:
    required = ("--require", "11.0 12.0 12.1 11.0a 12.0f 12.1a")
    done = smforge("audit", str(demo), "--together", *required)
    assert done.returncode == 0, done.stdout + done.stderr
    # Each wheel serves its own architecture.
    assert smforge("audit", str(demo), *required).returncode == 1


def test_a_second_build_finds_nothing_to_do(demo: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in demo.rglob("*.whl")}
    done = smforge("build", "demo", "--out", str(OUT))
    assert done.returncode == 0
    assert {file: file.stat().st_mtime_ns for file in demo.rglob("*.whl")} == before


def test_the_record_says_what_it_was_expected_to_cost(demo: Path) -> None:
    cost = json.loads((demo / "record.json").read_text())["cost"]
    assert cost["passes"] == 27
    low, high = cost["cpu_seconds"]
    assert 0 < low <= high
    # What the engine or the compile cache had is not compared, with a reason for each.
    compared = cost["compared"]["targets"] if cost["compared"] else []
    assert sorted([*compared, *cost["not_compared"]]) == sorted(cost["targets"])
    assert len(cost["targets"]) == 3


def test_flashinfer_loads_each_devices_modules_and_refuses_other_devices(
    demo: Path, call: dict[str, Any]
) -> None:
    answers = loaded(call, demo, "11.0a 12.0f 12.1a 9.0a 8.9")
    for device, provider in (("11.0a", "sm110a"), ("12.0f", "sm120f"), ("12.1a", "sm121a")):
        assert answers[device] == dict.fromkeys(CORE, provider)
    for device in ("9.0a", "8.9"):
        assert answers[device] == dict.fromkeys(CORE, None)


def test_a_list_cut_to_12_0f_serves_12_1_but_holds_no_12_1a(
    demo: Path, call: dict[str, Any]
) -> None:
    cut = OUT / "cut"
    targets = ("flashinfer-sm120f", "flashinfer-shim")
    bake(call, *targets, FLASHINFER_ARCHS="12.0f", OUT_DIR=str(cut))
    answers = loaded({"variables": {**call["variables"], "OUT_DIR": str(cut)}}, cut, "12.1a 11.0a")
    assert answers["12.1a"] == dict.fromkeys(CORE, "sm120f")
    assert answers["11.0a"] == dict.fromkeys(CORE, None)

    (wheel,) = (cut / "flashinfer-sm120f").glob("*.whl")
    assert smforge("audit", str(wheel), "--require", "12.1 12.0f").returncode == 0
    for requirement in ("12.1a", "11.0 12.1a"):
        for backend in ("native", "cuobjdump"):
            failed = smforge("audit", str(wheel), "--require", requirement, "--backend", backend)
            assert failed.returncode == 1, failed.stdout + failed.stderr


def test_a_base_of_bookworm_makes_wheels_for_older_systems() -> None:
    built = smforge("build", "demo-bookworm", "--out", str(OUT))
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    wheels = OUT / "demo-bookworm" / "linux-amd64"
    (wheel,) = (wheels / "flashinfer-sm120f").glob("*.whl")
    assert wheel.name.endswith("+cu130-py3-none-manylinux_2_34_x86_64.whl")

    shown = smforge("build", "demo-bookworm", "--out", str(OUT), "--print")
    call = json.loads(shown.stdout)["builds"][0]
    # Loaded on the base itself, which is Debian 12.
    answers = loaded(call, wheels, "12.0f 12.1a 9.0a")
    assert answers["12.0f"] == answers["12.1a"] == dict.fromkeys(CORE, "sm120f")
    assert answers["9.0a"] == dict.fromkeys(CORE, None)


@pytest.mark.skipif(not HOST_CERTIFICATES.is_file(), reason="the host has no certificates")
def test_certificates_are_in_no_layer(call: dict[str, Any], tmp_path: Path) -> None:
    mark = f"smforge-{uuid.uuid4()}"
    bundle = tmp_path / "ca.pem"
    bundle.write_text(f"# {mark}\n{HOST_CERTIFICATES.read_text()}")
    layers = tmp_path / "layers.tar"
    bake(
        call,
        "base",
        "--set=base.target=cuda-packages",
        "--set=base.no-cache-filter=cuda-packages",
        f"--set=base.output=type=tar,dest={layers}",
        f"--allow=fs={tmp_path}",
        CA_BUNDLE=str(bundle),
    )
    found = subprocess.run(("grep", "-c", mark, str(layers)), capture_output=True, check=False)
    assert found.returncode == 1
    # The search would find what is there: the step's own results are.
    assert subprocess.run(("grep", "-q", "cuda-wheels", str(layers)), check=False).returncode == 0
