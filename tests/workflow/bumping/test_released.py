"""Bumps of this repository's matrix with the real package index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from smforge.errors import UsageError
from smforge.fetching.index import package_index
from smforge.preflight.cache import Cache
from smforge.workflow.bumping.draft import Means
from smforge.workflow.bumping.proposal import Proposal, propose
from tests.workflow.bumping.conftest import ROOT

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    # pip leaves the page of an index open that is a directory.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def means(tmp_path: Path) -> Iterator[Means]:
    with package_index() as index:
        yield Means(index, Cache(tmp_path / "cache"))


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    file = tmp_path / "versions.json"
    file.write_bytes((ROOT / "versions.json").read_bytes())
    return file


def paths(proposal: Proposal) -> set[str]:
    return {one.path for one in proposal.changes}


def test_vllm_down_and_up_is_the_same_text(means: Means, matrix: Path) -> None:
    """0.32.0 differs in what preflight finds with its digest in the matrix of 0.33.0."""
    original = matrix.read_text()
    down = propose(matrix, means, "vllm", "0.32.0")
    assert {one for one in paths(down) if "files" not in one} == {
        '$.torch_builds["2.13.0"]',
        '$.toolkits["13.0"].torch',
        "$.sources.vllm.version",
        "$.sources.vllm.torch",
        "$.sources.vllm.externals.deepgemm.commit",
        "$.sources.vllm.externals.flashmla.commit",
        "$.sources.vllm.externals.vllm-flash-attn.commit",
        "$.sources.flashinfer.version",
    }
    content = json.loads(down.text)
    assert content["toolkits"]["13.0"]["torch"] == "2.13.0"
    assert content["sources"]["flashinfer"]["version"] == "0.7.0.post1"
    matrix.write_text(down.text)
    assert propose(matrix, means, "vllm", "0.33.0").text == original


def test_flashinfer_down_and_up_is_the_same_text(means: Means, matrix: Path) -> None:
    original = matrix.read_text()
    matrix.write_text(propose(matrix, means, "flashinfer", "0.7.2").text)
    assert matrix.read_text() != original
    assert propose(matrix, means, "flashinfer", "0.7.2.post1").text == original


@pytest.mark.parametrize(("name", "version"), [("nixl", "1.5.0"), ("mooncake", "0.3.13")])
def test_connectors_follow_for_both_cuda_majors(
    means: Means, matrix: Path, name: str, version: str
) -> None:
    before = json.loads(matrix.read_text())["sources"][name]
    after = json.loads(propose(matrix, means, name, version).text)["sources"][name]
    for major, source in after.items():
        assert source["version"] == version
        assert len(source["files"]) == len(before[major]["files"])


def test_what_does_not_exist_is_refused(means: Means, matrix: Path) -> None:
    with pytest.raises(UsageError, match=r"no vllm 0\.33\.5.*nearest releases"):
        propose(matrix, means, "vllm", "0.33.5")


def test_cuda_13_2_has_compilers_and_a_torch(means: Means, matrix: Path) -> None:
    content = json.loads(propose(matrix, means, "toolkit", "13.2").text)
    assert content["toolkits"]["13.2"]["bases"]["packages"]["packages"]["nvidia-cuda-nvcc"]
    assert "cu132" in content["torch_builds"][content["toolkits"]["13.2"]["torch"]]
