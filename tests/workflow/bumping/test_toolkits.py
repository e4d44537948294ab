"""Toolkits and torches that a package index has, taken into the repository's matrix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.errors import ArchitectureError, SmforgeError, UsageError
from smforge.fetching.index import package_index
from smforge.matrix.load import load
from smforge.plan.resolve import resolve
from smforge.preflight.cache import Cache
from smforge.workflow.bumping.draft import Means
from smforge.workflow.bumping.proposal import Proposal, propose
from tests.workflow.bumping.conftest import ROOT, Index

LINUX = "cp313-cp313-manylinux_2_28_x86_64"
PACKAGES = ("nvcc", "crt", "cccl", "runtime", "cuobjdump", "nvdisasm")
Take = Callable[..., Proposal]


@pytest.fixture
def toolkits(index: Index) -> Index:
    """An index with CUDA 13.0 to 13.3 and 13.7; torch 2.99.0 is for 13.2, 2.14.0 for 13.0."""
    for cuda, build in (("13.0.2", "88"), ("13.1.2.0", "115"), ("13.2.2", "86"), ("13.7.0", "9")):
        version = f"{cuda[:4]}.{build}"
        names = [*(f"nvidia-cuda-{one}" for one in PACKAGES), "nvidia-nvvm"]
        named = [one for one in names if cuda > "13.2" or "cuobj" not in one]
        for name in names:
            index.wheel(name, version)
        requires = [f"{one}=={version}.*; extra == 'all'" for one in named]
        index.wheel("cuda-toolkit", cuda, "py2.py3-none-any", tuple(requires))
    index.wheel("cuda-toolkit", "13.2.0", "py2.py3-none-any")
    index.wheel("torch", "2.14.0", LINUX, ("cuda-toolkit[cublas]==13.0.2",))
    index.wheel("torch", "2.99.0", LINUX, ("no (requirement", "cuda-toolkit[cublas]==13.2.2"))
    index.wheel("torch", "2.99.0+cu131", LINUX)
    return index


@pytest.fixture
def take(toolkits: Index, tmp_path: Path) -> Take:
    """Works out a bump of the repository's matrix: ``take("toolkit", "13.2")``."""

    def run(
        what: str, wanted: str | None = None, content: dict[str, Any] | None = None
    ) -> Proposal:
        file = tmp_path / "versions.json"
        text = (ROOT / "versions.json").read_text()
        file.write_text(text if content is None else json.dumps(content, indent=2))
        with package_index() as asked:
            return propose(file, Means(asked, Cache(tmp_path / "cache")), what, wanted)

    return run


def test_a_toolkit_has_the_wheels_of_its_release_and_a_torch_for_it(
    take: Take, document: dict[str, Any]
) -> None:
    content = json.loads(take("toolkit", "13.2").text)
    added = content["toolkits"]["13.2"]
    assert (added["cuda"], added["torch"]) == ("13.2.2", "2.99.0")
    assert content["torch_builds"]["2.99.0"] == ["cu131", "cu132"]
    assert list(added["bases"]) == ["packages", "bookworm"]
    packages = added["bases"]["packages"]["packages"]
    there = document["toolkits"]["13.0"]["bases"]["packages"]["packages"]
    assert list(packages) == list(there)
    assert set(packages.values()) == {"13.2.86"}
    assert list(content["toolkits"]) == ["12.9", "13.0", "13.2"]


def test_the_example_of_the_docs_can_use_it(take: Take, tmp_path: Path) -> None:
    content = json.loads(take("toolkit", "13.2").text)
    content["variants"] |= json.loads((ROOT / "docs" / "examples" / "cu132.json").read_text())
    file = tmp_path / "with.json"
    file.write_text(json.dumps(content))
    (cell,) = resolve(load(file), ["demo-cu132"]).cells
    toolkit = cell.toolkit
    assert (toolkit.tag, toolkit.torch, toolkit.ptx_isa) == ("cu132", "2.99.0", "9.2")


def test_what_a_release_does_not_name_is_the_newest(take: Take) -> None:
    """Releases before 13.2 do not name cuobjdump."""
    content = json.loads(take("toolkit", "13.1.2").text)
    packages = content["toolkits"]["13.1"]["bases"]["packages"]["packages"]
    assert packages["nvidia-cuda-nvcc"] == "13.1.115"
    assert packages["nvidia-cuda-cuobjdump"] == "13.7.9"
    assert content["toolkits"]["13.1"]["torch"] == "2.99.0"  # by its local version, +cu131


@pytest.mark.parametrize(
    ("what", "wanted", "error", "said"),
    [
        ("toolkit", "13.3", UsageError, "The nearest releases are 13.2.0, 13.2.2, 13.7.0"),
        ("toolkit", "13.2.9", UsageError, "has no cuda-toolkit 13.2.9. Looked at: http"),
        ("toolkit", None, ArchitectureError, "13.7"),
        ("toolkit", "x", UsageError, "is no version"),
        ("torch", "2.99.0", UsageError, "published for cu131 and cu132, and none of the toolkits"),
        ("torch", "9.9", UsageError, "The nearest releases are 2.14.0, 2.99.0"),
    ],
)
def test_what_no_index_has_is_refused(
    take: Take, what: str, wanted: str | None, error: type[SmforgeError], said: str
) -> None:
    with pytest.raises(error) as caught:
        take(what, wanted)
    assert said in str(caught.value)


