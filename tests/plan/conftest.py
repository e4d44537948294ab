"""The repository's own matrix, loaded, and variations of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.matrix.load import Matrix, load, parse

ROOT = Path(__file__).parents[2]
VERSIONS = ROOT / "versions.json"


@pytest.fixture(scope="session")
def matrix() -> Matrix:
    return load(VERSIONS)


@pytest.fixture
def changed() -> Callable[[Callable[[dict[str, Any]], None]], Matrix]:
    """Gives the matrix after a change, without the `variable` block that would be stale."""

    def changed(change: Callable[[dict[str, Any]], None]) -> Matrix:
        content = copy.deepcopy(json.loads(VERSIONS.read_text()))
        del content["variable"]
        change(content)
        return Matrix(Path("m.json"), "0" * 64, parse(json.dumps(content).encode()))

    return changed
