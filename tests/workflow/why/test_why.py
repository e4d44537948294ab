"""Missing kernels of a real wheel are joined to sources and to the lines that leave them out."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from smforge.arch.target import ComputeCapability
from smforge.errors import UsageError
from smforge.findings import Location
from smforge.preflight.cache import Cache
from smforge.preflight.records import Choice
from smforge.report.build import report_of, to_json
from smforge.report.html.audit_page import audit_page
from smforge.report.html.saved_page import saved_page
from smforge.report.junit import render_junit
from smforge.report.markdown import render_markdown
from smforge.report.model import Reason, Report
from smforge.report.sarif import render_sarif
from smforge.report.saved import report_from_json
from smforge.report.table import render_table
from smforge.verdict.audit import audit
from smforge.verdict.reading import Backend
from smforge.verdict.records import Verdict
from smforge.workflow.audit_request import request_of
from smforge.workflow.why.reasons import vllm_release, with_reasons
from smforge.workflow.why.release import gives

TREE = Path(__file__).parents[2] / "preflight" / "tree"
NAME = "vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl"
COMMON = r"""
namespace { __global__ void everywhere(int *x) { *x = 1; } }
void call(int *x) { everywhere<<<1, 1>>>(x); }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
__global__ void only_before(int *x) { *x = 2; }
#endif
// Some host code names the kernel, so it may be launched.
extern "C" const char *kernel_name() { return "_Z11only_beforePi"; }
"""
OLD = r"""
namespace { __global__ void old(int *x) { *x = 3; } }
void call_old(int *x) { old<<<1, 1>>>(x); }
"""
NAMELESS = r"""
__global__ void nameless(int *x) { *x = 4; }
void call_nameless(int *x) { nameless<<<1, 1>>>(x); }
"""
MARLIN = r"""
__global__ void marlin(int *x) { *x = 5; }
void call_marlin(int *x) { marlin<<<1, 1>>>(x); }
"""
UNITS = {
    "common.cu": (COMMON, ("80", "90")),
    "old-code.cu": (OLD, ("75", "80")),
    "nameless.cu": (NAMELESS, ("80",)),
    "marlin.cu": (MARLIN, ("80", "80+PTX")),
}
HELPERS = """
macro(cuda_archs_loose_intersection out known wanted)
  supported(${out} "${known}" "${wanted}")
endmacro()
macro(set_gencode_flags_for_srcs)
  cmake_parse_arguments(arg "" "" "SRCS;CUDA_ARCHS" ${ARGN})
  gencode("${arg_SRCS}" "${arg_CUDA_ARCHS}")
endmacro()
"""
OLD_CMAKE = """
cuda_archs_loose_intersection(OLD_ARCHS "7.5;8.0" "${CUDA_ARCHS}")
if(OLD_ARCHS)
  set_gencode_flags_for_srcs(
    SRCS "csrc/old-code.cu"
    CUDA_ARCHS "${OLD_ARCHS}")
  list(APPEND EXT_SRC csrc/old-code.cu)
endif()

# Hopper's own."""
pytestmark = pytest.mark.toolchain


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small tree with the names of vLLM's commands, and one more source."""
    tree = tmp_path_factory.mktemp("sources") / "tree"
    shutil.copytree(TREE, tree)
    described, helpers = tree / "CMakeLists.txt", tree / "cmake" / "utils.cmake"
    text = described.read_text().replace("supported(", "cuda_archs_loose_intersection(")
    text = text.replace(
        'gencode("csrc/common.cu" "${CUDA_ARCHS}")',
        'set_gencode_flags_for_srcs(SRCS "csrc/common.cu" CUDA_ARCHS "${CUDA_ARCHS}")',
    )
    assert "\n# Hopper's own." in text
    described.write_text(text.replace("\n# Hopper's own.", OLD_CMAKE))
    helpers.write_text(helpers.read_text() + HELPERS)
    (tree / "csrc" / "old-code.cu").write_text(OLD)
    return tree


