"""From an argument of the command line to an open subject."""

from __future__ import annotations

import importlib
import os
import stat
from typing import Final

from smforge.errors import UsageError
from smforge.inventory.formats.blob import FileBlob
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.base import OpenSubject
from smforge.inventory.subjects.local import FileSubject, TreeSubject, path_text, unreadable

_SCHEMES: Final = {
    "image": "smforge.inventory.subjects.engine",
    "oci": "smforge.inventory.subjects.oci",
    "archive": "smforge.inventory.subjects.archive",
    "registry": "smforge.inventory.subjects.registry",
}
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


def open_subject(argument: str, options: ReadOptions) -> OpenSubject:
    """Open what `argument` names: ``image:…`` and the like, a folder, a wheel or another file.

    Files are told apart by content. Raises `UsageError` for what does not exist and
    `DamagedInputError` for what is not what it claims to be.
    """
    if names_image(argument):
        scheme, _, rest = argument.partition(":")
        module = importlib.import_module(_SCHEMES[scheme])
        opened: OpenSubject = module.open_subject(rest, options)
        return opened
    if os.path.isdir(argument):
        return TreeSubject(argument, options.limits)
    return _open_file(argument, options)


def names_image(argument: str) -> bool:
    """Whether `argument` is an image, wherever it lies: ``image:…``, ``oci:…`` and the like."""
    scheme, colon, _ = argument.partition(":")
    return bool(colon) and scheme in _SCHEMES


def names_one_file(argument: str) -> bool:
    """Whether `argument` is a file that is read as it is: no folder, no archive, no image."""
    try:
        if names_image(argument) or not os.path.isfile(argument):
            return False
        with open(argument, "rb") as file:
            return file.read(4) not in _ZIP_MAGICS
    except OSError:
        return False


def _open_file(path: str, options: ReadOptions) -> OpenSubject:
    try:
        if not _is_file(path):
            raise UsageError(
                f"{path} does not exist, or is neither a file nor a folder.",
                remedy="Name a wheel, folder, library or cubin, or an image as image:NAME:TAG.",
            )
        blob = FileBlob.from_path(path)
    except OSError as error:
        raise unreadable(path, error) from error
    magic = blob.read_at(0, min(4, blob.size))
    if magic in _ZIP_MAGICS:
        from smforge.inventory.subjects.wheel import WheelSubject  # noqa: PLC0415 - slow to load

        name = path_text(os.path.basename(path))
        return WheelSubject(name, blob, options.limits, digests=options.digests)
    blob.close()
    return FileSubject(path)


def _is_file(path: str) -> bool:
    """Raises `OSError` where it cannot be told: os.path.isfile calls such a file missing."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
