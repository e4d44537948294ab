"""The bill of materials of an image, as SPDX 2.3 in JSON.

Format: SPDX specification 2.3, clauses 6 to 11; package URLs: purl-spec, types ``pypi`` and
``deb``. The document depends on the image alone, so one image has one bill of materials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_version

from smforge.inventory.subjects.packages import Ecosystem, Package
from smforge.version import __version__

_UNKNOWN = "NOASSERTION"
_DOCUMENT = "SPDXRef-DOCUMENT"
_IMAGE = "SPDXRef-Image"


@dataclass(frozen=True, slots=True)
class Described:
    """The subject of a bill of materials."""

    name: str
    digest: str
    """``sha256:…`` of the image's manifest."""
    created: str
    """A moment, as RFC 3339 has it, in UTC."""
    packages: Sequence[Package]
    wheels: Mapping[tuple[str, str], str]
    """The sha256 of the wheels that were installed, by canonical name and version, as far as it is
    known."""


def document(described: Described) -> dict[str, Any]:
    """The whole SPDX document."""
    packages = {_identifier(package): package for package in described.packages}
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": described.name,
        "documentNamespace": f"urn:smforge:spdx:{described.digest}",
        "creationInfo": {
            "created": described.created,
            "creators": [f"Tool: smforge-{__version__}"],
        },
        "packages": [
            _image(described),
            *(
                _entry(identifier, package, described.wheels)
                for identifier, package in packages.items()
            ),
        ],
        "relationships": [
            _relationship(_DOCUMENT, "DESCRIBES", _IMAGE),
            *(_relationship(_IMAGE, "CONTAINS", identifier) for identifier in packages),
        ],
    }


def purl(package: Package) -> str:
    """The package URL of an installed package."""
    version = quote(package.version, safe="")
    if package.ecosystem is Ecosystem.PYPI:
        return f"pkg:pypi/{package.name}@{version}"
    suffix = f"?arch={quote(package.architecture)}" if package.architecture else ""
    return f"pkg:deb/debian/{quote(package.name)}@{version}{suffix}"


def _image(described: Described) -> dict[str, Any]:
    algorithm, _, encoded = described.digest.partition(":")
    return {
        "SPDXID": _IMAGE,
        "name": described.name,
        "versionInfo": described.digest,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": algorithm.upper(), "checksumValue": encoded}],
    }


def _entry(
    identifier: str, package: Package, wheels: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "SPDXID": identifier,
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseDeclared": package.license or _UNKNOWN,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl(package),
            }
        ],
    }
    if package.ecosystem is Ecosystem.PYPI:
        sha256 = wheels.get((package.name, canonical_version(package.version)))
        if sha256 is not None:
            entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    return entry


def canonical_version(version: str) -> str:
    """A version as wheel names have it."""
    return canonicalize_version(version, strip_trailing_zero=False)


def _identifier(package: Package) -> str:
    """A reference of letters, digits, dots and hyphens; the hash keeps it unique."""
    kind = package.ecosystem.value
    words = "".join(char if char.isascii() and char.isalnum() else "-" for char in package.name)
    return f"SPDXRef-{kind}-{words}-{hashlib.sha256(purl(package).encode()).hexdigest()[:12]}"


def _relationship(element: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": other}
