"""Compares the pins of the matrix with the requirements of the sources. Without effects.

vLLM's CMake names the commits of the projects that it fetches and the torch that it is built with;
its requirements name torch and FlashInfer. A matrix that says anything else builds another product.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from packaging.specifiers import SpecifierSet

from smforge.findings import Finding, Level, Location
from smforge.plan.records import Cell, PlannedComponent, PlannedExternal
from smforge.preflight.records import External, Preflight, Required

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def differences(cell: Cell, component: PlannedComponent, result: Preflight) -> Iterator[Finding]:
    """One finding per difference, with both sides; none where the sources stop the build anyway."""
    configuration = result.configuration
    if configuration.refusal is not None:
        return
    title = f"{component.name} {component.version}"
    yield from _requirements(cell, title, configuration.required)
    fetched = {one.name: one for one in configuration.fetched}
    pinned = {one.name: one for one in component.externals}
    for name, external in pinned.items():
        if name in fetched:
            yield from _external(title, external, fetched[name])
        else:
            yield _difference(
                f"versions.json pins {name} ({external.release or external.pin}), and {title} "
                "fetches no project of that name.",
                f"Take {name} out of sources.{component.name}.externals.",
            )
    if "extensions" not in component.settings:  # else only what they need is in the plan
        for name in fetched.keys() - pinned.keys():
            yield _unpinned(title, component, fetched[name])
    yield from _list(title, component, result)
    unseen = {one.name for one in configuration.not_examined}
    for name, external in pinned.items():
        if external.instead_of is not None and name in fetched.keys() - unseen:
            yield _examined_instead(external, fetched[name])


def _requirements(cell: Cell, title: str, required: tuple[Required, ...]) -> Iterator[Finding]:
    planned = dict(_planned(cell))
    told: set[str] = set()
    for one in required:
        if one.distribution not in planned or one.distribution in told:
            continue
        version, ours = planned[one.distribution]
        if not SpecifierSet(one.specifier).contains(version, prereleases=True):
            told.add(one.distribution)
            yield _difference(
                f"{ours}, and {title} requires {one.distribution}{one.specifier}.",
                "Take the version that the sources require, or the release that requires yours.",
                one.location,
            )


def _planned(cell: Cell) -> Iterator[tuple[str, tuple[str, str]]]:
    """Per distribution that is planned: its version, and where the matrix says so."""
    torch, cuda = cell.toolkit.torch, cell.toolkit.cuda
    yield "torch", (torch, f"versions.json has torch {torch} for CUDA {cuda}")
    if (flashinfer := cell.component("flashinfer")) is not None:
        yield (
            "flashinfer-python",
            (flashinfer.version, f"versions.json takes FlashInfer {flashinfer.version}"),
        )


def _external(title: str, ours: PlannedExternal, theirs: External) -> Iterator[Finding]:
    key = f"sources.vllm.externals.{ours.name}"
    if (
        ours.kind == "git"
        and theirs.repository
        and not same_repository(ours.location, theirs.repository)
    ):
        yield _difference(
            f"versions.json takes {ours.name} from {ours.location}, and {title} fetches it from "
            f"{theirs.repository}.",
            f"Correct {key}.url.",
            theirs.location,
        )
    wanted = theirs.revision
    if wanted is None:
        return
    if ours.holds and ours.instead_of is None:
        yield from _file(title, ours, theirs, wanted)
        return
    release = ours.release if ours.instead_of is None else ours.instead_of
    if wanted in {release, None if ours.instead_of else ours.pin}:
        return
    if release is None:
        yield _difference(
            f"versions.json has no tag for {ours.name}, so it cannot be held against {wanted}, "
            f"which {title} asks for.",
            f"Write the tag or the commit that it holds to {key}.",
            theirs.location,
            level=Level.WARNING,
        )
        return
    stand_in = f" ({ours.release} stands in for it)" if ours.instead_of else ""
    pin = ours.pin if _COMMIT.match(wanted) and ours.pin and not ours.instead_of else release
    yield _difference(
        f"versions.json pins {ours.name} to {pin}{stand_in}, and {title} asks for {wanted}.",
        f"Write {wanted} to {key}, or build the release that asks for {pin}.",
        theirs.location,
    )


def _file(title: str, ours: PlannedExternal, theirs: External, wanted: str) -> Iterator[Finding]:
    """The release that a file is said to hold. A tag and a commit cannot be compared."""
    if wanted in ours.holds:
        return
    is_commit = _COMMIT.match(wanted) is not None
    same = [one for one in ours.holds if (_COMMIT.match(one) is not None) == is_commit]
    key = f"sources.vllm.externals.{ours.name}"
    if same:
        yield _difference(
            f"versions.json says that {ours.location} holds {ours.name} at {same[0]}, and {title} "
            f"asks for {wanted}.",
            f"Name a file of {wanted} in {key}, or build the release that asks for {same[0]}.",
            theirs.location,
        )
        return
    kind = "commit" if is_commit else "tag"
    yield _difference(
        f"versions.json says that {ours.location} holds {ours.name} at {ours.holds[0]}, which "
        f"cannot be held against {wanted}, which {title} asks for.",
        f"Write the {kind} to {key} too.",
        theirs.location,
        level=Level.WARNING,
    )


def _examined_instead(ours: PlannedExternal, theirs: External) -> Finding:
    held = f" ({', '.join(ours.holds)})" if ours.holds else ""
    return Finding(
        rule="external-differs",
        level=Level.NOTE,
        message=f"{ours.name} is examined in {ours.release or ours.location}{held}, which stands "
        f"in for {ours.instead_of}.",
        remedy="What is said of its sources is true of the stand-in, which is what is compiled.",
        location=theirs.location,
    )


def _unpinned(title: str, component: PlannedComponent, theirs: External) -> Finding:
    return _difference(
        f"{title} fetches {theirs.name} ({theirs.revision}) from {theirs.repository}, and "
        "versions.json pins no such project: the build could not fetch it.",
        f"Add it to sources.{component.name}.externals.",
        theirs.location,
    )


def _list(title: str, component: PlannedComponent, result: Preflight) -> Iterator[Finding]:
    """The list as the plan reads it, and as the sources do (FlashInfer's releases differ)."""
    planned, read = dict.fromkeys(component.targets), dict.fromkeys(result.requested)
    if planned != read:
        yield _difference(
            f"The plan reads the list {' '.join(component.archs)} as "
            f"{' '.join(map(str, planned))}, and {title} reads it as {' '.join(map(str, read))}.",
            "Write every element with its suffix.",
        )


def same_repository(ours: str, theirs: str) -> bool:
    """Whether two URLs name one repository."""

    def plain(url: str) -> tuple[str, str]:
        parts = urlsplit(url.lower())
        return parts.netloc, parts.path.rstrip("/").removesuffix(".git")

    return plain(ours) == plain(theirs)


def _difference(
    message: str,
    remedy: str,
    location: Location | None = None,
    level: Level = Level.ERROR,
) -> Finding:
    return Finding(
        rule="pin-differs", level=level, message=message, remedy=remedy, location=location
    )
