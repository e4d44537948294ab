"""Can code that a program keeps among its data run, wherever the program may load it?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smforge.arch.target import ComputeCapability
from smforge.findings import Finding, Level
from smforge.inventory.records import CodeObject, Kind, Origin
from smforge.verdict.kernels import Embedded, Ptx
from smforge.verdict.names import demangle
from smforge.verdict.reach import RUNS, Reach, reach
from smforge.verdict.request import AuditRequest
from smforge.verdict.rules import CODE_AMONG_DATA
from smforge.verdict.views.excused import excuses
from smforge.verdict.views.files import FileView
from smforge.verdict.views.subject import SubjectView

_LISTED = 3
"""Kernels and targets written out; the rest are counted."""


def check_data(subject: SubjectView) -> Iterator[Finding]:
    """Cubins and PTX texts that a program itself gives to the driver API.

    The file does not show when it does. So each kernel of them should run on every required device,
    from any of the objects that have it, unless its name says for which architecture it is:
    programs choose such kernels by device.
    """
    judged = any(view.groups for view in subject.files)
    required = subject.request.requirements
    for view in subject.files:
        objects = [
            code
            for region in view.file.regions
            if region.origin is Origin.DATA
            for code in region.objects
        ]
        if not objects:
            continue
        kernels = _kernels(objects)
        held = f"{len(objects)} code object{'' if len(objects) == 1 else 's'} among its data"
        held += f" ({_some(_targets(objects))})"
        failed = False
        for device in required.devices:
            names = [
                name
                for name, embedded in kernels.items()
                if not _runs(view, name, embedded, device, subject.request)
            ]
            if names:
                failed = True
                yield CODE_AMONG_DATA.finding(
                    f"{view.file.path} has {held}, of which {_told(names)} cannot run on {device}; "
                    "whether its program loads it there is not known.",
                    level=Level.ERROR,
                    file=view.file.path,
                    device=device,
                    remedy="Embed code for the device, or excuse it with the reason why it is not "
                    "loaded there (--allow, --policy).",
                )
        if not failed:
            level = Level.WARNING if kernels else Level.NOTE
            yield CODE_AMONG_DATA.finding(
                f"{view.file.path} has {held}; which of it its program loads is not known.",
                level=Level.ERROR if required and not judged else level,
                file=view.file.path,
            )


def _kernels(objects: list[CodeObject]) -> dict[str, Embedded]:
    """What each kernel is embedded as; one entry without a name where names were not read."""
    holders: dict[str, list[CodeObject]] = {}
    for code in objects:
        for name in ("",) if code.kernels is None else code.kernels:
            holders.setdefault(name, []).append(code)
    return {
        name: Embedded(
            frozenset(code.target for code in found if code.kind is not Kind.PTX),
            frozenset(Ptx(code.target, code.ptx_isa) for code in found if code.kind is Kind.PTX),
        )
        for name, found in holders.items()
    }


def _runs(
    view: FileView,
    name: str,
    embedded: Embedded,
    device: ComputeCapability,
    request: AuditRequest,
) -> bool:
    """Whether a kernel runs on a device, or need not."""
    if reach(embedded, device, request.driver) in RUNS or _chosen_by_name(name, embedded):
        return True
    return any(
        one.holds(device, request.today)
        and excuses(one, Reach.MISSING)
        and one.fits(embedded.targets)
        and one.covers(name, view.file.path, demangle)
        for one in request.excuses
    )


def _chosen_by_name(name: str, embedded: Embedded) -> bool:
    """Whether a kernel's name says for which architecture it is: ``fmha_sm80_kernel``."""
    numbers = {target.capability.number for target in embedded.targets}
    return all(re.search(rf"sm_?{number}(?!\d)", name) for number in numbers)


def _told(names: list[str]) -> str:
    if names == [""]:
        return "nothing"
    kind = "1 kernel" if len(names) == 1 else f"{len(names)} kernels"
    return f"{kind} ({_some([demangle(name) for name in names[:_LISTED]], len(names))})"


def _targets(objects: list[CodeObject]) -> list[str]:
    cubins = {code.target for code in objects if code.kind is not Kind.PTX}
    texts = {code.target for code in objects if code.kind is Kind.PTX}
    return [*(one.sm for one in sorted(cubins)), *(one.compute for one in sorted(texts))]


def _some(words: list[str], total: int | None = None) -> str:
    left = (len(words) if total is None else total) - _LISTED
    return ", ".join(words[:_LISTED]) + (f" and {left} more" if left > 0 else "")
