"""Do the libraries of one subject load, each alone and all together?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smforge.arch.platforms import PROCESSORS
from smforge.findings import Finding, Level
from smforge.inventory.records import SubjectKind
from smforge.verdict.data import table
from smforge.verdict.rules import CUDART_MISMATCH, DEVICE_LINK_MISSING, MACHINE_MISMATCH
from smforge.verdict.subject_view import SubjectView

_NAMED = 3
"""Translation units named in a finding; the rest are counted."""


def check_cuda_majors(subject: SubjectView) -> Iterator[Finding]:
    """Libraries that need CUDA libraries of another major version than most.

    A subject may bring both majors on purpose, so that is a warning. Where it brings CUDA
    libraries and the one that is needed is not among them, loading fails for certain.
    """
    needs: dict[int, dict[str, str]] = {}
    for view in subject.files:
        for soname in view.file.needed:
            major = _cuda_major(soname)
            if major is not None:
                needs.setdefault(major, {}).setdefault(view.file.path, soname)
    if len(needs) < 2:
        return
    common = max(needs, key=lambda major: (len(needs[major]), major))
    for major in sorted(needs.keys() - {common}):
        for path, soname in sorted(needs[major].items()):
            yield _mismatch(subject, (path, soname, major), common, needs[common])


def check_machine(subject: SubjectView) -> Iterator[Finding]:
    """Libraries for another CPU than the subject's platform.

    A wheel is installed for one CPU. An image may hold libraries for others beside its own, to
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


def _mismatch(
    subject: SubjectView, needing: tuple[str, str, int], common: int, others: dict[str, str]
) -> Finding:
    path, soname, major = needing
    peer, peer_soname = min(others.items())
    absent = _is_absent(subject, soname)
    consequence = f"; {soname} is not in the subject, so it cannot be loaded" if absent else ""
    count = "1 library" if len(others) == 1 else f"{len(others)} libraries"
    return CUDART_MISMATCH.finding(
        f"{path} needs {soname} (CUDA {major}), but {count}, {peer} among them, need CUDA "
        f"{common} ({peer_soname}){consequence}.",
        level=Level.ERROR if absent else Level.WARNING,
        file=path,
        remedy=f"Take the build of {path} that was made for CUDA {common}, or see that the two "
        "are never loaded together.",
    )


def _is_absent(subject: SubjectView, soname: str) -> bool:
    """Whether the subject brings a CUDA runtime, but not the library of this name."""
    brought = [path.rpartition("/")[2] for path in subject.reading.host_files.libraries]
    if not any(name.startswith("libcudart.so") for name in brought):
        return False
    return not any(name == soname or name.startswith(f"{soname}.") for name in brought)


def _cuda_major(soname: str) -> int | None:
    match = re.match(r"(lib[A-Za-z]+)\.so\.(\d+)(?:\.|\Z)", soname)
    if match is None or match[1] not in table("cuda_sonames")["numbered_by_cuda_major"]:
        return None
    # libcudart of CUDA 11 is libcudart.so.11.0; later ones carry the major alone.
    return int(match[2])
