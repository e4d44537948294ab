"""The driver picks one object of a region: kernels that nvcc leaves out of some of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.findings import Level, Outcome, Tally
from smforge.verdict.audit import audit
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

pytestmark = pytest.mark.toolchain

Compile = Callable[..., Path]
SHARED = ("-shared", "-Xcompiler", "-fPIC", "-cudart", "shared")
GUARDED = """
__global__ void both(int *p) { p[0] = 1; }
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ != 1210
__global__ void guarded(int *p) { p[0] = 2; }
void launch(int *p) { both<<<1, 1>>>(p); guarded<<<1, 1>>>(p); }
#endif
"""
"""`guarded` is left out of the pass for 12.1, and the host launches it everywhere."""
OVERLOAD = """
__global__ void both(int *p) { p[0] = 1; }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
__global__ void old_way(int *p) { p[0] = 2; }
#else
__global__ void new_way(int *p) { p[0] = 3; }
void launch(int *p) { both<<<1, 1>>>(p); new_way<<<1, 1>>>(p); }
#endif
"""
"""The host compiles and registers `new_way`; `old_way` stands in the code for 7.5 alone."""


def gencode(*codes: str) -> tuple[str, ...]:
    """``120``, ``90+ptx``."""
    flags: list[str] = []
    for code in codes:
        number, _, ptx = code.partition("+")
        forms = f"[sm_{number},compute_{number}]" if ptx else f"sm_{number}"
        flags += ["-gencode", f"arch=compute_{number},code={forms}"]
    return tuple(flags)


def judged(library: Path, require: str) -> Verdict:
    return audit(str(library), AuditRequest(parse_requirements([require])))


@pytest.mark.parametrize(
    ("codes", "device", "missing"),
    [
        (("121", "120"), "12.1", 1),
        (("121", "90+ptx"), "12.1", 1),
        (("121", "120"), "12.0", 0),
        (("120",), "12.1", 0),
        (("90+ptx",), "12.1", 0),
    ],
)
def test_a_kernel_that_the_picked_object_lacks_is_missing(
    compile_with: Compile, codes: tuple[str, ...], device: str, missing: int
) -> None:
    verdict = judged(compile_with(GUARDED, "k.so", *SHARED, *gencode(*codes)), device)
    assert verdict.devices[0].tally.missing == missing
    errors = [one for one in verdict.findings if one.level is Level.ERROR]
    assert [one.rule for one in errors] == ["kernels-missing"] * missing
    assert verdict.outcome is (Outcome.FAIL if missing else Outcome.PASS)
    for error in errors:
        assert "here sm_121, and it lacks them" in error.message
        assert "for sm_121 too" in (error.remedy or "")


def test_without_an_order_that_is_documented_the_answer_is_not_known(compile_with: Compile) -> None:
    source = GUARDED.replace("__CUDA_ARCH__ != 1210", "defined(__CUDA_ARCH_FEAT_SM90_ALL)")
    verdict = judged(compile_with(source, "k.so", *SHARED, *gencode("90", "90a")), "9.0")
    assert [one.rule for one in verdict.findings] == ["pick-unknown"]
    assert verdict.outcome is Outcome.UNDETERMINED
    assert verdict.devices[0].tally == Tally(native=1, missing=1, unclear=1)


def test_what_no_host_code_launches_is_unreachable_and_fails_nothing(compile_with: Compile) -> None:
    verdict = judged(compile_with(OVERLOAD, "k.so", *SHARED, *gencode("75", "80", "120")), "12.1")
    assert verdict.devices[0].tally == Tally(native=2, unreachable=1)
    assert verdict.outcome is Outcome.PASS
    assert not verdict.findings


def test_a_kernel_that_the_host_names_is_missing_and_not_unreachable(compile_with: Compile) -> None:
    source = OVERLOAD.replace("void launch", 'const char *name = "_Z7old_wayPi";\nvoid launch')
    verdict = judged(compile_with(source, "k.so", *SHARED, *gencode("75", "80", "120")), "12.1")
    assert verdict.devices[0].tally == Tally(native=2, missing=1)
    assert verdict.outcome is Outcome.FAIL


def test_a_kernel_that_the_host_compiles_and_does_not_register_is_missing(
    compile_with: Compile,
) -> None:
    """nvcc registers what the pass for 12.0 has, and the host launches something else."""
    source = """
    __global__ void both(int *p) { p[0] = 1; }
    template <int n> __global__ void guarded(int *p) { p[0] = n; }
    #if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ == 750
    template __global__ void guarded<2>(int *p);
    #endif
    void launch(int *p) { both<<<1, 1>>>(p); }
    """
    verdict = judged(compile_with(source, "k.so", *SHARED, *gencode("75", "120")), "12.0")
    assert verdict.devices[0].tally == Tally(native=1, missing=1)
