"""Sides to compare: real fat binaries by nvcc, and reports of subjects that need no compiler."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.inventory.records import (
    CodeObject,
    Damage,
    FileInventory,
    Inventory,
    Kind,
    Origin,
    Region,
    Subject,
    SubjectKind,
)
from smforge.report.build import report_of
from smforge.report.diff import model
from smforge.report.diff.compare import compare
from smforge.report.diff.sides import Side, side_of
from smforge.report.diff.terms import DiffTerms
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.request import AuditRequest

SOURCE = r"""
namespace { __global__ void hidden(int* x) { *x = 1; } }
template <class T> __global__ void shaped(T* x) { *x = 2; }
extern "C" __global__ void plain(int* x) { *x = 3; }
void launch(int* x, float* y) {
    hidden<<<1, 1>>>(x);
    shaped<<<1, 1>>>(x);
    shaped<<<1, 1>>>(y);
    plain<<<1, 1>>>(x);
}
"""
Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def fat_binary(nvcc: Path, tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Gives: a shared library for targets such as ``sm_80`` and ``compute_90``."""

    @cache
    def compile_for(*targets: str, without: str = "") -> Path:
        folder = tmp_path_factory.mktemp("fat")
        source = "\n".join(
            line for line in SOURCE.splitlines() if not without or without not in line
        )
        (folder / "kernels.cu").write_text(source)
        flags = [f"-gencode=arch=compute_{one.partition('_')[2]},code={one}" for one in targets]
        subprocess.run(
            [nvcc, *flags, "-shared", "-Xcompiler", "-fPIC", "-o", "library.so", "kernels.cu"],
            cwd=folder,
            check=True,
        )
        return folder / "library.so"

    return compile_for


class Maker:
    """Makes sides out of kernels."""

    def code(self, target: str, *kernels: str) -> CodeObject:
        """A code object: ``sm_90a`` is machine code, ``compute_90`` PTX."""
        kind = Kind.PTX if target.startswith("compute_") else Kind.CUBIN
        isa = "8.0" if kind is Kind.PTX else None
        return CodeObject(kind, Target.parse(target), 100, isa, "13.0", kernels=kernels)

    def library(
        self, path: str, *regions: tuple[CodeObject, ...], size: int = 1000
    ) -> FileInventory:
        """A file; each region is the objects of one translation unit."""
        found = tuple(
            Region(Origin.FATBIN, ".nv_fatbin", 64 * at, objects)
            for at, objects in enumerate(regions)
        )
        return FileInventory(path, size, "0" * 64, found)

    def side(  # one argument per thing that a report can lack
        self,
        *files: FileInventory,
        listed: bool = True,
        require: str = "",
        damaged: bool = False,
        name: str = "some.whl",
        platform: str | None = None,
    ) -> Side:
        """The report of a wheel with these files."""
        damage = (Damage("x.so", "x.so ends too early."),) if damaged else ()
        subject = Subject(SubjectKind.WHEEL, name, None, platform)
        inventory = Inventory(subject, files, len(files), damage)
        audit = judge(Reading(inventory), AuditRequest(parse_requirements([require])))
        return side_of(report_of(audit, kernels=listed), saved=True)

    def compare(self, old: Side, new: Side, require: str = "", **terms: object) -> model.Diff:
        return compare(old, new, DiffTerms(parse_requirements([require]), **terms))  # type: ignore[arg-type]  # passed through


@pytest.fixture(scope="session")
def make() -> Maker:
    return Maker()
