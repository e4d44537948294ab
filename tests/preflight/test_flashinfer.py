"""FlashInfer's own generators: a small tree in its manner, and the released one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.devices import current_devices
from smforge.arch.grammar import flashinfer_list
from smforge.arch.target import ComputeCapability, Target
from smforge.errors import ArchitectureError, ToolError, UsageError
from smforge.findings import Level
from smforge.preflight.cache import Cache
from smforge.preflight.configure import source_root
from smforge.preflight.flashinfer import read_list
from smforge.preflight.records import Preflight
from smforge.preflight.run import Question, preflight
from smforge.preflight.sources.fetch import fetch_sdist
from smforge.preflight.sources.tree import open_source

TREE = Path(__file__).parent / "flashinfer_tree"


@pytest.fixture
def ask(cache: Cache) -> Callable[..., Preflight]:
    def asked(archs: str, source: Path = TREE, cuda: str = "13.0") -> Preflight:
        return preflight(Question(source, cuda, archs), cache)

    return asked


def test_modules_have_the_flags_of_their_build_file(ask: Callable[..., Preflight]) -> None:
    found = {
        f"{unit.extension} {unit.source}": " ".join(map(str, unit.targets))
        for unit in ask("9.0a 12.0f").configuration.units
    }
    assert found == {
        "fp4_120f csrc/fp4.cu": "12.0f",
        "norm_1 build/norm_1.cu": "9.0a 12.0f",
        "norm_1 csrc/norm.cu": "9.0a 12.0f",
        "norm_2 build/norm_2.cu": "9.0a 12.0f",
        "norm_2 csrc/norm.cu": "9.0a 12.0f",
    }


def test_plain_elements_get_the_suffix_that_flashinfer_gives_them(
    ask: Callable[..., Preflight],
) -> None:
    assert [str(one) for one in ask("9.0 12.0").requested] == ["9.0a", "12.0f"]
    assert ask("9.0 12.0").configuration == ask("9.0a 12.0f").configuration


def test_the_sources_themselves_say_which_suffix_an_element_gets(
    ask: Callable[..., Preflight], tmp_path: Path
) -> None:
    assert [str(one) for one in ask("8.0 11.0 12.1").requested] == ["8.0", "11.0a", "12.0f"]
    tree = Path(shutil.copytree(TREE, tmp_path / "tree"))
    context = tree / "flashinfer" / "compilation_context.py"
    context.write_text(context.read_text().replace('(major, "0f")', '(major, minor + "a")'))
    assert [str(one) for one in ask("12.0 12.1", tree).requested] == ["12.0a", "12.1a"]


def test_an_element_that_the_sources_refuse_stops_the_build(ask: Callable[..., Preflight]) -> None:
    (finding,) = (one for one in ask("12.0", cuda="12.8").findings if one.rule == "build-refused")
    assert "SM 12.x requires CUDA >= 12.9" in finding.message
    assert ask("12.0f", cuda="12.9").configuration.refusal is None


def test_releases_before_0_6_write_the_flags_into_their_build_file(
    ask: Callable[..., Preflight], tmp_path: Path
) -> None:
    tree = Path(shutil.copytree(TREE, tmp_path / "tree"))
    cpp_ext = tree / "flashinfer" / "jit" / "cpp_ext.py"
    text = cpp_ext.read_text().replace("def build_cuda_cflags", "def _flags")
    cpp_ext.write_text(
        f"{text}\n\n"
        "def generate_ninja_build_for_op(*, extra_cuda_cflags, sources, **_):\n"
        "    flags = ' $\\n    '.join(_flags(['$common_cflags'], extra_cuda_cflags))\n"
        "    return f'cxx = c++\\ncuda_cflags = {flags}\\ncuda_post_cflags =\\n'\n"
    )
    ours, theirs = (ask("9.0a 12.0f", one).configuration.units for one in (TREE, tree))
    assert ours == theirs


def test_releases_before_0_4_are_named_as_such(
    ask: Callable[..., Preflight], tmp_path: Path
) -> None:
    tree = Path(shutil.copytree(TREE, tmp_path / "tree"))
    aot = tree / "flashinfer" / "aot.py"
    aot.write_text(aot.read_text().replace("compile_and_package_modules", "compile_modules"))
    with pytest.raises(UsageError, match=r"from 0\.4\.0 on"):
        ask("12.0f", tree)


def test_a_module_of_another_member_of_the_family_is_lost(ask: Callable[..., Preflight]) -> None:
    found = {one.rule: one for one in ask("12.1a").findings}
    assert found["source-lost"].sources == ("fp4_120f",)
    assert found["source-lost"].level is Level.ERROR


def test_a_family_target_does_not_answer_for_modules_of_single_devices(
    ask: Callable[..., Preflight],
) -> None:
    found = {one.rule: one for one in ask("12.0f").findings}
    assert found["family-narrowed"].sources == ("fp4_121a",)
    assert found["family-narrowed"].level is Level.WARNING


def test_a_decision_on_what_is_only_stood_in_for_stops(
    ask: Callable[..., Preflight], tmp_path: Path
) -> None:
    tree = Path(shutil.copytree(TREE, tmp_path / "tree"))
    aot = tree / "flashinfer" / "aot.py"
    text = aot.read_text().replace('if os.environ.get("SMALL_FLASHINFER_DECIDES"):', "if True:")
    aot.write_text(text)
    with pytest.raises(ToolError, match=r"a decision depends on torch\.cuda\.is_available"):
        ask("12.0f", tree)


def test_a_module_that_nobody_stands_in_for_is_named(
    ask: Callable[..., Preflight], tmp_path: Path
) -> None:
    tree = Path(shutil.copytree(TREE, tmp_path / "tree"))
    with (tree / "flashinfer" / "aot.py").open("a") as aot:
        aot.write("import no_such_module\n")
    with pytest.raises(ToolError, match="no_such_module"):
        ask("12.0f", tree)


def test_the_tree_is_never_written_to(ask: Callable[..., Preflight], tmp_path: Path) -> None:
    tree = Path(shutil.copytree(TREE, tmp_path / "tree"))
    before = {file: file.stat().st_mtime_ns for file in sorted(tree.rglob("*"))}
    ask("12.0f", tree)
    assert {file: file.stat().st_mtime_ns for file in sorted(tree.rglob("*"))} == before


@pytest.mark.parametrize("text", ["12.0+PTX", "9.0  12.0", "Hopper", ""])
def test_what_flashinfer_does_not_read_is_refused(text: str, cache: Cache) -> None:
    with pytest.raises(ArchitectureError):
        read_list(text, "13.0", TREE, cache)


@pytest.mark.network
@pytest.mark.slow
def test_the_released_flashinfer(ask: Callable[..., Preflight], tmp_path: Path) -> None:
    """Counts and flags as real torch and the real nvcc give them (docs/findings-preflight.md)."""
    archive = fetch_sdist("flashinfer-python", "0.7.2", tmp_path)
    result = ask("12.1a", archive)
    modules = {unit.extension for unit in result.configuration.units}
    assert "fp4_quantization_121" in modules
    lost = {
        name
        for one in result.findings
        if one.rule == "source-lost" and one.excused is None
        for name in one.sources
    }
    assert "fp4_quantization_120f" in lost


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize(
    ("release", "compiled"),
    [
        ("0.4.1", "9.0 12.0 12.1"),
        ("0.5.3", "9.0 12.0 12.1"),
        ("0.6.6", "9.0 12.0 12.1"),
        ("0.6.7", "9.0a 12.0f"),
        ("0.6.8", "9.0a 12.0f 12.1a"),
        ("0.7.2.post1", "9.0a 12.0f 12.1a"),
    ],
)
def test_released_sources_say_which_suffix_an_element_gets(
    ask: Callable[..., Preflight], tmp_path: Path, release: str, compiled: str
) -> None:
    archive = fetch_sdist("flashinfer-python", release, tmp_path)
    result = ask("9.0 12.0 12.1", archive)
    assert " ".join(str(one) for one in result.requested) == compiled
    assert len({unit.extension for unit in result.configuration.units}) > 100


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("release", ["0.7.0", "0.7.0.post1", "0.7.1", "0.7.2", "0.7.2.post1"])
def test_the_table_of_suffixes_says_what_the_released_sources_say(
    cache: Cache, tmp_path: Path, release: str
) -> None:
    source = open_source(fetch_sdist("flashinfer-python", release, tmp_path))
    tree = source_root(source, cache)
    devices = current_devices()
    written = " ".join(str(device) for device in devices)
    for cuda in ("12.8", "12.9", "13.0"):
        theirs = [entry.target for entry in read_list(written, cuda, tree, cache)]
        assert theirs == [_by_the_table(device, cuda, release) for device in devices]


def _by_the_table(device: ComputeCapability, cuda: str, release: str) -> Target:
    try:
        (target,) = flashinfer_list.effective_targets([Target(device)], cuda, release)
    except ArchitectureError:
        return Target(device)  # a refused element stays as it is written
    return target
