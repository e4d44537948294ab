"""Real CMake over the small tree: what is read off it, and what is left alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.errors import ToolError, UsageError
from smforge.findings import Location
from smforge.preflight.cache import Cache
from smforge.preflight.configure import configure
from smforge.preflight.probe.torch_flags import parse
from smforge.preflight.records import Configuration
from smforge.preflight.request import Request
from smforge.preflight.sources.tree import open_source

Run = Callable[..., Configuration]
Texts = Callable[[Configuration], dict[str, str]]


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        digest.update(f"{file.relative_to(root)}\0{file.lstat().st_mtime_ns}\0".encode())
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def test_units_have_the_gencode_of_the_build_description(
    run: Run, compiled: Texts, small_tree: Path
) -> None:
    configuration = run(small_tree, "9.0a 12.0a")
    assert compiled(configuration) == {
        "csrc/common.cu": "9.0a 12.0a",
        "csrc/fp4.cu": "12.0a",
        "csrc/hopper.cu": "9.0a",
        "csrc/quantization/marlin/sm80_kernel_bfloat16.cu": "8.0 +8.0",
        "csrc/quantization/marlin/sm80_kernel_float16.cu": "8.0 +8.0",
    }
    common = configuration.units[0]
    assert common.extension == "_C"
    assert common.gencode == ("arch=compute_90a,code=sm_90a", "arch=compute_120a,code=sm_120a")
    assert common.location == Location("CMakeLists.txt", _line('gencode("csrc/common.cu"'))


def test_a_location_is_where_the_choice_is_made_even_in_an_included_file(
    run: Run, small_tree: Path
) -> None:
    units = {unit.source: unit for unit in run(small_tree, "12.0").units}
    location = units[".deps/mla-src/csrc/mla.cu"].location
    assert location is not None
    assert location.file == "cmake/external_projects/mla.cmake"


def test_skips_carry_their_own_words_and_place(run: Run, small_tree: Path) -> None:
    skips = {skip.message: str(skip.location) for skip in run(small_tree, "12.1a").skips}
    text = "Not building FP4 as no compatible archs were found."
    assert skips[text] == f"CMakeLists.txt:{_line(text)}"
    assert len(skips) == 3


def test_a_source_without_flags_is_what_nvcc_makes_of_it(
    run: Run, compiled: Texts, small_tree: Path
) -> None:
    assert compiled(run(small_tree, "12.0f"))["csrc/forgotten.cu"] == "7.5 +7.5"
    older = run(small_tree, "12.0f", cuda="12.9")
    assert compiled(older)["csrc/forgotten.cu"] == "5.2 +5.2"


def test_an_external_project_that_is_not_there_is_named(run: Run, small_tree: Path) -> None:
    (external,) = run(small_tree, "12.0").not_examined
    assert (external.name, external.repository, external.revision) == (
        "mla", "https://example.invalid/mla.git", "0123abc",
    )  # fmt: skip
    assert external.named_sources == 1


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_checkout_of_an_external_project_is_used(
    compiled: Texts, small_tree: Path, tmp_path: Path, cache: Cache, way: str
) -> None:
    checkout = tmp_path / "mla"
    for name in ("csrc/mla.cu", "python/interface.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("")
    externals = {"mla": checkout} if way == "option" else {}
    environment = {"MLA_SRC_DIR": str(checkout)} if way == "variable" else {}
    request = Request(open_source(small_tree), "13.0", parse("12.0"), externals, environment)
    (configuration,) = configure([request], cache)
    assert configuration.not_examined == ()
    # A variable of upstream's names where the real build compiles too; an option stands for what
    # the build fetches.
    source = ".deps/mla-src/csrc/mla.cu" if way == "option" else str(checkout / "csrc/mla.cu")
    assert compiled(configuration)[source] == "12.0"


def test_the_refusal_of_the_sources_is_a_result(run: Run, small_tree: Path) -> None:
    configuration = run(small_tree, "11.0")
    assert configuration.units == ()
    assert configuration.refusal is not None
    assert configuration.refusal.by == "sources"
    assert configuration.refusal.message == "No supported CUDA architectures in the list."
    assert configuration.refusal.location is not None


def test_the_refusal_of_the_torch_that_the_sources_ask_for_is_a_result(
    run: Run, tree: Path
) -> None:
    description = tree / "CMakeLists.txt"
    description.write_text(description.read_text().replace('"2.10.0"', '"2.8.0"'))
    refusal = run(tree, "12.0f").refusal
    assert refusal is not None
    assert refusal.by == "torch"
    assert "torch 2.8.0" in refusal.message


def test_the_tree_is_never_written_to(run: Run, tree: Path) -> None:
    before = _digest(tree)
    run(tree, "12.0")
    assert _digest(tree) == before


def test_a_tree_that_may_not_be_written_to_is_enough(run: Run, tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert run(tree, "12.0").units
    finally:
        for path in (tree, *tree.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)


def test_tree_and_sdist_give_the_same_units(run: Run, small_tree: Path, sdist: Path) -> None:
    assert run(sdist, "12.0").units == run(small_tree, "12.0").units


def test_the_callers_environment_does_not_leak_in(
    run: Run, small_tree: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(small_tree, "12.0").units
    shutil.rmtree(cache.directory)
    for name, value in {
        "TORCH_CUDA_ARCH_LIST": "8.0",
        "CUDAARCHS": "80",
        "CUDAFLAGS": "-gencode arch=compute_80,code=sm_80",
        "CMAKE_GENERATOR": "Unix Makefiles",
        "CXX": "clang++",
    }.items():
        monkeypatch.setenv(name, value)
    assert run(small_tree, "12.0").units == expected


def test_the_cache_gives_the_same_answer(run: Run, small_tree: Path, cache: Cache) -> None:
    first = run(small_tree, "9.0a 12.1a")
    assert list(cache.directory.rglob("results/*.json"))
    assert run(small_tree, "9.0a 12.1a") == first
    refused = run(small_tree, "11.0")
    assert run(small_tree, "11.0") == refused


def test_a_damaged_cache_is_worked_out_again(run: Run, small_tree: Path, cache: Cache) -> None:
    first = run(small_tree, "12.1a")
    (entry,) = cache.directory.rglob("results/*.json")
    entry.write_text(entry.read_text()[:-20])
    assert run(small_tree, "12.1a") == first


def test_a_changed_source_is_another_question(run: Run, compiled: Texts, tree: Path) -> None:
    assert "csrc/fp4.cu" not in compiled(run(tree, "12.1a"))
    description = tree / "CMakeLists.txt"
    description.write_text(description.read_text().replace("12.0a;12.0f", "12.0a;12.0f;12.1a", 1))
    description.write_text(description.read_text().replace('"10.0f;12.0a', '"10.0f;12.1a;12.0a'))
    assert compiled(run(tree, "12.1a"))["csrc/fp4.cu"] == "12.1a"


def test_a_remembered_generator_leaves_the_same_files(
    run: Run, compiled: Texts, tree: Path, cache: Cache
) -> None:
    first = compiled(run(tree, "12.0"))
    shutil.rmtree(next(cache.directory.rglob("results")))
    (record,) = cache.directory.rglob("generators/*.json")
    # The generator would fail now, so these files can only come from the record.
    assert record.stat().st_size > 0
    (tree / "csrc/bindings.cpp").write_text("// Another tree, the same generator.")
    assert compiled(run(tree, "12.0")) == first


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module", "needs the Python module no_such_module"),
        ("raise SystemExit('broken')", "failed: broken"),
    ],
)
def test_a_failing_generator_is_one_clear_error(run: Run, tree: Path, code: str, said: str) -> None:
    script = tree / "csrc/quantization/marlin/generate_kernels.py"
    script.write_text(f"{code}\n")
    with pytest.raises(ToolError, match=said) as raised:
        run(tree, "12.0")
    assert "csrc/quantization/marlin/generate_kernels.py" in raised.value.message


def test_an_error_of_cmake_is_one_clear_error(run: Run, tree: Path) -> None:
    with (tree / "CMakeLists.txt").open("a") as description:
        description.write("\nno_such_command()\n")
    with pytest.raises(ToolError, match=r"CMakeLists\.txt:\d+ \(no_such_command\)"):
        run(tree, "12.0")


def test_a_tree_without_vllm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no CMakeLists\.txt"):
        open_source(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_a_real_interrupt_leaves_nothing_behind(
    tree: Path, tmp_path: Path, number: signal.Signals
) -> None:
    started = tmp_path / "started"
    script = tree / "csrc/quantization/marlin/generate_kernels.py"
    script.write_text(
        f"import os, pathlib, time\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    # Where the tests run in the background, they have inherited that SIGINT is ignored.
    process = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "smforge", "preflight",
         "--source", tree, "--cuda", "13.0", "--archs", "12.0"],
        env={**os.environ, "TMPDIR": str(temporary), "XDG_CACHE_HOME": str(tmp_path / "xdg")},
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (started.exists() and started.read_text()):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.strip() == "smforge: Interrupted."
    assert list(temporary.iterdir()) == []
    assert not _runs(int(started.read_text()))
    assert not list((tmp_path / "xdg").rglob(".new-*"))


def test_no_temporary_directory_is_left(
    run: Run, small_tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    run(small_tree, "12.0")
    assert list((tmp_path / "tmp").iterdir()) == []


def _runs(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be collected."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _line(text: str) -> int:
    lines = (Path(__file__).parent / "tree" / "CMakeLists.txt").read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)
