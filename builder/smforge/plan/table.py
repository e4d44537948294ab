"""A plan for people, readable at 100 columns: one line per variant, or one block per cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from smforge.plan.records import (
    Cell,
    Plan,
    PlannedBase,
    PlannedComponent,
    PlannedToolkit,
    Rewritten,
)
from smforge.terminal import text_of

WIDTH = 100
_HEADINGS = ("variant", "platforms", "CUDA", "devices", "builds")
_NAMED = 2
"""The components that the line of a variant names; it counts the others."""
_HASH = re.compile(r"\s*--hash=sha256:[0-9a-f]{64}")


def render_overview(plan: Plan, default: str, *, width: int = WIDTH, color: bool = False) -> str:
    """One line per variant; `default` is the one that ``smforge build`` builds without a name."""
    variants: dict[str, list[Cell]] = {}
    for cell in plan.cells:
        variants.setdefault(cell.variant, []).append(cell)
    rows = [(name, *_overview(cells)) for name, cells in variants.items()]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    *others, last = zip(_HEADINGS, *rows, strict=True)
    for texts in others:
        table.add_column(texts[0], no_wrap=True, min_width=max(map(len, texts)))
    # Where the line is too long, this column is cut.
    table.add_column(last[0], no_wrap=True, overflow="ellipsis")
    for name, *facts in rows:
        table.add_row(Text(name, "bold"), *facts)
    closing = f"'smforge build' builds {default}. 'smforge plan VARIANT' shows one in full."
    return f"{text_of(table, width=width, color=color)}\n\n{closing}\n"


def _overview(cells: Sequence[Cell]) -> Iterator[str]:
    yield " ".join(cell.platform.rpartition("/")[2] for cell in cells)
    yield ".".join(cells[0].toolkit.cuda.split(".")[:2])
    devices = {device for cell in cells for device in cell.requirements.devices}
    yield " ".join(map(str, sorted(devices))) or "none required"
    names = [component.name for component in cells[0].components]
    more = f" +{len(names) - _NAMED}" if len(names) > _NAMED else ""
    yield " ".join(names[:_NAMED]) + more + (" image" if cells[0].image else "")


def render_table(
    plan: Plan, *, hashes: bool = False, width: int = WIDTH, color: bool = False
) -> str:
    """Everything about each cell; the hashes of sources and wheels only with `hashes`.

    Escape codes are in it only with `color`.
    """
    blocks: list[RenderableType] = []
    for cell in plan.cells:
        blocks += [_heading(cell), _block(cell, hashes=hashes), Text()]
    return text_of(Group(*blocks[:-1]), width=width, color=color) + "\n"


def _heading(cell: Cell) -> Text:
    return Text.assemble((cell.variant, "bold"), f"  {cell.platform}")


def _block(cell: Cell, *, hashes: bool) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in _rows(cell, hashes=hashes):
        grid.add_row(f"  {label}", text)
    return grid


def _rows(cell: Cell, *, hashes: bool) -> Iterator[tuple[str, str]]:
    yield "toolkit", _toolkit(cell.toolkit)
    yield "base", _base(cell.base, hashes=hashes)
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
        shown = value if hashes else _without_hashes(name, value)
        if shown:
            yield label, f"{name}={' '.join(shown.split())}"
            label = ""
    label = "rewritten"
    for rewritten in cell.rewritten:
        yield label, _rewritten(rewritten)
        label = ""
    label = "dropped"
    for one in cell.dropped:
        yield label, f"{one.what}: {one.why}"
        label = ""


def _without_hashes(name: str, value: str) -> str:
    """What is left of a build argument without its SHA-256, or those of its pins."""
    return "" if name.endswith("_SHA256") else _HASH.sub("", value)


def _rewritten(one: Rewritten) -> str:
    targets = ", ".join(map(str, one.compiled_as))
    where = " by its sources" if one.by == "sources" else ""
    return f"{one.component} {one.asked} is compiled as {targets}{where}"


def _toolkit(toolkit: PlannedToolkit) -> str:
    driver = f"driver from {toolkit.minimum_driver}" if toolkit.minimum_driver else "driver unknown"
    build = f" ({toolkit.torch_build})" if toolkit.torch_build else ""
    return (
        f"CUDA {toolkit.cuda} ({toolkit.tag}, PTX ISA {toolkit.ptx_isa}, {driver}), "
        f"torch {toolkit.torch}{build}"
    )


def _base(base: PlannedBase, *, hashes: bool) -> str:
    if base.image is not None:
        name, pin, _ = base.image.partition("@")
        if pin and hashes:
            return f"image {base.image}"
        return f"image {name} ({'pinned' if pin else 'not pinned'} by digest)"
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
