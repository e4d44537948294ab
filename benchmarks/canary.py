"""Looks for a secret in everything that a build leaves behind.

``python -m benchmarks.canary FILE PATH…`` takes the secret from FILE, so that it stands in no
process list, and prints every place below the PATHs where it occurs: OCI layouts, wheels, logs,
records. Layers, wheels and other archives are opened, archives in them too; the secret counts as it
is and in base64, which logs and attestations use. Exit code 1 if it is anywhere.
"""

from __future__ import annotations

import base64
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from smforge.inventory.archives.compression import inflated, is_compressed
from smforge.inventory.formats.limits import Limits
from smforge.oci.parts import PART_BYTES

_NESTING = 4
_IN_MEMORY_BYTES = 64 << 20
_TAR_MAGIC = slice(257, 262)


class Canary:
    """A secret in the forms in which it may have been written."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 12:
            raise ValueError("a secret of fewer than 12 bytes is found by chance")
        self._forms = (secret, *(_base64(secret, shift) for shift in range(3)))
        self._overlap = max(map(len, self._forms)) - 1

    def places(self, path: Path) -> Iterator[str]:
        """Where the secret occurs in a file, or in the files of a folder and their names."""
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if self._is_in(str(file).encode()):
                yield f"the name of {file}"
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as stream:
                    yield from self._places(stream, str(file), _NESTING)

    def _places(self, stream: IO[bytes], where: str, nesting: int) -> Iterator[str]:
        if self._occurs(stream):
            yield where
        if not nesting:
            return
        stream.seek(0)
        head = stream.read(512)
        stream.seek(0)
        if is_compressed(head[:4]):
            with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as unpacked:
                for part in inflated(_parts(stream), Limits(), where):
                    unpacked.write(part)
                unpacked.seek(0)
                yield from self._places(unpacked, f"{where} unpacked", nesting - 1)
        elif head[_TAR_MAGIC] == b"ustar":
            yield from self._places_in_tar(stream, where, nesting - 1)
        elif head.startswith(b"PK\x03\x04"):
            yield from self._places_in_zip(stream, where, nesting - 1)

    def _places_in_tar(self, stream: IO[bytes], where: str, nesting: int) -> Iterator[str]:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None and _is_archive(content):
                    yield from self._places(content, f"{where}!{member.name}", nesting)

    def _places_in_zip(self, stream: IO[bytes], where: str, nesting: int) -> Iterator[str]:
        with zipfile.ZipFile(stream) as archive:
            for name in archive.namelist():
                with (
                    archive.open(name) as packed,
                    tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as content,
                ):
                    shutil.copyfileobj(packed, content)
                    content.seek(0)
                    yield from self._places(content, f"{where}!{name}", nesting)

    def _occurs(self, stream: IO[bytes]) -> bool:
        before = b""
        for part in _parts(stream):
            if self._is_in(before + part):
                return True
            before = part[-self._overlap :]
        return False

    def _is_in(self, data: bytes) -> bool:
        return any(form in data for form in self._forms)


def _base64(secret: bytes, shift: int) -> bytes:
    """What base64 makes of the secret at a position of its own: the part that is always there."""
    coded = base64.b64encode(b"\0" * shift + secret)
    first = -(-shift * 4 // 3)
    return coded[first + (1 if shift else 0) : len(coded) - 4]


def _is_archive(content: IO[bytes]) -> bool:
    head = content.read(512)
    content.seek(0)
    return is_compressed(head[:4]) or head.startswith(b"PK\x03\x04") or head[_TAR_MAGIC] == b"ustar"


def _parts(stream: IO[bytes]) -> Iterator[bytes]:
    while part := stream.read(PART_BYTES):
        yield part


def main(arguments: list[str]) -> int:
    """Search and print."""
    secret = Path(arguments[0]).read_bytes().strip()
    canary = Canary(secret)
    found = [place for path in arguments[1:] for place in canary.places(Path(path))]
    for place in found:
        print(place)
    print(f"{len(found)} places hold the secret.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
