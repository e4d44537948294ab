"""The common parts of ``smforge slim`` and ``smforge repair``: run, progress and answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import click

from smforge.arch.devices import device
from smforge.arch.requirement import Requirements, parse_requirements
from smforge.arch.target import ComputeCapability
from smforge.errors import EXIT_OF_VERDICT, UsageError
from smforge.files import cache_folder
from smforge.policy.files import shipped_for_kernels
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.report.table import render_table
from smforge.rewrite.proof import UnprovenError
from smforge.rewrite.records import Request
from smforge.rewrite.subject import Progress, Rewritten, rewrite
from smforge.verdict.audit import audit
from smforge.verdict.reading import Backend
from smforge.verdict.request import AuditRequest

_WRONG = frozenset({"backend-disagreement", "damaged-code-object", "header-payload-mismatch"})
"""The rules of the audit that a result must not break, whatever it was made for."""
_SILENT_SECONDS = 2.0
_PLAIN_SECONDS = 10.0


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
    shown = _Shown(sys.stderr, quiet=quiet)
    devices = tuple(sorted({*request.keep, *request.serve}))
    question = AuditRequest(
        Requirements(devices), native_only=bool(request.serve), excuses=shipped_for_kernels()
    )
    if request.keep and (code := _original_fails(subject, request.keep, shown)):
        return code
    reports: list[Report] = []

    def audit_result(result: Path) -> None:
        shown.step("auditing the result with both readers")
        reports.append(report_of(audit(str(result), question, Backend.BOTH)))
        wrong = next((one for one in reports[0].findings if one.rule in _WRONG), None)
        if wrong is not None:
            raise UnprovenError(
                f"The audit of the result says: {wrong.message}",
                remedy="Audit the original: if it says the same, correct that first.",
            )

    done = rewrite(
        subject,
        request,
        out,
        cache_folder=cache_folder("rewrite"),
        load=load,
        progress=Progress(shown.step, shown.units),
        audit=audit_result,
    )
    shown.clear()
    click.echo(_summary(done, time.monotonic() - started))
    click.echo(_verdict(reports[0]))
    return EXIT_OF_VERDICT[reports[0].verdict]


def _original_fails(
    subject: Path, devices: tuple[ComputeCapability, ...], shown: _Shown
) -> int | None:
    """Audit the original, and return the exit code where it does not cover what is to be kept.

    A kernel that a kept device lacks is known by the code that other devices have of it. Without
    that code the copy would pass, and the kernel would still be missing.
    """
    if not subject.exists():
        return None
    shown.step("auditing the original")
    question = AuditRequest(Requirements(devices), excuses=shipped_for_kernels())
    report = report_of(audit(str(subject), question))
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
            f"needs driver {done.driver} or newer"
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


class _Shown:
    """Says on standard error what is being done, once it takes longer than two seconds."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._terminal = stream.isatty()
        self._begun = time.monotonic()
        self._next = self._begun + _SILENT_SECONDS

    def step(self, what: str) -> None:
        """A new step has begun."""
        self._say(what)

    def units(self, done: int, count: int) -> None:
        """So many units of all are assembled."""
        if not done:
            self._begun = time.monotonic()
            return
        left = (time.monotonic() - self._begun) / done * (count - done)
        self._say(f"assembled {done} of {count}, about {left / 60:.0f} min left")

    def clear(self) -> None:
        """Clear the terminal's line."""
        if self._terminal and not self._quiet:
            self._stream.write("\r\x1b[K")

    def _say(self, text: str) -> None:
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        if self._terminal:
            self._stream.write(f"\r\x1b[K{text}")
        else:
            self._stream.write(f"smforge: {text}\n")
            self._next = now + _PLAIN_SECONDS
        self._stream.flush()
