"""What a build of vLLM needs of other projects, by the extensions that it compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smforge.matrix.load import Matrix
from smforge.plan.records import PlannedExternal
from smforge.plan.resolve import resolve

Changed = Callable[[Callable[[dict[str, Any]], None]], Matrix]


def planned(matrix: Matrix, variant: str = "demo-source") -> dict[str, PlannedExternal]:
    component = resolve(matrix, (variant,)).cells[0].component("vllm")
    assert component is not None
    return {external.name: external for external in component.externals}


def extensions(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["variants"]["demo-source"]["components"]["vllm"]["extensions"] = list(names)

    return change


def test_the_moe_extension_needs_cutlass_alone(matrix: Matrix) -> None:
    assert planned(matrix) == {
        "cutlass": PlannedExternal(
            name="cutlass",
            kind="wheel",
            location="nvidia_cutlass-4.2.0.0-py3-none-any.whl",
            pin="f9599ada45c7bcb6bf53f7d3f0a7d154183e53451c01bfa59eecd37dd4a693f6",
            release="nvidia-cutlass 4.2.0.0",
            subdirectory="cutlass_library/source",
            submodules=None,
            instead_of="v4.7.1",
        )
    }


def test_all_extensions_need_every_external(matrix: Matrix) -> None:
    externals = planned(matrix, "cu130")
    assert set(externals) == set(matrix.document.sources.vllm.externals)
    assert all(external.instead_of is None for external in externals.values())


@pytest.mark.parametrize(
    ("extension", "external"),
    [("_deep_gemm_C", "deepgemm"), ("_vllm_fa3_C", "vllm-flash-attn"), ("spinloop", None)],
)
def test_an_extension_brings_its_own(
    changed: Changed, extension: str, external: str | None
) -> None:
    assert set(planned(changed(extensions(extension)))) == {"cutlass", external} - {None}


def test_submodules_are_planned_where_the_sources_name_them(changed: Changed) -> None:
    deepgemm = planned(changed(extensions("_deep_gemm_C")))["deepgemm"]
    assert deepgemm.kind == "git"
    assert deepgemm.submodules == ("third-party/cutlass", "third-party/deep_jit")
