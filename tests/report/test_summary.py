"""The summary: one line per subject, whatever its verdict is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.cli.audit_rendering import with_summary
from smforge.cli.output import OutputSpec

JSON = OutputSpec("json", Path("r.json"))


def test_a_summary_replaces_a_table_and_leaves_other_formats() -> None:
    assert with_summary([OutputSpec("table")]) == (OutputSpec("summary"),)
    assert with_summary([JSON]) == (OutputSpec("summary"), JSON)
    assert with_summary([OutputSpec("json")]) == (OutputSpec("json"),)
    named = OutputSpec("table", Path("r.txt"))
    assert with_summary([JSON, named]) == (JSON, OutputSpec("summary", Path("r.txt")))


@pytest.mark.toolchain
def test_each_subject_has_a_line(compile_with: Callable[..., Path], tmp_path: Path) -> None:
    from smforge.api import audit  # noqa: PLC0415
    from smforge.report.summary import render_summary  # noqa: PLC0415

    flags = ("-shared", "-Xcompiler=-fPIC", "-gencode=arch=compute_90,code=sm_90")
    library = compile_with("__global__ void k() {}\n", "k.so", *flags)
    asked = [audit(library, require=words) for words in (["9.0"], ["12.1"], [])]
    lines = render_summary(asked).splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == ["PASS", "FAIL", "NOTHING REQUIRED"]
    assert lines[0].endswith("k.so  Covers 9.0.  9.0 ● native")
    assert lines[1].endswith("12.1 ✗ 1 missing")
    assert "no pass" in lines[2]