@pytest.fixture(scope="module")
def wheel(nvcc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of vLLM's name whose library has four translation units."""
    folder = tmp_path_factory.mktemp("wheel")
    for name, (source, codes) in UNITS.items():
        (folder / name).write_text(source)
        passes = [
            f"-gencode=arch=compute_{one[:2]},code={'compute' if '+' in one else 'sm'}_{one[:2]}"
            for one in codes
        ]
        command: list[str | Path] = [
            nvcc,
            "-c",
            "-Xcompiler=-fPIC",
            *passes,
            "-o",
            f"{name}.o",
            name,
        ]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    objects = [f"{name}.o" for name in UNITS]
    command = [nvcc, "-shared", "-o", "_C.abi3.so", *objects]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        archive.write(folder / "_C.abi3.so", "vllm/_C.abi3.so")
        archive.writestr("vllm-0.33.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return folder / NAME


def judged(subject: Path, *words: str) -> Verdict:
    request = request_of(
        words=words,
        variant=None,
        config=None,
        driver=None,
        native=False,
        allowed=(),
        policies=(),
        shipped=False,
    )
    return audit(str(subject), request, Backend.NATIVE)


@pytest.fixture(scope="module")
def explained(
    wheel: Path, sources: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Verdict, Report]:
    verdict = judged(wheel, "9.0", "12.0", "7.5", "10.7")
    asked = []

    def fetch(version: str) -> Path:
        asked.append(version)
        return sources

    cache = Cache(tmp_path_factory.mktemp("cache"))
    report = with_reasons(report_of(verdict), verdict, fetch, cache)
    assert asked == ["0.33.0"]
    return verdict, report


def of(report: Report, device: str, kernel: str) -> Reason:
    (found,) = (
        one
        for one in report.reasons
        if one.device == device and any(kernel in family.name for family in one.families)
    )
    return found


def line_of(sources: Path, text: str) -> str:
    lines = (sources / "CMakeLists.txt").read_text().splitlines()
    (number,) = (at for at, line in enumerate(lines, 1) if text in line)
    return f"CMakeLists.txt:{number}"


def test_each_missing_kernel_has_its_reason(
    explained: tuple[Verdict, Report], sources: Path
) -> None:
    _, report = explained
    listed = of(report, "12.0", "everywhere")
    assert (listed.cause, listed.sources) == ("not-listed", ("csrc/common.cu",))
    assert listed.location == line_of(sources, 'cuda_archs_loose_intersection(CUDA_ARCHS "')
    assert listed.condition is not None
    assert listed.condition.startswith("CUDA_ARCHS: 7.5;8.0;9.0;")
    old = of(report, "9.0", "old")
    assert (old.cause, old.sources) == ("not-supported", ("csrc/old-code.cu",))
    assert old.location == line_of(sources, "cuda_archs_loose_intersection(OLD_ARCHS")
    assert old.condition == "OLD_ARCHS: 7.5;8.0"
    assert of(report, "12.0", "old").cause == "not-supported"
    within = of(report, "9.0", "only_before")
    assert (within.cause, within.condition) == ("within-source", None)
    unnamed = of(report, "9.0", "nameless")
    assert (unnamed.cause, unnamed.sources, unnamed.location) == ("not-known", (), None)
    # In the list of the build there is 7.5, and not in the code.
    assert of(report, "7.5", "everywhere").cause == "not-known"


def test_a_device_that_came_after_the_toolkit(explained: tuple[Verdict, Report]) -> None:
    (later,) = (one for one in explained[1].reasons if one.device == "10.7")
    assert (later.cause, later.location) == ("not-supported", None)
    assert "CUDA 13.0" in later.message


def test_a_region_without_a_name_is_of_the_sources_with_its_code(
    explained: tuple[Verdict, Report], sources: Path
) -> None:
    marlin = of(explained[1], "7.5", "marlin")
    assert marlin.cause == "not-supported"
    assert marlin.location == line_of(sources, 'gencode("${MARLIN_SRC}"')
    assert marlin.sources
    assert all("/marlin/sm80_kernel_" in one for one in marlin.sources)
    assert "of one of these sources" in marlin.message


def test_every_missing_kernel_is_counted_once(explained: tuple[Verdict, Report]) -> None:
    _, report = explained
    for device, tally in report.devices.items():
        reasons = [one for one in report.reasons if one.device == device]
        assert sum(one.kernels for one in reasons) == tally.missing
        for one in reasons:
            assert sum(family.count for family in one.families) == one.kernels


def test_every_format_that_shows_reasons_has_them(explained: tuple[Verdict, Report]) -> None:
    verdict, report = explained
    assert report_from_json(to_json(report)) == report
    for text in (render_table(report), render_markdown([report])):
        folded = " ".join(text.replace("\\", "").split())
        assert "not-supported" in folded
        assert "OLD_ARCHS: 7.5;8.0" in folded
        assert "csrc/old-code.cu" in folded
    for text in (render_sarif([report]), render_junit([report])):
        assert "OLD_ARCHS: 7.5;8.0" in text
    page = audit_page([verdict], reasons=[report.reasons])
    (old,) = (
        note
        for note in page.tabs[0].notes
        if note.rule == "why not-supported" and note.columns == ("9.0",)
    )
    assert (old.row, old.remedy) == ("vllm/_C.abi3.so", "csrc/old-code.cu")
    saved = saved_page([report]).tabs[0].notes
    assert [note.message for note in saved] == [note.message for note in page.tabs[0].notes]
    assert "reasons" not in json.loads(to_json(replace(report, reasons=())))


def test_nothing_is_fetched_where_nothing_is_missing(wheel: Path, tmp_path: Path) -> None:
    verdict = judged(wheel, "8.0")
    report = report_of(verdict)

    def fetch(version: str) -> Path:
        pytest.fail(f"asked for {version}")

    assert with_reasons(report, verdict, fetch, Cache(tmp_path)) is report


@pytest.mark.parametrize(
    ("name", "kind"),
    [("torch-2.14.0-cp312-cp312-linux_x86_64.whl", "wheel"), ("vllm", "tree"), ("x.whl", "wheel")],
)
def test_other_subjects_are_refused(
    explained: tuple[Verdict, Report], name: str, kind: str
) -> None:
    subject = replace(explained[1].subject, name=name, kind=kind)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="vLLM's wheels alone"):
        vllm_release(subject)


def test_a_release_of_an_index_is_known_by_its_file(explained: tuple[Verdict, Report]) -> None:
    subject = replace(explained[1].subject, name="pypi:vllm==0.33.0", file=NAME)
    assert vllm_release(subject) == "0.33.0"


@pytest.mark.parametrize(
    ("supported", "device", "expected"),
    [
        ("9.0a", "9.0", True),
        ("10.0f;11.0f", "11.0", True),
        ("10.0f", "10.3", True),
        ("8.0", "8.6", True),
        ("8.0", "9.0", False),
        ("8.0+PTX;12.0f", "9.0", True),
        ("", "10.0", True),
        ("", "8.9", False),
        ("9.0a;", "8.0", False),
    ],
)
def test_what_a_line_supports(supported: str, device: str, expected: bool) -> None:
    choice = Choice("X", supported, Location("CMakeLists.txt", 1))
    assert gives(choice, ComputeCapability.parse(device)) is expected


def test_what_the_sources_cannot_be_configured_for_is_a_sentence(
    explained: tuple[Verdict, Report], tmp_path: Path
) -> None:
    verdict, report = explained

    def fetch(_version: str) -> Path:
        return tmp_path

    mute = replace(report, files=tuple(replace(one, toolkit=None) for one in report.files))
    other = replace(report, subject=replace(report.subject, platform="linux/ppc64le"))
    fetched = tmp_path / "CMakeLists.txt"
    fetched.write_text("")
    for broken, said in ((mute, "which CUDA release"), (other, "linux/ppc64le")):
        with pytest.raises(UsageError, match=said):
            with_reasons(broken, verdict, lambda _version: TREE, Cache(tmp_path))
    with pytest.raises(UsageError, match="neither vLLM's nor"):
        with_reasons(report, verdict, fetch, Cache(tmp_path))
