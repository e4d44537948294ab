"""Finds out which targets a ptxas knows: by asking it, or from its own tables."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smforge.arch.target import Target
from smforge.errors import ArchitectureError, ToolError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob, chunks
from smforge.inventory.jit_tools.landlock import NOT_CONFINED
from smforge.inventory.jit_tools.records import Assembler, Source
from smforge.inventory.sandbox import Bounds, capture

_CONFINE = Path(__file__).with_name("landlock.py")
_SECONDS = 20
_MEMORY = 2 << 30
_BOUNDS = Bounds(seconds=_SECONDS, memory=_MEMORY)
_MOST_BYTES = 256 << 20
"""A ptxas is 30 to 40 MB; nothing that is larger by far is run or searched."""

_ALLOWED = re.compile(
    rb"--gpu-name.*?Allowed values for this option:(.*?)(?:Default value|\n\n)", re.S
)
_SM = re.compile(rb"\bsm_(\d{2,3}[af]?)\b")
_TABLE_NAME = re.compile(rb"\0(?:compute|lto)_(\d{2,3}[af]?)(?=\0)")
_RELEASE = re.compile(rb"Cuda compilation tools, release (\d+\.\d+)|\bcuda_(\d+\.\d+)\.r\d")
_OVERLAP = 64


def examine(path: str, blob: Blob) -> Assembler:
    """Find out what the ptxas in `blob` assembles for."""
    if blob.size > _MOST_BYTES:
        return Assembler(path, None, frozenset(), Source.READ)
    asked = _ask(blob) if _runs_here(blob) else None
    if asked:
        return Assembler(path, _release(blob), asked, Source.ASKED)
    return Assembler(path, _release(blob), _read_tables(blob), Source.READ)


def _runs_here(blob: Blob) -> bool:
    head = blob.read_at(0, min(64, blob.size))
    if not head.startswith(elf.MAGIC) or sys.platform != "linux":
        return False
    return elf.MACHINES.get(elf.parse_header(head).machine) == platform.machine()


def _ask(blob: Blob) -> frozenset[Target] | None:
    """Run ``ptxas --help``; None where it cannot be confined or says nothing useful."""
    with _executable(blob) as descriptor:
        command = [sys.executable, "-I", "-S", str(_CONFINE)]
        arguments = [str(descriptor), str(_SECONDS), str(_MEMORY), "--help"]
        try:
            run, output = capture([*command, *arguments], _BOUNDS, (descriptor,))
        except ToolError:
            return None
    if run.status == NOT_CONFINED:
        return None
    match = _ALLOWED.search(output)
    return _targets(_SM.findall(match[1])) if match else None


@contextmanager
def _executable(blob: Blob) -> Iterator[int]:
    """Give a descriptor of a copy in memory that can be executed and has no name."""
    descriptor = os.memfd_create("ptxas", os.MFD_CLOEXEC)
    try:
        for part in chunks(blob, 0, blob.size):
            view = memoryview(part)
            while view:
                view = view[os.write(descriptor, view) :]
        yield descriptor
    finally:
        os.close(descriptor)


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
        if match := _RELEASE.search(text):
            return (match[1] or match[2]).decode()
    return None


def _windows(blob: Blob) -> Iterator[bytes]:
    """Yield the bytes in pieces that overlap, so that no name is cut."""
    kept = b""
    for part in chunks(blob, 0, blob.size):
        yield kept + part
        kept = part[-_OVERLAP:]


def _targets(names: set[bytes] | list[bytes]) -> frozenset[Target]:
    found = set()
    for name in names:
        try:
            found.add(Target.parse(f"sm_{name.decode()}"))
        except ArchitectureError:
            continue
    return frozenset(found)
