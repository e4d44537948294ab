"""The bill of materials of an image in a layout, read from its layers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from smforge.files import sha256_of
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.oci import open_subject
from smforge.inventory.subjects.packages import installed_packages
from smforge.oci.documents import Descriptor
from smforge.publish import spdx
from smforge.publish.layouts import rfc3339


def bill_of_materials(
    folder: Path, image: Descriptor, created: datetime, wheels: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """The SPDX document of an image of a layout; `wheels` as in `spdx.Described`.

    Raises `DamagedInputError` where the image cannot be read.
    """
    with open_subject(str(folder), ReadOptions(platform=image.platform)) as subject:
        packages = installed_packages(subject)
        name = subject.subject.name
    described = spdx.Described(name, image.digest, rfc3339(created), packages, wheels)
    return spdx.document(described)


def wheel_digests(folder: Path) -> dict[tuple[str, str], str]:
    """The sha256 of every wheel below a folder, as `spdx.Described.wheels` has them."""
    digests = {}
    for path in sorted(folder.rglob("*.whl")):
        try:
            name, version, _, _ = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        digests[str(name), spdx.canonical_version(str(version))] = sha256_of(path)
    return digests
