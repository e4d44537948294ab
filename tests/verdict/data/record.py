"""Records what wheels embed, small enough to keep: run it on wheels to renew the files beside it.

    python tests/verdict/data/record.py [--devices "9.0 11.0"] vllm-0.33.0-….whl …

A record holds, per file, the kernels by what they are embedded as. Of kernels that are missing on
a recorded device (or whose suffix is not known) each family stands with its count and its shortest
mangled name; the rest is only counted. Where a library has thousands of families, those whose names
begin alike stand as one. Kernels that no host code registers are marked.
The totals per device are those of an audit without exceptions.

A folder stands for a wheel that is installed there; it is recorded under its own name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smforge.arch.requirement import Requirements, parse_requirements
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Inventory
from smforge.verdict.audit import read
from smforge.verdict.judge import judge
from smforge.verdict.kernels import KernelGroup
from smforge.verdict.names import family
from smforge.verdict.reach import CANNOT_RUN, reach
from smforge.verdict.reading import Backend, Reading
from smforge.verdict.request import AuditRequest

MOST_FAMILIES = 100
ALIKE = 12
"""How many characters two names share that begin alike."""


def record(inventory: Inventory, required: Requirements) -> dict[str, Any]:
    """What is kept of an inventory, seen from the required devices."""
    verdict = judge(Reading(inventory), AuditRequest(required))
    loose = len(verdict.view.files) > 100
    groups: dict[str, dict[str, list[KernelGroup]]] = defaultdict(lambda: defaultdict(list))
    stand_ins: dict[tuple[str, str], str] = {}
    for file in verdict.view.files:
        for group in file.groups:
            key, path = _key(group), file.file.path
            if loose:
                path = stand_ins.setdefault((path.rpartition("/")[0], key), path)
            groups[path][key].append(group)
    return {
        "subject": inventory.subject.name,
        "digest": inventory.subject.digest,
        "devices": {
            str(one.device): {
                "native": one.tally.native,
                "ptx": one.tally.ptx,
                "foreign": one.tally.foreign,
                "missing": one.tally.missing,
                **({"unreachable": one.tally.unreachable} if one.tally.unreachable else {}),
            }
            for one in verdict.devices
        },
        "files": {
            path: [_group(several, required, loose=loose) for several in by_key.values()]
            for path, by_key in groups.items()
        },
    }


def _key(group: KernelGroup) -> str:
    unregistered = ("unregistered",) if group.embedded.unregistered else ()
    return " ".join((*group.embedded.names(), *unregistered))


def _group(several: list[KernelGroup], required: Requirements, *, loose: bool) -> dict[str, Any]:
    embedded = several[0].embedded
    names = [name for group in several for name in group.names]
    kept: dict[str, Any] = {
        "cubins": sorted(str(target) for target in embedded.cubins),
        "ptx": sorted(f"{one.target}@{one.isa}" for one in embedded.ptx),
        "kernels": len(names),
    }
    if embedded.unregistered:
        kept["unregistered"] = True
    if any(reach(embedded, device, None) in CANNOT_RUN for device in required.devices):
        kept["families"] = [(len(names), min(names, key=len))] if loose else _families(names)
    return {key: value for key, value in kept.items() if value}


def _families(names: Iterable[str]) -> list[tuple[int, str]]:
    shortest: dict[str, str] = {}
    counts: dict[str, int] = defaultdict(int)
    for name in names:
        folded = family(name)
        counts[folded] += 1
        if folded not in shortest or len(name) < len(shortest[folded]):
            shortest[folded] = name
    if len(shortest) > MOST_FAMILIES:
        return _beginnings(names)
    return [(counts[folded], shortest[folded]) for folded in shortest]


def _beginnings(names: Iterable[str]) -> list[tuple[int, str]]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[name[:ALIKE]].append(name)
    return [(len(several), min(several, key=len)) for several in alike.values()]


def _text(kept: dict[str, Any]) -> str:
    """The JSON with one group of kernels to a line."""
    files = ",\n".join(
        f"{json.dumps(path)}: [\n" + ",\n".join(json.dumps(one) for one in groups) + "\n]"
        for path, groups in kept["files"].items()
    )
    rest = {key: value for key, value in kept.items() if key != "files"}
    head = json.dumps(rest, indent=2).removesuffix("\n}")
    return f'{head},\n  "files": {{\n{files}\n}}}}\n'


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", default="11.0 12.0 12.1")
    parser.add_argument("wheels", nargs="+")
    arguments = parser.parse_args()
    devices = parse_requirements((arguments.devices,))
    for wheel in arguments.wheels:
        kept = record(read(wheel, Backend.NATIVE, ReadOptions()).inventory, devices)
        target = Path(__file__).parent / f"{Path(wheel).name.removesuffix('.whl')}.json"
        target.write_text(_text(kept), encoding="utf-8")
        sys.stdout.write(f"{target.name}: {target.stat().st_size} bytes\n")
