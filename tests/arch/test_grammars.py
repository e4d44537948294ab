"""The grammars of architecture lists: printing and reading back, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.grammar import cmake_list, flashinfer_list, gencode, names, torch_list
from smforge.arch.grammar.cmake_list import CMakeEntry, CMakeForm
from smforge.arch.grammar.gencode import Gencode
from smforge.arch.grammar.names import CodeForm, CodeName
from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ArchitectureError

capabilities = st.builds(ComputeCapability, st.integers(1, 99), st.integers(0, 9))
targets = st.builds(
    Target,
    capabilities,
    st.sampled_from([Suffix.PLAIN, Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC]),
)
code_names = st.builds(CodeName, st.sampled_from(CodeForm), targets)
gencodes = st.builds(Gencode, targets, st.lists(code_names, min_size=1, max_size=4).map(tuple))


def target(text: str) -> Target:
    return Target.parse(text)


@given(targets)
def test_targets_and_capabilities_round_trip(one: Target) -> None:
    assert Target.parse(str(one)) == one
    assert Target.parse(one.sm) == one
    assert Target.parse(one.compute) == one
    assert ComputeCapability.parse(str(one.capability)) == one.capability
    assert ComputeCapability.from_number(one.capability.number) == one.capability


@given(code_names)
def test_names_round_trip(name: CodeName) -> None:
    assert names.parse(names.render(name)) == name


@given(st.lists(st.builds(TorchEntry, targets, st.booleans()), min_size=1).map(tuple))
@pytest.mark.parametrize("separator", [" ", ";"])
def test_torch_lists_round_trip(separator: str, entries: tuple[TorchEntry, ...]) -> None:
    assert torch_list.parse(torch_list.render(entries, separator=separator)) == entries


@given(st.lists(targets, min_size=1).map(tuple))
def test_flashinfer_lists_round_trip(entries: tuple[Target, ...]) -> None:
    assert flashinfer_list.parse(flashinfer_list.render(entries)) == entries


@given(st.lists(st.builds(CMakeEntry, targets, st.sampled_from(CMakeForm)), min_size=1).map(tuple))
def test_cmake_lists_round_trip(entries: tuple[CMakeEntry, ...]) -> None:
    assert cmake_list.parse(cmake_list.render(entries)) == entries


@given(st.lists(gencodes).map(tuple))
def test_gencode_options_round_trip(passes: tuple[Gencode, ...]) -> None:
    assert gencode.parse(gencode.render(passes)) == passes


@pytest.mark.parametrize(
    "parse",
    [
        Target.parse,
        ComputeCapability.parse,
        names.parse,
        torch_list.parse,
        flashinfer_list.parse,
        cmake_list.parse,
        gencode.parse_specification,
        lambda text: gencode.parse(text.split()),
    ],
)
@given(text=st.one_of(st.text(), st.text("0123456789.afsmcoputel_+PTX;, =-[]\n", max_size=20)))
def test_any_text_is_read_or_refused_with_a_remedy(
    parse: Callable[[str], object], text: str
) -> None:
    refusal: ArchitectureError | None = None
    try:
        parse(text)
    except ArchitectureError as error:
        refusal = error
    assert refusal is None or (refusal.message.endswith(".") and refusal.remedy)


def test_torch_lists() -> None:
    assert torch_list.parse("8.0 9.0a;12.0+PTX") == (
        TorchEntry(target("8.0")),
        TorchEntry(target("9.0a")),
        TorchEntry(target("12.0"), ptx=True),
    )
    assert torch_list.render(torch_list.parse("Hopper Ampere+Tegra")) == "9.0+PTX 8.7"
    assert torch_list.render(torch_list.parse("Blackwell")) == "10.0 10.3 12.0 12.1+PTX"


@pytest.mark.parametrize(
    "text",
    ["", " ", "8.0  9.0", "8.0,9.0", "8.0 ", "Ampere+PTX", "8", "sm_80", "8.0+ptx", "native"],
)
def test_torch_lists_that_torch_refuses(text: str) -> None:
    with pytest.raises(ArchitectureError):
        torch_list.parse(text)


def test_what_torch_makes_of_a_list() -> None:
    entries = torch_list.parse("9.0a 12.0+PTX")
    assert gencode.render(torch_list.gencodes(entries)) == (
        "-gencode=arch=compute_90a,code=sm_90a",
        "-gencode=arch=compute_120,code=sm_120",
        "-gencode=arch=compute_120,code=compute_120",
    )


def test_cpp_extension_refuses_family_specific_entries() -> None:
    entries = torch_list.parse("9.0a 12.0f 12.0")
    assert torch_list.refused_by_cpp_extension(entries) == (TorchEntry(target("12.0f")),)


@pytest.mark.parametrize("text", ["", "8.0;9.0", "8.0  9.0", " 8.0", "8.0 ", "120f", "9.0+PTX"])
def test_flashinfer_lists_that_flashinfer_cannot_split(text: str) -> None:
    with pytest.raises(ArchitectureError):
        flashinfer_list.parse(text)


@pytest.mark.parametrize(
    ("written", "cuda", "release", "compiled"),
    [
        ("8.0 8.9 9.0 10.0 10.3 11.0", "13.0", "0.7.2", "8.0 8.9 9.0a 10.0a 10.3a 11.0a"),
        ("12.0 12.1", "13.0.2", "0.7.0.post1", "12.0f 12.1a"),
        ("12.0", "12.9", "0.7.0", "12.0f"),
        ("12.0 12.0f 12.1a 12.1", "13.0", "0.7.2.post1", "12.0f 12.1a"),
        ("12.0", "12.8", "0.7.1", "12.0a"),
        ("12.0a 10.0f 9.0a", "13.0", "0.7.2", "12.0a 10.0f 9.0a"),
    ],
)
def test_what_flashinfer_compiles(written: str, cuda: str, release: str, compiled: str) -> None:
    effective = flashinfer_list.effective_targets(flashinfer_list.parse(written), cuda, release)
    assert flashinfer_list.render(effective) == compiled


@pytest.mark.parametrize(
    ("written", "cuda", "release"),
    [("12.0", "12.8", "0.7.0"), ("12.1", "12.8", "0.7.2")],
)
def test_what_a_release_of_flashinfer_refuses(written: str, cuda: str, release: str) -> None:
    with pytest.raises(ArchitectureError, match=rf"FlashInfer {release} refuses {written}"):
        flashinfer_list.effective_targets(flashinfer_list.parse(written), cuda, release)


@given(st.lists(targets).map(tuple), st.sampled_from(["12.9", "13.0", "13.5"]))
def test_effective_targets_settle_and_keep_capabilities(
    entries: tuple[Target, ...], cuda: str
) -> None:
    once = flashinfer_list.effective_targets(entries, cuda, "0.7.2")
    assert flashinfer_list.effective_targets(once, cuda, "0.7.2") == once
    assert {one.capability for one in once} == {one.capability for one in entries}


@pytest.mark.parametrize(
    ("words", "rendered"),
    [
        ("-gencode arch=compute_120f,code=sm_120f", ["arch=compute_120f,code=sm_120f"]),
        (
            "-O3 --generate-code=arch=compute_90a,code=[sm_90a,compute_90a] x.cu",
            ["arch=compute_90a,code=[sm_90a,compute_90a]"],
        ),
        ('-gencode arch=compute_80,code="sm_80,sm_86"', ["arch=compute_80,code=[sm_80,sm_86]"]),
        ("-arch=sm_120", ["arch=compute_120,code=[sm_120,compute_120]"]),
        (
            "-arch=sm_120f",
            ["arch=compute_120,code=compute_120", "arch=compute_120f,code=[sm_120f,compute_120f]"],
        ),
        ("-arch compute_90", ["arch=compute_90,code=compute_90"]),
        (
            "--gpu-architecture=compute_80 --gpu-code=sm_80,sm_86",
            ["arch=compute_80,code=[sm_80,sm_86]"],
        ),
        ("-gencode arch=compute_90,code=lto_90", ["arch=compute_90,code=lto_90"]),
        ("-O3 x.cu", []),
    ],
)
def test_nvcc_command_lines(words: str, rendered: list[str]) -> None:
    assert [str(one) for one in gencode.parse(words.split())] == rendered


@pytest.mark.parametrize(
    "words",
    [
        "-arch=all",
        "-arch=native",
        "-arch",
        "-arch=120",
        "-arch=sm_80 -code=sm_80",
        "-code=sm_80",
        "-gencode",
        "-gencode arch=sm_80,code=sm_80",
        "-gencode arch=compute_80",
        "-gencode arch=compute_80,code=",
    ],
)
def test_nvcc_command_lines_that_say_nothing_certain(words: str) -> None:
    with pytest.raises(ArchitectureError):
        gencode.parse(words.split())


def test_machine_code_of_a_family_specific_pass_is_family_specific() -> None:
    passes = gencode.parse(["-gencode=arch=compute_100f,code=[sm_100,sm_103a,compute_100f]"])
    assert [str(code) for code in gencode.embedded(passes)] == [
        "sm_100f",
        "sm_103a",
        "compute_100f",
    ]


def test_plain_and_family_specific_code_of_one_capability_conflict() -> None:
    both = gencode.parse(["-arch=sm_120", "-gencode=arch=compute_120f,code=sm_120"])
    assert gencode.conflicts(both) == (ComputeCapability(12, 0),)
    assert gencode.conflicts(gencode.parse(["-arch=sm_120f"])) == ()


def test_what_cmake_makes_of_a_list() -> None:
    entries = cmake_list.parse("80;120f-real;90-virtual")
    assert gencode.render(cmake_list.gencodes(entries)) == (
        "-gencode=arch=compute_80,code=[compute_80,sm_80]",
        "-gencode=arch=compute_120f,code=sm_120f",
        "-gencode=arch=compute_90,code=compute_90",
    )


@pytest.mark.parametrize(
    "text", ["", "all", "native", "OFF", "12.0", "120-fake", "80;;90", "80 90"]
)
def test_cmake_lists_that_name_no_target(text: str) -> None:
    with pytest.raises(ArchitectureError):
        cmake_list.parse(text)
