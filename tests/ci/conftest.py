"""The linters of workflows, from the machine or from packages."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "tests" / "toolchains" / "ci-tools.txt"
RUNNERS = "self-hosted-runner:\n  labels: [smforge-large, larger-runner]\n"
"""The labels of runners that a user has to bring."""

Linter = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def ci_tools() -> Path:
    """The environment of ci-tools.txt, made once."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    kept = ROOT / ".smforge" / "toolchains" / f"ci-tools-{digest}"
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            locked = ("--require-hashes", "--only-binary=:all:", "-r", LOCK)
            subprocess.run((*pip, *locked, "--target", f"{scratch}/made"), check=True)
            Path(scratch, "made").rename(kept)
    return kept


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
