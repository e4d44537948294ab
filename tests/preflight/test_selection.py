"""Which modules count, and that preflight and the build read a selection alike."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from smforge.errors import ConfigurationError
from smforge.findings import Level
from smforge.preflight.records import Configuration, Refusal, Unit
from smforge.preflight.selection import (
    SELECTIONS,
    Selection,
    flashinfer_selection,
    named_extensions,
)

ROOT = Path(__file__).parents[2]


def _configuration(*modules: str, refusal: Refusal | None = None) -> Configuration:
    units = tuple(Unit(name, f"csrc/{name}.cu", (), (), ()) for name in modules)
    return Configuration("12.0f", "13.0", "2.14.0", units, (), (), refusal)


@pytest.fixture
def of_the_build() -> ModuleType:
    """docker/flashinfer/selection.py, which runs in the build's container."""
    path = ROOT / "docker" / "flashinfer" / "selection.py"
    spec = importlib.util.spec_from_file_location("selection_of_the_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["core", "common", "full"])
def test_a_selection_means_what_it_means_in_the_build(of_the_build: ModuleType, name: str) -> None:
    table = of_the_build.load(ROOT / SELECTIONS)
    theirs = of_the_build.patterns_of(name, table)
    ours = flashinfer_selection(name, ROOT)
    assert list(ours.patterns) == theirs
    names = [pattern.replace("*", "x") for pattern in theirs] + ["norm_2", "not_selected"]
    chosen = [unit.extension for unit in ours.narrowed(_configuration(*names)).units]
    assert chosen == of_the_build.choose(names, theirs)


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    (finding,) = named_extensions("_moe_C _gone_C", {}).unmatched(_configuration("_moe_C", "_C"))
    assert (finding.rule, finding.level) == ("selection-unmatched", Level.ERROR)
    assert "_gone_C" in finding.message


def test_of_a_refused_build_nothing_more_is_said() -> None:
    refused = _configuration(refusal=Refusal("no", None, by="sources"))
    assert list(Selection("all", ("*",)).unmatched(refused)) == []


@pytest.mark.parametrize(
    "text", ["", "[]", '{"tiny": 3}', '{"tiny": ["@gone"]}', '{"tiny": ["@tiny"]}', '{"core": []}']
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / SELECTIONS
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"selections\.json"):
        flashinfer_selection("tiny", tmp_path)


def test_a_matrix_without_its_docker_directory_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="next to the docker directory"):
        flashinfer_selection("core", tmp_path)
