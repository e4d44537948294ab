"""What the variants amount to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.arch.target import Target
from smforge.arch.toolkits import toolkit
from smforge.errors import UsageError
from smforge.matrix.load import Matrix
from smforge.plan.records import Rewritten
from smforge.plan.resolve import resolve

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "cu129.json"
Changed = Callable[[Callable[[dict[str, Any]], None]], Matrix]


def add_cu129(document: dict[str, Any]) -> None:
    """Put the variant that docs/matrix.md shows into a matrix."""
    document["variants"] |= json.loads(EXAMPLE.read_text())


def test_the_demo(matrix: Matrix) -> None:
    (cell,) = resolve(matrix, ["demo"]).cells
    assert (cell.name, cell.variant, cell.platform) == ("demo-linux-amd64", "demo", "linux/amd64")
    assert str(cell.requirements) == "11.0 12.0 12.1 11.0a 12.0f 12.1a"
    assert cell.targets == (
        "base",
        "flashinfer-sm110a",
        "flashinfer-sm120f",
        "flashinfer-sm121a",
        "flashinfer-shim",
    )
    assert cell.toolkit.tag == "cu130"
    assert cell.base.kind == "packages"
    assert cell.dropped == ()
    packages = cell.variables["CUDA_PACKAGES"].split(" ")
    assert "nvidia-cuda-nvcc==13.0.88" in packages
    assert cell.variables == {
        "VARIANT": "demo",
        "CUDA_VERSION": "13.0.2",
        "CUDA_TAG": "cu130",
        "PLATFORM": "linux/amd64",
        "BASE_KIND": "packages",
        "BASE_IMAGE": "",
        "DEBIAN_SUITE": "trixie",
        "CUDA_PACKAGES": " ".join(packages),
        "TORCH_VERSION": "2.14.0",
        "FLASHINFER_VERSION": "0.7.2.post1",
        "FLASHINFER_SHA256": "af60319898dcfd552ba12a34165b9dd46c0bbd83d48ce665b1df6bd6ae77e9f1",
        "FLASHINFER_ARCHS": "11.0a 12.0f 12.1a",
        "FLASHINFER_SELECTION": "core",
        "VLLM_ARCHS": "",
        "VLLM_EXTENSIONS": "",
        "LMCACHE_ARCHS": "",
        "CONNECTORS": "",
        "DISPATCHERS": "",
        "IMAGE": "",
        "SOURCE_DATE_EPOCH": str(matrix.document.source_date_epoch),
    }


def test_all_variants_when_none_is_named(matrix: Matrix) -> None:
    plan = resolve(matrix)
    names = [cell.name for cell in plan.cells]
    assert list(dict.fromkeys(cell.variant for cell in plan.cells)) == list(
        matrix.document.variants
    )
    assert len(set(names)) == len(names)
    assert plan.matrix_sha256 == matrix.sha256


@pytest.mark.parametrize(
    ("name", "platform", "device", "targets"),
    [
        ("cu130-thor", "linux/arm64", "11.0", ["11.0a"]),
        ("cu130-rtx", "linux/amd64", "12.0", ["12.0f"]),
        ("cu130-spark", "linux/amd64", "12.1", ["12.1a"]),
        ("cu130-spark", "linux/arm64", "12.1", ["12.1a"]),
    ],
)
def test_the_variants_of_one_device(
    matrix: Matrix, name: str, platform: str, device: str, targets: list[str]
) -> None:
    (cell,) = (one for one in resolve(matrix, [name]).cells if one.platform == platform)
    assert device in map(str, cell.requirements.devices)
    flashinfer = cell.component("flashinfer")
    assert flashinfer is not None
    assert list(map(str, flashinfer.targets)) == targets


def test_cu129_of_the_examples_is_built_on_the_registry_s_image(changed: Changed) -> None:
    matrix = changed(add_cu129)
    for cell in resolve(matrix, ["cu129"]).cells:
        assert cell.toolkit.tag == "cu129"
        assert cell.base.kind == "registry"
        assert cell.variables["BASE_IMAGE"].startswith("nvidia/cuda:12.9.1-devel-")
        assert cell.variables["DEBIAN_SUITE"] == cell.variables["CUDA_PACKAGES"] == ""
        assert not {"11.0", "12.1"} & set(map(str, cell.requirements.devices))
        mooncake = cell.component("mooncake")
        assert mooncake is not None
        assert mooncake.version == matrix.document.sources.mooncake["12"].version


def test_every_target_of_every_cell_is_known_to_its_toolkit(matrix: Matrix) -> None:
    for cell in resolve(matrix).cells:
        release = toolkit(cell.toolkit.cuda)
        for component in cell.components:
            assert all(release.knows(target) for target in component.targets)
            assert all(release.knows(target) for target in component.ptx)


def test_what_flashinfer_makes_of_a_list_is_said(changed: Changed) -> None:
    def change(document: dict[str, Any]) -> None:
        archs = document["variants"]["demo"]["components"]["flashinfer"]["archs"]
        archs["linux/amd64"] = ["8.0", "11.0", "12.0f", "12.1"]

    (cell,) = resolve(changed(change), ["demo"]).cells
    assert cell.variables["FLASHINFER_ARCHS"] == "8.0 11.0a 12.0f 12.1a"
    assert cell.targets[1:-1] == (
        "flashinfer-sm80",
        "flashinfer-sm110a",
        "flashinfer-sm120f",
        "flashinfer-sm121a",
    )
    assert cell.dropped == ()
    assert cell.rewritten == (
        Rewritten("flashinfer", "11.0", (Target.parse("11.0a"),), "list"),
        Rewritten("flashinfer", "12.1", (Target.parse("12.1a"),), "list"),
    )


def test_ptx_and_names_of_a_torch_list(changed: Changed) -> None:
    def change(document: dict[str, Any]) -> None:
        components = document["variants"]["demo"]["components"]
        components["vllm"] = {
            "archs": {"linux/amd64": ["Hopper", "12.0+PTX", "11.0"]},
            "extensions": ["_C", "_moe_C"],
        }

    (cell,) = resolve(changed(change), ["demo"]).cells
    vllm = cell.component("vllm")
    assert vllm is not None
    assert vllm.archs == ("Hopper", "12.0+PTX", "11.0")
    assert list(map(str, vllm.targets)) == ["9.0", "12.0", "11.0"]
    assert list(map(str, vllm.ptx)) == ["9.0", "12.0"]
    assert vllm.settings == {"extensions": "_C _moe_C"}
    assert Rewritten("vllm", "Hopper", (Target.parse("9.0"),), "list") in cell.rewritten
    assert cell.dropped == ()


def test_a_digest_pins_the_image(changed: Changed) -> None:
    digest = "sha256:" + "a" * 64

    def change(document: dict[str, Any]) -> None:
        add_cu129(document)
        document["toolkits"]["12.9"]["bases"]["registry"]["digest"] = digest

    for cell in resolve(changed(change), ["cu129"]).cells:
        assert cell.variables["BASE_IMAGE"].endswith(f"@{digest}")


def test_a_variant_without_flashinfer_has_empty_variables(changed: Changed) -> None:
    def change(document: dict[str, Any]) -> None:
        archs = {"linux/amd64": ["12.0"]}
        document["variants"]["demo"]["components"] = {"vllm": {"archs": archs}}
        document["variants"]["demo"]["require"] = {"linux/amd64": ["12.0"]}

    (cell,) = resolve(changed(change), ["demo"]).cells
    assert cell.variables["FLASHINFER_ARCHS"] == cell.variables["FLASHINFER_SELECTION"] == ""
    assert not any(target.startswith("flashinfer") for target in cell.targets)


def test_a_variant_counts_once(matrix: Matrix) -> None:
    assert len(resolve(matrix, ["demo", "demo"]).cells) == 1


@pytest.mark.parametrize(
    ("name", "remedy"), [("cu13", "Did you mean cu130?"), ("zzz", "Known are demo, ")]
)
def test_an_unknown_variant(matrix: Matrix, name: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(matrix, ["demo", name])
    assert f"has no variant {name!r}" in caught.value.message
    assert remedy in str(caught.value)


def test_a_checkout_s_version_is_in_the_plan_and_the_tag(changed: Changed) -> None:
    def compiled(document: dict[str, Any]) -> None:
        thor = document["variants"]["cu130-thor"]["components"]
        thor["vllm"] = {"archs": {"linux/arm64": ["11.0"]}}

    version = "0.33.1.dev7+g0a1b2c3d4"
    (cell,) = resolve(changed(compiled), ["cu130-thor"], {"vllm": version}).cells
    vllm = cell.component("vllm")
    assert vllm is not None
    assert (vllm.version, vllm.checkout) == (version, True)
    assert cell.image is not None
    assert cell.image.tag == "0.33.1.dev7-g0a1b2c3d4-cu130-thor"
    assert (cell.variables["VLLM_VERSION"], cell.variables["VLLM_SHA256"]) == (version, "")
    flashinfer = cell.component("flashinfer")
    assert flashinfer is not None
    assert not flashinfer.checkout


def test_policies_are_those_that_the_matrix_names(matrix: Matrix) -> None:
    policies = {cell.variant: cell.policies for cell in resolve(matrix).cells}
    assert policies["cu130"] == ("docker/connectors/policy.toml", "docker/vllm/policy-fat.toml")
    assert policies["cu130-thor"] == ("docker/image/policy-thor.toml",)
    assert policies["demo"] == ()
