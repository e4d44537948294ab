"""Can code be compiled on the device? Which assembler a JIT runs there, and what it knows.

Triton asks for the architecture-specific target of the device it runs on (``sm_121a`` on 12.1)
and hands it to one of its bundled assemblers, unless a variable names another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import toolkits
from smforge.findings import Finding
from smforge.inventory.jit_tools.records import Assembler, Source
from smforge.inventory.records import Inventory
from smforge.verdict.data import table
from smforge.verdict.rules import (
    JIT_ASSEMBLER,
    JIT_ASSEMBLER_TOO_OLD,
    JIT_ASSEMBLER_UNREAD,
    JIT_COMPILER,
)
from smforge.verdict.subject_view import SubjectView

_LIBRARIES = ("nvrtc", "nvJitLink")
_VERSIONED_CUDA = r"(?<=/)cuda-[\d.]+(?=/)"


@dataclass(frozen=True, slots=True)
class _Choice:
    """The assembler that a JIT runs on a device, and the variable that would name another."""

    user: str
    assembler: Assembler | None
    path: str
    variable: str


def check_assemblers(subject: SubjectView) -> Iterator[Finding]:
    """Assemblers that do not know the target that a JIT asks for on a required device."""
    installs = _triton_installs(subject)
    for device in subject.request.requirements.devices:
        target = jit_target(device)
        for folder in installs:
            yield from _judge(subject, _triton_choice(subject, folder, device), device, target)
        if choice := _toolkit_choice(subject):
            yield from _judge(subject, choice, device, target)


def check_compilers(subject: SubjectView) -> Iterator[Finding]:
    """What there is for compiling on the device, told where there is any of it."""
    for assembler in subject.reading.companions.assemblers:
        if assembler.targets:
            newest = ", ".join(target.sm for target in sorted(assembler.targets)[-6:])
            release = f" (CUDA {assembler.release})" if assembler.release else ""
            yield JIT_ASSEMBLER.finding(
                f"{assembler.path}{release} assembles for {len(assembler.targets)} targets, the "
                f"newest being {newest}; {_how(assembler)}.",
                file=assembler.path,
            )
    libraries = subject.reading.companions.libraries
    there = {name: any(f"/lib{name}.so" in f"/{path}" for path in libraries) for name in _LIBRARIES}
    if any(there.values()) or subject.reading.companions.assemblers:
        told = (f"{name} is {'there' if found else 'not there'}" for name, found in there.items())
        yield JIT_COMPILER.finding(f"For code compiled on the device, {' and '.join(told)}.")


def jit_target(device: ComputeCapability) -> Target:
    """The target that Triton asks its assembler for on a device."""
    specific = device >= ComputeCapability.parse(table("jit")["triton"]["arch_specific_from"])
    return Target(device, Suffix.ARCH_SPECIFIC if specific else Suffix.PLAIN)


def _judge(
    subject: SubjectView, choice: _Choice, device: ComputeCapability, target: Target
) -> Iterator[Finding]:
    assembler = choice.assembler
    if assembler is None or not assembler.targets:
        yield JIT_ASSEMBLER_UNREAD.finding(
            f"{choice.user} uses {choice.path} on {device}, and what it assembles for is not "
            "known.",
            file=choice.path,
            device=device,
            remedy=f"Point {choice.variable} at the ptxas of a CUDA release that knows "
            f"{target.sm}.",
        )
    elif target not in assembler.targets:
        release = f" of CUDA {assembler.release}" if assembler.release else ""
        yield JIT_ASSEMBLER_TOO_OLD.finding(
            f"{choice.user} asks {assembler.path}{release} for {target.sm} on {device}, which it "
            "does not know: kernels compiled at run time fail there.",
            file=assembler.path,
            device=device,
            target=target,
            remedy=_remedy(subject, choice, target),
        )


def _remedy(subject: SubjectView, choice: _Choice, target: Target) -> str:
    able = [one.path for one in subject.reading.companions.assemblers if target in one.targets]
    if able and choice.variable != table("jit")["toolkit"]["variable"]:
        return f"Set {choice.variable}=/{able[0]}, which knows {target.sm}."
    first = next((toolkit for toolkit in toolkits() if toolkit.knows(target)), None)
    release = f"{first} or newer" if first else "a later CUDA release"
    if choice.variable == table("jit")["toolkit"]["variable"]:
        return f"Install {release}, and point {choice.variable} at it."
    return f"Set {choice.variable} to the ptxas of {release}, which knows {target.sm}."


def _triton_installs(subject: SubjectView) -> list[str]:
    folder = table("jit")["triton"]["folder"]
    found = dict.fromkeys(
        assembler.path.rpartition("/")[0]
        for assembler in subject.reading.companions.assemblers
        if assembler.path.rpartition("/")[0].endswith(folder)
    )
    return list(found)


def _triton_choice(subject: SubjectView, folder: str, device: ComputeCapability) -> _Choice:
    by_path = {one.path: one for one in subject.reading.companions.assemblers}
    for row in table("jit")["triton"]["assemblers"]:
        path = f"{folder}/{row['file']}"
        if path not in by_path:
            continue
        if row["from"] is None or device >= ComputeCapability.parse(row["from"]):
            named = _environment(subject.inventory).get(row["variable"])
            chosen = named.lstrip("/") if named else path
            return _Choice("Triton", _at(subject, chosen), chosen, row["variable"])
    path = f"{folder}/ptxas"
    return _Choice("Triton", None, path, "TRITON_PTXAS_PATH")


def _toolkit_choice(subject: SubjectView) -> _Choice | None:
    row = table("jit")["toolkit"]
    found = _at(subject, row["path"])
    return _Choice("nvcc", found, found.path, row["variable"]) if found else None


def _at(subject: SubjectView, path: str) -> Assembler | None:
    """The assembler at a path, links of an image followed.

    Where no link is known, as in a folder, /usr/local/cuda stands for a versioned folder beside it.
    """
    companions = subject.reading.companions
    led = dict(companions.links).get(path)
    for assembler in companions.assemblers:
        known = {assembler.path, re.sub(_VERSIONED_CUDA, "cuda", assembler.path)}
        if assembler.path == led or (led is None and path in known):
            return assembler
    return None


def _environment(inventory: Inventory) -> dict[str, str]:
    configuration = inventory.subject.configuration
    return dict(configuration.environment) if configuration else {}


def _how(assembler: Assembler) -> str:
    """How the targets became known, as half a sentence."""
    if assembler.source is Source.ASKED:
        return "it was run, confined, and listed them"
    why = f"; it was not asked, because {assembler.not_asked}" if assembler.not_asked else ""
    return f"they were read from its tables{why}"
