"""The record of a build: what was asked for, with what it was built, and what came of it.

These models are also the source of data/record.schema.json, which is published. A record is read
back by the next build, to see whether anything has changed.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA_VERSION: Literal[1] = 1
RECORD_NAME = "record.json"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
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
    image_digest: str | None = None
    size: Annotated[int | None, Field(ge=0, description="Bytes of what it exported.")] = None
    log: Annotated[str | None, Field(description="Relative to the output directory.")] = None


class Artefact(_Strict):
    """One exported file."""

    path: Annotated[str, Field(description="Relative to the record.")]
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class AuditRecord(_Strict):
    """What the audit of the artefacts said."""

    verdict: str
    exit_code: Annotated[int, Field(ge=0)]
    findings: Annotated[int, Field(ge=0, description="Those of level error.")]
    report: Annotated[str | None, Field(description="The full report, beside the record.")] = None


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
        Sha256, Field(description="Of the source archive, or of a checkout's build inputs.")
    ]
    collapsed: tuple[CollapseRecord, ...] = ()
    report: Annotated[str, Field(description="The full report, beside the record.")]
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
    targets: tuple[TargetRecord, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    audit: AuditRecord | None = None
    image_audit: Annotated[
        AuditRecord | None, Field(description="Null where the cell makes no image.")
    ] = None

    @property
    def text(self) -> str:
        """The record as JSON."""
        return self.model_dump_json(indent=2) + "\n"


def read_record(path: Path) -> RunRecord | None:
    """The record at `path`, or None when there is none that this version understands."""
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def schema_text() -> str:
    """The JSON Schema of a record, as it is published in data/record.schema.json."""
    schema = RunRecord.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=2) + "\n"
