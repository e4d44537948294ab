"""Do the libraries of a subject load: are they for its CPU, and linked for the device?"""

from __future__ import annotations

from collections.abc import Iterator

from smforge.arch.devices import device
from smforge.arch.platforms import PLATFORMS, PROCESSORS, WHEEL_SUFFIX, wheel_platform
from smforge.findings import Finding, Level
from smforge.inventory.records import Subject, SubjectKind
from smforge.verdict.rules import DEVICE_LINK_MISSING, HOST_DIFFERS, MACHINE_MISMATCH
from smforge.verdict.views.subject import SubjectView

_NAMED = 3
"""Translation units named in a finding; the rest are counted."""


def check_machine(subject: SubjectView) -> Iterator[Finding]:
    """Libraries for another CPU than the platform of the subject, or of the wheel that they are in.

    A wheel is installed for one CPU. An image may hold libraries for others too, to
    compile for them; where it holds no others, it is the wrong image.
    """
    identity = subject.inventory.subject
    libraries = [view.file for view in subject.files if view.file.machine is not None]
    holders = [(file, _wheel_of(file.path)) for file in libraries]
    others = [
        (file, wheel, cpu)
        for file, wheel in holders
        if (cpu := _processor(wheel, identity)) is not None and file.machine != cpu
    ]
    all_differ = len(others) == len(libraries)
    for file, wheel, cpu in others:
        certain = all_differ or wheel is not None or identity.kind is SubjectKind.WHEEL
        yield MACHINE_MISMATCH.finding(
            f"{file.path} is for {file.machine}, and {wheel or identity.name} for {cpu}: it "
            "cannot be loaded there.",
            level=Level.ERROR if certain else Level.WARNING,
            file=file.path,
            remedy=f"Build it for {cpu}, or name the {'wheel' if wheel else identity.kind} for "
            "what it holds.",
        )


def check_host(subject: SubjectView) -> Iterator[Finding]:
    """Required devices that are in machines with another CPU alone, as far as is known."""
    identity = subject.inventory.subject
    cpu = PROCESSORS.get(identity.platform or "")
    for required in subject.request.requirements.devices:
        one = device(required)
        if cpu is None or one.host in {None, cpu}:
            continue
        yield HOST_DIFFERS.finding(
            f"Machines with {required} have {one.host} CPUs ({', '.join(one.products)}), and this "
            f"{identity.kind} is for {cpu}.",
            device=required,
            remedy=f"Audit the {identity.kind} for {PLATFORMS[one.host]} to know what runs there.",
        )


def _wheel_of(path: str) -> str | None:
    """The name of the wheel within the subject that holds a file; None if there is none."""
    folders = path.split("/")[:-1]
    return next((name for name in reversed(folders) if name.endswith(WHEEL_SUFFIX)), None)


def _processor(wheel: str | None, identity: Subject) -> str | None:
    """The CPU that a file has to be for, as its wheel's name or the subject says."""
    platform = identity.platform if wheel is None else wheel_platform(wheel)
    return PROCESSORS.get(platform or "")


def check_device_link(subject: SubjectView) -> Iterator[Finding]:
    """Libraries with relocatable GPU code that were linked without the device linker."""
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
