"""The command as users run it: what running the subject tells stands in the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RECORDED = Path(__file__).parents[3] / "verdict" / "data" / "probes"
TOUCHING = """
    import torch.cuda
    HAS_FP8 = torch.cuda.get_device_capability() >= (8, 9)
"""
Smforge = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def kernels(compile_with: Callable[..., Path]) -> Path:
    """A folder with one library that runs on 12.1."""
    source = "__global__ void fill(float* a) { a[0] = 1; }"
    flags = ("-shared", "-Xcompiler", "-fPIC", "-gencode", "arch=compute_120f,code=sm_120f")
    return compile_with(source, "kernels.so", *flags).parent


@pytest.fixture(scope="session")
def smforge() -> Smforge:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "smforge", "audit", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.mark.toolchain
def test_a_planted_module_that_touches_cuda_fails_the_audit(
    smforge: Smforge, models: Callable[..., Path], kernels: Path, python: Path
) -> None:
    models(planted=TOUCHING)
    done = smforge(kernels, "--require", "12.1", "--probe-python", python, "-o", "json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    (finding,) = [one for one in report["findings"] if one["rule"] == "cuda-at-import"]
    assert finding["file"] == "vllm/model_executor/models/model_planted.py"
    assert "model_planted.py, line 3" in finding["message"]
    told = [one["message"] for one in report["findings"] if one["rule"] == "probed"]
    assert any(message.startswith("1 of 2 architectures") for message in told)


@pytest.mark.toolchain
def test_without_it_the_same_audit_passes(
    smforge: Smforge, models: Callable[..., Path], kernels: Path, python: Path
) -> None:
    models()
    done = smforge(kernels, "--require", "12.1", "--probe-python", python)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.toolchain
def test_a_python_that_fails_leaves_the_verdict_open(
    smforge: Smforge, kernels: Path, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    done = smforge(kernels, "--require", "12.1", "--probe-python", program)
    assert done.returncode == 4
    assert "probe-failed" in done.stdout


@pytest.mark.toolchain
def test_facts_written_elsewhere(smforge: Smforge, kernels: Path) -> None:
    done = smforge(kernels, "--require", "12.1", "--probed", RECORDED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "413 of 415" not in done.stdout  # The recorded facts are shortened.
    assert "model-needs-gpu" in done.stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--probed", os.devnull), "holds no facts"),
        (("--probe", "--probed", RECORDED), "Leave one of them out"),
        (("also", "--probed", RECORDED), "belong to one subject"),
    ],
)
def test_usage(smforge: Smforge, tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    done = smforge(tmp_path, *flags)
    assert done.returncode == 2
    assert said in done.stderr


def test_probing_a_folder_without_a_python_is_no_pass(smforge: Smforge, tmp_path: Path) -> None:
    """Once a usage error: now the assemblers of a folder can be run, and here there is none."""
    done = smforge(tmp_path, "--probe")
    assert done.returncode == 4
    assert "name a Python with --probe-python" in done.stdout
