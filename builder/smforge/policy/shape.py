"""The shape of policy files. It is published as data/policy.schema.json, made from these models."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from smforge.arch.requirement import parse_requirements
from smforge.errors import ArchitectureError, ConfigurationError, first_problem

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


class PolicyFile(Strict):
    """A policy file."""

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(description="What reports call it; the file's name by default.")] = (
        ""
    )
    require: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1)], ...],
        Field(
            min_length=1,
            description='Devices and targets, as --require: ["11.0", "12.0f"]. A policy that '
            "requires nothing leaves it out.",
        ),
    ] = ()
    native: Annotated[bool, Field(description="Whether PTX-only code fails the audit.")] = False
    allow: tuple[Allowance, ...] = ()

    @field_validator("require", mode="before")
    @classmethod
    def _requires_something(cls, value: Any) -> Any:
        """A list that names nothing is a gate that lets everything pass: it is refused."""
        if not isinstance(value, list | tuple):
            return value
        if not value:
            raise ValueError("it names no device and no target; leave it out to require nothing")
        for text in value:
            try:
                if isinstance(text, str) and not parse_requirements([text]):
                    raise ValueError(f"{text!r} names no device and no target")
            except ArchitectureError as error:
                raise ValueError(str(error).removesuffix(".")) from error
        return value


def checked(content: Any, path: Path) -> dict[str, Any]:
    """The content of a policy file, checked. Raises `ConfigurationError` with the place in it."""
    try:
        policy = PolicyFile.model_validate(content)
    except ValidationError as error:
        place, problem = first_problem(error)
        raise ConfigurationError(
            f"The policy {path} is wrong at {f'$.{place}' if place else '$'}: {problem}.",
            remedy="'smforge explain policies' describes the keys.",
        ) from error
    return policy.model_dump()
