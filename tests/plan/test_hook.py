"""The hook for pre-commit, as a program; tests/ci runs it by pre-commit itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "smforge.plan.hook")


def test_it_reads_every_file_and_names_every_mistake(tmp_path: Path) -> None:
    text = (ROOT / "versions.json").read_text()
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(text.replace('"toolkit": "13.0"', '"toolkit": "13.7"', 1))
    second.write_text("{")
    done = subprocess.run(
        (*COMMAND, ROOT / "versions.json", first, second),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(first), str(second)]
    assert "there is no toolkit '13.7'" in lines[0]


def test_a_matrix_that_holds_says_nothing() -> None:
    done = subprocess.run((*COMMAND, ROOT / "versions.json"), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
