"""What the sources of a release compile for a device, by preflight's configuration of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from smforge.arch.coverage import cubin_runs_on, ptx_assembles_for
from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Location
from smforge.preflight.cache import Cache
from smforge.preflight.configure import configure, source_root
from smforge.preflight.probe import torch_flags
from smforge.preflight.records import Choice, Configuration, Unit
from smforge.preflight.request import Request
from smforge.preflight.sources.tree import Source
from smforge.verdict.expectation import symbol_name

_GIVEN = re.compile(r"\bCUDA_ARCHS\s+\"?\$\{(\w+)\}")
"""In the call that gives sources their targets: the variable that holds these."""
_LINES_OF_CALL = 6
_HOPPER = ComputeCapability.parse("9.0")
"""What a line supports that names no targets (`smforge.preflight.probe.trace`)."""


@dataclass(frozen=True, slots=True)
class ReleaseSources:
    """The sources of one release, configured as the audited build was, as far as that is known."""

    source: Source
    cuda: str
    processor: str
    """``x86_64``."""
    listed: tuple[ComputeCapability, ...]
    """The devices that the build has machine code for: its arch list."""
    cache: Cache
    _texts: dict[str, list[str]] = field(default_factory=dict)

    def as_built(self) -> Configuration:
        """What is compiled by the list of the build."""
        return self._configured(self.listed)

    def beside_others(self, device: ComputeCapability) -> Configuration:
        """What is compiled if the list of the build has the device too."""
        return self._configured(sorted({*self.listed, device}))

    def alone(self, device: ComputeCapability) -> Configuration:
        """What is compiled if the list has the device alone."""
        return self._configured([device])

    def choice_for(self, unit: Unit, configuration: Configuration) -> Choice | None:
        """The line that took from the list what a source supports; None where none is found.

        The call that gives the source its targets names a variable, and the last line before it
        in the same file that set this variable decided.
        """
        place = unit.location
        variable = None if place is None else self._variable(place)
        if place is None or variable is None:
            return None
        same = [one for one in configuration.choices if one.variable == variable]
        before = [
            one
            for one in same
            if one.location.file == place.file and one.location.line <= place.line
        ]
        return next(reversed(before or same), None)

    def _configured(self, devices: Sequence[ComputeCapability]) -> Configuration:
        archs = torch_flags.parse(" ".join(map(str, devices)))
        request = Request(self.source, self.cuda, archs, processor=self.processor)
        (found,) = configure([request], self.cache)
        return found

    def _variable(self, place: Location) -> str | None:
        if place.file not in self._texts:
            file = Path(source_root(self.source, self.cache), place.file)
            text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
            self._texts[place.file] = text.splitlines()
        lines = self._texts[place.file][place.line - 1 : place.line - 1 + _LINES_OF_CALL]
        found = _GIVEN.search("\n".join(lines).partition(")")[0])
        return None if found is None else found[1]


def gives(choice: Choice, device: ComputeCapability) -> bool:
    """Whether a line lets sources be compiled for a device, if the list has it."""
    if not choice.supported:
        return device >= _HOPPER
    for word in filter(None, choice.supported.split(";")):
        name, plus, _ = word.partition("+")
        target = Target.parse(name)
        if cubin_runs_on(target, device) or (plus and ptx_assembles_for(target, device)):
            return True
    return False


def units_named(configuration: Configuration, file: str, name: str) -> tuple[Unit, ...]:
    """The units of a library that a region's source may be.

    Symbols hold ``_`` in place of all characters but letters and digits, and no folder.
    """
    wanted = symbol_name(name)
    return tuple(
        unit for unit in units_of(configuration, file) if symbol_name(unit.source) == wanted
    )


def units_like(
    configuration: Configuration,
    file: str,
    named: Collection[str],
    targets: Collection[Target],
    ptx: Collection[Target],
) -> tuple[Unit, ...]:
    """The units of a library that a region without a name may be.

    They are compiled for just its code, and no other region names them.
    """
    others = {symbol_name(one) for one in named}
    return tuple(
        unit
        for unit in units_of(configuration, file)
        if (set(unit.targets), set(unit.ptx)) == (set(targets), set(ptx))
        and symbol_name(unit.source) not in others
    )


def units_of(configuration: Configuration, file: str) -> tuple[Unit, ...]:
    """The units of a library."""
    extension = extension_of(file)
    return tuple(unit for unit in configuration.units if unit.extension == extension)


def extension_of(file: str) -> str:
    """The CMake target that makes a library: ``_C`` of ``vllm/_C.abi3.so``."""
    return PurePosixPath(file).name.partition(".")[0]
