"""What is installed with ``smforge`` alone, and what it says where more is needed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge import extras
from smforge.errors import ToolError
from smforge.extras import from_build_extra, require_build_extra
from tests.install.conftest import ROOT, Installed

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULE_OF = {"python-on-whales": "python_on_whales", "pyyaml": "yaml"}
"""The modules of packages whose module has another name."""


def test_the_modules_are_those_of_the_extra() -> None:
    names = [re.split(r"[<>=;\s]", one)[0] for one in PROJECT["optional-dependencies"]["build"]]
    assert sorted(MODULE_OF.get(name, name) for name in names) == list(extras.MODULES)


def test_no_package_is_both_in_the_extra_and_always_installed() -> None:
    names = {
        kind: {re.split(r"[<>=;\s]", one)[0] for one in requirements}
        for kind, requirements in (
            ("always", PROJECT["dependencies"]),
            ("extra", PROJECT["optional-dependencies"]["build"]),
        )
    }
    assert names["always"].isdisjoint(names["extra"])


def test_a_module_outside_of_the_extra_is_a_defect_and_passes_through() -> None:
    with pytest.raises(ModuleNotFoundError), from_build_extra("A build"):
        import smforge_has_no_such_module  # type: ignore[import-not-found]  # noqa: F401, PLC0415


def test_a_missing_module_that_another_program_imports_is_a_sentence() -> None:
    with pytest.raises(ToolError, match=r"^Preflight needs the Python package no_such_module, "):
        require_build_extra("Preflight", "no_such_module")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (("preflight", "demo"), "jinja2"),
        (("preflight", "demo-source", "--component", "vllm"), "jinja2"),
        (("matrix", "--format", "github"), "yaml"),
        (("matrix", "--format", "buildkite"), "yaml"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_without_the_extra_a_sentence_names_it(
    reader: Installed, tmp_path: Path, arguments: tuple[str, ...], package: str
) -> None:
    done = reader.run(*arguments, cwd=ROOT, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 4, done.stderr
    (line,) = done.stderr.splitlines()
    assert f" needs the Python package {package}, " in line
    assert line.endswith(f"Install it: {extras.INSTALL}.")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.engine
def test_without_the_extra_a_build_says_so(reader: Installed, tmp_path: Path) -> None:
    options = ("--out", tmp_path, "--preflight", "off", "--force")
    done = reader.run("build", "demo", *options, cwd=ROOT)
    assert done.returncode == 4, done.stderr
    assert " needs the Python package python_on_whales, " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.toolchain
def test_smforge_alone_audits_and_plans(
    reader: Installed, tmp_path: Path, compile_with: Callable[..., Path]
) -> None:
    cubin = compile_with(
        "__global__ void scale(float *x) { *x *= 2; }", "k.cubin", "-cubin", "-arch=sm_120"
    )
    audit = reader.run("audit", cubin, "--require", "12.1", "--kernels", "-o", "json", cwd=tmp_path)
    assert audit.returncode == 0, audit.stderr
    assert reader.run("audit", cubin, "--require", "9.0", cwd=tmp_path).returncode == 1
    both = reader.run("audit", cubin, "--require", "12.1", "--backend", "both", cwd=tmp_path)
    assert both.returncode == 0, both.stderr
    plan = reader.run("plan", "demo", cwd=ROOT)
    assert plan.returncode == 0, plan.stderr
    matrix = reader.run("matrix", "--format", "json", cwd=ROOT)
    assert matrix.returncode == 0, matrix.stderr
