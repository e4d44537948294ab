"""A comparison as data: what `smforge diff -o json` writes (schema in data/diff.schema.json)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from smforge.report.model import Capability, Count, Digest
from smforge.report.published import Must, Published, Says

SCHEMA_VERSION: Final = 1

Verdict = Literal["pass", "fail", "nothing", "undetermined"]

PerDevice = Annotated[
    dict[Capability, Annotated[int, Must(gt=0)]],
    Says("Devices without any are left out."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Published):
    """What compared."""

    name: Literal["smforge"]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SideIdentity(Published):
    """One of the two."""

    kind: Literal["wheel", "archive", "tree", "file", "image"]
    name: str
    digest: Digest | None
    saved: Annotated[bool, Says("Read from a report, not from the subject.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Before(Published):
    """A number before and after; null where there is no such side."""

    old: Count | None
    new: Count | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChange(Published):
    """One device over everything."""

    required: Annotated[bool, Says("Whether losing kernels here fails.")]
    runs: Annotated[Before, Says("How many run here.")]
    lost: Count
    gained: Count
    demoted: Annotated[Count, Says("Ran from machine code, run from PTX now.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyChange(Published):
    """Kernels of one family that went the same way."""

    family: str
    change: Annotated[
        Literal["same", "moved", "replaced", "removed", "added"],
        Says(
            "same: of the same name in the same library; moved: in another library; "
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
    allowed: Annotated[bool, Says("Whether --allow covers it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryChange(Published):
    """One library."""

    old: Annotated[str | None, Says("Its path before; null where it is new.")]
    new: Annotated[str | None, Says("Its path now; null where it is gone.")]
    size: Annotated[Before, Says("Bytes of the file.")]
    code: Annotated[Before, Says("Bytes of GPU code, as stored.")]
    count: Annotated[Before, Says("Kernels, or regions.")]
    targets_lost: Annotated[tuple[str, ...], Says("sm_120f, compute_90.")]
    targets_gained: tuple[str, ...]
    devices_lost: Annotated[tuple[Capability, ...], Says("It ran there, in part.")]
    devices_gained: tuple[Capability, ...]
    lost: PerDevice
    gained: PerDevice
    demoted: PerDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff(Published):
    """What was lost, gained and grew."""

    schema_version: Literal[1]
    tool: Tool
    old: SideIdentity
    new: SideIdentity
    compared: Annotated[
        Literal["names", "counts"],
        Says("counts: a saved report lists no kernels, so only numbers compare."),
    ]
    unit: Literal["kernels", "regions"]
    native_only: Annotated[bool, Says("Whether running from PTX counts as running.")]
    required: Annotated[tuple[str, ...], Says("Devices and targets that must not be lost.")]
    devices: dict[Capability, DeviceChange]
    targets_lost: tuple[str, ...]
    targets_gained: tuple[str, ...]
    libraries: tuple[LibraryChange, ...]
    families: Annotated[tuple[FamilyChange, ...], Says("Those that changed; empty with counts.")]
    failures: Annotated[tuple[str, ...], Says("What makes it fail, in sentences.")]
    doubts: Annotated[tuple[str, ...], Says("Why the answer is not certain.")]
    verdict: Verdict
