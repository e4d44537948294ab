"""Was everything read, and can what was read be trusted?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from smforge.findings import Finding, Level
from smforge.inventory.records import RUNNABLE, CodeObject, Kind, Origin, Region
from smforge.verdict.reading import Backend
from smforge.verdict.rules import (
    BACKEND_DISAGREEMENT,
    CUOBJDUMP_FAILED,
    DAMAGED_CODE_OBJECT,
    DEVICE_NOT_KEPT,
    FAMILIES_UNTOLD,
    HEADER_PAYLOAD_MISMATCH,
    NAMES_UNREAD,
    REGIONS_UNKNOWN,
    UNJUDGED_CODE,
    UNSEEN_CODE,
)
from smforge.verdict.views.subject import SubjectView

_LINKED_LATER = frozenset({Kind.LTO_IR, Kind.RELOCATABLE_PTX})
_LINKER_INPUT = (".a", ".o", ".obj", ".lib")
_NEVER_SEEN = frozenset({Kind.INDEX, Kind.CONCATENATED})
_LISTED = 5
"""Differences written out; the rest are counted."""


def check_copies(subject: SubjectView) -> Iterator[Finding]:
    """Required devices for which code may have been taken out of a slimmed copy.

    A missing kernel is known by its code for other devices, and that code was taken out.
    """
    required = subject.request.requirements.devices
    for copy in subject.reading.host_files.copies:
        kept = ", ".join(str(device) for device in sorted(copy.kept))
        made = f"This copy was slimmed for {kept}" if kept else "This copy was slimmed"
        original = f"the original ({copy.original})" if copy.original else "the original"
        for device in required:
            if device not in copy.kept:
                yield DEVICE_NOT_KEPT.finding(
                    f"{made}, so which kernels it lacks on {device} is not known.",
                    file=copy.path,
                    device=device,
                    remedy=f"Audit {original} for {device}.",
                )
        if not required:
            yield DEVICE_NOT_KEPT.finding(
                f"{made}: what it lacks on other devices is not shown.",
                level=Level.NOTE,
                file=copy.path,
                remedy=f"Audit {original} for other devices.",
            )


def check_damage(subject: SubjectView) -> Iterator[Finding]:
    """Damaged places of the subject and of its files."""
    damages = [*subject.inventory.damage, *(d for view in subject.files for d in view.file.damage)]
    for damage in damages:
        where = damage.path if damage.offset is None else f"{damage.path} at byte {damage.offset}"
        yield DAMAGED_CODE_OBJECT.finding(
            f"{where}: {damage.message}",
            file=damage.path,
            remedy="Fetch or build it again, or make it readable: what it holds is not known.",
        )


def check_headers(subject: SubjectView) -> Iterator[Finding]:
    """Entries whose header and payload cannot both be true; the payload was judged."""
    for view in subject.files:
        found = Counter(
            (code.contradicted, _described(code))
            for region in view.file.regions
            for code in region.objects
            if code.contradicted is not None
        )
        for (said, real), count in found.items():
            objects = "1 code object is" if count == 1 else f"{count} code objects are"
            yield HEADER_PAYLOAD_MISMATCH.finding(
                f"{view.file.path}: {objects} {real}, but the fatbin's header says {said}.",
                file=view.file.path,
                remedy="Build it again: both cannot be true, and the payload was judged here.",
            )


def _described(code: CodeObject) -> str:
    """The target and version that the payload itself states: ``compute_90 in PTX 9.0``."""
    if code.ptx_isa is None:
        return code.target.sm
    return f"{code.target.compute} in PTX {code.ptx_isa}"


def check_names(subject: SubjectView) -> Iterator[Finding]:
    """What an audit without kernel names does not know, if something is required."""
    several = (
        len(region.objects) > 1 for view in subject.files for region in view.file.counted_regions
    )
    if subject.request.requirements.devices and not subject.names_read and any(several):
        yield NAMES_UNREAD.finding(
            "Kernel names were not read. Of a region the driver picks one code object, and a "
            "kernel that this object lacks cannot run: whether there is one is not known.",
            remedy="Leave out --no-kernels to be sure.",
        )


def check_backends(subject: SubjectView) -> Iterator[Finding]:
    """Disagreement of the backends, and what cuobjdump alone does not show."""
    if subject.reading.backend is Backend.CUOBJDUMP and subject.names_read:
        yield REGIONS_UNKNOWN.finding(
            "cuobjdump does not show which translation unit code belongs to: units are guessed "
            "from the order of its listing and from shared kernels.",
            remedy="Use the native backend, or both.",
        )
    if not subject.reading.prints_suffix_f:
        yield FAMILIES_UNTOLD.finding(
            "This cuobjdump is older than family-specific code: it prints sm_120 for sm_120f, so "
            "it confirms neither.",
            remedy="Use cuobjdump 12.9 or newer.",
        )
    comparison = subject.reading.comparison
    if comparison is None:
        return
    for damage in comparison.unread:
        yield CUOBJDUMP_FAILED.finding(
            f"cuobjdump cannot read {damage.path}: {damage.message}",
            file=damage.path,
            remedy="Use another release of cuobjdump, or the native backend alone.",
        )
    if differences := comparison.differences:
        listed = "; ".join(str(one) for one in differences[:_LISTED])
        more = len(differences) - _LISTED
        yield BACKEND_DISAGREEMENT.finding(
            f"The native reader and cuobjdump disagree on {len(differences)} kinds of code "
            f"objects: {listed}{f' and {more} more' if more > 0 else ''}.",
            file=differences[0].path,
            remedy="Report it as a defect of smforge, with the file.",
        )


def check_unseen(subject: SubjectView) -> Iterator[Finding]:
    """GPU code outside the sections that cuobjdump reads."""
    for view in subject.files:
        regions = [r for r in view.file.regions if r.origin is Origin.EMBEDDED]
        if regions:
            objects = sum(len(region.objects) for region in regions)
            sections = ", ".join(sorted({region.section or "no section" for region in regions}))
            yield UNSEEN_CODE.finding(
                f"{view.file.path}: {objects} code objects in {sections} are not seen by "
                "cuobjdump; they are counted here.",
                file=view.file.path,
            )


def check_unjudged(subject: SubjectView) -> Iterator[Finding]:
    """Files and regions whose GPU code has no kernel to judge."""
    judged = any(view.groups for view in subject.files)
    for view in subject.files:
        if view.file.damage:
            continue
        regions = view.file.counted_regions if view.groups else view.file.regions
        unjudged = [
            region
            for region in regions
            if region.origin is not Origin.DATA
            and not (view.groups and any(code.kind in RUNNABLE for code in region.objects))
        ]
        if not unjudged:
            continue
        kinds = ", ".join(sorted({code.kind for region in unjudged for code in region.objects}))
        where = f"{view.file.path}: "
        if view.groups:
            one = len(unjudged) == 1
            where += f"{len(unjudged)} fatbin{'' if one else 's'} beside others, "
            where += f"{'' if one else 'the first '}at byte {unjudged[0].offset}: "
        yield UNJUDGED_CODE.finding(
            f"{where}GPU code without a kernel to judge ({kinds}).",
            level=_unjudged_level(subject, judged, unjudged),
            file=view.file.path,
            remedy=_emptied(subject, unjudged) or _remedy(view.file.path, unjudged),
        )


def _emptied(subject: SubjectView, unjudged: Sequence[Region]) -> str | None:
    """What can be said of libraries of a slimmed wheel or folder that have no kernel any more."""
    markers = all(
        region.origin is Origin.FATBIN and {code.kind for code in region.objects} == {Kind.PTX}
        for region in unjudged
    )
    if not subject.reading.host_files.copies or not markers:
        return None
    return "Nothing, if its code was taken out because it was made for other devices."


def _unjudged_level(subject: SubjectView, judged: bool, unjudged: Sequence[Region]) -> Level:
    """An error where it is not known what runs on a required device.

    LTO-IR beside other code is linked on the device. What loads an index or a concatenated entry is
    not documented, and no compiler was seen to make one.
    """
    if not subject.request.requirements:
        return Level.WARNING
    kinds = {code.kind for region in unjudged for code in region.objects}
    return Level.WARNING if judged and not kinds & _NEVER_SEEN else Level.ERROR


def _remedy(path: str, regions: Sequence[Region]) -> str:
    """What can be done about code that has no kernel to judge, by what it is."""
    kinds = {code.kind for region in regions for code in region.objects}
    if path.endswith(_LINKER_INPUT):
        return "Audit the library or program that it is linked into."
    if kinds <= RUNNABLE:
        return "It has no kernel of its own: audit what loads or links it."
    if kinds & _LINKED_LATER:
        return (
            "nvJitLink has to link it on the device before anything of it runs, which no audit can "
            "judge: run it there, or build it with machine code."
        )
    if Kind.TILE_IR in kinds:
        return "The driver has to compile it on the device, which no audit can judge: run it there."
    return "Load it on the device to know whether it runs, or build it with machine code."
