"""The scripts that make vLLM's wheel: its name, what is chosen, and a build by setuptools."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from smforge.bake.host import own_engine

Script = Callable[[str], ModuleType]
SCRIPT = Path(__file__).parents[2] / "docker" / "vllm" / "build_wheel.py"
EXTENSIONS = st.frozensets(st.from_regex(r"_?[a-zA-Z][a-zA-Z0-9_]{0,20}", fullmatch=True))


@pytest.fixture(scope="module")
def build_wheel(script: Script) -> ModuleType:
    return script("vllm/build_wheel")


def test_a_whole_wheel_is_named_like_any_other(build_wheel: ModuleType) -> None:
    assert build_wheel.wheel_version("0.33.0", "cu130", ()) == "0.33.0+cu130"


@given(extensions=EXTENSIONS.filter(bool), version=st.sampled_from(["0.33.0", "0.33.1rc1", "1.0"]))
def test_no_resolver_takes_a_part_for_the_whole(
    script: Script, extensions: frozenset[str], version: str
) -> None:
    wheel_version = script("vllm/build_wheel").wheel_version
    whole = Version(wheel_version(version, "cu130", ()))
    part = Version(wheel_version(version, "cu130", extensions))
    assert part < whole
    assert part.is_prerelease
    assert part not in SpecifierSet(f"=={version}", prereleases=True)
    assert whole in SpecifierSet(f"=={version}", prereleases=True)


@given(one=EXTENSIONS.filter(bool), other=EXTENSIONS.filter(bool))
def test_parts_with_other_extensions_have_other_versions(
    script: Script, one: frozenset[str], other: frozenset[str]
) -> None:
    wheel_version = script("vllm/build_wheel").wheel_version
    same = wheel_version("1.0", "cu130", one) == wheel_version("1.0", "cu130", other)
    assert same == (one == other)


@pytest.mark.parametrize(
    ("version", "extensions", "expected"),
    [
        ("0.33.1.dev7+g0a1b2c3", (), "0.33.1.dev7+g0a1b2c3.cu130"),
        ("0.33.1.dev7+g0a1b2c3", ("_C",), "0.33.1.dev7+g0a1b2c3.cu130.partial.f0ea68e5"),
    ],
)
def test_a_checkout_keeps_its_commit(
    build_wheel: ModuleType, version: str, extensions: tuple[str, ...], expected: str
) -> None:
    made = build_wheel.wheel_version(version, "cu130", extensions)
    assert made.rpartition(".")[0] == expected.rpartition(".")[0]
    assert str(Version(made)) == made


def modules(*names: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(name=name) for name in names]


def test_extensions_are_named_by_their_cmake_targets(build_wheel: ModuleType) -> None:
    known = modules("vllm._C", "vllm.vllm_flash_attn._vllm_fa2_C", "vllm._moe_C")
    chosen = build_wheel.choose(known, ["_vllm_fa2_C", "_C"])
    assert [one.name for one in chosen] == ["vllm._C", "vllm.vllm_flash_attn._vllm_fa2_C"]
    assert build_wheel.choose(known, []) == known


def test_an_extension_that_is_not_there_is_refused(build_wheel: ModuleType) -> None:
    with pytest.raises(build_wheel.SelectionError, match=r"no extension called _moe\b.*_moe_C"):
        build_wheel.choose(modules("vllm._C", "vllm._moe_C"), ["_moe"])


def test_projects_without_sources_are_not_configured(
    build_wheel: ModuleType, tmp_path: Path
) -> None:
    descriptions = tmp_path / "src" / "cmake" / "external_projects"
    descriptions.mkdir(parents=True)
    for name in ("deepgemm", "vllm_flash_attn", "qutlass"):
        (descriptions / f"{name}.cmake").write_text("FetchContent_MakeAvailable(x)\n")
    for name in ("cutlass", "vllm-flash-attn"):
        (tmp_path / "externals" / f"{name}-src").mkdir(parents=True)
    left_out = build_wheel.leave_out(tmp_path / "src", tmp_path / "externals")
    assert left_out == ["deepgemm", "qutlass"]
    assert "Fetch" not in (descriptions / "qutlass.cmake").read_text()
    assert "Fetch" in (descriptions / "vllm_flash_attn.cmake").read_text()


# A project of vLLM's shape: CMake builds one target per extension, and build_ext goes on to copy
# files for editable installations, which fails here as it does where triton_kernels is left out.
SETUP = """
import pathlib, shutil, subprocess
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

class CMakeExtension(Extension):
    def __init__(self, name):
        super().__init__(name, sources=[], py_limited_api=True)

