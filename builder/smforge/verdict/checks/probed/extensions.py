"""Do the libraries that are linked with CUDA or torch load?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate
from functools import cache

from smforge.findings import Finding, Level
from smforge.inventory.probing.records import ExtensionNotes, Extensions, Item
from smforge.verdict.checks.probed.wording import brief, counted, is_late, listed, path_in_subject
from smforge.verdict.data import table
from smforge.verdict.names import demangle
from smforge.verdict.rules import EXTENSION_NEEDS_DRIVER, EXTENSION_NOT_LOADABLE, EXTENSION_UNUSED
from smforge.verdict.views.subject import SubjectView

_DRIVER = "driver"
_SYSTEM = "version"
"""The system's own libraries are too old; the program that loads a library cannot change that."""
_REMEDIES = {
    "library": "Install the package that brings {name}, or put its folder on the loader's path.",
    "symbol": "Build it against the torch and CUDA that are installed, or install those that it "
    "was built against.",
    "version": "Build it on an older system, or take a base image that has {name}.",
}


def check_extensions(subject: SubjectView, document: Extensions) -> Iterator[Finding]:
    """Libraries that cannot be loaded, and those that could not be examined to the end."""
    if document.settings.torch is not None and document.packages.get("torch"):
        yield EXTENSION_NOT_LOADABLE.finding(
            f"torch {document.packages['torch']} is installed and cannot be imported: "
            f"{brief(document.settings.torch)}.",
            file="torch/__init__.py",
            remedy="Repair torch first: extensions that need torch cannot be loaded without it.",
        )
    unexamined, with_stand_in = [], []
    set_aside: dict[str, list[str]] = {}
    chosen = set()
    for item in document.items:
        path = path_in_subject(item.item, subject.inventory.files)
        kind = _kind(item)
        if is_late(item.ended):
            continue
        if kind == _DRIVER:
            unexamined.append(path)
        elif not item.is_well and (reason := _reason_to_set_aside(path)):
            set_aside.setdefault(reason, []).append(path)
        elif not item.is_well:
            yield _refused(item, path, kind)
        else:
            chosen.add(_reason_to_set_aside(path))
            if item.notes.without_driver is not None:
                with_stand_in.append(path)
    yield from _about_driver(unexamined, with_stand_in)
    for reason, paths in set_aside.items():
        number = counted(len(paths), "library does not load", "libraries do not load")
        served = reason in chosen
        yield EXTENSION_UNUSED.finding(
            f"{number}. This does no harm: {reason} ({listed(paths)})."
            if served
            else f"{number}: {reason}, and none of the builds loads here ({listed(paths)}).",
            level=Level.NOTE if served else Level.WARNING,
        )


def _reason_to_set_aside(path: str) -> str | None:
    rows = table("probes")["set_aside"]
    return next((row["reason"] for row in rows if _pattern(row["file"]).match(path)), None)


def _refused(item: Item[ExtensionNotes], path: str, kind: str | None) -> Finding:
    message = item.failure[0].message if item.failure else f"it ends the process with {item.ended}"
    name = _name(message)
    told = {
        "library": f"the library {name} is not found",
        "symbol": f"the symbol {demangle(name)} is not resolved",
        "version": f"{name} is newer than this system's",
    }.get(kind or "", brief(message))
    if not item.notes.module and kind != _SYSTEM:
        return EXTENSION_NOT_LOADABLE.finding(
            f"{path} cannot be loaded by itself: {told}. Python does not import it; the program "
            "that loads it may bring that.",
            level=Level.WARNING,
            file=path,
        )
    return EXTENSION_NOT_LOADABLE.finding(
        f"{path} cannot be loaded: {told}.",
        file=path,
        remedy=_REMEDIES[kind].format(name=name) if kind in _REMEDIES else None,
    )


def _about_driver(unexamined: list[str], with_stand_in: list[str]) -> Iterator[Finding]:
    if unexamined:
        yield EXTENSION_NEEDS_DRIVER.finding(
            f"{counted(len(unexamined), 'library needs', 'libraries need')} what only a driver "
            "brings, and there is no stand-in for it. Whether anything else is unresolved was not "
            f"examined ({listed(unexamined)}).",
            level=Level.WARNING,
        )
    if with_stand_in:
        yield EXTENSION_NEEDS_DRIVER.finding(
            f"{counted(len(with_stand_in), 'library needs', 'libraries need')} the driver, "
            f"and can be loaded with a stand-in for it ({listed(with_stand_in)})."
        )


def _kind(item: Item[ExtensionNotes]) -> str | None:
    """Why a library does not load, as a key of data/probes.json; None if no key matches."""
    if not item.failure:
        return None
    message = item.failure[0].message
    return next((kind for kind, pattern in _loader() if pattern.search(message)), None)


def _name(message: str) -> str:
    for _, pattern in _loader():
        if (match := pattern.search(message)) and "name" in pattern.groupindex:
            return match["name"]
    return ""


@cache
def _loader() -> tuple[tuple[str, re.Pattern[str]], ...]:
    rows = table("probes")["loader"]
    return tuple((row["kind"], re.compile(row["pattern"])) for row in rows)


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """A file pattern, which may begin at any folder of the path."""
    return re.compile(rf"(?s:.*/)?{translate(glob)}")
