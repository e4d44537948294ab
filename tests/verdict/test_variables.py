"""Variables of a unit without kernels: only the host can use them, and it needs code for them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.findings import Level, Outcome
from smforge.inventory.native.lone_variables import _PTX_VARIABLE
from smforge.verdict.audit import audit
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

KERNEL = """
__global__ void work(float* x) { x[0] = 1; }
extern "C" void run(float* x) { work<<<1, 1>>>(x); }
"""
VARIABLES = """
#include <cuda_runtime.h>
__device__ int table[4];
__constant__ float factor;
extern "C" int set_table(int* p) { return cudaMemcpyToSymbol(table, p, 16); }
extern "C" int set_factor(float* p) { return cudaMemcpyToSymbol(factor, p, 4); }
"""
OF_HEADERS = """
#include <cuda_runtime.h>
namespace cuda { namespace std { __device__ int begin; } }
extern "C" int use(int* p) { return cudaMemcpyToSymbol(cuda::std::begin, p, 4); }
"""
PTX = b"""
.version 9.0
.target sm_90
.address_size 64
.visible .global .align 4 .b8 table[16];
.visible .const .align 4 .f32 factor = 0f3F800000;
.global .align 1 .b8 _ZN3stdE[1];
.extern .global .align 4 .u32 elsewhere;
"""


Link = Callable[..., Path]


def gencode(*codes: str) -> list[str]:
    """``sm_90``, ``compute_90``."""
    flags = []
    for code in codes:
        flags += ["-gencode", f"arch=compute_{code.partition('_')[2]},code={code}"]
    return flags


@pytest.fixture
def linked(nvcc: Path, compile_with: Callable[..., Path], tmp_path: Path) -> Link:
    """Link a library of a unit with a kernel, for 9.0 and 12.0, and of another unit."""

    def link(source: str, *codes: str) -> Path:
        position = ("-c", "-Xcompiler", "-fPIC")
        first = compile_with(KERNEL, "work.o", *position, *gencode("sm_90", "sm_120"))
        second = compile_with(source, "lone.o", *position, *gencode(*codes))
        library = tmp_path / "lib.so"
        shared = ("-shared", "-cudart", "shared", "-o")
        subprocess.run([nvcc, *shared, library, first, second], check=True)
        return library

    return link


def judged(library: Path, require: str) -> Verdict:
    return audit(str(library), AuditRequest(parse_requirements([require])))


@pytest.mark.toolchain
def test_variables_without_code_for_a_device_are_no_pass(linked: Link) -> None:
    verdict = judged(linked(VARIABLES, "sm_90"), "12.0")
    (finding,) = [one for one in verdict.findings if one.level is Level.ERROR]
    assert (finding.rule, finding.device) == ("variables-missing", verdict.devices[0].device)
    assert "factor, table" in finding.message
    assert verdict.outcome is Outcome.UNDETERMINED


@pytest.mark.toolchain
@pytest.mark.parametrize("codes", [("sm_90", "sm_120"), ("compute_90",), ("sm_120f",)])
def test_variables_with_code_for_the_device_pass(linked: Link, codes: tuple[str, ...]) -> None:
    assert judged(linked(VARIABLES, *codes), "12.0").outcome is Outcome.PASS


@pytest.mark.toolchain
def test_variables_of_code_made_for_other_devices_by_design_pass(linked: Link) -> None:
    assert judged(linked(VARIABLES, "sm_90a"), "12.0").outcome is Outcome.PASS


@pytest.mark.toolchain
def test_constants_of_headers_do_not_count(linked: Link) -> None:
    assert judged(linked(OF_HEADERS, "sm_90"), "12.0").outcome is Outcome.PASS


def test_variables_of_ptx_are_found() -> None:
    assert _PTX_VARIABLE.findall(PTX) == [b"table", b"factor", b"_ZN3stdE"]
