"""The bill of materials of an image in a layout, read out of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.inventory.options import ReadOptions
from builder.inventory.packages import installed_packages
from builder.inventory.subjects.oci import open_subject
from builder.oci.documents import Descriptor
from builder.publish import spdx


def bill_of_materials(
    folder: Path, image: Descriptor, created: str, wheels: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """The SPDX document of an image of a layout; `wheels` as in `spdx.Described`.

    Raises `DamagedInputError` where the image cannot be read.
    """
    with open_subject(str(folder), ReadOptions(platform=image.platform)) as subject:
        packages = installed_packages(subject)
        name = subject.subject.name
    return spdx.document(spdx.Described(name, image.digest, created, packages, wheels))


def wheel_key(filename: str) -> tuple[str, str] | None:
    """Name and version of a wheel, as `spdx.Described.wheels` has them; None for other files."""
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return str(name), spdx.canonical_version(str(version))
