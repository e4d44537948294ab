"""What compilers took: how it is measured and kept, and what a step has. No compiler runs here."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.bake.host import job_limits

CACHE = Path(__file__).parents[2] / "docker" / "compile-cache"
TABLE = Path(job_limits.__file__).parent / "data" / "compile_memory.json"
MIB = 1 << 20

# As sccache 0.16.0 calls them with nvcc 13.0.88, without most flags.
UNIT = "/src/csrc/k.cu"
FOLDER = "/tmp/sccache_nvccpiaDIq"
COMMANDS = [
    (
        f"cc1plus -E -quiet -D __NVCC__ -include cuda_runtime.h {UNIT} -o {FOLDER}/x_0.cpp4.ii "
        f"-dumpdir {FOLDER}/ -dumpbase x_0.cpp4.cu -dumpbase-ext .cu",
        "/src/build",
        (FOLDER, UNIT, "host"),
    ),
    (
        f"cudafe++ --c++17 --orig_src_file_name {UNIT} --orig_src_path_name {UNIT} --m64 "
        f"--gen_c_file_name x_0.cudafe1.cpp --module_id_file_name {FOLDER}/k.module_id x_0.cpp4.ii",
        FOLDER,
        (FOLDER, UNIT, "host"),
    ),
    (
        f"/cuda/bin/../nvvm/bin/cicc --orig_src_file_name {UNIT} -arch compute_120f -m64 "
        f"--include_file_name k.fatbin.c --gen_c_file_name x_0.cudafe1.c x_0.cpp1.ii "
        f"-o {FOLDER}/k.compute_120f.ptx",
        FOLDER,
        (FOLDER, UNIT, "compute_120f"),
    ),
    (
        f"/cuda/bin/ptxas -arch sm_90a -m64 k.compute_90a.ptx -o {FOLDER}/k.compute_90a.cubin",
        FOLDER,
        (FOLDER, None, "sm_90a"),
    ),
    (f"ptxas -arch=sm_80 k.ptx -o {FOLDER}/k.cubin", FOLDER, (FOLDER, None, "sm_80")),
    (
        f"cc1plus -quiet {FOLDER}/x_0.cudafe1.cpp -quiet -dumpbase k.cpp -dumpbase-ext .cpp "
        "-o /tmp/ccAtC3Jf.s",
        "/src/build",
        (FOLDER, None, "host"),
    ),
    ("cc1plus -quiet ../csrc/h.cc -dumpbase h.cc", "/src/build", (None, "/src/csrc/h.cc", "host")),
    ("cc1plus -E -quiet /tmp/sccacheo1nF48/testfile.c", "/", (None, None, "host")),
    (
        "cc1plus -E -quiet /tmp/tmpxft_0000004f_00000000-2.cpp -dumpbase tmpxft_0000004f-2.cpp",
        "/",
        (None, None, "host"),
    ),
    ("cudafe++ --orig_src_path_name /v/Modules/CMakeCUDACompilerABI.cu", "/", (None, None, "host")),
    ("cc1plus -quiet /b/CMakeFiles/3.31/CompilerIdCXX/a.cpp", "/", (None, None, "host")),
]


@pytest.fixture(scope="module")
def programs() -> Iterator[SimpleNamespace]:
    """The scripts of the step, as they import each other."""
    sys.path.insert(0, str(CACHE))
    names = ("peaks", "memory", "sampler", "count")
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(CACHE))


@pytest.mark.parametrize(("command", "cwd", "expected"), COMMANDS)
def test_a_step_is_of_the_unit_that_its_command_names(
    programs: SimpleNamespace, command: str, cwd: str, expected: tuple[str | None, ...]
) -> None:
    step = programs.sampler.step_of(command.split(), cwd)
    assert (step.folder, step.unit, step.target) == expected


def test_steps_that_name_no_source_count_for_that_of_their_folder(
    programs: SimpleNamespace,
) -> None:
    sampler = programs.sampler.Sampler(b"/socket")
    sampler.seen = {(FOLDER, "sm_90a"): 2048, (FOLDER, "host"): 1025, ("/src/h.cc", "host"): 1}
    sampler.seen["/tmp/sccache_nvccother", "sm_90a"] = 9
    sampler.units = {FOLDER: UNIT}
    assert sampler.peaks(3) == {
        (UNIT, "sm_90a"): (2, 3),
        (UNIT, "host"): (2, 3),
        ("/src/h.cc", "host"): (1, 3),
    }


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(WORDS), WORDS)
def test_every_command_is_a_step(programs: SimpleNamespace, words: list[str], cwd: str) -> None:
    assert programs.sampler.step_of(words, cwd).target


@given(content=st.binary() | st.text("/\t\n0a-", max_size=60).map(str.encode))
def test_a_broken_file_counts_for_nothing(
    programs: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("kept") / "peaks"
    path.write_bytes(content)
    found = programs.peaks.read(path)
    kept = programs.peaks.keep(path, {(UNIT, "host"): (5, 6)})
    assert kept == {**found, (UNIT, "host"): (5, 6)}
    assert programs.peaks.read(path)[UNIT, "host"] == (5, 6)


def test_the_larger_peak_and_the_later_day_stay(programs: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "smforge" / "peaks"
    programs.peaks.keep(path, {(UNIT, "host"): (9, 1), ("/b.cu", "sm_80"): (1, 1)})
    programs.peaks.keep(path, {(UNIT, "host"): (5, 2), ("/bad\tname.cu", "sm_80"): (1, 2)})
    assert programs.peaks.read(path) == {(UNIT, "host"): (9, 2), ("/b.cu", "sm_80"): (1, 1)}


def test_the_units_of_the_latest_builds_stay(
    programs: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs.peaks, "MOST_KEPT", 2)
    units = {(f"/{day}.cu", "host"): (1, day) for day in range(5)}
    kept = programs.peaks.keep(tmp_path / "peaks", units)
    assert set(kept) == {("/3.cu", "host"), ("/4.cu", "host")}


def _keep(folder: str, path: str, number: int) -> None:
    sys.path.insert(0, folder)
    peaks = importlib.import_module("peaks")
    for each in range(20):
        peaks.keep(Path(path), {(f"/{number}-{each}.cu", "host"): (1, 1)})


def test_steps_that_keep_at_the_same_time_lose_nothing(
    programs: SimpleNamespace, tmp_path: Path
) -> None:
    spawn = multiprocessing.get_context("spawn")
    each = [
        spawn.Process(target=_keep, args=(str(CACHE), str(tmp_path / "peaks"), number))
        for number in range(3)
    ]
    for process in each:
        process.start()
    for process in each:
        process.join(60)
    assert [process.exitcode for process in each] == [0, 0, 0]
    assert len(programs.peaks.read(tmp_path / "peaks")) == 60


def test_the_record_names_the_ten_units_that_took_most(programs: SimpleNamespace) -> None:
    measured = {(f"/{number:02}.cu", "sm_80"): (number * 512, 1) for number in range(1, 15)}
    measured["/14.cu", "host"] = (100, 1)
    found = programs.count.hungriest(measured)
    assert len(found) == 10
    assert found[0] == {"unit": "/14.cu", "target": "sm_80", "gib": 7.0}
    assert [one["gib"] for one in found] == sorted((one["gib"] for one in found), reverse=True)


# --- What a step has -----------------------------------------------------------------------------


def tree(root: Path, cgroup: str, **limits: str) -> Path:
    """What the kernel shows of 8 GiB, of which 4 are free, and of limits by path."""
    texts = {
        "proc/meminfo": f"MemTotal: {8 << 20} kB\nMemAvailable:    {4 << 20} kB\n",
        "proc/self/cgroup": cgroup,
        **limits,
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "limits", "gib"),
    [
        ("0::/\n", {"sys/fs/cgroup/memory.max": "max\n"}, 4),
        ("0::/\n", {"sys/fs/cgroup/memory.max": f"{1 << 30}\n"}, 1),
        # Outside of a container, a limit of the parent holds as well.
        (
            "0::/pod/step\n",
            {
                "sys/fs/cgroup/pod/memory.max": f"{2 << 30}\n",
                "sys/fs/cgroup/pod/step/memory.max": f"{3 << 30}\n",
            },
            2,
        ),
        # In one, the kernel may name a path that is not there.
        (
            "4:memory:/docker/buildkit/x\n1:cpu:/y\n0::/z\n",
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{1 << 30}\n"},
            1,
        ),
        (
            "4:memory:/x\n",
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
            4,
        ),
        ("", {}, 4),
    ],
)
def test_the_least_of_what_is_free_and_of_all_limits_counts(
    programs: SimpleNamespace, tmp_path: Path, cgroup: str, limits: dict[str, str], gib: int
) -> None:
    assert programs.memory.free_bytes(tree(tmp_path, cgroup, **limits)) == gib << 30


@pytest.fixture
def limited() -> Iterator[Path]:
    """A real memory cgroup of 300 MiB; gives the file that takes processes."""
    name = f"smforge-test-{os.getpid()}"
    for mount, limit in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max"),
    ):
        folder = Path(mount, name)
        if not Path(mount, "cgroup.procs").exists():
            continue
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(300 * MIB))
            yield folder / "cgroup.procs"
        except OSError:
            continue
        else:
            return
        finally:
            folder.rmdir()
    pytest.skip("this machine lets nobody make a memory cgroup")


def test_the_limit_of_a_real_cgroup_counts(limited: Path, tmp_path: Path) -> None:
    def free(*prefix: str) -> int:
        code = "import memory; print(memory.free_bytes())"
        done = subprocess.run(
            (*prefix, sys.executable, "-c", code),
            env={**os.environ, "PYTHONPATH": str(CACHE), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    enter = f'echo $$ >{limited}; exec "$@"'
    assert free("sh", "-euc", enter, "sh") == 300 * MIB < free()


def test_what_a_step_gets_is_the_budget_what_was_measured_and_the_table(
    programs: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"/src/a.cu\tsm_80\t7\t1\nbroken\xff\n")
    monkeypatch.setattr(programs.memory, "TABLE", TABLE)
    monkeypatch.setattr(programs.memory, "free_bytes", lambda: 10 << 30)
    programs.memory.main("vllm", tmp_path, kept)
    assert (tmp_path / "budget").read_text() == f"{8 * 1024}\n"
    assert (tmp_path / "peaks").read_text() == "/src/a.cu\tsm_80\t7\t1\n"
    lines = (tmp_path / "table").read_text().splitlines()
    assert lines[0] == "2048\thost\t"
    assert lines[-1] == f"{9.5 * 1024:.0f}\tcuda\t"
    assert any("qutlass" in line for line in lines)
    programs.memory.main("lmcache", tmp_path, kept)
    assert "qutlass" not in (tmp_path / "table").read_text()
    assert "up to 8.0 GiB together" in capsys.readouterr().out


def test_every_unit_of_the_table_says_where_its_figure_is_from() -> None:
    table = json.loads(TABLE.read_text())
    units = table["units"]
    assert units
    assert all(unit["source"] and unit["gib"] > 0 and unit["path_has"] for unit in units)
    assert table["host"]["source"]


def test_no_unit_of_the_table_hides_a_later_one() -> None:
    units = json.loads(TABLE.read_text())["units"]
    for at, later in enumerate(units):
        for before in units[:at]:
            assert (
                before["component"] != later["component"]
                or before["path_has"] not in later["path_has"]
            )
