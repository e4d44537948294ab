"""Judges what was read of a subject by what an audit requests.

Pure: the same reading and request give the same verdict, and nothing is read or run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import add

from smforge.arch.devices import current_devices
from smforge.arch.target import ComputeCapability
from smforge.findings import Finding, Level, Outcome, Tally
from smforge.inventory.records import Inventory
from smforge.policy.excuses import Excuse
from smforge.verdict.checks import CHECKS
from smforge.verdict.kernels import names_read
from smforge.verdict.names import families
from smforge.verdict.reach import CANNOT_RUN, Reach
from smforge.verdict.reading import Reading
from smforge.verdict.records import DeviceOutcome, DeviceVerdict, ExcuseUse, Verdict
from smforge.verdict.request import AuditRequest
from smforge.verdict.rules import (
    CODE_AMONG_DATA,
    DEVICE_NOT_KEPT,
    EXCEPTION_EXPIRED,
    EXCEPTION_UNUSED,
    RULE_BY_ID,
)
from smforge.verdict.views.alternatives import alternatives_among
from smforge.verdict.views.arch_packages import parts_of
from smforge.verdict.views.files import FileView, view_beside, view_file
from smforge.verdict.views.subject import SubjectView

_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.NOTE: 2}


def _no_limit() -> None:
    """Set no time limit."""


def judge(
    reading: Reading, request: AuditRequest, check_time: Callable[[], None] = _no_limit
) -> Verdict:
    """Judge a subject: per device and kernel whether it runs, the findings, and the outcome.

    Where no device is required all current ones are counted, and none of them can fail.
    `check_time` is called before each check, and may raise to end the judging.
    """
    devices = request.requirements.devices or current_devices()
    view = _view(reading, request, devices)
    uses = _uses(view)
    findings: list[Finding] = []
    for check in CHECKS:
        check_time()
        findings.extend(check(view))
    findings.extend(_excuse_findings(request, uses))
    findings.sort(key=lambda finding: _ORDER[finding.level])
    return Verdict(
        view=view,
        devices=tuple(_device_verdict(device, view.files) for device in devices),
        findings=tuple(findings),
        excuses=tuple(use for use in uses if use.kernels),
        outcome=_outcome(reading.inventory, findings),
    )


def _view(
    reading: Reading, request: AuditRequest, devices: tuple[ComputeCapability, ...]
) -> SubjectView:
    files = reading.inventory.files
    alternatives = alternatives_among(files)
    alone = tuple(view_file(file, devices, request, alternatives) for file in files)
    parts = parts_of({view.file.path: view.running for view in alone}, devices)
    views = tuple(
        view_beside(view, devices, request, found) if (found := parts.get(view.file.path)) else view
        for view in alone
    )
    return SubjectView(reading, request, views, all(names_read(file) for file in files))


def _device_verdict(device: ComputeCapability, files: tuple[FileView, ...]) -> DeviceVerdict:
    tally = reduce(add, (view.devices.tallies[device] for view in files), Tally())
    return DeviceVerdict(device, tally, _device_outcome(device, tally, files))


def _device_outcome(
    device: ComputeCapability, tally: Tally, files: tuple[FileView, ...]
) -> DeviceOutcome:
    if not tally.runs:
        return DeviceOutcome.NONE
    if tally.missing and _any(device, files, *CANNOT_RUN):
        return DeviceOutcome.PARTIAL
    if not tally.native or (tally.ptx and _any(device, files, Reach.PTX, Reach.PTX_UNSURE)):
        return DeviceOutcome.PTX
    return DeviceOutcome.NATIVE


def _any(device: ComputeCapability, files: tuple[FileView, ...], *reaches: Reach) -> bool:
    return any(view.devices[device].names(*reaches) for view in files)


def _outcome(inventory: Inventory, findings: list[Finding]) -> Outcome:
    """Decide the outcome: fail first, then undetermined, then nothing to judge, then pass.

    An error about a damaged file, or about a whole subject of which a part is damaged, is not
    certain: what is missing may be in the part that could not be read. A library that was read
    completely and fails makes the answer no, whatever else is damaged. What is not known about one
    device makes nothing uncertain about another one.
    """
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    doubts = [finding for finding in errors if RULE_BY_ID[finding.rule].undetermined]
    certain = (finding for finding in errors if not RULE_BY_ID[finding.rule].undetermined)
    if any(not any(_weakens(doubt, error) for doubt in doubts) for error in certain):
        return Outcome.FAIL
    if errors:
        return Outcome.UNDETERMINED
    return Outcome.PASS if inventory.files else Outcome.NOTHING


def _weakens(doubt: Finding, error: Finding) -> bool:
    """Whether an error may be wrong because of what is not known.

    What a program does with code among its data changes nothing about the code that is registered.
    Nor does code that was taken out of a copy: what the copy lacks, it lacks.
    """
    if doubt.rule in {CODE_AMONG_DATA.id, DEVICE_NOT_KEPT.id}:
        return False
    same_place = error.file is None or error.file == doubt.file
    return same_place and (None in {doubt.device, error.device} or doubt.device == error.device)


def _uses(view: SubjectView) -> tuple[ExcuseUse, ...]:
    """The kernels that each excuse covers, in the order of the request."""
    excuses = view.request.excuses
    kernels: dict[Excuse, dict[tuple[str, str], None]] = {one: {} for one in excuses}
    devices: dict[Excuse, set[ComputeCapability]] = {one: set() for one in excuses}
    for file in view.files:
        for device, found in file.devices.excused.items():
            for excused in found:
                for excuse in excused.excuses:
                    kernels[excuse][file.file.path, excused.kernel] = None
                    devices[excuse].add(device)
    return tuple(
        ExcuseUse(
            excuse=excuse,
            kernels=len(names),
            families=families(name for _, name in names),
            devices=tuple(sorted(devices[excuse])),
        )
        for excuse, names in kernels.items()
    )


def _excuse_findings(request: AuditRequest, uses: tuple[ExcuseUse, ...]) -> Iterator[Finding]:
    for use in uses:
        excuse = use.excuse
        if excuse.expires is not None and request.today > excuse.expires:
            yield EXCEPTION_EXPIRED.finding(
                f"The entry {excuse.pattern!r} of {excuse.policy} expired on "
                f"{excuse.expires} and is not applied ({excuse.reason}).",
                remedy="Renew it with a reason that still applies, or delete it.",
            )
        elif not use.kernels and not excuse.shipped:
            yield EXCEPTION_UNUSED.finding(
                f"The entry {excuse.pattern!r} of {excuse.policy} excused nothing.",
                remedy="Delete it, or correct its pattern.",
            )
