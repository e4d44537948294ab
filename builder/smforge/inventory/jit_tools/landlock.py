"""Gives up every right that reading one's own libraries does not need, then becomes a program.

Run as a script by `smforge.inventory.jit_tools.assembler`, so that a program found in a subject
is not run with the caller's rights:

    python -I -S confine.py DESCRIPTOR SECONDS BYTES ARGUMENT…

Linux's Landlock takes away writing anywhere, reading outside the system's libraries, and TCP;
resource limits bound time, memory, processes and output. Exits with 97 where the kernel has no
Landlock: the program is then not run.
"""

import ctypes
import os
import resource
import struct
import sys
from typing import NoReturn

NOT_CONFINED = 97

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_QUERY_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_EXECUTE = 1
_ALL_OF_VERSION_1 = (1 << 13) - 1
_NETWORK_FROM_VERSION = 4
_TCP = 0b11
_LIBRARIES = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")


def main() -> NoReturn:
    """Confine this process and run the program that the descriptor holds."""
    descriptor, seconds, memory = (int(text) for text in sys.argv[1:4])
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    if not _give_up_rights():
        sys.exit(NOT_CONFINED)
    program = f"/proc/self/fd/{descriptor}"
    os.execve(program, ["ptxas", *sys.argv[4:]], {"LC_ALL": "C"})  # noqa: S606 - the point of it


def _give_up_rights() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, _QUERY_VERSION)
    if version < 1:
        return False
    # Version 1 lacks a few rights (moving between folders, truncating) that later ones handle.
    rights = _ALL_OF_VERSION_1
    rights |= (1 << 13) if version >= 2 else 0
    rights |= (1 << 14) if version >= 3 else 0
    network = _TCP if version >= _NETWORK_FROM_VERSION else 0
    attributes = struct.pack("=QQ", rights, network)[: 16 if network else 8]
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    for path in _LIBRARIES:
        if os.path.exists(path):  # noqa: PTH110 - pathlib would cost this small process 20 ms
            _allow_reading(libc, ruleset, path)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rights = _READ_FILE | _EXECUTE
    if os.path.isdir(path):  # noqa: PTH112
        rights |= _READ_DIR
    libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    os.close(place)


if __name__ == "__main__":
    main()
