"""A preflight in words and rows, which its forms share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smforge.findings import Finding, Level
from smforge.preflight.records import Preflight, Unit
from smforge.report.text.wording import answer


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
    named = {target.capability for target in preflight.requested}
    required = sorted(preflight.required - named)
    asked = " ".join(map(str, (*preflight.requested, *required)))
    but = ", but for what is excused" if any(one.excused for one in preflight.findings) else ""
    return answer(
        preflight.outcome.value,
        [one.rule for one in preflight.findings if one.level is Level.ERROR],
        passes=f"Nothing is lost for {asked}{but}.",
        fails=f"Does not compile everything for {asked}",
    )


def devices(preflight: Preflight) -> Iterator[Rows]:
    """How the sources reach the devices, and what those were compared with; nothing if refused."""
    counts = ("native", "PTX only", "lost", "no code")
    if not preflight.devices:
        return
    yield Rows(
        ("device", *counts, "compared with"),
        [
            (
                f"{device}{'' if device in preflight.required else ' (not required)'}",
                *map(str, (one.native, one.ptx, one.missing, one.foreign)),
                ", ".join(preflight.compared_with.get(device, ())) or "-",
            )
            for device, one in sorted(preflight.devices.items())
        ],
        frozenset(counts),
    )


def sources(preflight: Preflight) -> Iterator[Rows]:
    """What is compiled, and what the sources say they leave out; empty tables are left out."""
    compiled = Rows(
        ("extension", "machine code for", "PTX for", "sources"),
        [
            (extension, targets or "-", ptx or "-", str(number))
            for (extension, targets, ptx), number in _alike(preflight.configuration.units)
        ],
        frozenset({"sources"}),
    )
    skips = Rows(
        ("the sources say", "where"),
        [(one.message, str(one.location)) for one in preflight.configuration.skips],
    )
    return (table for table in (compiled, skips) if table.rows)


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
