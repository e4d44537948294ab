"""The record of a build: what was asked for, what built it, and how it ended.

These models are also the source of data/record.schema.json, which is published. A record is read
back by the next build, to see whether anything has changed, and by what publishes the artefacts.
Whoever may write to the output directory may write a record, so what is read back is checked like
any other input: names and paths by pattern, and that the parts of a record agree.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smforge.bake.compilations import Compilations
from smforge.bake.cost_record import CostRecord
from smforge.errors import DamagedInputError, first_problem
from smforge.files import read_small
from smforge.matrix.shape.words import CudaTag, Name, Platform

SCHEMA_VERSION: Literal[1] = 1
RECORD_NAME = "record.json"

MOST_BYTES = 64 << 20
"""The largest record that is read; one of ten thousand artefacts has about two million."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=255)]
"""A file beside the record."""
RelativePath = Annotated[
    str,
    Field(
        pattern=r"^(\.{0,2}[^/.\x00-\x1f][^/\x00-\x1f]*|\.{3,}[^/\x00-\x1f]*)"
        r"(/(\.{0,2}[^/.\x00-\x1f][^/\x00-\x1f]*|\.{3,}[^/\x00-\x1f]*))*$",
        max_length=4096,
    ),
]
"""A path that stays below its folder: not absolute, no empty part, no ``.`` and no ``..``."""
Verdict = Literal["pass", "fail", "nothing", "undetermined"]
Result = Literal["passed", "rejected", "failed", "interrupted", "stopped"]
"""``stopped``: preflight foresaw a loss, so nothing was compiled."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tool(_Strict):
    """The program that wrote the record."""

    name: str
    version: str


class Tools(_Strict):
    """What built; null where the build did not come as far as asking."""

    engine: str | None = None
    buildx: str | None = None
    buildkit: str | None = None
    builder: str | None = None
    driver: str | None = None


class Checkout(_Strict):
    """The git checkout that held the definition."""

    commit: str
    dirty: Annotated[bool, Field(description="Whether tracked files differed from the commit.")]


class TargetRecord(_Strict):
    """One bake target of the call."""

    name: str
    seconds: Annotated[float, Field(ge=0, description="First step begun to last step complete.")]
    steps: Annotated[int, Field(ge=0, description="Instructions of the Dockerfile.")]
    completed_steps: Annotated[
        int,
        Field(ge=0, description="Fewer than steps also where the cache made some unnecessary."),
    ]
    cached: Annotated[bool, Field(description="Every instruction came from the cache.")]
    started: Annotated[
        datetime | None, Field(description="First step begun; null in records of older versions.")
    ] = None
    cached_steps: Annotated[
        int | None, Field(ge=0, description="Of completed_steps; null in older records.")
    ] = None
    needs: Annotated[
        tuple[str, ...], Field(description="The targets whose result it takes as a context.")
    ] = ()
    node: Annotated[
        str | None,
        Field(description="BUILDER/NODE that built it, as buildx says; null where it does not."),
    ] = None
    compilations: Annotated[
        Compilations | None,
        Field(description="Null where nothing was compiled, or the engine's cache had the step."),
    ] = None
    image_digest: str | None = None
    size: Annotated[int | None, Field(ge=0, description="Bytes of what it exported.")] = None
    log: Annotated[RelativePath | None, Field(description="Relative to the output directory.")] = (
        None
    )


class Artefact(_Strict):
    """One exported file."""

    path: Annotated[RelativePath, Field(description="Relative to the record.")]
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class AuditRecord(_Strict):
    """What the audit of the artefacts said."""

    verdict: Verdict
    exit_code: Annotated[int, Field(ge=0)]
    findings: Annotated[int, Field(ge=0, description="Those of level error.")]
    report: Annotated[FileName | None, Field(description="The full report, beside the record.")] = (
        None
    )
    report_sha256: Annotated[
        Sha256 | None, Field(description="Of the report; null in records of older versions.")
    ] = None

    @property
    def passed(self) -> bool:
        return self.verdict == "pass" and self.exit_code == 0


class CollapseRecord(_Strict):
    """A target that was asked for, and what the sources compile for its device instead."""

    target: str
    compiled_as: tuple[str, ...]


class ForeseenComponent(_Strict):
    """What preflight said of one component before it was compiled."""

    component: str
    verdict: Literal["pass", "fail"]
    findings: Annotated[int, Field(ge=0, description="Those that stop a build.")]
    source_sha256: Annotated[
        Sha256,
        Field(
            description="Of the source archive, of a checkout's build inputs, or of the wheel that "
            "is taken as published."
        ),
    ]
    collapsed: tuple[CollapseRecord, ...] = ()
    report: Annotated[FileName, Field(description="The full report, beside the record.")]
    report_sha256: Sha256


class PreflightRecord(_Strict):
    """What preflight said before the build."""

    verdict: Annotated[
        Literal["pass", "fail", "nothing"],
        Field(description="nothing: no component is compiled from sources that it understands."),
    ]
    overridden: Annotated[
        bool, Field(description="Whether it was built although the verdict is fail.")
    ] = False
    components: tuple[ForeseenComponent, ...] = ()
    required_instead: Annotated[
        dict[str, str],
        Field(
            description="Required targets that all sources collapse, each with the device that the "
            "audit requires in its place."
        ),
    ] = {}


class RecordedToolkit(BaseModel):
    """What is read of the toolkit of a recorded cell."""

    model_config = ConfigDict(frozen=True)

    tag: CudaTag


class RecordedCell(BaseModel):
    """What is read of a recorded cell; the names become names of folders."""

    model_config = ConfigDict(frozen=True)

    variant: Name
    platform: Platform
    toolkit: RecordedToolkit


class RunRecord(_Strict):
    """One build of one variant on one platform."""

    schema_version: Literal[1] = SCHEMA_VERSION
    tool: Tool
    result: Result
    exit_code: Annotated[int, Field(ge=0)]
    error: str | None = None
    started: datetime
    finished: datetime
    seconds: Annotated[float, Field(ge=0)]
    inputs_sha256: Annotated[
        Sha256, Field(description="Of the cell, docker/, docker-bake.hcl and versions.json.")
    ]
    inputs: Annotated[
        dict[str, Sha256],
        Field(description="Each of these inputs by name; empty in records of older versions."),
    ] = {}
    plan: Annotated[
        dict[str, Any], Field(description="The cell as `smforge plan -o json` shows it.")
    ]
    variables: Annotated[dict[str, str], Field(description="The bake variables as they were used.")]
    command: tuple[str, ...]
    tools: Tools
    checkout: Checkout | None = None
    preflight: Annotated[
        PreflightRecord | None, Field(description="Null where none was to run.")
    ] = None
    cost: Annotated[
        CostRecord | None,
        Field(description="Null where nothing that is compiled has a known price."),
    ] = None
    targets: tuple[TargetRecord, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    audit: AuditRecord | None = None
    image_audit: Annotated[
        AuditRecord | None, Field(description="Null where the cell makes no image.")
    ] = None

    @property
    def contradiction(self) -> str | None:
        """Why artefacts whose record says ``passed`` have not passed; None where all agrees."""
        if self.exit_code != 0:
            return f"its exit code is {self.exit_code}"
        if self.audit is None:
            return "it names no audit"
        for what, audit in (("audit", self.audit), ("audit of the image", self.image_audit)):
            if audit is not None and not audit.passed:
                return f"its {what} says {audit.verdict!r} with exit code {audit.exit_code}"
        return None

    @property
    def passed(self) -> bool:
        """Whether the build and every audit ended well."""
        return self.result == "passed" and self.contradiction is None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that built it, each once: ``farm/farm0``."""
        return tuple(dict.fromkeys(one.node for one in self.targets if one.node))

    @property
    def reports(self) -> frozenset[str]:
        """The files of the reports beside the record."""
        audits = [one.report for one in (self.audit, self.image_audit) if one is not None]
        components = self.preflight.components if self.preflight is not None else ()
        return frozenset(one for one in (*audits, *(c.report for c in components)) if one)

    @property
    def text(self) -> str:
        """The record as JSON."""
        return self.model_dump_json(indent=2) + "\n"


