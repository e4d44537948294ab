"""Reports of inventories written by hand, so that every part of a report is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date

import pytest
from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.inventory.cuobjdump.agreement import Comparison
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
from smforge.policy.exemptions import Exemption
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.audit import Backend, Reading, judge_reading
from smforge.verdict.request import Terms

ADD = tuple(f"_Z3addI{letter}EvPT_S0_" for letter in "ijlmfd")


def code(name: str, *kernels: str) -> CodeObject:
    kind = Kind.PTX if name.startswith("compute") else Kind.CUBIN
    isa = "9.0" if kind is Kind.PTX else None
    return CodeObject(kind, Target.parse(name), 1000, isa, "13.0", kernels=kernels)


def library(path: str, *objects: CodeObject, **others: object) -> FileInventory:
    origin = others.pop("origin", Origin.FATBIN)
    assert isinstance(origin, Origin)
    region = Region(origin, ".nv_fatbin", 0, objects, source="kernels.cu")
    digest = hashlib.sha256(path.encode()).hexdigest()
    return FileInventory(path, 5_000_000, digest, (region,), **others)  # type: ignore[arg-type]


LIBRARIES = (
    library("good.so", code("sm_120f", *ADD)),
    library("part.so", code("sm_80", *ADD, "plain"), code("sm_120", *ADD[:2])),
    library("ptx.so", code("sm_90", "plain"), code("compute_90", "plain")),
    library("hopper.so", code("sm_90a", "plain")),
    library("hidden.so", code("sm_120", "plain"), origin=Origin.EMBEDDED),
    library("odd|name`<b>&.so", code("sm_120", "odd<b>|`")),
)
DAMAGED = library("torn.so", code("sm_120", "plain"), damage=(Damage("torn.so", "torn", 3),))

MakeReport = Callable[..., Report]


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    """``make_report(*words, files=…, kernels=…)``: of LIBRARIES unless other files are given."""

    def make(
        *words: str,
        files: tuple[FileInventory, ...] = LIBRARIES,
        kernels: bool = False,
        exemptions: tuple[Exemption, ...] = (),
        damaged: bool = False,
    ) -> Report:
        found = (*files, DAMAGED) if damaged else files
        subject = Subject(SubjectKind.WHEEL, "thing.whl", "sha256:" + "a" * 64, "linux/amd64")
        comparison = Comparison(len(found), 10, 30, (), ())
        reading = Reading(
            Inventory(subject, found, len(found)), Backend.BOTH, "13.5.37", comparison
        )
        terms = Terms(parse_requirements(words), exemptions=exemptions, today=date(2026, 11, 21))
        return report_of(judge_reading(reading, terms), kernels=kernels)

    return make


@pytest.fixture(scope="session")
def part() -> FileInventory:
    """The library that runs on 12.1 in part."""
    return LIBRARIES[1]


@pytest.fixture(scope="session")
def full_report(make_report: MakeReport) -> Report:
    """A report with findings of every level, exceptions, kernels and odd names."""
    excuse = Exemption("made for Ampere alone", "gate.toml", kernel="plain", file="part.so")
    return make_report("12.1 sm_100", kernels=True, exemptions=(excuse,), damaged=True)
