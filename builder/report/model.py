"""The report as data: what `-o json` writes, what other tools read, and what is rendered.

These models are the source of the published schema (data/report.schema.json).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SCHEMA_VERSION: Final = 1

Capability = Annotated[str, StringConstraints(pattern=r"^[1-9]\d?\.\d$")]
TargetText = Annotated[
    str,
    StringConstraints(pattern=r"^\d{1,3}\.\d[af?]?$"),
    Field(description="Capability and suffix: 12.0f. A question mark: the file does not say."),
]
Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """Unknown keys are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Tool(Strict):
    """What made the report."""

    name: Literal["smforge"] = "smforge"
    version: str
    backend: Literal["native", "cuobjdump", "both"]
    cuobjdump: Annotated[str | None, Field(description="Its version, where it was used.")]


class Subject(Strict):
    """What was audited."""

    kind: Literal["wheel", "tree", "file", "image"]
    name: str
    digest: Digest | None
    platform: Annotated[str | None, Field(description="linux/amd64, where the subject says so.")]


class Question(Strict):
    """What was asked."""

    requirements: Annotated[
        tuple[str, ...], Field(description="Devices (12.1) and targets (12.0f, sm_120).")
    ]
    driver: str | None
    native_only: Annotated[bool, Field(description="Whether PTX-only code fails the audit.")]


class Objects(Strict):
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
    ptx_isa: Annotated[str | None, Field(description="The newest, where several are embedded.")]
    count: Count
    bytes: Annotated[Count, Field(description="As stored; 0 where cuobjdump alone was asked.")]
    kernels: Annotated[Count | None, Field(description="null where names were not read.")]


class Tally(Strict):
    """Kernels by state on one device. kernels = native + ptx + foreign + missing."""

    kernels: Annotated[
        Count | None,
        Field(description="null where names were not read; the others then count regions."),
    ]
    native: Annotated[Count, Field(description="Some embedded cubin runs.")]
    ptx: Annotated[Count, Field(description="Not native, but the driver can assemble PTX.")]
    foreign: Annotated[Count, Field(description="Only a or f code for other devices.")]
    missing: Annotated[Count, Field(description="Ordinary code, and nothing here can run.")]
    exempt: Annotated[Count, Field(description="Of ptx and missing, excused by a policy.")] = 0


class DeviceTally(Tally):
    """One device over the whole subject."""

    verdict: Literal["native", "ptx", "partial", "none"]


class Kernel(Strict):
    """One kernel: an entry name in one region of one file."""

    name: str
    demangled: str
    targets: Annotated[tuple[TargetText, ...], Field(description="Machine code.")]
    ptx: tuple[TargetText, ...] = ()
    exempt: Annotated[bool, Field(description="Excused by a policy on some device.")] = False


class File(Strict):
    """One file with GPU code."""

    path: str
    sha256: Sha256 | None
    size: Annotated[Count, Field(description="Bytes.")]
    toolkit: Annotated[str | None, Field(description="The newest CUDA release it was made with.")]
    objects: Annotated[
        tuple[Objects, ...], Field(description="What is loaded, in the sections cuobjdump reads.")
    ]
    relocatable: Annotated[
        tuple[Objects, ...], Field(description="The device linker's input; not counted.")
    ] = ()
    unseen: Annotated[
        tuple[Objects, ...], Field(description="Counted, but not seen by cuobjdump.")
    ] = ()
    sources: Annotated[
        tuple[str, ...], Field(description="Translation units, where symbols name them.")
    ] = ()
    devices: dict[Capability, Tally]
    kernels: Annotated[tuple[Kernel, ...], Field(description="With --kernels alone.")] = ()


class Family(Strict):
    """Kernels that differ in template arguments alone."""

    name: str
    count: Count


class Finding(Strict):
    """One thing that a rule has to say."""

    rule: Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z]+)*$")]
    level: Literal["error", "warning", "note"]
    file: str | None
    device: Capability | None
    target: TargetText | None
    message: str
    remedy: str | None
    families: tuple[Family, ...] = ()


class Exempted(Strict):
    """An exception of a policy and what it excused."""

    pattern: str
    reason: str
    policy: str
    reference: str | None
    expires: str | None
    kernels: Count
    devices: tuple[Capability, ...]
    families: tuple[Family, ...]


class Comparison(Strict):
    """What two backends were compared on."""

    files: Count
    objects: Count
    kernels: Count
    differences: Count
    unread: Annotated[Count, Field(description="Files that cuobjdump could not read.")]


class Report(Strict):
    """The audit of one subject."""

    schema_version: Literal[1] = 1
    tool: Tool
    subject: Subject
    question: Question
    counted: Annotated[
        Literal["kernels", "regions"],
        Field(description="Regions are translation units, counted where names were not read."),
    ]
    files: tuple[File, ...]
    devices: dict[Capability, DeviceTally]
    comparison: Comparison | None = None
    findings: tuple[Finding, ...]
    exempted: tuple[Exempted, ...] = ()
    verdict: Literal["pass", "fail", "nothing", "undetermined"]
