"""Makes a report of a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from smforge.findings import Family, Finding, Tally
from smforge.inventory.records import CodeObject, Kind, Origin, Region
from smforge.report import model
from smforge.report.text.json_text import json_text
from smforge.verdict.names import demangle
from smforge.verdict.records import DeviceVerdict, ExcuseUse, Verdict
from smforge.verdict.views.files import FileView
from smforge.version import __version__

if TYPE_CHECKING:
    from smforge.inventory.cuobjdump.agreement import Comparison


def report_of(verdict: Verdict, *, kernels: bool = False) -> model.Report:
    """Make the report of a verdict; `kernels` lists every kernel by name."""
    reading, request = verdict.view.reading, verdict.view.request
    named = verdict.view.names_read
    by_device = _by_device(named=named)
    subject = reading.inventory.subject
    return model.Report(
        schema_version=model.SCHEMA_VERSION,
        tool=model.Tool(
            name="smforge",
            version=__version__,
            backend=_word(reading.backend),
            cuobjdump=reading.cuobjdump_version,
        ),
        subject=model.Subject(
            kind=_word(subject.kind),
            name=subject.name,
            digest=subject.digest,
            platform=subject.platform,
            file=subject.file,
        ),
        question=model.Question(
            requirements=tuple(str(request.requirements).split()),
            driver=None if request.driver is None else str(request.driver),
            native_only=request.native_only,
        ),
        counted="kernels" if named else "regions",
        files=tuple(
            _file(file, by_device(file), named=named, kernels=kernels)
            for file in verdict.view.files
        ),
        devices={str(one.device): _device(one, named=named) for one in verdict.devices},
        comparison=_comparison(reading.comparison),
        findings=tuple(_finding(finding) for finding in verdict.findings),
        exempted=tuple(_exempted(use) for use in verdict.excuses),
        verdict=_word(verdict.outcome),
        nothing_required=not (request.requirements or request.expectations),
    )


def to_json(report: model.Report) -> str:
    """Write a report as JSON, without parts that were not asked for (kernels, sources)."""
    return json_text(report)


def _word(member: StrEnum) -> Any:
    """The word of an enumeration. The model lists the words; tests hold reports against it."""
    return member.value


def _by_device(*, named: bool) -> Callable[[FileView], dict[str, model.Tally]]:
    """Give the counts of a file on each device. Thousands of files share theirs."""
    known: dict[int, dict[str, model.Tally]] = {}

    def of(file: FileView) -> dict[str, model.Tally]:
        tallies = file.devices.tallies
        if id(tallies) not in known:
            known[id(tallies)] = {
                str(device): model.Tally(**_counts(tally, named=named))
                for device, tally in tallies.items()
            }
        return known[id(tallies)]

    return of


def _file(
    file: FileView, devices: dict[str, model.Tally], *, named: bool, kernels: bool
) -> model.File:
    found = file.file
    counted = found.counted_regions
    # By identity: comparing thousands of regions with one another takes minutes.
    kept = {id(region) for region in counted}
    data = [region for region in found.regions if region.origin is Origin.DATA]
    kept.update(map(id, data))
    return model.File(
        path=found.path,
        sha256=found.sha256,
        size=found.size,
        toolkit=_toolkit(counted),
        objects=_objects(r for r in counted if r.origin is not Origin.EMBEDDED),
        relocatable=_objects(r for r in found.regions if id(r) not in kept),
        unseen=_objects(r for r in counted if r.origin is Origin.EMBEDDED),
        data=_objects(data),
        sources=tuple(sorted({r.source for r in counted if r.source})),
        devices=devices,
        kernels=_kernels(file) if kernels and named else (),
    )


def _toolkit(regions: Iterable[Region]) -> str | None:
    releases = {code.toolkit for region in regions for code in region.objects if code.toolkit}
    return max(releases, key=_version, default=None)


def _objects(regions: Iterable[Region]) -> tuple[model.Objects, ...]:
    grouped: dict[tuple[Kind, str], list[CodeObject]] = {}
    for region in regions:
        for code in region.objects:
            grouped.setdefault((code.kind, str(code.target)), []).append(code)
    return tuple(
        model.Objects(
            kind=_word(kind),
            target=target,
            ptx_isa=max((c.ptx_isa for c in codes if c.ptx_isa), key=_version, default=None),
            count=len(codes),
            bytes=sum(code.stored_bytes for code in codes),
            kernels=_kernel_count(codes),
        )
        for (kind, target), codes in sorted(grouped.items(), key=lambda item: _order(item[1][0]))
    )


def _order(code: CodeObject) -> tuple[str, Any]:
    return code.kind.value, code.target


def _kernel_count(codes: Iterable[CodeObject]) -> int | None:
    counts = [len(code.kernels) for code in codes if code.kernels is not None]
    return sum(counts) if counts else None


def _kernels(file: FileView) -> tuple[model.Kernel, ...]:
    listed = []
    excused = file.excused
    for group in file.groups:
        targets = tuple(str(target) for target in sorted(group.embedded.cubins))
        ptx = tuple(str(target) for target in sorted({one.target for one in group.embedded.ptx}))
        lacking = tuple(str(target) for target in sorted(group.embedded.lacking_cubins))
        lacking_ptx = tuple(str(target) for target in sorted(group.embedded.lacking_ptx))
        listed += [
            model.Kernel(
                name=name,
                demangled=demangle(name),
                targets=targets,
                ptx=ptx,
                lacking=lacking,
                lacking_ptx=lacking_ptx,
                unregistered=group.embedded.unregistered,
                exempt=name in excused,
            )
            for name in group.names
        ]
    return tuple(sorted(listed, key=lambda kernel: (kernel.demangled, kernel.name)))


def _counts(tally: Tally, *, named: bool) -> dict[str, Any]:
    return {
        "kernels": tally.total if named else None,
        "native": tally.native,
        "ptx": tally.ptx,
        "foreign": tally.foreign,
        "missing": tally.missing,
        "unreachable": tally.unreachable,
        "exempt": tally.excused,
        "exempt_ptx": tally.ptx_excused,
        "unclear": tally.unclear,
    }


def _device(device: DeviceVerdict, *, named: bool) -> model.DeviceTally:
    return model.DeviceTally(**_counts(device.tally, named=named), verdict=_word(device.outcome))


def _finding(finding: Finding) -> model.Finding:
    return model.Finding(
        rule=finding.rule,
        level=_word(finding.level),
        file=finding.file,
        device=None if finding.device is None else str(finding.device),
        target=None if finding.target is None else str(finding.target),
        message=finding.message,
        remedy=finding.remedy,
        families=_families(finding.families),
    )


def _families(families: Iterable[Family]) -> tuple[model.Family, ...]:
    return tuple(
        model.Family(
            name=one.name,
            count=one.count,
            members=tuple(
                model.Member(name=each.name, embedded=each.embedded) for each in one.members
            ),
        )
        for one in families
    )


def _exempted(use: ExcuseUse) -> model.Exempted:
    excuse = use.excuse
    return model.Exempted(
        pattern=excuse.pattern,
        reason=excuse.reason,
        policy=excuse.policy,
        reference=excuse.reference,
        expires=excuse.expires.isoformat() if excuse.expires else None,
        kernels=use.kernels,
        devices=tuple(str(device) for device in use.devices),
        families=_families(use.families),
    )


def _comparison(compared: Comparison | None) -> model.Comparison | None:
    if compared is None:
        return None
    return model.Comparison(
        files=compared.files,
        objects=compared.objects,
        kernels=compared.kernels,
        differences=len(compared.differences),
        unread=len(compared.unread),
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
