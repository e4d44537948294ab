"""Preflight of a published wheel: what it lacks on the devices of a cell, read from the wheel.

The code that is there decides, and no source: the published wheel is audited, before it is slimmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smforge.arch.requirement import Requirements
from smforge.plan.records import Cell, PlannedComponent
from smforge.policy.excuses import Excuse
from smforge.policy.files import shipped_for_kernels
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest


@dataclass(frozen=True, slots=True)
class PublishedPreflight:
    """What a published wheel holds for the devices of a cell."""

    component: PlannedComponent
    cuda: str
    """The CUDA release of the cell: ``13.0.2``."""
    report: Report
    """Of the wheel as it is published."""

    @property
    def title(self) -> str:
        """``vllm 0.33.0 as published``."""
        return f"{self.component.name} {self.component.version} as published"

    @property
    def problems(self) -> tuple[str, ...]:
        """The reasons why this wheel cannot be taken, as sentences."""
        return tuple(self._problems())

    @property
    def content(self) -> str:
        """What each device gets of it: ``6,749 kernels native and 3,186 as PTX on 12.1``."""
        return "; ".join(
            f"{tally.native:,} kernels native and {tally.ptx - tally.exempt_ptx:,} as PTX "
            f"on {device}"
            for device, tally in self.report.devices.items()
        )

    def _problems(self) -> Iterator[str]:
        found = [one for one in self.report.findings if one.level == "error"]
        yield from (f"{one.rule}: {one.message}" for one in found)
        if not found and self.report.verdict != "pass":
            yield f"its audit ends with {self.report.verdict!r}, and that is no pass."
        major = self.cuda.partition(".")[0]
        for file in self.report.files:
            if file.toolkit is not None and file.toolkit.partition(".")[0] != major:
                yield (
                    f"{file.path} is compiled with CUDA {file.toolkit}, and the variant has CUDA "
                    f"{self.cuda}."
                )


def preflight_published(
    cell: Cell, wheels: dict[str, Path], excuses: Sequence[Excuse] = ()
) -> tuple[PublishedPreflight, ...]:
    """Read the published wheels of a cell; `wheels` has their paths by component.

    `excuses` are in addition to those that come with smforge. Raises what an audit raises.
    """
    found = []
    for component in cell.components:
        if (wheel := component.published) is None:
            continue
        request = AuditRequest(Requirements(wheel.keep), excuses=(*excuses, *shipped_for_kernels()))
        report = report_of(audit(str(wheels[component.name]), request))
        found.append(PublishedPreflight(component, cell.toolkit.cuda, report))
    return tuple(found)


def way_out(component: PlannedComponent) -> str:
    """What to do where a published wheel lacks something."""
    return (
        f'Build {component.name} from its sources ("from": "source" in versions.json), or do not '
        "require these devices."
    )
