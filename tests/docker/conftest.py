"""Imports the scripts of docker/, which are no package: in the image they lie in one directory."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Import ``docker/NAME.py``."""

    def load(name: str) -> ModuleType:
        path = ROOT / "docker" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"docker_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load
