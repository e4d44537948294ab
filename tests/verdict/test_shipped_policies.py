"""The policies that smforge ships, held against what real wheels embed (data/*.json).

data/record.py makes the records anew from the wheels.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ConfigurationError
from smforge.inventory.records import CodeObject, FileInventory, Kind, Origin, Region
from smforge.policy.excuses import Excuse
from smforge.policy.files import FOLDER as POLICIES
from smforge.policy.files import load_policy, shipped_for_kernels
from smforge.verdict.request import AuditRequest
from smforge.verdict.views.files import view_file

DAY = date(2026, 11, 21)
ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
RECORDS = {path.stem: json.loads(path.read_text()) for path in sorted(DATA.glob("*.json"))}
VLLM = [name for name in RECORDS if name.startswith("vllm-")]
NVIDIA = [name for name in RECORDS if name.startswith("nvidia_")]
ON_ARM = [name for name in RECORDS if name.endswith("aarch64") and name not in VLLM]
"""Libraries that torch brings on aarch64, which is what Thor and Spark run."""
EXCEPTIONS = shipped_for_kernels()
TERMS = AuditRequest(excuses=EXCEPTIONS, today=DAY)
THOR = ComputeCapability(11, 0)
OTHER = Target(ComputeCapability(8, 9), Suffix.ARCH_SPECIFIC)
"""A target that no exception speaks of and no current device but 8.9 takes."""


class Group(NamedTuple):
    """Kernels of one file that are embedded alike: one name for each family, and its count."""

    file: FileInventory
    counts: dict[str, int]


def group_of(path: str, cubins: list[str], ptx: list[str], counts: dict[str, int]) -> Group:
    names = tuple(counts)
    objects = [CodeObject(Kind.CUBIN, target_of(name), 1, kernels=names) for name in cubins]
    for text in ptx:
        target, _, isa = text.partition("@")
        objects.append(CodeObject(Kind.PTX, target_of(target), 1, isa, kernels=names))
    region = Region(Origin.FATBIN, ".nv_fatbin", 0, tuple(objects))
    return Group(FileInventory(path, 1, None, (region,)), counts)


def target_of(text: str) -> Target:
    if text.endswith("?"):
        return Target(ComputeCapability.parse(text[:-1]), Suffix.UNKNOWN)
    return Target.parse(text)


def groups_of(record: dict[str, Any]) -> list[Group]:
    """The recorded kernels that cannot run on some recorded device."""
    return [
        group_of(
            path,
            group.get("cubins", []),
            group.get("ptx", []),
            {name: count for count, name in group["families"]},
        )
        for path, groups in record["files"].items()
        for group in groups
        if "families" in group
    ]


@cache
def all_groups() -> tuple[Group, ...]:
    """Those of all records."""
    return tuple(group for record in RECORDS.values() for group in groups_of(record))


def excused(group: Group, device: ComputeCapability, terms: AuditRequest = TERMS) -> set[str]:
    view = view_file(group.file, (device,), terms).devices[device]
    return {one.kernel for one in view.excused}


def missing(record: dict[str, Any], device: str, terms: AuditRequest = TERMS) -> Counter[str]:
    """How many kernels of each file cannot run on a device and are not excused."""
    capability = ComputeCapability.parse(device)
    found: Counter[str] = Counter()
    for group in groups_of(record):
        view = view_file(group.file, (capability,), terms).devices[capability]
        if view.tally.missing:
            left = set(group.counts) - {one.kernel for one in view.excused}
            found[group.file.path] += sum(group.counts[name] for name in left)
    return +found


def test_there_are_records_of_three_releases_for_both_machines() -> None:
    assert len(VLLM) == 6
    assert len(NVIDIA) == 10
    assert len(ON_ARM) == 7
    assert len(RECORDS) == 18


@pytest.mark.parametrize("name", RECORDS)
def test_the_records_hold_every_missing_kernel(name: str) -> None:
    for device, totals in RECORDS[name]["devices"].items():
        assert missing(RECORDS[name], device, AuditRequest(today=DAY)).total() == totals["missing"]


@pytest.mark.parametrize("excuse", EXCEPTIONS, ids=lambda one: one.pattern[:50])
class TestEachException:
    def test_says_why_where_and_for_what(self, excuse: Excuse) -> None:
        assert len(excuse.reason) > 60
        assert excuse.reference
        assert excuse.file
        assert excuse.devices
        assert excuse.targets

    def test_is_used_on_every_device_it_names(self, excuse: Excuse) -> None:
        alone = replace(TERMS, excuses=(excuse,))
        for device in excuse.devices:
            assert any(excused(group, device, alone) for group in all_groups()), str(device)

    def test_leaves_the_devices_it_does_not_name(self, excuse: Excuse) -> None:
        alone = replace(TERMS, excuses=(excuse,))
        for group in covered(excuse):
            for device in {ComputeCapability(7, 5), ComputeCapability(10, 7)} - {*excuse.devices}:
                assert not excused(group, device, alone)

    def test_does_not_excuse_a_kernel_embedded_for_more(self, excuse: Excuse) -> None:
        for group in covered(excuse):
            for device in excuse.devices:
                (region,) = group.file.regions
                more = region.objects[0]._replace(target=OTHER)
                wider = region._replace(objects=(*region.objects, more))
                file = group.file._replace(regions=(wider,))
                assert not excused(Group(file, group.counts), device)

    def test_does_not_excuse_it_in_another_file(self, excuse: Excuse) -> None:
        for group in covered(excuse):
            elsewhere = group.file._replace(path="vllm/_other_C.abi3.so")
            assert not excused(Group(elsewhere, group.counts), excuse.devices[0])


def covered(excuse: Excuse) -> list[Group]:
    """The recorded groups of which it excuses something, reduced to that."""
    found = []
    for group in all_groups():
        names = excused(group, excuse.devices[-1], replace(TERMS, excuses=(excuse,)))
        if names:
            (region,) = group.file.regions
            objects = tuple(one._replace(kernels=tuple(sorted(names))) for one in region.objects)
            file = group.file._replace(regions=(region._replace(objects=objects),))
            found.append(Group(file, {name: group.counts[name] for name in names}))
    return found


MARLIN = (
    "_ZN6marlin6MarlinILl{a}ELl562949953487106ELl1125899906910725ELl2814749767172868ELi128ELi1ELi4"
    "ELi8ELb0ELi{stages}ELi1ELb0EEEvPK4int4"
)
HALF, FP8 = "1125899906910725", "2814749767172868"
VECTORISED = (
    "_ZN4vllm25fused_add_rms_norm_kernelIN3c108BFloat16ELi8ELb1EEENSt9enable_ifIXaagtT0_Li0E"
    "sr4vllm12_typeConvertIT_EE6existsEvE4typeEPS4_"
)


@pytest.mark.parametrize(
    ("path", "kernel", "cubins", "device"),
    [
        # Marlin with four stages that was compiled for Turing alone by mistake.
        ("vllm/_C.abi3.so", MARLIN.format(a=HALF, stages=4), ["7.5"], "12.0"),
        # Marlin with two stages that was compiled for something else.
        ("vllm/_C.abi3.so", MARLIN.format(a=HALF, stages=2), ["8.9"], "12.0"),
        # Marlin with FP16 activations, compiled where the one with FP8 belongs.
        ("vllm/_C.abi3.so", MARLIN.format(a=HALF, stages=4), ["8.9", "12.0f"], "11.0"),
        # FP8 Marlin that lacks 12.x: there the host code does call it.
        ("vllm/_C.abi3.so", MARLIN.format(a=FP8, stages=4), ["8.9"], "12.0"),
        ("vllm/_C.abi3.so", MARLIN.format(a=FP8, stages=4), ["8.9"], "12.1"),
        # AllSpark is for Ampere, and Orin is one.
        ("vllm/_C.abi3.so", "_ZN8allspark8k_kernelILi3EEEvPi", ["8.0", "8.6", "8.9"], "8.7"),
        # The vectorised overload is the one that is called.
        ("vllm/_C_stable_libtorch.abi3.so", VECTORISED, ["7.5"], "12.1"),
        ("vllm/_C.abi3.so", "_ZN4vllm15rms_norm_kernelIfLi8EEEvPT_", ["7.5"], "12.1"),
        ("vllm/_moe_C.abi3.so", "_ZN4vllm3moe10topkGatingIfLi8EEEvPT_", ["7.5"], "12.1"),
        # Kernels of NVIDIA's libraries that do not say they are for an older generation.
        ("nvidia/cu13/lib/libcublasLt.so.13", "sm120_gemm_nt", ["8.0"], "12.1"),
        ("nvidia/cu13/lib/libcublasLt.so.13", "ampere_gemm_nt", ["8.0", "8.9"], "12.1"),
        ("nvidia/cu13/lib/libcufft.so.12", "_Z7scatterv", ["9.0"], "12.0"),
        ("nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9", "relu", ["10.3a", "8.9"], "12.1"),
        # A tile of cuDNN's that says nothing of the generator it is from.
        ("nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9", "relu", ["12.0f", "8.0"], "11.0"),
        # One that 12.x picks as well as Thor, and that lacks 12.x: for 11.0 nothing is excused.
        (
            "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
            "sm80_xmma_fprop_execute_kernel__5x_cudnn",
            ["10.0f", "8.0"],
            "11.0",
        ),
        # FP64 by way of INT8: 10.3 has neither variant.
        (
            "nvidia/cu13/lib/libcublasLt.so.13",
            "cublasLt_fused_imma_dgemm_kernel_sm80",
            ["8.0", "8.6", "12.0"],
            "10.3",
        ),
        # A kernel of cuBLASLt that 10.0 has and that was forgotten for Thor.
        ("nvidia/cu13/lib/libcublasLt.so.13", "syherk_kernel", ["10.0", "12.0"], "11.0"),
        # NVSHMEM has nothing for Thor, whatever its kernels are called.
        ("nvidia/nvshmem/lib/libnvshmem_host.so.3", "barrier_on_stream", ["10.0"], "11.0"),
        # Triton's other copy of CUPTI is the one that Blackwell loads.
        (
            "triton/backends/nvidia/lib/cupti-blackwell/libcupti.so",
            "tools_memcmp",
            ["10.0", "10.1"],
            "11.0",
        ),
        # A cubin of the same folder that does say what it is.
        (
            "flashinfer_cubin/cubins/x/batched_gemm-1/Bmm_a_sm100f.cubin",
            "bmm_a_sm100f",
            ["10.0"],
            "12.0",
        ),
    ],
)
def test_a_planted_gap_is_found(path: str, kernel: str, cubins: list[str], device: str) -> None:
    group = group_of(path, cubins, [], {kernel: 1})
    capability = ComputeCapability.parse(device)
    view = view_file(group.file, (capability,), TERMS).devices[capability]
    assert view.tally.missing == 1
    assert not view.excused


def test_kernels_that_have_ptx_alone_are_not_excused_with_those_that_are_missing() -> None:
    path, device = "nvidia/cu13/lib/libcufft.so.12", ComputeCapability(12, 1)
    tuned = group_of(path, ["8.0"], [], {"_Z18regular_fft_factorv": 1})
    general = group_of(path, [], ["8.0@7.0"], {"_Z11regular_fftv": 1})
    assert excused(tuned, device)
    assert not excused(general, device)


@pytest.mark.parametrize("name", [*VLLM, *NVIDIA])
def test_nothing_is_missing_on_12_but_what_is_excused(name: str) -> None:
    assert not missing(RECORDS[name], "12.0")
    assert not missing(RECORDS[name], "12.1")


def test_what_arm_libraries_lack_is_what_findings_say_and_no_more() -> None:
    left = {
        (name.split("-")[0], device): count
        for name in ON_ARM
        for device in RECORDS[name]["devices"]
        if (count := missing(RECORDS[name], device).total())
    }
    assert left == {
        ("nvidia_nvshmem_cu13", "11.0"): 338,
        ("nvidia_cublas", "10.3"): 2,
        ("nvidia_cublas", "9.0"): 918,
        ("nvidia_cudnn_cu13", "9.0"): 4039,
    }


def test_the_policy_that_findings_shows_excuses_nvshmem_on_thor_and_no_more(
    tmp_path: Path,
) -> None:
    page = (ROOT / "docs" / "findings.md").read_text()
    (text,) = (block for block in page.split("```") if block.startswith("toml\n"))
    file = tmp_path / "thor.toml"
    file.write_text(text.removeprefix("toml\n"))
    terms = replace(TERMS, excuses=(*EXCEPTIONS, *load_policy(file).kernels))
    for name in ON_ARM:
        assert not missing(RECORDS[name], "11.0", terms), name
        assert missing(RECORDS[name], "9.0", terms) == missing(RECORDS[name], "9.0")
    nvshmem = "nvidia/nvshmem/lib/libnvshmem_host.so.3"
    assert excused(group_of(nvshmem, ["10.0"], [], {"barrier": 1}), THOR, terms)
    assert not excused(group_of(nvshmem, ["10.0", "10.3a"], [], {"barrier": 1}), THOR, terms)


@pytest.mark.parametrize(
    ("name", "gaps"),
    [
        ("vllm-0.19.0-cp38-abi3-manylinux_2_31_x86_64", 2550),
        ("vllm-0.19.0-cp38-abi3-manylinux_2_31_aarch64", 2550),
        ("vllm-0.20.0-cp38-abi3-manylinux_2_35_x86_64", 3006),
        ("vllm-0.20.0-cp38-abi3-manylinux_2_35_aarch64", 0),
        ("vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64", 4171),
        ("vllm-0.33.0-cp38-abi3-manylinux_2_28_aarch64", 0),
    ],
)
def test_a_wheel_built_without_11_keeps_its_gaps(name: str, gaps: int) -> None:
    assert missing(RECORDS[name], "11.0").total() == gaps


@pytest.mark.parametrize("name", RECORDS)
def test_the_findings_page_says_what_the_records_say(name: str) -> None:
    page = (ROOT / "docs" / "findings.md").read_text().replace("*", "")
    release = name.split("-")[1]
    wheel = ["x86_64" if name.endswith("x86_64") else "aarch64"] if name in VLLM else []
    for device, totals in RECORDS[name]["devices"].items():
        left = missing(RECORDS[name], device).total()
        counts = [totals[state] for state in ("native", "ptx", "foreign", "missing")]
        if name in VLLM:
            counts.append(totals.get("unreachable", 0))
        cells = [release, *wheel, device, *counts, totals["missing"] - left, left]
        assert f"| {' | '.join(str(cell) for cell in cells)} |\n" in page


def test_unknown_keys_are_refused(tmp_path: Path) -> None:
    for path in POLICIES.glob("*.toml"):
        spoilt = tmp_path / path.name
        spoilt.write_text(f"{path.read_text()}\nsurprise = true\n")
        with pytest.raises(ConfigurationError, match="surprise"):
            load_policy(spoilt)


@pytest.mark.toolchain
def test_they_hold_unless_they_are_turned_off(
    compile_with: Callable[..., Path], tmp_path: Path
) -> None:
    library = compile_with(
        """
        namespace marlin {
        template <long a, long b, long c, long s, int threads, int m, int n, int k, bool m8,
                  int stages, int group, bool zp>
        __global__ void Marlin(int* p) { *p = stages; }
        #if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ == 750
        template __global__ void Marlin<1, 2, 3, 4, 128, 1, 4, 8, false, 2, 1, false>(int*);
        #endif
        }
        __global__ void everywhere(int* p) { *p = 1; }
        """,
        "_C.abi3.so",
        *("-shared", "-Xcompiler", "-fPIC"),
        # nvcc registers the kernels of the last pass, so that the host names this one.
        *("-gencode", "arch=compute_120f,code=sm_120f", "-gencode", "arch=compute_75,code=sm_75"),
    )
    installed = tmp_path / "lib" / "site-packages" / "vllm"
    installed.mkdir(parents=True)
    shutil.copy(library, installed)

    def audit(*flags: str) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-m", "smforge", "audit", str(tmp_path), "--require", "12.0"]
        result = subprocess.run(
            [*command, *flags, "-o", "json"], capture_output=True, text=True, check=False
        )
        return result.returncode, json.loads(result.stdout)

    code, report = audit()
    assert (code, report["verdict"]) == (0, "pass")
    (exempted,) = report["exempted"]
    assert (exempted["policy"], exempted["kernels"], exempted["devices"]) == ("vllm", 1, ["12.0"])
    assert "Turing" in exempted["reason"]
    assert "29901" in exempted["reference"]

    code, report = audit("--no-default-policy")
    assert code == 1
    assert [one["rule"] for one in report["findings"] if one["level"] == "error"] == [
        "kernels-missing"
    ]
    assert report["exempted"] == []
