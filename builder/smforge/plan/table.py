"""A plan for people: one block per cell, readable at 100 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from smforge.plan.records import Cell, Plan, PlannedBase, PlannedComponent, PlannedToolkit
from smforge.terminal import text_of

WIDTH = 100


def render_table(plan: Plan, *, width: int = WIDTH, color: bool = False) -> str:
    """The plan as text. Escape codes are in it only with `color`."""
    return text_of(plan_table(plan), width=width, color=color) + "\n"


def plan_table(plan: Plan) -> RenderableType:
    """The plan as something rich can print."""
    blocks: list[RenderableType] = []
    for cell in plan.cells:
        blocks += [_heading(cell), _block(cell), Text()]
    return Group(*blocks[:-1])


def _heading(cell: Cell) -> Text:
    return Text.assemble((cell.variant, "bold"), f"  {cell.platform}")


def _block(cell: Cell) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in _rows(cell):
        grid.add_row(f"  {label}", text)
    return grid


def _rows(cell: Cell) -> Iterator[tuple[str, str]]:
    yield "toolkit", _toolkit(cell.toolkit)
    yield "base", _base(cell.base)
    requirements = cell.requirements
    yield "devices", " ".join(str(device) for device in requirements.devices) or "none required"
    if requirements.targets:
        yield "targets", " ".join(str(target) for target in requirements.targets)
    if cell.policies:
        yield "policies", " ".join(cell.policies)
    for component in cell.components:
        yield component.name, _component(component)
    if cell.image is not None:
        yield "image", f"{cell.image.name}:{cell.image.tag}, as {cell.image.user}"
    yield "bake", " ".join(cell.targets)
    label = "arguments"
    for name, value in cell.variables.items():
        if value:
            yield label, f"{name}={' '.join(value.split())}"
            label = ""
    label = "dropped"
    for one in cell.dropped:
        yield label, f"{one.what}: {one.why}"
        label = ""


def _toolkit(toolkit: PlannedToolkit) -> str:
    driver = f"driver from {toolkit.minimum_driver}" if toolkit.minimum_driver else "driver unknown"
    build = f" ({toolkit.torch_build})" if toolkit.torch_build else ""
    return (
        f"CUDA {toolkit.cuda} ({toolkit.tag}, PTX ISA {toolkit.ptx_isa}, {driver}), "
        f"torch {toolkit.torch}{build}"
    )


def _base(base: PlannedBase) -> str:
    if base.image is not None:
        pinned = "" if "@" in base.image else " (not pinned by digest)"
        return f"image {base.image}{pinned}"
    return f"packages: Debian {base.suite} and {len(base.packages)} NVIDIA wheels"


def _component(component: PlannedComponent) -> str:
    if (wheel := component.published) is not None:
        devices = " ".join(map(str, wheel.keep))
        repaired = ", repaired" if wheel.repair else ""
        return f"{component.version}, published, slimmed for {devices}{repaired}"
    if not component.archs:
        return f"{component.version}, taken as published"
    settings = "".join(f", {name} {value}" for name, value in component.settings.items())
    checkout = " (a checkout)" if component.checkout else ""
    return f"{component.version}{checkout}{settings}, for {' '.join(component.archs)}"
