"""The shape of an external in versions.json: sources of another project that a build needs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smforge.matrix.shape.words import (
    Commit,
    Distribution,
    Extension,
    FileName,
    InnerPath,
    Sha256,
    Strict,
    Tag,
    Url,
    Version,
)


class External(Strict):
    """Sources that a build would otherwise clone while it configures."""

    extensions: Annotated[
        tuple[Extension, ...] | None,
        Field(min_length=1, description="The extension targets that need it; all when absent."),
    ] = None
    nested: Annotated[
        dict[InnerPath, PackedExternal],
        Field(
            description="Sources that lie inside this tree, by their place in it, such as a "
            "submodule that a tar file of the repository does not hold."
        ),
    ] = {}


class GitExternal(External):
    """A commit of a git repository, with its submodules at the commits that it names."""

    kind: Literal["git"]
    url: Url
    commit: Annotated[
        Commit | None,
        Field(description="Pins it; null when nobody has looked it up: it is then not fetched."),
    ]
    tag: Annotated[Tag | None, Field(description="The release that the commit is.")] = None
    secondary: Annotated[
        bool,
        Field(
            description="Whether the commit was read from other projects' pins, and not from the "
            "repository: fetching compares it with the tag."
        ),
    ] = False
    submodules: Annotated[
        tuple[InnerPath, ...] | None,
        Field(description="Only these submodules; all when absent."),
    ] = None


class Packed(External):
    """Sources inside one file, which its SHA-256 pins."""

    sha256: Sha256
    subdirectory: Annotated[
        InnerPath | None, Field(description="The directory in it that is meant.")
    ] = None
    layout: Annotated[
        dict[InnerPath, InnerPath],
        Field(
            description="In place of `subdirectory`: each place in the project's tree, and the "
            "directory in the file whose content belongs there."
        ),
    ] = {}
    commit: Annotated[
        Commit | None,
        Field(description="The commit that it holds. A file that names another one is refused."),
    ] = None
    tag: Annotated[Tag | None, Field(description="The release that it holds.")] = None


class ArchiveExternal(Packed):
    """A tar or zip file that anybody may have a copy of."""

    kind: Literal["archive"]
    url: Annotated[Url | None, Field(description="Where it is fetched from.")] = None
    path: Annotated[
        InnerPath | None,
        Field(description="In place of `url`: a file of the project, by its path from this file."),
    ] = None


class OfIndex(Packed):
    """One file of a distribution in the package index."""

    distribution: Distribution
    version: Version
    file: FileName


class WheelExternal(OfIndex):
    """Sources inside a wheel of the package index."""

    kind: Literal["wheel"]


class SdistExternal(OfIndex):
    """Sources inside a source archive of the package index; nothing of it is run."""

    kind: Literal["sdist"]


PackedExternal = Annotated[
    ArchiveExternal | WheelExternal | SdistExternal, Field(discriminator="kind")
]
AnyExternal = Annotated[
    GitExternal | ArchiveExternal | WheelExternal | SdistExternal, Field(discriminator="kind")
]
# Each may hold the others.
for _model in (GitExternal, ArchiveExternal, WheelExternal, SdistExternal):
    _model.model_rebuild()
