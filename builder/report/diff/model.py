"""A comparison as data: what `smforge diff -o json` writes (schema in data/diff.schema.json)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from builder.report.model import Capability, Count, Digest, Strict

SCHEMA_VERSION = 1

PerDevice = Annotated[
    dict[Capability, Annotated[int, Field(gt=0)]],
    Field(description="Devices without any are left out."),
]


class Tool(Strict):
    """What compared."""

    name: Literal["smforge"]
    version: str


class SideIdentity(Strict):
    """One of the two."""

    kind: Literal["wheel", "tree", "file", "image"]
    name: str
    digest: Digest | None
    saved: Annotated[bool, Field(description="Read from a report, not from the subject.")]


class Before(Strict):
    """A number before and after; null where there is no such side."""

    old: Count | None
    new: Count | None


class DeviceChange(Strict):
    """One device over everything."""

    required: Annotated[bool, Field(description="Whether losing kernels here fails.")]
    runs: Annotated[Before, Field(description="How many run here.")]
    lost: Count
    gained: Count
    demoted: Annotated[Count, Field(description="Ran from machine code, run from PTX now.")]


class FamilyChange(Strict):
    """Kernels of one family that went the same way."""

    family: str
    change: Annotated[
        Literal["same", "moved", "replaced", "removed", "added"],
        Field(
            description="same: of the same name in the same library; moved: in another library; "
            "replaced: under another name of the family; removed and added: on one side alone."
        ),
    ]
    old_library: str | None
    new_library: str | None
    old: Count
    new: Count
    lost: PerDevice
    gained: PerDevice
    demoted: PerDevice
    allowed: Annotated[bool, Field(description="Whether --allow covers it.")]


class LibraryChange(Strict):
    """One library."""

    old: Annotated[str | None, Field(description="Its path before; null where it is new.")]
    new: Annotated[str | None, Field(description="Its path now; null where it is gone.")]
    size: Annotated[Before, Field(description="Bytes of the file.")]
    code: Annotated[Before, Field(description="Bytes of GPU code, as stored.")]
    count: Annotated[Before, Field(description="Kernels, or regions.")]
    targets_lost: Annotated[tuple[str, ...], Field(description="sm_120f, compute_90.")]
    targets_gained: tuple[str, ...]
    devices_lost: Annotated[tuple[Capability, ...], Field(description="It ran there, in part.")]
    devices_gained: tuple[Capability, ...]
    lost: PerDevice
    gained: PerDevice
    demoted: PerDevice


class Diff(Strict):
    """What was lost, gained and grew."""

    schema_version: Literal[1]
    tool: Tool
    old: SideIdentity
    new: SideIdentity
    compared: Annotated[
        Literal["names", "counts"],
        Field(description="counts: a saved report lists no kernels, so only numbers compare."),
    ]
    unit: Literal["kernels", "regions"]
    native_only: Annotated[bool, Field(description="Whether running from PTX counts as running.")]
    required: Annotated[
        tuple[str, ...], Field(description="Devices and targets that must not be lost.")
    ]
    devices: dict[Capability, DeviceChange]
    targets_lost: tuple[str, ...]
    targets_gained: tuple[str, ...]
    libraries: tuple[LibraryChange, ...]
    families: Annotated[
        tuple[FamilyChange, ...], Field(description="Those that changed; empty with counts.")
    ]
    failures: Annotated[tuple[str, ...], Field(description="What makes it fail, in sentences.")]
    doubts: Annotated[tuple[str, ...], Field(description="Why the answer is not certain.")]
    verdict: Literal["pass", "fail", "nothing", "undetermined"]
