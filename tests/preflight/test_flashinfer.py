"""FlashInfer's own generators: a small tree in its manner, and the released one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.errors import ArchitectureError, ToolError
from smforge.preflight.cache import Cache
from smforge.preflight.flashinfer import read_list
from smforge.preflight.records import Level, Preflight
from smforge.preflight.run import Question, preflight
from smforge.preflight.sources.fetch import fetch_sdist

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
def test_what_flashinfer_does_not_read_is_refused(text: str) -> None:
    with pytest.raises(ArchitectureError):
        read_list(text, "13.0")


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
        if one.rule == "source-lost" and one.allowed is None
        for name in one.sources
    }
    assert "fp4_quantization_120f" in lost
