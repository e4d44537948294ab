"""The pages that the commands write."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from smforge.cli.main import run


@pytest.mark.toolchain
@pytest.mark.browser
def test_audit_writes_a_page_of_a_real_library(
    nvcc: Path, tmp_path: Path, open_report: Any
) -> None:
    (tmp_path / "k.cu").write_text(
        "template <int N> __global__ void sized(float* x) { x[N] = N; }\n"
        "void go(float* x) { sized<1><<<1, 1>>>(x); sized<2><<<1, 1>>>(x); }\n"
    )
    targets = [f"-gencode=arch=compute_{n},code={kind}_{n}" for n, kind in (("80", "sm"),)]
    command: list[str | Path] = [
        nvcc,
        *targets,
        "-gencode=arch=compute_90,code=compute_90",
        "-shared",
    ]
    subprocess.run(
        [*command, "-Xcompiler", "-fPIC", "-o", "k.so", "k.cu"], cwd=tmp_path, check=True
    )
    file = tmp_path / "out.html"
    with pytest.raises(SystemExit) as left:
        run(["audit", str(tmp_path / "k.so"), "--require", "8.0 9.0 7.5", "-o", f"html={file}"])
    assert left.value.code == 1
    opened = open_report(file.read_text(encoding="utf-8"))
    states = {
        device: opened.cell("k.so", device).locator(".word").inner_text()
        for device in ("8.0", "9.0", "7.5")
    }
    assert states == {"8.0": "native", "9.0": "PTX", "7.5": "none"}
    opened.cell("k.so", "9.0").click()
    expect(opened.page.locator("#panel .code.runs")).to_have_text(["compute_90"])
    assert opened.page.locator("#panel li").all_inner_texts() == ["2\nsized<…>"]
