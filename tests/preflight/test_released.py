"""Released vLLM from the package index: what its lists lose is known (docs/findings-*)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.errors import DamagedInputError, ToolError
from smforge.preflight.cache import Cache
from smforge.preflight.records import Configuration
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