def test_a_toolkit_without_a_torch_of_its_own_gets_that_of_an_earlier_release(
    take: Take, toolkits: Index, tmp_path: Path
) -> None:
    for file in (toolkits.root / "simple" / "torch").glob("torch-2.99*"):
        file.unlink()
    toolkits.announce("torch")
    proposal = take("toolkit", "13.2")
    content = json.loads(proposal.text)
    added = content["toolkits"]["13.2"]
    assert (added["torch"], added["torch_build"]) == ("2.14.0", "cu130")
    assert any("older than the compiler" in one for one in proposal.remarks)
    content["variants"] = {"demo": content["variants"]["demo"] | {"toolkit": "13.2"}}
    del content["variable"]
    file = tmp_path / "with.json"
    file.write_text(json.dumps(content))
    (cell,) = resolve(load(file)).cells
    assert (cell.variables["CUDA_TAG"], cell.variables["TORCH_BUILD"]) == ("cu132", "cu130")


def test_a_toolkit_without_a_torch_is_refused_with_what_was_looked_at(
    take: Take, toolkits: Index
) -> None:
    for file in (toolkits.root / "simple" / "torch").glob("torch-2*"):
        file.unlink()
    toolkits.wheel("torch", "2.9.0", LINUX, ("nvidia-cuda-runtime-cu12==12.8.90",))
    toolkits.wheel("torch", "2.15.0", LINUX, ("cuda-toolkit==13.3.1",))
    with pytest.raises(UsageError) as caught:
        take("toolkit", "13.2")
    said = str(caught.value)
    assert "no torch for CUDA 13.2.2 (cu132) or an earlier release of its major version" in said
    assert "torch 2.15.0 is for cu133, torch 2.9.0 is for cu128. Looked at: " in said
    assert f"{toolkits.url}/torch/." in said


def test_a_torch_for_the_release_itself_takes_the_place_of_an_earlier_build(
    take: Take, document: dict[str, Any]
) -> None:
    toolkit = document["toolkits"]["13.0"] | {"cuda": "13.2.2", "torch_build": "cu130"}
    document["toolkits"]["13.2"] = toolkit
    taken = json.loads(take("torch", "2.99.0", document).text)["toolkits"]
    assert taken["13.2"]["torch"] == "2.99.0"
    assert "torch_build" not in taken["13.2"]
    assert taken["13.0"]["torch"] == "2.14.0"


def test_an_update_of_a_toolkit_renews_its_bases(take: Take, document: dict[str, Any]) -> None:
    toolkit = document["toolkits"]["13.0"]
    toolkit["cuda"] = "13.0.1"
    toolkit["bases"]["registry"] |= {
        "image": "nvidia/cuda:13.0.1-devel-ubuntu24.04",
        "digest": f"sha256:{'0' * 64}",
    }
    document["variable"]["CUDA_VERSION"]["default"] = "13.0.1"
    proposal = take("toolkit", "13.0", document)
    content = json.loads(proposal.text)
    renewed = content["toolkits"]["13.0"]
    assert (renewed["cuda"], renewed["torch"]) == ("13.0.2", "2.14.0")
    image = {"image": "nvidia/cuda:13.0.2-devel-ubuntu24.04", "digest": None}
    assert renewed["bases"]["registry"] == image
    assert content["variable"]["CUDA_VERSION"]["default"] == "13.0.2"
    assert any("no registry was asked" in one for one in proposal.remarks)


def test_a_torch_with_a_triton_that_no_table_knows_is_refused_for_an_image(
    take: Take, document: dict[str, Any]
) -> None:
    """The plan says so and not the matrix, and it says so before anything is written."""
    thor = document["variants"]["cu130-thor"]
    document["variants"] = {"x": thor | {"toolkit": "13.2", "policies": []}}
    document["default"] = "x"
    del document["variants"]["x"]["components"]["vllm"]
    document["toolkits"]["13.2"] = document["toolkits"]["13.0"] | {"cuda": "13.2.2"}
    del document["variable"]
    with pytest.raises(SmforgeError) as caught:
        take("torch", "2.99.0", document)
    (line,) = caught.value.lines
    assert "stays as it is; it would say: The Triton that torch 2.99.0 requires" in line


def test_a_torch_that_a_component_is_not_made_for_is_refused(take: Take, toolkits: Index) -> None:
    """vLLM names one torch; the matrix would contradict itself."""
    toolkits.wheel("torch", "2.14.1", LINUX, ("cuda-toolkit==13.0.3",))
    with pytest.raises(SmforgeError) as caught:
        take("torch", "2.14.1")
    assert "vllm 0.33.0 needs torch 2.14.0" in str(caught.value.lines[0])
