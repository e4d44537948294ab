"""Settings that are the same for all cells of one run: matrix, output, host, policies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from smforge.bake.cell_paths import CellPaths
from smforge.bake.host.node_means import has_network_of_its_engine
from smforge.bake.host.settings import DEFAULT_NETWORK, HostSettings
from smforge.bake.inputs.externals import default_store as default_sources_store
from smforge.bake.inputs.origin import Origin
from smforge.bake.inputs.published import default_store as default_published_store
from smforge.bake.inputs.rootfs import default_store as default_rootfs_store
from smforge.matrix.place import build_root
from smforge.plan.records import Cell
from smforge.verdict.reading import Backend
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.results import LookAhead


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """The same for every cell of one run."""

    matrix: Path
    out: Path
    host: HostSettings
    messages: Messages = field(default_factory=Messages)
    look_ahead: LookAhead = LookAhead.OFF
    policies: tuple[Path, ...] = ()
    """Policy files for preflight and the audit, beside the shipped ones; a change of them counts
    as a change of the inputs."""
    backend: Backend = Backend.BOTH
    """The backend that reads the code in the audit."""
    jobs: int | None = None
    """The number of compiler jobs; None for what the engine's cores and memory allow."""
    verify: bool = False
    """Whether artefacts of an earlier build are hashed even where nobody wrote to them since."""
    builder: str | None = None
    """The builder of buildx; None for the one that buildx uses."""
    cores: int | None = None
    """The cores of the builder's node, in place of what it says."""
    memory_bytes: int | None = None
    """Its memory, in place of what it says."""
    network_of_engine: bool = False
    """Whether the host's network setting is what the engine of tools/engine needs, not a wish."""
    rootfs_store: Path = field(default_factory=default_rootfs_store)
    """Where root file systems of bases from packages are kept."""
    sources_store: Path = field(default_factory=default_sources_store)
    """Where the sources of other projects are kept."""
    published_store: Path = field(default_factory=default_published_store)
    """Where published wheels are kept that are taken in place of a compilation."""

    @property
    def root(self) -> Path:
        """The checkout with docker-bake.hcl and docker/."""
        return build_root(self.matrix)

    @property
    def origin(self) -> Origin:
        """Where this host gets the sources of other projects from."""
        return self.host.origin_for(self.matrix.resolve().parent)

    def policies_of(self, cell: Cell) -> tuple[Path, ...]:
        """The policies of a cell: those that the matrix names for it, and those of this run."""
        return (*(self.matrix.resolve().parent / name for name in cell.policies), *self.policies)

    def for_driver(self, driver: str) -> BuildSettings:
        """These settings without what this host's engine needs and a node elsewhere does not."""
        if not self.network_of_engine or has_network_of_its_engine(driver):
            return self
        return replace(self, host=replace(self.host, network=DEFAULT_NETWORK))

    def paths(self, cell: Cell) -> CellPaths:
        """The paths of a cell."""
        return CellPaths(self.out.resolve(), cell.variant, cell.platform)
