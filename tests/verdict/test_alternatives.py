"""Code of which a program loads one itself is judged per kernel name."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.findings import Outcome, Tally
from smforge.inventory.records import FileInventory, Inventory, Origin
from smforge.verdict.audit import audit
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

MakeFile = Callable[..., FileInventory]
MakeInventory = Callable[..., Inventory]


def request(*words: str, **others: bool) -> AuditRequest:
    return AuditRequest(parse_requirements(words), **others)  # type: ignore[arg-type]


@pytest.fixture
def judged(make_file: MakeFile, make_inventory: MakeInventory) -> Callable[..., Verdict]:
    """``judged({path: {target: kernels}}, device)`` of files that are code themselves."""

    def make(files: dict[str, dict[str, str]], device: str, **others: bool) -> Verdict:
        made = [
            make_file(
                path, tuple((target, tuple(k)) for target, k in codes.items()), origin=Origin.RAW
            )
            for path, codes in files.items()
        ]
        return judge(Reading(make_inventory(*made)), request(device, **others))

    return make


@pytest.mark.parametrize(
    ("files", "device", "outcome", "tally"),
    [
        # A file per target in one folder, or in folders that are named after targets.
        (("k_90", "k_120"), "12.1", Outcome.PASS, Tally(native=1, foreign=1)),
        (("sm_90/k", "sm_120/k"), "12.1", Outcome.PASS, Tally(native=1, foreign=1)),
        (("x/sm90a/k", "x/sm120f/k"), "9.0", Outcome.PASS, Tally(native=1, foreign=1)),
        (("hopper/k", "Blackwell/k"), "12.1", Outcome.PASS, Tally(native=1, foreign=1)),
        (("cu128/k", "cuda-13.0/k"), "12.1", Outcome.PASS, Tally(native=1, foreign=1)),
        # Nothing of the name runs there: all of them are missing.
        (("k_90", "k_120"), "8.0", Outcome.FAIL, Tally(missing=2)),
        # Folders of other names hold other programs' code.
        (("one/k", "two/k"), "12.1", Outcome.FAIL, Tally(native=1, missing=1)),
    ],
)
def test_files_of_one_folder(
    judged: Callable[..., Verdict],
    files: tuple[str, str],
    device: str,
    outcome: Outcome,
    tally: Tally,
) -> None:
    hopper, blackwell = files
    verdict = judged({hopper: {"sm_90": "k"}, blackwell: {"sm_120": "k"}}, device)
    assert (verdict.outcome, verdict.devices[0].tally) == (outcome, tally)
    told = [one.rule for one in verdict.findings if one.rule == "alternative-code"]
    assert len(told) == (outcome is Outcome.PASS)


def test_a_kernel_of_another_name_is_no_alternative(judged: Callable[..., Verdict]) -> None:
    verdict = judged({"a.cubin": {"sm_90": "ab"}, "b.cubin": {"sm_120": "b"}}, "12.1")
    assert verdict.devices[0].tally == Tally(native=1, foreign=1, missing=1)
    assert verdict.outcome is Outcome.FAIL


def test_ptx_is_not_needed_where_a_cubin_stands_beside_it(judged: Callable[..., Verdict]) -> None:
    files = {"k.ptx": {"compute_80": "k"}, "k_120.cubin": {"sm_120": "k"}}
    assert judged(files, "12.1", native_only=True).outcome is Outcome.PASS
    assert judged(files, "9.0").devices[0].tally == Tally(ptx=1, foreign=1)
    assert judged(files, "9.0", native_only=True).outcome is Outcome.FAIL


def test_the_driver_still_picks_one_object_of_a_raw_fatbin(judged: Callable[..., Verdict]) -> None:
    files = {"k.fatbin": {"sm_120": "ab", "sm_121": "a"}, "l.fatbin": {"sm_90": "ab"}}
    assert judged(files, "12.1").devices[0].tally == Tally(native=1, foreign=1, missing=2)


def test_regions_of_a_library_that_the_runtime_registers_are_all_needed(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    file = make_file("a.so", (("sm_90", ("k",)),), (("sm_120", ("k",)),), origin=Origin.EMBEDDED)
    assert judge(Reading(make_inventory(file)), request("12.1")).outcome is Outcome.FAIL
    loaded = tuple(region._replace(loaded_by_program=True) for region in file.regions)
    verdict = judge(Reading(make_inventory(file._replace(regions=loaded))), request("12.1"))
    assert verdict.devices[0].tally == Tally(native=1, foreign=1)
    assert [one.rule for one in verdict.findings] == ["alternative-code", "unseen-code"]


KERNEL = 'extern "C" __global__ void saxpy(float *x) { x[threadIdx.x] *= 2; }'


@pytest.mark.toolchain
def test_two_cubins_of_nvcc(compile_with: Callable[..., Path], tmp_path: Path) -> None:
    for number in ("90", "120"):
        name = f"saxpy_sm{number}.cubin"
        compile_with(KERNEL, name, "-cubin", f"-arch=sm_{number}").rename(tmp_path / name)
    assert audit(str(tmp_path), request("9.0 12.1")).outcome is Outcome.PASS
    assert audit(str(tmp_path), request("8.0")).outcome is Outcome.FAIL


@pytest.mark.toolchain
@pytest.mark.parametrize(("extra", "outcome"), [("", Outcome.PASS), ("registered", Outcome.FAIL)])
def test_fatbins_among_the_data_of_a_library(
    compile_with: Callable[..., Path], tmp_path: Path, extra: str, outcome: Outcome
) -> None:
    """One fatbin per toolkit, as a program tries them in order; and one that nvcc registers."""
    for name, number in (("first", "90"), ("second", "120")):
        built = compile_with(KERNEL, f"{name}.fatbin", "-fatbin", f"-arch=sm_{number}")
        built.rename(tmp_path / f"{name}.fatbin")
    (tmp_path / "data.s").write_text(
        "".join(
            f'.section .rodata\n.balign 8\n{name}: .incbin "{name}.fatbin"\n'
            for name in ("first", "second")
        )
        + '.section .note.GNU-stack,"",@progbits\n'
    )
    sources = ["data.s"]
    if extra:
        flags = ("-c", "-Xcompiler", "-fPIC", "-gencode", "arch=compute_90,code=sm_90")
        compile_with(KERNEL, "k.o", *flags).rename(tmp_path / "k.o")
        sources.append("k.o")
    command = ["gcc", "-shared", "-o", "lib.so", *sources]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    verdict = audit(str(tmp_path / "lib.so"), request("12.1"))
    assert verdict.outcome is outcome
    assert "alternative-code" in {one.rule for one in verdict.findings}
