"""Whether every cell of a plan can be built as planned: its files, its pins and its sources.

Nothing is built, and no engine is asked. What the matrix itself contradicts was refused when it
was loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smforge.bake.host.settings import HostSettings
from smforge.bake.inputs.externals import default_store, externals_of, kept_sources
from smforge.bake.inputs.published import default_store as published_store
from smforge.bake.inputs.published import ensure_published
from smforge.errors import ConfigurationError, SmforgeError
from smforge.findings import Finding, Level
from smforge.matrix.place import build_root
from smforge.plan.records import Cell
from smforge.policy.files import Policy, load_policy
from smforge.preflight.cache import Cache
from smforge.preflight.cell import CellPreflight, Circumstances, examinable, preflight_cell
from smforge.workflow.published import PublishedPreflight, preflight_published, way_out

LOCKS = Path("docker", "image", "requirements")
"""Below the directory of the matrix: per CUDA, one lock for each component of an image."""
_TORCH = re.compile(r"^torch==(?P<version>\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CellCheck:
    """The reasons why one cell cannot be built."""

    cell: Cell
    problems: tuple[str, ...]
    """Sentences: files that are not there, missing pins, sources that cannot be fetched."""
    preflight: CellPreflight | None
    """None where the sources could not be examined."""
    published: tuple[PublishedPreflight, ...] = ()
    """What was read of the published wheels that are taken."""

    @property
    def errors(self) -> tuple[str, ...]:
        """Everything that would stop the build or fail its audit, as sentences."""
        found = self.preflight.components if self.preflight else ()
        return (
            *self.problems,
            *(
                f"{one.title}: {_sentence(finding)}"
                for one in found
                for finding in one.result.findings
                if finding.level is Level.ERROR
            ),
            *(
                f"{one.title}: {problem} {way_out(one.component)}"
                for one in self.published
                for problem in one.problems
            ),
        )

    @property
    def passed(self) -> bool:
        """Whether there is no such reason."""
        return not self.errors


def check_cells(
    cells: Sequence[Cell],
    matrix: Path,
    cache: Cache,
    host: HostSettings,
    announce: Callable[[str], None] = lambda _text: None,
) -> tuple[CellCheck, ...]:
    """Check each cell; `matrix` is the file that they come from."""
    return tuple(_check_cell(cell, matrix, cache, host, announce) for cell in cells)


def _check_cell(
    cell: Cell, matrix: Path, cache: Cache, host: HostSettings, announce: Callable[[str], None]
) -> CellCheck:
    root = build_root(matrix)
    problems: list[str] = []
    policies: list[Policy] = []
    for name in cell.policies:
        try:
            policies.append(load_policy(matrix.resolve().parent / name))
        except ConfigurationError as error:
            problems.append(str(error))
    problems += [*_unpinned(cell), *_without_locks(cell, root)]
    circumstances = Circumstances(
        root=root,
        cache=cache,
        checkouts=host.checkouts,
        fetched=kept_sources(externals_of(cell), default_store()),
        excuses=tuple(excuse for policy in policies for excuse in policy.sources),
        announce=lambda text: announce(f"{cell.variant} {cell.platform}, {text}"),
    )
    kernels = [excuse for policy in policies for excuse in policy.kernels]
    try:
        found = preflight_cell(cell, examinable(cell), circumstances)
        wheels = ensure_published(
            cell, published_store(), host.origin, announce=circumstances.announce
        )
        published = preflight_published(cell, wheels, kernels)
    except SmforgeError as error:
        return CellCheck(cell, (*problems, str(error)), None)
    return CellCheck(cell, tuple(problems), found, published)


def _unpinned(cell: Cell) -> Iterator[str]:
    for external in externals_of(cell):
        if external.pin is None:
            yield (
                f"The sources of {external.name} ({external.release}) are not pinned to a commit, "
                "so they are not fetched."
            )


def _without_locks(cell: Cell, root: Path) -> Iterator[str]:
    """What an image's packages lack: each component has a lock, with the torch of the toolkit."""
    if cell.image is None:
        return
    for component in cell.components:
        lock = LOCKS / cell.toolkit.tag / f"{component.name}.txt"
        if not (root / lock).is_file():
            yield (
                f"The image has no lock for {component.name} with CUDA {cell.toolkit.cuda}: there "
                f"is no {lock}."
            )
            continue
        torch = _TORCH.search((root / lock).read_text(encoding="utf-8"))
        if torch is not None and torch["version"] != cell.toolkit.torch:
            yield (
                f"{lock} locks torch {torch['version']}, and the toolkit has torch "
                f"{cell.toolkit.torch}. Renew the locks: make lock."
            )


def check_table(checks: Sequence[CellCheck]) -> str:
    """The checks for people: a line per cell, and below it the reasons against its build."""
    lines: list[str] = []
    for one in checks:
        name = f"{one.cell.variant} {one.cell.platform}"
        lines.append(f"{'pass' if one.passed else 'FAIL'}  {name}: {_summary(one)}")
        lines += [f"      {error}" for error in one.errors]
    failed = sum(not one.passed for one in checks)
    cells = "1 cell" if len(checks) == 1 else f"{len(checks)} cells"
    all_can = "it can" if len(checks) == 1 else "all can"
    lines.append(
        f"{cells} checked, {f'{failed} cannot' if failed else all_can} be built as planned."
    )
    return "\n".join(lines) + "\n"


def _summary(check: CellCheck) -> str:
    if check.preflight is None:
        return "its sources could not be examined"
    parts = [
        f"{one.title} {len(one.result.configuration.units)} CUDA sources"
        for one in check.preflight.components
    ]
    parts += [f"{one.title}, {one.content}" for one in check.published]
    examined = {one.component.name for one in check.preflight.components}
    examined |= {one.component.name for one in check.published}
    others = [one.name for one in check.cell.components if one.name not in examined]
    if others:
        parts.append(f"{', '.join(others)} not examined")
    return "; ".join(parts)


def check_document(checks: Sequence[CellCheck]) -> dict[str, Any]:
    """The checks as plain data."""
    return {
        "schema_version": 1,
        "checks": [
            {
                "variant": one.cell.variant,
                "platform": one.cell.platform,
                "verdict": "pass" if one.passed else "fail",
                "errors": list(one.errors),
                "components": [
                    {
                        "component": each.component.name,
                        "version": each.component.version,
                        "verdict": each.result.outcome.value,
                        "units": len(each.result.configuration.units),
                    }
                    for each in (one.preflight.components if one.preflight else ())
                ],
                "published": [
                    {
                        "component": each.component.name,
                        "version": each.component.version,
                        "verdict": "fail" if each.problems else "pass",
                        "devices": {
                            device: {
                                "native": tally.native,
                                "ptx": tally.ptx,
                                "missing": tally.missing,
                                "excused": tally.exempt,
                            }
                            for device, tally in each.report.devices.items()
                        },
                    }
                    for each in one.published
                ],
            }
            for one in checks
        ],
    }


def _sentence(finding: Finding) -> str:
    return f"{finding.rule}: {finding.message} {finding.remedy or ''}".rstrip()
