"""One side of a comparison: what a report says of a subject, in the terms that compare."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.report import model
from smforge.verdict.kernels import Embedded, Ptx
from smforge.verdict.names import family
from smforge.verdict.rules import (
    DEVICE_MISSING,
    DEVICE_PTX_ONLY,
    KERNELS_MISSING,
    RULE_BY_ID,
    TARGET_MISSING,
)

MACHINE_CODE = frozenset({"cubin", "old-cubin"})
_ABI = re.compile(r"\.(?:cpython-\d+[a-z]?(?:-[\w-]+?)?|abi\d)(?=\.so)")
_GRAFTED = re.compile(r"-[0-9a-f]{8}(?=\.so)")
"""The hash that auditwheel puts into the names of the libraries it copies."""
_BUILT = re.compile(
    r"(?P<length>\d+)(?:"
    r"(?P<unit>_GLOBAL__N_|_INTERNAL)_[0-9a-f]{8}_(?P<size>\d+)_"
    r"|(?P<library>CUB_|THRUST_)\d+_SM_)"
)
"""Identifiers, after their length, that change from build to build: what nvcc calls the inside of a
source file (a hash, the file's name with its length, and a hash or a symbol), and the namespaces of
CUB and Thrust, which hold a version and the whole list of architectures."""
_BUILT_FAMILY = re.compile(r"((?:CUB|THRUST)_)\d+_SM(?:_\d+)+(?:_NS)?|(_INTERNAL_)[0-9a-f]{8}_\w+")


@dataclass(frozen=True, slots=True)
class Library:
    """One file with GPU code."""

    path: str
    size: int
    code_bytes: int
    codes: frozenset[str]
    """``sm_120f``, ``compute_90``."""
    kernels: Mapping[str, Counter[Embedded]] | None
    """By name, how many are embedded as what; None where the report does not list them."""
    tallies: Mapping[ComputeCapability, model.Tally]
    count: int

    @property
    def key(self) -> str:
        """Its path without what changes from build to build: the Python ABI, auditwheel's hash."""
        return key_of(self.path)


def key_of(path: str) -> str:
    """A library's path without what changes from build to build."""
    return _GRAFTED.sub("", _ABI.sub("", path))


Broken = tuple[str, str, str | None]
"""A rule, the key of the library that it is about, and the device."""
COMPARED = frozenset(
    rule.id for rule in (DEVICE_MISSING, KERNELS_MISSING, DEVICE_PTX_ONLY, TARGET_MISSING)
)
"""The rules about what a comparison follows kernel by kernel and target by target itself."""


@dataclass(frozen=True, slots=True)
class Side:
    """One subject."""

    identity: model.Subject
    saved: bool
    unit: str
    driver: str | None
    libraries: tuple[Library, ...]
    devices: frozenset[ComputeCapability]
    """Those that the report counts."""
    doubts: tuple[str, ...]
    """What could not be read."""
    broken: Mapping[Broken, str]
    """What is wrong for certain beside the kernels, in the audit's words: a library that is for
    another CPU, or that cannot be loaded."""

    @property
    def named(self) -> bool:
        """Whether every kernel is known by name."""
        return all(library.kernels is not None for library in self.libraries)

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(code for library in self.libraries for code in library.codes)


def side_of(report: model.Report, *, saved: bool) -> Side:
    """Take from a report what compares."""
    return Side(
        identity=report.subject,
        saved=saved,
        unit=report.counted,
        driver=report.question.driver,
        libraries=tuple(_library(file, report.counted) for file in report.files),
        devices=frozenset(ComputeCapability.parse(one) for one in report.devices),
        doubts=tuple(_doubts(report)),
        broken={
            (finding.rule, key_of(finding.file or ""), finding.device): finding.message
            for finding in report.findings
            if finding.level == "error"
            and finding.rule not in COMPARED
            and not _is_undetermined(finding)
        },
    )


@lru_cache(maxsize=65536)
def same_name(name: str) -> str:
    """A kernel's mangled name without what changes from build to build."""
    plain: list[str] = []
    end = 0
    while match := _BUILT.search(name, end):
        start = match.end("length")
        stop = start + int(match["length"][-4:])
        plain += name[end : match.start()], match["unit"] or match["library"]
        if match["unit"]:
            plain.append(name[match.end() : match.end() + int(match["size"][:4])])
        end = max(match.end(), min(stop, len(name)))
    return "".join((*plain, name[end:]))


@lru_cache(maxsize=65536)
def same_family(name: str) -> str:
    """The family of a mangled name, without what changes from build to build."""
    return _BUILT_FAMILY.sub(r"\1\2…", family(name))


def _library(file: model.File, unit: str) -> Library:
    objects = (*file.objects, *file.unseen)
    tallies = {ComputeCapability.parse(one): tally for one, tally in file.devices.items()}
    count = max((_total(tally) for tally in tallies.values()), default=len(file.kernels))
    return Library(
        path=file.path,
        size=file.size,
        code_bytes=sum(one.bytes for one in objects),
        codes=frozenset(_code(one) for one in objects),
        kernels=_kernels(file) if unit == "kernels" and len(file.kernels) == count else None,
        tallies=tallies,
        count=count,
    )


def _total(tally: model.Tally) -> int:
    return tally.native + tally.ptx + tally.foreign + tally.missing + tally.unreachable


def _code(one: model.Objects) -> str:
    target = target_of(one.target)
    return target.sm if one.kind in MACHINE_CODE else target.compute


def _kernels(file: model.File) -> dict[str, Counter[Embedded]]:
    # Thousands of kernels share a handful of target sets.
    known: dict[tuple[object, ...], Embedded] = {}
    found: dict[str, Counter[Embedded]] = {}
    for kernel in file.kernels:
        targets = (
            kernel.targets,
            kernel.ptx,
            kernel.lacking,
            kernel.lacking_ptx,
            kernel.unregistered,
        )
        if targets not in known:
            known[targets] = Embedded(
                frozenset(target_of(one) for one in kernel.targets),
                frozenset(Ptx(target_of(one), None) for one in kernel.ptx),
                frozenset(target_of(one) for one in kernel.lacking),
                frozenset(target_of(one) for one in kernel.lacking_ptx),
                kernel.unregistered,
            )
        found.setdefault(kernel.name, Counter())[known[targets]] += 1
    return found


def target_of(text: str) -> Target:
    """Read a target of a report, where a question mark stands for a suffix that is not known."""
    if text.endswith("?"):
        return Target(ComputeCapability.parse(text[:-1]), Suffix.UNKNOWN)
    return Target.parse(text)


def target_of_code(code: str) -> Target:
    """Read ``sm_120f`` or ``compute_90``, a question mark after it included."""
    if code.endswith("?"):
        return Target(Target.parse(code[:-1]).capability, Suffix.UNKNOWN)
    return Target.parse(code)


def _is_undetermined(finding: model.Finding) -> bool:
    """Whether a finding says that something is not known. A rule of another release is unknown."""
    rule = RULE_BY_ID.get(finding.rule)
    return rule is not None and rule.undetermined


def _doubts(report: model.Report) -> list[str]:
    unsure = [
        finding.message
        for finding in report.findings
        if finding.level == "error" and _is_undetermined(finding)
    ]
    if report.verdict == "undetermined" and not unsure:
        unsure = [f"The report of {report.subject.name} is itself undetermined."]
    return unsure
