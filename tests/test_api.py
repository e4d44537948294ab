"""The Python API: its examples run, its import is light, and a wheel of it works elsewhere."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import smforge
from smforge import api
from smforge.errors import UsageError

ROOT = Path(__file__).parents[1]
SOURCE = 'extern "C" __global__ void one(int *x) { *x = 1; }\n'
FLAGS = ("-shared", "-Xcompiler=-fPIC", "-gencode=arch=compute_120f,code=sm_120f")


@pytest.fixture
def wheel(compile_with: Callable[..., Path], tmp_path: Path) -> Path:
    """A wheel with one kernel for 12.0f."""
    path = tmp_path / "kernels-1.0-py3-none-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(compile_with(SOURCE, "libone.so", *FLAGS), "kernels/libone.so")
        archive.writestr("kernels-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return path


@pytest.mark.toolchain
def test_the_examples_of_the_docstrings_run(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    names = {
        "smforge": smforge,
        "wheel": wheel,
        "vllm_sources": ROOT / "tests" / "preflight" / "tree",
        "cache": tmp_path / "cache",
    }
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    for function in (api.audit, api.preflight, api.plan):
        (example,) = finder.find(function, function.__name__, globs=dict(names))
        assert len(example.examples) >= 2
        assert runner.run(example).failed == 0


def test_a_package_stays_a_package_and_can_be_called() -> None:
    program = (
        "import smforge, smforge.plan.records as records\n"
        "from smforge.plan import document\n"
        "assert smforge.plan.records is records\n"
        "for _ in range(2):\n"
        "    plan = smforge.plan('demo', config='versions.json')\n"
        "    assert isinstance(plan, records.Plan)\n"
        "assert callable(smforge.preflight) and callable(smforge.audit)\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", program), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_nothing_of_it() -> None:
    program = "import sys, smforge; print([n for n in sys.modules if n.startswith('smforge.')])"
    done = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['smforge.version']"


def test_a_word_that_is_no_requirement_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no device and no target"):
        smforge.audit(tmp_path, require="")
    with pytest.raises(AttributeError, match="no attribute 'slim'"):
        _ = smforge.slim


@pytest.mark.parametrize("name", ["builder", "smforge", "cli", "click"])
def test_no_folder_of_the_users_takes_the_packages_place(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    command = Path(sys.executable).with_name("smforge")
    environment = {**os.environ, "PYTHONPATH": f".:{ROOT / 'builder'}"}
    for words in ((command,), (sys.executable, "-m", "smforge")):
        done = subprocess.run(
            (*words, "--version"),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == f"smforge, version {smforge.__version__}", done.stderr


def test_a_package_of_the_users_does_not_take_the_commands_place(tmp_path: Path) -> None:
    """With -P, as ``python -m`` alone puts the current directory before everything else."""
    (tmp_path / "smforge").mkdir()
    (tmp_path / "smforge" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "pip.py").write_text("raise SystemExit('the wrong one')")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "builder")}
    command = Path(sys.executable).with_name("smforge")
    for words in ((command,), (sys.executable, "-P", "-m", "smforge")):
        done = subprocess.run(
            (*words, "--version"),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.toolchain
@pytest.mark.slow
def test_a_wheel_installed_elsewhere_audits(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment: a .pth file leads to them, not to us."""
    pip = (sys.executable, "-P", "-m", "pip", "--quiet", "--disable-pip-version-check")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path / "dist", ROOT)
    subprocess.run((*pip, *build), check=True)
    (built,) = (tmp_path / "dist").glob("smforge-*.whl")
    place = tmp_path / "venv"
    venv.create(place)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{dependencies_without_us(tmp_path)}\n")
    subprocess.run(
        (*pip, f"--python={place / 'bin/python'}", "install", "--no-deps", "--no-index", built),
        check=True,
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "builder").mkdir(parents=True)
    done = subprocess.run(
        (place / "bin/smforge", "audit", wheel, "--require=12.0", "-o", "json"),
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "pass"
    where = "import smforge; print(smforge.__file__)"
    found = subprocess.run(
        (place / "bin/python", "-c", where),
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).is_relative_to(place)


def dependencies_without_us(scratch: Path) -> Path:
    """A folder of links to all that is installed here, without smforge and its editable path."""
    folder = scratch / "dependencies"
    folder.mkdir()
    here = next(Path(one) for one in sys.path if one.endswith("site-packages"))
    for path in here.iterdir():
        if not path.name.startswith(("smforge", "_smforge", "_editable", "__editable__")):
            (folder / path.name).symlink_to(path)
    return folder
