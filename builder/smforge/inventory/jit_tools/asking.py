"""Runs a ptxas of a subject, confined, to have it list the targets that it assembles for."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smforge.errors import ToolError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob, chunks
from smforge.inventory.jit_tools.confinement import NOT_CONFINED
from smforge.inventory.sandbox import Bounds, capture

_CONFINEMENT = Path(__file__).with_name("confinement.py")
_SECONDS = 20
_MEMORY = 2 << 30
_BOUNDS = Bounds(seconds=_SECONDS, memory=_MEMORY)

_OPTION, _ALLOWED = b"--gpu-name", b"Allowed values for this option:"
_ENDS = (b"Default value", b"\n\n")
_SM = re.compile(rb"\bsm_(\d{2,3}[af]?)\b")


class NotAskedError(Exception):
    """The program was not run, or it did not answer; the message says why, as half a sentence."""


def ask(blob: Blob) -> list[bytes]:
    """Run ``ptxas --help`` and return the numbers of the targets that it lists: ``121a``.

    Raises `NotAskedError` where the program cannot be run here, where this host cannot confine it,
    and where it lists nothing.
    """
    if not _is_for_this_host(blob):
        raise NotAskedError("it is for another processor than this host's")
    with _executable(blob) as descriptor:
        command = [sys.executable, "-I", "-S", str(_CONFINEMENT)]
        arguments = [str(descriptor), str(_SECONDS), str(_MEMORY), "--help"]
        try:
            run, output = capture([*command, *arguments], _BOUNDS, (descriptor,))
        except ToolError as error:
            raise NotAskedError("this host cannot start it") from error
    if run.status == NOT_CONFINED:
        raise NotAskedError("this host cannot confine it (seccomp and Landlock on x86_64 Linux)")
    if targets := _listed(output):
        return targets
    raise NotAskedError("it was run, confined, and listed no targets")


def _listed(output: bytes) -> list[bytes]:
    """The targets in a help text; it may be anything, so this takes one pass."""
    option = output.find(_OPTION)
    begin = output.find(_ALLOWED, max(0, option))
    if option < 0 or begin < 0:
        return []
    ends = (end for mark in _ENDS if (end := output.find(mark, begin)) >= 0)
    return _SM.findall(output, begin, min(ends, default=len(output)))


def _is_for_this_host(blob: Blob) -> bool:
    head = blob.read_at(0, min(64, blob.size))
    if not elf.is_little_endian_elf(head) or sys.platform != "linux":
        return False
    return elf.MACHINES.get(elf.parse_header(head).machine) == platform.machine()


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
