"""Compares the arch lists that upstream's own files default to.

vLLM's Dockerfile, its bake file, its versions.json and its FlashInfer script each have a list of
their own (data/upstream_lists.json). Where they disagree, what a user gets depends on the way of
building.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.devices import current_devices
from smforge.arch.target import ComputeCapability, Target
from smforge.errors import ArchitectureError
from smforge.findings import Finding, Level, Location
from smforge.preflight.probe import torch_flags
from smforge.preflight.records import UpstreamList

_DATA = Path(__file__).parent / "data" / "upstream_lists.json"
_WEIGHT = (Level.ERROR, Level.WARNING, Level.NOTE)
_BRANCH = re.compile(r"^\s*(?:(?:el)?if \[\[ .*CUDA_VERSION.* == (?P<glob>\S+) \]\]|else\b)")


def read_lists(root: Path, cuda: str) -> tuple[UpstreamList, ...]:
    """The lists that a tree's files default to when built with a toolkit; each place once."""
    found: list[UpstreamList] = []
    for place in _table()["places"]:
        file = root / place["file"]
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            found += [
                UpstreamList(
                    place["component"],
                    archs,
                    Location(place["file"], line),
                    place["who"],
                    Level(place["level"]),
                )
                for archs, line in _read(place, text, cuda)
            ]
    seen: dict[tuple[str, str, str], UpstreamList] = {}
    for one in found:
        seen.setdefault((one.component, one.location.file, one.archs), one)
    return tuple(seen.values())


def disagreements(lists: Iterable[UpstreamList]) -> tuple[Finding, ...]:
    """What each list of a component leaves out that its first list covers, and the reverse."""
    firsts: dict[str, UpstreamList] = {}
    findings: list[Finding] = []
    for one in lists:
        # FlashInfer and DeepEP are parts of what the Dockerfile builds for its list.
        first = firsts.setdefault("vllm" if "vllm" in firsts else one.component, one)
        if one is not first:
            findings += _compare(first, one)
    return tuple(findings)


def _compare(first: UpstreamList, other: UpstreamList) -> Iterator[Finding]:
    ours, theirs = _targets(first.archs), _targets(other.archs)
    if ours is None or theirs is None:
        return
    for left, right, more, less in ((ours, theirs, first, other), (theirs, ours, other, first)):
        devices = [
            device
            for device in current_devices()
            if _covered(device, left) and not _covered(device, right)
        ]
        if devices:
            names = ", ".join(str(device) for device in devices)
            yield Finding(
                rule="upstream-lists-disagree",
                level=max(more.level, less.level, key=_WEIGHT.index),
                message=(
                    f"{more.location} ({more.archs!r}, for {more.component}) covers {names}; "
                    f"{less.location} ({less.archs!r}, for {less.component}) does not, and that "
                    f"is the list for {less.who}."
                ),
                remedy="Pass the list explicitly.",
                location=less.location,
            )


def _covered(device: ComputeCapability, targets: frozenset[Target]) -> bool:
    return any(cubin_runs_on(target, device) for target in targets)


def _targets(archs: str) -> frozenset[Target] | None:
    """The machine code of a list; None for a list that is not a literal one."""
    try:
        return frozenset(entry.target for entry in torch_flags.parse(archs))
    except ArchitectureError:
        return None


def _read(place: dict[str, Any], text: str, cuda: str) -> Iterator[tuple[str, int]]:
    """The lists of one place and the lines they stand in."""
    if place["kind"] == "cases":
        yield from _cases(text, place["variable"], cuda)
        return
    appended = re.findall(place["appended"], text) if "appended" in place else []
    for archs, line in _matches(text, place["pattern"]):
        yield " ".join((archs, *appended)), line


def _matches(text: str, pattern: str) -> Iterator[tuple[str, int]]:
    for match in re.finditer(pattern, text, re.MULTILINE):
        yield match.group(1), text.count("\n", 0, match.start(1)) + 1


def _cases(text: str, variable: str, cuda: str) -> Iterator[tuple[str, int]]:
    """The assignment in the branch of a shell script that a CUDA version takes."""
    assignment = re.compile(rf"^\s*{variable}=[\"']([^\"']+)[\"']")
    taken = False
    for number, line in enumerate(text.splitlines(), start=1):
        if branch := _BRANCH.match(line):
            glob = (branch["glob"] or "*").strip("\"'")
            taken = fnmatchcase(cuda, glob)
        elif taken and (match := assignment.match(line)):
            yield match.group(1), number
            return


@cache
def _table() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return content
