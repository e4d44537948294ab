"""NVIDIA's own compilers as the judge of the tables, the rule and the grammars."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from smforge.arch.coverage import ptx_assembles_for
from smforge.arch.grammar import gencode
from smforge.arch.grammar.gencode import Gencode
from smforge.arch.grammar.names import CodeForm, CodeName
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import Toolkit, toolkit, toolkits

pytestmark = pytest.mark.toolchain

_KERNEL = ".version {isa}\n.target {target}\n.address_size 64\n.visible .entry k()\n{{\nret;\n}}\n"
_RENAMED = [Target.parse(text) for text in ("10.1", "10.1a", "10.1f")]


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def listed_by_ptxas(ptxas: Path) -> set[Target]:
    """What ptxas --help gives as values of --gpu-name."""
    text = output(ptxas, "--help").partition("--gpu-name")[2].partition("Default value")[0]
    return {Target.parse(name) for name in re.findall(r"'(sm_\d+[af]?)'", text)}


def assembles(ptxas: Path, folder: Path, ptx: str, arch: str) -> bool:
    source = folder / "kernel.ptx"
    source.write_text(ptx)
    command: list[str | Path] = [ptxas, f"-arch={arch}", source, "-o", folder / "kernel.cubin"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def newest_isa(ptxas: Path, folder: Path, candidates: Iterable[str], arch: str) -> str | None:
    newest = None
    for isa in candidates:
        if assembles(ptxas, folder, _KERNEL.format(isa=isa, target=arch), arch):
            newest = isa
    return newest


def newest_gcc(host_config: Path) -> int:
    match = re.search(r"^#if __GNUC__ > (\d+)$", host_config.read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1])


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("release", toolkits(), ids=str)
def test_the_table_is_what_the_compiler_says(
    release: Toolkit, compiler_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = compiler_folder(release.version)
    ptxas = folder / "bin" / "ptxas"
    assert f"release {release.version}," in output(ptxas, "--version")
    assert listed_by_ptxas(ptxas) == release.targets
    known = [one.ptx_isa for one in toolkits()]
    beyond = [f"{int(known[-1][0])}.{int(known[-1][2]) + 1}", f"{int(known[-1][0]) + 1}.0"]
    assert newest_isa(ptxas, tmp_path, [*known, *beyond], "sm_75") == release.ptx_isa
    assert newest_gcc(folder / "include" / "crt" / "host_config.h") == release.gcc_max
    nvcc = folder / "bin" / "nvcc"
    assert nvcc.exists() is (release.release >= (13, 0))
    if nvcc.exists():
        check_lists_of_nvcc(nvcc, release)


def check_lists_of_nvcc(nvcc: Path, release: Toolkit) -> None:
    """nvcc lists targets without suffix only, machine code and PTX apart."""
    plain = {one for one in release.targets if one.suffix is Suffix.PLAIN}
    names = output(nvcc, "--list-gpu-code").split()
    assert {Target.parse(name) for name in names} == plain
    assert {name for name in names if name.startswith("sm_")} == {one.sm for one in plain}
    assert set(output(nvcc, "--list-gpu-arch").split()) == {one.compute for one in plain}


def test_the_nvcc_at_hand_is_the_table_of_its_release(nvcc: Path, ptxas: Path) -> None:
    assert listed_by_ptxas(ptxas) == toolkit("13.0").targets
    check_lists_of_nvcc(nvcc, toolkit("13.0"))


def assembler_disagreements(ptxas: Path, folder: Path, release: Toolkit) -> list[str]:
    """Every pair of PTX target and device for which ptxas and the rule differ."""
    found = []
    for device in sorted({one.capability for one in release.targets}):
        # Asked for the most specific code of the device, which is what a driver makes.
        arch = max(one for one in release.targets if one.capability == device and one.suffix != "f")
        for target in sorted({*release.targets, *_RENAMED}):
            text = _KERNEL.format(isa=release.ptx_isa, target=target.sm)
            accepted = assembles(ptxas, folder, text, arch.sm)
            if accepted is not ptx_assembles_for(target, device):
                found.append(f"{target.compute} on {device}: ptxas says {accepted}")
    return found


@pytest.mark.slow
def test_ptx_assembles_where_the_assembler_says_so(ptxas: Path, tmp_path: Path) -> None:
    assert assembler_disagreements(ptxas, tmp_path, toolkit("13.0")) == []


@pytest.mark.network
@pytest.mark.slow
def test_ptx_assembles_where_the_newest_assembler_says_so(
    compiler_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    newest = toolkits()[-1]
    ptxas = compiler_folder(newest.version) / "bin" / "ptxas"
    assert assembler_disagreements(ptxas, tmp_path, newest) == []


def images(nvcc: Path, source: Path, options: Iterable[str]) -> list[str]:
    """What nvcc would embed, such as ``elf 120f``, sorted. LTO-IR needs relocatable code."""
    command: list[str | Path] = [nvcc, "--dryrun", "-rdc=true", "-c", *options, source]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.findall(r"--image3=kind=(\w+),sm=(\w+)", done.stderr)
    return sorted(f"{kind} {number}" for kind, number in found)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "kernel.cu"
    path.write_text("__global__ void k() {}\n")
    return path


def expected_images(passes: Iterable[Gencode]) -> list[str]:
    kinds = {CodeForm.CUBIN: "elf", CodeForm.PTX: "ptx", CodeForm.LTO_IR: "nvvm"}
    return sorted(
        f"{kinds[code.form]} {code.target.capability.number}{code.target.suffix}"
        for code in gencode.embedded(passes)
    )


@pytest.mark.parametrize("suffix", ["", "a", "f"])
@pytest.mark.parametrize("form", CodeForm)
def test_nvcc_takes_every_pass_we_print(
    nvcc: Path, source: Path, form: CodeForm, suffix: str
) -> None:
    passes = [
        Gencode(target, (CodeName(form, target),))
        for target in sorted(toolkit("13.0").targets)
        if target.suffix == suffix
    ]
    assert images(nvcc, source, gencode.render(passes)) == expected_images(passes) != []


@pytest.mark.parametrize(
    "pair", list(itertools.combinations(["120", "120a", "120f", "121", "121f"], 2))
)
def test_nvcc_refuses_the_pairs_that_we_call_conflicts(
    nvcc: Path, source: Path, pair: tuple[str, str]
) -> None:
    passes = gencode.parse(f"-gencode=arch=compute_{one},code=sm_{one}" for one in pair)
    if gencode.conflicts(passes):
        with pytest.raises(subprocess.CalledProcessError):
            images(nvcc, source, gencode.render(passes))
    else:
        assert images(nvcc, source, gencode.render(passes)) == expected_images(passes)


@pytest.mark.parametrize(
    "written",
    [
        ["-arch=sm_120"],
        ["-arch=sm_120f"],
        ["-arch", "sm_90a"],
        ["-arch=compute_90"],
        ["-arch=compute_90a"],
        ["-arch=lto_90"],
        ["-arch=lto_90a"],
        ["-arch=compute_80", "-code=sm_80,sm_86"],
        ["-arch=sm_90", "-gencode=arch=compute_120f,code=sm_121"],
        ["-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_80,code=[sm_80,sm_86]"],
        ["-gencode", "arch=compute_100f,code=[sm_100f,sm_103,compute_100f]"],
        ["--generate-code=arch=compute_90,code=lto_90"],
    ],
    ids=" ".join,
)
def test_nvcc_means_what_we_read(nvcc: Path, source: Path, written: list[str]) -> None:
    passes = gencode.parse(written)
    assert images(nvcc, source, written) == expected_images(passes) != []
    assert images(nvcc, source, gencode.render(passes)) == expected_images(passes)


def test_nvcc_refuses_what_the_table_lacks(nvcc: Path, source: Path) -> None:
    for text in ("10.1", "9.0f", "7.0", "10.7"):
        target = Target.parse(text)
        assert not toolkit("13.0").knows(target)
        one = Gencode(target, (CodeName(CodeForm.CUBIN, target),))
        with pytest.raises(subprocess.CalledProcessError):
            images(nvcc, source, gencode.render([one]))


def test_a_capability_is_the_number_in_the_name(ptxas: Path, tmp_path: Path) -> None:
    """sm_121 is 12.1 and not 1.21: it assembles PTX for 12.0, not for 12.2."""
    device = ComputeCapability.from_number(121)
    assert assembles(
        ptxas, tmp_path, _KERNEL.format(isa="9.0", target="sm_120"), f"sm_{device.number}"
    )
    assert device == ComputeCapability(12, 1)
