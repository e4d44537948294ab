"""The repository's own matrix, as a starting point for every mistake that can be made in one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.errors import ConfigurationError
from smforge.matrix.load import parse

VERSIONS = Path(__file__).parents[2] / "versions.json"


@pytest.fixture
def document() -> dict[str, Any]:
    """versions.json, free to be changed."""
    content: dict[str, Any] = json.loads(VERSIONS.read_text())
    return content


@pytest.fixture
def small(document: dict[str, Any]) -> dict[str, Any]:
    """The same with one variant, named x, so that a mistake in it is the only one."""
    small = copy.deepcopy(document)
    small["default"] = "x"
    small["variants"] = {"x": small["variants"]["demo"]}
    return small


@pytest.fixture
def lines() -> Callable[[Any], list[str]]:
    """What a user reads when this is the matrix; fails when the matrix is accepted."""

    def lines(content: Any) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            parse(json.dumps(content).encode())
        return list(caught.value.lines)

    return lines