class cmake_build_ext(build_ext):
    def build_extensions(self):
        names = [one.name.rpartition(".")[2] for one in self.extensions]
        for one, name in zip(self.extensions, names):
            library = pathlib.Path(self.get_ext_fullpath(one.name))
            library.parent.mkdir(parents=True, exist_ok=True)
            command = ("cc", "-shared", "-fPIC", "-o", str(library), f"csrc/{name}.c")
            subprocess.run(command, check=True)
    def run(self):
        super().run()
        shutil.copytree(f"{self.build_lib}/vllm/third_party/triton_kernels", "nowhere")

import os
setup(
    version=os.environ["VLLM_VERSION_OVERRIDE"],
    ext_modules=[CMakeExtension(f"vllm.{name}") for name in ("_C", "_moe_C")],
    rust_extensions=["a Rust front end"],
    cmdclass={"build_ext": cmake_build_ext},
)
"""
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "vllm"
description = "All of it"
dynamic = ["version"]
[tool.setuptools]
packages = ["vllm"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "setup.py": SETUP,
        "pyproject.toml": PROJECT,
        "vllm/__init__.py": "",
        "csrc/_C.c": "#error this one is not selected\n",
        "csrc/_moe_C.c": "int moe(void) { return 1; }\n",
    }
    for name, text in files.items():
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text(text)
    return tmp_path / "src"


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The setuptools that the wheel is built with, which knows more than the one of venv."""
    place = tmp_path_factory.mktemp("tools")
    locked = re.split(r"\n(?=\S)", (SCRIPT.parent / "requirements.txt").read_text())
    wanted = [pin for pin in locked if pin.startswith(("setuptools==", "packaging=="))]
    (place / "requirements.txt").write_text("\n".join(wanted))
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run(
        (*pip, "--require-hashes", "-r", place / "requirements.txt", "--target", place / "lib"),
        check=True,
    )
    return place / "lib"


def built(project: Path, names: list[str], tools: Path) -> Path:
    """Build in a process of its own, since the scripts change setuptools and the directory."""
    out = project.parent / "dist"
    out.mkdir()
    program = (
        "import sys, json, pathlib, build_wheel\n"
        "source, out, names = json.loads(sys.argv[1])\n"
        "version = build_wheel.wheel_version('0.33.0', 'cu130', names)\n"
        "build_wheel.build(pathlib.Path(source), version, names, pathlib.Path(out))\n"
    )
    arguments = json.dumps([str(project), str(out), names])
    subprocess.run(
        (sys.executable, "-W", "ignore", "-c", program, arguments),
        env={**os.environ, "PYTHONPATH": str(tools)},
        cwd=SCRIPT.parent,
        check=True,
    )
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.mark.network
def test_a_wheel_of_one_extension_compiles_and_holds_only_that(project: Path, tools: Path) -> None:
    wheel = built(project, ["_moe_C"], tools)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (record,) = [name for name in names if name.endswith("/METADATA")]
        metadata = Parser().parsestr(archive.read(record).decode())
    assert [name for name in names if name.endswith(".so")] == ["vllm/_moe_C.abi3.so"]
    assert wheel.name.split("-")[2:4] == ["cp38", "abi3"]
    assert metadata["Version"].startswith("0.33.0.dev0+cu130.partial.")
    assert metadata["Summary"] == "A part of vLLM: of its compiled extensions only _moe_C"


def bake(*arguments: str, **variables: str) -> tuple[str, dict[str, Any]]:
    """What bake makes of the target, as text and as data."""
    done = subprocess.run(
        ("docker", "buildx", "bake", "-f", "docker-bake.hcl", *arguments, "--print", "vllm"),
        cwd=SCRIPT.parents[2],
        env={**os.environ, **own_engine.settings(os.environ), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, json.loads(done.stdout)["target"]["vllm"]


def test_a_stores_settings_are_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "sccache.env"
    file.write_text("SCCACHE_BUCKET=cache\nAWS_SECRET_ACCESS_KEY=canary\n")
    text, target = bake(f"--allow=fs.read={tmp_path}", SMFORGE_SCCACHE=str(file))
    assert "canary" not in text
    assert target["secret"] == [{"id": "sccache", "src": str(file)}]
    assert target["args"]["COMPILE_CACHE"] == "shared"
    assert bake(SMFORGE_SCCACHE="")[1]["args"]["COMPILE_CACHE"] == "local"


def test_a_checkout_takes_the_place_of_the_release() -> None:
    _, target = bake(VLLM_SOURCE="/checkouts/vllm")
    assert target["args"]["VLLM_FROM"] == "checkout"
    assert target["contexts"]["checkout"] == "/checkouts/vllm"
