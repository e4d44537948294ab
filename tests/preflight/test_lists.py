"""Real CMake and generators: what members of a list do to each other and to required devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.findings import Finding, Level
from smforge.preflight.cache import Cache
from smforge.preflight.records import Preflight
from smforge.preflight.run import Question, preflight

Ask = Callable[..., Preflight]

SELECTOR = """
supported(Q_ARCHS "10.0f" "${CUDA_ARCHS}")
if(NOT Q_ARCHS)
  supported(Q_ARCHS "12.0f" "${CUDA_ARCHS}")
endif()
if(Q_ARCHS)
  gencode("csrc/q.cu" "${Q_ARCHS}")
  list(APPEND EXT_SRC csrc/q.cu)
endif()
"""
"""A source that is compiled for one family alone, as QuTLASS is."""
COLLAPSE = 'take_archs(CUDA_ARCHS)\nlist(TRANSFORM CUDA_ARCHS REPLACE "^10.0$" "10.0a")\n'
"""A specific target in place of the plain one, as vLLM 0.26.0 does where a list has both."""
ORIN = """
set(GDN_ARCHS ${CUDA_ARCHS})
list(TRANSFORM GDN_ARCHS REPLACE "^8.[679]$" "8.6")
list(REMOVE_DUPLICATES GDN_ARCHS)
gencode("csrc/gdn.cu" "${GDN_ARCHS}")
list(APPEND EXT_SRC csrc/gdn.cu)
"""
"""A source that is compiled for 8.6 in place of all later ones, as one of vLLM 0.33.0 is."""

DEFAULTED = """
if("8.0" IN_LIST CUDA_ARCHS)
  gencode("csrc/fa.cu" "8.0")
endif()
list(APPEND EXT_SRC csrc/fa.cu)
"""
"""A source that gets no architecture but 8.0, as flash-attention's do: else nvcc takes its default,
which is 7.5 with CUDA 13."""


@pytest.fixture
def ask(tree: Path, cache: Cache) -> Ask:
    def asked(archs: str, require: str | None = None, cuda: str = "13.0") -> Preflight:
        required = None if require is None else parse_requirements([require])
        return preflight(Question(tree, cuda, archs, required=required), cache)

    return asked


def _change(tree: Path, old: str, new: str) -> None:
    description = tree / "CMakeLists.txt"
    text = description.read_text()
    assert old in text
    description.write_text(text.replace(old, new))


def _add(tree: Path, name: str, text: str) -> None:
    (tree / "csrc" / name).touch()
    _change(tree, "Python_add_library(", f"{text}\nPython_add_library(")


def _errors(result: Preflight) -> list[Finding]:
    return [one for one in result.findings if one.level is Level.ERROR]


def test_what_a_member_of_the_list_takes_away_is_lost_at_its_line(ask: Ask, tree: Path) -> None:
    _add(tree, "q.cu", SELECTOR)
    result = ask("10.0f 12.0f")
    (lost,) = [one for one in _errors(result) if "csrc/q.cu" in one.sources]
    assert (lost.rule, lost.sources, str(lost.device)) == ("source-lost", ("csrc/q.cu",), "12.0")
    assert "beside 10.0f" in lost.message
    assert lost.location is not None
    line = (tree / "CMakeLists.txt").read_text().splitlines()[lost.location.line - 1]
    assert 'gencode("csrc/q.cu"' in line
    assert not any("csrc/q.cu" in one.sources for one in _errors(ask("12.0f")))


def test_a_required_device_whose_code_the_list_does_not_make_fails(ask: Ask, tree: Path) -> None:
    _change(tree, "take_archs(CUDA_ARCHS)\n", COLLAPSE)
    _change(tree, '"7.5;8.0;9.0;9.0a;10.0;', '"7.5;8.0;9.0;9.0a;10.0a;10.3;10.3a;')
    result = ask("10.0 10.0a", require="10.3")
    (dropped,) = _errors(result)
    assert (dropped.rule, str(dropped.device)) == ("arch-dropped", "10.3")
    assert "is compiled for 10.0a, which it cannot run" in dropped.message
    assert {str(one): tally.native for one, tally in result.devices.items()}["10.3"] == 0
    served = _errors(ask("10.0 10.0a", require="10.0"))
    assert "arch-dropped" not in {one.rule for one in served}


def test_orin_is_compared_with_earlier_devices_and_the_statement_names_them(
    ask: Ask, tree: Path
) -> None:
    _change(tree, '"7.5;8.0;', '"7.5;8.0;8.6;8.7;8.9;')
    _add(tree, "gdn.cu", ORIN)
    result = ask("8.7")
    (lost,) = [one for one in _errors(result) if one.rule == "source-lost"]
    assert lost.sources == ("csrc/gdn.cu",)
    assert "compiled for 8.6 instead of 8.7, which 8.7 cannot run" in lost.message
    assert "sibling" not in " ".join(one.message for one in result.findings)
    assert set(result.compared_with.values()) == {("8.0", "8.6")}
    # The code of 8.6 is promised to run on 8.9.
    assert not any(one.rule == "source-lost" for one in _errors(ask("8.9")))


def test_a_device_that_can_be_compared_with_nothing_has_no_statement_about_it(ask: Ask) -> None:
    result = ask("7.5")
    assert set(result.compared_with.values()) == {()}
    assert not any("alone" in one.message for one in result.findings)


@pytest.mark.parametrize("require", ["compute_120", "12.0 compute_120"])
def test_required_ptx_that_no_source_gets_fails_before_the_build(ask: Ask, require: str) -> None:
    """The description reads machine code alone off the list, as vLLM's does."""
    rules = {one.rule for one in _errors(ask("12.0+PTX", require=require))}
    assert "target-missing" in rules
    assert "ptx-dropped" in {one.rule for one in _errors(ask("12.0+PTX"))}


def test_comparing_flashinfer_moves_no_gates_of_the_whole_list(cache: Cache) -> None:
    """A module that exists for 12.x alone is nothing that 9.0a could get."""
    source = Path(__file__).parent / "flashinfer_tree"
    result = preflight(Question(source, "13.0", "9.0a 12.0f"), cache)
    assert not _errors(result)
    nine = next(device for device in result.devices if str(device) == "9.0")
    assert result.devices[nine].missing == 0
    assert not any("9.0a in place of 9.0a" in (one.remedy or "") for one in result.findings)


def test_what_nvcc_takes_by_default_is_nothing_to_lose(ask: Ask, tree: Path) -> None:
    _add(tree, "fa.cu", DEFAULTED)
    result = ask("7.5 8.0")
    assert not any("csrc/fa.cu" in one.sources for one in _errors(result))
    (defaulted,) = (one for one in ask("7.5").findings if one.rule == "arch-by-default")
    assert "csrc/fa.cu" in defaulted.sources
