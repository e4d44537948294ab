"""The preflight report as JSON (docs/preflight.md; schema in data/preflight.schema.json)."""

from __future__ import annotations

import json
from typing import Any

from smforge.arch.target import ComputeCapability
from smforge.findings import Finding, Tally
from smforge.preflight.records import Configuration, External, Preflight, Skip, Unit
from smforge.version import __version__

SCHEMA_VERSION = 1


def preflight_document(preflight: Preflight) -> dict[str, Any]:
    """Everything that a preflight found, ready for `json.dumps`."""
    configuration = preflight.configuration
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "smforge", "version": __version__},
        "source": {
            "name": preflight.source.name,
            "version": preflight.source.version,
            "digest": preflight.source.digest,
        },
        "cuda": configuration.cuda,
        "torch": configuration.torch,
        "requested": [str(target) for target in preflight.requested],
        "collapsed": [
            {"target": str(one.target), "compiled_as": [str(each) for each in one.compiled_as]}
            for one in preflight.collapsed
        ],
        "baselines": [_baseline(one) for one in preflight.baselines],
        "units": _units(preflight),
        "skipped": [_skip(one) for one in configuration.skips],
        "host_only": list(configuration.host_only),
        "not_examined": [_external(one) for one in configuration.not_examined],
        "devices": {
            str(device): {
                **_tally(tally),
                "required": device in preflight.required,
                "compared_with": list(preflight.compared_with.get(device, ())),
            }
            for device, tally in sorted(preflight.devices.items())
        },
        "upstream_lists": [
            {"component": one.component, "archs": one.archs, "location": str(one.location)}
            for one in preflight.upstream_lists
        ],
        "findings": [_finding(one) for one in preflight.findings],
        "verdict": preflight.outcome.value,
    }


def render_json(preflight: Preflight) -> str:
    """The report as text."""
    return json.dumps(preflight_document(preflight), indent=2) + "\n"


def _baseline(configuration: Configuration) -> dict[str, Any]:
    return {
        "archs": configuration.archs,
        "units": len(configuration.units),
        "refused": None if configuration.refusal is None else configuration.refusal.message,
    }


def _units(preflight: Preflight) -> list[dict[str, Any]]:
    """One row per source and build, since each build compiles it anew."""
    if not preflight.builds:
        return [_unit(one) for one in preflight.configuration.units]
    return [{"build": part.build, **_unit(one)} for part in preflight.builds for one in part.units]


def _unit(unit: Unit) -> dict[str, Any]:
    return {
        "extension": unit.extension,
        "source": unit.source,
        "targets": [str(one) for one in unit.targets],
        "ptx": [str(one) for one in unit.ptx],
        "gencode": list(unit.gencode),
        "location": None if unit.location is None else str(unit.location),
    }


def _skip(skip: Skip) -> dict[str, Any]:
    return {"message": skip.message, "location": str(skip.location)}


def _external(external: External) -> dict[str, Any]:
    return {
        "name": external.name,
        "repository": external.repository,
        "revision": external.revision,
        "location": str(external.location),
        "named_sources": external.named_sources,
        "problem": external.problem,
    }


def _tally(tally: Tally) -> dict[str, int]:
    return {
        "native": tally.native,
        "ptx": tally.ptx,
        "foreign": tally.foreign,
        "missing": tally.missing,
    }


def _devices(finding: Finding) -> tuple[ComputeCapability, ...]:
    if finding.devices or finding.device is None:
        return finding.devices
    return (finding.device,)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "level": finding.level.value,
        "file": None if finding.location is None else finding.location.file,
        "line": None if finding.location is None else finding.location.line,
        "device": None if finding.device is None else str(finding.device),
        "devices": [str(one) for one in _devices(finding)],
        "target": None if finding.target is None else str(finding.target),
        "message": finding.message,
        "remedy": finding.remedy,
        "sources": list(finding.sources),
        "allowed": finding.excused,
    }
