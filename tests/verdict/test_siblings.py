"""Kernels for relatives of a device alone, in vLLM's own wheels (data/vllm-*.json)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.inventory.records import FileInventory, Inventory
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.request import AuditRequest

DATA = Path(__file__).parent / "data"
RELEASES = {
    "0.19.0": "vllm-0.19.0-cp38-abi3-manylinux_2_31_x86_64",
    "0.20.0": "vllm-0.20.0-cp38-abi3-manylinux_2_35_x86_64",
}


@pytest.mark.parametrize(
    ("release", "device", "kernels"),
    # docs/findings.md: NVFP4 and FP8 GEMMs of 0.19.0 are sm_120a and sm_100a, of 0.20.0 f code.
    [("0.19.0", "12.1", 92), ("0.19.0", "10.3", 188), ("0.20.0", "12.1", 0), ("0.20.0", "10.3", 0)],
)
def test_the_kernels_that_a_relative_has_and_the_device_has_not_are_counted(
    make_file: Callable[..., FileInventory],
    make_inventory: Callable[..., Inventory],
    release: str,
    device: str,
    kernels: int,
) -> None:
    record = json.loads((DATA / f"{RELEASES[release]}.json").read_text())
    files = [
        make_file(path, *(unit_of(number, group) for number, group in enumerate(groups)))
        for path, groups in record["files"].items()
    ]
    verdict = judge(Reading(make_inventory(*files)), AuditRequest(parse_requirements([device])))
    found = [one for one in verdict.findings if one.rule == "device-sibling"]
    assert sum(family.count for one in found for family in one.families) == kernels


def unit_of(number: int, group: dict[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """A translation unit with kernels embedded as a recorded group's are."""
    names = tuple(f"k{number}_{i}" for i in range(int(str(group["kernels"]))))
    cubins = [f"sm_{text.replace('.', '')}" for text in group.get("cubins", [])]
    ptx = [f"compute_{text.replace('.', '', 1)}" for text in group.get("ptx", [])]
    return tuple((code, names) for code in (*cubins, *ptx))
