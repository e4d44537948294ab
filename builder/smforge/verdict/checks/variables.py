"""Can the host reach the device variables of units that have no kernel?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from smforge.arch.target import ComputeCapability
from smforge.findings import Finding
from smforge.inventory.records import Kind, Region
from smforge.verdict.kernels import MACHINE_CODE, Embedded, Ptx
from smforge.verdict.names import demangle
from smforge.verdict.reach import CANNOT_RUN, reach
from smforge.verdict.rules import VARIABLES_MISSING
from smforge.verdict.views.subject import SubjectView

_DATA = Path(__file__).parent.parent / "data" / "header_constants.json"
_NAMED = 3


def check_variables(subject: SubjectView) -> Iterator[Finding]:
    """Variables that no code object of their region brings to a required device."""
    for device in subject.request.requirements.devices:
        for view in subject.files:
            for region in view.file.counted_regions:
                names = _for_the_host(region.variables)
                if names and _unreachable(subject, region, device):
                    yield _finding(view.file.path, region, names, device)


def _unreachable(subject: SubjectView, region: Region, device: ComputeCapability) -> bool:
    embedded = Embedded(
        frozenset(code.target for code in region.objects if code.kind in MACHINE_CODE),
        frozenset(
            Ptx(code.target, code.ptx_isa) for code in region.objects if code.kind is Kind.PTX
        ),
    )
    return reach(embedded, device, subject.request.driver) in CANNOT_RUN


def _finding(path: str, region: Region, names: list[str], device: ComputeCapability) -> Finding:
    unit = f" of {region.source}" if region.source else ""
    listed = ", ".join(demangle(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return VARIABLES_MISSING.finding(
        f"{path}: variables{unit} have no code for {device}: {listed}{more}. If the program asks "
        "for one there, the CUDA runtime finds no kernel image.",
        file=path,
        device=device,
        remedy=f"Build this unit for {device} too.",
    )


def _for_the_host(names: frozenset[str]) -> list[str]:
    return sorted(
        name for name in names if not any(part in name for part in _constants_of_headers())
    )


@cache
def _constants_of_headers() -> tuple[str, ...]:
    return tuple(json.loads(_DATA.read_text(encoding="utf-8"))["namespaces"])
