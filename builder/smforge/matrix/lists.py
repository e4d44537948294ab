"""Arch lists of components, each read in the grammar of the tool that will get it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from smforge.arch.coverage import cubin_runs_on, ptx_assembles_for
from smforge.arch.grammar import flashinfer_list, torch_list
from smforge.arch.requirement import Form, RequiredTarget
from smforge.arch.target import ComputeCapability, Target
from smforge.arch.toolkits import Toolkit, explain_unknown
from smforge.errors import ArchitectureError

_REFUSALS = Path(__file__).parent / "data" / "refusals.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One code object that a word of a list asks for."""

    word: str
    """As the list has it."""
    target: Target
    """What is compiled: the tool may add a suffix (FlashInfer makes 12.1 into 12.1a)."""
    ptx: bool = False
    """Whether its PTX is embedded beside the machine code."""

    def runs_on(self, device: ComputeCapability) -> bool:
        """Whether a device can run what this entry embeds."""
        return cubin_runs_on(self.target, device) or (
            self.ptx and ptx_assembles_for(self.target, device)
        )

    def satisfies(self, required: RequiredTarget) -> bool:
        """Whether this entry embeds exactly the code object that is required."""
        if self.target != required.target:
            return False
        return self.ptx if required.form is Form.PTX else True


@lru_cache(maxsize=4096)  # A large matrix has few words, each of them many times.
def read_word(component: str, version: str, word: str, toolkit: Toolkit) -> tuple[Entry, ...]:
    """Read one word of a component's list; a torch name such as ``Ampere`` gives several entries.

    `version` is the component's release. Raises `ArchitectureError` when the component's
    tool would refuse the word.
    """
    return _READERS[component](word, version, toolkit)


def read_list(
    component: str, version: str, words: Iterable[str], toolkit: Toolkit
) -> tuple[Entry, ...]:
    """Read a whole list, in its order."""
    return tuple(entry for word in words for entry in read_word(component, version, word, toolkit))


def explain_impossible(toolkit: Toolkit, target: Target) -> tuple[str, str] | None:
    """Why this target cannot be built with this toolkit, and what to do; None when it can be."""
    if not toolkit.knows(target):
        return explain_unknown(toolkit, target)
    for refusal in _refusals():
        if refusal.target == target and toolkit.release < refusal.before:
            return f"{toolkit} knows {target}, but {refusal.reason}.", refusal.remedy
    return None


def _read_flashinfer(word: str, version: str, toolkit: Toolkit) -> tuple[Entry, ...]:
    written = flashinfer_list.parse(word)
    targets = flashinfer_list.effective_targets(written, toolkit.version, version)
    return tuple(Entry(word, target) for target in targets)


def _read_torch(word: str, version: str, toolkit: Toolkit) -> tuple[Entry, ...]:  # noqa: ARG001
    return tuple(Entry(word, one.target, one.ptx) for one in torch_list.parse(word))


def _read_cpp_extension(word: str, version: str, toolkit: Toolkit) -> tuple[Entry, ...]:
    """A family-specific target reaches nvcc past cpp_extension, which knows none, and without PTX.

    docker/connectors/compile_wheel.py does that.
    """
    if any(one.ptx for one in torch_list.refused_by_cpp_extension(torch_list.parse(word))):
        plain = word.removesuffix("+PTX")
        raise ArchitectureError(
            f"torch's cpp_extension refuses {word!r}, and the build adds no PTX of such a target.",
            remedy=f"Write '{plain} {plain.removesuffix('f')}+PTX'.",
        )
    return _read_torch(word, version, toolkit)


_READERS: dict[str, Callable[[str, str, Toolkit], tuple[Entry, ...]]] = {
    "flashinfer": _read_flashinfer,
    "vllm": _read_torch,
    "lmcache": _read_cpp_extension,
}
"""A component that is compiled here has a grammar; the others are taken as published."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    target: Target
    before: tuple[int, int]
    reason: str
    remedy: str


@cache
def _refusals() -> tuple[_Refusal, ...]:
    rows = json.loads(_REFUSALS.read_text(encoding="utf-8"))["rows"]
    return tuple(
        _Refusal(
            target=Target.parse(row["target"]),
            before=_release(row["before"]),
            reason=row["reason"],
            remedy=row["remedy"],
        )
        for row in rows
    )


def _release(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
