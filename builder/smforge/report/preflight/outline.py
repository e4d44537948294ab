"""A preflight in words and rows, which its forms share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smforge.findings import Finding, Level
from smforge.preflight.records import Preflight, Unit
from smforge.report.wording import answer


@dataclass(frozen=True, slots=True)
class Rows:
    """One table; the columns whose title is in `numbers` hold numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()


def heading(preflight: Preflight) -> str:
    """One line that says what was examined."""
    source = preflight.source
    version = f" {source.version}" if source.version else ""
    return (
        f"{source.name}{version}, CUDA {preflight.configuration.cuda}, "
        f"architectures {preflight.configuration.archs}"
    )


def headline(preflight: Preflight) -> str:
    """Answer the question in one line."""
    asked = " ".join(str(target) for target in preflight.requested)
    return answer(
        preflight.outcome.value,
        [one.rule for one in preflight.findings if one.level is Level.ERROR],
        passes=f"Nothing is lost for {asked}.",
        fails=f"Does not compile everything for {asked}",
    )


def tables(preflight: Preflight) -> Iterator[Rows]:
    """What is compiled, how the devices are served, what is skipped; empty tables are left out."""
    compiled = Rows(
        ("extension", "machine code for", "PTX for", "sources"),
        [
            (extension, targets or "-", ptx or "-", str(number))
            for (extension, targets, ptx), number in _alike(preflight.configuration.units)
        ],
        frozenset({"sources"}),
    )
    counts = ("native", "PTX only", "for other devices", "missing")
    devices = Rows(
        ("device", *counts),
        [
            (str(device), *map(str, (one.native, one.ptx, one.foreign, one.missing)))
            for device, one in sorted(preflight.devices.items())
        ],
        frozenset(counts),
    )
    skips = Rows(
        ("the sources say", "where"),
        [(one.message, str(one.location)) for one in preflight.configuration.skips],
    )
    return (table for table in (compiled, devices, skips) if table.rows)


def told(finding: Finding) -> str:
    """What a finding says, with its remedy or with why it does not count."""
    if finding.excused:
        return f"{finding.message} Excused: {finding.excused}"
    return " ".join(filter(None, (finding.message, finding.remedy)))


def _alike(units: Sequence[Unit]) -> list[tuple[tuple[str, str, str], int]]:
    """Units that are compiled alike: extension, targets and PTX, and how many sources."""
    counts = Counter(
        (unit.extension, " ".join(map(str, unit.targets)), " ".join(map(str, unit.ptx)))
        for unit in units
    )
    return sorted(counts.items())
