"""Refuse a Python environment that does not hold together, or that mixes CUDA's major versions.

usage: check_environment.py CUDA_TAG EXCEPTIONS.json

Every requirement of every installed distribution must be met, as `pip check` has it, save those
that EXCEPTIONS names with a reason. No distribution may be made for another major version of CUDA
than CUDA_TAG (``cu130``).
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ABSENT, OTHER_VERSION = "absent", "other version"
# nvidia-nccl-cu13, cupy-cuda13x, mooncake-transfer-engine-cuda13
_CUDA_NAME = re.compile(r"-(?:cu|cuda)(\d\d)(?:\d|x)?(?=-|$)")


@dataclass(frozen=True, slots=True)
class Broken:
    """A requirement that is not met."""

    distribution: str
    requirement: str
    state: str

    @property
    def name(self) -> str:
        """The distribution that is required."""
        return canonicalize_name(Requirement(self.requirement).name)


def broken_requirements(installed: Iterable[Distribution]) -> Iterator[Broken]:
    """The requirements among `installed` that none of them meets, extras included."""
    by_name = {canonicalize_name(one.name): one for one in installed}
    stated = {
        name: [Requirement(text) for text in one.requires or ()] for name, one in by_name.items()
    }
    extras = _extras_asked_for(stated.values())
    for name, requirements in sorted(stated.items()):
        for needed in requirements:
            if not _applies(needed, ("", *sorted(extras[name]))):
                continue
            there = by_name.get(canonicalize_name(needed.name))
            if there is None:
                yield Broken(name, str(needed), ABSENT)
            elif not needed.specifier.contains(there.version, prereleases=True):
                yield Broken(name, str(needed), OTHER_VERSION)


def other_cuda(names: Iterable[str], major: str) -> list[str]:
    """The distributions whose names say that they are for another CUDA than `major`."""
    found = ((name, _CUDA_NAME.search(canonicalize_name(name))) for name in names)
    return sorted(name for name, match in found if match and match[1] != major)


def _extras_asked_for(stated: Iterable[list[Requirement]]) -> Mapping[str, set[str]]:
    """By distribution; what only an extra of another one asks for is left out."""
    asked: dict[str, set[str]] = defaultdict(set)
    for requirements in stated:
        for needed in requirements:
            if needed.extras and _applies(needed, ("",)):
                asked[canonicalize_name(needed.name)] |= needed.extras
    return asked


def _applies(needed: Requirement, extras: Iterable[str]) -> bool:
    return needed.marker is None or any(needed.marker.evaluate({"extra": one}) for one in extras)


def main(cuda_tag: str, exceptions: Path) -> int:
    """Say what is wrong; 1 when anything is."""
    installed = list(distributions())
    excused = {
        (row["requirement"], row["state"]): row["reason"]
        for row in json.loads(exceptions.read_text(encoding="utf-8"))["exceptions"]
    }
    wrong = 0
    for broken in broken_requirements(installed):
        said = f"{broken.distribution} requires {broken.requirement}: {broken.state}"
        reason = excused.get((broken.name, broken.state))
        print(f"{said}. {f'Let pass: {reason}' if reason else 'This is not among the exceptions.'}")
        wrong += reason is None
    major = cuda_tag.removeprefix("cu")[:2]
    for name in other_cuda((one.name for one in installed), major):
        print(f"{name} is made for another CUDA than {major}, and nothing of it may be here.")
        wrong += 1
    print(f"{len(installed)} distributions, {wrong} of their requirements broken without a reason")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
