"""Reads from a wheel what an index says about it.

Format: PyPA "Binary distribution format" and "Core metadata specifications".
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from smforge.errors import DamagedInputError
from smforge.files import sha256_of

METADATA_BYTES = 16 << 20
"""The largest METADATA that is read; an index serves it as a separate file."""

_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(OSError, EOFError, RuntimeError, ValueError),
)
"""The errors that zipfile raises for damaged archives, and the file system for damaged disks."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel."""

    path: Path
    project: str
    """The normalised name: PEP 503."""
    version: Version
    size: int
    sha256: str
    metadata: bytes
    """The METADATA file."""
    requires_python: str
    """Empty where the wheel states none."""

    @property
    def filename(self) -> str:
        return self.path.name

    @property
    def metadata_sha256(self) -> str:
        return hashlib.sha256(self.metadata).hexdigest()


def read_wheel(path: Path) -> Wheel:
    """Read and hash a wheel.

    Raises `DamagedInputError` for one that installers would refuse: no readable archive, no
    METADATA, or a name that contradicts it.
    """
    try:
        project, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise DamagedInputError(f"{path} has no wheel's name: {error}.") from error
    metadata = _metadata(path)
    fields = BytesHeaderParser().parsebytes(metadata)
    stated = (fields.get("Name", ""), fields.get("Version", ""))
    if not _agree(stated, project, version):
        raise DamagedInputError(
            f"{path} is {stated[0]} {stated[1]} by its METADATA.",
            remedy="Installers refuse a wheel whose name says otherwise: build it again.",
        )
    sha256 = sha256_of(path)
    requires_python = " ".join(fields.get("Requires-Python", "").split())
    return Wheel(path, project, version, path.stat().st_size, sha256, metadata, requires_python)


def _metadata(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if _is_metadata(name)]
            if len(names) != 1:
                raise DamagedInputError(f"{path} holds {len(names)} METADATA files, not one.")
            if archive.getinfo(names[0]).file_size > METADATA_BYTES:
                raise DamagedInputError(f"The METADATA of {path} is over {METADATA_BYTES} bytes.")
            return archive.read(names[0])
    except _UNREADABLE as error:
        raise DamagedInputError(f"{path} is not readable as a wheel: {error}.") from error


def _is_metadata(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder.endswith(".dist-info") and file == "METADATA"


def _agree(stated: tuple[str, str], project: str, version: Version) -> bool:
    try:
        return canonicalize_name(stated[0]) == project and Version(stated[1]) == version
    except InvalidVersion:
        return False
