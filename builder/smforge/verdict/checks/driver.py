"""Does the driver know the machine code? PTX has a rule of its own (`devices`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.drivers import DriverVersion
from smforge.arch.target import ComputeCapability
from smforge.arch.toolkits import lowest_driver_of_major, toolkits
from smforge.findings import Finding, Level
from smforge.inventory.linked import counted_regions
from smforge.verdict.kernels import MACHINE_CODE
from smforge.verdict.reading import Backend
from smforge.verdict.rules import DRIVER_TOO_OLD, DRIVER_UNCHECKED
from smforge.verdict.subject_view import SubjectView
from smforge.verdict.views import FileView

Needed = tuple[DriverVersion, str]
"""The lowest driver, and the CUDA release of the code that needs it."""


def check_driver(subject: SubjectView, driver: DriverVersion) -> Iterator[Finding]:
    """Machine code that a required device runs, from a CUDA major that the driver predates.

    Within a major every driver runs machine code of every release (minor-version compatibility).
    """
    any_release = max(one.minor_version_driver for one in toolkits())
    for device in subject.request.requirements.devices:
        seen = [(view, _releases(view, device)) for view in subject.files]
        yield from _check_known(seen, driver, device)
        unread = sum(releases == {None} for _, releases in seen)
        if unread and driver < any_release:
            yield _unchecked(subject, unread, driver, device)


def _check_known(
    seen: list[tuple[FileView, set[str | None]]], driver: DriverVersion, device: ComputeCapability
) -> Iterator[Finding]:
    running: set[str] = set()
    old: list[tuple[FileView, Needed]] = []
    for view, releases in seen:
        needed = _needed(releases)
        if needed is not None and driver < needed[0]:
            old.append((view, needed))
        elif releases - {None}:
            running.add(_build_of(view.file.path))
    for view, needed in old:
        if not view.loose:
            path = view.file.path
            level = Level.WARNING if _build_of(path) in running else Level.ERROR
            yield replace(_too_old(path, needed, driver, device), level=level, file=path)
    if loose := [needed for view, needed in old if view.loose]:
        yield _too_old(f"{len(loose)} files of GPU code", max(loose), driver, device)


def _build_of(path: str) -> str:
    """What builds of one library for several CUDA releases have in common: all but the numbers."""
    return re.sub(r"\d+", "", path)


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


def _unchecked(
    subject: SubjectView, files: int, driver: DriverVersion, device: ComputeCapability
) -> Finding:
    """Doubt where the releases can be had; where cubins themselves do not tell, a warning."""
    names = subject.names_read and subject.reading.backend is not Backend.CUOBJDUMP
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
) -> Finding:
    lowest, release = needed
    return DRIVER_TOO_OLD.finding(
        f"{subject}: machine code for {device} comes from CUDA {release}, which needs driver "
        f"{lowest} or newer; {driver} does not run it.",
        device=device,
        remedy=f"Use driver {lowest} or newer, or NVIDIA's forward compatibility package of that "
        "driver where the device may use it.",
    )
