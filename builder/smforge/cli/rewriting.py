"""The common parts of ``smforge slim`` and ``smforge repair``: run, progress and answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from smforge.arch.devices import device
from smforge.arch.requirement import Requirements, parse_requirements
from smforge.arch.target import ComputeCapability
from smforge.cli.progress import ProgressLine
from smforge.errors import EXIT_OF_VERDICT, UsageError
from smforge.files import cache_folder
from smforge.inventory.options import ReadOptions
from smforge.policy.files import shipped_for_kernels
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.report.table import render_table
from smforge.rewrite.proof import UnprovenError
from smforge.rewrite.records import Request
from smforge.rewrite.subject import Rewritten, rewrite
from smforge.sigterm import ended_tidily
from smforge.verdict.audit import audit
from smforge.verdict.reading import Backend
from smforge.verdict.request import AuditRequest

_WRONG = frozenset({"backend-disagreement", "damaged-code-object", "header-payload-mismatch"})
"""The rules of the audit that a result must not break, whatever it was made for."""


def devices_of(words: Sequence[str], flag: str) -> tuple[ComputeCapability, ...]:
    """Read devices such as ``12.0 12.1``. Raises `UsageError` for anything else, and for none."""
    asked = parse_requirements(words)
    if asked.targets or not asked.devices:
        raise UsageError(
            f"{flag} takes devices.", remedy=f'Write compute capabilities: {flag} "12.0 12.1".'
        )
    for one in asked.devices:
        device(one)
    return tuple(sorted(asked.devices))


def run(subject: Path, request: Request, out: Path, *, load: bool, quiet: bool) -> int:
    """Rewrite, audit the result with both readers, say what came out, and return the exit code."""
    started = time.monotonic()
    shown = ProgressLine(sys.stderr, quiet=quiet)
    devices = tuple(sorted({*request.keep, *request.serve}))
    question = AuditRequest(
        Requirements(devices), native_only=bool(request.serve), excuses=shipped_for_kernels()
    )
    reports: list[Report] = []

    def audit_result(result: Path) -> None:
        shown.task("auditing the result with both readers")
        options = ReadOptions(progress=shown)
        reports.append(report_of(audit(str(result), question, Backend.BOTH, options)))
        wrong = next((one for one in reports[0].findings if one.rule in _WRONG), None)
        if wrong is not None:
            raise UnprovenError(
                f"The audit of the result says: {wrong.message}",
                remedy="Audit the original: if it says the same, correct that first.",
            )

    with shown, ended_tidily():
        if request.keep and (code := _original_fails(subject, request.keep, shown)):
            return code
        done = rewrite(
            subject,
            request,
            out,
            cache_folder=cache_folder("rewrite"),
            load=load,
            progress=shown,
            audit=audit_result,
        )
    click.echo(_summary(done, time.monotonic() - started))
    click.echo(_verdict(reports[0]))
    return EXIT_OF_VERDICT[reports[0].verdict]


def _original_fails(
    subject: Path, devices: tuple[ComputeCapability, ...], shown: ProgressLine
) -> int | None:
    """Audit the original, and return the exit code where it does not cover what is to be kept.

    A kernel that a kept device lacks is known by the code that other devices have of it. Without
    that code the copy would pass, and the kernel would still be missing.
    """
    if not subject.exists():
        return None
    question = AuditRequest(Requirements(devices), excuses=shipped_for_kernels())
    options = ReadOptions(progress=shown)
    report = report_of(audit(str(subject), question, options=options))
    if report.verdict == "pass":
        return None
    shown.clear()
    click.echo(_verdict(report))
    sys.stderr.write(
        f"smforge: Nothing was written: {subject.name} does not cover what is to be kept, and a "
        "copy without the other code would hide that. Keep only devices that it covers, or build "
        "it from source.\n"
    )
    return EXIT_OF_VERDICT[report.verdict]


def _verdict(report: Report) -> str:
    return render_table(report, color=sys.stdout.isatty())


def _summary(done: Rewritten, seconds: float) -> str:
    lines = [f"{done.output}: {_megabytes(done.size_after)}, was {_megabytes(done.size_before)}"]
    width = max((len(one.path) for one in done.changes), default=0)
    for one in sorted(done.changes, key=lambda change: change.size_after - change.size_before):
        added = sum(len(region.added) for region in one.regions)
        dropped = sum(len(region.dropped) for region in one.regions)
        lines.append(
            f"  {one.path:{width}}  {_megabytes(one.size_before):>8} -> "
            f"{_megabytes(one.size_after):>8}  {dropped:,} objects out, {added:,} made"
        )
    if done.unchanged:
        lines.append(f"  {len(done.unchanged)} libraries are as they were")
    if done.units:
        lines.append(
            f"  {done.units} texts assembled, {done.cached} of them from the cache; "
            f"needs driver {done.driver} or newer that knows the device"
        )
    checked = ", ".join(("object by object", *done.checkers))
    lines.append(f"  proven {checked}; {_loading(done)}; {seconds:.0f} s")
    return "\n".join(lines) + "\n"


def _loading(done: Rewritten) -> str:
    if not done.loading:
        return "not loaded here"
    loaded = sum(said == "it loads" for _, said in done.loading)
    if loaded == len(done.loading):
        return "every library loads"
    return f"{loaded} of {len(done.loading)} libraries load, the others fail as the originals do"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
