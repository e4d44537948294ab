"""Finds out which targets a ptxas knows: from its own tables, or by asking it.

Its tables are the names of targets as strings of their own (``compute_121a``). They say the same as
``ptxas --help`` in every release tried: 15 of CUDA 12.0 to 13.5, and the 20 that Triton 3.0 to 3.9
bring.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from smforge.arch.target import Target
from smforge.errors import ArchitectureError
from smforge.inventory.formats.blob import Blob, chunks
from smforge.inventory.jit_tools.records import Assembler, Source

_MOST_BYTES = 256 << 20
"""A ptxas has 20 to 52 MB; a file that is larger by far is neither searched nor run."""

_TABLE_NAME = re.compile(rb"\0(?:compute|lto)_(\d{2,3}[af]?)(?=\0)")
# Each begins with plain text, which `re` finds thirty times as fast as alternatives.
_RELEASES = (
    re.compile(rb"Cuda compilation tools, release (\d+\.\d+)"),
    re.compile(rb"cuda_(\d+\.\d+)\.r\d"),
)
_OVERLAP = 64


def examine(path: str, blob: Blob, *, ask_it: bool = False) -> Assembler:
    """Find out what the ptxas in `blob` assembles for; with `ask_it` it is run, confined.

    Where it cannot be run so, its tables are read, and `Assembler.not_asked` says why.
    """
    if blob.size > _MOST_BYTES:
        return Assembler(path, None, frozenset(), Source.READ, "it is too large")
    release = _release(blob)
    not_asked = ""
    if ask_it:
        from smforge.inventory.jit_tools.asking import NotAskedError, ask  # noqa: PLC0415 - runs it

        try:
            return Assembler(path, release, _targets(ask(blob)), Source.ASKED)
        except NotAskedError as reason:
            not_asked = str(reason)
    return Assembler(path, release, _read_tables(blob), Source.READ, not_asked)


def _read_tables(blob: Blob) -> frozenset[Target]:
    """Read the names of targets that stand in the program as strings of their own.

    ``sm_`` names are left out: those of architectures long dropped stand there too. Of the other
    two, one alone can be missing where the linker has merged it into a longer string.
    """
    found: set[bytes] = set()
    for text in _windows(blob):
        found.update(_TABLE_NAME.findall(text))
    return _targets(found)


def _release(blob: Blob) -> str | None:
    for text in _windows(blob):
        for pattern in _RELEASES:
            if match := pattern.search(text):
                return match[1].decode()
    return None


def _windows(blob: Blob) -> Iterator[bytes]:
    """Yield the bytes in pieces that overlap, so that no name is cut."""
    kept = b""
    for part in chunks(blob, 0, blob.size):
        yield kept + part
        kept = part[-_OVERLAP:]


def _targets(numbers: Iterable[bytes]) -> frozenset[Target]:
    found = set()
    for number in numbers:
        try:
            found.add(Target.parse(f"sm_{number.decode()}"))
        except ArchitectureError:
            continue
    return frozenset(found)
