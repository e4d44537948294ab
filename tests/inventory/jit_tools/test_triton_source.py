"""A Triton's own source says how it has kernels assembled; the source is computed, never run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.target import ComputeCapability
from smforge.arch.triton import TritonRules, triton_releases
from smforge.inventory.jit_tools.scanner import WatchedSubject
from smforge.inventory.jit_tools.triton_source import read_rules
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.opening import open_subject

VERSIONS = '''
@functools.lru_cache()
def ptx_get_version(cuda: str) -> int:
    """The version of PTX."""
    assert isinstance(cuda, str)
    major, minor = map(int, cuda.split("."))
    if major == 12 and minor != 7:
        return 80 + minor if minor < 6 else 79 + minor
    elif major >= 13:
        base = 90
        return base + (major - 13) * 10 + minor
    raise RuntimeError(f"CUDA {cuda} is not supported")
'''
TARGETS = """
def sm_arch_from_capability(capability: int):
    suffix = "a" if capability >= 90 else ""
    return f"sm_{capability}{suffix}"
"""
TWO_ASSEMBLERS = """
def get_ptxas(arch: int) -> knobs.NvidiaTool:
    if arch < 100:
        return knobs.nvidia.ptxas
    return knobs.nvidia.ptxas_blackwell
"""


def read(*parts: str) -> TritonRules:
    rules = read_rules("import functools\n" + "".join(parts))
    assert rules is not None
    return rules


def device(text: str) -> ComputeCapability:
    return ComputeCapability.parse(text)


def test_the_three_rules() -> None:
    rules = read(VERSIONS, TARGETS, TWO_ASSEMBLERS)
    assert rules.ptx_isa["12.6"] == "8.5"
    assert rules.ptx_isa["13.2"] == "9.2"
    assert not {"11.8", "12.7"} & rules.ptx_isa.keys()
    assert rules.target_for(device("8.9")).sm == "sm_89"
    assert rules.target_for(device("12.1")).sm == "sm_121a"
    assert rules.assembler_for(device("9.0")) == "ptxas"
    assert rules.assembler_for(device("10.0")) == "ptxas-blackwell"
    assert rules.variables["ptxas-blackwell"] == "TRITON_PTXAS_BLACKWELL_PATH"


def test_the_forms_of_older_releases() -> None:
    command = """
class Backend:
    def make_cubin(self, src, metadata, opt, capability):
        suffix = 'a ' if capability == 90 else ' '
"""
    rules = read(VERSIONS, command)
    assert rules.target_for(device("9.0")).sm == "sm_90a"
    assert rules.target_for(device("12.0")).sm == "sm_120"
    assert set(rules.assemblers.values()) == {"ptxas"}
    hyphen = """
def get_ptxas(arch: int):
    name = "ptxas-blackwell" if arch >= 100 else "ptxas"
    return _path_to_binary(name)
"""
    rules = read(VERSIONS, TARGETS, hyphen)
    assert rules.variables == {
        "ptxas": "TRITON_PTXAS_PATH",
        "ptxas-blackwell": "TRITON_PTXAS-BLACKWELL_PATH",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no python at all (",
        VERSIONS,
        TARGETS,
        VERSIONS.replace("return base", "return open('/etc/passwd').read() or base") + TARGETS,
        VERSIONS.replace("base = 90", "base = 9 ** 999999999") + TARGETS,
        VERSIONS.replace("base = 90", "base = 'x' * 999999999") + TARGETS,
        VERSIONS.replace("base = 90", "base = 99999 * 99999 * 99999") + TARGETS,
        VERSIONS.replace("base = 90", "while True: pass") + TARGETS,
        VERSIONS.replace("base = 90", "base = ptx_get_version(cuda)") + TARGETS,
        VERSIONS.replace("base = 90", f"base = {'-' * 20000}1") + TARGETS,
        VERSIONS.replace("base = 90", f"base = {'1 + ' * 20000}1") + TARGETS,
        VERSIONS + TARGETS.replace("sm_{", "gpu_{"),
        VERSIONS + "\0" + TARGETS,
        VERSIONS + TARGETS.replace("return", "raise ValueError #"),
        VERSIONS + TARGETS + TWO_ASSEMBLERS.replace("return", "raise"),
        VERSIONS + TARGETS.replace(">= 90", ">= 90or 1 <> 2"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_not_computed_here_is_not_read(text: str) -> None:
    assert read_rules(text) is None


WORDS = "major minor == >= 12 13 if else return : ( ) + * 'a' f'{major}' map int .split raise = ,"
PIECES = st.sampled_from(WORDS.split())


@pytest.mark.filterwarnings("error")
@given(st.lists(PIECES, max_size=60).map(" ".join), st.integers(0, 400))
def test_no_text_raises_an_error(noise: str, place: int) -> None:
    text = VERSIONS + TARGETS + TWO_ASSEMBLERS
    rules = read_rules(text[:place] + noise + text[place:])
    assert rules is None or all(rules.ptx_isa.values())


def test_a_folder_with_two_tritons(tmp_path: Path) -> None:
    for name, version in (("triton", "3.5.0"), ("tokenspeed_triton", "0.1+x")):
        place = tmp_path / "site-packages" / name / "backends" / "nvidia"
        place.mkdir(parents=True)
        (place / "compiler.py").write_text(VERSIONS + TARGETS)
        (place.parents[1] / "__init__.py").write_text(f"__version__ = '{version}'\n")
    (tmp_path / "compiler.py").write_text("no Triton")
    options = ReadOptions()
    with WatchedSubject(open_subject(str(tmp_path), options)) as subject:
        list(subject.members())
        found = subject.host_files().tritons
    assert [(one.package, one.release) for one in found] == [
        ("site-packages/tokenspeed_triton", "0.1+x"),
        ("site-packages/triton", "3.5.0"),
    ]
    assert all(one.rules is not None for one in found)


@pytest.fixture(scope="session")
def compiler_text(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Gives the ``compiler.py`` of a release of Triton."""

    def text(release: str) -> str:
        place = tmp_path_factory.mktemp(release)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={place}"]
        linux = [f"manylinux_{one}_x86_64" for one in ("2_28", "2_27", "2_17")]
        platforms = [f"--platform={one}" for one in (*linux, "manylinux2014_x86_64")]
        options = ["--only-binary=:all:", "--python-version=3.12", *platforms]
        subprocess.run([*pip, *options, f"triton=={release}"], check=True)
        (wheel,) = place.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read("triton/backends/nvidia/compiler.py").decode()
        wheel.unlink()
        return content

    return text


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("rules", triton_releases(), ids=lambda rules: rules.release)
def test_the_table_is_what_the_sources_say(
    rules: TritonRules, compiler_text: Callable[[str], str]
) -> None:
    read = read_rules(compiler_text(rules.release))
    assert read is not None
    assert read.assemblers == rules.assemblers
    assert read.variables == rules.variables
    assert read.targets == rules.targets
    assert read.ptx_isa == rules.ptx_isa
