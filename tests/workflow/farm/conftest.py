"""A project of small cells, and the command in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.small_site import environment, make_site


@pytest.fixture
def site(tmp_path: Path, busybox: Path) -> Path:
    """A project of three cells: one, two, three."""
    return make_site(tmp_path / "site", busybox, ("one", "two", "three"), "0.05")


@pytest.fixture
def run(site: Path) -> Callable[[Sequence[str]], subprocess.CompletedProcess[str]]:
    """Runs a command in the project."""

    def carry_out(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=site, env=environment(site), capture_output=True, text=True, check=False
        )

    return carry_out
