"""The packages that a subject has installed: Python distributions and Debian packages.

Formats: PyPA "Recording installed projects" (``NAME.dist-info/METADATA``); dpkg's status file, and
the ``status.d`` folder of images that are put together without dpkg.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.parser import Parser
from enum import StrEnum

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from smforge.errors import DamagedInputError
from smforge.inventory.subjects.base import OpenSubject
from smforge.inventory.subjects.members import Member

_METADATA = re.compile(r"(?:.*/)?[^/]+\.dist-info/METADATA\Z")
_STATUS = re.compile(r"var/lib/dpkg/(?:status|status\.d/[^/]+)\Z")
_INSTALLED = "install ok installed"
_MOST_BYTES = 64 << 20
"""A status file takes about 1 kB per package."""


class Ecosystem(StrEnum):
    """The ecosystem of a package's name."""

    PYPI = "pypi"
    DEBIAN = "deb"


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One installed package."""

    ecosystem: Ecosystem
    name: str
    """As its ecosystem writes it in canonical form."""
    version: str
    architecture: str = ""
    """Debian's; empty for Python distributions."""
    license: str = ""
    """An SPDX expression, where the package states one."""


def installed_packages(subject: OpenSubject) -> tuple[Package, ...]:
    """Go through a subject and list what is installed in it, sorted.

    Only what the subject finally shows counts. Raises `DamagedInputError` where the subject, or a
    package's own description, is not readable.
    """
    found: list[tuple[Member, tuple[Package, ...]]] = []
    for member in subject.members():
        reader = _reader_of(member.path)
        if reader is not None:
            found.append((member, tuple(reader(_text(member)))))
    seen = {package for member, group in found if subject.paths_of(member) for package in group}
    return tuple(sorted(seen))


def _reader_of(path: str) -> Callable[[str], Iterator[Package]] | None:
    if _METADATA.match(path):
        return _distribution
    return _debian_packages if _STATUS.match(path) else None


def _text(member: Member) -> str:
    if member.size > _MOST_BYTES:
        raise DamagedInputError(f"{member.path} has {member.size} bytes: it describes no packages.")
    with member.open() as blob:
        return blob.read_at(0, blob.size).decode("utf-8", "replace")


def _distribution(text: str) -> Iterator[Package]:
    fields = Parser().parsestr(text, headersonly=True)
    name, version = fields.get("Name"), fields.get("Version")
    if name and version:
        expression = _expression(fields.get("License-Expression", ""))
        yield Package(Ecosystem.PYPI, canonicalize_name(name), version, license=expression)


def _debian_packages(text: str) -> Iterator[Package]:
    for paragraph in re.split(r"\n{2,}", text):
        fields = Parser().parsestr(paragraph.strip("\n"), headersonly=True)
        name, version = fields.get("Package"), fields.get("Version")
        # Files of status.d state no status: they are there because the package is.
        if name and version and fields.get("Status", _INSTALLED) == _INSTALLED:
            yield Package(Ecosystem.DEBIAN, name, version, fields.get("Architecture", ""))


def _expression(text: str) -> str:
    try:
        return canonicalize_license_expression(text) if text else ""
    except InvalidLicenseExpression:
        return ""
