"""Refuse connectors that would bring another CUDA major version than the variant's.

usage: cuda_majors.py CUDA_TAG wheels FILE…   what each wheel requires, and what its libraries need
       cuda_majors.py CUDA_TAG lock FILE      what a resolved list of requirements names

A process that loads the CUDA runtimes of two major versions has two runtimes, each with streams,
allocations and error states of its own; an installation with both is how images get there.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "cuda.json").read_text("utf-8"))
_MARKED = re.compile(r"-cu(?:da)?-?(1\d)\d?x?$")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
# auditwheel puts a hash into the names of the libraries that it copies into a wheel.
_SONAME = re.compile(r"(lib[A-Za-z]+)(?:-[0-9a-f]{8})?\.so\.(\d+)(?:\.|$)")


def major_of_tag(tag: str) -> str:
    """``13`` for ``cu130``."""
    return tag.removeprefix("cu")[:-1]


def major_in_name(distribution: str) -> str | None:
    """The major version that a distribution's name says: ``12`` for nixl-cu12 and cupy-cuda12x."""
    found = _MARKED.search(canonicalize_name(distribution))
    return found[1] if found else None


def major_of_pin(distribution: str, version: str) -> str | None:
    """The major version of a distribution in one version, or None where neither tells."""
    if canonicalize_name(distribution) in _TABLE["distributions_numbered_by_cuda_major"]:
        return str(Version(version).major)
    return major_in_name(distribution)


def major_of_library(soname: str) -> str | None:
    """The major version of a CUDA library by its soname, or None for any other library."""
    found = _SONAME.match(soname)
    if found is None or found[1] not in _TABLE["sonames_numbered_by_cuda_major"]:
        return None
    return found[2]


def needs_of(wheel: Path) -> Iterator[tuple[str, str]]:
    """What says a CUDA major version in a wheel: the major, and the words that say so.

    What the libraries need comes first: it is what fails. A wheel that cannot be read ends the
    program: nothing found in it would mean nothing.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = sorted(archive.namelist())
            (metadata,) = (name for name in names if _METADATA.fullmatch(name))
            for name in names:
                with archive.open(name) as member:
                    if member.read(4) == b"\x7fELF":
                        yield from _from_library(name, archive.read(name))
            yield from _from_metadata(archive.read(metadata).decode("utf-8"))
    except (zipfile.BadZipFile, zlib.error, ValueError) as error:
        raise SystemExit(f"error: {wheel.name} cannot be read as a wheel: {error}") from error


def _from_metadata(text: str) -> Iterator[tuple[str, str]]:
    fields = HeaderParser().parsestr(text)
    if own := major_in_name(fields["Name"]):
        yield own, f"is made for CUDA {own}"
    for line in fields.get_all("Requires-Dist") or ():
        requirement = Requirement(line)
        # Without the extras, which nobody has asked for.
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if major := major_in_name(requirement.name):
            yield major, f"requires {requirement.name} (CUDA {major})"


def _from_library(name: str, content: bytes) -> Iterator[tuple[str, str]]:
    try:
        segments = ELFFile(io.BytesIO(content)).iter_segments("PT_DYNAMIC")
        sonames = [tag.needed for one in segments for tag in one.iter_tags("DT_NEEDED")]
    except (ELFError, ValueError, AttributeError, OverflowError) as error:
        raise SystemExit(f"error: {name} cannot be read as an ELF library: {error}") from error
    for soname in sonames:
        if major := major_of_library(soname):
            yield major, f"needs {soname} (CUDA {major}) in {name}"


def refusals_of_wheels(tag: str, wheels: list[Path]) -> Iterator[str]:
    """A sentence for each wheel that would bring another major version than that of `tag`."""
    wanted = major_of_tag(tag)
    for wheel in wheels:
        distribution, version, *_ = wheel.name.split("-")
        other = next((words for major, words in needs_of(wheel) if major != wanted), None)
        if other is not None:
            yield (
                f"{canonicalize_name(distribution)} {version} {other}; this variant is for CUDA "
                f"{wanted} ({tag}). Name its build for CUDA {wanted} in versions.json."
            )


def refusals_of_lock(tag: str, lock: str) -> Iterator[str]:
    """A sentence for each pin of a lock that belongs to another major version."""
    wanted = major_of_tag(tag)
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", lock, re.MULTILINE):
        major = major_of_pin(name, version)
        if major not in (None, wanted):
            yield (
                f"The connectors resolve to {name} {version}, which belongs to CUDA {major}; this "
                f"variant is for CUDA {wanted} ({tag})."
            )


def main(tag: str, kind: str, *files: str) -> None:
    """Report every refusal, and fail when there is one."""
    if kind == "wheels":
        refusals = list(refusals_of_wheels(tag, sorted(map(Path, files))))
    else:
        refusals = list(refusals_of_lock(tag, Path(files[0]).read_text("utf-8")))
    for refusal in refusals:
        print(f"error: {refusal}", file=sys.stderr)
    if refusals:
        raise SystemExit(1)
    print(f"{len(files)} {kind}: nothing of another CUDA than {major_of_tag(tag)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
