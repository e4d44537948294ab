"""Does the assembler that Triton chooses for a device assemble for it? It was run."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.arch.target import ComputeCapability, Target
from smforge.arch.triton import triton_releases
from smforge.errors import ArchitectureError
from smforge.findings import Finding
from smforge.inventory.probing.records import Assembly, AssemblyNotes, Item
from smforge.verdict.checks.probed.wording import brief, is_late, path_in_subject, raised
from smforge.verdict.jit_choice import triton_installs
from smforge.verdict.jit_remedy import triton_remedy
from smforge.verdict.rules import JIT_ASSEMBLER_FAILS
from smforge.verdict.views.subject import SubjectView


def check_assembling(subject: SubjectView, document: Assembly) -> Iterator[Finding]:
    """Required devices for which no kernel could be assembled."""
    for item in document.items:
        compiler, _, device = item.item.partition(" ")
        required = [one for one in subject.request.requirements.devices if str(one) == device]
        if required and not is_late(item.ended) and not _assembled(item):
            yield _finding(subject, item, compiler, required[0])


def _assembled(item: Item[AssemblyNotes]) -> bool:
    return item.is_well and item.notes.status == 0 and item.notes.cubin_bytes > 0


def _finding(
    subject: SubjectView, item: Item[AssemblyNotes], compiler: str, device: ComputeCapability
) -> Finding:
    notes = item.notes
    file = path_in_subject(notes.path, subject.inventory.files) if notes.path else None
    if notes.status is None:
        why = f"it ends with {item.ended}" if item.ended else raised(item.failure or ())
        told = f"{compiler} could not have anything assembled for {device}: {why}."
    else:
        told = (
            f"{compiler} has {notes.path} of CUDA {notes.release} assemble for {notes.target} on "
            f"{device}, which fails: {_last_words(notes)}."
        )
    return JIT_ASSEMBLER_FAILS.finding(
        told,
        file=file,
        device=device,
        target=_target(notes.target),
        remedy=_remedy(subject, notes, compiler, device),
    )


def _last_words(notes: AssemblyNotes) -> str:
    lines = [line for line in notes.said.splitlines() if line.strip()]
    fatal = [line for line in lines if "fatal" in line or "error" in line.lower()]
    return brief((fatal or lines or [f"exit status {notes.status} and no cubin"])[0])


def _remedy(
    subject: SubjectView, notes: AssemblyNotes, compiler: str, device: ComputeCapability
) -> str:
    if not notes.path:
        return "Correct what the message names: nothing that Triton compiles can run."
    installs = triton_installs(subject)
    named = (one.rules for one in installs if one.package.rpartition("/")[2] == compiler)
    rules = next(named, triton_releases()[-1])
    file = notes.path.rpartition("/")[2]
    variable = rules.variables.get(file, rules.variables[rules.assembler_for(device)])
    return triton_remedy(subject, rules, variable, device)


def _target(name: str) -> Target | None:
    try:
        return Target.parse(name)
    except ArchitectureError:
        return None
