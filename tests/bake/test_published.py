"""Published wheels on the host: fetched once, held against their digest, laid out for a build."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from smforge.arch.target import ComputeCapability
from smforge.bake.cell_call import made_before
from smforge.bake.inputs.digest import inputs_of
from smforge.bake.inputs.origin import Origin
from smforge.bake.inputs.published import directory_of, ensure_published, published_of
from smforge.errors import BuildFailedError
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[2]
CONTENT = b"a wheel"


@pytest.fixture
def cell() -> Cell:
    """The cell of demo-full, with another wheel in place of vLLM's."""
    (found,) = resolve(load(ROOT / "versions.json"), ("demo-full",)).cells
    vllm = found.component("vllm")
    assert vllm is not None
    assert vllm.published is not None
    wheel = replace(vllm.published, sha256=hashlib.sha256(CONTENT).hexdigest())
    return replace(found, components=(replace(vllm, published=wheel),))


def file_of(cell: Cell) -> str:
    (component,) = published_of(cell)
    assert component.published is not None
    return component.published.file


@pytest.mark.parametrize("by_digest", [True, False])
def test_a_wheel_comes_from_the_site_s_mirror_once(
    cell: Cell, tmp_path: Path, by_digest: bool
) -> None:
    name = hashlib.sha256(CONTENT).hexdigest() if by_digest else file_of(cell)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / name).write_bytes(CONTENT)
    store, said = tmp_path / "store", list[str]()
    found = ensure_published(cell, store, Origin(mirror), announce=said.append)
    assert found["vllm"].read_bytes() == CONTENT
    laid_out = directory_of(cell, store) / "vllm" / file_of(cell)
    assert laid_out.samefile(found["vllm"])
    assert said == [f"fetching {file_of(cell)}"]
    (mirror / name).unlink()
    assert ensure_published(cell, store, Origin(mirror)) == found


def test_another_content_is_refused_and_not_kept(cell: Cell, tmp_path: Path) -> None:
    (tmp_path / file_of(cell)).write_bytes(b"another wheel")
    store = tmp_path / "store"
    with pytest.raises(BuildFailedError, match=r"has the SHA-256 [0-9a-f]{64}, but .* is pinned"):
        ensure_published(cell, store, Origin(tmp_path))
    assert not any(store.rglob("*.whl"))


def test_a_mirror_without_the_wheel(cell: Cell, tmp_path: Path) -> None:
    with pytest.raises(
        BuildFailedError, match=f"has no {file_of(cell)}, the wheel of vllm, and no"
    ):
        ensure_published(cell, tmp_path / "store", Origin(tmp_path))


def test_a_cell_that_compiles_everything_needs_no_wheel(tmp_path: Path) -> None:
    (cell,) = resolve(load(ROOT / "versions.json"), ("demo-source",)).cells
    assert ensure_published(cell, tmp_path / "store", Origin(tmp_path)) == {}
    assert not (tmp_path / "store").exists()


def test_a_change_of_smforge_changes_what_a_published_wheel_is_made_from(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "smforge"
    package.mkdir()
    monkeypatch.setattr("smforge.bake.inputs.digest.PACKAGE", package)
    matrix = ROOT / "versions.json"
    (compiled,) = resolve(load(matrix), ("demo-source",)).cells
    before = [inputs_of(one, tmp_path, matrix) for one in (cell, compiled)]
    (package / "new.py").write_text("")
    after = [inputs_of(one, tmp_path, matrix) for one in (cell, compiled)]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_what_slims_in_a_build_has_the_versions_that_smforge_is_tested_with() -> None:
    own = ROOT / "docker" / "published" / "requirements.txt"
    assert own.read_bytes() == (ROOT / "requirements" / "runtime.txt").read_bytes()


def test_a_cell_for_one_device_gets_that_device_s_machine_code_alone(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cubins = tmp_path / "smforge/rewrite/cubins"
    assert made_before(cell) == cubins / "sm_121"
    (vllm,) = cell.components
    assert vllm.published is not None
    both = tuple(ComputeCapability(12, minor) for minor in (0, 1))
    two = replace(vllm, published=replace(vllm.published, keep=both))
    assert made_before(replace(cell, components=(two,))) == cubins
