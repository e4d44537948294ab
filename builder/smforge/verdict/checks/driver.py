"""Does the driver run the machine code and CUDA's libraries? PTX has its own rule (`devices`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.cuda_libraries import cuda_library
from smforge.arch.drivers import DriverVersion
from smforge.arch.target import ComputeCapability
from smforge.arch.toolkits import lowest_driver_of_major, toolkits
from smforge.findings import Finding, Level
from smforge.verdict.checks.cuda_libraries import library_users
from smforge.verdict.cuda_builds import CudaBuilds
from smforge.verdict.kernels import MACHINE_CODE
from smforge.verdict.reading import Backend
from smforge.verdict.rules import DRIVER_TOO_OLD, DRIVER_UNCHECKED
from smforge.verdict.views.files import FileView
from smforge.verdict.views.subject import SubjectView


class Needed(NamedTuple):
    """A driver that a file needs, and what needs it."""

    driver: DriverVersion
    """The lowest driver that runs it."""
    release: str
    """The CUDA release of the code, or of the library: ``13.0``, ``13``."""
    library: str = ""
    """The soname of the library of CUDA; empty if the machine code needs the driver."""


def check_driver(subject: SubjectView, driver: DriverVersion) -> Iterator[Finding]:
    """Code of a required device, and libraries, of a CUDA major version newer than the driver.

    Within a major every driver runs machine code of every release (minor-version compatibility).
    """
    libraries = _by_libraries(subject)
    any_release = max(one.minor_version_driver for one in toolkits())
    if subject.request.requirements.devices:
        yield from _check_libraries(libraries, driver)
    for device in subject.request.requirements.devices:
        seen = [(view, _releases(view, device)) for view in subject.files]
        yield from _check_known(seen, libraries, driver, device)
        unread = sum(releases == {None} for _, releases in seen)
        if unread and driver < any_release:
            yield _unchecked(subject, unread, driver, device)


def _by_libraries(subject: SubjectView) -> dict[str, Needed]:
    """The driver that each file needs because of its libraries of CUDA, by path."""
    found = {}
    for user in library_users(subject):
        libraries = (cuda_library(soname) for soname in user.needed)
        needed = (
            Needed(lowest, str(library.major), library.soname)
            for library in libraries
            if library is not None and library.calls_driver and library.major is not None
            if (lowest := lowest_driver_of_major(library.major))
        )
        if highest := max(needed, default=None):
            found[user.path] = highest
    return found


def _check_libraries(libraries: dict[str, Needed], driver: DriverVersion) -> Iterator[Finding]:
    """Files that need a library newer than the driver, whatever code the files hold."""
    running = CudaBuilds(path for path, needed in libraries.items() if needed.driver <= driver)
    for path, needed in libraries.items():
        if driver < needed.driver:
            yield _too_old(path, needed, driver, None, _level(path, needed, running))


def _check_known(
    seen: list[tuple[FileView, set[str | None]]],
    libraries: dict[str, Needed],
    driver: DriverVersion,
    device: ComputeCapability,
) -> Iterator[Finding]:
    # One finding says for all devices what the libraries of a file need.
    told = {path for path, needed in libraries.items() if driver < needed.driver}
    running: list[str] = []
    old: list[tuple[FileView, Needed]] = []
    for view, releases in seen:
        needed = _needed(releases)
        if needed is not None and driver < needed.driver:
            old.append((view, needed))
        elif releases - {None} and view.file.path not in told:
            running.append(view.file.path)
    builds = CudaBuilds(running)
    for view, needed in old:
        path = view.file.path
        if not view.loose and path not in told:
            yield _too_old(path, needed, driver, device, _level(path, needed, builds))
    if loose := [needed for view, needed in old if view.loose]:
        yield _too_old(None, max(loose), driver, device, files=len(loose))


def _level(path: str, needed: Needed, running: CudaBuilds) -> Level:
    """A warning where a build of the same library for another CUDA major runs."""
    major = int(needed.release.partition(".")[0])
    return Level.WARNING if running.has_other(path, major) else Level.ERROR


def _releases(view: FileView, device: ComputeCapability) -> set[str | None]:
    """The CUDA releases that the machine code which a device runs comes from; None: not known."""
    return {
        code.toolkit
        for region in view.file.counted_regions
        for code in region.objects
        if code.kind in MACHINE_CODE and cubin_runs_on(code.target, device)
    }


def _needed(releases: set[str | None]) -> Needed | None:
    """The lowest driver for machine code of all these releases, and the release it is for."""
    known = (
        Needed(lowest, release)
        for release in releases
        if release and (lowest := lowest_driver_of_major(int(release.partition(".")[0])))
    )
    return max(known, default=None)


def _unchecked(
    subject: SubjectView, files: int, driver: DriverVersion, device: ComputeCapability
) -> Finding:
    """An error if the releases could have been read; a warning if the cubins do not record them."""
    names = subject.names_read and subject.reading.backend is not Backend.CUOBJDUMP
    return DRIVER_UNCHECKED.finding(
        f"Whether driver {driver} runs the machine code of {files} "
        f"{'file' if files == 1 else 'files'} is not known: the CUDA release that it comes from "
        f"{'is not recorded' if names else 'was not read'}.",
        level=Level.WARNING if names else Level.ERROR,
        device=device,
        remedy=None if names else "Leave out --no-kernels, and --backend cuobjdump.",
    )


def _too_old(  # noqa: PLR0913, PLR0917 - what one sentence says
    path: str | None,
    needed: Needed,
    driver: DriverVersion,
    device: ComputeCapability | None,
    level: Level = Level.ERROR,
    files: int = 1,
) -> Finding:
    what = (
        f"it needs {needed.library} of CUDA {needed.release}"
        if needed.library
        else f"machine code for {device} comes from CUDA {needed.release}"
    )
    return DRIVER_TOO_OLD.finding(
        f"{path or f'{files} files of GPU code'}: {what}, which needs driver {needed.driver} or "
        f"newer; {driver} does not run it.",
        level=level,
        file=path,
        device=device,
        remedy=f"Use driver {needed.driver} or newer, or NVIDIA's forward compatibility package of "
        "that driver where the device may use it.",
    )
