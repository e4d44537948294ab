"""What one `smforge build` was asked for, so that another process can finish it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from smforge.errors import UsageError
from smforge.verdict.reading import Backend
from smforge.workflow.building.results import LookAhead
from smforge.workflow.farm.choice import Choice, parse_shard


class BuildRequest(BaseModel):
    """The arguments of a build that a resumed run needs again. Paths are absolute."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Annotated[Path, Field(description="The current directory of the command.")]
    matrix: Path | None = None
    variants: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    shard: str | None = None
    wheels: tuple[str, ...] = ()
    force: bool = False
    keep_going: bool = True
    jobs: Annotated[int | None, Field(ge=1)] = None
    builder: str | None = None
    cores: Annotated[int | None, Field(ge=1)] = None
    memory_gib: Annotated[float | None, Field(gt=0)] = None
    look_ahead: LookAhead = LookAhead.STOP
    policies: tuple[Path, ...] = ()
    backend: Backend = Backend.BOTH
    reuse: Annotated[
        tuple[str, ...], Field(description="Stores, as stores.naming.absolute_name gives them.")
    ] = ()
    store: tuple[str, ...] = ()
    load: bool = False
    repository: str | None = None

    @property
    def choice(self) -> Choice:
        """The cells that are meant. Raises `UsageError` for a share that is none."""
        shard = None if self.shard is None else parse_shard(self.shard)
        return Choice(self.variants, self.platforms, self.only, shard, self.wheels)

    def require_here(self) -> None:
        """Raise `UsageError` in another directory, where relative names mean other files."""
        if Path.cwd() != self.directory:
            raise UsageError(
                f"The run that is resumed was started in {self.directory}.",
                remedy="Resume it there: the matrix and docker-bake.hcl are looked for from there.",
            )
