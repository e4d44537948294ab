"""What an image brings for its GPU code is what its last layer leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from smforge.findings import Finding, Level
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest

TRITON = "usr/lib/python3/dist-packages/triton"
COMPILER = b"""
def get_ptxas(arch):
    return knobs.nvidia.ptxas_blackwell if arch >= 100 else knobs.nvidia.ptxas
def ptx_get_version(cuda):
    major, minor = map(int, cuda.split('.'))
    if major == 12:
        return 80 + minor
    raise RuntimeError(cuda)
def sm_arch_from_capability(capability):
    suffix = "a" if capability >= 90 else ""
    return f"sm_{capability}{suffix}"
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A library without GPU code that needs libcudart.so.13."""
    place = tmp_path_factory.mktemp("library")
    gcc = ["gcc", "-shared", "-fPIC", "-xc", "/dev/null", "-xnone"]
    soname = "-Wl,-soname,libcudart.so.13"
    subprocess.run([*gcc, soname, "-o", str(place / "libcudart.so.13")], check=True)
    needing = ["-Wl,--no-as-needed", str(place / "libcudart.so.13")]
    subprocess.run([*gcc, *needing, "-o", str(place / "_C.so")], check=True)
    return (place / "_C.so").read_bytes()


def mismatches(archive: Path) -> list[Finding]:
    findings = audit(f"archive:{archive}", AuditRequest()).findings
    return [one for one in findings if one.rule == "cudart-mismatch"]


def test_a_library_that_an_upper_layer_removes_is_absent(
    writing: Any, tmp_path: Path, library: bytes
) -> None:
    lower = [
        ("file", "opt/x/_C.so", library),
        ("file", "opt/old/_C.so", library),
        ("file", "lib/libcudart.so.13.0.96", library),
        ("file", "lib/libcudart.so.12", library),
    ]
    whole, less = writing.layout(), writing.layout()
    whole.add([writing.layer(*lower)])
    less.add(
        [
            writing.layer(*lower),
            writing.layer(
                ("file", "lib/.wh.libcudart.so.13.0.96", b""), ("file", "opt/.wh.old", b"")
            ),
        ]
    )
    assert mismatches(whole.write_archive(tmp_path / "whole.tar")) == []
    found = mismatches(less.write_archive(tmp_path / "less.tar"))
    assert {(one.file, one.level) for one in found} == {
        ("opt/x/_C.so", Level.ERROR),
        ("lib/libcudart.so.12", Level.ERROR),
    }


def test_the_triton_of_the_last_layer_counts(writing: Any, tmp_path: Path) -> None:
    layout = writing.layout()
    compiler = f"{TRITON}/backends/nvidia/compiler.py"
    layout.add(
        [
            writing.layer(("file", compiler, b"no rules"), ("file", "x/triton/__init__.py", b"")),
            writing.layer(
                ("file", compiler, COMPILER),
                ("file", f"{TRITON}/__init__.py", b"__version__ = '3.4.0'\n"),
            ),
        ]
    )
    archive = layout.write_archive(tmp_path / "x.tar")
    found = audit(f"archive:{archive}", AuditRequest()).view.reading.host_files.tritons
    (triton,) = found
    assert (triton.package, triton.release) == (TRITON, "3.4.0")
    assert triton.rules is not None
    assert "13.0" not in triton.rules.ptx_isa
