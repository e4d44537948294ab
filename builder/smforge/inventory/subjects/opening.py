"""Opens the subject that an argument of the command line names."""

from __future__ import annotations

import importlib
import os
import stat
from typing import TYPE_CHECKING, Final

from smforge.errors import UsageError
from smforge.files import open_regular
from smforge.inventory.formats.blob import HEAD_BYTES, FileBlob
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.base import OpenSubject
from smforge.inventory.subjects.file import LIBRARIES, FileSubject, head_of, unreadable
from smforge.inventory.subjects.folder import FolderSubject, is_layout
from smforge.inventory.subjects.members import path_text
from smforge.inventory.subjects.unpacking import UnpackedSubject, archive_form_of

if TYPE_CHECKING:
    from smforge.inventory.archives.archive_form import Form

_SCHEMES: Final = {
    "image": "smforge.inventory.subjects.engine",
    "oci": "smforge.inventory.subjects.oci",
    "archive": "smforge.inventory.subjects.saved_image",
    "registry": "smforge.inventory.subjects.registry",
}
_REMOTE: Final = ("pypi:", "https://", "http://")


def open_unpacked(argument: str, options: ReadOptions) -> OpenSubject:
    """Open what `argument` names as `open_subject` does, with the members of its archives."""
    return UnpackedSubject(open_subject(argument, options), options.limits)


def open_subject(argument: str, options: ReadOptions) -> OpenSubject:
    """Open what `argument` names: ``image:…``, ``pypi:…`` and the like, a folder, a wheel or
    another file.

    Files are told apart by content. Raises `UsageError` for what does not exist and
    `DamagedInputError` for what is not what it claims to be.
    """
    if names_remote(argument):
        remote = importlib.import_module("smforge.inventory.remote")
        fetched = remote.fetch(argument, options)
        inner = _open_file(str(fetched.path), options)
        subject: OpenSubject = remote.FetchedSubject(inner, public_name(argument), fetched)
        return subject
    if names_image(argument):
        scheme, _, rest = argument.partition(":")
        module = importlib.import_module(_SCHEMES[scheme])
        opened: OpenSubject = module.open_subject(rest, options)
        return opened
    if os.path.isdir(argument):
        if is_layout(argument):
            raise UsageError(
                f"{argument} is an image layout, of which only the final files count.",
                remedy=f"Audit it as oci:{argument}.",
            )
        return FolderSubject(argument, options)
    return _open_file(argument, options)


def names_image(argument: str) -> bool:
    """Whether `argument` names an image: ``image:…``, ``oci:…``, ``archive:…`` or
    ``registry:…``.
    """
    scheme, colon, _ = argument.partition(":")
    return bool(colon) and scheme in _SCHEMES


def names_remote(argument: str) -> bool:
    """Whether `argument` is fetched first: ``pypi:NAME==VERSION``, ``https://…``."""
    return argument.startswith(_REMOTE)


def public_name(argument: str) -> str:
    """How an argument is shown: an address without its query, fragment and credentials."""
    if not names_remote(argument) or names_release(argument):
        return argument
    from urllib.parse import urlsplit  # noqa: PLC0415 - few subjects are addresses

    try:
        parts = urlsplit(argument)
    except ValueError:
        return argument.partition("?")[0].partition("#")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def names_release(argument: str) -> bool:
    """Whether `argument` names a release of a package index: ``pypi:NAME==VERSION``."""
    return argument.startswith("pypi:")


def names_one_file(argument: str) -> bool:
    """Whether `argument` is a file that is read as it is: no folder, no archive, no image."""
    try:
        if names_image(argument) or names_remote(argument) or not os.path.isfile(argument):
            return False
        return _form_of(argument, head_of(argument)[0]) is None
    except OSError:
        return False


def _open_file(path: str, options: ReadOptions) -> OpenSubject:
    try:
        if not _is_file(path):
            raise UsageError(
                f"{path} does not exist, or is neither a file nor a folder.",
                remedy="Name a wheel, folder, library or cubin, or an image as image:NAME:TAG.",
            )
        blob = FileBlob(open_regular(path))
    except OSError as error:
        raise unreadable(path, error) from error
    form = _form_of(path, blob.read_at(0, min(HEAD_BYTES, blob.size)))
    if form is None:
        blob.close()
        return FileSubject(path)
    from smforge.inventory.subjects.wheel import PackedSubject  # noqa: PLC0415 - slow to load

    name = path_text(os.path.basename(path))
    return PackedSubject(name, blob, form, options.limits, digests=options.digests)


def _form_of(path: str, head: bytes) -> Form | None:
    """The kind of archive that a file is; None for one that is read as it is, or is misnamed."""
    form = archive_form_of(path, head)
    suffix = os.path.splitext(path)[1]
    if form is None or suffix in LIBRARIES or (suffix == ".whl" and form.name != "zip"):
        return None
    return form


def _is_file(path: str) -> bool:
    """Raises `OSError` where a folder may not be entered; os.path.isfile would say no."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
