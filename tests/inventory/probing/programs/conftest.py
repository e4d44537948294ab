"""Small environments whose packages behave as vLLM, torch, Triton and FlashInfer do to a probe."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from smforge.inventory.probing.reading import read_output
from smforge.inventory.probing.records import Probed
from smforge.inventory.probing.running import PROBES

CHAT = "/v1/chat/completions"
COMMAND = {
    "vllm/entrypoints/__init__.py": "",
    "vllm/entrypoints/cli/__init__.py": "",
    "vllm/entrypoints/cli/main.py": """
        import sys
        from vllm.entrypoints.common.cli_args import make_arg_parser
        def main():
            make_arg_parser(None)
            if "--version" in sys.argv:
                print("0.33.0")
                raise SystemExit(0)
            raise SystemExit(0 if "--help" in sys.argv else 2)
    """,
    "vllm/entrypoints/common/__init__.py": "",
    "vllm/entrypoints/common/cli_args.py": """
        class Parser:
            def parse_args(self, words):
                return words
        def make_arg_parser(parser):
            import vllm.platforms
            if not vllm.platforms.current_platform.is_cuda():
                raise RuntimeError("Failed to infer device type")
            return Parser()
    """,
    "vllm/entrypoints/launchers/__init__.py": "",
    "vllm/entrypoints/launchers/app.py": """
        class Route:
            path = "/v1/chat/completions"
        class App:
            routes = [Route]
        def build_app(arguments, tasks):
            return App
    """,
    "vllm/utils/__init__.py": "",
    "vllm/utils/argparse_utils.py": "class FlexibleArgumentParser: pass",
    "vllm/utils/flashinfer.py": """
        def has_flashinfer(): return True
        def has_flashinfer_cutlass_fused_moe(): return False
    """,
}
"""vLLM's command and server, as far as the probe goes."""

VLLM = {
    **COMMAND,
    "vllm/__init__.py": "",
    "vllm/plugins.py": "def load_general_plugins(): pass",
    "vllm/platforms/__init__.py": """
        from . import interface
        _current_platform = interface.UnspecifiedPlatform()
        def __getattr__(name):
            if name == "current_platform":
                return _current_platform
            raise AttributeError(name)
    """,
    "vllm/platforms/interface.py": """
        from typing import NamedTuple
        class DeviceCapability(NamedTuple):
            major: int
            minor: int
        class UnspecifiedPlatform:
            def is_cuda(self): return False
    """,
    "vllm/platforms/cuda.py": """
        class CudaPlatform:
            def is_cuda(self): return True
    """,
    "vllm/model_executor/__init__.py": "",
    "vllm/model_executor/models/__init__.py": "",
    "vllm/model_executor/models/registry.py": """
        import importlib
        from pathlib import Path
        class _ModelInfo:
            @staticmethod
            def from_model_cls(model):
                return model.__name__
        class _Lazy:
            def __init__(self, module_name, class_name):
                self.module_name, self.class_name = module_name, class_name
            def load_model_cls(self):
                return getattr(importlib.import_module(self.module_name), self.class_name)
        class ModelRegistry:
            models = {
                path.stem.title(): _Lazy(f"{__package__}.{path.stem}", path.stem.title())
                for path in sorted(Path(__file__).parent.glob("model_*.py"))
            }
    """,
    "torch/__init__.py": "",
    "torch/cuda/__init__.py": """
        def _lazy_init():
            raise RuntimeError("Found no NVIDIA driver on your system. Please check it.")
        def get_device_capability():
            _lazy_init()
    """,
}
"""vLLM's registry as far as the probe goes, and a torch without a driver."""

Run = Callable[..., Probed]


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return root


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of an environment without packages."""
    venv.create(tmp_path / "environment", symlinks=True, with_pip=False)
    return tmp_path / "environment" / "bin" / "python"


@pytest.fixture
def site(python: Path) -> Path:
    """Where its packages go."""
    (folder,) = python.parents[1].glob("lib/python*/site-packages")
    return folder


@pytest.fixture
def write() -> Callable[[Path, Mapping[str, str]], Path]:
    return write_tree


@pytest.fixture
def models(site: Path) -> Callable[..., Path]:
    """Plants model modules (``models(touching="…source…")``) beside one that is well."""

    def plant(**sources: str) -> Path:
        named = {
            f"vllm/model_executor/models/model_{name}.py": textwrap.dedent(source)
            + f"\nclass Model_{name.title()}: pass\n"
            for name, source in {"well": "", **sources}.items()
        }
        return write_tree(site, {**VLLM, **named})

    return plant


@pytest.fixture
def output(python: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs the program in that environment and gives the documents as they are."""

    def run(*arguments: str, **variables: str) -> dict[str, Any]:
        environment = {**os.environ, **variables}
        done = subprocess.run(
            [python, str(PROBES / "run.py"), *arguments, "-"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        documents: dict[str, Any] = json.loads(done.stdout)
        return documents

    return run


@pytest.fixture
def probe(output: Callable[..., dict[str, Any]]) -> Run:
    """Runs one probe: ``probe("models", "--devices", "12.1")``."""

    def run(name: str, *arguments: str, **variables: str) -> Probed:
        return read_output(json.dumps(output("--only", name, *arguments, **variables)).encode(), "")

    return run
