"""``smforge audit --write-policy``: refused without reasons, and enough once they are written."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = r"""
template <class T> __global__ void act(T* a) { a[threadIdx.x] *= 2; }
template __global__ void act<float>(float*);
template __global__ void act<int>(int*);
extern "C" __global__ void plain(int* a) { *a = 1; }
void run(float* f, int* i) { act<<<1, 1>>>(f); act<<<1, 1>>>(i); plain<<<1, 1>>>(i); }
"""
EVERYWHERE = r"""
__global__ void rest(int* a) { *a = 2; }
void run_rest(int* a) { rest<<<1, 1>>>(a); }
"""
ALL = [f"-gencode=arch=compute_{one},code=sm_{one}" for one in (80, 90, 120)]
FLAGS = ("-shared", "-Xcompiler=-fPIC", "-gencode=arch=compute_80,code=sm_80")


def audit(*words: str | Path) -> tuple[int, str]:
    command = (sys.executable, "-m", "smforge", "audit", *map(str, words), "--no-default-policy")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.toolchain
def test_a_draft_is_refused_until_every_entry_has_its_reason(
    compile_with: Callable[..., Path], tmp_path: Path
) -> None:
    everywhere = compile_with(EVERYWHERE, "rest.o", "-c", "-Xcompiler=-fPIC", *ALL)
    library = compile_with(SOURCE, "lib[1].so", *FLAGS, str(everywhere))
    policy = tmp_path / "policy.toml"
    assert audit(library, "--require=9.0 8.6 12.1", "--write-policy", policy)[0] == 1
    entries = tomllib.loads(policy.read_text())["allow"]
    assert {entry["kernel"] for entry in entries} == {"plain", "void act<*"}
    for entry in entries:
        assert entry["devices"] == ["9.0", "12.1"]
        assert (entry["targets"], entry["states"], entry["reason"]) == (["8.0"], ["missing"], "")

    code, said = audit(library, "--require=9.0", "--policy", policy)
    assert code == 2
    assert "$.allow[0].reason" in said

    policy.write_text(
        policy.read_text().replace('reason = ""', 'reason = "Made for Ampere alone."')
    )
    assert audit(library, "--require=9.0 8.6", "--policy", policy) == (0, "")
    again = tmp_path / "again.toml"
    code, said = audit(library, "--require=9.0", "--policy", policy, "--write-policy", again)
    assert code == 0
    assert "was not written" in said
    assert not again.exists()


@pytest.mark.toolchain
def test_what_runs_from_ptx_is_in_it_only_where_ptx_does_not_count(
    compile_with: Callable[..., Path], tmp_path: Path
) -> None:
    flags = ("-shared", "-Xcompiler=-fPIC", "-gencode=arch=compute_80,code=compute_80")
    library, policy = compile_with(SOURCE, "lib.so", *flags), tmp_path / "policy.toml"
    assert audit(library, "--require=9.0", "--write-policy", policy)[0] == 0
    assert not policy.exists()
    assert audit(library, "--require=9.0", "--native", "--write-policy", policy)[0] == 1
    entries = tomllib.loads(policy.read_text())["allow"]
    assert {state for entry in entries for state in entry["states"]} == {"ptx"}


def test_without_kernel_names_there_is_nothing_to_write(tmp_path: Path) -> None:
    code, said = audit(tmp_path, "--no-kernels", "--write-policy", tmp_path / "policy.toml")
    assert code == 2
    assert "--no-kernels reads none" in said
