"""The words of versions.json: names, versions, digests and places, each with its form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

Platform = Literal["linux/amd64", "linux/arm64"]
Selection = Literal["core", "common", "full"]
CudaMajor = Literal["12", "13"]
Origin = Literal["source", "published"]

# ASCII classes and max_length, not \w and {0,62}: the Unicode tables of the former and the copies
# that the latter makes of them would double what it costs to import this module.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=63)]
Version = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)+(\.?(a|b|rc|post|dev)[0-9]+)*$")
]
CudaVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
CudaTag = Annotated[str, StringConstraints(pattern=r"^cu[0-9]{3}$")]
Distribution = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]+\.(tar\.gz|whl)$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
# A registry with a port stands before the first slash: localhost:5000/team/name.
_REGISTRY = r"^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[0-9]{1,5}/)?"
_REPOSITORY = r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
ImageName = Annotated[
    str, StringConstraints(pattern=rf"{_REGISTRY}{_REPOSITORY}:[A-Za-z0-9_][A-Za-z0-9_.-]*$")
]
ImageRepository = Annotated[str, StringConstraints(pattern=rf"{_REGISTRY}{_REPOSITORY}$")]
ImageUser = Literal["root", "vllm"]
Suite = Annotated[str, StringConstraints(pattern=r"^[a-z]+$")]
Extension = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")]
ExternalName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9][A-Za-z0-9._:-]*/[!-~]+$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
InnerPath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]+$", max_length=32)]


class Strict(BaseModel):
    """Unknown keys are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
