"""One row: a library on a device. Its fields are the columns of CSV and the keys of JSON Lines.

It is the source of the published schema (data/row.schema.json).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from smforge.report.model import Capability, Count, Sha256
from smforge.report.published import Published, Says
from smforge.report.state import State

StateWord = Literal[
    "native", "ptx", "partial", "none", "excused", "foreign", "unreachable", "unclear", "empty"
]
assert set(StateWord.__args__) == set(State)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFamily(Published):
    """Kernels of the library that a finding about the device names."""

    rule: str
    name: str
    count: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Published):
    """A library on a device; or findings that are about no library, with no state.

    Every item of a library is in exactly one of the counts from `native` to `excused_ptx`.
    """

    subject: str
    platform: Annotated[str | None, Says("linux/amd64, where the subject says so.")]
    verdict: Annotated[
        Literal["pass", "fail", "nothing", "undetermined"], Says("Of the whole subject.")
    ]
    nothing_required: Annotated[bool, Says("Whether `pass` means that nothing could fail.")]
    library: Annotated[str | None, Says("Its path; null where findings are about the subject.")]
    sha256: Sha256 | None
    size: Annotated[Count | None, Says("Bytes of the library.")]
    toolkit: Annotated[str | None, Says("The newest CUDA release it was made with.")]
    embedded: Annotated[str, Says("What it holds: sm_80 sm_90a compute_80.")]
    device: Capability | None
    required: Annotated[bool, Says("Whether the device was required.")]
    state: Annotated[StateWord | None, Says("null where no library was judged.")]
    counted: Literal["kernels", "regions"]
    total: Count
    native: Count
    ptx: Count
    foreign: Count
    missing: Count
    unreachable: Count
    unclear: Count
    excused: Annotated[Count, Says("They cannot run, and a policy excuses it.")]
    excused_ptx: Annotated[Count, Says("They run from PTX alone, and a policy excuses it.")]
    errors: Annotated[str, Says("The rules, separated by spaces.")]
    warnings: Annotated[str, Says("The rules, separated by spaces.")]
    message: Annotated[str, Says("The sentences of the errors and warnings.")]
    families: Annotated[tuple[RowFamily, ...], Says("In JSON Lines alone.")] = field(default=())
