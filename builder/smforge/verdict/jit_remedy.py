"""The remedy if a Triton cannot assemble its kernels for a device."""

from __future__ import annotations

from smforge.arch.target import ComputeCapability
from smforge.arch.toolkits import Toolkit, toolkits
from smforge.arch.triton import TritonRules, triton_releases
from smforge.inventory.jit_tools.records import Assembler
from smforge.verdict.views.subject import SubjectView


def triton_remedy(
    subject: SubjectView, rules: TritonRules, variable: str, device: ComputeCapability
) -> str:
    """Name an assembler of the subject that can be used, else CUDA releases, else a Triton."""
    target = rules.target_for(device)
    for assembler in subject.reading.host_files.assemblers:
        if _serves(rules, assembler, device):
            return f"Set {variable}=/{assembler.path}, which knows {target.sm}."
    if usable := _usable(rules, device):
        return f"Set {variable} to the ptxas of {_range(usable)}, which knows {target.sm}."
    newer = next((one for one in triton_releases() if _usable(one, device)), None)
    if newer is None:
        return f"No known release of Triton can have kernels assembled for {device}."
    return (
        f"{rules.name} can use no ptxas that knows {target.sm}. Use {newer.name} or newer, with "
        f"the ptxas of {_range(_usable(newer, device))} where its own does not know {device}."
    )


def _serves(rules: TritonRules, assembler: Assembler, device: ComputeCapability) -> bool:
    refused = rules.refusal(assembler.release) if assembler.release else None
    return rules.target_for(device) in assembler.targets and refused is None


def _usable(rules: TritonRules, device: ComputeCapability) -> list[Toolkit]:
    """The toolkits whose assembler a Triton can use on a device."""
    target = rules.target_for(device)
    return [one for one in toolkits() if one.knows(target) and rules.refusal(one.version) is None]


def _range(found: list[Toolkit]) -> str:
    first, last = found[0], found[-1]
    if last is toolkits()[-1]:
        return f"{first} or newer"
    return str(first) if first is last else f"{first} to {last.version}"
