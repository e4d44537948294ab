"""Which assembler each Triton of a subject runs on a device."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from smforge.arch.target import ComputeCapability, Target
from smforge.arch.triton import TritonRules, triton_release, triton_releases
from smforge.inventory.jit_tools.records import Assembler, TritonInstall
from smforge.verdict.views.subject import SubjectView

_FOLDER = "backends/nvidia/bin"
_BUNDLED = re.compile(rf"(?P<package>(?:.*/)?\w*triton)/{_FOLDER}/(?P<file>[^/]+)\Z")
_VERSIONED_CUDA = re.compile(r"(?<=/)cuda-[\d.]+(?=/)")


@dataclass(frozen=True, slots=True)
class Triton:
    """A Triton of the subject with the rules by which it is judged."""

    package: str
    rules: TritonRules
    assumed: bool
    """Whether its own rules could not be read and its release is not in the table."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The assembler that a Triton runs on a device."""

    rules: TritonRules
    target: Target
    """The target that it is asked for."""
    path: str
    assembler: Assembler | None
    """None where nothing is known of the file at `path`."""
    variable: str
    """The variable that would name another one."""


def triton_installs(subject: SubjectView) -> list[Triton]:
    """Every Triton of the subject, by path."""
    files: dict[str, set[str]] = {}
    for assembler in subject.reading.host_files.assemblers:
        if match := _BUNDLED.match(assembler.path):
            files.setdefault(match["package"], set()).add(match["file"])
    installs = {one.package: one for one in subject.reading.host_files.tritons}
    return [
        _triton(package, installs.get(package), files.get(package, set()))
        for package in sorted(files.keys() | installs.keys())
    ]


def triton_choice(subject: SubjectView, triton: Triton, device: ComputeCapability) -> Choice:
    """The assembler of a Triton on a device: an image's variable decides, else the bundled file."""
    rules = triton.rules
    file = rules.assembler_for(device)
    variable = rules.variables[file]
    configuration = subject.inventory.subject.configuration
    named = dict(configuration.environment).get(variable) if configuration else None
    path = named.lstrip("/") if named else f"{triton.package}/{_FOLDER}/{file}"
    return Choice(rules, rules.target_for(device), path, assembler_at(subject, path), variable)


def assembler_at(subject: SubjectView, path: str) -> Assembler | None:
    """The assembler at a path, links of an image followed.

    If no link is known, as in a folder, /usr/local/cuda counts as /usr/local/cuda-13.0.
    """
    host_files = subject.reading.host_files
    led = dict(host_files.links).get(path)
    for assembler in host_files.assemblers:
        known = {assembler.path, _VERSIONED_CUDA.sub("cuda", assembler.path)}
        if assembler.path == led or (led is None and path in known):
            return assembler
    return None


def _triton(package: str, install: TritonInstall | None, files: set[str]) -> Triton:
    if install is not None and install.rules is not None:
        return Triton(package, replace(install.rules, release=install.release), assumed=False)
    known = triton_release(install.release) if install is not None else None
    if known is not None:
        return Triton(package, known, assumed=False)
    alike = [one for one in triton_releases() if one.variables.keys() == files]
    return Triton(package, (alike or triton_releases())[-1], assumed=install is not None)
