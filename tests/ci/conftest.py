"""The linters of workflows, from packages; an installed action; a wheel for 12.0f alone."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci.github_steps import Steps, with_commands
from tests.locked_tools import installed

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
LOCK = ROOT / "tests" / "toolchains" / "ci-tools.txt"
RUNNERS = "self-hosted-runner:\n  labels: [smforge-large, larger-runner]\n"
"""The labels of runners that a user has to bring."""
KERNEL = 'extern "C" __global__ void normalise(float* a) { a[threadIdx.x] = 1; }'
FAMILY = ("-shared", "-Xcompiler", "-fPIC", "-gencode", "arch=compute_120f,code=sm_120f")

Linter = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository alone, where a runner puts an action."""
    folder = tmp_path_factory.mktemp("actions") / "owner" / "smforge" / "v1"
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """The files of a runner on which the first use of the action has installed smforge."""
    home = tmp_path_factory.mktemp("runner")
    steps = Steps(home, tmp_path_factory.mktemp("empty"), {"github.action_path": str(checkout)})
    assert steps.run(with_commands(ACTION["runs"]["steps"])[0]) == 0, steps.said
    return home


@pytest.fixture(scope="session")
def dist(compile_with: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without anything but dist/, which holds a wheel for 12.0f alone."""
    folder = tmp_path_factory.mktemp("workspace")
    library = compile_with(KERNEL, "norm.so", *FAMILY)
    (folder / "dist").mkdir()
    with zipfile.ZipFile(folder / "dist" / "norm-1.0-py3-none-linux_x86_64.whl", "w") as archive:
        archive.write(library, "norm/norm.so")
        archive.writestr(
            "norm-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-linux_x86_64\n"
        )
    return folder


@pytest.fixture(scope="session")
def ci_tools() -> Path:
    """The environment of ci-tools.txt, made once."""
    return installed(LOCK, "ci-tools")


@pytest.fixture(scope="session")
def actionlint(
    ci_tools: Path,
    debian_package: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Linter:
    """``actionlint(file)`` lints a workflow, and with shellcheck the scripts in it."""
    (program,) = ci_tools.glob("actionlint_*/bin/actionlint")
    program.chmod(0o755)
    shellcheck = debian_package("shellcheck") / "usr" / "bin"
    configuration = tmp_path_factory.mktemp("actionlint") / "actionlint.yaml"
    configuration.write_text(RUNNERS)
    return functools.partial(_actionlint, program, shellcheck, configuration)


def _actionlint(
    program: Path, shellcheck: Path, configuration: Path, file: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (program, "-no-color", "-config-file", configuration, file),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{shellcheck}{os.pathsep}{os.environ['PATH']}"},
    )


@pytest.fixture(scope="session")
def shellcheck(debian_package: Callable[[str], Path]) -> Callable[[str], str]:
    """Gives what shellcheck finds in a script of bash: nothing, or lines."""
    program = debian_package("shellcheck") / "usr" / "bin" / "shellcheck"

    def check(script: str) -> str:
        done = subprocess.run(
            (program, "--shell=bash", "--format=gcc", "-"),
            input=textwrap.dedent(script),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    return check


def zizmor(file: Path) -> subprocess.CompletedProcess[str]:
    """Look for what is unsafe in a workflow or an action."""
    program = Path(sys.executable).parent / "zizmor"
    flags = ("--offline", "--no-progress", "--no-config", "--no-online-audits", "--persona=regular")
    return subprocess.run((program, *flags, file), capture_output=True, text=True, check=False)


def check_schema(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against a schema that check-jsonschema carries; nothing is fetched."""
    program = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}")
    return subprocess.run((*program, file), capture_output=True, text=True, check=False)
