"""Whether the disks have room for what a cell will write, asked before anything is built.

What a cell makes is known from its last record, else from the sizes of wheels in costs.json; where
neither has a figure, nothing is refused. The figures are lower bounds: layers need more.
"""

from __future__ import annotations

from collections.abc import Sequence

from smforge.amounts import size_text
from smforge.bake.host.engine import Machine
from smforge.bake.record import RECORD_NAME, RunRecord, former_record
from smforge.errors import BuildFailedError, NoRoomError
from smforge.files import require_room
from smforge.plan.records import Cell
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.cost.figures import once, wheel_bytes


def require_room_for(
    settings: BuildSettings, cell: Cell, machines: Sequence[Machine], former: RunRecord | None
) -> None:
    """Raise `BuildFailedError` where the output or an engine's disk cannot take the artefacts.

    `machines` are those that may build it; a disk that is not on this host is not known. Where an
    engine's disk may not take the base and its toolkit, that is announced only: they may be in the
    engine's cache.
    """
    record = former or former_record(settings.paths(cell).logs / RECORD_NAME)
    made = sum(one.size for one in record.artefacts) if record is not None else 0
    made = made or sum(
        wheel_bytes(component) or 0
        for component in cell.components
        if any(target.startswith(component.name) for target in cell.targets)
    )
    what = f"What {cell.name} makes"
    disks = [machine.disk for machine in machines if machine.disk is not None]
    try:
        require_room(settings.paths(cell).final, made, what, "choose another directory with --out")
        for disk in disks:
            require_room(disk.folder, made, what, "run 'docker builder prune'")
    except NoRoomError as error:
        raise BuildFailedError(error.message, remedy=error.remedy) from error
    _, at_first = once()
    for disk in disks:
        if disk.free_bytes < at_first and cell.base.kind == "packages":
            settings.messages.announce(
                f"The engine has {size_text(disk.free_bytes)} free in {disk.folder}; a base with "
                f"its toolkit and torch takes {size_text(at_first)} where it is not in its cache."
            )
