"""The records of a preflight: units, skips, external projects and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Finding, Level, Location, Outcome, Tally


@dataclass(frozen=True, slots=True)
class Unit:
    """One CUDA source of one extension, and what it is compiled for."""

    extension: str
    """The name of the CMake target: ``_C_stable_libtorch``."""
    source: str
    """Relative to the tree; generated files and external projects where a build has them."""
    gencode: tuple[str, ...]
    """What follows ``-gencode``, in order: ``arch=compute_120f,code=sm_120f``. Empty where the
    build description says nothing, so that nvcc's own default holds."""
    targets: tuple[Target, ...]
    """Machine code, sorted."""
    ptx: tuple[Target, ...]
    """PTX, sorted."""
    location: Location | None = None
    """Where the build description chose the targets."""
    module: str | None = None
    """The generated module that it belongs to, where users know modules and not sources."""

    @property
    def label(self) -> str:
        """Its name for users."""
        return self.module or self.source


@dataclass(frozen=True, slots=True)
class Skip:
    """A message of the build description about what it leaves out."""

    message: str
    location: Location


@dataclass(frozen=True, slots=True)
class External:
    """A project that the build fetches."""

    name: str
    repository: str | None
    revision: str | None
    location: Location
    """Where the build description declares it."""
    named_sources: int = 0
    """How many of its CUDA sources the tree's own CMake names; these are among the units."""
    problem: str | None = None
    """Why what was given of it is not what the build fetches; None where nothing was given."""
    submodules: tuple[str, ...] = ()
    """The submodules that are fetched of it, where the build description names them."""


@dataclass(frozen=True, slots=True)
class Required:
    """A version that the sources require."""

    distribution: str
    specifier: str
    """As packaging writes it: ``==2.14.0``."""
    location: Location


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of the build description that takes from the arch list what some sources support."""

    variable: str
    """What gets the result, and is then given to the sources: ``MARLIN_ARCHS``."""
    supported: str
    """What the sources support, as the line says it: ``8.0+PTX;12.0f``."""
    location: Location


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why the real build would stop while it configures."""

    message: str
    location: Location | None
    by: str
    """Who refuses: ``sources`` or ``torch``."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The result of configuring one source tree with one arch list and one toolkit."""

    archs: str
    """The list as the build gets it in TORCH_CUDA_ARCH_LIST."""
    cuda: str
    torch: str
    """The release of torch whose reading of the list holds."""
    units: tuple[Unit, ...]
    skips: tuple[Skip, ...]
    not_examined: tuple[External, ...]
    """Projects that the build fetches and that were not there to be examined."""
    refusal: Refusal | None = None
    fetched: tuple[External, ...] = ()
    """All projects that the build fetches, examined or not."""
    host_only: tuple[str, ...] = ()
    """The extensions that have no CUDA source: host code, or Python files that are installed."""
    required: tuple[Required, ...] = ()
    """The versions of torch and FlashInfer that the sources require."""
    list_read: Location | None = None
    """Where the build description takes from the arch list what it supports."""
    choices: tuple[Choice, ...] = ()
    """Its lines that take from the list what sources support, as far as they ran, in order."""


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """What was examined."""

    name: str
    version: str | None
    digest: str
    """``sha256:…`` of an archive; of the sorted path and hash list of a tree's build inputs."""


@dataclass(frozen=True, slots=True)
class UpstreamList:
    """An arch list that one of upstream's own files defaults to."""

    component: str
    """What is built with it: ``vllm``, ``flashinfer``."""
    archs: str
    location: Location
    who: str
    """Whose builds it holds for, completing "the list for ..."."""
    level: Level
    """How much a gap in it weighs."""


@dataclass(frozen=True, slots=True)
class Collapse:
    """A requested target as which nothing is compiled, although its device is served."""

    target: Target
    compiled_as: tuple[Target, ...]
    """What serves its device instead, the most frequent first."""


@dataclass(frozen=True, slots=True)
class BuildUnits:
    """What one of several builds compiles."""

    build: str
    """The bake target that carries it out."""
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Preflight:
    """The result: one configuration, compared."""

    source: SourceIdentity
    configuration: Configuration
    """What all builds compile together."""
    requested: tuple[Target, ...]
    baselines: tuple[Configuration, ...]
    devices: Mapping[ComputeCapability, Tally]
    upstream_lists: tuple[UpstreamList, ...]
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""
    outcome: Outcome
    collapsed: tuple[Collapse, ...] = ()
    builds: tuple[BuildUnits, ...] = ()
    """What each build compiles, where they are told apart."""
    required: frozenset[ComputeCapability] = frozenset()
    """The devices of `devices` that must lose nothing."""
    compared_with: Mapping[ComputeCapability, tuple[str, ...]] = field(default_factory=dict)
    """The lists that each device was compared with."""
