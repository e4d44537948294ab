"""Does FlashInfer find compiled kernels for each required device?"""

from __future__ import annotations

from collections.abc import Iterator

from smforge.arch.target import ComputeCapability
from smforge.findings import Finding, Level
from smforge.inventory.probing.records import Item, KernelNotes, Kernels
from smforge.verdict.checks.probed.wording import brief, counted, is_late, listed, raised
from smforge.verdict.rules import KERNELS_NOT_FOUND
from smforge.verdict.views.subject import SubjectView


def check_kernels(subject: SubjectView, document: Kernels) -> Iterator[Finding]:
    """Required devices that FlashInfer cannot serve without compiling or downloading."""
    for device in subject.request.requirements.devices:
        for item in document.items:
            if item.item == str(device) and not is_late(item.ended):
                yield from _judge(item, device)


def _judge(item: Item[KernelNotes], device: ComputeCapability) -> Iterator[Finding]:
    notes = item.notes
    if not item.is_well:
        why = f"it ends with {item.ended}" if item.ended else raised(item.failure or ())
        yield KERNELS_NOT_FOUND.finding(
            f"FlashInfer does not start for {device}: {why}.",
            device=device,
            file=_file(item),
            remedy="Correct what the message names: vLLM imports FlashInfer.",
        )
    elif not notes.providers:
        yield KERNELS_NOT_FOUND.finding(
            f"No distribution of compiled FlashInfer kernels is installed, so everything is "
            f"compiled on {device} at run time, which needs nvcc and minutes.",
            level=Level.WARNING,
            device=device,
            remedy="Install flashinfer-jit-cache for the device.",
        )
    else:
        yield from _judge_modules(notes, device)


def _judge_modules(notes: KernelNotes, device: ComputeCapability) -> Iterator[Finding]:
    providers = listed(one.id for one in notes.providers)
    if notes.failed:
        number = counted(len(notes.failed), "module", "modules")
        yield KERNELS_NOT_FOUND.finding(
            f"FlashInfer cannot load {number} for {device} ({listed(notes.failed)}): "
            f"{brief(next(iter(notes.failed.values())))}.",
            device=device,
            remedy="Build them again for what is installed here.",
        )
    if not notes.refused:
        return
    some = bool(notes.loaded)
    number = counted(len(notes.refused), "module", "modules")
    total = len(notes.refused) + len(notes.loaded) + len(notes.failed)
    yield KERNELS_NOT_FOUND.finding(
        f"FlashInfer finds {number} of {total:,} in no provider for {device} "
        f"({listed(notes.refused)}); installed are {providers}.",
        level=Level.WARNING if some else Level.ERROR,
        device=device,
        remedy=f"Install the provider that was built for {device}.",
    )


def _file(item: Item[KernelNotes]) -> str | None:
    frames = item.failure[0].frames if item.failure else ()
    return frames[-1].file if frames else None
