"""The results of a run of builds: a table for people, a document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smforge.amounts import clock_text, size_text
from smforge.bake.cell_paths import shown
from smforge.bake.record import TargetRecord
from smforge.errors import EXIT_PASS, SmforgeError
from smforge.plan.records import Cell
from smforge.terminal import text_of
from smforge.version import __version__
from smforge.workflow.building.results import Built

if TYPE_CHECKING:
    from smforge.report.model import Report

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    cell: str
    target: str
    time: str
    state: str
    size: str
    verdict: str
    node: str
    """BUILDER/NODE; empty where it is not known."""


def rows(results: Sequence[Built]) -> Iterator[Row]:
    """One row per bake target; one row for a cell that failed before its targets."""
    for built in results:
        name = f"{built.cell.variant} {built.cell.platform}"
        targets = built.record.targets if built.record else ()
        for target in targets:
            yield Row(
                cell=name,
                target=target.name,
                time=clock_text(target.seconds),
                state=_state(built, target),
                size=size_text(target.size) if target.size is not None else "",
                verdict=verdict(built) if target.size is not None else "",
                node=target.node or "",
            )
        if not targets:
            yield Row(name, "", "", "not built", "", verdict(built), "")


def render_table(results: Sequence[Built], *, width: int, color: bool) -> str:
    """The summary table as text."""
    from rich.table import Table  # noqa: PLC0415  # defers rich
    from rich.text import Text  # noqa: PLC0415  # defers rich

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("build", "target"):
        table.add_column(heading, overflow="fold")
    table.add_column("time", justify="right")
    table.add_column("state")
    table.add_column("size", justify="right")
    table.add_column("verdict")
    found = tuple(rows(results))
    # Where all was built in one place, the place says nothing.
    several = len({row.node for row in found if row.node}) > 1
    if several:
        table.add_column("node", overflow="fold")
    before = ""
    for row in found:
        cell = row.cell if row.cell != before else ""
        before = row.cell
        style = _STYLES.get(row.verdict or row.state, "")
        table.add_row(
            cell,
            row.target,
            row.time,
            Text(row.state, _STYLES.get(row.state, "")),
            row.size,
            Text(row.verdict, style),
            *((row.node,) if several else ()),
        )
    return text_of(table, width=width, color=color)


def audit_table(report: Report, *, width: int, color: bool) -> str:
    """The report of an audit without its notes, which people need not read after a build."""
    from smforge.report.table import render_table as render_report  # noqa: PLC0415  # defers report

    serious = tuple(finding for finding in report.findings if finding.level != "note")
    return render_report(replace(report, findings=serious), width=width, color=color)


def document(results: Sequence[Built], not_begun: Sequence[Cell] = ()) -> dict[str, Any]:
    """The results as plain data, with the record of each build, and the cells without one."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "smforge", "version": __version__},
        "builds": [
            {
                "variant": built.cell.variant,
                "platform": built.cell.platform,
                "result": built.result,
                "exit_code": built.exit_code,
                "error": str(built.error) if built.error else None,
                "directory": str(_directory(built)),
                "record": built.record.model_dump(mode="json") if built.record else None,
            }
            for built in results
        ],
        "not_begun": [{"variant": cell.variant, "platform": cell.platform} for cell in not_begun],
    }


def closing_lines(results: Sequence[Built]) -> Iterator[str]:
    """One sentence per cell that did not fail: where its artefacts are. Then what was compiled."""
    for built in results:
        if built.error is not None or built.record is None:
            continue
        name = f"{built.cell.variant} {built.cell.platform}"
        count = len(built.record.artefacts)
        files = f"{count} {'file' if count == 1 else 'files'} in {_directory(built)}"
        if built.up_to_date:
            when = built.record.finished.strftime("%Y-%m-%d %H:%M UTC")
            unhashed = f", {built.unhashed} not hashed again (--verify)" if built.unhashed else ""
            yield f"up to date: {name}, built {when}, verdict {verdict(built)}: {files}{unhashed}"
        elif built.record.result == "passed":
            took = clock_text(built.record.seconds)
            yield f"built: {name} in {took}, verdict {verdict(built)}: {files}"
        else:
            yield f"rejected: {name}, kept to be examined: {files}"
    yield from _cache_lines(results)
    for built in results:
        record = None if built.up_to_date or built.error is not None else built.record
        if record is not None and record.cost is not None:
            yield f"cost of compiling, {built.cell.title}: {record.cost.text}"


