"""The image of the audit tool: built, audited and run on a real engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smforge.bake.host import own_engine
from smforge.workflow.audit_tool import IMAGE
from tests.install.conftest import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow]

CUBIN = Path(__file__).parent / "data" / "scale-sm_120.cubin"


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **own_engine.settings(os.environ)}
    words = [str(word) for word in command]
    return subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def layout(distribution: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's OCI layout, built from a clone with a wheel; the engine has it by its name."""
    tree = tmp_path_factory.mktemp("clone") / "tree"
    subprocess.run(("git", "clone", "-q", str(ROOT), str(tree)), check=True)
    (tree / "dist").mkdir()
    shutil.copy(distribution[1], tree / "dist")
    out = tree / "out"
    done = run(sys.executable, "-m", "smforge.workflow.audit_tool", "--load", cwd=tree)
    assert done.returncode == 0, done.stderr
    assert "no GPU code in it, as it should be" in done.stdout
    (found,) = out.glob("audit-tool/linux-*/image")
    return found


def test_its_own_audit_finds_no_gpu_code(layout: Path) -> None:
    done = run(sys.executable, "-m", "smforge", "audit", f"oci:{layout}", "--require", "12.1")
    assert done.returncode == 3, done.stdout
    assert run(sys.executable, "-m", "smforge", "audit", f"image:{IMAGE}").returncode == 3


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize(("device", "code"), [("12.1", 0), ("9.0", 1)])
def test_it_audits_a_file_that_is_mounted(device: str, code: int) -> None:
    mounted = ("-v", f"{CUBIN}:/subjects/k.cubin:ro")
    done = run(
        *("docker", "run", "--rm", "--network", "none", *mounted, IMAGE),
        *("audit", "k.cubin", "--require", device, "--backend", "both"),
    )
    assert done.returncode == code, done.stderr
    assert device in done.stdout


@pytest.mark.usefixtures("layout")
def test_it_has_no_compiler_and_no_rights() -> None:
    script = 'id -u; for one in cc gcc g++ nvcc ptxas; do command -v "$one"; done; true'
    done = run(
        "docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", IMAGE, "-c", script
    )
    assert (done.returncode, done.stdout.split()) == (0, ["65532"])
