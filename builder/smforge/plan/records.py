"""The records of a plan: one cell per variant and platform, ready for the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smforge.arch.requirement import Requirements
from smforge.arch.target import ComputeCapability, Target


@dataclass(frozen=True, slots=True)
class PlannedToolkit:
    """The CUDA release that compiles a cell, and the torch beside it."""

    cuda: str
    """With its update: ``13.0.2``."""
    tag: str
    """As wheel versions have it: ``cu130``."""
    ptx_isa: str
    minimum_driver: str | None
    """The lowest Linux driver that also assembles its PTX; None where that is not known."""
    torch: str
    wheel_mb: float | None
    """The largest wheel that its index takes, in millions of bytes; None if there is no limit."""
    torch_build: str | None = None
    """The CUDA build of torch, where it is that of an earlier release: ``cu132``."""


@dataclass(frozen=True, slots=True)
class PlannedBase:
    """The devel base that everything is compiled on."""

    kind: str
    """``packages`` or ``registry``."""
    image: str | None
    """The registry image, with its digest when that is known."""
    suite: str | None
    """The Debian suite of a base from packages."""
    packages: tuple[str, ...]
    """NVIDIA's wheels of a base from packages: ``nvidia-cuda-nvcc==13.0.88``."""


@dataclass(frozen=True, slots=True)
class PlannedExternal:
    """Sources of another project that a component's build needs."""

    name: str
    """As CMake's FetchContent calls it, in lower case: ``vllm-flash-attn``."""
    kind: str
    """``git``, ``archive``, ``wheel`` or ``sdist``."""
    location: str
    """A URL, a path from the matrix's directory, or the name of a file in the package index."""
    pin: str | None
    """The commit, or the SHA-256 of the file; None if it is not known."""
    release: str | None
    """Its name for people: a tag, or a distribution and its version."""
    subdirectory: str | None
    """The directory inside a file that holds the sources."""
    submodules: tuple[str, ...] | None
    """Those that are needed of a repository; None for all."""
    instead_of: str | None
    """Set for a stand-in: the release that the component asks for."""
    extensions: tuple[str, ...] = ()
    """The extensions that need it; empty where all do."""
    layout: tuple[tuple[str, str], ...] = ()
    """In place of a subdirectory: places in the tree, each with its directory inside the file."""
    holds: tuple[str, ...] = ()
    """Of a file: the tag and the commit that the matrix says it holds, as far as it says so."""
    nested: tuple[PlannedExternal, ...] = ()
    """Sources inside this tree; the name of each is its place."""


@dataclass(frozen=True, slots=True)
class PublishedWheel:
    """A wheel of the package index, and how it is changed before it is shipped."""

    file: str
    sha256: str
    keep: tuple[ComputeCapability, ...]
    """The devices whose code stays; the code that none of them needs is taken out."""
    repair: bool
    """Whether machine code is made for them from PTX where they have nothing else."""


@dataclass(frozen=True, slots=True)
class PlannedComponent:
    """One component of a cell."""

    name: str
    version: str
    archs: tuple[str, ...]
    """As versions.json has them, in the component's grammar; empty when taken as published."""
    targets: tuple[Target, ...]
    """The machine code that is asked for, suffixes as the component's tool gives them."""
    ptx: tuple[Target, ...]
    """The PTX that is asked for beside it."""
    settings: Mapping[str, str]
    """Other settings of versions.json, for example the selection of modules."""
    externals: tuple[PlannedExternal, ...] = ()
    """The sources that its build would otherwise clone."""
    checkout: bool = False
    """Whether a checkout is built in place of the release that the matrix names."""
    published: PublishedWheel | None = None
    """Set where it could be compiled, and its published wheel is taken instead."""


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """The image that a cell's wheels are put into."""

    name: str
    """Without registry and tag."""
    tag: str
    user: str
    """The user that it runs as: ``root`` or ``vllm``."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something that the matrix asks for and the build leaves out."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A word of an arch list that is compiled as another target; no device is left out by it."""

    component: str
    asked: str
    """As versions.json has it: ``11.0``."""
    compiled_as: tuple[Target, ...]
    by: Literal["list", "sources"]
    """Whether the component's reading of the list decides it, or preflight found it in its
    sources."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One build: a variant on a platform."""

    variant: str
    platform: str
    toolkit: PlannedToolkit
    base: PlannedBase
    requirements: Requirements
    components: tuple[PlannedComponent, ...]
    image: PlannedImage | None
    """None when only wheels are built."""
    targets: tuple[str, ...]
    """The targets of docker-bake.hcl that build it, in order of dependency."""
    variables: Mapping[str, str]
    """The variables of docker-bake.hcl; those that depend on the host are added by the build."""
    dropped: tuple[Dropped, ...]
    rewritten: tuple[Rewritten, ...] = ()
    policies: tuple[str, ...] = ()
    """Policy files for preflight and the audits, by their path from the matrix's directory."""
    part: bool = False
    """Whether only some of its wheels are built (`smforge.plan.part`); `dropped` says which not."""

    @property
    def name(self) -> str:
        """A name that files and CI jobs can have: ``cu130-thor-linux-arm64``."""
        return f"{self.variant}-{self.platform.replace('/', '-')}"

    @property
    def title(self) -> str:
        """Its name for people: ``cu130-thor linux/arm64``."""
        return f"{self.variant} {self.platform}"

    def component(self, name: str) -> PlannedComponent | None:
        """The component with this name, if the cell has it."""
        return next((one for one in self.components if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """The cells of some variants of a matrix."""

    matrix_name: str
    matrix_sha256: str
    cells: tuple[Cell, ...]
