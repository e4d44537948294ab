"""The release of a distribution in the package index, and its files in place of those of another.

Sources of the formats: file names of wheels (PEP 427, 425) and of source archives (PEP 625).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from smforge.errors import ToolError, UsageError
from smforge.fetching.index import IndexFile, PackageIndex

_NEAR = 2
"""How many releases before and after the one that does not exist are named."""


def find_release(index: PackageIndex, distribution: str, wanted: str | None) -> str:
    """The version of a release, as its files have it: `wanted`, or the newest where it is None.

    Raises `UsageError` for a release that does not exist, with what was looked at and the nearest
    releases, and `ToolError` where the index has no such distribution or does not answer.
    """
    releases = releases_of(index, distribution)
    if not releases:
        raise ToolError(
            f"The package index has no {distribution}, or does not answer. "
            f"{looked_at(index, distribution)}",
            remedy="Check pip's index settings: pip config list.",
        )
    if wanted is None:
        return str(max((one for one in releases if not one.is_prerelease), default=releases[-1]))
    try:
        version = Version(wanted)
    except InvalidVersion:
        raise UsageError(
            f"{wanted!r} is no version.", remedy=f"The newest {distribution} is {releases[-1]}."
        ) from None
    if version not in releases:
        raise UsageError(
            f"The package index has no {distribution} {wanted}. {looked_at(index, distribution)}",
            remedy=f"The nearest releases are {_nearest(releases, version)}.",
        )
    return str(version)


def releases_of(index: PackageIndex, distribution: str) -> list[Version]:
    """The releases of a distribution that were not withdrawn, the oldest first."""
    files = index.files(distribution)
    return sorted({Version(one.version.public) for one in files if not one.yanked})


def looked_at(index: PackageIndex, distribution: str) -> str:
    """A sentence that says where a distribution was looked for."""
    return f"Looked at: {', '.join(index.places(distribution))}."


def files_of(index: PackageIndex, distribution: str, version: str) -> tuple[IndexFile, ...]:
    """The files of a release."""
    return tuple(one for one in index.files(distribution) if str(one.version) == version)


def requirements_of(index: PackageIndex, wheel: IndexFile) -> Iterator[Requirement]:
    """What a wheel requires; a line that is no requirement is left out, as old releases have it."""
    for text in index.requirements_of(wheel):
        with contextlib.suppress(InvalidRequirement):
            yield Requirement(text)


def files_like(
    index: PackageIndex, distribution: str, version: str, before: Iterable[str]
) -> dict[str, str]:
    """The files of a release that take the place of others, with their SHA-256, in their order.

    `before` are the names of the release that a matrix has. A wheel is replaced by one with the
    same tags, else by one for the same Python and CPU, else by one for the same CPU that runs on
    any Python 3. Raises `UsageError` where the release has nothing in the place of one.
    """
    offered = files_of(index, distribution, version)
    found: dict[str, str] = {}
    for name in before:
        file = next(_in_place_of(name, offered), None)
        if file is None:
            there = ", ".join(one.name for one in offered)
            raise UsageError(
                f"{distribution} {version} has no file in the place of {name}: the package index "
                f"has {there}.",
                remedy=f"Take {name} out of versions.json first, or choose another release.",
            )
        found[file.name] = index.sha256_of(file)
    return found


def _in_place_of(name: str, offered: Sequence[IndexFile]) -> Iterator[IndexFile]:
    """The files that can take the place of one, the most like it first."""
    if not name.endswith(".whl"):
        yield from (one for one in offered if not one.name.endswith(".whl"))
        return
    python, abi, platform = _tags(name)
    wheels = [(one, *_tags(one.name)) for one in offered if one.name.endswith(".whl")]
    same_cpu = [row for row in wheels if _cpu(row[3]) == _cpu(platform)]
    yield from (row[0] for row in wheels if row[1:] == (python, abi, platform))
    yield from (row[0] for row in same_cpu if row[1:3] == (python, abi))
    yield from (row[0] for row in same_cpu if row[2] == "abi3" or row[1] == "py3")


def _tags(wheel: str) -> tuple[str, str, str]:
    python, abi, platform = wheel.removesuffix(".whl").split("-")[-3:]
    return python, abi, platform


def _cpu(platform: str) -> str:
    """``linux x86_64`` for every manylinux and musllinux tag of that CPU."""
    kind = "linux" if "manylinux" in platform else platform.partition("_")[0]
    cpu = next((one for one in ("x86_64", "aarch64", "arm64", "amd64") if one in platform), "any")
    return f"{kind} {cpu}"


def _nearest(releases: Sequence[Version], wanted: Version) -> str:
    below = [one for one in releases if one < wanted][-_NEAR:]
    above = [one for one in releases if one > wanted][:_NEAR]
    near = ", ".join(str(one) for one in (*below, *above))
    return near if releases[-1] in (*below, *above) else f"{near}; the newest is {releases[-1]}"
