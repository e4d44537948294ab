"""A policy file to start from: what an audit found missing, each entry still without a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from glob import escape
from itertools import takewhile
from typing import Any

from smforge.arch.target import ComputeCapability, Target
from smforge.verdict.names import demangle, family
from smforge.verdict.reach import EXCUSABLE, Reach
from smforge.verdict.records import Verdict

_HEAD = """\
# Written by smforge audit --write-policy. An entry without a reason is refused when the file is
# read: write why the kernels may be missing, or delete the entry and build them. Narrow the
# patterns where they cover more than the reason does. 'smforge explain policies' describes every
# key.

"""
_Key = tuple[str, str, tuple[Target, ...], str]
"""A file, a family of kernels, all that they are embedded for, and the state."""


def policy_draft(verdicts: Sequence[Verdict]) -> str | None:
    """The policy, in TOML, that would excuse all that the audits found; None where that is nothing.

    One entry holds the kernels of one family in one file that are embedded for the same targets,
    with every required device that they do not reach. Its reason is empty, so the file is refused
    until a reason is written.
    """
    import tomli_w  # noqa: PLC0415  # defers tomli_w

    found: dict[_Key, tuple[set[ComputeCapability], set[str]]] = defaultdict(lambda: (set(), set()))
    for verdict in verdicts:
        for key, device, kernel in _lacking(verdict):
            devices, kernels = found[key]
            devices.add(device)
            kernels.add(kernel)
    if not found:
        return None
    entries = [_entry(key, *found[key]) for key in sorted(found)]
    document = {"schema_version": 1, "name": "", "allow": entries}
    return _HEAD + tomli_w.dumps(document)


def _lacking(verdict: Verdict) -> Iterator[tuple[_Key, ComputeCapability, str]]:
    """Every kernel that does not reach a required device, as far as a policy can excuse it."""
    request = verdict.view.request
    for state, reaches in EXCUSABLE.items():
        # Kernels that run from PTX need an excuse only if PTX does not count.
        wanted = [how for how in reaches if how is not Reach.PTX or request.native_only]
        for file in verdict.view.files:
            for device in request.requirements.devices:
                for name, embedded in file.devices[device].kernels(*wanted):
                    targets = tuple(sorted(embedded.targets))
                    yield (file.file.path, family(name), targets, state), device, name


def _entry(key: _Key, devices: set[ComputeCapability], kernels: set[str]) -> dict[str, Any]:
    path, _, targets, state = key
    return {
        "kernel": _pattern(kernels),
        "file": escape(path),
        "devices": [str(device) for device in sorted(devices)],
        "targets": [str(target) for target in targets],
        "states": [state],
        "reason": "",
    }


def _pattern(kernels: set[str]) -> str:
    """A shell pattern over the C++ names that matches all of these kernels."""
    names = sorted(map(demangle, kernels))
    if len(names) == 1:
        return escape(names[0])
    # Of sorted names the first and the last differ the most.
    pairs = zip(names[0], names[-1], strict=False)
    return escape("".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))) + "*"
