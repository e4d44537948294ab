"""Takes a CUDA toolkit into a draft: its compiler wheels, and a torch that is published for it.

NVIDIA's distribution cuda-toolkit has no files of its own; what it requires says which wheels make
up a release.
"""

from __future__ import annotations

import re
from typing import Any

from packaging.version import InvalidVersion, Version

from smforge.arch import toolkits as known
from smforge.errors import ToolError, UsageError
from smforge.fetching.index import PackageIndex
from smforge.matrix.lookup import cuda_tag
from smforge.workflow.bumping.draft import Draft, Means
from smforge.workflow.bumping.releases import (
    files_of,
    find_release,
    looked_at,
    releases_of,
    requirements_of,
)
from smforge.workflow.bumping.torches import builds_in_index

_RELEASES = "cuda-toolkit"
"""The distribution whose requirements are a CUDA release."""
_TORCHES = 8
"""How many of the newest releases of torch are looked at."""
_PINNED = re.compile(r"==(?P<version>[0-9.]+?)(\.\*)?\Z")


def take_toolkit(draft: Draft, means: Means, wanted: str | None) -> None:
    """Add a CUDA release (``13.2``, ``13.2.2``), or renew one that is there; None is the newest.

    The bases are those of the nearest toolkit with bases from packages. Raises `UsageError` where
    no index has the release, a wheel of it, or a torch for it, and `ArchitectureError` where
    smforge has no table of its targets.
    """
    release = _release(means.index, wanted)
    cuda = ".".join(map(str, (*release.release, 0)[:3]))
    known.toolkit(cuda)
    name = ".".join(map(str, release.release[:2]))
    pins = _pins(means.index, str(release))
    if (there := draft.toolkits.get(name)) is not None:
        _renew(draft, means.index, name, there, cuda, pins)
        return
    like = _like(draft, release)
    bases = {
        key: base | {"packages": _packages(means.index, base["packages"], pins)}
        for key, base in draft.toolkits[like]["bases"].items()
        if "packages" in base
    }
    torch, build, builds = _torch(means, cuda)
    toolkit: dict[str, Any] = {"cuda": cuda, "torch": torch}
    if build != cuda_tag(cuda):
        toolkit["torch_build"] = build
        draft.remarks.append(
            f"No torch is published for CUDA {cuda}: the toolkit {name} compiles with torch "
            f"{torch} for {build}, whose libraries are older than the compiler. Load what is built "
            "with this torch before you ship it."
        )
    toolkit["bases"] = bases
    every = draft.toolkits | {name: toolkit}
    draft.content["toolkits"] = {key: every[key] for key in sorted(every, key=Version)}
    draft.content["torch_builds"].setdefault(torch, list(builds))
    draft.remarks.append(
        f"The toolkit {name} has the bases of {like}. No variant uses it yet: name it in one, and "
        "see smforge plan."
    )


def _release(index: PackageIndex, wanted: str | None) -> Version:
    releases = [one for one in releases_of(index, _RELEASES) if not one.is_prerelease]
    if wanted is None or not releases:
        return Version(find_release(index, _RELEASES, wanted))
    try:
        parts = Version(wanted).release
    except InvalidVersion:
        raise UsageError(f"{wanted!r} is no version.", remedy="Write it as 13.2.") from None
    matching = [one for one in releases if one.release[: len(parts)] == parts]
    if len(parts) < 2 or not matching:
        return Version(find_release(index, _RELEASES, wanted))
    return max(matching)


def _pins(index: PackageIndex, release: str) -> dict[str, str]:
    """Per distribution of a CUDA release the version that belongs to it."""
    wheel = next((one for one in files_of(index, _RELEASES, release) if _is_wheel(one.name)), None)
    if wheel is None:
        raise UsageError(
            f"The package index has no wheel of {_RELEASES} {release}. "
            f"{looked_at(index, _RELEASES)}"
        )
    found: dict[str, str] = {}
    for requirement in requirements_of(index, wheel):
        pinned = _PINNED.match(str(requirement.specifier))
        if pinned is not None:
            found.setdefault(requirement.name, pinned["version"])
    return found


def _packages(index: PackageIndex, before: dict[str, str], pins: dict[str, str]) -> dict[str, str]:
    """The wheels of a base; a tool that the release does not name is the newest there is."""
    return {name: _version(index, name, pins.get(name)) for name in before}


def _version(index: PackageIndex, name: str, pinned: str | None) -> str:
    if pinned is None:
        return find_release(index, name, None)
    parts = Version(pinned).release
    offered = [one for one in releases_of(index, name) if one.release[: len(parts)] == parts]
    return str(max(offered)) if offered else find_release(index, name, pinned)


def _renew(  # noqa: PLR0913, PLR0917 - what is renewed, and with what
    draft: Draft,
    index: PackageIndex,
    name: str,
    toolkit: dict[str, Any],
    cuda: str,
    pins: dict[str, str],
) -> None:
    """Give a toolkit another update of its release."""
    before = toolkit["cuda"]
    for key, base in toolkit["bases"].items():
        if "packages" in base:
            base["packages"] = _packages(index, base["packages"], pins)
        elif before != cuda and before in base["image"]:
            base["image"] = base["image"].replace(before, cuda)
            base["digest"] = None
            draft.remarks.append(
                f"toolkits.{name}.bases.{key}.image is now {base['image']}: no registry was asked "
                "whether it exists, and its digest is null."
            )
    toolkit["cuda"] = cuda


def _like(draft: Draft, release: Version) -> str:
    """The toolkit whose bases a new one gets: the nearest that has bases from packages."""
    having = [
        name
        for name, one in draft.toolkits.items()
        if any("packages" in base for base in one["bases"].values())
    ]
    if not having:
        raise UsageError(
            f"{draft.path} has no toolkit with a base from packages that a new one could be like.",
            remedy="Write such a base by hand first; 'smforge explain matrix' describes it.",
        )
    older = [name for name in having if Version(name) < release]
    return max(older, key=Version) if older else min(having, key=Version)


def _torch(means: Means, cuda: str) -> tuple[str, str, tuple[str, ...]]:
    """The newest torch that the index has for a CUDA release: version, build, and all its builds.

    Where there is none, it is one for the nearest earlier release of the same major version.
    """
    own = cuda_tag(cuda)
    newest = [one for one in releases_of(means.index, "torch") if not one.is_prerelease]
    usable: list[tuple[str, Version, tuple[str, ...]]] = []
    seen: list[str] = []
    for release in reversed(newest[-_TORCHES:]):
        means.announce(f"reading what torch {release} is built for")
        try:
            builds = builds_in_index(means.index, str(release))
        except ToolError:
            builds = ()
        seen.append(f"torch {release} is for {' and '.join(builds) or 'nothing that it names'}")
        usable += [(one, release, builds) for one in builds if one[:4] == own[:4] and one <= own]
        if own in builds:
            break
    if not usable:
        raise UsageError(
            f"The package index has no torch for CUDA {cuda} ({own}) or an earlier release of its "
            f"major version, and the components are built with one: {', '.join(seen)}. "
            f"{looked_at(means.index, 'torch')}",
            remedy="Choose a toolkit that a torch is published for, or name an index that has one.",
        )
    build, release, builds = max(usable)
    return str(release), build, builds


def _is_wheel(name: str) -> bool:
    return name.endswith(".whl")
