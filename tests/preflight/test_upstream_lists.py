"""Upstream's own default lists, and where they disagree."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from smforge.findings import Level
from smforge.preflight.compare.upstream_lists import disagreements, read_lists


def _listed(tree: Path, cuda: str = "13.0") -> dict[str, str]:
    return {f"{one.component} {one.location}": one.archs for one in read_lists(tree, cuda)}


def test_each_place_is_read(small_tree: Path) -> None:
    assert _listed(small_tree) == {
        "vllm docker/Dockerfile:1": "8.0 9.0 11.0 12.0",
        "vllm docker/docker-bake.hcl:2": "8.0 9.0 12.0",
        "flashinfer tools/flashinfer-build.sh:4": "8.0 9.0a 11.0 12.0f",
    }


@pytest.mark.parametrize(("cuda", "line"), [("12.9", 2), ("12.8.1", 2), ("13.0", 4)])
def test_a_script_is_read_for_the_toolkit(small_tree: Path, cuda: str, line: int) -> None:
    assert f"flashinfer tools/flashinfer-build.sh:{line}" in _listed(small_tree, cuda)


def test_a_device_that_one_list_serves_and_another_does_not_is_said(small_tree: Path) -> None:
    (finding,) = disagreements(read_lists(small_tree, "13.0"))
    assert finding.level is Level.WARNING
    assert "covers 11.0" in finding.message
    assert "docker buildx bake" in finding.message
    assert str(finding.location) == "docker/docker-bake.hcl:2"


def test_spellings_that_serve_the_same_devices_agree(tree: Path) -> None:
    bake = tree / "docker/docker-bake.hcl"
    bake.write_text(bake.read_text().replace("9.0 12.0", "9.0 11.0f 12.0f"))
    assert disagreements(read_lists(tree, "13.0")) == ()


def test_a_fixed_list_is_a_note_and_counts_what_is_added_to_it(tree: Path) -> None:
    shutil.rmtree(tree / "tools")
    (tree / "docker/docker-bake.hcl").unlink()
    with (tree / "docker/Dockerfile").open("a") as file:
        file.write(
            "RUN DEEPEP_ARCH_LIST='9.0a' && \\\n  DEEPEP_ARCH_LIST=\"$DEEPEP_ARCH_LIST 8.0\"\n"
        )
    (finding,) = disagreements(read_lists(tree, "13.0"))
    assert finding.level is Level.NOTE
    assert "'9.0a 8.0'" in finding.message


def test_a_tree_without_these_files_has_no_lists(tmp_path: Path) -> None:
    assert read_lists(tmp_path, "13.0") == ()