def _cache_lines(results: Sequence[Built]) -> Iterator[str]:
    """One sentence per bake target that compiled: what came from the compile cache, by target."""
    for built in results:
        for target in () if built.up_to_date or not built.record else built.record.targets:
            if (found := target.compilations) is None:
                continue
            name = f"{built.cell.variant} {built.cell.platform} {target.name}"
            refused = sum(found.not_cached.values())
            parts = [f"from the compile cache, {name}: {', '.join(found.lines)}"]
            parts += [f"{refused:,} not cacheable"] if refused else []
            parts += [f"{found.errors:,} errors of the cache"] if found.errors else []
            parts += [
                f"most memory: {one.gib:.1f} GiB, {one.unit.rpartition('/')[2]} for {one.target}"
                for one in found.hungriest[:1]
            ]
            yield "; ".join(parts)


def layer_lines(results: Sequence[Built]) -> Iterator[str]:
    """The biggest layers of each image that has its place, and the step that made each."""
    made = [one for one in results if one.error is None and one.record and one.cell.image]
    if not made:
        return
    from smforge.oci.layers import biggest_layers  # noqa: PLC0415  # defers oci
    from smforge.publish.images import LAYOUT  # noqa: PLC0415  # defers publish

    for built in made:
        folder = _directory(built) / LAYOUT
        try:
            layers = biggest_layers(folder)
        except SmforgeError:
            continue  # The result is not there any more, which is not what is asked here.
        yield f"layers of {folder}, compressed:"
        yield from (f"  {size_text(one.bytes):>8}  {one.step}".rstrip() for one in layers)


def tally(results: Sequence[Built], not_begun: Sequence[Cell]) -> str:
    """How many of several cells passed, and the names of the others; empty for a single cell."""
    count = len(results) + len(not_begun)
    if count == 1:
        return ""
    failed = [f"{one.cell.variant} {one.cell.platform}" for one in results if one.exit_code]
    left = [f"{cell.variant} {cell.platform}" for cell in not_begun]
    parts = [f"{count} cells: {len(results) - len(failed)} passed"]
    parts += [f"{len(failed)} did not ({', '.join(failed)})"] if failed else []
    parts += [f"{len(left)} not begun ({', '.join(left)})"] if left else []
    return ", ".join(parts)


def verdict(built: Built) -> str:
    """The audit's word, the image's where that failed; empty where there was no audit."""
    if built.record is None or built.record.audit is None:
        return ""
    audits = (built.record.audit, built.record.image_audit or built.record.audit)
    failed = (one.verdict for one in audits if one.exit_code != EXIT_PASS)
    return next(failed, built.record.audit.verdict)


_STYLES = {"pass": "green", "fail": "bold red", "failed": "bold red", "not built": "red"}


def _state(built: Built, target: TargetRecord) -> str:
    if built.up_to_date:
        return "up to date"
    if getattr(built.error, "target", None) == target.name:
        return "failed"
    failed = built.record is None or built.record.result in {"failed", "interrupted"}
    if failed and (target.completed_steps < target.steps or not target.steps):
        return "not finished"
    return "cached" if target.cached else "built"


def _directory(built: Built) -> Path:
    paths = built.paths
    rejected = built.record is not None and built.record.result == "rejected"
    return shown(paths.rejected if rejected else paths.final)
