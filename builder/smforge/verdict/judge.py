"""Judges an inventory by the terms of an audit.

Pure: the same inventory, terms and evidence give the same verdict, and nothing is read or run.
"""

from __future__ import annotations

from collections.abc import Iterator

from smforge.arch.devices import current_devices
from smforge.arch.target import ComputeCapability
from smforge.inventory.records import Inventory
from smforge.policy.exemptions import Exemption
from smforge.verdict.arch_packages import Parts, parts_of
from smforge.verdict.case import Case
from smforge.verdict.checks import CHECKS
from smforge.verdict.kernels import names_read
from smforge.verdict.names import families
from smforge.verdict.reach import CANNOT_RUN, Reach
from smforge.verdict.records import (
    DeviceOutcome,
    DeviceVerdict,
    ExceptionUse,
    FileVerdict,
    Finding,
    Level,
    Outcome,
    Tally,
    Verdict,
)
from smforge.verdict.request import Evidence, Terms
from smforge.verdict.rules import EXCEPTION_EXPIRED, EXCEPTION_UNUSED, RULE_BY_ID
from smforge.verdict.views import FileView, view_beside, view_file

_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.NOTE: 2}
_NO_EVIDENCE = Evidence()


def judge(inventory: Inventory, terms: Terms, evidence: Evidence = _NO_EVIDENCE) -> Verdict:
    """Judge `inventory`: per device and kernel whether it runs, the findings, and the outcome.

    Where no device is required all current ones are counted, and none of them can fail.
    """
    devices = terms.requirements.devices or current_devices()
    alone = tuple(view_file(file, devices, terms) for file in inventory.files)
    parts = parts_of(alone, devices)
    views = tuple(
        view_beside(view, devices, terms, found) if (found := parts.get(view.file.path)) else view
        for view in alone
    )
    case = Case(inventory, views, terms, evidence, all(names_read(f) for f in inventory.files))
    findings = [finding for check in CHECKS for finding in check(case)]
    uses = _uses(case)
    findings.extend(_exception_findings(terms, uses))
    findings.sort(key=lambda finding: _ORDER[finding.level])
    return Verdict(
        inventory=inventory,
        files=tuple(_file_verdict(view, parts.get(view.file.path, ())) for view in views),
        devices=tuple(_device_verdict(device, views) for device in devices),
        findings=tuple(findings),
        exceptions=tuple(use for use in uses.values() if use.kernels),
        outcome=_outcome(inventory, findings),
        names_read=case.names_read,
    )


def _file_verdict(view: FileView, parts: Parts) -> FileVerdict:
    exempt = frozenset(one.kernel for found in view.devices.excused.values() for one in found)
    return FileVerdict(view.file, view.groups, view.devices.tallies, exempt, parts)


def _device_verdict(device: ComputeCapability, views: tuple[FileView, ...]) -> DeviceVerdict:
    tally = _sum([view.devices.tallies[device] for view in views])
    return DeviceVerdict(device, tally, _device_outcome(device, tally, views))


def _sum(tallies: list[Tally]) -> Tally:
    return Tally(
        sum(tally.native for tally in tallies),
        sum(tally.ptx for tally in tallies),
        sum(tally.foreign for tally in tallies),
        sum(tally.missing for tally in tallies),
        sum(tally.exempt for tally in tallies),
    )


def _device_outcome(
    device: ComputeCapability, tally: Tally, views: tuple[FileView, ...]
) -> DeviceOutcome:
    if not tally.native + tally.ptx:
        return DeviceOutcome.NONE
    if tally.missing and _any(device, views, *CANNOT_RUN):
        return DeviceOutcome.PARTIAL
    if not tally.native or (tally.ptx and _any(device, views, Reach.PTX, Reach.PTX_UNSURE)):
        return DeviceOutcome.PTX
    return DeviceOutcome.NATIVE


def _any(device: ComputeCapability, views: tuple[FileView, ...], *reaches: Reach) -> bool:
    return any(view.devices[device].names(*reaches) for view in views)


def _outcome(inventory: Inventory, findings: list[Finding]) -> Outcome:
    """Weigh the findings: a certain no, then doubt, then nothing at all, then yes.

    An error about a damaged file, or about a whole subject of which a part is damaged, is not
    certain: what is missing may lie in the part that could not be read. A library that is whole
    and fails makes the answer no, whatever else is damaged.
    """
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    doubts = [finding for finding in errors if RULE_BY_ID[finding.rule].undetermined]
    doubtful = {finding.file for finding in doubts}
    for finding in errors:
        if finding in doubts or finding.file in doubtful or (finding.file is None and doubts):
            continue
        return Outcome.FAIL
    if errors:
        return Outcome.UNDETERMINED
    return Outcome.PASS if inventory.files else Outcome.NOTHING


def _uses(case: Case) -> dict[Exemption, ExceptionUse]:
    """What each exemption excused, in the order of the terms."""
    kernels: dict[Exemption, dict[tuple[str, str], None]] = {e: {} for e in case.terms.exemptions}
    devices: dict[Exemption, set[ComputeCapability]] = {e: set() for e in case.terms.exemptions}
    for view in case.views:
        for device, found in view.devices.excused.items():
            for excused in found:
                for exemption in excused.exemptions:
                    kernels[exemption][view.file.path, excused.kernel] = None
                    devices[exemption].add(device)
    return {
        exemption: ExceptionUse(
            pattern=exemption.pattern,
            reason=exemption.reason,
            policy=exemption.policy,
            reference=exemption.reference,
            expires=exemption.expires.isoformat() if exemption.expires else None,
            kernels=len(names),
            families=families(name for _, name in names),
            devices=tuple(sorted(devices[exemption])),
        )
        for exemption, names in kernels.items()
    }


def _exception_findings(terms: Terms, uses: dict[Exemption, ExceptionUse]) -> Iterator[Finding]:
    for exemption, use in uses.items():
        if exemption.expires is not None and terms.today > exemption.expires:
            yield EXCEPTION_EXPIRED.finding(
                f"The exception {exemption.pattern!r} of {exemption.policy} expired on "
                f"{exemption.expires} and is not applied ({exemption.reason}).",
                remedy="Renew it with a reason that still holds, or take it out.",
            )
        elif not use.kernels and not exemption.shipped:
            yield EXCEPTION_UNUSED.finding(
                f"The exception {exemption.pattern!r} of {exemption.policy} excused nothing.",
                remedy="Take it out, or correct its pattern.",
            )
