"""The whole audit of one subject: read, view, judge. The command and the build share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from smforge.errors import UsageError
from smforge.inventory.jit_tools.records import HostFiles
from smforge.inventory.jit_tools.scanner import WatchedSubject
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Inventory, Subject, SubjectKind
from smforge.inventory.subjects.opening import open_unpacked
from smforge.inventory.survey import survey
from smforge.verdict.judge import judge
from smforge.verdict.reading import Backend, Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

if TYPE_CHECKING:
    from smforge.inventory.probing.records import Probed


def audit(  # noqa: PLR0913 - what an audit is made of
    argument: str,
    request: AuditRequest,
    backend: Backend = Backend.NATIVE,
    options: ReadOptions | None = None,
    probed: Probed | None = None,
    *,
    name: str = "",
) -> Verdict:
    """Audit the subject that `argument` names, with the facts of a run of it (`probed`).

    `name` is what the verdict calls it, where that is not the subject's own name.

    Raises `UsageError` where there is no such subject, `DamagedInputError` where its members
    cannot be listed, `LimitExceededError` where reading and judging take more time than the options
    allow, and `ToolError` where cuobjdump is asked for and missing.
    """
    options = options or ReadOptions()
    check_time = _clock(options)
    reading = replace(read(argument, backend, options), probed=probed)
    options.progress.task("judging")
    return judge(_named(reading, name) if name else reading, request, check_time)


def _named(reading: Reading, name: str) -> Reading:
    subject = reading.inventory.subject._replace(name=name)
    return replace(reading, inventory=reading.inventory._replace(subject=subject))


def _clock(options: ReadOptions) -> Callable[[], None]:
    """Return a function that raises `LimitExceededError` after the time for a subject, counted
    from now.
    """
    started = time.monotonic()
    return lambda: options.limits.check_subject_seconds(time.monotonic() - started)


def audit_together(
    arguments: Sequence[str],
    name: str,
    request: AuditRequest,
    backend: Backend = Backend.NATIVE,
    options: ReadOptions | None = None,
) -> Verdict:
    """Audit several subjects as one, called `name`: for instance wheels for different devices.

    The path of each file begins with the name of its subject.
    """
    if not arguments:
        raise UsageError("There is nothing to audit.", remedy="Name at least one subject.")
    options = options or ReadOptions()
    check_time = _clock(options)
    readings = [read(argument, backend, options) for argument in arguments]
    options.progress.task("judging")
    return judge(_join(readings, name), request, check_time)


def read(argument: str, backend: Backend, options: ReadOptions) -> Reading:
    """Take the inventory of a subject with the backend asked for."""
    if backend is Backend.NATIVE:
        opened = open_unpacked(argument, options)
        with WatchedSubject(opened, ask=options.ask_assemblers) as subject:
            inventory = survey(subject, options)
            return Reading(inventory, host_files=subject.host_files())
    return _read_with_cuobjdump(argument, backend, options)


def _read_with_cuobjdump(argument: str, backend: Backend, options: ReadOptions) -> Reading:
    # Imported here, because it is slow to load and most audits do not need it.
    from smforge.inventory.cuobjdump.agreement import compare  # noqa: PLC0415
    from smforge.inventory.cuobjdump.locate import locate  # noqa: PLC0415
    from smforge.inventory.cuobjdump.readers import BothReaders, CuobjdumpReader  # noqa: PLC0415

    tool = locate()
    comparison = None
    readers = BothReaders(tool)
    reader = readers if backend is Backend.BOTH else CuobjdumpReader(tool)
    with WatchedSubject(open_unpacked(argument, options), ask=options.ask_assemblers) as subject:
        inventory = survey(subject, options, reader)
        host_files = subject.host_files()
    if backend is Backend.BOTH:
        comparison = compare(inventory, readers.second_opinion(inventory))
    return Reading(inventory, backend, tool.version, comparison, host_files, tool.tells_families)


def _join(readings: Sequence[Reading], name: str) -> Reading:
    inventories = [_below_its_name(reading.inventory) for reading in readings]
    comparisons = [one.comparison for one in readings if one.comparison is not None]
    return replace(
        readings[0],
        inventory=Inventory(
            _joined_subject([inventory.subject for inventory in inventories], name),
            tuple(file for inventory in inventories for file in inventory.files),
            sum(inventory.examined for inventory in inventories),
            tuple(damage for inventory in inventories for damage in inventory.damage),
        ),
        comparison=reduce(add, comparisons) if comparisons else None,
        host_files=HostFiles.joined(
            reading.host_files.below(_folder_of(reading.inventory)) for reading in readings
        ),
    )


def _joined_subject(subjects: Sequence[Subject], name: str) -> Subject:
    import hashlib  # noqa: PLC0415 - OpenSSL loads slowly

    lines = "".join(f"{subject.digest}  {subject.name}\n" for subject in subjects)
    digest = f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    platforms = {subject.platform for subject in subjects}
    return Subject(SubjectKind.TREE, name, digest, platforms.pop() if len(platforms) == 1 else None)


def _folder_of(inventory: Inventory) -> str:
    """Where the files of a subject lie among those of several: below the name of its file."""
    return inventory.subject.file or inventory.subject.name


def _below_its_name(inventory: Inventory) -> Inventory:
    prefix = f"{_folder_of(inventory)}/"
    files = tuple(file.at(prefix + file.path) for file in inventory.files)
    damage = tuple(item._replace(path=prefix + item.path) for item in inventory.damage)
    return inventory._replace(files=files, damage=damage)
