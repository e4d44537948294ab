"""Is the code that was asked for by name embedded?"""

from __future__ import annotations

from collections.abc import Iterator

from smforge.arch.requirement import Form, RequiredTarget
from smforge.arch.target import Target
from smforge.findings import Finding
from smforge.inventory.records import FileInventory, Kind
from smforge.verdict.kernels import MACHINE_CODE
from smforge.verdict.rules import TARGET_ABSENT, TARGET_MISSING
from smforge.verdict.views.files import FileView
from smforge.verdict.views.subject import SubjectView

_KINDS = {
    Form.CUBIN: MACHINE_CODE,
    Form.PTX: frozenset({Kind.PTX}),
    Form.ANY: MACHINE_CODE | {Kind.PTX},
}


def check_targets(subject: SubjectView) -> Iterator[Finding]:
    """Required targets that no library has, and the libraries that lack them."""
    for required in subject.request.requirements.targets:
        without = [view for view in subject.files if not _holds(view.file, required)]
        if not without:
            continue
        target = required.target
        if len(without) == len(subject.files):
            yield TARGET_MISSING.finding(
                f"No library in {subject.inventory.subject.name} embeds {required}"
                f"{_near(subject, target)}.",
                target=target,
                remedy=f"Add {required} to the build's architecture list; code for a relative "
                "of it may run on the same device but is not that code.",
            )
        yield from _absent(without, required)


def _absent(without: list[FileView], required: RequiredTarget) -> Iterator[Finding]:
    loose = [view for view in without if view.loose]
    for view in without:
        if not view.loose:
            yield TARGET_ABSENT.finding(
                f"{view.file.path}: no code for {required}; it embeds {view.embedded}.",
                file=view.file.path,
                target=required.target,
            )
    if loose:
        yield TARGET_ABSENT.finding(
            f"{len(loose)} cubin files are for other targets than {required}.",
            target=required.target,
        )


def _holds(file: FileInventory, required: RequiredTarget) -> bool:
    """Whether the file embeds the target in the required form, with a kernel in it.

    The device linker can write empty code objects, which nothing uses.
    """
    return any(
        code.target == required.target and code.kind in _KINDS[required.form] and code.kernels != ()
        for region in file.counted_regions
        for code in region.objects
    )


def _near(subject: SubjectView, target: Target) -> str:
    """Targets of the same major version that are there."""
    targets = {found for view in subject.files for found in view.targets}
    near = sorted(t for t in targets if t.capability.major == target.capability.major)
    return f"; there is {', '.join(t.sm for t in near)}" if near else ""
