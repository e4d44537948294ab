"""What a host lacks for the platforms of a matrix that no node of the builder is.

Wheels of such a platform are cross-compiled where all their components allow it
(`smforge.bake.host.crossing`). Two things need more: a component that is compiled on its own CPU
alone, and an image, because programs of its root file system run while it is built.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smforge.arch.platforms import PROCESSORS
from smforge.bake.host.crossing import needs_own_platform
from smforge.plan.bake import bound_to_their_cpu
from smforge.plan.records import Cell

EMULATOR_PACKAGES = "qemu-user-static and arch-test"
"""Debian's packages: they register an emulator with the kernel, and tell mmdebstrap that it is
there."""


@dataclass(frozen=True, slots=True)
class OtherPlatform:
    """One platform that some cells are for and no node is."""

    platform: str
    emulated: bool
    """Whether the builder runs its programs through an emulator."""
    lacking: tuple[str, ...]
    """What mmdebstrap would need here to make a root file system of this platform."""
    bound: tuple[str, ...]
    """Components of its cells that are compiled on this platform alone."""
    images: tuple[str, ...]
    """Variants with an image for it."""

    @property
    def complete(self) -> bool:
        """Whether this builder can build every cell of the platform."""
        return not self.bound and (not self.images or (self.emulated and not self.lacking))

    @property
    def text(self) -> str:
        """What is there."""
        how = "through an emulator" if self.emulated else "no node and no emulator"
        lacks = f", without {' and '.join(self.lacking)}" if self.images and self.lacking else ""
        return f"{self.platform}: {how}{lacks}"

    @property
    def remedy(self) -> str:
        """What cannot be built now, and what to do about it."""
        parts = []
        if self.images and (self.lacking or not self.emulated):
            parts.append(
                f"The images of {', '.join(self.images)} for {self.platform} need a node of that "
                "platform (docker buildx create --append), or on this host Debian's packages "
                f"{EMULATOR_PACKAGES}; 'smforge build VARIANT --wheels all' leaves the image out."
            )
        if self.bound:
            parts.append(
                f"{', '.join(self.bound)} for {self.platform} need a node of that platform: under "
                "an emulator a compilation takes many hours. 'smforge build VARIANT --wheels "
                "COMPONENT' builds the other components here."
            )
        return " ".join(parts)


def other_platforms(
    cells: Sequence[Cell], native: Sequence[str], offered: Sequence[str]
) -> Iterator[OtherPlatform]:
    """The platforms of `cells` that no node is natively; `offered` is what the builder runs."""
    for platform in dict.fromkeys(cell.platform for cell in cells):
        if not native or platform in native:
            continue
        own = [one for one in cells if one.platform == platform]
        yield OtherPlatform(
            platform=platform,
            emulated=platform in offered,
            lacking=tuple(_lacking(platform)),
            bound=tuple(dict.fromkeys(name for one in own for name in bound_to_their_cpu(one))),
            images=tuple(one.variant for one in own if one.image is not None),
        )


def cannot_build(builder: str, cell: Cell) -> tuple[str, str]:
    """The message and the remedy where a builder does not have the platform of a cell."""
    remedy = (
        "Choose a builder that can ('docker buildx use NAME'), register an emulator (Debian's "
        f"packages {EMULATOR_PACKAGES}), or name another --platform."
    )
    bound = bound_to_their_cpu(cell)
    others = [one.name for one in cell.components if one.name not in bound]
    if bound and others:
        chosen = " ".join(f"--wheels {name}" for name in others)
        remedy += f" Here {chosen} can be built: {', '.join(bound)} cannot."
    elif cell.image is not None and not bound:
        remedy += " Its wheels can be built here without the image: --wheels all."
    what = f"The builder {builder!r} cannot build {cell.platform} for {cell.variant}"
    return f"{what}: {needs_own_platform(cell)}.", remedy


def _lacking(platform: str) -> Iterator[str]:
    cpu = PROCESSORS.get(platform)
    if shutil.which("arch-test") is None:
        yield "arch-test"
    if cpu is None or not Path(f"/usr/bin/qemu-{cpu}-static").exists():
        yield "qemu-user-static"
