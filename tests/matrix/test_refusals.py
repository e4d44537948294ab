"""Cells that cannot exist, each refused with its JSON path, the reason and the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.arch.target import Target
from smforge.arch.toolkits import toolkits
from smforge.errors import ImpossibleCellError, SeveralProblemsError
from smforge.matrix import lists
from smforge.matrix.load import parse
from smforge.matrix.models import PackagesBase

Lines = Callable[[Any], list[str]]
LIST = '$.variants.x.components.flashinfer.archs["linux/amd64"]'


def set_lists(document: dict[str, Any], archs: list[Any], require: list[Any]) -> dict[str, Any]:
    variant = document["variants"]["x"]
    variant["components"]["flashinfer"]["archs"]["linux/amd64"] = archs
    variant["require"]["linux/amd64"] = require
    return document


def set_toolkit(document: dict[str, Any], name: str) -> dict[str, Any]:
    document["variants"]["x"] |= {"toolkit": name, "base": "registry"}
    return document


def test_the_repository_s_own_matrix_is_accepted(document: dict[str, Any]) -> None:
    parsed = parse(json.dumps(document).encode())
    assert {"demo", "cu130", "cu130-thor", "cu130-rtx", "cu130-spark"} <= set(parsed.variants)


@pytest.mark.parametrize(
    ("word", "reason", "remedy"),
    [
        ("11.0", "sm_101", "CUDA 13.0 or later"),
        ("11.0a", "sm_101", "CUDA 13.0 or later"),
        ("12.1f", "CUDA 12.9 knows 12.1f, but the sources do not compile", "Write 12.1a"),
        ("9.0f", "CUDA 12.9 knows 9.0 but not 9.0f", "Write 9.0"),
        ("10.7", "does not know 10.7", "Use CUDA 13.4 or later"),
    ],
)
def test_a_target_that_cuda_12_9_cannot_build(
    small: dict[str, Any], lines: Lines, word: str, reason: str, remedy: str
) -> None:
    (line,) = lines(set_toolkit(set_lists(small, ["9.0", word], ["9.0"]), "12.9"))
    assert line.startswith(f"{LIST}[1]: ")
    assert reason in line
    assert remedy in line


def test_the_refusal_that_the_guide_shows_is_what_is_said(
    small: dict[str, Any], lines: Lines
) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "matrix.md").read_text()
    (line,) = lines(set_toolkit(set_lists(small, ["11.0", "9.0"], ["9.0"]), "12.9"))
    assert f"\nsmforge: versions.json: {line}\n" in guide


def test_a_required_target_that_the_toolkit_lacks(small: dict[str, Any], lines: Lines) -> None:
    (line,) = lines(set_toolkit(set_lists(small, ["12.0"], ["12.0", "sm_110"]), "12.9"))
    assert line.startswith('$.variants.x.require["linux/amd64"][1]: ')
    assert "sm_101" in line


@pytest.mark.parametrize("word", ["12.1a", "12.1", "12.0f", "10.1a"])
def test_what_cuda_12_9_can_build_is_accepted(small: dict[str, Any], word: str) -> None:
    device = word.rstrip("af")
    parse(json.dumps(set_toolkit(set_lists(small, [word], [device]), "12.9")).encode())


def test_a_flashinfer_without_packages_per_architecture(
    small: dict[str, Any], lines: Lines
) -> None:
    source = small["sources"]["flashinfer"]
    source |= {"version": "0.6.18", "files": {"flashinfer_python-0.6.18.tar.gz": "0" * 64}}
    (line,) = lines(small)
    assert line.startswith("$.sources.flashinfer.version: FlashInfer 0.6.18 has no packages per")
    assert "0.7.0 or newer" in line


def test_a_device_that_no_list_covers(small: dict[str, Any], lines: Lines) -> None:
    (line,) = lines(set_lists(small, ["12.1a"], ["12.1", "12.0"]))
    assert line == (
        '$.variants.x.require["linux/amd64"][1]: nothing in the list of flashinfer runs on 12.0. '
        "Add 12.0 there, or do not require it."
    )


def test_every_compiled_component_must_cover_a_device(small: dict[str, Any], lines: Lines) -> None:
    small["variants"]["x"]["components"]["vllm"] = {"archs": {"linux/amd64": ["12.0", "9.0+PTX"]}}
    small["variants"]["x"]["components"]["lmcache"] = {"archs": {"linux/amd64": ["9.0"]}}
    found = lines(set_lists(small, ["12.0f"], ["12.0"]))
    assert found == [
        '$.variants.x.require["linux/amd64"][0]: nothing in the list of lmcache runs on 12.0. '
        "Add 12.0 there, or do not require it."
    ]


def test_embedded_ptx_covers_a_device(small: dict[str, Any]) -> None:
    small["variants"]["x"]["components"]["vllm"] = {"archs": {"linux/amd64": ["9.0+PTX"]}}
    parse(json.dumps(set_lists(small, ["12.0f"], ["12.0"])).encode())


@pytest.mark.parametrize("word", ["12.0a", "compute_120f", "sm_121a"])
def test_a_required_target_that_no_list_asks_for(
    small: dict[str, Any], lines: Lines, word: str
) -> None:
    (line,) = lines(set_lists(small, ["12.0f"], ["12.0", word]))
    assert f"no component's list asks for {word}." in line


def test_a_required_target_that_flashinfer_s_suffix_satisfies(small: dict[str, Any]) -> None:
    parse(json.dumps(set_lists(small, ["12.0", "12.1"], ["12.0f", "12.1a"])).encode())


@pytest.mark.parametrize(
    ("archs", "message"),
    [
        (["12.0f", "12.0f"], "12.0f and 12.0f both ask for 12.0f"),
        (["12.1", "12.1a"], "12.1a and 12.1 both ask for 12.1a"),
    ],
)
def test_a_duplicate(small: dict[str, Any], lines: Lines, archs: list[str], message: str) -> None:
    (line,) = lines(set_lists(small, archs, ["12.1"]))
    assert line.startswith(f"{LIST}[1]: {message}")


def test_a_requirement_that_stands_twice(small: dict[str, Any], lines: Lines) -> None:
    (line,) = lines(set_lists(small, ["12.0f"], ["12.0", "12.0"]))
    assert line.startswith('$.variants.x.require["linux/amd64"][1]: 12.0 is required twice')


@pytest.mark.parametrize("where", ["archs", "require"])
def test_an_empty_list(small: dict[str, Any], lines: Lines, where: str) -> None:
    found = lines(
        set_lists(small, [], ["12.0"]) if where == "archs" else set_lists(small, ["12.0"], [])
    )
    assert any(where in line and "this is empty" in line for line in found)


@pytest.mark.parametrize(
    ("component", "word", "message"),
    [
        ("flashinfer", "12.0+PTX", "FLASHINFER_CUDA_ARCH_LIST"),
        ("flashinfer", "sm_120", "FLASHINFER_CUDA_ARCH_LIST"),
        ("vllm", "sm_120", "TORCH_CUDA_ARCH_LIST"),
        ("vllm", "12.0b", "TORCH_CUDA_ARCH_LIST"),
        ("lmcache", "12.0f+PTX", "Write '12.0f 12.0+PTX'."),
    ],
)
def test_a_word_that_the_component_s_tool_refuses(
    small: dict[str, Any], lines: Lines, component: str, word: str, message: str
) -> None:
    components = small["variants"]["x"]["components"]
    components.setdefault(component, {"archs": {}})["archs"]["linux/amd64"] = [word]
    (line,) = lines(small)
    assert line.startswith(f'$.variants.x.components.{component}.archs["linux/amd64"][0]: ')
    assert message in line


def test_an_unreadable_requirement(small: dict[str, Any], lines: Lines) -> None:
    (line,) = lines(set_lists(small, ["12.0f"], ["Blackwell"]))
    assert "'Blackwell' is neither a device nor a target." in line


def test_a_component_whose_torch_has_no_build_for_the_cuda(
    small: dict[str, Any], lines: Lines
) -> None:
    small["toolkits"]["12.8"] = {
        "cuda": "12.8.1",
        "torch": "2.11.0",
        "bases": {"registry": {"image": "nvidia/cuda:12.8.1-devel-ubuntu24.04"}},
    }
    small["torch_builds"]["2.11.0"] = ["cu126", "cu128", "cu130"]
    small["variants"]["x"]["components"]["vllm"] = {"archs": {"linux/amd64": ["12.0"]}}
    (line,) = lines(set_toolkit(set_lists(small, ["12.0"], ["12.0"]), "12.8"))
    assert line == (
        "$.variants.x.components.vllm: vllm 0.33.0 needs torch 2.14.0, which has no build for "
        "CUDA 12.8.1 (cu128). Choose a toolkit with torch 2.14.0, or another vllm."
    )


def test_a_component_that_is_made_for_another_torch(small: dict[str, Any], lines: Lines) -> None:
    small["torch_builds"]["2.13.0"] = ["cu130"]
    small["toolkits"]["13.0"]["torch"] = "2.13.0"
    small["variants"]["x"]["components"]["vllm"] = {
        "archs": {"linux/amd64": ["12.0f", "11.0", "12.1a"]}
    }
    (line,) = lines(small)
    assert "vllm 0.33.0 needs torch 2.14.0, and the toolkit brings torch 2.13.0." in line


def test_a_toolkit_whose_torch_has_no_build_for_it(small: dict[str, Any], lines: Lines) -> None:
    small["torch_builds"] = {"2.14.0": ["cu129"], "2.12.1": ["cu130"]}
    (line,) = lines(small)
    assert line.startswith('$.toolkits["13.0"].torch: torch 2.14.0 has no build for CUDA 13.0')
    assert "torch 2.12.1 has one." in line


def test_a_connector_without_a_release_for_the_cuda_major(
    small: dict[str, Any], lines: Lines
) -> None:
    del small["sources"]["nixl"]["13"]
    small["variants"]["x"]["components"]["nixl"] = {}
    (line,) = lines(small)
    assert line.startswith("$.variants.x.components.nixl: no release of nixl for CUDA 13.0.2")


def test_a_base_that_the_toolkit_does_not_have(small: dict[str, Any], lines: Lines) -> None:
    small["variants"]["x"]["toolkit"] = "12.9"
    (line,) = lines(set_lists(small, ["12.0"], ["12.0"]))
    assert line == "$.variants.x.base: CUDA 12.9 has no packages base. Use registry."


def test_an_unknown_toolkit(small: dict[str, Any], lines: Lines) -> None:
    small["variants"]["x"]["toolkit"] = "13.1"
    (line,) = lines(small)
    assert line == "$.variants.x.toolkit: there is no toolkit '13.1'. Did you mean 13.0?"


def test_a_cuda_release_that_nobody_knows(small: dict[str, Any], lines: Lines) -> None:
    small["toolkits"]["14.0"] = small["toolkits"]["12.9"] | {"cuda": "14.0.0"}
    small["torch_builds"]["2.14.0"] = ["cu129", "cu130", "cu140"]
    (line,) = lines(small)
    assert line.startswith('$.toolkits["14.0"].cuda: CUDA 14.0.0 is not in the table.')


def test_a_toolkit_under_another_name(small: dict[str, Any], lines: Lines) -> None:
    small["toolkits"]["12.9"]["cuda"] = "13.0.1"
    (line,) = lines(small)
    assert line.startswith('$.toolkits["12.9"].cuda: CUDA 13.0.1 is listed under 12.9.')


def test_an_unknown_default(small: dict[str, Any], lines: Lines) -> None:
    small["default"] = "demo"
    (line,) = lines(small)
    assert line.startswith("$.default: there is no variant 'demo'.")


def test_nothing_to_build(small: dict[str, Any], lines: Lines) -> None:
    small["variants"]["x"]["components"] = {}
    (line,) = lines(small)
    assert line.startswith("$.variants.x.components: nothing is to be built.")


def test_platforms_that_do_not_match(small: dict[str, Any], lines: Lines) -> None:
    variant = small["variants"]["x"]
    variant["require"]["linux/arm64"] = ["12.1"]
    assert lines(small) == [
        "$.variants.x.components.flashinfer.archs: there is no list for linux/arm64. Add one."
    ]
    del variant["require"]["linux/arm64"]
    variant["components"]["flashinfer"]["archs"]["linux/arm64"] = ["12.1"]
    (line,) = lines(small)
    assert "the variant is not built for linux/arm64" in line


def test_a_file_of_another_release(small: dict[str, Any], lines: Lines) -> None:
    files = small["sources"]["vllm"]["files"]
    files["vllm-0.33.1.tar.gz"] = files.pop("vllm-0.33.0.tar.gz")
    (line,) = lines(small)
    assert line.startswith('$.sources.vllm.files["vllm-0.33.1.tar.gz"]: this is no file of vllm')


def test_every_impossible_cell_is_named_in_one_reading(small: dict[str, Any]) -> None:
    set_toolkit(set_lists(small, ["11.0", "12.1f", "9.0", "9.0"], ["9.0"]), "12.9")
    with pytest.raises(SeveralProblemsError) as caught:
        parse(json.dumps(small).encode())
    assert [type(one) is ImpossibleCellError for one in caught.value.problems] == [
        True,
        True,
        False,
    ]
    assert all(one.remedy for one in caught.value.problems)


def test_the_refusals_are_of_targets_that_a_toolkit_knows() -> None:
    content = json.loads(lists._REFUSALS.read_text())
    assert content["rows"]
    for row in content["rows"]:
        target = Target.parse(row["target"])
        before = lists._release(row["before"])
        assert any(one.knows(target) for one in toolkits() if one.release < before)
        assert any(one.release == before for one in toolkits())
        assert row["sources"]
        assert set(row["sources"]) <= set(content["sources"])
        assert row["remedy"].endswith(".")


def with_vllm(document: dict[str, Any], **settings: Any) -> dict[str, Any]:
    components = document["variants"]["x"]["components"]
    components["vllm"] = {"archs": {"linux/amd64": ["12.1a", "11.0", "12.0f"]}, **settings}
    return document


def test_a_stand_in_that_the_sources_do_not_have(small: dict[str, Any], lines: Lines) -> None:
    (line,) = lines(with_vllm(small, stand_ins=["cutlas"]))
    assert line == (
        "$.variants.x.components.vllm.stand_ins: there is no stand-in for 'cutlas'. "
        "Did you mean cutlass?"
    )


def test_a_stand_in_for_nothing(small: dict[str, Any], lines: Lines) -> None:
    source = small["sources"]["vllm"]
    source["stand_ins"]["quack"] = source["stand_ins"]["cutlass"]
    (line,) = lines(small)
    assert line.startswith("$.sources.vllm.stand_ins.quack: there is no external 'quack'")


def test_a_source_archive_is_not_a_wheel(small: dict[str, Any], lines: Lines) -> None:
    small["sources"]["vllm"]["stand_ins"]["cutlass"]["file"] = "nvidia_cutlass-4.2.0.0.tar.gz"
    (line,) = lines(small)
    assert "nvidia_cutlass-4.2.0.0.tar.gz is no wheel. Write the kind 'sdist'" in line


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        ({}, "deepgemm: an archive needs one place"),
        ({"url": "https://h/a.tar", "path": "a.tar"}, "deepgemm: an archive needs one place"),
        ({"path": "../a.tar"}, "deepgemm"),
        (
            {"path": "a", "subdirectory": "x", "layout": {"y": "z"}},
            "layout: it has a 'subdirectory'",
        ),
        ({"path": "a", "layout": {"/y": "z"}}, "deepgemm"),
        ({"path": "a", "nested": {"../x": {}}}, "deepgemm"),
        (
            {"path": "a", "nested": {"lib": {"kind": "archive", "sha256": "0" * 64}}},
            "deepgemm.nested.lib: an archive needs one place",
        ),
        (
            {
                "path": "a",
                "nested": {
                    "lib": {"kind": "archive", "sha256": "0" * 64, "path": "b", "extensions": ["x"]}
                },
            },
            "nested.lib.extensions: these sources are part of another",
        ),
    ],
)
def test_an_archive_that_says_too_little_or_too_much(
    small: dict[str, Any], lines: Lines, archive: dict[str, Any], said: str
) -> None:
    small["sources"]["vllm"]["externals"]["deepgemm"] = {
        "kind": "archive",
        "sha256": "0" * 64,
        **archive,
    }
    assert any(said in line for line in lines(small)), lines(small)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("commit", "v4.7.1"),
        ("commit", "cb4247394dd8"),
        ("url", "file:///etc"),
        ("url", "--upload-pack=x"),
        ("submodules", ["../x"]),
        ("kind", "svn"),
    ],
)
def test_an_external_that_pins_nothing(
    small: dict[str, Any], lines: Lines, key: str, value: Any
) -> None:
    small["sources"]["vllm"]["externals"]["deepgemm"][key] = value
    said = lines(small)
    assert all(line.startswith("$.sources.vllm.externals.deepgemm") for line in said)


def test_an_image_on_a_base_from_a_registry(small: dict[str, Any], lines: Lines) -> None:
    small["variants"]["x"] |= {"base": "registry", "image": {"name": "a/b"}}
    (line,) = lines(small)
    assert line.startswith("$.variants.x.image: an image is built from Debian packages")


@pytest.mark.parametrize(
    "name", ["vllm", "a/b_c", "localhost:5000/a/b", "registry.example.com:443/x", "ghcr.io/a/b"]
)
def test_names_of_images_may_begin_with_a_registry(small: dict[str, Any], name: str) -> None:
    small["variants"]["x"]["image"] = {"name": name}
    base = small["toolkits"]["13.0"]["bases"]["registry"]
    base["image"] = f"{name}:13.0.2-devel_1"
    parse(json.dumps(small).encode())


@pytest.mark.parametrize(
    "name", ["a/b:tag", "host:5000", "host:/a", "host:port/a", "a:1/b:2/c", "/a", "a//b", "A/b"]
)
def test_what_is_no_name_of_an_image(small: dict[str, Any], lines: Lines, name: str) -> None:
    small["variants"]["x"]["image"] = {"name": name}
    (line,) = lines(small)
    assert line.startswith("$.variants.x.image.name: ")


def on_bookworm(document: dict[str, Any]) -> dict[str, Any]:
    """The variant x on a base of the name `old` with the suite bookworm; returns the variant."""
    bases = document["toolkits"]["13.0"]["bases"]
    bases["old"] = {**bases["packages"], "suite": "bookworm"}
    variant: dict[str, Any] = document["variants"]["x"]
    variant["base"] = "old"
    return variant


def test_a_base_has_any_name_and_any_suite(small: dict[str, Any]) -> None:
    on_bookworm(small)
    base = parse(json.dumps(small).encode()).toolkits["13.0"].bases["old"]
    assert isinstance(base, PackagesBase)
    assert base.suite == "bookworm"


def test_an_image_on_a_suite_that_has_no_locks(small: dict[str, Any], lines: Lines) -> None:
    on_bookworm(small)["image"] = {"name": "a/b"}
    (line,) = lines(small)
    assert line == (
        "$.variants.x.image: an image is built from Debian trixie, and the base of this "
        "variant is Debian bookworm. Use a base with the suite trixie, or leave the image out."
    )


def test_a_suite_whose_python_has_no_torch(small: dict[str, Any], lines: Lines) -> None:
    small["toolkits"]["13.0"]["bases"]["packages"]["suite"] = "bullseye"
    (line,) = lines(small)
    assert line == (
        "$.variants.x.base: Debian bullseye has Python 3.9, and torch is published for 3.10 and "
        "newer. Use a base with a newer suite."
    )


def test_a_published_component_without_a_wheel_for_the_base(
    small: dict[str, Any], lines: Lines
) -> None:
    on_bookworm(small)["components"] |= {"nixl": {}}
    (line,) = lines(small)
    assert line == (
        "$.variants.x.components.nixl: none of the files of nixl-cu13 1.5.1 is for Python 3.11, "
        "which the base of this variant has. Add such a wheel to the files, or leave nixl out."
    )


@pytest.mark.parametrize("tag", ["cp311-cp311", "cp310-abi3", "py3-none"])
def test_a_published_component_with_a_wheel_for_the_base(small: dict[str, Any], tag: str) -> None:
    on_bookworm(small)["components"] |= {"nixl": {}}
    name = f"nixl_cu13-1.5.1-{tag}-manylinux_2_28_x86_64.whl"
    small["sources"]["nixl"]["13"]["files"][name] = "0" * 64
    parse(json.dumps(small).encode())


def test_a_suite_that_the_table_lacks_is_not_checked(small: dict[str, Any]) -> None:
    small["toolkits"]["13.0"]["bases"]["packages"]["suite"] = "forky"
    small["variants"]["x"]["components"] |= {"nixl": {}}
    parse(json.dumps(small).encode())


def test_several_variants_with_another_torch_are_one_mistake(
    small: dict[str, Any], lines: Lines
) -> None:
    vllm = {"archs": {"linux/amd64": ["12.1a"]}}
    small["variants"]["x"] |= {"require": {"linux/amd64": ["12.1"]}, "components": {"vllm": vllm}}
    small["variants"]["y"] = small["variants"]["x"]
    small["toolkits"]["13.0"]["torch"] = "2.13.0"
    small["torch_builds"]["2.13.0"] = ["cu130"]
    (line,) = lines(small)
    assert line == (
        '$.toolkits["13.0"].torch: vllm 0.33.0 needs torch 2.14.0, and the toolkit brings torch '
        "2.13.0: x, y cannot be built. Choose a toolkit with torch 2.14.0, or another vllm."
    )


@pytest.mark.parametrize("build", ["cu130", "cu132", "cu129"])
def test_the_build_of_torch_is_an_earlier_one_of_the_major_version(
    small: dict[str, Any], lines: Callable[[Any], list[str]], build: str
) -> None:
    small["torch_builds"]["2.14.0"].append(build)
    small["toolkits"]["13.0"]["torch_build"] = build
    assert f"{build} is no earlier release of the major version of CUDA 13.0.2" in lines(small)[0]
