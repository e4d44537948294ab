"""``smforge devices``: the devices, their names, and what reaches each."""

from __future__ import annotations

import json
from typing import Any

import click

from smforge.arch.coverage import family
from smforge.arch.devices import Device, Status, devices
from smforge.arch.drivers import lowest_driver_for
from smforge.arch.target import Suffix, Target
from smforge.arch.toolkits import Toolkit, toolkits
from smforge.cli.flags import output_option
from smforge.cli.output import OutputSpec, checked_outputs, emit

FORMATS = ("table", "json")
_HEADINGS = ("device", "names", "products", "targets", "CUDA", "driver")


@click.command("devices")
@click.option("--all", "everything", is_flag=True, help="Older ones and former numbers too.")
@output_option(FORMATS)
def command(everything: bool, outputs: tuple[OutputSpec, ...]) -> int:
    """List the devices: names, products, own targets, and the first CUDA release and its driver.

    A name may stand wherever a device is asked for: smforge audit X.whl --require "spark thor".

    \b
    smforge devices
    smforge devices --all -o devices.json
    """
    shown = [one for one in devices() if everything or one.status is Status.CURRENT]
    rows = [_row(one) for one in shown]
    emit({spec: _render(rows, spec.format) for spec in checked_outputs(outputs)})
    return 0


def _row(one: Device) -> dict[str, Any]:
    targets = [Target(one.capability, suffix) for suffix in _SUFFIXES]
    known = [target for target in targets if _first(target) is not None]
    first = _first(Target(one.capability))
    # Releases before the table's first one are not in it.
    older = first is toolkits()[0]
    return {
        "capability": str(one.capability),
        "names": list(one.names),
        "products": list(one.products),
        "architecture": one.architecture,
        "status": one.status.value,
        "targets": [target.sm for target in known],
        "family": sorted(str(member) for member in family(Target(one.capability, _SUFFIXES[1]))),
        "first_toolkit": first.version if first else None,
        "or_older": older,
        "first_driver": _driver(first) if first and not older else None,
        "note": one.note,
    }


_SUFFIXES = (Suffix.PLAIN, Suffix.FAMILY_SPECIFIC, Suffix.ARCH_SPECIFIC)


def _first(target: Target) -> Toolkit | None:
    """The oldest toolkit of the table that knows a target."""
    return next((one for one in toolkits() if one.knows(target)), None)


def _driver(first: Toolkit) -> str | None:
    lowest = lowest_driver_for(first.ptx_isa)
    return None if lowest is None else str(lowest)


def _render(rows: list[dict[str, Any]], form: str) -> str:
    if form == "json":
        return json.dumps(rows, indent=2)
    lines = [_HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["capability"],
        " ".join(row["names"]),
        ", ".join(row["products"]),
        " ".join(row["targets"]),
        f"{row['first_toolkit'] or '?'}{' or older' if row['or_older'] else ''}",
        row["first_driver"] or "",
    )
