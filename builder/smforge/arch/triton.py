"""How releases of Triton have their kernels assembled: data/triton.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from smforge.arch.devices import devices
from smforge.arch.drivers import ptx_isa_of
from smforge.arch.tables import table
from smforge.arch.target import ComputeCapability, Suffix, Target

CUDA_RELEASES = tuple(f"{major}.{minor}" for major in range(10, 17) for minor in range(10))
"""The CUDA releases, real and possible ones, for which a Triton is asked whether it takes them."""


@dataclass(frozen=True, slots=True)
class TritonRules:
    """What one Triton does to have a kernel assembled."""

    release: str
    """``3.5.0``; empty where it is not known."""
    assemblers: Mapping[ComputeCapability, str]
    """For each device the file of the assembler: ``ptxas`` or ``ptxas-blackwell``."""
    variables: Mapping[str, str]
    """For each of these files the variable that names another assembler in its place."""
    targets: Mapping[ComputeCapability, Target]
    """What the assembler is asked for on each device."""
    ptx_isa: Mapping[str, str]
    """The PTX ISA version that is written for an assembler of a CUDA release. A release of
    `CUDA_RELEASES` that is not here is refused with an exception."""
    bundled: Mapping[str, str] | None = None
    """The CUDA release of each assembler in the wheel; None where that is not known."""

    @property
    def name(self) -> str:
        """``Triton 3.5.0``."""
        return f"Triton {self.release}".rstrip()

    def assembler_for(self, device: ComputeCapability) -> str:
        """The file of the assembler that a device's code goes to."""
        return self.assemblers[self._like(device)]

    def target_for(self, device: ComputeCapability) -> Target:
        """What the assembler is asked for on a device."""
        return Target(device, self.targets[self._like(device)].suffix)

    def _like(self, device: ComputeCapability) -> ComputeCapability:
        """The device itself, or for one that is not in the table the next lower one."""
        return max((one for one in self.targets if one <= device), default=min(self.targets))

    def refusal(self, cuda: str) -> str | None:
        """Why it cannot use an assembler of a CUDA release, as a sentence's part; None if it can.

        It refuses the release, or writes PTX of a version that this assembler does not read yet.
        """
        written, read = self.ptx_isa.get(cuda), ptx_isa_of(cuda)
        if cuda not in CUDA_RELEASES:
            return None
        if written is None:
            return f"{self.name} refuses assemblers of CUDA {cuda}"
        if read is not None and _numbers(written) > _numbers(read):
            return (
                f"{self.name} writes PTX {written} for an assembler of CUDA {cuda}, which reads "
                f"up to {read}"
            )
        return None


@cache
def triton_releases() -> tuple[TritonRules, ...]:
    """Every release of the table, oldest first."""
    found = (_rules(release, row) for release, row in table("triton")["releases"].items())
    return tuple(sorted(found, key=lambda one: _numbers(one.release)))


def triton_release(release: str) -> TritonRules | None:
    """The rules of a release (``3.5.0``, ``3.5.0+git7416ffcb``); None for one not in the table."""
    public = release.partition("+")[0]
    known = next((one for one in triton_releases() if one.release == public), None)
    return replace(known, release=release) if known else None


def variable_of(assembler: str) -> str:
    """The variable that names another assembler, as all releases but 3.3 call it."""
    return f"TRITON_{assembler.upper().replace('-', '_')}_PATH"


def _rules(release: str, row: dict[str, Any]) -> TritonRules:
    capabilities = [one.capability for one in devices()]
    return TritonRules(
        release=release,
        assemblers={device: _assembler(row, device) for device in capabilities},
        variables={one["file"]: one["variable"] for one in row["assemblers"]},
        targets={device: _target(row["arch_specific"], device) for device in capabilities},
        ptx_isa=dict(_versions(table("triton")["ptx_isa"][row["ptx_isa"]])),
        bundled={one["file"]: one["cuda"] for one in row["assemblers"]},
    )


def _versions(rows: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs of a CUDA release and a PTX ISA version; from row to row both count up by one."""
    for row in rows:
        (major, first), (_, last) = _numbers(row["from"]), _numbers(row["to"])
        isa_major, isa_minor = _numbers(row["ptx_isa"])
        for step in range(last - first + 1):
            isa = isa_major * 10 + isa_minor + step
            yield f"{major}.{first + step}", f"{isa // 10}.{isa % 10}"


def _assembler(row: dict[str, Any], device: ComputeCapability) -> str:
    for one in row["assemblers"]:
        if one["from"] is None or device >= ComputeCapability.parse(one["from"]):
            return str(one["file"])
    raise AssertionError("the last assembler of a release takes what is left")


def _target(rule: dict[str, str | None], device: ComputeCapability) -> Target:
    first, last = rule["from"], rule["to"]
    specific = (first is not None and device >= ComputeCapability.parse(first)) and (
        last is None or device <= ComputeCapability.parse(last)
    )
    return Target(device, Suffix.ARCH_SPECIFIC if specific else Suffix.PLAIN)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
