"""Compares smforge preflight with a real configure, file by file.

The same sources are configured twice: by preflight, and by CMake with real torch, the real nvcc
and the real host compiler, whose compile_commands.json is what a build would run. Both get the
same empty stand-ins for the external projects, because those come from repositories that may not
be reachable; their files count as much as any other.

    python benchmarks/preflight_exactness.py --source TREE --torch-python VENV/bin/python \
        --nvcc /usr/local/cuda/bin/nvcc --cuda 13.0 --archs "12.1a" --archs "9.0 12.1a"

The interpreter given must have torch (a CUDA build), jinja2 and regex. Exit code 1 means that
there is a difference.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import cmake
import ninja

from smforge.arch.grammar import gencode
from smforge.preflight.cache import Cache
from smforge.preflight.configure import configure
from smforge.preflight.probe import torch_flags
from smforge.preflight.probe.workspace import Workspace, lay_out_skeletons
from smforge.preflight.request import Request
from smforge.preflight.sources.tree import Source, copy_inputs, open_source

Plan = dict[tuple[str, str], tuple[str, ...]]
"""(target, source) to the gencode options, in order."""


def main() -> int:
    options = _options()
    source = open_source(options.source)
    differing = 0
    for archs in options.archs:
        predicted = _predicted(source, options.cuda, archs)
        real = _real(source, archs, options)
        differences = _differences(predicted, real)
        differing += len(differences)
        print(
            json.dumps(
                {
                    "source": f"{source.identity.name} {source.identity.version}",
                    "cuda": options.cuda,
                    "archs": archs,
                    "predicted_units": len(predicted),
                    "real_units": len(real),
                    "differences": differences,
                }
            ),
            flush=True,
        )
    return 1 if differing else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--torch-python", type=Path, required=True)
    parser.add_argument("--nvcc", type=Path, required=True)
    parser.add_argument("--cuda", required=True)
    parser.add_argument("--archs", action="append", required=True)
    return parser.parse_args()


def _predicted(source: Source, cuda: str, archs: str) -> Plan:
    with tempfile.TemporaryDirectory() as cache:
        request = Request(source, cuda, torch_flags.parse(archs))
        (configuration,) = configure([request], Cache(Path(cache)))
    if configuration.refusal is not None:
        raise SystemExit(f"preflight predicts a refusal: {configuration.refusal.message}")
    return {(unit.extension, unit.source): unit.gencode for unit in configuration.units}


def _real(source: Source, archs: str, options: argparse.Namespace) -> Plan:
    """What a real configure of the same sources writes."""
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace(Path(name).resolve())
        workspace.tree.mkdir()
        copy_inputs(source, workspace.tree)
        lay_out_skeletons(workspace)
        environment = dict(os.environ)
        environment |= {"TORCH_CUDA_ARCH_LIST": archs, "CUDACXX": str(options.nvcc)}
        environment["PATH"] = f"{options.nvcc.parent}{os.pathsep}{environment['PATH']}"
        environment |= _stand_ins(workspace)
        driver = _driverless_libcuda(workspace)
        command = [
            f"{cmake.CMAKE_BIN_DIR}/cmake", "-G", "Ninja",
            f"-DCMAKE_MAKE_PROGRAM={ninja.BIN_DIR}/ninja",
            "-S", workspace.tree, "-B", workspace.build,
            f"-DVLLM_PYTHON_EXECUTABLE={options.torch_python}",
            f"-DCMAKE_CUDA_COMPILER={options.nvcc}",
            "-DVLLM_TARGET_DEVICE=cuda", "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
            *(f"-DCUDA_{one}_LIBRARY={driver}" for one in ("cuda_driver", "CUDA", "nvrtc")),
            f"-DFETCHCONTENT_BASE_DIR={workspace.downloads}",
            "-DFETCHCONTENT_FULLY_DISCONNECTED=ON",
            *(f"-DFETCHCONTENT_SOURCE_DIR_{_upper(one)}={one}" for one in _skeletons(workspace)),
        ]  # fmt: skip
        result = subprocess.run(
            [str(word) for word in command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise SystemExit(f"{result.stdout[-3000:]}\n{result.stderr[-6000:]}")
        return _compile_commands(workspace)


def _driverless_libcuda(workspace: Workspace) -> Path:
    """An empty library to link to where a machine without a GPU or the maths libraries has none."""
    library = workspace.root / "libcuda.so"
    source = workspace.root / "libcuda.c"
    source.touch()
    subprocess.run(
        ["gcc", "-shared", "-Wl,-soname,libcuda.so.1", source, "-o", library],
        check=True,
    )
    return library


def _skeletons(workspace: Workspace) -> list[Path]:
    for name in _declared(workspace.tree):
        (workspace.skeletons / name).mkdir(parents=True, exist_ok=True)
    return sorted(workspace.skeletons.iterdir())


def _declared(tree: Path) -> set[str]:
    texts = [one.read_text() for one in (tree / "cmake").rglob("*.cmake")]
    texts.append((tree / "CMakeLists.txt").read_text())
    pattern = re.compile(r"FetchContent_(?:Declare|Populate)\(\s*([\w-]+)")
    return {name.lower() for text in texts for name in pattern.findall(text)}


def _stand_ins(workspace: Workspace) -> dict[str, str]:
    """Upstream's variables, for the projects that do not go through FetchContent's overrides."""
    found = {}
    for description in (workspace.tree / "cmake").rglob("*.cmake"):
        text = description.read_text()
        variables = set(re.findall(r"ENV\{(\w+_SRC_DIR)\}", text))
        explicit = re.search(r"FetchContent_Populate\(\s*([\w-]+)\s+\w", text)
        if variables and explicit:
            found[variables.pop()] = str(workspace.skeletons / explicit.group(1).lower())
    return found


def _upper(directory: Path) -> str:
    return directory.name.upper()


def _compile_commands(workspace: Workspace) -> Plan:
    plan: Plan = {}
    for entry in json.loads((workspace.build / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        if "nvcc" not in Path(words[0]).name and not entry["file"].endswith(".cu"):
            continue
        target = re.search(r"CMakeFiles/(?P<name>[^/]+)\.dir/", entry["output"])
        assert target is not None
        key = target["name"], workspace.as_built(entry["file"])
        plan[key] = tuple(str(one) for one in gencode.parse(words))
    return plan


def _differences(predicted: Plan, real: Plan) -> list[dict[str, object]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key in sorted(predicted.keys() | real.keys()):
        before, after = predicted.get(key), real.get(key)
        if before != after:
            found[f"{before} instead of {after}"].append("/".join(key))
    return [{"difference": text, "sources": sources} for text, sources in found.items()]


if __name__ == "__main__":
    sys.exit(main())
