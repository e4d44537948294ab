"""What the RECORD of a Python package says of its libraries, beside what is there.

Format: PyPA "Recording installed projects" and "Binary distribution format": a line per file, with
its path, ``sha256=`` and the digest in URL-safe base64, and its size. Paths are relative to the
folder that holds the ``.dist-info`` folder.
"""

# Not postponed: NamedTuple compiles every annotation that is, and that shows at the start.
import binascii
from collections.abc import Callable
from posixpath import normpath
from typing import Final, NamedTuple, Self

from smforge.errors import SmforgeError
from smforge.inventory.subjects.members import Member

_RECORD: Final = ".dist-info/RECORD"
_LIBRARIES: Final = (".so", ".cubin", ".fatbin", ".ptx", ".dll", ".pyd")
"""How names of files end that hold GPU code, or may. Others are not looked for."""
_MOST_BYTES: Final = 64 << 20
"""torch's, with 13,000 files, has 1.5 MB."""


class RecordedFile(NamedTuple):
    """A library that a RECORD lists."""

    path: str
    record: str
    """The path of the RECORD."""
    size: int | None
    """As it is listed; None where it is not."""
    sha256: str | None
    """As it is listed, in hexadecimal; None where it is not, or another digest."""
    found: int | None
    """The size of the file that is there; None where none is."""

    def below(self, folder: str) -> Self:
        """The same, found in a folder of this name."""
        return self._replace(path=f"{folder}/{self.path}", record=f"{folder}/{self.record}")


class RecordFinder:
    """Notes, member by member, what RECORDs list and which libraries are there."""

    def __init__(self) -> None:
        self._listed: list[tuple[Member, list[RecordedFile]]] = []
        self._libraries: list[Member] = []

    def note(self, member: Member) -> None:
        """Remember `member` if it is named like a library, and read it if it is a RECORD."""
        if _is_library(member.path):
            self._libraries.append(member)
        elif member.path.endswith(_RECORD):
            self._listed.append((member, _read(member)))

    def files(
        self, paths_of: Callable[[Member], tuple[str, ...]], is_link: Callable[[str], bool]
    ) -> tuple[RecordedFile, ...]:
        """What RECORDs list, by path; ask after the last member.

        What is listed and is a link is left out: where it leads, the file is read.
        """
        if not any(rows for _, rows in self._listed):
            return ()
        sizes = {path: member.size for member in self._libraries for path in paths_of(member)}
        placed = (row for member, rows in self._listed if paths_of(member) for row in rows)
        found = (row._replace(found=sizes.get(row.path)) for row in placed)
        there = [row for row in found if row.found is not None or not is_link(row.path)]
        return tuple(sorted(there, key=lambda row: (row.path, row.record)))


def _read(member: Member) -> list[RecordedFile]:
    """The libraries of a RECORD; none where it cannot be read, for it proves nothing then."""
    if member.size > _MOST_BYTES:
        return []
    try:
        with member.open() as blob:
            text = blob.read_at(0, blob.size).decode("utf-8", "replace")
    except SmforgeError:
        return []
    folder = "/".join(member.path.split("/")[:-2])
    rows = (_row(line, folder, member.path) for line in text.splitlines())
    return [row for row in rows if row is not None]


def _row(line: str, folder: str, record: str) -> RecordedFile | None:
    """A line; None for what is no library, or lies outside of the subject."""
    rest, _, size = line.strip().rpartition(",")
    name, _, digest = rest.rpartition(",")
    if name.startswith('"') and name.endswith('"'):
        name = name[1:-1].replace('""', '"')
    if not _is_library(name) or name.startswith("/"):
        return None
    path = normpath(f"{folder}/{name}" if folder else name)
    if path.startswith("../"):
        return None
    listed = int(size) if size.isascii() and size.isdecimal() and len(size) < 20 else None
    return RecordedFile(path, record, listed, _hexadecimal(digest), None)


def _is_library(name: str) -> bool:
    """Not by a regular expression, which would take an audit of one library longer to compile."""
    if name.endswith(_LIBRARIES):
        return True
    _, found, version = name.rpartition(".so.")
    return bool(found) and version.replace(".", "").isdecimal()


def _hexadecimal(digest: str) -> str | None:
    name, _, encoded = digest.partition("=")
    if name != "sha256":
        return None
    try:
        # Not base64, which takes longer to load than a library's headers to read.
        raw = binascii.a2b_base64(encoded.replace("-", "+").replace("_", "/").rstrip("=") + "==")
    except ValueError:
        return None
    return raw.hex() if len(raw) == 32 else None
