"""The report as data: what `-o json` writes, what other tools read, and what is rendered.

These records are the source of the published schema (data/report.schema.json). They are not
checked when an audit makes them; a saved report is, when it is read (`smforge.report.saved`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from smforge.report.published import LEFT_OUT, Must, Published, Says

SCHEMA_VERSION: Final = 1

Capability = Annotated[str, Must(pattern=r"^[1-9]\d?\.\d$")]
TargetText = Annotated[
    str,
    Must(pattern=r"^\d{1,3}\.\d[af?]?$"),
    Says("Capability and suffix: 12.0f. A question mark: the file does not say."),
]
Count = Annotated[int, Must(ge=0)]
Digest = Annotated[str, Must(pattern=r"^sha256:[0-9a-f]{64}$")]
Sha256 = Annotated[str, Must(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Published):
    """What made the report."""

    name: Literal["smforge"] = "smforge"
    version: str
    backend: Literal["native", "cuobjdump", "both"]
    cuobjdump: Annotated[str | None, Says("Its version, where it was used.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Published):
    """What was audited."""

    kind: Literal["wheel", "archive", "tree", "file", "image"]
    name: str
    digest: Digest | None
    platform: Annotated[str | None, Says("linux/amd64, where the subject says so.")]
    file: Annotated[
        str | None, Says("The name of the file, where name is that of a release or an address.")
    ] = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Published):
    """What was asked."""

    requirements: Annotated[tuple[str, ...], Says("Devices (12.1) and targets (12.0f, sm_120).")]
    driver: str | None
    native_only: Annotated[bool, Says("Whether PTX-only code fails the audit.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects(Published):
    """Code objects of one kind and target in one file."""

    kind: Literal[
        "cubin",
        "ptx",
        "old-cubin",
        "lto-ir",
        "index",
        "relocatable-ptx",
        "tile-ir",
        "concatenated",
        "unknown",
    ]
    target: TargetText
    ptx_isa: Annotated[str | None, Says("The newest, where several are embedded.")]
    count: Count
    bytes: Annotated[Count, Says("As stored; 0 where cuobjdump alone was asked.")]
    kernels: Annotated[Count | None, Says("null where names were not read.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally(Published):
    """Kernels by state on one device. kernels is the sum of the five states."""

    kernels: Annotated[
        Count | None,
        Says("null where names were not read; the others then count regions."),
    ]
    native: Annotated[Count, Says("Some embedded cubin runs.")]
    ptx: Annotated[Count, Says("Not native, but the driver can assemble PTX.")]
    foreign: Annotated[
        Count,
        Says("Only a or f code for other devices, or code that another package replaces there."),
    ]
    missing: Annotated[Count, Says("Ordinary code, and nothing here can run.")]
    unreachable: Annotated[
        Count, Says("It would be missing, and no host code can launch it: a compiler pass left it.")
    ] = 0
    exempt: Annotated[Count, Says("Of ptx and missing, excused by a policy.")] = 0
    exempt_ptx: Annotated[Count, Says("Of ptx, excused by a policy; counted in exempt too.")] = (
        field(default=0, metadata=LEFT_OUT)
    )
    unclear: Annotated[
        Count,
        Says("Of missing, not excused: it depends on a suffix that the file does not record."),
    ] = field(default=0, metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTally(Tally):
    """One device over the whole subject."""

    verdict: Literal["native", "ptx", "partial", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel(Published):
    """One kernel: an entry name in one region of one file."""

    name: str
    demangled: str
    targets: Annotated[tuple[TargetText, ...], Says("Machine code.")]
    ptx: tuple[TargetText, ...] = field(default=(), metadata=LEFT_OUT)
    lacking: Annotated[
        tuple[TargetText, ...],
        Says("Machine code of the same region that lacks it: the driver may pick that."),
    ] = field(default=(), metadata=LEFT_OUT)
    lacking_ptx: Annotated[
        tuple[TargetText, ...], Says("PTX of the same region that lacks it.")
    ] = field(default=(), metadata=LEFT_OUT)
    unregistered: Annotated[bool, Says("No host code can launch it on any device.")] = field(
        default=False, metadata=LEFT_OUT
    )
    exempt: Annotated[bool, Says("Excused by a policy on some device.")] = field(
        default=False, metadata=LEFT_OUT
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Published):
    """One file with GPU code."""

    path: str
    sha256: Sha256 | None
    size: Annotated[Count, Says("Bytes.")]
    toolkit: Annotated[str | None, Says("The newest CUDA release it was made with.")]
    objects: Annotated[
        tuple[Objects, ...], Says("What is loaded, in the sections cuobjdump reads.")
    ]
    relocatable: Annotated[tuple[Objects, ...], Says("The device linker's input; not counted.")] = (
        field(default=(), metadata=LEFT_OUT)
    )
    unseen: Annotated[tuple[Objects, ...], Says("Counted, but not seen by cuobjdump.")] = field(
        default=(), metadata=LEFT_OUT
    )
    data: Annotated[
        tuple[Objects, ...],
        Says("Among the file's data, for the driver API; not counted, see code-among-data."),
    ] = field(default=(), metadata=LEFT_OUT)
    sources: Annotated[tuple[str, ...], Says("Translation units, where symbols name them.")] = (
        field(default=(), metadata=LEFT_OUT)
    )
    devices: dict[Capability, Tally]
    kernels: Annotated[tuple[Kernel, ...], Says("With --kernels alone.")] = field(
        default=(), metadata=LEFT_OUT
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Published):
    """One kernel of a family."""

    name: str
    embedded: Annotated[tuple[str, ...], Says("sm_80, compute_90.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Published):
    """Kernels that differ in template arguments alone."""

    name: str
    count: Count
    members: Annotated[
        tuple[Member, ...], Says("Where they are few: each in full, with what it is embedded as.")
    ] = field(default=(), metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Published):
    """One thing that a rule has to say."""

    rule: Annotated[str, Must(pattern=r"^[a-z]+(-[a-z]+)*$")]
    level: Literal["error", "warning", "note"]
    file: str | None
    device: Capability | None
    target: TargetText | None
    message: str
    remedy: str | None
    families: tuple[Family, ...] = field(default=(), metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exempted(Published):
    """An exception of a policy and what it excused."""

    pattern: str
    reason: str
    policy: str
    reference: str | None
    expires: str | None
    kernels: Count
    devices: tuple[Capability, ...]
    families: tuple[Family, ...]


Cause = Literal[
    "not-listed", "not-supported", "taken-away", "within-source", "not-examined", "not-known"
]
"""Why sources leave kernels out; `Reason.cause` says what each means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason(Published):
    """Why kernels of a file are missing on a device, by the sources of the release."""

    device: Capability
    file: str
    cause: Annotated[
        Cause,
        Says(
            "not-listed: the arch list of the build lacks the device; not-supported: the sources "
            "never compile them for it; taken-away: other members of the list do; within-source: "
            "the source leaves them out; not-examined: an external project's."
        ),
    ]
    message: str
    location: Annotated[str | None, Says("The line of CMake that decides: CMakeLists.txt:658.")]
    condition: Annotated[
        str | None, Says("What it takes from the arch list: MARLIN_ARCHS: 8.0+PTX;12.0f.")
    ]
    kernels: Count
    families: tuple[Family, ...]
    sources: Annotated[
        tuple[str, ...], Says("Paths in the sources; names of files where no path is known.")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Published):
    """What two backends were compared on."""

    files: Count
    objects: Count
    kernels: Count
    differences: Count
    unread: Annotated[Count, Says("Files that cuobjdump could not read.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Published):
    """The audit of one subject."""

    schema_version: Literal[1] = 1
    tool: Tool
    subject: Subject
    question: Question
    counted: Annotated[
        Literal["kernels", "regions"],
        Says("Regions are translation units, counted where names were not read."),
    ]
    files: tuple[File, ...]
    devices: dict[Capability, DeviceTally]
    comparison: Comparison | None = None
    findings: tuple[Finding, ...]
    exempted: tuple[Exempted, ...] = ()
    reasons: Annotated[tuple[Reason, ...], Says("With --why alone.")] = field(
        default=(), metadata=LEFT_OUT
    )
    verdict: Literal["pass", "fail", "nothing", "undetermined"]
    nothing_required: Annotated[
        bool, Says("Whether nothing was required: then `pass` means that nothing could fail.")
    ] = False
