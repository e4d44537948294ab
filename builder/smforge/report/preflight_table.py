"""The preflight report for people: what each extension gets, then what is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from smforge.findings import Finding, Level
from smforge.preflight.records import Preflight, Unit
from smforge.terminal import text_of

WIDTH = 100
_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}


def render_table(preflight: Preflight, *, width: int = WIDTH, color: bool = False) -> str:
    """The report as text. Escape codes are in it only with `color`."""
    return text_of(preflight_table(preflight), width=width, color=color) + "\n"


def preflight_table(preflight: Preflight) -> RenderableType:
    """The report as something rich can print."""
    parts: list[RenderableType] = [_heading(preflight), Text()]
    if preflight.configuration.units:
        parts += [_compiled(preflight), Text()]
    if preflight.devices:
        parts += [_devices(preflight), Text()]
    if preflight.configuration.skips:
        parts += [_skips(preflight), Text()]
    parts += [_finding(one) for one in preflight.findings]
    parts.append(Text(f"verdict: {preflight.outcome}", style="bold"))
    return Group(*parts)


def heading(preflight: Preflight) -> str:
    """One line that says what was examined."""
    source = preflight.source
    version = f" {source.version}" if source.version else ""
    return (
        f"{source.name}{version}, CUDA {preflight.configuration.cuda}, "
        f"architectures {preflight.configuration.archs}"
    )


def grouped(units: tuple[Unit, ...]) -> Iterator[tuple[str, str, str, int]]:
    """Units that are compiled alike: (extension, targets, PTX, how many sources)."""
    counts = Counter(
        (unit.extension, " ".join(map(str, unit.targets)), " ".join(map(str, unit.ptx)))
        for unit in units
    )
    for (extension, targets, ptx), number in sorted(counts.items()):
        yield extension, targets, ptx, number


def _heading(preflight: Preflight) -> Text:
    return Text(heading(preflight), style="bold")


def _compiled(preflight: Preflight) -> Table:
    table = _table("extension", "machine code for", "PTX for")
    table.add_column("sources", justify="right")
    for extension, targets, ptx, number in grouped(preflight.configuration.units):
        table.add_row(extension, targets or "-", ptx or "-", str(number))
    return table


def _devices(preflight: Preflight) -> Table:
    table = _table("device")
    for name in ("native", "PTX only", "for other devices", "missing"):
        table.add_column(name, justify="right")
    for device, tally in sorted(preflight.devices.items()):
        numbers = (tally.native, tally.ptx, tally.foreign, tally.missing)
        table.add_row(str(device), *map(str, numbers))
    return table


def _skips(preflight: Preflight) -> Table:
    table = _table("the sources say", "where")
    for skip in preflight.configuration.skips:
        table.add_row(skip.message, str(skip.location))
    return table


def _finding(finding: Finding) -> Text:
    allowed = f" Allowed: {finding.excused}" if finding.excused else ""
    remedy = f" {finding.remedy}" if finding.remedy and not finding.excused else ""
    return Text.assemble(
        (f"{finding.level} ", _COLOURS[finding.level]),
        (f"{finding.rule}: ", "bold"),
        f"{finding.message}{remedy}{allowed}",
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
