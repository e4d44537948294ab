"""Released vLLM from the package index: what its lists lose is known (docs/findings-*)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.errors import DamagedInputError, ToolError
from smforge.findings import Level, Outcome
from smforge.preflight.cache import Cache
from smforge.preflight.records import Configuration, Preflight
from smforge.preflight.run import Question, preflight
from smforge.preflight.sources.fetch import fetch_sdist

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The sdist of a version, fetched once."""
    directory = tmp_path_factory.mktemp("sdists")
    return lambda version: fetch_sdist("vllm", version, directory)


def test_the_fp8_marlin_kernels_of_0_19_are_lost_on_12_1a(
    released: Callable[[str], Path], cache: Cache
) -> None:
    result = preflight(Question(released("0.19.0"), "13.0", "12.1a"), cache)
    lost = [one for one in result.findings if one.rule == "source-lost"]
    assert {str(one.location) for one in lost} == {"CMakeLists.txt:447", "CMakeLists.txt:1123"}
    names = [name for one in lost for name in one.sources]
    assert len(names) == 10
    assert all("/sm89_kernel_fe4m3fn_" in name for name in names)


def test_0_33_compiles_12_1a_as_its_family(
    released: Callable[[str], Path],
    cache: Cache,
    compiled: Callable[[Configuration], dict[str, str]],
) -> None:
    result = preflight(Question(released("0.33.0"), "13.0", "12.1a"), cache)
    rules = {one.rule for one in result.findings}
    assert "source-lost" not in rules
    assert "arch-collapsed" in rules
    units = compiled(result.configuration)
    assert units["csrc/quantization/w8a8/cutlass/scaled_mm_c3x_sm120.cu"] == "12.0f"
    assert not any("12.1" in targets for targets in units.values())


def _errors(result: Preflight) -> list[tuple[str, str, int, str]]:
    """Rule, device, how many sources, and where."""
    return [
        (one.rule, str(one.device), len(one.sources), str(one.location))
        for one in result.findings
        if one.level is Level.ERROR
    ]


def test_0_26_gives_10_3_nothing_where_the_list_has_10_0_and_10_0a(
    released: Callable[[str], Path], cache: Cache
) -> None:
    """CMakeLists.txt:227 makes 10.0a of the whole list, so that all sources are 10.0a."""
    required = parse_requirements(["10.3"])
    result = preflight(Question(released("0.26.0"), "13.0", "10.0 10.0a", required=required), cache)
    assert [one[:3] for one in _errors(result)] == [("arch-dropped", "10.3", 89)]


def test_0_33_compiles_a_source_of_orin_for_8_6(
    released: Callable[[str], Path], cache: Cache
) -> None:
    result = preflight(Question(released("0.33.0"), "13.0", "8.7"), cache)
    assert _errors(result) == [("source-lost", "8.7", 1, "CMakeLists.txt:1176")]


def test_0_32_takes_qutlass_from_12_0_where_the_list_has_10_0(
    released: Callable[[str], Path], cache: Cache
) -> None:
    """The wheel that upstream published holds _qutlass_C for 10.0f alone."""
    result = preflight(Question(released("0.32.0"), "13.0", "10.0f 12.0f"), cache)
    line = "cmake/external_projects/qutlass.cmake:127"
    assert _errors(result) == [("source-lost", "12.0", 6, line)]
    assert preflight(Question(released("0.32.0"), "13.0", "12.0f"), cache).outcome is Outcome.PASS


def test_0_33_gives_no_source_the_ptx_of_the_list(
    released: Callable[[str], Path], cache: Cache
) -> None:
    required = parse_requirements(["12.0 compute_120"])
    result = preflight(Question(released("0.33.0"), "13.0", "12.0+PTX", required=required), cache)
    assert [one[:2] for one in _errors(result)] == [("target-missing", "12.0")]


def test_comparing_flashinfer_finds_nothing_that_9_0a_loses(tmp_path: Path, cache: Cache) -> None:
    archs = "8.0 8.9 9.0a 10.0a 10.3a 11.0a 12.0f"
    source = fetch_sdist("flashinfer-python", "0.7.2.post1", tmp_path)
    result = preflight(Question(source, "13.0", archs), cache)
    assert [one[:3] for one in _errors(result)] == [("source-lost", "11.0", 1)]
    remedies = [one.remedy or "" for one in result.findings]
    assert not any("9.0a in place of 9.0a" in one for one in remedies)


def test_what_the_index_does_not_have_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"no sdist of vllm 0\.0\.0\.1"):
        fetch_sdist("vllm", "0.0.0.1", tmp_path)
    assert list(tmp_path.iterdir()) == []


# pip leaves the page of an index open that is a directory.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_arrives_has_to_be_what_is_pinned(tmp_path: Path) -> None:
    digest = "2d91e135bf72d31a410b17c16da610a82cb55f6b0477d1a902134b24a455b8b3"
    archive = fetch_sdist("iniconfig", "2.0.0", tmp_path, sha256=digest)
    assert archive == tmp_path / digest / "iniconfig-2.0.0.tar.gz"
    with pytest.raises(DamagedInputError, match=f"{digest}, and 0000"):
        fetch_sdist("iniconfig", "2.0.0", tmp_path, sha256="0" * 64)
    assert [file.name for file in tmp_path.rglob("*.tar.gz")] == [archive.name]
