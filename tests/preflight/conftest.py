"""A small tree in vLLM's manner, and a cache of its own for every test."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.preflight.cache import Cache
from smforge.preflight.configure import configure
from smforge.preflight.probe.torch_flags import parse
from smforge.preflight.records import Configuration
from smforge.preflight.request import Request
from smforge.preflight.sources.tree import open_source

SMALL_TREE = Path(__file__).parent / "tree"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(SMALL_TREE, tmp_path / "tree"))


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    archive = tmp_path / "vllm-0.0.1.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(SMALL_TREE, "vllm-0.0.1")
    return archive


@pytest.fixture
def small_tree() -> Path:
    """The tree itself, which no test changes."""
    return SMALL_TREE


@pytest.fixture
def run(cache: Cache) -> Callable[..., Configuration]:
    """Configure one list: ``run(source, archs, cuda="13.0")``."""

    def configured(source: Path, archs: str, cuda: str = "13.0") -> Configuration:
        (configuration,) = configure([Request(open_source(source), cuda, parse(archs))], cache)
        return configuration

    return configured


@pytest.fixture
def compiled() -> Callable[[Configuration], dict[str, str]]:
    """What each source is compiled for, as text: ``12.0f +8.0`` is machine code and PTX."""

    def texts(configuration: Configuration) -> dict[str, str]:
        return {
            unit.source: " ".join([*map(str, unit.targets), *(f"+{one}" for one in unit.ptx)])
            for unit in configuration.units
        }

    return texts