def parse_record(data: bytes, path: Path) -> RunRecord:
    """The record that `path` holds. Raises `DamagedInputError` for what this version cannot use."""
    try:
        return RunRecord.model_validate_json(data)
    except ValidationError as error:
        raise _unusable(path, error) from error


def recorded_cell(record: RunRecord, path: Path) -> RecordedCell:
    """The names of the cell that a record is about. Raises as `parse_record` does."""
    try:
        return RecordedCell.model_validate(record.plan)
    except ValidationError as error:
        raise _unusable(path, error, "plan") from error


def _unusable(path: Path, error: ValidationError, *below: str) -> DamagedInputError:
    place, problem = first_problem(error)
    where = ".".join(part for part in (*below, place) if part) or "its beginning"
    return DamagedInputError(
        f"{path} is no record that this smforge can use: at {where}, {problem}.",
        remedy="Build again, or remove it.",
    )


def former_record(path: Path) -> RunRecord | None:
    """The record at `path`, or None where the next build cannot use what lies there."""
    try:
        return parse_record(read_small(path, MOST_BYTES), path)
    except (OSError, DamagedInputError):
        return None


def schema_text() -> str:
    """The JSON Schema of a record, as it is published in data/record.schema.json."""
    schema = RunRecord.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=2) + "\n"
