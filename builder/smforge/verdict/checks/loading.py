"""Do the libraries of a subject load: are they for its CPU, and linked for the device?"""

from __future__ import annotations

from collections.abc import Iterator

from smforge.arch.platforms import PROCESSORS
from smforge.findings import Finding, Level
from smforge.inventory.records import SubjectKind
from smforge.verdict.rules import DEVICE_LINK_MISSING, MACHINE_MISMATCH
from smforge.verdict.views.subject import SubjectView

_NAMED = 3
"""Translation units named in a finding; the rest are counted."""


def check_machine(subject: SubjectView) -> Iterator[Finding]:
    """Libraries for another CPU than the subject's platform.

    A wheel is installed for one CPU. An image may hold libraries for others too, to
    compile for them; where it holds no others, it is the wrong image.
    """
    identity = subject.inventory.subject
    cpu = PROCESSORS.get(identity.platform or "")
    libraries = [view.file for view in subject.files if view.file.machine is not None]
    others = [file for file in libraries if file.machine != cpu]
    if cpu is None or not others:
        return
    certain = identity.kind is SubjectKind.WHEEL or len(others) == len(libraries)
    for file in others:
        yield MACHINE_MISMATCH.finding(
            f"{file.path} is for {file.machine}, and {identity.name} for {cpu}: it cannot be "
            "loaded there.",
            level=Level.ERROR if certain else Level.WARNING,
            file=file.path,
            remedy=f"Build it for {cpu}, or name the {identity.kind} for what it holds.",
        )


def check_device_link(subject: SubjectView) -> Iterator[Finding]:
    """Libraries with relocatable GPU code that the host's linker alone has linked."""
    for view in subject.files:
        if units := view.file.unlinked:
            path = view.file.path
            more = f" and {len(units) - _NAMED} more" if len(units) > _NAMED else ""
            yield DEVICE_LINK_MISSING.finding(
                f"{path}: the relocatable GPU code of {', '.join(units[:_NAMED])}{more} was never "
                "linked for the device, so loading it fails with an undefined "
                "__cudaRegisterLinkedBinary symbol.",
                file=path,
                remedy="Link it with nvcc, or give the host's linker what nvcc -dlink makes of "
                "the same object files.",
            )
