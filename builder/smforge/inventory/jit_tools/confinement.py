"""Gives up every right that printing a help text does not need, then becomes a program.

Run as a script by `smforge.inventory.jit_tools.asking`, so that a program of a subject does not run
with the rights of the user:

    python -I -S confinement.py DESCRIPTOR SECONDS BYTES ARGUMENT…

- seccomp leaves the few system calls of `_ALLOWED`. So the program cannot open a socket of any
  family, send a signal, start a process or a thread, begin a session, change a limit of another
  process, or use io_uring or ptrace. Such a call fails with EPERM; a call of another processor mode
  ends the program.
- Landlock leaves reading of the system's libraries: no other file can be read, and none written.
- Resource limits bound the time, the memory and the open files.

Exits with 97 where one of these cannot be had; the program is then not run.

Sources: seccomp(2), landlock(7), linux/filter.h, linux/audit.h, and for the numbers of the system
calls arch/x86/entry/syscalls/syscall_64.tbl. The calls are those that ``ptxas --help`` makes under
strace: 35 programs of CUDA 12.0 to 13.5 (23 calls), and what older C libraries use in their place.
"""

import ctypes
import errno
import os
import resource
import struct
import sys
from typing import NoReturn

NOT_CONFINED = 97

_ALLOWED = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
    "pread64": 17, "access": 21, "madvise": 28, "execve": 59, "exit": 60, "readlink": 89,
    "sched_get_priority_max": 146, "sched_get_priority_min": 147, "arch_prctl": 158, "futex": 202,
    "set_tid_address": 218, "clock_gettime": 228, "exit_group": 231, "openat": 257,
    "newfstatat": 262, "set_robust_list": 273, "getrandom": 318, "rseq": 334,
}  # fmt: skip
_MACHINE = "x86_64"
_AUDIT_ARCH = 0xC000003E
_X32_CALLS = 0x40000000
"""Numbers from here on are calls of the x32 mode, which the table does not describe."""

_NO_NEW_PRIVILEGES, _SET_SECCOMP = 38, 22
_FILTER_MODE = 2
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_CALL_AT, _ARCH_AT = 0, 4
"""Where struct seccomp_data holds the number of the call, and the processor mode."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_QUERY_VERSION = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR, _EXECUTE = 1 << 2, 1 << 3, 1
_ALL_OF_VERSION_1 = (1 << 13) - 1
_LIBRARIES = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")
_OPEN_FILES = 64


def main() -> NoReturn:
    """Confine this process and run the program that the descriptor holds."""
    descriptor, seconds, memory = (int(text) for text in sys.argv[1:4])
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        resource.setrlimit(limit, (value, value))
    libc = ctypes.CDLL(None, use_errno=True)
    if os.uname().machine != _MACHINE or libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        sys.exit(NOT_CONFINED)
    # Landlock first: seccomp forbids the calls that set it up.
    if not (_give_up_files(libc) and _give_up_calls(libc)):
        sys.exit(NOT_CONFINED)
    program = f"/proc/self/fd/{descriptor}"
    os.execve(program, ["ptxas", *sys.argv[4:]], {"LC_ALL": "C"})  # noqa: S606 - the point of it


def _give_up_files(libc: ctypes.CDLL) -> bool:
    version = libc.syscall(_CREATE_RULESET, None, 0, _QUERY_VERSION)
    if version < 1:
        return False
    # Version 1 lacks a few rights (moving between folders, truncating) that later ones handle.
    rights = _ALL_OF_VERSION_1
    rights |= (1 << 13) if version >= 2 else 0
    rights |= (1 << 14) if version >= 3 else 0
    attributes = struct.pack("=Q", rights)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    for path in _LIBRARIES:
        if os.path.exists(path):  # noqa: PTH110 - pathlib would cost this small process 20 ms
            _allow_reading(libc, ruleset, path)
    return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rights = _READ_FILE | _EXECUTE
    if os.path.isdir(path):  # noqa: PTH112
        rights |= _READ_DIR
    libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    os.close(place)


def _give_up_calls(libc: ctypes.CDLL) -> bool:
    rows = _filter()
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
    program = struct.pack("@HP", len(rows), ctypes.addressof(code))
    return bool(libc.prctl(_SET_SECCOMP, _FILTER_MODE, program, 0, 0) == 0)


def _filter() -> list[tuple[int, int, int, int]]:
    """The filter as rows of classic BPF: code, rows to skip if true, if false, and a constant."""
    numbers = sorted(_ALLOWED.values())
    last = len(numbers) - 1
    return [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, _AUDIT_ARCH),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _CALL_AT),
        (_AT_LEAST, 0, 1, _X32_CALLS),
        (_RETURN, 0, 0, _KILL),
        *((_EQUAL, last - row + 1, 0, number) for row, number in enumerate(numbers)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]


if __name__ == "__main__":
    main()
