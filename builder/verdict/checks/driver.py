"""Does the driver know the machine code? PTX has a rule of its own (`devices`)."""

from __future__ import annotations

from collections.abc import Iterator

from builder.arch.coverage import cubin_runs_on
from builder.arch.drivers import DriverVersion
from builder.arch.target import ComputeCapability
from builder.arch.toolkits import lowest_driver_of_major, toolkits
from builder.inventory.linked import counted_regions
from builder.verdict.case import Case
from builder.verdict.kernels import MACHINE_CODE
from builder.verdict.records import Finding, Level
from builder.verdict.rules import DRIVER_TOO_OLD, DRIVER_UNCHECKED
from builder.verdict.views import FileView

Needed = tuple[DriverVersion, str]
"""The lowest driver, and the CUDA release of the code that needs it."""


def check_driver(case: Case, driver: DriverVersion) -> Iterator[Finding]:
    """Machine code that a required device runs, from a CUDA major that the driver predates.

    Within a major every driver runs machine code of every release (minor-version compatibility).
    """
    any_release = max(one.minor_version_driver for one in toolkits())
    for device in case.terms.requirements.devices:
        loose: list[Needed] = []
        unread = 0
        for view in case.views:
            releases = _releases(view, device)
            needed = _needed(releases - {None})
            unread += None in releases and needed is None
            if needed is None or driver >= needed[0]:
                continue
            if view.loose:
                loose.append(needed)
            else:
                yield _too_old(view.file.path, needed, driver, device, file=view.file.path)
        if loose:
            yield _too_old(f"{len(loose)} files of GPU code", max(loose), driver, device)
        if unread and driver < any_release:
            yield _unchecked(case, unread, driver, device)


def _releases(view: FileView, device: ComputeCapability) -> set[str | None]:
    """The CUDA releases that the machine code which a device runs comes from; None: not known."""
    return {
        code.toolkit
        for region in counted_regions(view.file)
        for code in region.objects
        if code.kind in MACHINE_CODE and cubin_runs_on(code.target, device)
    }


def _needed(releases: set[str | None]) -> Needed | None:
    """The lowest driver for machine code of all these releases, and the release it is for."""
    known = (
        (lowest, release)
        for release in releases
        if release and (lowest := lowest_driver_of_major(int(release.partition(".")[0])))
    )
    return max(known, default=None)


def _unchecked(case: Case, files: int, driver: DriverVersion, device: ComputeCapability) -> Finding:
    """Doubt where the releases can be had; where cubins themselves do not tell, a warning."""
    names = case.names_read and case.evidence.backend != "cuobjdump"
    return DRIVER_UNCHECKED.finding(
        f"Whether driver {driver} runs the machine code of {files} "
        f"{'file' if files == 1 else 'files'} is not known: the CUDA release that it comes from "
        f"{'is not recorded' if names else 'was not read'}.",
        level=Level.WARNING if names else Level.ERROR,
        device=device,
        remedy=None if names else "Leave out --no-kernels, and --backend cuobjdump.",
    )


def _too_old(
    subject: str,
    needed: Needed,
    driver: DriverVersion,
    device: ComputeCapability,
    file: str | None = None,
) -> Finding:
    lowest, release = needed
    return DRIVER_TOO_OLD.finding(
        f"{subject}: machine code for {device} comes from CUDA {release}, which needs driver "
        f"{lowest} or newer; {driver} does not run it.",
        file=file,
        device=device,
        remedy=f"Use driver {lowest} or newer, or NVIDIA's forward compatibility package of that "
        "driver where the device may use it.",
    )
