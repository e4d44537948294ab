"""Fetches sources of other projects on the host, each held against its pin.

A site without the outer network names a mirror: a directory with the files, by their name or their
SHA-256, and with bare repositories (git_sources.py). When there is one, nothing else is asked.
"""

from __future__ import annotations

import shutil
import ssl
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from smforge.bake.inputs.git_sources import check_out
from smforge.bake.inputs.origin import Origin, in_mirror, unreachable
from smforge.bake.inputs.pinned_wheel import download_pinned
from smforge.errors import BuildFailedError, ConfigurationError
from smforge.files import sha256_of
from smforge.plan.records import PlannedExternal

_TIMEOUT_SECONDS = 60
_CHUNK = 1 << 20


def fetch(external: PlannedExternal, origin: Origin, into: Path) -> None:
    """Lay the sources of `external` out in `into`, which must not exist yet.

    Raises `ConfigurationError` where it is not pinned and `BuildFailedError` where it cannot be
    had or is not what the pin says.
    """
    if external.pin is None:
        raise ConfigurationError(
            f"The sources of {external.name} ({external.release}) are not pinned to a commit.",
            remedy=f"Look it up with 'git ls-remote {external.location} {external.release}' and "
            f"write it to versions.json, sources.vllm.externals.{external.name}.commit.",
        )
    if external.kind == "git":
        check_out(external, external.pin, origin, into)
        return
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".fetching-") as work:
        archive = Path(work) / PurePosixPath(urlsplit(external.location).path).name
        _bring(external, origin, archive)
        if (digest := sha256_of(archive)) != external.pin:
            raise BuildFailedError(
                f"{archive.name}, the sources of {external.name}, has the SHA-256 {digest}, "
                f"but {external.pin} is pinned.",
                remedy="Do not use this file; find out who changed it.",
            )
        unpacked = Path(work) / "unpacked"
        _unpack(archive, unpacked, external.subdirectory)
        _wanted(unpacked, external).rename(into)


def _bring(external: PlannedExternal, origin: Origin, archive: Path) -> None:
    if origin.mirror is not None:
        names = (archive.name, str(external.pin))
        what = f"the sources of {external.name}"
        shutil.copyfile(in_mirror(origin.mirror, names, what, external.location), archive)
    elif external.kind == "wheel":
        _download_wheel(external, origin, archive)
    else:
        _download(external, origin, archive)


def _download(external: PlannedExternal, origin: Origin, archive: Path) -> None:
    context = ssl.create_default_context(cafile=origin.ca_bundle)
    try:
        with (
            urllib.request.urlopen(  # noqa: S310  # versions.json admits http and https only
                external.location, timeout=_TIMEOUT_SECONDS, context=context
            ) as answer,
            archive.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file, _CHUNK)
            missing = answer.length
    except (OSError, HTTPException) as error:
        raise unreachable(external, str(error)) from None
    if missing:
        raise unreachable(external, f"the connection ended {missing} bytes early")


def _download_wheel(external: PlannedExternal, origin: Origin, archive: Path) -> None:
    name, _, version = str(external.release).partition(" ")
    pinned = f"{name}=={version} --hash=sha256:{external.pin}"
    if (why := download_pinned(pinned, origin, archive)) is not None:
        raise unreachable(external, why)


def _unpack(archive: Path, into: Path, subdirectory: str | None) -> None:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                # zipfile itself keeps members inside `into`.
                opened.extractall(into, _inside(opened.namelist(), subdirectory))  # noqa: S202
        else:
            with tarfile.open(archive) as opened_tar:
                opened_tar.extractall(into, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise BuildFailedError(
            f"{archive.name} cannot be unpacked: {error}.", remedy="Name a tar or zip file."
        ) from None


def _inside(names: Iterable[str], subdirectory: str | None) -> list[str]:
    return [name for name in names if not subdirectory or name.startswith(f"{subdirectory}/")]


def _wanted(unpacked: Path, external: PlannedExternal) -> Path:
    """The directory that is meant; a single directory at the top is looked through."""
    if external.subdirectory is not None:
        found = unpacked / external.subdirectory
        if not found.is_dir():
            raise BuildFailedError(
                f"{external.location} holds no directory {external.subdirectory}.",
                remedy="Correct 'subdirectory' in versions.json.",
            )
        return found
    entries = list(unpacked.iterdir()) if unpacked.is_dir() else []
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else unpacked
