"""What a build or an audit must cover: the words of ``--require``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.devices import devices, named_device
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ArchitectureError

_SEPARATORS = re.compile(r"[\s,;]+")
_REMEDY = (
    "Write a device as 12.1 or spark ('smforge devices' lists the names), "
    "a target as 12.0f, 12.1a, sm_120 or compute_90."
)


class Form(StrEnum):
    """In which form a required target must be embedded."""

    CUBIN = "cubin"
    """Machine code: asked for as ``sm_120``."""
    PTX = "ptx"
    """Asked for as ``compute_90``."""
    ANY = "any"
    """Either: asked for as ``12.0f``."""


@dataclass(frozen=True, slots=True, order=True)
class RequiredTarget:
    """A code object that must be embedded, exactly as named."""

    target: Target
    form: Form

    def __str__(self) -> str:
        match self.form:
            case Form.CUBIN:
                return self.target.sm
            case Form.PTX:
                return self.target.compute
            case Form.ANY:
                return str(self.target)


@dataclass(frozen=True, slots=True)
class Requirements:
    """Devices that everything must run on, and code objects that must be there."""

    devices: tuple[ComputeCapability, ...] = ()
    targets: tuple[RequiredTarget, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.devices or self.targets)

    def __str__(self) -> str:
        return " ".join(str(one) for one in (*self.devices, *self.targets))


def parse_requirements(words: Iterable[str]) -> Requirements:
    """Read the values of ``--require``, each one or several words.

    Words are separated by white space, commas or semicolons; a repeated word counts once.
    ``12.1`` is a device, and so is ``spark``. ``12.0f``, ``sm_120`` and ``compute_90`` are targets.
    Raises `ArchitectureError` for any other word.
    """
    capabilities: dict[ComputeCapability, None] = {}
    targets: dict[RequiredTarget, None] = {}
    for word in (word for text in words for word in _SEPARATORS.split(text) if word):
        requirement = _parse_word(word)
        if isinstance(requirement, RequiredTarget):
            targets[requirement] = None
        else:
            capabilities[requirement] = None
    return Requirements(tuple(capabilities), tuple(targets))


def _parse_word(word: str) -> ComputeCapability | RequiredTarget:
    if word.startswith("lto_"):
        raise ArchitectureError(f"{word!r} cannot be required.", remedy=_REMEDY)
    try:
        target = Target.parse(word)
    except ArchitectureError:
        named = named_device(word)
        if named is not None:
            return named.capability
        raise ArchitectureError(
            f"{word!r} is neither a device nor a target.{_suggestion(word)}", remedy=_REMEDY
        ) from None
    if word.startswith("sm_"):
        return RequiredTarget(target, Form.CUBIN)
    if word.startswith("compute_"):
        return RequiredTarget(target, Form.PTX)
    if target.suffix is Suffix.PLAIN:
        return target.capability
    return RequiredTarget(target, Form.ANY)


def _suggestion(word: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - for mistakes alone

    names = [name for one in devices() for name in one.names]
    near = get_close_matches(word.lower(), names, n=1)
    return f" Did you mean {near[0]}?" if near else ""
