"""Can code be compiled on the device? Which assembler a JIT runs there, and what it knows.

Triton asks one of its bundled assemblers for a target (``sm_121a`` on 12.1), or the one that a
variable names. Which target, which assembler, and the CUDA releases of assemblers that it can use
differ from release to release (`smforge.arch.triton`).
"""

from __future__ import annotations

from collections.abc import Iterator

from smforge.arch.tables import table
from smforge.arch.target import ComputeCapability, Target
from smforge.arch.toolkits import toolkits
from smforge.findings import Finding, Level
from smforge.inventory.jit_tools.records import Assembler, Source
from smforge.verdict.jit_choice import Choice, assembler_at, triton_choice, triton_installs
from smforge.verdict.jit_remedy import triton_remedy
from smforge.verdict.rules import (
    JIT_ASSEMBLER,
    JIT_ASSEMBLER_REFUSED,
    JIT_ASSEMBLER_TOO_OLD,
    JIT_ASSEMBLER_UNREAD,
    JIT_COMPILER,
)
from smforge.verdict.views.subject import SubjectView

_LIBRARIES = ("nvrtc", "nvJitLink")


def check_assemblers(subject: SubjectView) -> Iterator[Finding]:
    """Assemblers with which a JIT cannot make code for a required device."""
    devices = subject.request.requirements.devices
    installs = triton_installs(subject)
    for install in installs:
        if install.assumed and devices:
            yield JIT_ASSEMBLER_UNREAD.finding(
                f"How {install.package} chooses its assembler could not be read; it is judged as "
                f"{install.rules.name}.",
                level=Level.WARNING,
                file=install.package,
            )
    for device in devices:
        for install in installs:
            yield from _judge(subject, triton_choice(subject, install, device), device)
        yield from _judge_toolkit(subject, device)


def check_compilers(subject: SubjectView) -> Iterator[Finding]:
    """What the subject has for compiling on the device."""
    for assembler in subject.reading.host_files.assemblers:
        if assembler.targets:
            newest = ", ".join(target.sm for target in sorted(assembler.targets)[-6:])
            release = f" (CUDA {assembler.release})" if assembler.release else ""
            yield JIT_ASSEMBLER.finding(
                f"{assembler.path}{release} assembles for {len(assembler.targets)} targets, the "
                f"newest being {newest}; {_how(assembler)}.",
                file=assembler.path,
            )
    libraries = subject.reading.host_files.libraries
    there = {name: any(f"/lib{name}.so" in f"/{path}" for path in libraries) for name in _LIBRARIES}
    if any(there.values()) or subject.reading.host_files.assemblers:
        told = (f"{name} is {'there' if found else 'not there'}" for name, found in there.items())
        yield JIT_COMPILER.finding(f"For code compiled on the device, {' and '.join(told)}.")


def _judge(subject: SubjectView, choice: Choice, device: ComputeCapability) -> Iterator[Finding]:
    assembler, rules, target = choice.assembler, choice.rules, choice.target
    if assembler is None or not assembler.targets or not assembler.release:
        what = "which CUDA release it is of" if assembler and assembler.targets else "what it knows"
        yield JIT_ASSEMBLER_UNREAD.finding(
            f"{rules.name} uses {choice.path} on {device}, and {what} could not be read.",
            file=choice.path,
            device=device,
            remedy=triton_remedy(subject, rules, choice.variable, device),
        )
    elif refusal := rules.refusal(assembler.release):
        yield JIT_ASSEMBLER_REFUSED.finding(
            f"{refusal}. On {device} it uses {choice.path}, which is one: kernels compiled at run "
            "time fail there.",
            file=assembler.path,
            device=device,
            target=target,
            remedy=triton_remedy(subject, rules, choice.variable, device),
        )
    elif target not in assembler.targets:
        yield _too_old(
            rules.name,
            assembler,
            device,
            target,
            triton_remedy(subject, rules, choice.variable, device),
        )


def _judge_toolkit(subject: SubjectView, device: ComputeCapability) -> Iterator[Finding]:
    """The toolkit of an image compiles with its own ptxas."""
    row = table("toolkit_assembler")["toolkit"]
    found = assembler_at(subject, row["path"])
    target = Target(device)
    if found is None:
        return
    if not found.targets:
        yield JIT_ASSEMBLER_UNREAD.finding(
            f"nvcc uses {found.path} on {device}, and what it assembles for is not known.",
            file=found.path,
            device=device,
            remedy=f"Point {row['variable']} at a toolkit that knows {target.sm}.",
        )
    elif device not in {one.capability for one in found.targets}:
        first = next((toolkit for toolkit in toolkits() if toolkit.knows(target)), None)
        release = f"{first} or newer" if first else "a later CUDA release"
        remedy = f"Install {release}, and point {row['variable']} at it."
        yield _too_old("nvcc", found, device, target, remedy)


def _too_old(
    user: str, assembler: Assembler, device: ComputeCapability, target: Target, remedy: str
) -> Finding:
    release = f" of CUDA {assembler.release}" if assembler.release else ""
    return JIT_ASSEMBLER_TOO_OLD.finding(
        f"{user} asks {assembler.path}{release} for {target.sm} on {device}, which it does not "
        "know: kernels compiled at run time fail there.",
        file=assembler.path,
        device=device,
        target=target,
        remedy=remedy,
    )


def _how(assembler: Assembler) -> str:
    """How the targets became known, as the second part of a sentence."""
    if assembler.source is Source.ASKED:
        return "it was run, confined, and listed them"
    why = f"; it was not asked, because {assembler.not_asked}" if assembler.not_asked else ""
    return f"they were read from its tables{why}"
