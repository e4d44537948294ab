"""Makes a report of a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from builder import __version__
from builder.inventory.linked import counted_regions
from builder.inventory.records import CodeObject, Origin, Region
from builder.report import model
from builder.verdict.audit import Audit
from builder.verdict.names import demangle
from builder.verdict.records import (
    DeviceVerdict,
    ExceptionUse,
    Family,
    FileVerdict,
    Finding,
    Tally,
    Verdict,
)


def report_of(audit: Audit, *, kernels: bool = False) -> model.Report:
    """Make the report of an audit; `kernels` lists every kernel by name."""
    verdict = audit.verdict
    subject = verdict.inventory.subject
    terms = audit.terms
    return model.Report(
        schema_version=model.SCHEMA_VERSION,
        tool=model.Tool(
            name="smforge",
            version=__version__,
            backend=audit.reading.backend.value,
            cuobjdump=audit.reading.cuobjdump_version,
        ),
        subject=model.Subject(
            kind=subject.kind.value,
            name=subject.name,
            digest=subject.digest,
            platform=subject.platform,
        ),
        question=model.Question(
            requirements=tuple(str(terms.requirements).split()),
            driver=None if terms.driver is None else str(terms.driver),
            native_only=terms.native_only,
        ),
        counted="kernels" if verdict.names_read else "regions",
        files=tuple(_file(file, verdict, kernels=kernels) for file in verdict.files),
        devices={str(one.device): _device(one, verdict) for one in verdict.devices},
        comparison=_comparison(audit),
        findings=tuple(_finding(finding) for finding in verdict.findings),
        exempted=tuple(_exempted(use) for use in verdict.exceptions),
        verdict=verdict.outcome.value,
    )


def to_json(report: model.Report) -> str:
    """Write a report as JSON; what was not asked for (kernels, sources) is left out."""
    return report.model_dump_json(indent=2, exclude_unset=True)


def _file(file: FileVerdict, verdict: Verdict, *, kernels: bool) -> model.File:
    found = file.file
    counted = counted_regions(found)
    fields: dict[str, Any] = {
        "path": found.path,
        "sha256": found.sha256,
        "size": found.size,
        "toolkit": _toolkit(counted),
        "objects": _objects(r for r in counted if r.origin is not Origin.EMBEDDED),
        "devices": {
            str(device): _tally(tally, named=verdict.names_read)
            for device, tally in file.tallies.items()
        },
    }
    # By identity: comparing thousands of regions with one another takes minutes.
    kept = {id(region) for region in counted}
    linker_input = [region for region in found.regions if id(region) not in kept]
    optional: dict[str, Callable[[], tuple[Any, ...]]] = {
        "relocatable": lambda: _objects(linker_input),
        "unseen": lambda: _objects(r for r in counted if r.origin is Origin.EMBEDDED),
        "sources": lambda: tuple(sorted({r.source for r in counted if r.source})),
        "kernels": lambda: _kernels(file) if kernels and verdict.names_read else (),
    }
    for name, make in optional.items():
        if value := make():
            fields[name] = value
    return model.File(**fields)


def _toolkit(regions: Iterable[Region]) -> str | None:
    releases = {code.toolkit for region in regions for code in region.objects if code.toolkit}
    return max(releases, key=_version, default=None)


def _objects(regions: Iterable[Region]) -> tuple[model.Objects, ...]:
    grouped: dict[tuple[str, str], list[CodeObject]] = {}
    for region in regions:
        for code in region.objects:
            grouped.setdefault((code.kind.value, str(code.target)), []).append(code)
    return tuple(
        model.Objects.model_validate(
            {
                "kind": kind,
                "target": target,
                "ptx_isa": max((c.ptx_isa for c in codes if c.ptx_isa), key=_version, default=None),
                "count": len(codes),
                "bytes": sum(code.stored_bytes for code in codes),
                "kernels": _kernel_count(codes),
            }
        )
        for (kind, target), codes in sorted(grouped.items(), key=lambda item: _order(item[1][0]))
    )


def _order(code: CodeObject) -> tuple[str, Any]:
    return code.kind.value, code.target


def _kernel_count(codes: Iterable[CodeObject]) -> int | None:
    counts = [len(code.kernels) for code in codes if code.kernels is not None]
    return sum(counts) if counts else None


def _kernels(file: FileVerdict) -> tuple[model.Kernel, ...]:
    listed = []
    for group in file.groups:
        common: dict[str, Any] = {
            "targets": tuple(str(target) for target in sorted(group.embedded.cubins))
        }
        if group.embedded.ptx:
            ptx = sorted({one.target for one in group.embedded.ptx})
            common["ptx"] = tuple(str(target) for target in ptx)
        for name in group.names:
            exempt = {"exempt": True} if name in file.exempt else {}
            listed.append(model.Kernel(name=name, demangled=demangle(name), **common, **exempt))
    return tuple(sorted(listed, key=lambda kernel: (kernel.demangled, kernel.name)))


@lru_cache(maxsize=4096)
def _tally(tally: Tally, *, named: bool) -> model.Tally:
    # Cached: thousands of files share a handful of tallies.
    return model.Tally(**_counts(tally, named=named))


def _counts(tally: Tally, *, named: bool) -> dict[str, Any]:
    return {
        "kernels": tally.total if named else None,
        "native": tally.native,
        "ptx": tally.ptx,
        "foreign": tally.foreign,
        "missing": tally.missing,
        "exempt": tally.exempt,
    }


def _device(device: DeviceVerdict, verdict: Verdict) -> model.DeviceTally:
    return model.DeviceTally(
        **_counts(device.tally, named=verdict.names_read), verdict=device.outcome.value
    )


def _finding(finding: Finding) -> model.Finding:
    fields: dict[str, Any] = {"families": _families(finding.families)} if finding.families else {}
    return model.Finding(
        rule=finding.rule,
        level=finding.level.value,
        file=finding.file,
        device=None if finding.device is None else str(finding.device),
        target=None if finding.target is None else str(finding.target),
        message=finding.message,
        remedy=finding.remedy,
        **fields,
    )


def _families(families: Iterable[Family]) -> tuple[model.Family, ...]:
    return tuple(model.Family(name=one.name, count=one.count) for one in families)


def _exempted(use: ExceptionUse) -> model.Exempted:
    return model.Exempted(
        pattern=use.pattern,
        reason=use.reason,
        policy=use.policy,
        reference=use.reference,
        expires=use.expires,
        kernels=use.kernels,
        devices=tuple(str(device) for device in use.devices),
        families=_families(use.families),
    )


def _comparison(audit: Audit) -> model.Comparison | None:
    compared = audit.reading.comparison
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
