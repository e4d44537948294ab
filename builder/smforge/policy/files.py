"""Policy files: what a subject must cover, and what it may lack, each with a written reason.

The shape is published as data/policy.schema.json, generated from these models.
"""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from smforge.arch.requirement import Requirements, parse_requirements
from smforge.arch.target import ComputeCapability
from smforge.errors import ConfigurationError
from smforge.policy.exemptions import Exemption
from smforge.policy.shipped import target_of

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Capability = Annotated[str, StringConstraints(pattern=r"^[1-9]\d?\.\d$")]
TargetText = Annotated[str, StringConstraints(pattern=r"^[1-9]\d?\.\d[af?]?$")]
Reason = Annotated[str, StringConstraints(min_length=10, strip_whitespace=True)]


class Strict(BaseModel):
    """Unknown keys are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Allowance(Strict):
    """Kernels or libraries that may be missing or PTX-only, or sources that may be lost."""

    kernel: Annotated[
        Pattern | None,
        Field(description="Shell pattern over the mangled or the C++ name: *marlin::Marlin<*."),
    ] = None
    file: Annotated[
        Pattern | None,
        Field(description="Shell pattern over the path, from any folder on: vllm/_qutlass_C*.so."),
    ] = None
    source: Annotated[
        Pattern | None,
        Field(
            description="Shell pattern over a source's path or EXTENSION/SOURCE, for preflight: "
            "fp4_quantization_120/*."
        ),
    ] = None
    devices: Annotated[
        tuple[Capability, ...], Field(description="The devices it holds for; none for all.")
    ] = ()
    targets: Annotated[
        tuple[TargetText, ...],
        Field(
            description="All that the kernel may be embedded for (7.5, 12.0f; 10.0?: the file does "
            "not say); one embedded for anything else is not meant. None for any."
        ),
    ] = ()
    states: Annotated[
        tuple[Literal["missing", "ptx"], ...],
        Field(
            min_length=1,
            description="What it excuses: kernels that are missing, kernels that are PTX alone.",
        ),
    ] = ("missing", "ptx")
    reason: Annotated[Reason, Field(description="Why this is no defect, in a sentence.")]
    reference: Annotated[
        str | None, Field(description="Where upstream says so: a file and line, or an address.")
    ] = None
    expires: Annotated[date | None, Field(description="The last day it holds.")] = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.kernel is None and self.file is None and self.source is None:
            raise ValueError("an allowance names a kernel, a file or a source")
        return self


class Policy(Strict):
    """A policy file."""

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(description="What reports call it; the file's name by default.")] = (
        ""
    )
    require: Annotated[
        tuple[str, ...], Field(description='Devices and targets, as --require: ["11.0", "12.0f"].')
    ] = ()
    native: Annotated[bool, Field(description="Whether PTX-only code fails the audit.")] = False
    allow: tuple[Allowance, ...] = ()

    def requirements(self) -> Requirements:
        """What it requires. Raises `ArchitectureError` for a word that is none."""
        return parse_requirements(self.require)

    def exemptions(self) -> tuple[Exemption, ...]:
        """Its allowances of kernels and files as exemptions."""
        return tuple(
            Exemption(
                reason=one.reason,
                policy=self.name,
                kernel=one.kernel,
                file=one.file,
                devices=tuple(ComputeCapability.parse(device) for device in one.devices),
                targets=tuple(target_of(text) for text in one.targets),
                states=one.states,
                reference=one.reference,
                expires=one.expires,
            )
            for one in self.allow
            if one.kernel is not None or one.file is not None
        )

    @property
    def sources(self) -> tuple[Allowance, ...]:
        """Its allowances of sources, which are for preflight."""
        return tuple(one for one in self.allow if one.source is not None)


def load_policy(path: Path) -> Policy:
    """Read a policy file, TOML or (where its name ends in .json) JSON.

    Raises `ConfigurationError` with the place in the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(
            f"The policy {path} cannot be read: {error.strerror or error}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"The policy {path} is not valid {'JSON' if path.suffix == '.json' else 'TOML'}: "
            f"{error}."
        ) from error
    return _validated(content, path)


def _validated(content: Any, path: Path) -> Policy:
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(
            f"The policy {path} is wrong at ${place}: {problem}.",
            remedy="docs/policies.md describes policy files.",
        ) from error
    return policy if policy.name else policy.model_copy(update={"name": path.name})
