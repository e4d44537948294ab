"""Build vLLM's wheel, or one that holds only some of its compiled extensions.

The wheel is made by vLLM's own setup.py through setuptools' PEP 517 interface. Its list of
extensions is narrowed on the way to `setuptools.setup`, so that CMake is configured once and only
the selected targets are built, installed and packaged.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import setuptools
from packaging.version import Version
from setuptools import build_meta
from setuptools.command.build_ext import build_ext
from setuptools.command.egg_info import egg_info

PROVIDED_BY_OTHERS = ("libcu*.so.*", "libnv*.so.*", "libtorch*.so", "libc10*.so")
"""Libraries that torch or the driver bring at run time: not to be put into the wheel."""

DESCRIBE = ("git", "describe", "--dirty", "--tags", "--long", "--abbrev=40", "--match", "v[0-9]*")
"""As vLLM's setup.py describes a commit: tags of its crates are not those of its releases."""

LIMITED_API = "cp38"
"""The tag of vLLM's own wheels; which Python it needs is said by Requires-Python."""


class SelectionError(Exception):
    """An extension is selected that vLLM does not have, or its sources are not there."""


def wheel_version(version: str, cuda_tag: str, extensions: Collection[str]) -> str:
    """The version of the wheel: ``0.33.0+cu130``, or that of a subset.

    A subset is a development release (``0.33.0.dev0+cu130.partial.1f0c…``), so that no resolver
    that is asked for vLLM, or for vllm==0.33.0, ever takes it for the whole. The digits tell
    subsets apart.
    """
    parsed = Version(version)
    words = [parsed.local, cuda_tag] if parsed.local else [cuda_tag]
    release = parsed.public
    if extensions:
        release = release if parsed.is_devrelease else f"{release}.dev0"
        digest = hashlib.sha256(" ".join(sorted(extensions)).encode()).hexdigest()
        words += ["partial", digest[:8]]
    return f"{release}+{'.'.join(words)}"


def version_of_checkout(source: Path) -> str:
    """The version of a git checkout, counted from its nearest release tag."""
    from setuptools_scm import get_version  # noqa: PLC0415  # a release is built without it

    # The checkout belongs to whoever made it; git would refuse to look at it.
    for key, value in (("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "safe.directory")):
        os.environ[key] = value
    os.environ["GIT_CONFIG_VALUE_0"] = str(source)
    version: str = get_version(root=source, git_describe_command=DESCRIBE)
    return version


def target_of(name: str) -> str:
    """The CMake target of an extension, as vLLM's setup.py derives it from the module's name."""
    return name.rpartition(".")[2]


def choose(modules: Sequence[Any], names: Collection[str]) -> list[Any]:
    """The extensions whose CMake targets are `names`; all of them when there are none."""
    known = {target_of(module.name): module for module in modules}
    if unknown := sorted(set(names) - set(known)):
        raise SelectionError(
            f"vLLM has no extension called {', '.join(unknown)} for this toolkit. "
            f"It has {', '.join(sorted(known))}."
        )
    return [module for target, module in known.items() if not names or target in names]


def leave_out(source: Path, externals: Path) -> list[str]:
    """Empty the build descriptions of external projects whose sources are not provided.

    CMake would otherwise configure each of them, for extensions that are not selected too. Returns
    their names.
    """
    provided = {path.name.removesuffix("-src").replace("-", "_") for path in externals.iterdir()}
    left_out = []
    for description in sorted((source / "cmake" / "external_projects").glob("*.cmake")):
        if description.stem not in provided:
            description.write_text("# Not configured: no selected extension needs it.\n")
            left_out.append(description.stem)
    return left_out


def configuration(externals: Path) -> dict[str, str]:
    """What vLLM's setup.py and CMake read from the environment to use `externals` as they are."""
    cutlass = externals / "cutlass-src"
    arguments = (
        "-DFETCHCONTENT_FULLY_DISCONNECTED=ON",
        # CUTLASS's own CMake says the same; its wheel comes without one.
        f"-DCUTLASS_INCLUDE_DIR={cutlass / 'include'}",
        f"-DCUTLASS_TOOLS_UTIL_INCLUDE_DIR={cutlass / 'tools' / 'util' / 'include'}",
    )
    return {
        "CMAKE_ARGS": " ".join(arguments),
        "CMAKE_BUILD_TYPE": "Release",
        "FETCHCONTENT_BASE_DIR": str(externals),
        # vLLM's CMake follows the interpreter's link out of its environment.
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "VLLM_TARGET_DEVICE": "cuda",
    }


def narrowed(setup: Callable[..., Any], names: Collection[str], summary: str | None) -> Any:
    """`setup`, but only for the extensions `names`, and without the optional Rust front end."""

    def setup_selection(**options: Any) -> Any:
        own_build_ext = options["cmdclass"]["build_ext"]

        class SelectedBuildExt(own_build_ext):
            def run(self) -> None:
                # vLLM's own goes on to copy what was installed for editable installations.
                build_ext.run(self)

        class SummarisedEggInfo(egg_info):
            def finalize_options(self) -> None:
                if summary is not None:
                    self.distribution.metadata.description = summary
                super().finalize_options()

        options["ext_modules"] = choose(options["ext_modules"], names)
        options["rust_extensions"] = []
        options["cmdclass"] |= {"build_ext": SelectedBuildExt, "egg_info": SummarisedEggInfo}
        return setup(**options)

    return setup_selection


def build(source: Path, version: str, names: Collection[str], out: Path) -> Path:
    """Build the wheel of the tree in `source`, which is changed on the way."""
    summary = f"A part of vLLM: of its compiled extensions only {', '.join(sorted(names))}"
    os.environ["VLLM_VERSION_OVERRIDE"] = version
    os.chdir(source)
    setuptools.setup = narrowed(setuptools.setup, names, summary if names else None)
    settings = {"--build-option": [f"--py-limited-api={LIMITED_API}"]}
    return out / build_meta.build_wheel(str(out), settings)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, help="0.33.0; empty for a checkout's own")
    parser.add_argument("--cuda-tag", required=True, help="for example cu130")
    parser.add_argument("--extensions", required=True, help="CMake targets; empty for all")
    parser.add_argument("--source", type=Path, default=Path("/src"))
    parser.add_argument("--externals", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    names = arguments.extensions.split()
    if names:
        print("not configured:", *leave_out(arguments.source, arguments.externals), flush=True)
    os.environ.update(configuration(arguments.externals))
    arguments.out.mkdir(parents=True)
    unrepaired = arguments.source / "dist"
    unrepaired.mkdir()
    base = arguments.version or version_of_checkout(arguments.source)
    version = wheel_version(base, arguments.cuda_tag, names)
    try:
        wheel = build(arguments.source, version, names, unrepaired)
    except SelectionError as error:
        raise SystemExit(f"error: {error}") from None
    excludes = [f"--exclude={pattern}" for pattern in PROVIDED_BY_OTHERS]
    repair = (sys.executable, "-m", "auditwheel", "repair", "--only-plat", *excludes)
    subprocess.run((*repair, "-w", str(arguments.out), str(wheel)), check=True)


if __name__ == "__main__":
    main()
