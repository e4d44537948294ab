"""Threads share heaps once they are told to."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = """
import ctypes, sys, threading
from smforge.inventory.memory import share_heaps
if sys.argv[2] == "shared":
    share_heaps()
meeting = threading.Barrier(8)
def work():
    kept = [bytearray(1000) for _ in range(1000)]
    meeting.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps per thread")
def test_eight_threads_share_two_heaps(tmp_path: Path) -> None:
    heaps = {}
    for mode in ("shared", "own"):
        told = tmp_path / mode
        subprocess.run([sys.executable, "-c", COUNT, told, mode], check=True)
        heaps[mode] = told.read_text().count("<heap nr=")
    assert heaps["shared"] <= 2 < heaps["own"]
