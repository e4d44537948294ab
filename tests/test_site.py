"""The documentation's site: every page is in it, and every link leads somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smforge.cli.command_table import COMMANDS

TOP = Path(__file__).resolve().parent.parent


@pytest.mark.network
@pytest.mark.slow
def test_the_site_is_built_strictly(tmp_path: Path) -> None:
    venv, site = tmp_path / "venv", tmp_path / "site"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    subprocess.run(
        [*uv, "pip", "install", "--quiet", "--python", venv / "bin/python", "--require-hashes",
         "-r", TOP / "requirements/docs.txt"],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [venv / "bin/mkdocs", "build", "--strict", "--site-dir", site],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": "builder", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f">smforge {name}<" not in commands] == []
    assert "report.schema.json" in (site / "reference/schemas.html").read_text(encoding="utf-8")
